"""Tracing hooks: `compile` watches a program while it records it.

A graph remembers operations, and not what the program decided by them. So that a recording knows its branches, every
comparison, `bool()`, `.data` access and failed operation is reported to the watcher of the present thread or task, if
there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any, Protocol

from .node import Node

__all__ = [
    "Watcher",
    "compared",
    "current",
    "detached",
    "failed",
    "looked_at",
    "made",
    "paused",
    "peeked",
    "reporting_to",
]


class Watcher(Protocol):
    """The object that a program's reads of numbers are reported to.

    Each `x` is a Value; it is typed loosely, since `Value` stands in a file that imports this one.
    """

    def compared(self, x: Any, symbol: str, y: Any, outcome: bool) -> None:
        """Note that `x symbol y` was asked for, and what the answer was."""

    def looked_at(self, x: Any, what: str) -> None:
        """Note that the number itself was asked for, or refuse."""

    def made(self, x: Any) -> None:
        """Note a result of an operation that raises for some operands: the program may depend on its not raising."""

    def failed(self, operation: Any, xs: Sequence[float]) -> float | None:
        """Note that an operation raises, which the program may catch; return a number to go on with, or None."""

    def detached(self, x: Any) -> Any:
        """Return what stands for the number of x without its history."""


_watcher: ContextVar[Watcher | None] = ContextVar("microgrud_watcher", default=None)
#: Non-empty while any watcher is active in any thread: looking at the context takes 30 ns an operation.
_watched: list[Watcher] = []


def current() -> Watcher | None:
    """Return the watcher of the present thread or task."""
    return _watcher.get() if _watched else None


@contextmanager
def paused() -> Iterator[None]:
    """Report nothing that happens in this thread or task inside the block."""
    token = _watcher.set(None)
    try:
        yield
    finally:
        _watcher.reset(token)


@contextmanager
def reporting_to(watcher: Watcher) -> Iterator[None]:
    """Report what happens in this thread or task inside the block to this watcher alone."""
    _watched.append(watcher)
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)
        _watched.remove(watcher)


def compared(x: Node, symbol: str, y: Any, outcome: bool) -> None:
    """Tell the watcher, if there is one, of a comparison."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.compared(x, symbol, y, bool(outcome))


def looked_at(x: Node, what: str) -> None:
    """Tell the watcher, if there is one, that somebody asks for a number."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.looked_at(x, what)


def detached(x: Node) -> Any:
    """Return what the watcher, if there is one, has in place of `x.detach()`."""
    watcher = _watcher.get()
    return None if watcher is None else watcher.detached(x)


def peeked(x: Node, frame: FrameType | None = None, what: str = "_data") -> None:
    """Report an access to the raw number of x, or its text, by code outside the package; `frame` is that of the access.

    The package itself writes Values into the messages of its errors.
    """
    frame = frame or sys._getframe(1)
    if not frame.f_globals.get("__name__", "").startswith("microgrud."):
        looked_at(x, what)


def made(x: Node) -> None:
    """Report the result of an operation that raises for some operands."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.made(x)


def failed(operation: Any, xs: Sequence[float]) -> float | None:
    """Report that an operation raises an error; return the number to go on with in its place, if there is to be one."""
    watcher = current()
    return None if watcher is None else watcher.failed(operation, xs)
