"""Conversion between lists of parameters and NumPy vectors: one vector for their data, one for their gradients.

An optimizer reads both vectors, computes its update on whole vectors, and writes the data back. Without NumPy,
`PlainVector` provides the arithmetic that the formulas of the optimizers need.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import repeat, starmap
from typing import TYPE_CHECKING, Any, TypeAlias

from ..common.arrays import is_array
from ..common.forking import Lock
from ..common.numbers import as_float, as_sequence
from . import native
from .kernels import divide
from .value import Value

if TYPE_CHECKING:
    import numpy as np

    Vector: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
else:
    try:
        import numpy as np
    except ImportError:
        np = None
    Vector = Any

_HAS_NUMPY = np is not None

#: Minimum number of numbers for which `euclidean_norm` is faster in long doubles.
_FEWEST_IN_LONG_DOUBLES = 300

#: Size of a vector from which on NumPy adds its halves faster than a loop.
_FEWEST_IN_HALVES = 64

_adding = Lock()


class PlainVector(list[float]):
    """A list of floats with the arithmetic of a NumPy vector, by IEEE 754: `/` gives infinities instead of errors.

    >>> 2.0 / PlainVector([4.0, 0.0]) - 1.0
    [-0.5, inf]
    """

    def _each(self, f: Callable[[float, float], float], other: Any) -> PlainVector:
        others = other if isinstance(other, list) else repeat(other, len(self))
        return PlainVector(starmap(f, zip(self, others, strict=True)))

    def __add__(self, other: Any) -> PlainVector:  # type: ignore[override]
        return self._each(operator.add, other)

    def __sub__(self, other: Any) -> PlainVector:
        return self._each(operator.sub, other)

    def __mul__(self, other: Any) -> PlainVector:
        return self._each(operator.mul, other)

    def __truediv__(self, other: Any) -> PlainVector:
        return self._each(divide, other)

    def __rsub__(self, other: Any) -> PlainVector:
        return self._each(lambda x, y: y - x, other)

    def __rtruediv__(self, other: Any) -> PlainVector:
        return self._each(lambda x, y: divide(y, x), other)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> PlainVector:
        return PlainVector(map(operator.neg, self))

    def __abs__(self) -> PlainVector:
        return PlainVector(map(abs, self))

    def tolist(self) -> list[float]:
        """Return the numbers as a plain list."""
        return list(self)


def as_vector(numbers: Iterable[float]) -> Vector:
    """Return numbers as a vector."""
    if _HAS_NUMPY:
        return np.array(list(numbers), dtype=np.float64)
    return PlainVector(numbers)  # type: ignore[return-value]


def checked_vector(where: str, given: Any, size: int) -> Vector:
    """Return `size` real numbers, from an array or another sequence, as a new vector.

    Raises:
        TypeError, ValueError: if they are not real numbers, or not as many.

    >>> checked_vector("v", [1, 2.5], 2)
    array([1. , 2.5])
    """
    if is_array(given) and type(given) is np.ndarray and given.dtype.kind in "fiu" and given.ndim == 1:
        vector = given.astype(np.float64)
    else:
        vector = as_vector([as_float(x, f"{where}: number {k}") for k, x in enumerate(as_sequence(given, where))])
    if len(vector) != size:
        raise ValueError(f"{where}: expected {size} numbers, one for each parameter, got {len(vector)}")
    return vector


def ieee_arithmetic() -> AbstractContextManager[Any]:
    """Return a context in which NumPy does not warn about infinities and NaN."""
    return np.errstate(all="ignore") if _HAS_NUMPY else nullcontext()


def square_root(x: Vector) -> Vector:
    """Compute the square root of each number; NaN for negative ones.

    >>> square_root(as_vector([4.0, 9.0]))
    array([2., 3.])
    """
    if _HAS_NUMPY:
        return np.sqrt(x)
    return PlainVector([math.sqrt(number) if number >= 0.0 else math.nan for number in x])  # type: ignore[return-value]


def euclidean_norm(x: Vector) -> float:
    """Compute the square root of the sum of the squares, as `math.hypot` does: correctly rounded, without overflow.

    The root in 80 bits gives the same float, unless it lies close to the middle of two: then `math.hypot` decides. For
    101,770 numbers that takes 0.1 ms in C, and `math.hypot` of a list 3 ms.

    >>> euclidean_norm(as_vector([3.0, -4.0]))
    5.0
    """
    if _HAS_NUMPY and native.engine is not None and len(x) > _FEWEST_IN_LONG_DOUBLES:
        found: float | None = native.engine.norm(np.ascontiguousarray(x))
        if found is not None:
            return found
    return math.hypot(*x.tolist())


def at_least(x: Vector, floor: Vector | float) -> Vector:
    """Compute the maximum of each number and that of `floor`; NaN where either is NaN.

    >>> at_least(as_vector([-1.0, 2.0]), 0.0)
    array([0., 2.])
    """
    if _HAS_NUMPY:
        return np.maximum(x, floor)
    plain: Any = x
    return plain._each(lambda a, b: b if b > a or b != b else a, floor)  # type: ignore[no-any-return]


def sign(x: Vector) -> Vector:
    """Compute -1, 0 or 1 for each number; NaN for NaN.

    >>> sign(as_vector([-3.0, 0.0, 5.0]))
    array([-1.,  0.,  1.])
    """
    if _HAS_NUMPY:
        return np.sign(x)
    return as_vector([math.copysign(1.0, k) if k < 0.0 or k > 0.0 else abs(k) for k in x])


def by_sign(x: Vector, negative: float, zero: float, positive: float) -> Vector:
    """Return one of three numbers in the place of each, by its sign; that for 0 where it is NaN.

    >>> by_sign(as_vector([-3.0, 0.0, 5.0]), 0.5, 1.0, 1.5)
    array([0.5, 1. , 1.5])
    """
    if _HAS_NUMPY:
        return np.where(x < 0.0, negative, np.where(x > 0.0, positive, zero))
    return as_vector([negative if k < 0.0 else positive if k > 0.0 else zero for k in x])


def clipped(x: Vector, limit: float) -> Vector:
    """Clip each number to the interval from `-limit` to `limit`; a NaN stays NaN.

    >>> clipped(as_vector([0.3, -4.0]), 1.0)
    array([ 0.3, -1. ])
    """
    if _HAS_NUMPY:
        return np.where(x < -limit, -limit, np.where(x > limit, limit, x))
    return as_vector([min(max(number, -limit), limit) for number in x])


def largest(x: Vector) -> float:
    """Return the largest absolute value of finite numbers.

    >>> largest(as_vector([3.0, -4.0]))
    4.0
    """
    return float(np.max(np.abs(x))) if _HAS_NUMPY else max(map(abs, x))


def sum_of_sizes(x: Vector) -> float:
    """Return the sum of the absolute values.

    >>> sum_of_sizes(as_vector([3.0, -4.0]))
    7.0
    """
    return _total(abs(x))


def dot(x: Vector, y: Vector) -> float:
    """Compute the dot product of two vectors, to the same bits on any processor, with and without NumPy.

    `x @ y` would add in an order that depends on the processor, and some processors round a product and a sum at once.

    >>> dot(as_vector([3.0, -4.0]), as_vector([2.0, 1.0]))
    2.0
    """
    return _total(x * y)


def _total(x: Vector) -> float:
    """Add numbers in an order that depends on how many they are: a half to the other half, until one is left.

    `x` is overwritten. `np.sum` has an order of its own, and the built-in `sum` rounds as the version of Python does.
    """
    while _HAS_NUMPY and len(x) > _FEWEST_IN_HALVES:
        half = (len(x) + 1) // 2
        x[: len(x) - half] += x[half:]
        x = x[:half]
    numbers: list[float] = x.tolist()
    while len(numbers) > 1:
        half = (len(numbers) + 1) // 2
        numbers = [*map(operator.add, numbers, numbers[half:]), *numbers[len(numbers) - half : half]]
    return numbers[0] if numbers else 0.0


def all_finite(x: Vector) -> bool:
    """Return whether all numbers are finite.

    >>> all_finite(as_vector([3.0, math.inf]))
    False
    """
    return bool(np.isfinite(x).all()) if _HAS_NUMPY else all(map(math.isfinite, x))


def new_leaves(numbers: Sequence[Any] | Vector) -> list[Value]:
    """Return new leaves with the numbers of a vector, or of a sequence of floats and Values.

    >>> new_leaves([1.5, Value(2.0)])
    [Value(data=1.5, grad=0.0), Value(data=2.0, grad=0.0)]
    """
    if _HAS_NUMPY and native.engine is not None and isinstance(numbers, np.ndarray):
        leaves: list[Value] = native.engine.new_leaves(numbers)
        return leaves
    return [Value(x._data if isinstance(x, Value) else x) for x in numbers]


def read_data(parameters: Sequence[Value]) -> Vector:
    """Copy the parameters' numbers into a new vector.

    >>> read_data([Value(1.0), Value(-2.0)])
    array([ 1., -2.])
    """
    return _read(parameters, of_gradients=False)


def read_gradients(parameters: Sequence[Value]) -> Vector:
    """Copy the parameters' gradients into a new vector."""
    return _read(parameters, of_gradients=True)


