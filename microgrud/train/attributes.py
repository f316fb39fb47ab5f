"""The state that objects keep in their attributes, as flat entries that JSON can hold.

`Attributes` walks from a few roots (model, loss, optimizer, ...) over attributes, containers, closures and the
attributes of users' classes, and writes each object that can change as one entry, a node, by its path:

    "model":            {"object": "Net", "items": {"calls": 3, "scales": {"at": "model.scales"}}, "classes": [...]}
    "model.scales":     {"list": "list", "items": [0.5, 0.25]}

The first key of a node is the kind of the object and its value the name of the class. A reference `{"at": path}` keeps
shared objects shared. `restoring.py` is the way back.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import io
import pickle
import random
import types
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..engine import Value
from ..nn.contents import of_library
from ..tape.compiled import Compiled

__all__ = ["GLOBAL", "MISSING", "PART", "Attributes", "Node", "head", "name_of", "pack", "structure"]

Node: TypeAlias = dict[str, Any]

#: Stands for an object that has a node of its own.
PART = object()
#: Before the names of a function's module that it reads.
GLOBAL = "global "
#: Stands for an attribute or an item that is not there.
MISSING = object()

_PLAIN = (type(None), bool, int, float, str)
_CONTAINERS = (list, tuple, set, frozenset, deque, dict)
#: Kinds of objects that may have attributes beside what they hold, where the class is a user's.
_BARE = (*(kind.__name__ for kind in _CONTAINERS), "random", "value")
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodWrapperType, np.ufunc)
_METHODS = (types.BuiltinFunctionType, types.MethodWrapperType, types.MethodType)
_NAMESPACES = (types.SimpleNamespace, UserList, UserDict, ChainMap)
#: Parts of this package whose objects are walked as users' are.
_OWN = ("microgrud.nn", "microgrud.optim", "microgrud.train", "microgrud.losses")
#: Lists of at least so many floats are packed: 30,000 of them take 0.7 ms, and 39 ms as decimals.
_LONG = 16


def pack(numbers: Any, kind: str = "<f8") -> str:
    """Return numbers as base64 of their bytes, little-endian.

    >>> pack([1.0]), np.frombuffer(base64.b64decode(pack([1.0])), "<f8").tolist()
    ('AAAAAAAA8D8=', [1.0])
    """
    return base64.b64encode(np.ascontiguousarray(numbers, dtype=kind).tobytes()).decode("ascii")


def head(node: Node) -> tuple[str, str]:
    """Return the kind of a node and the name of the class."""
    return next(iter(node.items()))


def structure(node: Node) -> tuple[Any, ...]:
    """Return what of a node must agree for an object to be restored in place."""
    return (*head(node), node.get("dtype"), node.get("shape"), node.get("maxlen"), node.get("bits"))


class Attributes:
    """A walk over the state that objects keep, to be taken at the start of a run and whenever it is saved.

    Args:
        roots: the objects, by what they are called in paths.
        parameters: Values that are saved elsewhere, and here referred to by their number.

    >>> counter = types.SimpleNamespace(calls=3, scales=[0.5, 0.25])
    >>> for path, node in Attributes({"model": counter}, []).read().items():
    ...     print(path, node)
    model {'object': 'SimpleNamespace', 'items': {'calls': 3, 'scales': {'at': 'model.scales'}}}
    model.scales {'list': 'list', 'items': [0.5, 0.25]}
    """

    def __init__(self, roots: Mapping[str, Any], parameters: Sequence[Value]) -> None:
        self.roots: dict[str, Any] = {}
        for name, root in roots.items():
            if not any(root is other for other in self.roots.values()):
                self.roots[name] = root
        self.parameters = parameters
        self._index = {id(p): i for i, p in enumerate(parameters)}
        self._paths: dict[int, tuple[str, Any]] = {}
        self._taken: set[str] = set()
        self._classes: dict[type, _Class] = {}
        self._names: dict[types.CodeType, list[str]] = {}
        self._waiting: deque[tuple[str, Any]] = deque()
        # By id, as they were at the first walk: objects of unknown classes with a digest, and results of operations.
        self._seen: dict[int, tuple[Any, bytes | None]] = {}
        self._at_start: dict[int, tuple[Any, bytes | None]] | None = None

    def read(self) -> dict[str, Node]:
        """Return the present state, a node by path.

        Raises:
            TypeError: for what a file cannot hold: an iterator, and an object of an unknown class that was made or
                changed since the first walk; the message names it.
        """
        self._paths, self._taken, self._seen = {}, set(), {}
        nodes = {}
        for name, root in self.roots.items():
            self._found(root, name)
        while self._waiting:
            path, x = self._waiting.popleft()
            nodes[path] = self._node(path, x)
        if self._at_start is None:
            self._at_start = self._seen
        return nodes

    def inline(self, x: Any) -> Any:
        """Return what cannot change in place, as it stands in the node that holds it; `PART` for anything else."""
        kind = type(x)
        if kind in _PLAIN:
            return x
        if isinstance(x, Value):
            number = self._index.get(id(x))
            return PART if number is None else {"parameter": number}
        if kind is bytes:
            return {"bytes": base64.b64encode(x).decode("ascii")}
        if kind is complex:
            return {"complex": [x.real, x.imag]}
        if isinstance(x, np.generic):
            return {"scalar": x.dtype.str, "data": pack(x, x.dtype.str)}
        if kind is tuple:
            items = [self.inline(item) for item in x]
            return PART if any(item is PART for item in items) else {"tuple": items}
        if isinstance(x, (type, types.ModuleType, enum.Enum)) or _is_fixed_function(x):
            return {"name": name_of(x)}
        return PART

    def is_parameter(self, x: Any) -> bool:
        """Tell whether this is one of the Values that are saved elsewhere."""
        return id(x) in self._index

    def contents(self, x: Any, kind: str) -> dict[Any, Any]:
        """Return what an object holds, by attribute, key or position."""
        if kind == "object":
            return dict(self._attributes(x))
        if kind == "dict":
            return dict(x.items())
        if kind == "class":
            return dict(_of_class(x))
        if kind == "function":
            return {} if of_library(x, "microgrud") else dict(self._of_function(x))
        if kind == "fixed":
            return dict(_fixed(x))
        return dict(enumerate(self._listed(x, kind)))

    def kind_of(self, x: Any) -> tuple[str, str]:
        """Return the kind of an object that has a node, and the name of its class.

        >>> attributes = Attributes({}, [])
        >>> attributes.kind_of([]), attributes.kind_of(random.Random(0)), attributes.kind_of(io.StringIO())
        (('list', 'list'), ('random', 'Random'), ('foreign', 'StringIO'))
        """
        kind = type(x)
        name = kind.__qualname__
        if isinstance(x, Value):
            return "value" if x.is_leaf else "node", name
        if isinstance(x, type):
            return "class", x.__qualname__
        for container in _CONTAINERS:
            if isinstance(x, container):
                # The order in a set says nothing, so that its items cannot be told apart by it.
                by_order = container in (set, frozenset) and any(self.inline(item) is PART for item in x)
                return "foreign" if by_order else container.__name__, name
        if kind is np.ndarray and x.dtype.kind in "biufcmMSUO":
            return "objects" if x.dtype == object else "array", name
        if isinstance(x, random.Random) and not isinstance(x, random.SystemRandom):
            return "random", name
        if isinstance(x, (np.random.Generator, np.random.RandomState, np.random.BitGenerator)):
            return "generator", name
        if isinstance(x, types.FunctionType):
            return "function", name_of(x)
        if isinstance(x, (partial, Compiled, *_METHODS)):
            return "fixed", name
        return "object" if self.class_of(x).walked else "foreign", name

    def class_of(self, x: Any) -> _Class:
        """Return what there is to know about the class of an object."""
        found = self._classes.get(type(x))
        if found is None:
            found = self._classes[type(x)] = _read_class(type(x))
        return found

    # --- one object ---

    def _found(self, x: Any, path: str) -> str:
        """Return the path of an object, which is this one if it has none so far."""
        known = self._paths.get(id(x))
        if known is None:
            while path in self._taken:
                path += "'"
            self._taken.add(path)
            known = self._paths[id(x)] = path, x
            self._waiting.append(known)
        return known[0]

    def _child(self, x: Any, path: str) -> Any:
        inline = self.inline(x)
        return {"at": self._found(x, path)} if inline is PART else inline

    def _node(self, path: str, x: Any) -> Node:
        kind, name = self.kind_of(x)
        node: Node = {kind: name}
        if kind in ("object", "class", "function", "fixed"):
            contents = self.contents(x, kind)
            node["items"] = {key: self._child(item, f"{path}.{key}") for key, item in contents.items()}
            if kind == "object" and (classes := self.class_of(x).users):
                node["classes"] = [self._found(each, f"class {each.__qualname__}") for each in classes]
        elif kind == "dict":
            node["items"] = [self._entry(path, i, key, item) for i, (key, item) in enumerate(x.items())]
        elif kind in ("list", "tuple", "deque", "set", "frozenset", "objects"):
            node["items"] = self._sequence(path, self._listed(x, kind))
            if kind == "deque":
                node["maxlen"] = x.maxlen
            elif kind == "objects":
                node["shape"] = list(x.shape)
        elif kind == "array":
            dtype = x.dtype.newbyteorder("<").str
            node.update(dtype=dtype, shape=list(x.shape), data=pack(x, dtype))
        elif kind == "random":
            version, words, gauss = x.getstate()
            node["state"] = [version, pack(words, "<u4"), gauss]
        elif kind == "generator":
            node.update(_generator_state(x))
        elif kind in ("value", "node"):
            node.update(data=x.data, grad=x.grad)
            if kind == "node":
                self._seen[id(x)] = x, None
                node.update(op=x._op, kept=self._at_start is None or id(x) in self._at_start)
        else:
            self._check_foreign(path, x, name)
        if kind in _BARE and type(x) not in (*_CONTAINERS, random.Random) and getattr(x, "__dict__", None):
            node["attributes"] = {"at": self._found(x.__dict__, f"{path}.__dict__")}
        return node

    def _entry(self, path: str, position: int, key: Any, item: Any) -> list[Any]:
        place = f"{path}[{key!r}]" if type(key) in _PLAIN else f"{path}[#{position}]"
        return [self._child(key, f"{place}.key"), self._child(item, place)]

    def _sequence(self, path: str, items: list[Any]) -> Any:
        if len(items) >= _LONG and set(map(type, items)) == {float}:
            return {"floats": pack(items)}
        numbers = list(map(self._index.get, map(id, items)))
        if items and None not in numbers:  # as of a neuron's weights
            return {"parameters": numbers}
        return [self._child(item, f"{path}[{i}]") for i, item in enumerate(items)]

    def _listed(self, x: Any, kind: str) -> list[Any]:
        if kind in ("set", "frozenset"):
            return sorted(x, key=lambda item: repr(self.inline(item)))
        return x.ravel().tolist() if kind == "objects" else list(x)

    def _attributes(self, x: Any) -> Iterator[tuple[str, Any]]:
        own, known = getattr(x, "__dict__", {}), self.class_of(x)
        yield from ((name, item) for name, item in own.items() if name != known.hidden)
        for name in known.slots:
            item = getattr(x, name, MISSING)
            if item is not MISSING:
                yield name, item

    def _of_function(self, function: types.FunctionType) -> Iterator[tuple[str, Any]]:
        """Yield the variables that a function closes over, its attributes, and what it reads of its module's data."""
        for name, cell in cells_of(function).items():
            yield from ((name, contents) for contents in _contents_of(cell))
        yield from vars(function).items()
        if function.__code__ not in self._names:
            self._names[function.__code__] = _names_in(function.__code__)
        for name in self._names[function.__code__]:
            item = function.__globals__.get(name, MISSING)
            if not (item is MISSING or isinstance(item, (types.ModuleType, type)) or _is_fixed_function(item)):
                yield GLOBAL + name, item

    def _check_foreign(self, path: str, x: Any, name: str) -> None:
        """Raise if an object of a class that is not known here was made or changed since the start, or may have."""
        digest: bytes | None = None
        try:
            digest = hashlib.sha256(pickle.dumps(x)).digest()  # to compare, in this process; nothing is ever unpickled
        except Exception as error:
            if isinstance(x, Iterator) and not isinstance(x, io.IOBase):
                raise TypeError(
                    f"{path}: expected state that a file can hold, got an iterator ({name}), whose position it cannot "
                    "hold; keep the position as a number"
                ) from error
        self._seen[id(x)] = x, digest
        if self._at_start is not None and self._at_start.get(id(x), (None, MISSING))[1] != digest:
            raise TypeError(
                f"{path}: expected state that a file can hold, got an object of type {name} that was made or changed "
                "during the run; keep what changes in numbers, strings, lists, dicts, arrays, generators of random "
                "numbers or objects of classes of your own that are there from the start"
            )


