"""What a model and a loss keep from call to call, other than parameters: seen to change, and put back as it was.

A recording replays operations on numbers. A model that counts its calls, updates running statistics or draws random
numbers does more than that, and a callback may change what the model reads. `Surroundings` remembers the plain state
that both can be seen to depend on: attributes, lists, dicts, sets, arrays, generators of random numbers, and the
variables of functions; not what Values hold, which is read anew at every replay.
"""

from __future__ import annotations

import operator
import random
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..engine import Value
from ..nn.contents import of_library
from ..tape.compiled import Compiled
from .randomness import global_state, set_global_state

__all__ = ["Surroundings"]

#: So many things are looked into: a function may have a whole data set among its variables.
_MOST = 5_000
#: What cannot change, or is read anew by a recording.
_ATOMS = (float, int, str, bytes, type(None), Value, type, types.ModuleType, types.BuiltinFunctionType)


class Surroundings:
    """The state that functions and objects can reach, as it is now.

    Args:
        roots: the functions and objects, by what they are called.
        with_random: whether the global generators of random numbers are part of it.

    >>> class Counter:
    ...     calls = 0
    ...
    ...     def __call__(self, x):
    ...         self.calls += 1
    >>> counter = Counter()
    >>> before = Surroundings({"model": counter})
    >>> counter(1.0)
    >>> before.change()
    'model.calls'
    >>> before.restore()
    >>> counter.calls
    0
    """

    def __init__(self, roots: Mapping[str, Any], with_random: bool = True) -> None:
        self._parts: list[_Part] = []
        reached: dict[int, Any] = {}
        waiting = list(roots.items())
        while waiting and len(self._parts) < _MOST:
            name, x = waiting.pop()
            if isinstance(x, _ATOMS) or id(x) in reached:
                continue
            reached[id(x)] = x  # and kept, so that no other thing gets its id
            for part in _parts_of(name, x):
                self._parts.append(part)
                waiting.extend(part.items())
        self._random = global_state() if with_random else None

    def name_of(self, x: Any) -> str | None:
        """Return the name of a thing, such as `loss: scale` for a variable of a function; None if it is not found."""
        for part in self._parts:
            for key, item in part.pairs():
                if item is x:
                    return part.inner.format(name=part.name, key=key)
        return None

    def change(self) -> str | None:
        """Return the name of something that is not as it was; None if all is."""
        for part in self._parts:
            changed = part.change()
            if changed is not None:
                return changed
        return "the global random numbers" if self._random and global_state() != self._random else None

    def restore(self) -> None:
        """Put everything back as it was."""
        for part in self._parts:
            if part.change() is not None:
                part.write(part.saved)
        if self._random:
            set_global_state(self._random)


