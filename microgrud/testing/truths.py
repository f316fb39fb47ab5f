"""Sources of the truth: the best of four methods that the function under test allows.

1. `mpmath`: the function itself takes mpmath numbers.
2. `graph`: the function takes Values; its graph is computed again with mpmath, by the textbook formulas in the table of
   operations, which are independent of the rules under test. Branches of the program stay as they were taken.
3. `complex step`: the function takes complex numbers, and differences of floats agree.
4. `differences`: extrapolated differences of floats, with an estimate of their error.
"""

from __future__ import annotations

import dataclasses
import math
import random
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from ..engine import Value, topological_order
from ..engine.operation import Operation
from . import complexstep, differences, multiprecision
from .claims import GivenClaim, OwnClaim
from .definitions import is_another_function
from .multiprecision import exact
from .slopes import Slope

#: Differences confirm the complex step if their relative error is at most this.
_CONFIRMED = 0.1
METHODS = ("auto", "mpmath", "graph", "complex step", "differences")


class Multiprecision:
    """The truth for a function from lists of mpmath numbers to lists of mpmath numbers.

    Args:
        f: the function.
        method: the name of the method in the report.
    """

    #: True if the results have 50 digits.
    is_exact = True

    def __init__(self, f: Callable[[Sequence[Any]], list[Any]], method: str) -> None:
        self.f, self.method = f, method
        self._key: Any = None
        self._results: list[Any] = []

    def _output(self, output: int) -> Callable[[Sequence[Any]], Any]:
        def one(numbers: Sequence[Any]) -> Any:
            key = (exact.prec, *numbers)
            if key != self._key:  # all outputs at one point are needed, one after the other
                self._results, self._key = self.f(numbers), key
            return self._results[output]

        return one

    def quick(self, output: int, point: Sequence[float], indices: Sequence[int]) -> float | None:
        """Return the central difference at the lowest precision."""
        try:
            return float(multiprecision.central(self._output(output), point, indices))
        except (ArithmeticError, ValueError, TypeError):
            return None

    def slope(self, output: int, point: Sequence[float], indices: Sequence[int]) -> Slope:
        """Return the limits from either side of the derivative of one output with respect to some inputs, in order."""
        return multiprecision.slope(self._output(output), point, indices, self.method)

    def jumps(self, output: int, point: Sequence[float], indices: Sequence[int]) -> bool:
        """Return whether difference quotients across the point grow like one over the step."""
        return multiprecision.jumps(self._output(output), point, indices)


class Floats:
    """The truth for a function of floats, by the complex step if it takes complex numbers, otherwise by differences."""

    is_exact = False

    def __init__(
        self, values: Callable[[Sequence[float]], list[float]], complex_values: Callable[..., Any] | None
    ) -> None:
        self.values, self.complex_values = values, complex_values
        self.method = "differences" if complex_values is None else "complex step"

    def quick(self, output: int, point: Sequence[float], indices: Sequence[int]) -> float | None:
        """Return None, since differences need many steps."""
        return None

    def slope(self, output: int, point: Sequence[float], indices: Sequence[int]) -> Slope:
        """Return the derivative by differences, or by the more precise complex step if the two agree."""
        (index,) = indices
        found = differences.slope(lambda numbers: self.values(numbers)[output], point, index)
        if self.complex_values is None or found.is_kink or len(found.sides) == 1:
            return found
        complex_values = self.complex_values
        sharp = complexstep.slope(lambda numbers: complex_values(numbers)[output], point, index)
        if sharp is None:
            return found
        if math.isfinite(found.error) and abs(sharp.value - found.value) > 4.0 * (found.error + sharp.error):
            return found
        # Differences of a function that oscillates within a few floats, such as sin at 1e12, confirm nothing.
        confirmed = found.error <= _CONFIRMED * abs(sharp.value)
        return dataclasses.replace(sharp, doubt=lambda: max(0.0 if confirmed else found.error, found.doubt()))

    def jumps(self, output: int, point: Sequence[float], indices: Sequence[int]) -> bool:
        """Return False, since differences find no slope at a jump."""
        return False


Truth: TypeAlias = Multiprecision | Floats


def choose_truth(claim: OwnClaim | GivenClaim, point: Sequence[float], method: str) -> Truth:
    """Return the best truth that the function allows, or that of the given method.

    Raises:
        ValueError: for a method that the function does not allow.
    """
    values = claim.values(point)
    makers: dict[str, Callable[[], Truth | None]] = {
        "mpmath": lambda: _generic(claim, point, values),
        "graph": lambda: _graph(claim, point),
        "complex step": lambda: _complex(claim, point, values),
        "differences": lambda: Floats(claim.values, None),
    }
    for name, make in makers.items():
        if method in ("auto", name):
            truth = make()
            if truth is not None:
                return truth
    raise ValueError(
        f"check_gradients: method: {method!r} is not available for {claim.subject.name}, which {_LACKING[method]}; "
        "use 'auto'"
    )


#: The reasons for which a method is not available.
_LACKING = {
    "mpmath": "does not take mpmath numbers, or computes something else from them than from floats",
    "graph": "does not record everything that it computes, or uses operations without a known formula",
    "complex step": "does not take complex numbers, or computes something else from them than from floats",
}


