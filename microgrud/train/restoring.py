"""The way back from the entries of `attributes.py`: into objects that were made anew, by the same program.

Three states meet: that of the run at its start (`first`), that when it was saved (`saved`), and the objects as they are
now. A number, text or function that the run had not changed is a setting, and has to be the same now. What it had
changed is restored, and so are arrays, lists of floats and generators in any case, as parameters are.
"""

from __future__ import annotations

import base64
import random
import types
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..engine import Value
from ..optim.settings import brief
from .attributes import GLOBAL, MISSING, PART, Attributes, Node, cells_of, head, name_of, pack, structure
from .journal import dumps

__all__ = ["check_known", "plan", "unpack"]

_EMPTY: Mapping[str, Callable[[], Any]] = {"list": list, "dict": dict, "set": set}
#: Kinds of which nothing can be made from a file: there has to be one, of the same class.
_GIVEN = ("object", "class", "function", "fixed", "foreign")
#: Kinds whose items have names that the program gives.
_NAMED = ("object", "class", "function", "fixed")
_BUILT_IN = ("list", "tuple", "set", "frozenset", "deque", "dict", "ndarray", "Random", "Generator", "RandomState")


def unpack(text: str, kind: str = "<f8") -> Any:
    """Return the vector that `pack` packed; one can write to it."""
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=kind).copy()


def check_known(path: str, node: Node, first: Mapping[str, Node]) -> None:
    """Raise unless a node can be restored into objects as they were at the start of the run.

    Raises:
        TypeError: for an object or a function that came during the run, and could not be made from a file.
    """
    kind, name = head(node)
    before = first.get(path)
    same = before is not None and head(before) == (kind, name)
    made = name in _BUILT_IN or kind == "node" or (kind == "value" and name == "Value")
    if not same and (kind in _GIVEN or not made):
        raise _new(path, name)
    items, old = _items(node), _items(before) if same and before else {}
    for key, child in items.items():
        if isinstance(child, dict) and "name" in child and old.get(key) != child:
            raise _new(_inner(path, kind, key), child["name"])


def plan(attributes: Attributes, saved: Mapping[str, Node], first: Mapping[str, Node]) -> list[Callable[[], object]]:
    """Return the actions that restore the saved state; nothing is changed before they are run.

    Raises:
        ValueError: if the objects are not those of the same program; the message says what is different.
        KeyError, TypeError, AttributeError, IndexError: if the saved state is damaged.
    """
    restoring = _Restoring(attributes, saved, first)
    for name, root in attributes.roots.items():
        if restoring.place(name, root, True, name) is not root:
            raise _differs(name, _shown(saved[name]), root)
        while restoring.waiting:
            restoring.fill(*restoring.waiting.pop())
    return restoring.actions


