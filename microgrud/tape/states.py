"""The state of an object among the arguments of a compiled function, which a recording holds for.

A recording reads the present numbers of Values at every call, but keeps a number, a string or a list in an attribute as
it was. So the state of an object is part of the signature of a call: in another state the function is recorded again.
"""

from __future__ import annotations

import functools
import sys
import types
from array import array
from collections import deque
from collections.abc import Hashable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from ..engine import Value

_ATOMS = (str, bytes, bool, int, complex, type(None), type(...))
#: Objects without state that can be compared.
_OPAQUE = (Value, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


class Same:
    """A wrapper that is equal only to wrappers of the same object, which it keeps alive.

    >>> x = [1.0]
    >>> Same(x) == Same(x), Same(x) == Same([1.0])
    (True, False)
    """

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def state_of(x: Any, reached: tuple[int, ...] = ()) -> Hashable:
    """Return the state of an object as something hashable: numbers and strings by equality, Values by identity.

    Args:
        x: the object.
        reached: the ids of the objects that contain it, which it may refer back to.

    >>> class Settings:
    ...     scale = 1.0
    >>> settings = Settings()
    >>> before = state_of(settings)
    >>> settings.scale = 2.0
    >>> state_of(settings) == before
    False
    """
    if isinstance(x, (float, np.generic)):
        return type(x), x.hex() if isinstance(x, float) else x.tobytes()  # -0.0 is not 0.0, and NaN equals NaN
    if type(x) in _ATOMS:
        return type(x), x
    if isinstance(x, _OPAQUE) or not isinstance(type(x).__module__, str):  # such as functions of the C engine
        return Same(x)
    if id(x) in reached:
        return "reached", reached.index(id(x))
    inner = functools.partial(state_of, reached=(*reached, id(x)))
    if isinstance(x, Mapping):
        return type(x), tuple((inner(key), inner(item)) for key, item in x.items())
    if isinstance(x, Set):
        return type(x), frozenset(map(inner, x))
    if isinstance(x, np.ndarray):
        items = tuple(map(inner, x.ravel().tolist())) if x.dtype == object else x.tobytes()
        return np.ndarray, x.shape, x.dtype.str, items
    if isinstance(x, types.MethodType):
        return inner(x.__self__), Same(x.__func__)
    if isinstance(x, functools.partial):
        return inner(x.func), inner(x.args), inner(x.keywords)
    kinds = type(x).__mro__ if not isinstance(x, type) else x.__mro__
    members = {name: item for kind in reversed(kinds) for name, item in _members_of(kind, x).items()}
    members.update(getattr(x, "__dict__", {}) if not isinstance(x, type) else {})
    items = tuple(x) if isinstance(x, (Sequence, deque, array)) else ()
    if not members and not items:
        return Same(x)
    return (
        Same(x) if isinstance(x, type) else type(x),
        tuple((name, inner(item)) for name, item in members.items()),
        tuple(map(inner, items)),
    )


def _members_of(kind: type, x: Any) -> dict[str, Any]:
    """Return the data that an object has from one of its classes: in slots, and in attributes of the class itself."""
    if kind.__module__.partition(".")[0] in sys.stdlib_module_names:
        return {}
    found = {}
    for name, item in vars(kind).items():
        if isinstance(item, types.MemberDescriptorType):
            if not isinstance(x, type) and hasattr(x, item.__name__) and name not in ("__dict__", "__weakref__"):
                found[name] = item.__get__(x)
        elif not name.startswith("__") and not hasattr(type(item), "__get__"):  # no method, no property
            found[name] = item
    return found
