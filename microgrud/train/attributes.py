"""The state that objects keep in their attributes, as flat entries that JSON can hold.

`Attributes` walks from a few roots (model, loss, optimizer, ...) over attributes and containers, and writes each object
that can change as one entry, a node, under its path. `restoring.py` does the reverse.

    "model":         {"is": ["object", "Net"], "items": {"calls": 3, "scales": {"at": "model.scales"}}}
    "model.scales":  {"is": ["list"], "items": [0.5, 0.25]}
"""

from __future__ import annotations

import base64
import enum
import hashlib
import json
import pickle
import random
import types
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..autodiff.rematerialization import Checkpointed
from ..engine import Value
from ..nn.contents import of_library
from ..optim.optimizer import plain
from ..tape.compiled import Compiled

_PLAIN = {type(None), bool, int, float, str}
_NAMED = (type, types.ModuleType, types.FunctionType, np.ufunc, enum.Enum, bytes, complex)
#: Types whose objects never change, with the attributes whose objects may.
PARTS: Mapping[type, tuple[str, ...]] = {
    **dict.fromkeys((types.MethodType, types.BuiltinFunctionType, types.MethodWrapperType), ("__self__",)),
    partial: ("func", "args", "keywords"),
    Compiled: ("function",),  # the recordings are not state of the model
    Checkpointed: ("function",),
}
#: Types that keep state: an object of an unknown subclass of these must be comparable by its pickle.
_CHANGING = (Iterator, list, dict, set, deque, random.Random, np.ndarray, Value)
#: Parts of this package whose objects are walked like objects of users' classes.
_OWN = ("microgrud.nn", "microgrud.optim", "microgrud.train", "microgrud.losses")


def pack(numbers: Any, kind: str = "<f8") -> str:
    """Return numbers as base64 of their bytes, little-endian.

    >>> pack([1.0]), np.frombuffer(base64.b64decode(pack([1.0])), "<f8").tolist()
    ('AAAAAAAA8D8=', [1.0])
    """
    return base64.b64encode(np.ascontiguousarray(numbers, dtype=kind).tobytes()).decode("ascii")


def item_path(path: str, kind: str, key: Any) -> str:
    """Return the path of the item that an object of this kind holds under this key."""
    return f"{path}.{key}".lstrip(".") if kind == "object" else f"{path}[{key}]"


