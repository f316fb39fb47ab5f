"""Rules of custom operations that take only floats: how they are found, and the error of a second derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..common.numbers import Number
from ..engine import Value, tracing


class CheckedRule(Protocol):
    """A rule that knows whether it takes Values."""

    @property
    def what(self) -> str:
        """The words for its result in messages."""

    def reason_for_floats(self, operands: Sequence[Number]) -> Exception | str | None:
        """Return the reason why it takes floats only."""


def reason_for_floats(rule: Callable[..., Any], operands: Sequence[Number]) -> Exception | str | None:
    """Return the reason why a rule takes floats only: its error on Values, or its access to their numbers."""
    tracer = _ReadTracer()
    with tracing.reporting_to(tracer):
        try:
            rule(*(Value(x._data) if isinstance(x, Value) else x for x in operands))
        except Exception as error:  # on floats the rule raises no error, or raises it again
            return error
    return tracer.reason


class _ReadTracer(tracing.Tracer):
    """A tracer that notes whether a rule reads the number of a Value, which cuts the derivative.

    Attributes:
        reason: the words for the access; None if there was none.
    """

    reason: str | None = None

    def on_read(self, x: Value | None, what: str) -> None:
        """Note the access."""
        self.reason = f"it asks for .{what}"

    def on_detach(self, x: Value) -> Value:
        """Return a leaf, as without a tracer."""
        return Value(x._data)


@dataclass(frozen=True)
class NoDerivative:
    """The derivative of a rule that computes on floats: calling it raises a TypeError that says so."""

    checked: CheckedRule

    def __call__(self, slope: Number, *operands: Number) -> Number:
        """Raise the error."""
        reason = self.checked.reason_for_floats([Value(float(x)) if isinstance(x, float) else x for x in operands])
        raise TypeError(
            f"{self.checked.what} cannot be differentiated again, because its rule takes only floats "
            f"({reason or 'for other operands'}). A rule receives the result and the operands, as Values for "
            "derivatives of higher order; write it with microgrud's functions, + - * / and other custom operations"
        ) from (reason if isinstance(reason, Exception) else None)
