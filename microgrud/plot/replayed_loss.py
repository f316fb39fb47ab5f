"""Evaluate a loss at many places: record it once and replay it, if it is of a kind that `fit` records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine import Value, topological_order
from ..tape import Compiled, CompileError, compile
from ..tape.native import native_tape
from ..train.dependencies import Dependencies
from ..train.objective import MeanLoss

#: Minimum number of places for which recording pays: it was measured to take as long as the loss at 30 to 80 places.
_FEWEST_PLACES = 200
#: Minimum number of operands in the loss for which a replay is faster than a call.
_FEWEST_OPERANDS = 100
#: Maximum number of branch paths of the loss that are recorded, each by itself.
_MOST_PATHS = 4


def replayed(loss: Callable[[], Any], places: int) -> Callable[[], Any]:
    """Return a function with the same numbers as a loss, apart from rounding, and the same errors.

    If the loss cannot be recorded, the function is the loss itself. (Without the C extension it always is: the
    interpreter in NumPy is no faster at one place than the loss.)

    Args:
        loss: a function without arguments that depends on Values in its closure.
        places: the number of calls to come.

    >>> x = Value(2.0)
    >>> square = replayed(lambda: x * x, places=1000)
    >>> square().data
    4.0
    >>> x.data = 3.0
    >>> square().data
    9.0
    """
    if places < _FEWEST_PLACES or native_tape is None or isinstance(loss, MeanLoss):  # a MeanLoss replays by itself
        return loss
    return ReplayedLoss(loss)


class ReplayedLoss:
    """A loss that is replayed from its recordings as long as what it depends on stays as it was."""

    def __init__(self, loss: Callable[[], Any]) -> None:
        self.loss = loss
        self.compiled: Compiled[..., Any] | None = compile(self._recorded, max_paths=_MOST_PATHS)
        self.dependencies: Dependencies | None = None

    def __call__(self) -> Any:
        """Return the loss at the present parameters."""
        if self.compiled is None:
            return self.loss()
        try:
            if self.dependencies is None:
                self.dependencies = Dependencies({"loss": self.loss})
            elif (changed := self.dependencies.change()) is not None:
                raise CompileError(f"{changed} has changed")
            return self.compiled()
        except Exception:
            expected = self.loss()  # raises the errors of the loss itself
            self.compiled = None
            return expected

    def _recorded(self) -> Value:
        if self.compiled is not None and self.compiled.stats["paths"] >= _MOST_PATHS:
            raise CompileError("the loss takes more paths than pay off")
        loss = self.loss()
        if self.dependencies is not None:
            self.dependencies.check_unchanged()
        if not isinstance(loss, Value):
            raise CompileError(f"expected a Value as loss, got {loss!r}")
        if sum(len(node._operands) for node in topological_order(loss)) < _FEWEST_OPERANDS:
            raise CompileError("the loss is faster by itself")
        return loss