class _Part:
    """One thing that can change.

    Args:
        name: what it is called.
        read: gives what it holds: a list or a dict of things, told apart by identity, or anything else, by equality.
        write: puts that back.
        inner: how an item is called, for a dict.
    """

    def __init__(
        self, name: str, read: Callable[[], Any], write: Callable[[Any], object], inner: str = "{name}[{key!r}]"
    ) -> None:
        self.name, self.read, self.write, self.inner = name, read, write, inner
        self.saved = read()

    def pairs(self) -> Iterable[tuple[Any, Any]]:
        """Return the things in it, each with its key."""
        if isinstance(self.saved, dict):
            return self.saved.items()
        return enumerate(self.saved) if isinstance(self.saved, list) else ()

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield the things in it that may change, with their names."""
        for key, x in self.pairs():
            if not isinstance(x, _ATOMS):
                yield self.inner.format(name=self.name, key=key), x

    def change(self) -> str | None:
        """Return the name of what has changed in it, if anything has."""
        now, before = self.read(), self.saved
        if isinstance(before, list):
            return None if _alike(before, now) else self.name
        if not isinstance(before, dict):
            return None if now == before else self.name
        if list(before) == list(now) and _alike(list(before.values()), list(now.values())):
            return None
        absent = object()
        keys = [k for k in {**before, **now} if not _alike([before.get(k, absent)], [now.get(k, absent)])]
        return self.inner.format(name=self.name, key=keys[0]) if keys else self.name


def _alike(before: list[Any], now: list[Any]) -> bool:
    """Tell whether two lists hold the same things, or equal numbers and texts."""
    if len(before) != len(now):
        return False
    if all(map(operator.is_, before, now)):
        return True
    return all(x is y or (type(x) is type(y) and type(x) in (float, int, str) and x == y) for x, y in zip(before, now))


def _parts_of(name: str, x: Any) -> Iterator[_Part]:
    """Yield what can change about a thing."""
    if isinstance(x, dict):
        yield _Part(name, lambda: dict(x), partial(_refill, x))
    elif isinstance(x, list):
        yield _Part(name, lambda: list(x), lambda saved: operator.setitem(x, slice(None), saved))
    elif isinstance(x, tuple):
        yield _Part(name, lambda: list(x), _leave)
    elif isinstance(x, set):
        yield _Part(name, lambda: frozenset(x), partial(_refill, x))
    elif isinstance(x, np.ndarray):
        if x.dtype == object:
            yield _Part(name, lambda: x.ravel().tolist(), lambda saved: np.put(x, range(x.size), saved))
        else:
            yield _Part(name, x.tobytes, lambda saved: np.copyto(x, np.frombuffer(saved, x.dtype).reshape(x.shape)))
    elif isinstance(x, random.Random):
        yield _Part(name, x.getstate, x.setstate)
    elif isinstance(x, (np.random.Generator, np.random.RandomState)):
        generator = x.bit_generator if isinstance(x, np.random.Generator) else x._bit_generator
        state = generator.state
        yield _Part(name, lambda: repr(generator.state), lambda saved: setattr(generator, "state", state))
    elif isinstance(x, partial):
        yield _Part(name, lambda: [x.func, *x.args, *x.keywords.values()], _leave)
    elif isinstance(x, types.MethodType):
        yield _Part(name, lambda: [x.__self__, x.__func__], _leave)
    elif isinstance(x, Compiled):  # its recordings change and are no state of the model
        yield _Part(name, lambda: [x.function], _leave)
    elif isinstance(x, types.FunctionType):
        yield from _variables(name, x)
    elif not of_library(type(x)) and hasattr(x, "__dict__"):
        yield _Part(name, lambda: dict(vars(x)), partial(_refill, vars(x)), "{name}.{key}")
        for kind in type(x).__mro__:
            if not of_library(kind, "microgrud"):
                for method in [f for f in vars(kind).values() if isinstance(f, types.FunctionType)]:
                    yield from _variables(name, method)


def _variables(name: str, f: types.FunctionType) -> Iterator[_Part]:
    """Yield the variables that a function, unless it is a library's, has from outside."""
    if of_library(f, "microgrud"):
        return
    used: set[str] = set()
    waiting = [f.__code__]
    while waiting:
        code = waiting.pop()
        used.update(code.co_names)
        waiting.extend(x for x in code.co_consts if isinstance(x, types.CodeType))
    shared, names = f.__globals__, sorted(used & f.__globals__.keys())
    inner = name + ": {key}"
    if names:
        yield _Part(name, lambda: {key: shared[key] for key in names if key in shared}, shared.update, inner)
    cells = dict(zip(f.__code__.co_freevars, f.__closure__ or ()))
    if cells:
        yield _Part(name, lambda: {key: _contents(cell) for key, cell in cells.items()}, partial(_fill, cells), inner)
    if f.__defaults__:
        yield _Part(name, lambda: list(f.__defaults__ or ()), _leave)


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return None


def _fill(cells: Mapping[str, types.CellType], contents: Mapping[str, Any]) -> None:
    for name, cell in cells.items():
        cell.cell_contents = contents[name]


def _refill(x: Any, contents: Any) -> None:
    x.clear()
    x.update(contents)


def _leave(saved: Any) -> None:
    """Put nothing back: it cannot change."""
