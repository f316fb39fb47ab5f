"""The restoration of objects from the nodes of `attributes.py`: the same program has made the objects again.

Three states are compared: the run at its start (`first`), the run when it was saved, and the present state. State that
the run had not changed is a setting, and has to be the same now. State that it had changed is restored; arrays, lists
of floats, generators and Values are restored in any case, as parameters are.
"""

from __future__ import annotations

import base64
import json
import random
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..common.checks import brief
from ..engine import Value
from .attributes import PARTS, Attributes, item_path

#: Stands for a missing attribute or item.
_MISSING = object()


def unpack(text: str, kind: str = "<f8") -> Any:
    """Return the vector that `pack` packed, as a writable array."""
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=kind).copy()


def plan(attributes: Attributes, saved: Mapping[str, Any], first: Mapping[str, Any]) -> list[Callable[[], object]]:
    """Return the actions that restore the saved state; nothing is changed until they are called.

    Raises:
        ValueError: if the objects are not those of the same program; the message names the difference.
        KeyError, TypeError, AttributeError, IndexError: if the saved state is damaged.
    """
    restoring = _Restoring(attributes, saved, first)
    restoring.target("", "")
    while restoring.waiting:
        restoring.fill(restoring.waiting.pop())
    return restoring.actions


class _Restoring:
    def __init__(self, attributes: Attributes, saved: Mapping[str, Any], first: Mapping[str, Any]) -> None:
        self.attributes, self.saved, self.first, self.now = attributes, saved, first, attributes.nodes
        self.actions: list[Callable[[], object]] = []
        self.waiting: list[str] = []
        self.made: dict[str, Any] = {}

    def target(self, path: str, where: str) -> Any:
        """Return the object that takes the state of a path: the present one if it can, otherwise a new one."""
        if path not in self.made:
            node, now, present = self.saved[path], self.now.get(path, {}), self.attributes.objects.get(path)
            fits = now.get("is") == node["is"]
            if not fits and (node["is"][0] == "object" or node["is"] == self.first.get(path, {}).get("is")):
                raise self.differs(where, {"at": path}, {"at": path} if now else _MISSING)
            locked = isinstance(present, np.ndarray) and not present.flags.writeable and now != node
            self.made[path] = present if fits and not locked else _new_object(node)
            self.waiting.append(path)
        return self.made[path]

    def fill(self, path: str) -> None:
        """Plan to restore the state of the object of a path."""
        node, x = self.saved[path], self.made[path]
        if "items" in node:
            self.fill_holder(path, x, node["is"][0])
        elif x is not self.attributes.objects.get(path) or not _equal(self.now[path], node):
            _set_state(_new_object(node), node)  # raises if it is damaged
            self.actions.append(partial(_set_state, x, node))

    def fill_holder(self, path: str, x: Any, kind: str) -> None:
        """Plan to restore the items of a container, or the attributes of an object."""
        present = x is self.attributes.objects.get(path)
        contents, items = self.attributes.contents(x), _items(self.saved[path])
        now = _items(self.now[path]) if present else {}
        same_kind = self.saved[path]["is"] == self.first.get(path, {}).get("is")
        old = _items(self.first[path]) if same_kind else {}
        for key in now.keys() - items.keys() - old.keys() if kind == "object" or items.keys() == old.keys() else ():
            raise ValueError(f"it belongs to a run without {item_path(path, kind, key)}")
        # Weights in a list are not settings, as parameters are not; their number is one.
        free = kind in ("list", "deque") and {type(item) for each in (items, now) for item in each.values()} == {float}
        held = {}
        for key, item in items.items():
            before = _MISSING if free and key in now else old.get(key, _MISSING)
            each = contents.get(key, _MISSING)
            held[key] = self.value(item, before, now.get(key, _MISSING), each, item_path(path, kind, key))
            if (not path or type(x) in PARTS) and held[key] is not each:
                raise self.differs(item_path(path, kind, key), item, now.get(key, _MISSING))
        if list(held) == list(contents) and all(held[key] is contents[key] for key in held):
            return
        if kind == "object":
            slots = self.attributes.slots(type(x)) or []
            self.actions.append(partial(_set_attributes, x, contents.keys() - held.keys(), held, slots))
            return
        self.actions.append(x.clear)
        if kind == "dict":
            known = dict(zip(contents, x))
            new = partial(self.value, before=_MISSING, now=_MISSING, present=_MISSING, where=path)
            keys = [known[key] if key in known else new(json.loads(key)) for key in held]
            self.actions.append(lambda: x.update(zip(keys, held.values())))
        else:
            self.actions.append(partial(x.update if kind == "set" else x.extend, held.values()))

    def value(self, saved: Any, before: Any, now: Any, present: Any, where: str) -> Any:
        """Return the restored attribute, item or key; `saved`, `before`, `now` are its entries in the three states."""
        same = _equal(saved, now)
        if not same and _equal(saved, before):
            raise self.differs(where, saved, now)
        if not isinstance(saved, dict):
            return present if same else saved
        kind, data = next(iter(saved.items()))
        if kind == "at":
            return self.target(data, where)
        if kind == "tuple":
            known = list(zip(now["tuple"], present)) if type(present) is tuple else []
            known += [(_MISSING, _MISSING)] * len(data)
            made = tuple([self.value(item, _MISSING, *each, where) for item, each in zip(data, known)])
            return present if same and all(a is b for a, b in zip(made, present)) else made
        if kind == "name" and not same:
            raise self.differs(where, saved, now)
        if same:
            return present
        return self.attributes.parameters[data] if kind == "parameter" else unpack(data[1], data[0])[0]

    def differs(self, where: str, saved: Any, now: Any) -> ValueError:
        """Return the error that names the difference."""
        text, present = _describe(saved, self.saved, "of type"), _describe(now, self.now, "one of type")
        return ValueError(f"it belongs to a run with {where} {text}, and this one has {present}")