class Attributes:
    """A walk over the state of objects, made at the start of a run and at every save.

    Args:
        roots: the objects, by their names in paths.
        parameters: Values that are saved elsewhere; nodes refer to them by index.

    Attributes:
        nodes: the result of the last walk, by path; `objects` holds the objects that the nodes describe, by path.

    >>> counter = types.SimpleNamespace(calls=3, scales=[0.5, 0.25])
    >>> Attributes({"model": counter}, []).read()["model"]
    {'is': ['object', 'SimpleNamespace'], 'items': {'calls': 3, 'scales': {'at': 'model.scales'}}}
    """

    def __init__(self, roots: Mapping[str, Any], parameters: Sequence[Value]) -> None:
        self.roots, self.parameters = types.SimpleNamespace(**roots), parameters
        self._index = {id(p): i for i, p in enumerate(parameters)}
        self._slots: dict[type, list[str] | None] = {}
        self._at_start: dict[Any, tuple[Any, Any]] | None = None  # the named objects, each with a mark

    def read(self) -> dict[str, Any]:
        """Return the present state: nodes by path.

        Raises:
            TypeError: for what a file cannot hold: an iterator, or an object, function or result of an operation made
                or changed since the first walk; the message names it.
        """
        self.nodes: dict[str, Any] = {}
        self.objects: dict[str, Any] = {}
        self._paths: dict[int, str] = {}
        self._seen: dict[Any, tuple[Any, Any]] = {}  # holds the objects, so that no other object gets their ids
        self._waiting: deque[tuple[str, Any, list[Any]]] = deque()
        self._at(self.roots, "", ["object", "SimpleNamespace"])
        while self._waiting:
            path, x, structure = self._waiting.popleft()
            self.nodes[path] = self._node(path, x, structure)
        if self._at_start is None:
            self._at_start = self._seen
        return self.nodes

    def contents(self, x: Any) -> dict[Any, Any]:
        """Return the items of an object, by attribute, position or the key as JSON."""
        kind = type(x)
        if kind is dict:
            return {json.dumps(self._child(key, "")): item for key, item in x.items()}
        if kind in (list, deque, set):
            return dict(enumerate(sorted(x, key=lambda each: repr(self._child(each, ""))) if kind is set else x))
        if kind in PARTS:
            return {name: getattr(x, name) for name in PARTS[kind]}
        found = {**getattr(x, "__dict__", {}), **{n: getattr(x, n) for n in self.slots(kind) or () if hasattr(x, n)}}
        if hasattr(kind, "train"):
            found.pop("training", None)  # `fit` sets it
            found.pop("_predictor", None)  # only for speed
        return found

    def slots(self, kind: type) -> list[str] | None:
        """Return the names in `__slots__` of a class; None if its objects may keep state outside of attributes."""
        if kind not in self._slots:
            mro = kind.__mro__
            members = [pair for each in mro if "__slots__" in vars(each) for pair in vars(each).items()]
            names = [name for name, x in members if isinstance(x, types.MemberDescriptorType)]
            self._slots[kind] = names if all(map(_keeps_state_in_attributes, mro)) else None
        return self._slots[kind]

    def _at(self, x: Any, path: str, structure: list[Any]) -> dict[str, Any]:
        """Return a reference to an object; it gets this path if it has none yet."""
        if id(x) not in self._paths:
            while path in self.objects:
                path += "'"
            self._paths[id(x)], self.objects[path] = path, x
            self._waiting.append((path, x, structure))
        return {"at": self._paths[id(x)]}

    def _child(self, x: Any, path: str) -> Any:
        """Return the entry for an object in the node of its holder."""
        kind = type(x)
        if kind in _PLAIN:
            return x
        if id(x) in self._paths:
            return {"at": self._paths[id(x)]}
        if id(x) in self._index:
            return {"parameter": self._index[id(x)]}
        if kind is tuple:
            return {"tuple": [self._child(item, f"{path}[{i}]") for i, item in enumerate(x)]}
        if isinstance(x, np.generic) and x.dtype.kind in "biufc":
            return {"scalar": [x.dtype.str, pack(x, x.dtype.str)]}
        if isinstance(x, _NAMED):
            return self._by_name(x, path, _identifying_name(x), _identifying_name(x), None)
        if isinstance(x, Value) and not x.is_leaf:
            name = f"result {x.data!r} of the operation {x._op}"
            return self._by_name(x, path, name, id(x), name)
        if id(x) in self._seen:
            return {"name": kind.__qualname__}
        structure = self._structure(x)
        return self._opaque(x, path) if structure is None else self._at(x, path, structure)

    def _structure(self, x: Any) -> list[Any] | None:
        """Return the structure that a saved state must share with the object; None if no file can hold its state."""
        kind, name = type(x), type(x).__qualname__
        if kind in (list, random.Random, Value) or (kind in (dict, set) and all(map(self._is_key, x))):
            return [name]
        if kind is deque:
            return [name, x.maxlen]
        if kind is np.ndarray and x.dtype.kind in "biufc":
            return [name, x.dtype.newbyteorder("<").str, list(x.shape)]
        if kind in (np.random.Generator, np.random.RandomState):
            return [name, _state(x)["bit_generator"]]
        if kind in PARTS:
            return ["object", getattr(x, "__qualname__", name)]
        return None if self.slots(kind) is None else ["object", name]

    def _is_key(self, x: Any) -> bool:
        inside = type(x) is tuple and all(map(self._is_key, x))
        return inside or type(x) in _PLAIN or id(x) in self._index

    def _node(self, path: str, x: Any, structure: list[Any]) -> dict[str, Any]:
        kind = structure[0]
        if kind in ("object", "dict"):
            if kind == "object":
                self._by_name(x, path, structure[1], (path,), structure)
            held: Any = {key: self._child(item, item_path(path, kind, key)) for key, item in self.contents(x).items()}
        elif kind in ("list", "deque", "set"):
            held = list(self.contents(x).values())
            numbers = list(map(self._index.get, map(id, held)))
            if held and None not in numbers:  # such as a neuron's weights
                held = {"parameters": numbers}
            elif not set(map(type, held)) <= _PLAIN:
                held = [self._child(item, f"{path}[{i}]") for i, item in enumerate(held)]
        else:
            return {"is": structure, "data": pack(x, structure[1]) if kind == "ndarray" else _state(x)}
        return {"is": structure, "items": held}

    def _opaque(self, x: Any, path: str) -> dict[str, Any]:
        name = type(x).__qualname__
        digest: bytes | None = None
        try:
            digest = hashlib.sha256(pickle.dumps(x)).digest()  # to compare in this process; nothing is ever unpickled
        except Exception as error:
            if isinstance(x, _CHANGING) and not hasattr(x, "fileno"):
                kind = "an iterator" if isinstance(x, Iterator) else "an object"
                raise TypeError(
                    f"{path}: expected state that a file can hold, got {kind} ({name}), whose position or contents it "
                    "cannot hold; keep them as numbers, or in a list, a dict or an array"
                ) from error
        return self._by_name(x, path, name, id(x), digest)

    def _by_name(self, x: Any, path: str, name: str, key: Any, mark: Any) -> dict[str, Any]:
        """Return an entry with only a name; raise if the object was not there at the start with this mark."""
        self._seen[key] = x, mark
        if self._at_start is not None and self._at_start.get(key, (None, False))[1] != mark:
            raise TypeError(
                f"{path}: expected state that a file can hold, got one made or changed during the run ({name}); keep "
                "changing state in numbers, strings, lists, dicts, arrays or generators of random numbers (for a "
                "Value, its .data or .detach()), and make other objects before calling fit"
            )
        return {"name": name}


def _keeps_state_in_attributes(each: type) -> bool:
    """Return whether a class keeps state only in attributes: users' classes do, and classes without any state."""
    own = str(each.__module__).startswith(_OWN) or not of_library(each, "microgrud")
    return own or each in (object, types.SimpleNamespace) or vars(each).get("__slots__") == ()


def _identifying_name(x: Any) -> str:
    """Return a name that identifies a function, class, module or constant; that of a lambda includes its constants."""
    if isinstance(x, types.FunctionType) and x.__name__ == "<lambda>":
        code = x.__code__
        return " ".join(["<lambda>", *code.co_names, *(repr(c) for c in code.co_consts if type(c) in (int, float))])
    return str(getattr(x, "__qualname__", None) or getattr(x, "__name__", None) or repr(x))


def _state(x: Any) -> Any:
    """Return the state of a Value or of a generator of random numbers."""
    if isinstance(x, Value):
        return [x.data, x.grad]
    if isinstance(x, random.Random):
        version, words, gauss = x.getstate()
        return [version, pack(words, "<u4"), gauss]
    return plain(x.get_state(legacy=False) if isinstance(x, np.random.RandomState) else x.bit_generator.state)
