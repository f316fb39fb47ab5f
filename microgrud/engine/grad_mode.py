"""Gradient mode: `no_grad()` and `enable_grad()` switch the recording of operations off and on."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from . import tracing

Function = TypeVar("Function", bound=Callable[..., Any])
Result = TypeVar("Result")

_recording: ContextVar[bool] = ContextVar("microgrud_recording", default=True)
#: The mode to return to after each enclosing `with` of this thread or task. A stack in the context and no attribute,
#: because one `no_grad()` object may be entered several times.
_saved: ContextVar[tuple[bool, ...]] = ContextVar("microgrud_saved", default=())
#: Non-empty once recording has been switched in any thread: until then the C engine does not look up the context.
_switched: list[bool] = []


def is_recording() -> bool:
    """Return whether results remember their operands, in the present thread or task."""
    return _recording.get()


class _GradMode:
    """A context manager and a decorator that switches recording on or off in the present thread or task."""

    _flag: bool

    def __init__(self, *misplaced: object) -> None:
        if misplaced:
            name = type(self).__name__
            raise TypeError(f"{name}: expected no arguments; write @{name}() above a function, with parentheses")

    def __enter__(self) -> None:
        tracer = tracing.current()
        if tracer is not None and not self._flag:
            tracer.on_read(None, "no_grad")  # a replay would lose the history of numbers computed inside
        if not _switched:
            _switched.append(True)
        _saved.set((*_saved.get(), _recording.get()))
        _recording.set(self._flag)

    def __exit__(self, *error: object) -> None:
        *outer, before = _saved.get()
        _saved.set(tuple(outer))
        _recording.set(before)

    def __call__(self, function: Function) -> Function:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            name = type(self).__name__
            raise TypeError(
                f"{name}: a generator runs after the call that made it; write `with {name}():` inside "
                f"{function.__name__}"
            )
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def coroutine(*args: Any, **kwargs: Any) -> Any:
                with type(self)():
                    return await function(*args, **kwargs)

            return coroutine  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


class no_grad(_GradMode):  # noqa: N801 - it is used as a statement, not as a class
    """Compute without recording: results are leaves, and no gradient flows through them.

    A context manager and a decorator; it applies to the present thread or asynchronous task only.

    >>> from microgrud import Value
    >>> x = Value(3.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y.is_leaf
    True
    """

    _flag = False


class enable_grad(_GradMode):  # noqa: N801
    """Record again inside a `no_grad()` block; a context manager and a decorator like `no_grad`.

    >>> from microgrud import Value
    >>> x = Value(3.0)
    >>> with no_grad(), enable_grad():
    ...     y = x * x
    >>> y.is_leaf
    False
    """

    _flag = True


class NoGraphError(RuntimeError):
    """`gradient` was called inside `no_grad()`, where results have no graph."""


def without_graph(compute: Callable[[], Result]) -> Result:
    """Return what a function computes inside `no_grad()`; if it calls `gradient` there, call it again outside of it.

    >>> from microgrud import Value, gradient
    >>> x = Value(3.0)
    >>> without_graph(lambda: x * x).is_leaf, without_graph(lambda: gradient(x * x, x)).data
    (True, 6.0)
    """
    try:
        with no_grad():
            return compute()
    except NoGraphError:
        with enable_grad():
            return compute()
