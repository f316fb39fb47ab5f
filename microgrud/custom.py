"""Operations of one's own, of the same standing as those of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .engine import Value
from .operation import Interval, Number, Operation, as_float
from .ops import TABLE


def custom_op(
    name: str,
    value: Callable[..., float],
    partials: Callable[..., Number] | Sequence[Callable[..., Number]],
    *,
    symbol: str = "",
    definition: Callable[..., Number] | None = None,
) -> Operation:
    """Make an operation from a plain function and its partial derivatives.

    The result is called like a function of microgrud: on Values it records one node, on floats it computes. Written
    with microgrud's functions, `+ - * /` and comparisons, the partial derivatives can be differentiated again.

    Args:
        name: what error messages call the operation.
        value: a function of floats that returns a float.
        partials: for each operand a rule `rule(result, *operands)` that returns the derivative by that operand; for
            a function of one operand the rule alone will do.
        symbol: what nodes show as `_op`; the name by default.
        definition: `definition(mp, *operands)`, the function on mpmath numbers, where `value` cannot take them;
            `mp` is mpmath's context.

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
    checked = tuple(_CheckedRule(rule, f"the derivative of {name} by operand {i + 1}") for i, rule in enumerate(rules))
    return Operation(name, symbol or name, len(rules), value, checked, definition, (Interval(),) * len(rules))


@dataclass(frozen=True)
class _CheckedRule:
    """A derivative rule whose result is made sure to be a number: a float, or a node where an operand is one."""

    rule: Callable[..., Number]
    what: str

    def __call__(self, *operands: Number) -> Number:
        slope = self.rule(*operands)
        if isinstance(slope, Value) and any(isinstance(x, Value) for x in operands):
            return slope
        return as_float(slope, self.what)
