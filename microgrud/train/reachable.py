"""Everything that the code of a model and a loss can reach, if it is on the list of what can be recorded.

On the list are models and losses of this package, and plain functions and Modules whose code (see `usage`) uses
arguments, constants, arithmetic, functions of this package and of `math`, Values, modules of its own, and numbers,
alone or in lists, tuples, arrays and dicts with names as keys.
"""

from __future__ import annotations

import abc
import builtins
import dataclasses
import functools
import inspect
import math
import types
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from .. import activations, functions, losses, special
from ..autodiff import gradients, transforms
from ..engine import Value, integers
from ..nn import activations as nn_activations
from ..nn.contents import of_library
from ..nn.module import Module
from .usage import UnlistedError, Usage, usage_of

_NUMBERS = frozenset([float, int, bool, str, type(None), np.float64])
#: Maximum number of numbers to compare before each step: a comparison takes 25 ns.
_MOST_NUMBERS = 10_000
#: The types of functions, on either engine.
_FUNCTIONS = (types.FunctionType, type(functions.tanh))
#: Functions of this package that return the same for the same numbers, and change nothing.
_PURE = frozenset(
    f
    for module in (functions, special, activations, losses, transforms, gradients, nn_activations, integers)
    for f in vars(module).values()
    if isinstance(f, _FUNCTIONS) and f"{f.__module__}.".startswith(f"{module.__name__}.")
)
_BUILTINS: frozenset[Any] = frozenset(
    {abs, all, any, bool, divmod, enumerate, filter, float, int, len, list, map, max, min, pow, range, reversed}
    | {round, sorted, sum, super, tuple, zip}
)
#: Attributes of Values, lists, tuples and dicts. A change of a list from outside is found when it is compared.
_ATTRIBUTES = frozenset(["append", "extend", "insert", "pop", "reverse", "sort", "clear", "copy", "index", "count"]) | {
    *("items", "keys", "values", "get", "detach"),
    *(name for name in (*vars(functions), *vars(special)) if not name.startswith("_") and name in dir(Value)),
}
#: Names of attributes that a Value has: they are not on the list, since the object may be a Value.
_OF_VALUES = frozenset(name for name in dir(Value) if not name.startswith("__"))
#: Methods of Module that depend on all attributes of a module.
_OF_PARAMETERS = frozenset(["parameters", "named_parameters", "children"])
#: Methods of Module that plain code may call: `predict` itself refuses to be recorded, and a class may have its own.
_UNREFUSED = _OF_PARAMETERS | {"predict"}
#: Methods that no plain code calls; Python itself calls the other methods with two underscores.
_UNCALLED = frozenset(["__init__", "__new__", "__post_init__", "__del__", "__repr__", "__str__", "__format__"]) | {
    *("__dict__", "__weakref__", "__subclasshook__", "__hash__", "__annotate_func__"),
    *("__init_subclass__", "__class_getitem__", "__setattr__", "__delattr__", "__reduce__", "__reduce_ex__"),
    *("__getstate__", "__setstate__", "__copy__", "__deepcopy__", "__dir__", "__sizeof__", "__annotate__"),
    "__replace__",
}
_COMPARISONS = ("__eq__", "__lt__", "__le__", "__gt__", "__ge__")
_ABSENT = object()