def _equal(one: Any, other: Any) -> bool:
    """Return whether two entries are equal to the bit."""
    return _MISSING not in (one, other) and json.dumps(one) == json.dumps(other)


def _items(node: Mapping[str, Any]) -> dict[Any, Any]:
    """Return the items of a node by attribute, position, or the key as JSON."""
    items = node["items"]
    if node["is"][0] in ("object", "dict"):
        return dict(items)
    return dict(enumerate(items if isinstance(items, list) else [{"parameter": i} for i in items["parameters"]]))


def _describe(child: Any, nodes: Mapping[str, Any], of_type: str) -> str:
    if not isinstance(child, dict):
        return "none" if child is _MISSING else brief(child)
    kind, data = next(iter(child.items()))
    if kind == "at":
        return f"{of_type} {' '.join(map(str, nodes[data]['is'])).removeprefix('object ')} ({data})"
    if kind == "name":
        return str(data)
    return brief(unpack(data[1], data[0])[0]) if kind == "scalar" else f"{kind} {brief(data)}"


def _set_attributes(x: Any, gone: set[str], held: Mapping[str, Any], slots: list[str]) -> None:
    """Set and delete attributes of an object, even if its class is frozen."""
    for name in gone:
        object.__delattr__(x, name) if name in slots else vars(x).pop(name)
    for name, item in held.items():
        object.__setattr__(x, name, item) if name in slots else vars(x).update({name: item})


def _new_object(node: Mapping[str, Any]) -> Any:
    """Return a new object of the structure of a node."""
    kind, *details = node["is"]
    if kind == "ndarray":
        return np.empty(details[1], details[0])
    if kind == "deque":
        return deque(maxlen=details[0])
    if kind in ("Generator", "RandomState"):
        bits = getattr(np.random, details[0])
        if not issubclass(bits, np.random.BitGenerator):  # raises for anything but a class
            raise ValueError(f"expected a generator of NumPy, got {details[0]!r}")
        return getattr(np.random, kind)(bits())
    return Value(0.0) if kind == "Value" else {"list": list, "dict": dict, "set": set, "Random": random.Random}[kind]()


def _set_state(x: Any, node: Mapping[str, Any]) -> None:
    data = node["data"]
    if isinstance(x, np.ndarray):
        np.copyto(x, unpack(data, node["is"][1]).reshape(x.shape))
    elif isinstance(x, Value):
        x.data, x.grad = map(float, data)
    elif isinstance(x, random.Random):
        x.setstate((data[0], tuple(unpack(data[1], "<u4").tolist()), data[2]))
    elif isinstance(x, np.random.RandomState):
        x.set_state(data)
    else:
        x.bit_generator.state = data
