"""Who watches the numbers that a program looks at: `compile` does, while it records.

A graph remembers operations, and not what the program decided by them. So that a recording knows its branches, every
look at a number (a comparison, `bool`, `.data`) is told to the watcher of the present thread or task, if there is one.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .engine import Value

__all__ = ["WatchedNumber", "Watcher", "compared", "current", "detached", "failed", "looked_at"]


class Watcher(Protocol):
    """What is told of every look at a number."""

    def compared(self, x: Value, symbol: str, y: Any, outcome: bool) -> None:
        """Note that `x symbol y` was asked for, and what the answer was."""

    def looked_at(self, x: Value | None, what: str) -> None:
        """Note that the number itself was asked for, or refuse."""

    def failed(self) -> None:
        """Note that an operation has raised an error, which the program may catch."""

    def detached(self, x: Value) -> Value:
        """Return what stands for the number of x without its history."""


_watcher: ContextVar[Watcher | None] = ContextVar("microgrud_watcher", default=None)
#: Holds something while anyone watches anywhere: otherwise no one need look at the context, which takes 30 ns.
_watched: list[Watcher] = []


def current() -> Watcher | None:
    """Return the watcher of the present thread or task."""
    return _watcher.get() if _watched else None


def compared(x: Value, symbol: str, y: Any, outcome: bool) -> None:
    """Tell the watcher, if there is one, of a comparison."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.compared(x, symbol, y, bool(outcome))


def looked_at(x: Value, what: str) -> None:
    """Tell the watcher, if there is one, that somebody asks for a number."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.looked_at(x, what)


def detached(x: Value) -> Value | None:
    """Return what the watcher, if there is one, has in place of `x.detach()`."""
    watcher = _watcher.get()
    return None if watcher is None else watcher.detached(x)


def failed() -> None:
    """Tell the watcher, if there is one, that an operation has raised an error."""
    watcher = current()
    if watcher is not None:
        watcher.failed()


class WatchedNumber(float):
    """The number of a Value, as derivative rules see it, whose comparisons are told to the watcher."""

    __slots__ = ("node",)

    node: Value

    @staticmethod
    def of(node: Value) -> WatchedNumber:
        """Return the number of a node."""
        number = WatchedNumber(node._data)
        number.node = node
        return number

    def _told(self, symbol: str, other: Any, outcome: Any) -> Any:
        if outcome is not NotImplemented:
            compared(self.node, symbol, getattr(other, "node", other), outcome)
        return outcome

    def __eq__(self, other: object) -> Any:
        return self._told("==", other, float.__eq__(self, other))

    def __ne__(self, other: object) -> Any:
        return self._told("!=", other, float.__ne__(self, other))

    def __lt__(self, other: Any) -> Any:
        return self._told("<", other, float.__lt__(self, other))

    def __le__(self, other: Any) -> Any:
        return self._told("<=", other, float.__le__(self, other))

    def __gt__(self, other: Any) -> Any:
        return self._told(">", other, float.__gt__(self, other))

    def __ge__(self, other: Any) -> Any:
        return self._told(">=", other, float.__ge__(self, other))

    __hash__ = float.__hash__
