"""Leaves that the loss depends on but that are not parameters: no optimizer moves them, and `fit` warns of them."""

from __future__ import annotations

import contextlib
import types
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from ..engine import Value
from ..nn.contents import leaves_and
from ..nn.module import Module

#: Maximum number of leaves that the warning names.
_MOST_NAMES = 10


class Untrained:
    """The leaves that the losses of two batches reach, other than parameters.

    A leaf that model or loss makes at a call is another object in each batch. A leaf that both batches reach is stored
    somewhere, and may have been meant to be trained. Between the batches the leaves are kept alive, so that no other
    object gets their ids.

    Args:
        known: the leaves that need no warning: the parameters of the model, whether the optimizer moves them or not,
            and those of the optimizer.
    """

    def __init__(self, known: Iterable[Value]) -> None:
        self._known = {id(leaf): leaf for leaf in known}
        self._before: dict[int, Value] = {}
        self._found: dict[int, Value] = {}
        self.batches = 0

    def see(self, leaves: Iterable[Value], closed_over: bool = False) -> None:
        """Note the leaves that the loss of a batch reaches.

        Args:
            leaves: the leaves of the batch.
            closed_over: whether they are the same in all batches, as the leaves of a recording are.
        """
        self.batches += 1
        others = {id(leaf): leaf for leaf in leaves if id(leaf) not in self._known}
        self._found.update(others if closed_over else {key: others[key] for key in others.keys() & self._before.keys()})
        self._before = others

    def warn(self, model: Any, loss: Callable[..., Any], stacklevel: int) -> None:
        """Warn of the leaves that were found, if any; `stacklevel` is counted as by `warnings.warn`."""
        if not self._found:
            return
        places = {**_names("loss", loss), **_names("model", model)}
        names = [_name(leaf, places.get(id(leaf))) for leaf in self._found.values()]
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        warnings.warn(
            f"fit: the loss depends on Values that are not parameters, so they are not trained: "
            f"{', '.join(names[:_MOST_NAMES])}{more}; to train them, keep them in attributes of a Module, or return "
            "them from model.parameters(); for constants, use floats",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def _name(leaf: Value, place: str | None) -> str:
    name = leaf.label or place
    return f"{name!r} ({leaf.data:g})" if name else f"a Value without a label ({leaf.data:g})"


def _names(root: str, x: Any) -> dict[int, str]:
    """Return the names, by id, of the leaves that an object holds or that are variables of its function."""
    found: dict[int, str] = {}
    waiting: list[tuple[str, Any]] = [(f"{root}.", x)]
    for f in (x, getattr(x, "__func__", None), getattr(type(x), "__call__", None)):  # noqa: B004 - the function
        if isinstance(f, types.FunctionType):
            shared = {name: f.__globals__[name] for name in f.__code__.co_names if name in f.__globals__}
            for name, cell in zip(f.__code__.co_freevars, f.__closure__ or ()):
                with contextlib.suppress(ValueError):  # not assigned yet
                    shared[name] = cell.cell_contents
            waiting.append((f"{root}: ", types.SimpleNamespace(**shared)))
    searched: set[int] = set()
    while waiting:
        prefix, item = waiting.pop()
        if id(item) not in searched:
            searched.add(id(item))
            for name, held in leaves_and(Module, item, prefix):
                if isinstance(held, Value):
                    found.setdefault(id(held), name)
                else:
                    waiting.append((f"{name}.", held))
    return found
