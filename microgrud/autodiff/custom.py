"""Custom operations, with the same rights as those of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

from ..common.forking import CachedAttribute
from ..common.numbers import Interval, Number, as_float
from ..engine import Value
from ..engine.operation import Operation
from ..engine.ops import TABLE
from .rules import NoDerivative, reason_for_floats
from .structured import StructuredOperation


@overload
def custom_op(
    name: str,
    value: Callable[..., float],
    partials: Callable[..., Number] | Sequence[Callable[..., Number]],
    *,
    symbol: str = "",
    definition: Callable[..., Number] | None = None,
) -> Operation: ...
@overload
def custom_op(
    name: str,
    value: Callable[..., Any],
    *,
    vjp: Callable[..., tuple[Any, ...]] | None = None,
    jvp: Callable[..., Any] | None = None,
    symbol: str = "",
    definition: Callable[..., Any] | None = None,
) -> StructuredOperation: ...
def custom_op(
    name: str,
    value: Callable[..., Any],
    partials: Callable[..., Number] | Sequence[Callable[..., Number]] | None = None,
    *,
    vjp: Callable[..., tuple[Any, ...]] | None = None,
    jvp: Callable[..., Any] | None = None,
    symbol: str = "",
    definition: Callable[..., Any] | None = None,
) -> Operation | StructuredOperation:
    """Make an operation from a plain function and its partial derivatives, or rules of reverse and forward mode.

    Call the result like a function of microgrud: on Values it records one node, on floats it computes a float. Partial
    derivatives written with microgrud's functions, `+ - * /` and comparisons can be differentiated again.

    An operation on a fixed number of numbers with one number as result takes `partials`. Any other takes `vjp`, `jvp`,
    or both: its arguments and its result are numbers, arrays, or lists, tuples and dicts of them, and on Values it
    records one node for each number of the result. With J the Jacobian, vjp computes v J, and jvp J v.

    Args:
        name: the name of the operation in error messages.
        value: a function of floats that returns a float; or of structures of floats, without `partials`.
        partials: for each operand a rule `rule(result, *operands)` that returns the derivative with respect to that
            operand; for a function of one operand, the rule itself or a list of it. A rule receives floats in
            `backward()` and `grad`, and Values in `gradient`, in a recording and for derivatives of higher order. A
            rule that cannot take Values, such as a function of SciPy, is evaluated on their numbers: first derivatives
            are right, and those of higher order raise a TypeError.
        vjp: `vjp(result, cotangent, *args)` returns a tuple with the derivative with respect to each argument of the
            sum of cotangent * result: in the structure of the argument, or None for 0. It must be linear in the
            cotangent, which has the structure of the result. It is called once for each number of the result, and
            receives Values as the rules of `partials` do.
        jvp: `jvp(result, tangents, *args)` returns the derivative of the result, in its structure, in the direction of
            `tangents`, a tuple with a structure like each argument. `jvp`, `jacfwd` and `hvp` use it. Without `vjp` it
            serves reverse mode as well, once for each number of the arguments.
        symbol: the `_op` of nodes; the name by default.
        definition: `definition(mp, *operands)`, the function on mpmath numbers, if `value` cannot take them. `mp` is
            mpmath's context: `mp.sin(x)` and `mpmath.sin(x)` do the same. `microgrud.testing` reports the errors that
            it raises, and points where it differs from `value`.

    Returns:
        The operation. To pickle a graph that contains it, keep `value` and the rules at the top level of a module.

    Raises:
        ValueError: if the name is one of microgrud's own operations, or no rule is given.
        TypeError: if `value` or a rule cannot be called, or `partials` is given together with `vjp` or `jvp`.

    Source: `jax.custom_vjp` and `jax.custom_jvp` for the rules.

    >>> from microgrud import Value, exp
    >>> import math
    >>> bump = custom_op("bump", lambda x: math.exp(-x * x), lambda z, x: -2.0 * x * z)
    >>> x = Value(0.5)
    >>> bump(x).backward()
    >>> x.grad
    -0.7788007830714049
    >>> polar = custom_op(
    ...     "polar",
    ...     lambda x, y: [math.hypot(x, y), math.atan2(y, x)],
    ...     jvp=lambda z, t, x, y: [(x * t[0] + y * t[1]) / z[0], (x * t[1] - y * t[0]) / z[0] ** 2],
    ... )
    >>> from microgrud import jacobian
    >>> polar(3.0, 4.0), jacobian(polar, (0, 1))(3.0, 4.0)
    ([5.0, 0.9272952180016122], [(0.6, 0.8), (-0.16, 0.12)])
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"custom_op: expected a name, got {name!r}")
    if name in TABLE:
        raise ValueError(f"custom_op: {name!r} is an operation of microgrud; expected another name")
    if vjp is not None or jvp is not None:
        if partials is not None:
            raise TypeError(f"custom_op {name!r}: expected either partials, or vjp and jvp, got both")
        for what, function in (("value", value), ("vjp", vjp), ("jvp", jvp)):
            if not callable(function) and (function is not None or what == "value"):
                raise TypeError(f"custom_op {name!r}: expected a function as {what}, got {type(function).__name__}")
        return StructuredOperation(name, value, vjp, jvp, symbol or name, definition)
    rules: tuple[Any, ...] = tuple(partials) if isinstance(partials, Sequence) else (partials,)
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
        if self.reason_for_floats(operands) is not None:
            return self._on_floats(*operands)
        slope = self.rule(*operands)
        return slope if isinstance(slope, Value) else as_float(slope, self.what)

    def reason_for_floats(self, operands: Sequence[Number]) -> Exception | str | None:
        """Return the reason why the rule takes floats only, or None."""
        return reason_for_floats(self.rule, operands)

    @CachedAttribute
    def _on_floats(self) -> Operation:
        """The rule as an operation of its own, which computes on floats and cannot be differentiated again."""
        count = self.count + 1
        return Operation(self.what, self.what, count, self, (NoDerivative(self),) * count, None, (Interval(),) * count)