def write_data(parameters: Sequence[Value], vector: Vector) -> None:
    """Set the parameters' numbers, in order, from a vector of the same length."""
    _write(parameters, vector, of_gradients=False)


def write_gradients(parameters: Sequence[Value], vector: Vector) -> None:
    """Set the parameters' gradients, in order, from a vector of the same length."""
    _write(parameters, vector, of_gradients=True)


@contextmanager
def restored(nodes: Sequence[Value], data: bool = False) -> Iterator[None]:
    """Restore the gradients of nodes, and with `data` their numbers too, at the end of an experiment."""
    numbers, gradients = read_data(nodes) if data else None, read_gradients(nodes)
    try:
        yield
    finally:
        if numbers is not None:
            write_data(nodes, numbers)
        write_gradients(nodes, gradients)


def clear_gradients(parameters: Iterable[Value]) -> None:
    """Set the parameters' gradients to zero; a recording in progress notices it, as it notices an assignment."""
    if native.engine is not None:
        native.engine.clear_gradients(parameters)
        return
    for parameter in parameters:
        parameter.grad = 0.0


def add_to_gradients(parameters: Sequence[Value], vector: Vector) -> None:
    """Add a vector to the parameters' gradients, in order; additions by several threads at once are all kept."""
    if _HAS_NUMPY and native.engine is not None:
        native.engine.add_to_numbers(parameters, True, np.ascontiguousarray(vector, dtype=np.float64))
        return
    with _adding:
        for parameter, number in zip(parameters, vector.tolist()):
            parameter.grad += number


