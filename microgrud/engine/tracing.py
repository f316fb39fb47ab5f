"""Tracing hooks: `compile` follows a program while it records it.

A graph remembers operations, but not the decisions that the program based on their results. So that a recording knows
its branches, every comparison, `bool()`, `.data` access and failed operation is reported to the tracer that is active
in the present thread or task, if there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any

from .node import Node


class Tracer:
    """The receiver of the reports, which ignores those that a subclass does not handle.

    Each `x` is a Value; it is typed loosely, since `value.py` imports this file.
    """

    def on_comparison(self, x: Any, symbol: str, y: Any, outcome: bool) -> Any:
        """Return what the program sees as the result of `x symbol y`."""
        return outcome

    def on_outcome(self, x: Any, symbol: str, y: Any, outcome: bool) -> None:
        """Note that the program depends on the outcome of `x symbol y`."""

    def on_read(self, x: Any, what: str) -> None:
        """Note that the program reads or writes a plain number of x, or raise an error that forbids it."""

    def on_result(self, x: Any) -> None:
        """Note a result of an operation that raises for some operands: the program may catch the error."""

    def on_failure(self, operation: Any, xs: Sequence[float]) -> float | None:
        """Note that an operation is about to raise; return a number to continue with instead, or None to let it."""

    def on_detach(self, x: Any) -> Any:
        """Return the result of `x.detach()`."""

    def on_array(self, array: Any) -> Any:
        """Return what the program is given in the place of an object array of Values."""
        return array


_tracer: ContextVar[Tracer | None] = ContextVar("microgrud_tracer", default=None)
#: The tracers that are active in any thread. Testing this list avoids a context look-up: 30 ns per operation.
_tracers: list[Tracer] = []


def current() -> Tracer | None:
    """Return the tracer that is active in the present thread or task."""
    return _tracer.get() if _tracers else None


@contextmanager
def paused() -> Iterator[None]:
    """Report nothing that happens in this thread or task inside the block."""
    token = _tracer.set(None)
    try:
        yield
    finally:
        _tracer.reset(token)


@contextmanager
def reporting_to(tracer: Tracer) -> Iterator[None]:
    """Report everything that happens in this thread or task inside the block to this tracer alone."""
    _tracers.append(tracer)
    token = _tracer.set(tracer)
    try:
        yield
    finally:
        _tracer.reset(token)
        _tracers.remove(tracer)


def report_comparison(x: Node, symbol: str, y: Any, outcome: bool) -> Any:
    """Report a comparison and its outcome; return the tracer's result of it."""
    tracer = _tracer.get()
    return outcome if tracer is None else tracer.on_comparison(x, symbol, y, bool(outcome))


def report_outcome(x: Node, symbol: str, y: Any, outcome: bool) -> None:
    """Report that the program asks for the outcome of a comparison."""
    tracer = current()
    if tracer is not None:
        tracer.on_outcome(x, symbol, y, outcome)


def report_read(x: Node, what: str) -> None:
    """Report an access to a plain number of x, or an assignment to it; `what` names the attribute or conversion."""
    tracer = _tracer.get()
    if tracer is not None:
        tracer.on_read(x, what)


def report_raw_read(x: Node, what: str = "_data", frame: FrameType | None = None) -> None:
    """Report an access to `x._data`, or to the text of x, unless the package itself needs it, as for its messages.

    Args:
        x: a Value.
        what: as in `report_read`.
        frame: the frame that the access comes from; that of the caller by default.
    """
    frame = frame or sys._getframe(1)
    if not frame.f_globals.get("__name__", "").startswith("microgrud."):
        report_read(x, what)


def report_result(x: Node) -> None:
    """Report the result of an operation that raises for some operands."""
    tracer = _tracer.get()
    if tracer is not None:
        tracer.on_result(x)


def report_failure(operation: Any, xs: Sequence[float]) -> float | None:
    """Report an operation that is about to raise; return the tracer's number to continue with, or None to raise."""
    tracer = current()
    return None if tracer is None else tracer.on_failure(operation, xs)


def report_detach(x: Node) -> Any:
    """Return the tracer's result of `x.detach()`, or None without a tracer."""
    tracer = _tracer.get()
    return None if tracer is None else tracer.on_detach(x)


def given_array(array: Any) -> Any:
    """Return what the tracer gives to the program in the place of an object array; without one, the array."""
    tracer = current()
    return array if tracer is None else tracer.on_array(array)