def name_of(x: Any) -> str:
    """Return what a function, class, module or member of an enumeration is told by; a lambda has what it mentions too.

    >>> name_of(lambda x: x.tanh() * 2)
    '<lambda> tanh 2'
    """
    if isinstance(x, enum.Enum):
        return str(x)
    if isinstance(x, types.FunctionType) and x.__name__ == "<lambda>":
        code = x.__code__
        return " ".join(["<lambda>", *code.co_names, *(repr(c) for c in code.co_consts if type(c) in (int, float))])
    return getattr(x, "__qualname__", None) or str(getattr(x, "__name__", type(x).__qualname__))


class _Class(NamedTuple):
    """What the walk knows about a class.

    Attributes:
        walked: whether all that its objects keep is in attributes that one may read and write.
        users: those in its order of resolution that no library defines: their attributes may change too.
        slots: the names in `__slots__`.
        hidden: an attribute that is no state.
    """

    walked: bool
    users: list[type]
    slots: list[str]
    hidden: str


def _read_class(kind: type) -> _Class:
    slotted = [vars(each) for each in kind.__mro__ if "__slots__" in vars(each)]
    slots = [name for each in slotted for name, x in each.items() if isinstance(x, types.MemberDescriptorType)]
    users = [each for each in kind.__mro__ if not of_library(each, "microgrud")]
    hidden = "training" if hasattr(kind, "train") else ""  # which `fit` sets itself
    return _Class(_is_walked(kind), users, [name for name in slots if name != "__dict__"], hidden)


