"""Operations: a value rule, its derivative rules, and the numbers it takes.

An `Operation` is callable on plain floats, on mpmath numbers and on nodes of a graph alike. A derivative rule
written with operations is therefore generic: on floats it yields numbers, on Values it yields a graph, so that
higher derivatives need no second set of rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..common.numbers import Interval, Number, as_float, describe_operands
from . import tracing


@dataclass(frozen=True, eq=False)
class Operation:
    """One differentiable operation: an entry of the table in `microgrud.engine.ops`.

    Attributes:
        name: the name of the public function and of the method, e.g. `"tanh"`.
        symbol: what a node shows as its `_op`, e.g. `"+"`.
        arity: the number of operands; None for an operation over a sequence.
        value: floats to a float; raises what `math` raises.
        partials: one rule per operand, `rule(out, *operands)` to the local derivative with respect to that operand, or
            to None where the result does not depend on it. For a sequence operation a single rule that gives the local
            derivatives of all operands, in order.
        definition: the textbook formula, `definition(mp, *operands)`, evaluated on mpmath numbers; None where `value`
            itself is generic.
        domain: one interval per operand (one for all of them, for a sequence operation).
        total: whether `value` gives a number for any floats, and raises for none.
    """

    name: str
    symbol: str
    arity: int | None
    value: Callable[..., float]
    partials: tuple[Callable[..., Number], ...] | Callable[..., Sequence[Number]]
    definition: Callable[..., Number] | None
    domain: tuple[Interval, ...]
    total: bool = field(default=False, kw_only=True)

    def __call__(self, *operands: Number) -> Number:
        """Apply the operation: a node if any operand is one, else an mpmath number if any is, else a float."""
        if self.arity is not None and len(operands) != self.arity:
            raise TypeError(f"{self.name}: expected {self.arity} operand(s), got {len(operands)}")
        multiprecision = None
        for operand in operands:
            if type(operand) is float:
                continue
            record = getattr(type(operand), "_record", None)
            if record is not None:
                return record(self, *operands)
            multiprecision = multiprecision or getattr(operand, "context", None)
        if multiprecision is not None:
            if self.definition is None:
                return self._value_of_mpmath(operands)
            return self._defined(self.definition, multiprecision, operands)
        return self.evaluate([as_float(x, self.name) for x in operands])

    def _value_of_mpmath(self, operands: Sequence[Number]) -> Number:
        try:
            return self.value(*operands)
        except TypeError as error:
            raise TypeError(
                f"{self.name}: its value takes floats and no mpmath numbers ({error}); give custom_op a definition="
            ) from error

    def _defined(self, definition: Callable[..., Number], mp: Number, operands: Sequence[Number]) -> Number:
        """Compute the definition on mpmath numbers, with the domain and the errors that floats have."""
        xs = [mp.convert(x) for x in operands]
        try:
            if any(x not in interval and x == x for x, interval in zip(xs, self._intervals(len(xs)))):
                raise ValueError
            result = mp.convert(definition(mp, *xs))
            if not hasattr(result, "_mpf_"):  # a complex number, or an infinity of them
                raise ValueError("expected operands with a real result")
        except (ValueError, ArithmeticError) as error:
            raise self._explained(error, xs) from None
        return result

    def _intervals(self, count: int) -> tuple[Interval, ...]:
        return self.domain * count if self.arity is None else self.domain

    def evaluate(self, xs: Sequence[float], operands: Sequence[Number] = ()) -> float:
        """Compute the value on floats; `operands` are what an error message shows in place of the bare numbers.

        Raises:
            ValueError, ZeroDivisionError, OverflowError: as Python's float and math would, with a message that names
                the operation and its operands.
        """
        try:
            result = self.value(*xs)
        except (ValueError, ArithmeticError) as error:
            instead = tracing.report_failure(self, xs)
            if instead is None:
                raise self._explained(error, operands or xs) from None
            return instead
        return result if type(result) is float else as_float(result, f"the value of {self.name}")

    def local_derivatives(self, out: Number, operands: Sequence[Number], wanted: Sequence[int]) -> list[Number]:
        """Return the local derivative (or None) by each operand whose index is in `wanted`, in that order."""
        if callable(self.partials):
            rules = self.partials(out, *operands)
            return [rules[i] for i in wanted]
        return [self.partials[i](out, *operands) for i in wanted]

    def _explained(self, error: Exception, operands: Sequence[Number]) -> Exception:
        for kind in (ZeroDivisionError, OverflowError, ValueError):
            if isinstance(error, kind):
                return kind(f"{self.name}({describe_operands(operands)}): {self._reason(operands, error)}")
        return error

    def _reason(self, operands: Sequence[Number], error: Exception) -> str:
        if isinstance(error, ZeroDivisionError):
            return "division by zero; expected a divisor other than 0"
        if str(error).startswith("expected"):  # a value rule of our own, and not one of Python's
            return str(error)
        xs: list[Number] = [getattr(operand, "_data", operand) for operand in operands]
        intervals = self._intervals(len(xs))
        names = ["x"] if len(xs) == 1 else [f"operand {i + 1}" for i in range(len(xs))]
        for name, x, interval in zip(names, xs, intervals):
            if x not in interval and x == x:
                return f"expected {interval.describe(name)}, got {x}"
        for name, x in zip(names, xs):
            if x - x != 0:  # true for infinities and NaN alone, of mpmath too
                return f"expected a finite {name}, got {x}"
        if isinstance(error, OverflowError):
            return "the result is too large for a float; scale the operands down, or clip them"
        return str(error)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"