class Reachable:
    """Everything that functions and objects can reach, in its present state.

    Attributes:
        signature: the state that a recording depends on, by name: numbers by type and text, everything else by id.
        objects, functions, partials, containers, arrays: the reached objects of each kind; all but functions and
            partial functions with their names. Among the containers are the attributes of objects and functions.
        classes: the classes of the objects, and others whose attributes are used.
        variables: modules' dicts, and the name that is looked up in each of them.

    Raises:
        UnlistedError: if something that is used is not on the list.
    """

    def __init__(self, roots: Mapping[str, Any], usages: dict[types.CodeType, Usage]) -> None:
        self.signature: dict[str, Any] = {}
        self.objects: list[tuple[str, Any]] = []
        self.functions: list[types.FunctionType] = []
        self.partials: list[functools.partial[Any]] = []
        self.containers: list[tuple[str, Any]] = []
        self.arrays: list[tuple[str, Any]] = []
        self.classes: list[type] = []
        self.variables: tuple[list[dict[str, Any]], list[str]] = ([], [])
        self._usages = usages
        self._kept: dict[int, Any] = {}  # keeps each object alive, so that no other gets its id
        self._attributes: dict[str, str] = {}  # the names of attributes, each with the function that uses it
        self._packaged: set[type] = set()  # classes of this package
        self._names: dict[tuple[type, tuple[str, ...]], dict[str, str]] = {}  # names that methods use
        for name, x in roots.items():
            self._visit(name, x)
        self._visit_attributes()
        for kind in Value.__mro__[:-1]:
            self._visit_class(kind)
            self.signature.update((f"{kind.__qualname__}.{key}", id(item)) for key, item in vars(kind).items())

    def _visit(self, name: str, x: Any) -> None:
        kind = type(x)
        while name in self.signature and self.signature[name] != id(x):  # hidden by the object's own attribute
            name += " of its class"
        if kind in _NUMBERS:
            self.signature[name] = kind, repr(x)
            if len(self.signature) - len(self._kept) > _MOST_NUMBERS:
                raise UnlistedError(f"it reaches more than {_MOST_NUMBERS:,} numbers, such as {name}")
            return
        self.signature[name] = id(x)
        if id(x) in self._kept:
            return
        self._kept[id(x)] = x
        if kind is Value:
            if not x.is_leaf:
                raise UnlistedError(f"it uses {name} (a Value that was computed from others before the call)")
        elif kind in (list, tuple) or (kind is dict and all(type(key) is str for key in x)):
            self.containers.append((name, x))
            for key, item in x.items() if kind is dict else enumerate(x):
                self._visit(f"{name}[{key!r}]", item)
        elif kind is np.ndarray and x.dtype == np.float64:
            self.arrays.append((name, x))
            self.signature[name] = content_of(x)
        elif kind is types.MethodType:
            self._visit(f"{name}.__self__", x.__self__)
            self._visit(f"{name}.__func__", x.__func__)
        elif kind is functools.partial and not vars(x):
            self.partials.append(x)
            self.containers.append((f"the attributes of {name}", vars(x)))
            for key in ("func", "args", "keywords"):
                self._visit(f"{name}.{key}", getattr(x, key))
        elif _is_pure(x):
            if kind is types.FunctionType:
                self.signature[f"{name}.__code__"] = id(x.__code__)
                self.functions.append(x)
        elif kind is types.FunctionType:
            self._visit_function(name, x)
        elif isinstance(x, (Module, nn_activations.Activation)) or not (
            isinstance(x, (type, types.ModuleType)) or of_library(kind, "microgrud")
        ):
            self._visit_object(name, x)
        else:
            raise UnlistedError(f"it uses {name} ({_describe(x)})")

    def _visit_function(self, name: str, f: types.FunctionType) -> None:
        if str(f.__globals__.get("__name__")).startswith("microgrud."):
            raise UnlistedError(f"it uses {name} ({_describe(f)})")
        if vars(f).keys() - {"__wrapped__", "__isabstractmethod__"}:
            raise UnlistedError(f"it uses {name} (a function with attributes)")
        self.signature[f"{name}.__code__"] = id(f.__code__)
        self.containers.append((f"the attributes of {name}", vars(f)))
        self.functions.append(f)
        if f.__code__ not in self._usages:
            try:
                self._usages[f.__code__] = usage_of(f.__code__)
            except UnlistedError as reason:
                raise UnlistedError(f"the code of {name} ({f.__qualname__}) in {reason}") from None
        usage = self._usages[f.__code__]
        self._attributes.update(dict.fromkeys(usage.attributes, name))
        for path in usage.globals:
            builtin: dict[str, Any] = cast(Any, f).__builtins__
            self._watch(f.__globals__, path[0])
            self._watch(builtin, path[0])
            shared = f.__globals__ if path[0] in f.__globals__ else builtin
            self._follow(name, path, shared.get(path[0], _ABSENT))
        cells = dict(zip(f.__code__.co_freevars, f.__closure__ or ()))
        for path in usage.free:
            if path[0] == "__class__":
                self._attributes.update(dict.fromkeys(path[1:], name))
                continue
            try:
                x = cells[path[0]].cell_contents
            except ValueError:  # not assigned yet
                x = _ABSENT
            self._follow(name, path, x)
        for key, parameter in inspect.signature(f, follow_wrapped=False).parameters.items():
            if parameter.default is not parameter.empty:
                self._visit(f"{name}: {key}", parameter.default)

    def _follow(self, name: str, path: tuple[str, ...], x: Any) -> None:
        """Visit a variable, or the attribute of a module that follows its name."""
        for i, key in enumerate(path[1:], 1):
            if type(x) is types.ModuleType:
                if key not in vars(x) and not x.__name__.startswith("microgrud"):
                    raise UnlistedError(f"it uses {name}: {path[0]} ({_describe(x)})")
                self._watch(vars(x), key)
                x = getattr(x, key, _ABSENT)
            elif isinstance(x, type) and not of_library(x, "microgrud"):
                x = self._member_of(name, x, key)
            elif isinstance(x, (type, *_FUNCTIONS, types.ModuleType)):
                raise UnlistedError(f"it uses {name}: {'.'.join(path[: i + 1])}")
            else:
                self._attributes.update(dict.fromkeys(path[i:], name))
                path = path[:i]
                break
        if x is _ABSENT:
            raise UnlistedError(f"{name} uses {'.'.join(path)}, which is not defined")
        self._visit(f"{name}: {'.'.join(path)}", x)

    def _watch(self, variables: dict[str, Any], key: str) -> None:
        self.variables[0].append(variables)
        self.variables[1].append(key)

    def _visit_object(self, name: str, x: Any) -> None:
        for kind in _classes(x):
            if type(kind) not in (type, abc.ABCMeta):
                raise UnlistedError(f"{name} has a class of the metaclass {type(kind).__qualname__}")
            own = vars(kind)
            self._visit_class(kind)
            if kind.__module__.startswith("microgrud."):
                self._visit_class_of_package(kind)
                continue
            if of_library(kind) or {"__getattr__", "__getattribute__"} & own.keys():
                raise UnlistedError(f"{name} looks up its attributes or items by code of its own ({kind.__qualname__})")
            for key, member in own.items():
                if key.startswith("__") and key not in _UNCALLED and (callable(member) or hasattr(member, "__get__")):
                    self._visit_special(name, x, key, member)
        self.containers.append((f"the attributes of {name}", _attributes_of(x)))
        self.objects.append((name, x))

    def _visit_special(self, name: str, x: Any, key: str, member: Any) -> None:
        """Visit a method that Python itself calls; a generated comparison of a dataclass reads its fields."""
        if key in _COMPARISONS and dataclasses.is_dataclass(x) and _is_generated(x.__class__, key, member):
            for field in dataclasses.fields(x):
                self._visit_attribute(name, x, field.name)
        else:
            self._visit(f"{name}.{key}", member)

    def _member_of(self, name: str, kind: type, key: str) -> Any:
        """Return the attribute of a class that has no metaclass."""
        if type(kind) not in (type, abc.ABCMeta):
            raise UnlistedError(f"it uses {name}: {kind.__qualname__} (a class of a metaclass)")
        for each in kind.__mro__:
            self._visit_class(each)
        member = next((vars(each)[key] for each in kind.__mro__ if key in vars(each)), _ABSENT)
        if isinstance(member, (staticmethod, classmethod)):
            return member.__func__
        if hasattr(member, "__get__") and not isinstance(member, types.FunctionType):
            raise UnlistedError(f"it uses {name}: {kind.__qualname__}.{key} ({_describe(member)})")
        return member

    def _visit_class(self, kind: type) -> None:
        if kind not in self.classes:
            self.classes.append(kind)

    def _visit_class_of_package(self, kind: type) -> None:
        """Visit the methods by which users have replaced those of a class of this package."""
        if kind in self._packaged:
            return
        self._packaged.add(kind)
        for key, member in vars(kind).items():
            self.signature[f"{kind.__qualname__}.{key}"] = id(member)
            replaced = isinstance(member, types.FunctionType) and member.__globals__["__name__"] != kind.__module__
            if callable(member) and not isinstance(member, (type, types.FunctionType, staticmethod, classmethod)):
                raise UnlistedError(f"it uses {kind.__qualname__}.{key} ({_describe(member)})")
            if replaced and key not in _UNCALLED:
                self._visit(f"{kind.__qualname__}.{key}", member)

    def _visit_attributes(self) -> None:
        """Visit each attribute of each object whose name is used anywhere; raise for names that no object has."""
        found: set[str] = set()
        done: set[tuple[int, str]] = set()
        while pending := [
            (name, x, key)
            for name, x in self.objects
            for key in {**self._attributes, **self._used_by_package(x)}
            if (id(x), key) not in done
        ]:
            for name, x, key in pending:
                done.add((id(x), key))
                if self._visit_attribute(name, x, key):
                    found.add(key)
        for key, name in self._attributes.items():
            special = key.startswith("__")
            if not special and key not in _ATTRIBUTES and (key not in found or key in _OF_VALUES):
                raise UnlistedError(f"the code of {name} uses the attribute .{key}")

    def _used_by_package(self, x: Any) -> dict[str, str]:
        """Return the names of the attributes of an object that methods of this package use."""
        kinds = [kind for kind in _classes(x) if kind in self._packaged]
        first = ("__call__", *sorted(_OF_PARAMETERS & self._attributes.keys()))
        if (type(x), first) not in self._names:
            self._names[type(x), first] = _names_used(kinds, first)
        names = self._names[type(x), first]
        if kinds and not _OF_PARAMETERS.isdisjoint(self._attributes):  # they depend on all attributes but methods
            shared = {key: x for kind in _classes(x) if kind not in kinds for key, x in vars(kind).items()}
            data = {key for key, item in shared.items() if not (key.startswith("__") or hasattr(item, "__get__"))}
            names = {**names, **dict.fromkeys([*_attributes_of(x), *data], "")}
            self.signature[f"the order of parameters {id(x)}"] = tuple(_attributes_of(x))
        return names

    def _visit_attribute(self, name: str, x: Any, key: str) -> bool:
        """Visit an attribute of an object and of its classes; return whether any of them has it."""
        found = False
        own = _attributes_of(x)
        if key in own:
            self._visit(f"{name}.{key}", own[key])
            found = True
        for kind in _classes(x):
            if key not in vars(kind):
                continue
            found = True
            member = vars(kind)[key]
            self.signature[f"{kind.__qualname__}.{key} of {name}"] = type(member)
            if isinstance(member, (staticmethod, classmethod)):
                member = member.__func__
            elif type(member) is property:
                member = member.fget
            if kind not in self._packaged or not isinstance(member, types.FunctionType):
                self._visit(f"{name}.{key}", member)
            elif key in self._attributes and key not in _UNREFUSED and not key.startswith("__"):
                raise UnlistedError(f"the code of {self._attributes[key]} uses {name}.{key}")
        return found


