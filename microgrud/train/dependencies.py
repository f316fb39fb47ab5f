"""The detection of changes in everything that the recordings of a model and a loss depend on.

A replay reads the present numbers of Values. Before each replay, all other numbers are compared with their values at
the recording, and everything else by identity.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import numpy as np

from ..engine.identity import all_identical, contents_of
from ..tape.recorder import CompileError
from .reachable import Reachable, content_of
from .usage import Usage


class Dependencies:
    """A snapshot of everything that a model and a loss depend on; both must be on the list.

    Args:
        roots: the functions and objects, by name.

    Attributes:
        objects: the objects with attributes among them, such as modules.

    Raises:
        UnlistedError: if one of them, or something that its code uses, is not on the list.

    >>> from microgrud import Value
    >>> from microgrud.nn import Module
    >>> class Scaled(Module):
    ...     def __init__(self):
    ...         self.w, self.scale = Value(1.0), 2.0
    ...
    ...     def __call__(self, row):
    ...         return self.w * row[0] * self.scale
    >>> model = Scaled()
    >>> dependencies = Dependencies({"model": model})
    >>> model.w.data, model.unused = 3.0, 1
    >>> dependencies.change()
    >>> model.scale = 4.0
    >>> dependencies.change()
    'model.scale'
    """

    def __init__(self, roots: Mapping[str, Any]) -> None:
        self._roots = dict(roots)
        self._usages: dict[types.CodeType, Usage] = {}
        self._take_snapshot()

    def is_untouched(self) -> bool:
        """Return whether each object is the same as before; takes 8 us for a network of 337 parameters."""
        pairs = zip(self._reachable.arrays, self._arrays)
        return all_identical(self._everything(), self._contents) and all(content_of(x) == was for (_, x), was in pairs)

    def change(self) -> str | None:
        """Return the name of something that has changed, None if nothing has.

        Raises:
            UnlistedError: if something that is now used is not on the list.
        """
        if self.is_untouched():
            return None
        before = self._reachable  # keeps alive the objects whose ids are in its signature
        self._take_snapshot()
        pairs = zip_longest(before.signature.items(), self._reachable.signature.items(), fillvalue=("", None))
        return next((old[0] or new[0] for old, new in pairs if old != new), None)

    def check_unchanged(self) -> None:
        """If a call has changed a container, restore all containers and raise a CompileError."""
        if not self.is_untouched():
            raise CompileError(f"a call changes {self._restore()}, which a replay would not")

    def _take_snapshot(self) -> None:
        reachable = self._reachable = Reachable(self._roots, self._usages)
        self._containers = [x for _, x in reachable.containers]
        self.objects = [x for _, x in reachable.objects]
        self._with_dicts = [x for x in self.objects if hasattr(x, "__dict__")]
        self._contents = [contents_of(x) for x in self._everything()]
        self._arrays = [content_of(x) for _, x in reachable.arrays]

    def _everything(self) -> list[Any]:
        """Return the containers, copies of the attributes of classes, and the list of `_other_references`."""
        return [*self._containers, *(vars(kind).copy() for kind in self._reachable.classes), self._other_references()]

    def _other_references(self) -> list[Any]:
        """Return each object that was reached outside of containers."""
        now: list[Any] = list(map(type, self.objects))
        now += map(vars, self._with_dicts)
        now += [kind.__mro__ for kind in self._reachable.classes]
        now += map(dict.get, *self._reachable.variables)
        for f in self._reachable.functions:
            now += [f.__code__, f.__defaults__, *(f.__kwdefaults__ or {}), *(f.__kwdefaults__ or {}).values()]
            now += [cell.cell_contents for cell in f.__closure__ or ()]
        for p in self._reachable.partials:
            now += [p.func, p.args, p.keywords]
        return now

    def _restore(self) -> str:
        """Restore the contents of containers; return the name of one that was changed."""
        changed = "something"
        for (name, x), before in zip(self._reachable.containers, self._contents):
            if not all_identical([x], [before]):
                changed = name
                x.clear()
                if type(x) is dict:
                    x.update(zip(before[::2], before[1::2]))
                else:
                    x.extend(before)
        for (name, x), content in zip(self._reachable.arrays, self._arrays):
            if content_of(x) != content:
                changed = name
                np.copyto(x, np.frombuffer(content[2], x.dtype).reshape(x.shape))
        return changed