class _Restoring:
    def __init__(self, attributes: Attributes, saved: Mapping[str, Node], first: Mapping[str, Node]) -> None:
        self.attributes, self.saved, self.first = attributes, saved, first
        self.actions: list[Callable[[], object]] = []
        self.waiting: list[tuple[str, Any, dict[Any, Any]]] = []
        self._made: dict[str, tuple[Any, Any]] = {}  # by path: what stands there, and what stood there before
        self._used: dict[int, Any] = {}

    def place(self, path: str, present: Any, unchanged: bool, where: str) -> Any:
        """Return the object of a path, in place if it can be restored so."""
        node = self.saved[path]
        if path in self._made:
            made, before = self._made[path]
            if unchanged and present is not made and present is not before:
                raise ValueError(f"it is that of a run where {where} is {path}, and here it is another object")
            return made
        kind, _ = head(node)
        fits = present is not MISSING and not self.attributes.is_parameter(present) and self._fits(node, present)
        if not fits and unchanged and path in self.first and structure(self.first[path]) == structure(node):
            raise _differs(where, _shown(node), present)
        locked = (
            fits and kind == "array" and not present.flags.writeable and pack(present, node["dtype"]) != node["data"]
        )
        if id(present) in self._used or not fits or locked:
            if kind in _GIVEN:
                raise _differs(where, _shown(node), present)
            made, contents = self._fresh(node, where), {}
        else:
            made, contents = present, self.attributes.contents(present, kind) if "items" in node else {}
            self._used[id(present)] = present
        if kind in ("tuple", "frozenset", "fixed"):
            made = self._rebuilt(path, made, contents)
        elif kind == "node":
            made = self._result(node, present, where)
        else:
            self.waiting.append((path, made, contents))
        self._made[path] = made, present
        if "attributes" in node:
            self.place(node["attributes"]["at"], made.__dict__, True, f"{path}.__dict__")
        return made

    def fill(self, path: str, x: Any, contents: dict[Any, Any]) -> None:
        """Plan the restoring of what an object holds."""
        node = self.saved[path]
        kind, _ = head(node)
        if kind == "array":
            if x.flags.writeable:  # any other is right already
                self.actions.append(lambda: np.copyto(x, _array(node)))
        elif kind == "value":
            data, grad = float(node["data"]), float(node["grad"])
            self.actions += [partial(setattr, x, "data", data), partial(setattr, x, "grad", grad)]
        elif kind in ("random", "generator"):
            _set_state(_new_generator(node), node)  # raises if it is damaged
            self.actions.append(lambda: _set_state(x, node))
        elif kind != "foreign":
            held = self._children(path, contents)
            if list(held) != list(contents) or any(held[key] is not contents[key] for key in held):
                self.actions.append(lambda: _put(x, kind, held))
            for each, cls in zip(node.get("classes", ()), self.attributes.class_of(x).users):
                self.place(each, cls, True, each)

    # --- what an object holds ---

    def _children(self, path: str, contents: dict[Any, Any]) -> dict[Any, Any]:
        node, before = self.saved[path], self.first.get(path)
        kind, _ = head(node)
        items = _items(node)
        old = _items(before) if before is not None and head(before) == head(node) else {}
        if kind in ("list", "deque") and items and all(type(item) is float for item in items.values()):
            if len(old) == len(items) != len(contents):
                raise _of_other_length(path, items, contents)
            return items
        keys = self._keys(path, items, contents)
        if items.keys() == old.keys() and len(contents) > len(items) and kind not in _NAMED:
            raise _of_other_length(path, items, contents)
        if kind in _NAMED and (extra := contents.keys() - items.keys() - old.keys()):
            raise ValueError(f"it is that of a run without {_inner(path, kind, min(extra))}")
        return {
            keys[key]: self._child(child, old.get(key, MISSING), contents.get(keys[key], MISSING),
                                   _inner(path, kind, key))
            for key, child in items.items()
        }  # fmt: skip

    def _keys(self, path: str, items: Mapping[Any, Any], contents: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return the keys that the object has now, or is to have, for those in the items of a node."""
        kind, _ = head(self.saved[path])
        if kind != "dict":
            own = {key: key for key in contents}
            return {key: own.get(key, key) for key in items}
        known = {dumps(inline): key for key in contents if (inline := self.attributes.inline(key)) is not PART}
        others = [key for key in contents if self.attributes.inline(key) is PART]
        keys = {}
        for text, (key, _) in zip(items, self.saved[path]["items"]):
            if text in known:
                keys[text] = known[text]
            else:
                at = isinstance(key, dict) and "at" in key
                present = others.pop(0) if at and others else MISSING
                keys[text] = self._child(key, MISSING, present, f"{path}: a key")
        return keys

    def _child(self, saved: Any, before: Any, present: Any, where: str) -> Any:
        unchanged = before is not MISSING and dumps(before) == dumps(saved)
        if isinstance(saved, dict) and "at" in saved:
            return self.place(saved["at"], present, unchanged, where)
        now = self.attributes.inline(present) if present is not MISSING else MISSING
        if now is not MISSING and now is not PART and dumps(now) == dumps(saved):
            return present
        if unchanged or (isinstance(saved, dict) and "name" in saved):
            raise _differs(where, saved, present)
        return self._decoded(saved)

    def _decoded(self, saved: Any) -> Any:
        if not isinstance(saved, dict):
            return saved
        kind, data = next(iter(saved.items()))
        if kind == "parameter":
            return self.attributes.parameters[data]
        if kind == "bytes":
            return base64.b64decode(data)
        if kind == "complex":
            return complex(*data)
        if kind == "scalar":
            return unpack(saved["data"], data)[0]
        return tuple(self._decoded(item) for item in saved["tuple"])

    def _fits(self, node: Node, present: Any) -> bool:
        kind, name = head(node)
        if self.attributes.kind_of(present) != (kind, name):
            return False
        if kind == "array":
            return [present.dtype.newbyteorder("<").str, list(present.shape)] == [node["dtype"], node["shape"]]
        if kind == "objects":
            return bool(list(present.shape) == node["shape"])
        if kind == "deque":
            return bool(present.maxlen == node["maxlen"])
        if kind == "generator" and not isinstance(present, np.random.RandomState):
            bits = present if isinstance(present, np.random.BitGenerator) else present.bit_generator
            return bool(bits.state["bit_generator"] == node["bits"])
        return True

    # --- new objects ---

    def _fresh(self, node: Node, where: str) -> Any:
        kind, name = head(node)
        if kind in _EMPTY and name == kind:
            return _EMPTY[kind]()
        if kind == "deque" and name == kind:
            return deque(maxlen=node["maxlen"])
        if kind == "array":
            return _array(node)
        if kind == "objects":
            return np.empty(node["shape"], dtype=object)
        if kind in ("random", "generator") and name in _BUILT_IN:
            return _new_generator(node)
        if kind == "value" and name == "Value":
            return Value(0.0)
        if kind in ("tuple", "frozenset") and name == kind:
            return () if kind == "tuple" else frozenset()
        if kind == "node":
            return None
        raise _differs(where, _shown(node), MISSING)

    def _rebuilt(self, path: str, x: Any, contents: dict[Any, Any]) -> Any:
        """Return an object that cannot change: the same if all that it holds is the same."""
        kind, name = head(self.saved[path])
        held = self._children(path, contents)
        if len(held) == len(contents) and all(held[key] is contents[key] for key in held):
            return x
        if kind == "frozenset":
            return frozenset(held.values())
        if kind == "fixed":
            raise _differs(path, _shown(self.saved[path]), x)
        return tuple(held.values()) if name == "tuple" else type(x)._make(held.values())

    def _result(self, node: Node, present: Any, where: str) -> Value:
        """Return the result of an operation: that of the constructor, or a stand-in that lets no gradient through."""
        if node["kept"]:
            if (
                not isinstance(present, Value)
                or present._op != node["op"]
                or dumps(present.data) != dumps(node["data"])
            ):
                raise _differs(where, node["data"], present)
            return present
        stand_in = Value(node["data"], (Value(0.0),), node["op"])
        stand_in.grad = node["grad"]

        def stop() -> None:
            raise RuntimeError(
                f"{where} was computed before the checkpoint that this run was resumed from, so that no gradient can "
                "go through it to the parameters; keep its number in the attribute: its .data, or .detach()"
            )

        stand_in._backward = stop
        return stand_in


def _items(node: Node) -> dict[Any, Any]:
    """Return the items of a node by attribute, position, or the key as JSON."""
    items = node.get("items", {})
    if "dict" in node:
        return {dumps(key): item for key, item in items}
    if head(node)[0] in _NAMED or not items:
        return dict(items)
    if isinstance(items, dict) and "floats" in items:
        items = unpack(items["floats"]).tolist()
    elif isinstance(items, dict):
        items = [{"parameter": number} for number in items["parameters"]]
    return dict(enumerate(items))


def _put(x: Any, kind: str, held: dict[Any, Any]) -> None:
    """Make an object hold this, and nothing else."""
    if kind == "object":
        own = getattr(x, "__dict__", {})
        for name in [name for name in own if name not in held and name != "training"]:
            del own[name]
        for name, item in held.items():
            if hasattr(type(x), "__slots__") and name not in own and hasattr(type(x), name):
                object.__setattr__(x, name, item)
            else:
                own[name] = item
    elif kind == "class":
        for name, item in held.items():
            if vars(x).get(name, MISSING) is not item and not isinstance(item, types.FunctionType):
                setattr(x, name, item)
    elif kind == "function":
        cells = cells_of(x)
        for name, item in held.items():
            if name.startswith(GLOBAL):
                x.__globals__[name.removeprefix(GLOBAL)] = item
            elif name in cells:
                cells[name].cell_contents = item
            else:
                vars(x)[name] = item
    elif kind == "dict":
        x.clear()
        x.update(held)
    elif kind == "set":
        x.clear()
        x.update(held.values())
    elif kind == "deque":
        x.clear()
        x.extend(held.values())
    elif kind == "list":
        x[:] = held.values()
    else:
        for i, item in held.items():
            x.flat[i] = item


def _array(node: Node) -> Any:
    return unpack(node["data"], node["dtype"]).reshape(node["shape"])


def _new_generator(node: Node) -> Any:
    kind, name = head(node)
    if kind == "random":
        return random.Random()
    if name == "RandomState":
        return np.random.RandomState()
    made = getattr(np.random, node["bits"])
    if not (isinstance(made, type) and issubclass(made, np.random.BitGenerator)):
        raise ValueError(f"expected a generator of NumPy, got {node['bits']!r}")
    return np.random.Generator(made()) if name == "Generator" else made()


def _set_state(x: Any, node: Node) -> None:
    if isinstance(x, random.Random):
        version, words, gauss = node["state"]
        x.setstate((version, tuple(unpack(words, "<u4").tolist()), gauss))
    elif isinstance(x, np.random.RandomState):
        x.set_state(_unpacked(node["state"]))
    else:
        (x if isinstance(x, np.random.BitGenerator) else x.bit_generator).state = _unpacked(node["state"])


def _unpacked(x: Any) -> Any:
    if not isinstance(x, dict):
        return x
    if set(x) == {"dtype", "data"}:
        return unpack(x["data"], x["dtype"])
    return {key: _unpacked(item) for key, item in x.items()}


def _inner(path: str, kind: str, key: Any) -> str:
    return f"{path}.{key}" if kind in _NAMED else f"{path}[{key}]"


def _shown(node: Node) -> str:
    kind, name = head(node)
    shape = f" of shape {tuple(node['shape'])}" if "shape" in node else ""
    return f"of type {name}{shape}" if kind != "function" else f"of the function {name}"


def _differs(where: str, saved: Any, present: Any) -> ValueError:
    """Return the error that says what is different."""
    if isinstance(saved, dict):
        saved = next(iter(saved.values()))
    if not isinstance(saved, str) or not saved.startswith("of "):
        saved = brief(saved)
    if isinstance(saved, str) and saved.startswith("of ") and present is not MISSING:
        is_function = isinstance(present, types.FunctionType)
        now = f"that of {name_of(present)}" if is_function else f"one of type {type(present).__qualname__}"
    elif present is MISSING:
        now = "none"
    else:
        now = brief(present)
    return ValueError(f"it is that of a run with {where} {saved}, and this one has {now}")


def _of_other_length(path: str, saved: Mapping[Any, Any], present: Mapping[Any, Any]) -> ValueError:
    return ValueError(f"it is that of a run with {len(saved)} items in {path}, and this one has {len(present)}")


def _new(path: str, name: str) -> TypeError:
    return TypeError(
        f"{path}: expected an object that was there when the run began, got a new one ({name}), which cannot be made "
        "from a file; make it before `fit` is called"
    )
