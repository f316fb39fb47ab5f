"""Custom operations, with the same rights as those of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..common.forking import CachedAttribute
from ..common.numbers import Interval, Number, as_float
from ..engine import Value, tracing
from ..engine.operation import Operation
from ..engine.ops import TABLE


def custom_op(
    name: str,
    value: Callable[..., float],
    partials: Callable[..., Number] | Sequence[Callable[..., Number]],
    *,
    symbol: str = "",
    definition: Callable[..., Number] | None = None,
) -> Operation:
    """Make an operation from a plain function and its partial derivatives.

    Call the result like a function of microgrud: on Values it records one node, on floats it computes a float. Partial
    derivatives written with microgrud's functions, `+ - * /` and comparisons can be differentiated again.

    Args:
        name: the name of the operation in error messages.
        value: a function of floats that returns a float.
        partials: for each operand a rule `rule(result, *operands)` that returns the derivative with respect to that
            operand; for a function of one operand, the rule itself or a list of it. A rule receives floats in
            `backward()` and `grad`, and Values in `gradient`, in a recording and for derivatives of higher order. A
            rule that cannot take Values, such as a function of SciPy, is evaluated on their numbers: first derivatives
            are right, and those of higher order raise a TypeError.
        symbol: the `_op` of nodes; the name by default.
        definition: `definition(mp, *operands)`, the function on mpmath numbers, if `value` cannot take them. `mp` is
            mpmath's context: `mp.sin(x)` and `mpmath.sin(x)` do the same. `microgrud.testing` reports the errors that
            it raises, and points where it differs from `value`.

    Returns:
        The operation. To pickle a graph that contains it, keep `value` and the rules at the top level of a module.

    Raises:
        ValueError: if the name is one of microgrud's own operations, or no rule is given.
        TypeError: if `value` or a rule cannot be called.

    >>> from microgrud import Value, exp
    >>> import math
    >>> bump = custom_op("bump", lambda x: math.exp(-x * x), lambda z, x: -2.0 * x * z)
    >>> x = Value(0.5)
    >>> bump(x).backward()
    >>> x.grad
    -0.7788007830714049
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"custom_op: expected a name, got {name!r}")
    if name in TABLE:
        raise ValueError(f"custom_op: {name!r} is an operation of microgrud; expected another name")
    rules = tuple(partials) if isinstance(partials, Sequence) else (partials,)
    if not rules:
        raise ValueError(f"custom_op {name!r}: expected a derivative rule for each operand, got none")
    for i, function in enumerate((value, *rules)):
        if not callable(function):
            what = "value" if i == 0 else f"partials[{i - 1}]"
            raise TypeError(f"custom_op {name!r}: expected a function as {what}, got {type(function).__name__}")
    checked = tuple(
        _CheckedRule(rule, f"the derivative of {name} with respect to operand {i + 1}", len(rules))
        for i, rule in enumerate(rules)
    )
    return Operation(name, symbol or name, len(rules), value, checked, definition, (Interval(),) * len(rules))


@dataclass(frozen=True)
class _CheckedRule:
    """A derivative rule with a check of its result, which must be a float, or a node if an operand is one.

    Attributes:
        rule: the user-defined rule.
        what: the words for its result in messages.
        count: the number of operands of the operation.
    """

    rule: Callable[..., Number]
    what: str
    count: int

    def __call__(self, *operands: Number) -> Number:
        if not any(isinstance(x, Value) for x in operands):
            return as_float(self.rule(*operands), self.what)
        if self._reason_for_floats(operands) is not None:
            return self._on_floats(*operands)
        slope = self.rule(*operands)
        return slope if isinstance(slope, Value) else as_float(slope, self.what)

    def _reason_for_floats(self, operands: Sequence[Number]) -> Exception | str | None:
        """Return the reason why the rule takes floats only: its error on Values, or its access to their numbers."""
        tracer = _ReadTracer()
        with tracing.reporting_to(tracer):
            try:
                self.rule(*(Value(x._data) if isinstance(x, Value) else x for x in operands))
            except Exception as error:  # on floats the rule raises no error, or raises it again
                return error
        return tracer.reason

    @CachedAttribute
    def _on_floats(self) -> Operation:
        """The rule as an operation of its own, which computes on floats and cannot be differentiated again."""
        count = self.count + 1
        return Operation(self.what, self.what, count, self, (_NoDerivative(self),) * count, None, (Interval(),) * count)


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
class _NoDerivative:
    """The derivative of a rule that computes on floats: calling it raises a TypeError that says so."""

    checked: _CheckedRule

    def __call__(self, slope: Number, *operands: Number) -> Number:
        reason = self.checked._reason_for_floats([Value(float(x)) if isinstance(x, float) else x for x in operands])
        raise TypeError(
            f"{self.checked.what} cannot be differentiated again, because its rule takes only floats "
            f"({reason or 'for other operands'}). A rule receives the result and the operands, as Values for "
            "derivatives of higher order; write it with microgrud's functions, + - * / and other custom operations"
        ) from (reason if isinstance(reason, Exception) else None)