def deviation_from_floats(claim: OwnClaim, point: Sequence[float], values: Sequence[float]) -> str | None:
    """Describe where a function computes something else from Values than from floats; None if it does not."""
    for at, expected in [(point, values), *_nearby(claim, point, 1e-5)]:
        found = claim.values_of_floats(at)
        if found is None:
            continue
        if len(found) != len(expected) or is_another_function(
            found, expected, lambda xs: [x - y for x, y in zip(claim.values(xs), claim.values_of_floats(xs) or [])], at
        ):
            return f"of Values  {_number_or_list(expected)}\n  of floats  {_number_or_list(found)}"
    return None


def _number_or_list(values: Sequence[float]) -> str:
    return repr(values[0]) if len(values) == 1 else repr(list(values))


def _generic(claim: OwnClaim | GivenClaim, point: Sequence[float], values: Sequence[float]) -> Truth | None:
    """Return the truth by mpmath if the function takes mpmath numbers, returns them, and computes the same."""

    def f(numbers: Sequence[Any]) -> list[Any]:
        return claim.subject(numbers)[0]

    for at, expected in [(point, values), *_nearby(claim, point, 1e-5)]:
        with multiprecision.digits_of(50):
            results = _tried(f, [exact.mpf(x) for x in at])
            if results is None or len(results) != len(values) or any(isinstance(x, Value) for x in results):
                return None
            if not all(_is_same(found, x) for found, x in zip(results, expected)):
                return None
        # A result that was rounded is a float, and so is one that does not depend on the inputs.
        if any(not multiprecision.is_exact(found) and x != y for found, x, y in zip(results, expected, values)):
            return None
    return Multiprecision(f, "mpmath")


def _is_same(found: Any, x: float) -> bool:
    if not math.isfinite(x):
        return True
    return bool(abs(found - x) <= 1e-6 * max(abs(found), abs(x)) + sys.float_info.min)


def _nearby(
    claim: OwnClaim | GivenClaim, point: Sequence[float], distance: float
) -> Iterator[tuple[list[float], list[float]]]:
    """Yield points on two sides of this one with their values, if they are defined."""
    rng = random.Random(0)
    direction = [rng.uniform(0.5, 1.0) * rng.choice((-1.0, 1.0)) for _ in point]
    for sign in (1.0, -1.0):
        moved = [x + sign * distance * d * (abs(x) or 1.0) for x, d in zip(point, direction)]
        try:
            yield moved, claim.values(moved)
        except (ArithmeticError, ValueError, TypeError):
            continue


def _tried(f: Callable[[Sequence[Any]], list[Any]], numbers: Sequence[Any]) -> list[Any] | None:
    """Call a function with numbers that it may not support; return None if it raises or warns."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return f(numbers)
    except Exception:  # a function may raise anything for numbers that it does not support
        return None


def _graph(claim: OwnClaim | GivenClaim, point: Sequence[float]) -> Truth | None:
    """Return the truth by the function's graph in mpmath if the graph holds everything that the function computes."""
    if not isinstance(claim, OwnClaim):
        return None
    leaves, outputs = claim.record(point)
    order = list(dict.fromkeys(node for output in outputs for node in topological_order(output)))
    if any(node._operands and getattr(node._operation, "definition", None) is None for node in order):
        return None

    def replay(numbers: Sequence[Any], compute: Callable[[Value, dict[Value, Any]], Any]) -> list[Any]:
        known: dict[Value, Any] = dict(zip(leaves, numbers))
        for node in order:
            if node not in known:
                known[node] = compute(node, known)
        return [known[output] for output in outputs]

    # If the function used `x.data`, or a copy of it, the graph holds it as a constant, and a replay gives other values.
    for moved, values in _nearby(claim, point, 1e-6):
        try:
            again = replay(moved, _in_floats)
        except (ArithmeticError, ValueError):
            return None
        if [x.hex() for x in again] != [x.hex() for x in values]:
            return None
    return Multiprecision(lambda numbers: replay(numbers, _in_multiprecision), "graph in mpmath")


def _in_floats(node: Value, known: dict[Value, Any]) -> float:
    if not isinstance(node._operation, Operation):
        return node.data
    return node._operation.evaluate([known[x] if isinstance(x, Value) else x for x in node._operands])


def _in_multiprecision(node: Value, known: dict[Value, Any]) -> Any:
    if not isinstance(node._operation, Operation):
        return exact.mpf(node.data)
    operands = [known[x] if isinstance(x, Value) else exact.mpf(x) for x in node._operands]
    return node._operation.definition(exact, *operands)  # type: ignore[misc]


def _complex(claim: OwnClaim | GivenClaim, point: Sequence[float], values: Sequence[float]) -> Truth | None:
    """Return the truth by the complex step if the function takes complex numbers and computes the same real ones."""

    def f(numbers: Sequence[complex]) -> list[Any]:
        return claim.subject(numbers)[0]

    results = _tried(f, [complex(x) for x in point])
    if results is None or len(results) != len(values) or not all(isinstance(x, complex) for x in results):
        return None
    if not all(math.isclose(z.real, x, rel_tol=1e-9, abs_tol=1e-9) for z, x in zip(results, values)):
        return None
    return Floats(claim.values, f)
