"""A loss at many places: recorded once and replayed, where it is on the list of what `fit` records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine import Value, topological_order
from ..tape import CompileError, compile
from ..tape.executors import native_tape
from ..train.listed import Listed
from ..train.objective import MeanLoss

__all__ = ["replayed"]

#: Places, below which recording takes longer than it saves: measured, as long as the loss at 30 to 80 places.
_FEWEST_PLACES = 200
#: Operands of the operations of the loss, below which a call of it takes no longer than a replay.
_FEWEST_OPERANDS = 100
#: Ways through the branches of the loss, each recorded by itself.
_MOST_WAYS = 4


def replayed(loss: Callable[[], Any], places: int) -> Callable[[], Any]:
    """Return a function that gives the same numbers as a loss, to rounding, and the same errors.

    Where the loss cannot be recorded it is the loss itself. (The interpreter in NumPy is no faster at one place than
    the loss.)

    Args:
        loss: without arguments, of Values that it closes over.
        places: how often it is going to be called.

    >>> x = Value(2.0)
    >>> square = replayed(lambda: x * x, places=1000)
    >>> square().data
    4.0
    >>> x.data = 3.0
    >>> square().data
    9.0
    """
    if places < _FEWEST_PLACES or native_tape is None or isinstance(loss, MeanLoss):  # which is replayed already
        return loss
    return _Replayed(loss)


class _Replayed:
    def __init__(self, loss: Callable[[], Any]) -> None:
        self.loss = loss
        self.compiled: Callable[[], Any] | None = compile(self._recorded, max_paths=_MOST_WAYS)
        self.listed: Listed | None = None

    def __call__(self) -> Any:
        if self.compiled is None:
            return self.loss()
        try:
            if self.listed is None:
                self.listed = Listed({"loss": self.loss})
            elif (changed := self.listed.change()) is not None:
                raise CompileError(f"{changed} has changed")
            return self.compiled()
        except Exception:
            expected = self.loss()  # which has its own errors
            self.compiled = None
            return expected

    def _recorded(self) -> Value:
        loss = self.loss()
        if self.listed is not None:
            self.listed.check_unchanged()
        if not isinstance(loss, Value):
            raise CompileError(f"expected a Value as loss, got {loss!r}")
        if sum(len(node._operands) for node in topological_order(loss)) < _FEWEST_OPERANDS:
            raise CompileError("the loss is faster by itself")
        return loss
