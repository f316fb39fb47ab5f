"""Operations: each has a value rule, derivative rules and a domain.

An `Operation` can be called with floats, mpmath numbers and nodes of a graph. A derivative rule written with operations
is therefore generic: on floats it yields numbers, on Values it yields a graph, so that higher derivatives need no
second set of rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, overload

from ..common.arrays import is_array
from ..common.numbers import Interval, Number, as_float, describe_operands
from . import tracing
from .node import RecordedT_co as T, RecordsOperations

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Operation:
    """One differentiable operation: an entry of the table in `microgrud.engine.ops`.

    Attributes:
        name: the name of the public function and of the method, e.g. `"tanh"`.
        symbol: the `_op` of a node, e.g. `"+"`.
        arity: the number of operands; None for an operation over a sequence.
        value: the function of floats that computes the result; it raises as `math` does.
        partials: one rule per operand. `rule(out, *operands)` returns the local derivative with respect to the operand,
            or None where the result does not depend on it. A sequence operation has a single rule instead, which
            returns the local derivatives with respect to all operands, in order.
        definition: the textbook formula, `definition(mp, *operands)`, evaluated on mpmath numbers; None if `value`
            itself is generic.
        domain: one interval per operand (for a sequence operation, one for all of them).
        total: True if `value` returns a number for all floats and never raises.
    """

    name: str
    symbol: str
    arity: int | None
    value: Callable[..., float]
    partials: tuple[Callable[..., Number], ...] | Callable[..., Sequence[Number]]
    definition: Callable[..., Number] | None
    domain: tuple[Interval, ...]
    total: bool = field(default=False, kw_only=True)

    #: A rule of forward mode: `push(node, tangents, as_numbers)` returns the tangent of a node of this operation, from
    #: those of its operands. None where the derivative rules serve both modes.
    push: ClassVar[Callable[..., Number] | None] = None

    @overload
    def __call__(self, first: npt.NDArray[Any], /, *operands: Any) -> npt.NDArray[Any]: ...
    @overload
    def __call__(self, first: RecordsOperations[T], /, *operands: Any) -> T: ...
    @overload
    def __call__(self, first: float, second: RecordsOperations[T], /, *operands: Any) -> T: ...
    @overload
    def __call__(self, first: float, second: npt.NDArray[Any], /, *operands: Any) -> npt.NDArray[Any]: ...
    @overload
    def __call__(self, *operands: float) -> float: ...
    @overload
    def __call__(self, *operands: RecordsOperations[T] | float) -> T | float: ...
    def __call__(self, *operands: Number) -> Number:
        """Return the result: a node if any operand is one, else an mpmath number if any is one, else a float.

        With arrays among the operands, return the array of the results for each of their elements.
        """
        if self.arity is not None and len(operands) != self.arity:
            raise TypeError(f"{self.name}: expected {self.arity} operand(s), got {len(operands)}")
        multiprecision = None
        for operand in operands:
            if type(operand) is float:
                continue
            record = getattr(type(operand), "_record", None)
            if record is not None:
                try:
                    return record(self, *operands)
                except TypeError:
                    if self.arity is not None and any(map(is_array, operands)):
                        return over_arrays(self, operands)
                    raise
            if self.arity is not None and is_array(operand):
                return over_arrays(self, operands)
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
                f"{self.name}: expected floats, got mpmath numbers, which its value rule does not take ({error}); "
                "give custom_op a definition="
            ) from error

    def _defined(self, definition: Callable[..., Number], mp: Number, operands: Sequence[Number]) -> Number:
        """Compute the definition on mpmath numbers, with the same domain and the same errors as on floats."""
        xs = [mp.convert(x) for x in operands]
        try:
            if any(x not in interval and x == x for x, interval in zip(xs, self._intervals(len(xs)))):
                raise ValueError
            result = mp.convert(definition(mp, *xs))
            if not hasattr(result, "_mpf_"):  # a complex number, or a complex infinity
                raise ValueError("expected operands with a real result")
        except (ValueError, ArithmeticError) as error:
            raise self._explained(error, xs) from None
        return result

    def _intervals(self, count: int) -> tuple[Interval, ...]:
        return self.domain * count if self.arity is None else self.domain

    def evaluate(self, xs: Sequence[float], operands: Sequence[Number] = ()) -> float:
        """Compute the value on floats; an error message shows `operands`, if given, with their labels.

        Raises:
            ValueError, ZeroDivisionError, OverflowError: as Python's float and math do, with a message that names
                the operation and its operands.
        """
        try:
            result = self.value(*xs)
        except (ValueError, ArithmeticError) as error:
            substitute = tracing.report_failure(self, xs)
            if substitute is None:
                raise self._explained(error, operands or xs) from None
            return substitute
        return result if type(result) is float else as_float(result, f"the value of {self.name}")

    def local_derivatives(self, out: Number, operands: Sequence[Number], wanted: Sequence[int]) -> list[Number]:
        """Return the local derivative (or None) with respect to each operand whose index is in `wanted`, in order."""
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
        text = str(error)
        if text.startswith("expected") and not (text.startswith("expected a") and ", got " in text):
            return text  # of our own value rules, and not of Python 3.14: "expected a positive input, got -1.0"
        xs: list[Number] = [getattr(operand, "_data", operand) for operand in operands]
        intervals = self._intervals(len(xs))
        names = ["x"] if len(xs) == 1 else [f"operand {i + 1}" for i in range(len(xs))]
        for name, x, interval in zip(names, xs, intervals):
            if x not in interval and x == x:
                return f"expected {interval.describe(name)}, got {x}"
        for name, x in zip(names, xs):
            if x - x != 0:  # only for infinities and NaN, of floats and of mpmath
                return f"expected a finite {name}, got {x}"
        if isinstance(error, OverflowError):
            return "the result is too large for a float; scale the operands down, or clip them"
        return text

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


def over_arrays(f: Callable[..., Number], operands: Sequence[Number]) -> Number:
    """Return an array of f of each element of arrays, broadcast: of floats if all results are floats."""
    import numpy as np  # loaded already, since there are arrays

    arrays = [np.asarray(x, dtype=object) if hasattr(x, "_record") else x for x in operands]
    with np.errstate(all="ignore"):  # operations have errors of their own
        found = np.frompyfunc(f, len(operands), 1)(*arrays)
    return found.astype(float) if is_array(found) and all(type(x) is float for x in found.flat) else found