def _is_walked(kind: type) -> bool:
    if kind in _NAMESPACES or str(kind.__module__).startswith(_OWN):
        return True
    inherited = [vars(each) for each in kind.__mro__ if each is not object and of_library(each)]
    inside = ("__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")  # as of a subclass of int or array
    return not of_library(kind, "microgrud") and not any(name in each for each in inherited for name in inside)


def cells_of(function: types.FunctionType) -> dict[str, types.CellType]:
    """Return the variables that a function closes over."""
    return dict(zip(function.__code__.co_freevars, function.__closure__ or ()))


def _contents_of(cell: types.CellType) -> list[Any]:
    """Return what is in a cell, in a list that is empty where it is not yet filled."""
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


def _generator_state(x: Any) -> Node:
    if isinstance(x, np.random.RandomState):
        state: Any = x.get_state(legacy=False)
    else:
        state = (x if isinstance(x, np.random.BitGenerator) else x.bit_generator).state
    return {"bits": state["bit_generator"], "state": _packed(state)}


def _packed(x: Any) -> Any:
    if isinstance(x, dict):
        return {key: _packed(item) for key, item in x.items()}
    if isinstance(x, np.ndarray):
        return {"dtype": x.dtype.str, "data": pack(x, x.dtype.str)}
    return x.item() if isinstance(x, np.generic) else x


