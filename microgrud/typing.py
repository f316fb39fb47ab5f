"""Types for the annotations of programs with microgrud, and the devices by which the package types its own functions.

`Number` is a Value or a float. A function of one number is annotated with `AnyNumber`, and an operation that maps over
arrays with `Elementwise`: the result is of the kind of the argument. The decorators `binary`, `reduction` and `loss`
give a function the overloads of its kind, and return it unchanged. mpmath has no types: for type checkers, the result
on an mpmath number is `Any`.

Annotate a function by the numbers that you call it with: for `grad(f)(2.0)` write `def f(x: float) -> float`, and for
`grad(f)(Value(2.0))` write `def f(x: Value) -> Value`, although `f` receives a Value in both. A function that returns a
Value only since it closes over one is `def f(x: float) -> Value`.

`grad(f)` is a `Gradient[P, R]`, where P are the parameters of `f` and R is its result; `compile(f)` is a
`microgrud.tape.Compiled[P, R]`.

>>> from microgrud import Value, exp
>>> def bell(x: AnyNumber) -> AnyNumber:
...     return exp(-x * x)
>>> bell(0.0), bell(Value(0.0))
(1.0, Value(data=1.0, grad=0.0))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Literal, NoReturn, ParamSpec, Protocol, TypeVar, Union, overload

from .common.numbers import Real
from .engine import Value

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["AnyNumber", "Binary", "Elementwise", "Gradient", "Jacobian", "Loss", "Number", "NumberOrArray", "Output"]
__all__ += ["Real", "Reduction", "ValueAndGradient", "Wraps"]

#: A Value or a float.
Number = Value | float
#: Numbers of one kind: float, Value, or Number. `def f(x: AnyNumber) -> AnyNumber` returns the kind that it is given.
AnyNumber = TypeVar("AnyNumber", float, Value, Number)
#: An operand of an operation on several numbers.
NumberOrArray = Union[Value, float, "npt.NDArray[Any]"]
#: Numbers of one kind, or an array: the type of an operation on one number, which maps over arrays.
Elementwise = TypeVar("Elementwise", float, Value, Number, "npt.NDArray[Any]")

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
ValueOrNumber = TypeVar("ValueOrNumber", Value, Number)
#: The result of a function whose compiled function returns a float for floats.
ValueOrFloat = TypeVar("ValueOrFloat", Value, float)
#: One float, or a structure of floats, as the type of an argument. (A type variable without constraints takes anything
#: in mypy, which does not compare it with the parameters of the function.)
FloatsT = TypeVar(
    "FloatsT",
    float,
    "npt.NDArray[np.float64]",
    "list[float]",
    "list[list[float]]",
    "tuple[float, ...]",
    "dict[str, float]",
)
ArrayOrFloat = TypeVar("ArrayOrFloat", "npt.NDArray[np.float64]", float)
#: One Value, or a structure of Values, as the type of an argument.
Values = TypeVar("Values", Value, "list[Value]", "tuple[Value, ...]", "dict[str, Value]", "Sequence[Value]")

if TYPE_CHECKING:
    Floats = npt.NDArray[np.number[Any] | np.bool_]
    Array = npt.NDArray[np.float64]

    class Output(Value, Sequence["Output"]):
        """The output of a model: a Value, a list of Values, or a list of such outputs.

        The number of outputs is no part of the type of a model. A type checker allows what any of the three allows.
        """

else:
    #: The output of a model: a Value, a list of Values, or a list of such outputs.
    Output = Union[Value, "list[Output]"]


class Named(Protocol):
    """A function: it has a name."""

    __name__: str


class Binary(Named, Protocol):
    """A function of two numbers: a Value if one of them is, an array for an array, otherwise a float."""

    @overload
    def __call__(self, x: npt.NDArray[Any], y: NumberOrArray) -> npt.NDArray[Any]: ...
    @overload
    def __call__(self, x: Number, y: npt.NDArray[Any]) -> npt.NDArray[Any]: ...
    @overload
    def __call__(self, x: Value, y: Number) -> Value: ...
    @overload
    def __call__(self, x: float, y: Value) -> Value: ...
    @overload
    def __call__(self, x: float, y: float) -> float: ...


class Reduction(Named, Protocol):
    """A function of a sequence of numbers: its result is a Value if they are Values, and a float if they are floats."""

    @overload
    def __call__(self, xs: Floats) -> float: ...
    @overload
    def __call__(self, xs: Iterable[Value]) -> Value: ...
    @overload
    def __call__(self, xs: Iterable[float]) -> float: ...
    @overload
    def __call__(self, xs: Iterable[Number]) -> Number: ...


class Loss(Named, Protocol[P]):
    """A function of a prediction, its target, and settings: its result is of the kind of the prediction.

    With `reduction="none"` the result is a list, or nested lists.
    """

    @overload
    def __call__(self, prediction: Any, target: Any, *args: Any, reduction: Literal["none"], **kwargs: Any) -> Any: ...
    @overload
    def __call__(self, prediction: Floats, target: Any, *args: P.args, **kwargs: P.kwargs) -> float: ...
    @overload
    def __call__(
        self,
        prediction: Value | Iterable[Value] | Iterable[Iterable[Value]],
        target: Any,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Value: ...
    @overload
    def __call__(
        self,
        prediction: float | Iterable[float] | Iterable[Iterable[float]],
        target: Any,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> float: ...
    @overload
    def __call__(
        self,
        prediction: Number | Iterable[Number] | Iterable[Iterable[Number]],
        target: Any,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Number: ...


class Wraps(Named, Protocol[P, R_co]):
    """A function made from another one, such as a compiled function: `__wrapped__` is that one."""

    @property
    def __wrapped__(self) -> Callable[P, R_co]:
        """The function inside."""


class Gradient(Wraps[P, R]):
    """A function of the parameters P that returns derivatives of a function with the result R.

    The derivative with respect to an argument has its structure. It consists of floats if floats were given and R is
    float; of Values if Values were given; and it is a Value if R is, which depends on Values from outside then.
    """

    @overload
    def __call__(self: Gradient[P, NoReturn], *args: P.args, **kwargs: P.kwargs) -> Any: ...  # where R is Any
    @overload
    def __call__(
        self: Gradient[Concatenate[FloatsT, Q], float], x: FloatsT, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> FloatsT: ...
    @overload
    def __call__(
        self: Gradient[Concatenate[Values, Q], Value], x: Values, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Values: ...
    @overload
    def __call__(
        self: Gradient[Concatenate[Number, Q], ValueOrNumber], x: Number, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Number: ...
    @overload
    def __call__(
        self: Gradient[Concatenate[float, Q], Value], x: float, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Value: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]  # mypy does not see P behind FloatsT and Q
        """Return the derivatives."""


class ValueAndGradient(Wraps[P, R]):
    """A function of the parameters P that returns the result R of a function, and a derivative as `Gradient` does."""

    @overload
    def __call__(self: ValueAndGradient[P, NoReturn], *args: P.args, **kwargs: P.kwargs) -> tuple[Any, Any]: ...
    @overload
    def __call__(
        self: ValueAndGradient[Concatenate[FloatsT, Q], float], x: FloatsT, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> tuple[float, FloatsT]: ...
    @overload
    def __call__(
        self: ValueAndGradient[Concatenate[Values, Q], Value], x: Values, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> tuple[Value, Values]: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> tuple[R, Any]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]  # see Gradient
        """Return the result and the derivative."""


class Jacobian(Wraps[P, R]):
    """A function of the parameters P that returns all derivatives, the first or second, of a function with result R.

    They are a float for a float, and an array for an array; for other structures see `microgrud.jacobian`.
    """

    @overload
    def __call__(self: Jacobian[P, NoReturn], *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def __call__(
        self: Jacobian[Concatenate[float, Q], float], x: float, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> float: ...
    @overload
    def __call__(
        self: Jacobian[Concatenate[Value, Q], Value], x: Value, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Value: ...
    @overload
    def __call__(
        self: Jacobian[Concatenate[Array, Q], ArrayOrFloat], x: Array, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Array: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]  # see Gradient
        """Return the derivatives."""


class JacobianTransform(Named, Protocol):
    """A transform such as `jacobian`, which makes a `Jacobian` of a function."""

    @overload
    def __call__(self, f: Wraps[P, R], argnums: Literal[0] = 0) -> Jacobian[P, R]: ...
    @overload
    def __call__(self, f: Callable[P, R], argnums: Literal[0] = 0) -> Jacobian[P, R]: ...
    @overload
    def __call__(self, f: Callable[P, Any], argnums: int | tuple[int, ...]) -> Callable[P, Any]: ...
    @overload
    def __call__(
        self, f: Callable[P, Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool
    ) -> Callable[P, Any]: ...


def binary(f: Any) -> Binary:
    """Give a function of two numbers the type `Binary`; return it unchanged."""
    made: Binary = f
    return made


def reduction(f: Any) -> Reduction:
    """Give a function of a sequence of numbers the type `Reduction`; return it unchanged."""
    made: Reduction = f
    return made


def loss(f: Callable[Concatenate[Any, Any, P], Any]) -> Loss[P]:
    """Give a loss the type `Loss`; return it unchanged."""
    made: Any = f
    return made  # type: ignore[no-any-return]


def jacobian_transform(f: Any) -> JacobianTransform:
    """Give a transform the type `JacobianTransform`; return it unchanged."""
    made: JacobianTransform = f
    return made
