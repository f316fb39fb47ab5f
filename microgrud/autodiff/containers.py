"""The containers of structures: lists, tuples, dicts, dataclasses and None; anything else in a structure is a leaf."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any


class Attribute(str):
    """The key of a field of a dataclass, with its place in the text `.name` instead of `['name']`."""

    __slots__ = ()


def place_of(key: Any) -> str:
    """Return the place of an item in a container, as Python writes it.

    >>> place_of("w"), place_of(Attribute("w")), place_of(0)
    ("['w']", '.w', '[0]')
    """
    return f".{key}" if isinstance(key, Attribute) else f"[{key!r}]"


def opened(tree: Any) -> tuple[Sequence[Any], Iterable[Any], Callable[[list[Any]], Any]] | None:
    """Open a list, tuple, named tuple, dict, dataclass or None; return None for anything else, which is a leaf.

    An OrderedDict and a defaultdict keep their class. The fields of a dataclass are its items; the same of other items
    is made without its constructor, which may convert or refuse Values, and has no other attributes.

    Returns:
        The keys (or indices) of the items, the items, and a function that makes the same of other items.
    """
    if isinstance(tree, (list, tuple)):
        kind: Any = type(tree)  # the class of a named tuple takes its items as separate arguments
        return range(len(tree)), tree, kind._make if hasattr(kind, "_fields") else kind
    if isinstance(tree, dict):
        keys = list(tree)
        return keys, tree.values(), _maker_of_dict(tree, keys)
    if tree is None:
        return (), (), _none
    if is_dataclass(tree):
        names = [Attribute(each.name) for each in dataclasses.fields(tree) if hasattr(tree, each.name)]
        kind = type(tree)
        return names, [getattr(tree, name) for name in names], lambda items: _made(kind, names, items)
    return None


def is_dataclass(x: Any) -> bool:
    """Return whether an object is an instance of a user's dataclass that is a container: no number and no model."""
    kind = type(x)
    if not hasattr(kind, "__dataclass_fields__") or kind.__module__.partition(".")[0] == "microgrud":
        return False
    return not any(hasattr(kind, name) for name in ("__float__", "__array__", "named_parameters"))


def _maker_of_dict(tree: dict[Any, Any], keys: list[Any]) -> Callable[[list[Any]], Any]:
    if isinstance(tree, OrderedDict):
        return lambda items: OrderedDict(zip(keys, items))
    if isinstance(tree, defaultdict):
        factory = tree.default_factory
        return lambda items: defaultdict(factory, zip(keys, items))
    return lambda items: dict(zip(keys, items))


def _none(items: list[Any]) -> None:
    """Return None, which has no items."""


def _made(kind: Any, names: Sequence[str], items: Sequence[Any]) -> Any:
    made = object.__new__(kind)
    for name, item in zip(names, items):
        object.__setattr__(made, name, item)  # also of a frozen class
    return made
