"""Operations of one's own, of the same standing as those of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import watching
from .engine import Value
from .forking import CachedAttribute
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
        partials: for each operand a rule `rule(result, *operands)` that returns the derivative with respect to that
            operand; for a function of one operand the rule alone will do. A rule receives floats in `backward()` and
            `grad`, and Values from `gradient`, inside a recording and for derivatives of higher order. Where it cannot
            take Values, as SciPy's functions cannot, it is evaluated on their numbers: first derivatives are right,
            and those of higher order raise a TypeError.
        symbol: what nodes show as `_op`; the name by default.
        definition: `definition(mp, *operands)`, the function on mpmath numbers, where `value` cannot take them;
            `mp` is mpmath's context: `mp.sin(x)` and `mpmath.sin(x)` do the same. `microgrud.testing` shows what it
            raises, and where it is another function than `value`.

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
        _CheckedRule(rule, f"the derivative of {name} by operand {i + 1}", len(rules)) for i, rule in enumerate(rules)
    )
    return Operation(name, symbol or name, len(rules), value, checked, definition, (Interval(),) * len(rules))


@dataclass(frozen=True)
class _CheckedRule:
    """A derivative rule whose result is made sure to be a number: a float, or a node where an operand is one."""

    rule: Callable[..., Number]
    what: str
    count: int

    def __call__(self, *operands: Number) -> Number:
        if not any(isinstance(x, Value) for x in operands):
            return as_float(self.rule(*operands), self.what)
        if watching.current() and not self._takes_values(operands):
            return self._of_floats(*operands)
        try:
            slope = self.rule(*operands)
        except TypeError:
            return self._of_floats(*operands)
        return slope if isinstance(slope, Value) else as_float(slope, self.what)

    def _takes_values(self, operands: Sequence[Number]) -> bool:
        """Tell whether the rule takes Values; in a recording, which refuses the float() that one of floats asks for."""
        with watching.paused():
            try:
                self.rule(*(Value(x._data) if isinstance(x, Value) else x for x in operands))
            except TypeError:
                return False
        return True

    @CachedAttribute
    def _of_floats(self) -> Operation:
        """The rule as an operation of its own, which computes with floats and cannot be differentiated again."""
        count = self.count + 1
        return Operation(self.what, self.what, count, self, (_Refusal(self),) * count, None, (Interval(),) * count)


@dataclass(frozen=True)
class _Refusal:
    """The derivative of a rule that computes with floats: an error that says so."""

    checked: _CheckedRule

    def __call__(self, slope: Number, *operands: Number) -> Number:
        reason = None
        try:
            with watching.paused():
                self.checked.rule(*(x if isinstance(x, Value) else Value(x) for x in operands))
        except TypeError as error:
            reason = error
        raise TypeError(
            f"{self.checked.what} cannot be differentiated again, as its rule takes floats alone ({reason}). A rule "
            "receives the result and the operands, as Values where derivatives of higher order are asked for; write "
            "it with microgrud's functions, + - * / and other operations of custom_op"
        ) from reason