@functools.lru_cache(maxsize=256)
def _is_generated(kind: Any, key: str, member: Any) -> bool:
    """Return whether the comparison of a dataclass is the one that `dataclasses` generates."""
    compared = [field.name for field in dataclasses.fields(kind) if field.compare]
    code, own = vars(dataclasses.make_dataclass("_", compared, order=True))[key].__code__, member.__code__
    return [code.co_code, code.co_names, code.co_consts] == [own.co_code, own.co_names, own.co_consts]


def _names_used(kinds: list[type], methods: tuple[str, ...]) -> dict[str, str]:
    """Return the names that methods of some classes use, directly or through the methods that they call."""
    names = dict.fromkeys(methods, "")
    waiting = list(methods) if kinds else []
    while waiting:
        key = waiting.pop()
        for method in [vars(kind).get(key) for kind in kinds]:
            if isinstance(method, types.FunctionType):
                waiting.extend(name for name in method.__code__.co_names if name not in names)
                names.update(dict.fromkeys(method.__code__.co_names, ""))
    return names


def content_of(array: Any) -> tuple[Any, ...]:
    """Return everything about an array that can change."""
    return array.shape, array.dtype.str, array.tobytes()


def _is_pure(x: Any) -> bool:
    """Return whether an object is a function on the list, or the class Value."""
    if isinstance(x, type):
        return x is Value or x in _BUILTINS or (issubclass(x, Exception) and getattr(builtins, x.__name__, None) is x)
    if isinstance(x, types.BuiltinFunctionType):
        return x in _BUILTINS or x.__self__ is math
    return isinstance(x, _FUNCTIONS) and x in _PURE


def _describe(x: Any) -> str:
    if isinstance(x, types.ModuleType):
        return f"the module {x.__name__}"
    if isinstance(x, types.FunctionType):  # its `__name__` may be that of a function that it wraps
        return f"{x.__globals__.get('__name__')}.{x.__code__.co_name}"
    name, module = getattr(x, "__qualname__", None), getattr(x, "__module__", None)
    if name is None:
        return f"an object of type {type(x).__qualname__}"
    return f"{module}.{name}" if module else str(name)


def _attributes_of(x: Any) -> dict[str, Any]:
    return vars(x) if hasattr(x, "__dict__") else {}


def _classes(x: Any) -> list[type]:
    return [kind for kind in type(x).__mro__ if kind is not object and kind.__module__ not in ("abc", "typing")]