def has_vectors_in_c() -> bool:
    """Return whether C can be given vectors: with NumPy and the C engine."""
    return _HAS_NUMPY and native.engine is not None


def changeable(vector: Vector | None, size: int, initial: float) -> Vector:
    """Return a vector that C may change: the given one if possible, else a copy; a new one in place of None."""
    if vector is None:
        return np.full(size, initial)
    if type(vector) is np.ndarray and vector.dtype == np.float64 and vector.flags.carray:
        return vector  # np.require() takes 1.2 microseconds to find that out
    return np.require(vector, np.float64, ["C", "W"])


def update_in_c(
    parameters: Sequence[Value], formula: str, constants: tuple[float, ...], vectors: tuple[Vector | None, ...]
) -> bool:
    """Change parameters by the formula of an optimizer, and the vectors in place; return whether all are finite."""
    finite: bool = native.engine.update(parameters, formula, constants, vectors)  # type: ignore[union-attr]
    return finite


def _read(parameters: Sequence[Value], of_gradients: bool) -> Vector:
    if _HAS_NUMPY and native.engine is not None:
        vector = np.empty(len(parameters))
        native.engine.read_numbers(parameters, of_gradients, vector)
        return vector
    for k, parameter in enumerate(parameters):
        if not isinstance(parameter, Value):
            raise TypeError(f"expected Values, got an object of type {type(parameter).__name__} at index {k}")
    return as_vector([p.grad for p in parameters] if of_gradients else [p.data for p in parameters])


def _write(parameters: Sequence[Value], vector: Vector, of_gradients: bool) -> None:
    if _HAS_NUMPY and native.engine is not None:
        native.engine.write_numbers(parameters, of_gradients, np.ascontiguousarray(vector, dtype=np.float64))
        return
    name = "grad" if of_gradients else "data"
    for parameter, number in zip(parameters, vector.tolist()):
        setattr(parameter, name, number)


def check_parameters(where: str, parameters: Iterable[Value]) -> list[Value]:
    """Return the parameters as a list, or raise an error that says why they cannot be trained.

    Args:
        where: the name of the caller, for the message.
        parameters: an iterable of Values.

    Raises:
        TypeError: if `parameters` is not an iterable of Values.
        ValueError: if it is empty, holds a Value twice, or holds the result of an operation.

    >>> check_parameters("SGD", [])
    Traceback (most recent call last):
        ...
    ValueError: SGD: expected at least one parameter, got none
    """
    if isinstance(parameters, Value) or not isinstance(parameters, Iterable):
        hint = "; pass its .parameters()" if hasattr(parameters, "parameters") else ""
        hint = "; put it into a list" if isinstance(parameters, Value) else hint
        raise TypeError(f"{where}: expected a list of Values, got an object of type {type(parameters).__name__}{hint}")
    found = list(parameters)
    if not found:
        raise ValueError(f"{where}: expected at least one parameter, got none")
    if native.engine is not None and native.engine.are_distinct_leaves(found):
        return found
    seen: dict[Value, int] = {}
    for i, parameter in enumerate(found):
        if not isinstance(parameter, Value):
            raise TypeError(f"{where}: expected Values, got an object of type {type(parameter).__name__} at index {i}")
        if not parameter.is_leaf:
            raise ValueError(
                f"{where}: expected leaves, got the result of an operation ({parameter._op!r}) at index {i}; "
                "train the Values it was computed from, or its .detach()"
            )
        if parameter in seen:
            raise ValueError(f"{where}: expected each parameter once, got index {seen[parameter]} again at index {i}")
        seen[parameter] = i
    return found
