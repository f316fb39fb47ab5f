"""Locks that are free in a forked process, in which only the thread that forked goes on."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


def in_forked_child(renew: Callable[[], None]) -> Callable[[], None]:
    """Register a function to be called in every process that is forked from this one; a decorator."""
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=renew)
    return renew


class Lock:
    """A reentrant lock for `with`; a fork renews it in the child, unless the forking thread itself holds it."""

    __slots__ = ("__weakref__", "_depth", "_lock", "_owner")

    def __init__(self) -> None:
        self.renew()
        _locks.add(self)

    def renew(self) -> None:
        """Replace the lock, which another thread of the parent may have held, by one that is free."""
        self._lock = threading.RLock()
        self._owner, self._depth = 0, 0

    def is_own(self) -> bool:
        """Return whether the present thread holds the lock."""
        return self._owner == threading.get_ident()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = threading.get_ident()
        self._depth += 1

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = 0
        self._lock.release()


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


@in_forked_child
def _renew_locks() -> None:
    for lock in list(_locks):
        if not lock.is_own():
            lock.renew()


class CachedAttribute(Generic[Result]):
    """An attribute that a method computes at its first use: `functools.cached_property` without its lock.

    Before Python 3.12 that lock is shared by all instances, and a fork may leave it held in the child.
    """

    def __init__(self, compute: Callable[[Any], Result]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Result:
        """Compute the attribute, and store it where the next access finds it; return self for a class."""
        if instance is None:
            return self  # type: ignore[return-value]
        result: Result = vars(instance).setdefault(self.compute.__name__, self.compute(instance))
        return result