def _is_fixed_function(x: Any) -> bool:
    """Tell whether this is a function of a library, and no method of an object: nothing about it changes."""
    if isinstance(x, types.FunctionType):
        return of_library(x, "microgrud")
    owner = getattr(x, "__self__", None)
    return isinstance(x, _FUNCTIONS) and (owner is None or isinstance(owner, (type, types.ModuleType)))


def _names_in(code: types.CodeType) -> list[str]:
    """Return the names of globals that a function and those inside it may read, and others of its attributes."""
    inner = [name for each in code.co_consts if isinstance(each, types.CodeType) for name in _names_in(each)]
    return sorted({*code.co_names, *inner})


def _of_class(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the data of a class, and the functions of its methods: these may keep state too."""
    for name, item in vars(cls).items():
        if not name.startswith("__") or name == "__call__":
            function = getattr(item, "__func__", getattr(item, "fget", item))
            if isinstance(function, types.FunctionType):
                if not of_library(function, "microgrud"):
                    yield name, function
            elif not callable(item) and not hasattr(type(item), "__get__"):
                yield name, item


def _fixed(x: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(x, partial):
        yield from (("func", x.func), ("args", x.args), ("keywords", x.keywords))
    elif isinstance(x, Compiled):  # its recordings change and are no state of the model
        yield "function", x.function
    else:
        yield from (("name", x.__name__), ("self", x.__self__))
