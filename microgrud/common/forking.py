"""Locks that a forked process finds free: of its parent's threads it has the one that forked, and no other."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


def in_forked_child(renew: Callable[[], None]) -> Callable[[], None]:
    """Have a function called in every process that is forked off this one; a decorator."""
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=renew)
    return renew


class Lock:
    """A reentrant lock for `with`; a fork renews it in the child, unless the thread that forks holds it itself."""

    __slots__ = ("__weakref__", "_depth", "_lock", "_owner")

    def __init__(self) -> None:
        self.renew()
        _locks.add(self)

    def renew(self) -> None:
        """Put a lock that nobody holds in the place of one that another thread of the parent may have held."""
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
    """A method as an attribute that is computed at its first use: `functools.cached_property` without its lock.

    Before Python 3.12 that is one lock for all instances, which a fork may leave held in the child.
    """

    def __init__(self, compute: Callable[[Any], Result]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Result:
        """Compute the attribute, and put it where the next access finds it first; on the class, return this."""
        if instance is None:
            return self  # type: ignore[return-value]
        result: Result = vars(instance).setdefault(self.compute.__name__, self.compute(instance))
        return result
