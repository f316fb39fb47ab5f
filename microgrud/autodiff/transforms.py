"""Derivatives of functions: `grad`, `value_and_grad`, `jacobian`, `hessian`, `jvp` and `hvp`.

Each takes a function of numbers, NumPy arrays, or lists, tuples, dicts and dataclasses of them, and calls it with
Values in place of the numbers. For arrays the results are arrays. For a module, such as a network, they are dicts by
the names of its parameters. These are Values, so the results are Values connected with them (floats in `no_grad()`).
Transforms nest: the derivative of a function that itself takes derivatives is right, even if an inner function closes
over the argument of an outer one, since each transform makes nodes of its own for its arguments.

Results are floats and arrays of floats if the function computes with its own numbers only. If it reaches a Value from
outside (an argument that is a Value, a parameter of a model that it closes over, an argument of a transform around this
one), all results are Values connected with that Value: a loss made of derivatives has a gradient with respect to the
parameters. Inside `with no_grad():` results are always floats. (A Value in a reference cycle counts as one from outside
until the cycle is collected.)

A call of a transform takes time linear in the operations of its function, however they nest: it does not search the
history of the arguments, nor, with the C engine, what the function closes over. With the Python engine, pass Values
with a long history as arguments in a loop that is itself differentiated.

Only its own thread or asynchronous task knows of a transform in progress: do not use a copy of its variable, or a
compiled function that closes over it, in another one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, overload

from ..engine import Value
from ..engine.grad_mode import enable_grad
from ..typing import FloatsT, Gradient, Number, P, R, ValueAndGradient, Wraps, jacobian_transform
from .calls import RecordedCall
from .gradients import as_value
from .subgraph import Subgraph


@overload
def grad(f: Wraps[P, R], argnums: Literal[0] = 0) -> Gradient[P, R]: ...
@overload
def grad(f: Callable[P, R], argnums: Literal[0] = 0) -> Gradient[P, R]: ...
@overload
def grad(f: Callable[P, Any], argnums: tuple[int, ...]) -> Callable[P, tuple[Any, ...]]: ...
@overload
def grad(f: Callable[P, Any], argnums: int | tuple[int, ...]) -> Callable[P, Any]: ...
@overload
def grad(f: Callable[P, Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool) -> Callable[P, Any]: ...
def grad(f: Any, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any:
    """Make the function that computes the gradient of `f`.

    Args:
        f: a function whose result is one number.
        argnums: the position of the argument to differentiate with respect to, or a tuple of positions.
        has_aux: True for a function that returns a pair (number, aux): aux is any object, and is not differentiated.

    Returns:
        A function of the same arguments. Its result has the structure of the argument (a tuple of results for a tuple
        of positions), of Values if `f` reaches Values from outside, otherwise of floats. With `has_aux` it returns a
        pair of that and aux, in which the Values in lists, tuples, dicts and arrays are floats where the results are.

    Raises:
        TypeError: (by the returned function) if an argument is not made of numbers, the result is not one number, or
            `has_aux` is true and the function returns no pair.
        ValueError: (by the returned function) if there is no argument at a position.

    >>> grad(lambda x: x**3)(2.0)
    12.0
    >>> w = Value(3.0)
    >>> slope = grad(lambda x: w * x**2)(2.0)
    >>> slope.backward()
    >>> slope.data, w.grad
    (12.0, 4.0)
    >>> grad(grad(lambda x: x**3))(2.0)
    12.0
    >>> grad(lambda p: p["w"] * 3 + p["b"])({"w": 1.0, "b": 2.0})
    {'w': 3.0, 'b': 1.0}
    >>> grad(lambda x: (x**3, {"root": x, "unit": "m"}), has_aux=True)(2.0)
    (12.0, {'root': 2.0, 'unit': 'm'})
    """

    @functools.wraps(f)
    def gradient_of_f(*args: Any, **kwargs: Any) -> Any:
        call = RecordedCall(f, args, kwargs, argnums, scalar=True, has_aux=has_aux)
        return call.with_aux(call.arguments.rebuild(call.gradient_of(0)))

    return gradient_of_f


@overload
def value_and_grad(f: Wraps[P, R], argnums: Literal[0] = 0) -> ValueAndGradient[P, R]: ...
@overload
def value_and_grad(f: Callable[P, R], argnums: Literal[0] = 0) -> ValueAndGradient[P, R]: ...
@overload
def value_and_grad(f: Callable[P, R], argnums: int | tuple[int, ...]) -> Callable[P, tuple[R, Any]]: ...
@overload
def value_and_grad(
    f: Callable[P, Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool
) -> Callable[P, tuple[Any, Any]]: ...
def value_and_grad(f: Any, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any:
    """Make the function that computes `f` and its gradient together; arguments as for `grad`.

    With `has_aux` it returns ((value, aux), gradient).

    >>> value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (6.0, (3.0, 2.0))
    """

    @functools.wraps(f)
    def value_and_gradient_of_f(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        call = RecordedCall(f, args, kwargs, argnums, scalar=True, has_aux=has_aux)
        return call.with_aux(call.value()), call.arguments.rebuild(call.gradient_of(0))

    return value_and_gradient_of_f


@jacobian_transform
def jacobian(f: Any, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any:
    """Make the function that computes all partial derivatives of all outputs of `f`, in reverse mode.

    Args:
        f: a function whose result is a number, an array, or a structure of them.
        argnums: the position of the argument to differentiate with respect to, or a tuple of positions.
        has_aux: as for `grad`.

    Returns:
        A function whose result has the structure of the output of `f`, with a structure like the argument in place of
        each leaf: an array of shape output.shape + argument.shape, or a number if both are numbers. With `has_aux`, a
        pair of that and aux.

    >>> jacobian(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 3.0])
    [[3.0, 2.0], [1.0, 1.0]]
    """

    @functools.wraps(f)
    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        call = RecordedCall(f, args, kwargs, argnums, has_aux=has_aux)
        rows = [call.gradient_of(i) for i in range(call.structure.size)]
        return call.with_aux(call.structure.jacobian(rows, call.arguments))

    return jacobian_of_f


@jacobian_transform
def hessian(f: Any, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any:
    """Make the function that computes all second derivatives of `f`: the Jacobian of its gradient.

    Args and result as for `jacobian`; the result of `f` is one number.

    >>> hessian(lambda x: x[0] ** 2 * x[1])([2.0, 3.0])
    [[6.0, 4.0], [4.0, 0.0]]
    """
    return jacobian(grad(f, argnums, has_aux=has_aux), argnums, has_aux=has_aux)


@overload
def jvp(
    f: Callable[..., Value], primals: Any, tangents: Any, argnums: int | tuple[int, ...] | None = None
) -> tuple[Number, Number]: ...
@overload
def jvp(
    f: Callable[..., R], primals: Any, tangents: Any, argnums: int | tuple[int, ...] | None = None
) -> tuple[R, R]: ...
def jvp(
    f: Callable[..., Any], primals: Any, tangents: Any, argnums: int | tuple[int, ...] | None = None
) -> tuple[Any, Any]:
    """Compute `f` and its derivative in a direction, the Jacobian-vector product J v, in forward mode.

    Args:
        f: a function of one or more arguments.
        primals: the arguments, as a tuple; a single argument that is not a tuple may be given as it is.
        tangents: the direction v: for each argument that varies, a structure of numbers like it.
        argnums: the positions of the arguments that vary; all of them by default.

    Returns:
        The result of `f`, and its directional derivative in the same structure.

    Raises:
        TypeError, ValueError: if the tangents do not fit the primals.

    >>> jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 10.0))
    (6.0, 23.0)
    """
    args = primals if isinstance(primals, tuple) else (primals,)
    call = RecordedCall(f, args, {}, tuple(range(len(args))) if argnums is None else argnums)
    directions = call.directions(tangents)
    slopes = call.graph.push_forward(directions, call.as_numbers)
    return call.value(), call.structure.rebuild(call.results(slopes))


@overload
def hvp(
    f: Callable[..., float], primals: FloatsT | tuple[FloatsT], tangents: Any, argnums: Literal[0] = 0
) -> FloatsT: ...
@overload
def hvp(f: Callable[..., Any], primals: Any, tangents: Any, argnums: int | tuple[int, ...] = 0) -> Any: ...
def hvp(f: Callable[..., Any], primals: Any, tangents: Any, argnums: int | tuple[int, ...] = 0) -> Any:
    """Compute the Hessian of `f` times a vector, H v, without the Hessian: forward mode over reverse mode.

    Args:
        f: a function whose result is one number.
        primals: the arguments, as a tuple; a single argument that is not a tuple may be given as it is.
        tangents: the vector v: for each argument at `argnums`, a structure of numbers like it.
        argnums: the position of the argument to differentiate with respect to, or a tuple of positions.

    Returns:
        H v, in the structure of the argument (a tuple of them for a tuple of positions).

    Raises:
        TypeError, ValueError: if the tangents do not fit the primals, or the result of `f` is not one number.

    >>> hvp(lambda x: x[0] ** 2 * x[1], ([2.0, 3.0],), ([1.0, 10.0],))
    [46.0, 4.0]
    """
    args = primals if isinstance(primals, tuple) else (primals,)
    call = RecordedCall(f, args, {}, argnums, scalar=True)
    directions = call.directions(tangents)
    with enable_grad():
        slopes = list(map(as_value, call.graph.pull_back(0, False)))
        products = Subgraph(slopes, call.inputs, True).push_forward(directions, call.as_numbers)
    return call.arguments.rebuild(call.results(products))
