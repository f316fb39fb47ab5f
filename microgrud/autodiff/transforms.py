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
import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

from ..common.numbers import Number, is_real_scalar
from ..engine import Value, ops, tracing
from ..engine.copying import differentiating, is_differentiating
from ..engine.grad_mode import enable_grad, is_recording
from ..typing import FloatsT, Gradient, Number as ValueOrFloat, P, R, ValueAndGradient, Wraps, jacobian_transform
from .frames import Frame, framed
from .gradients import as_value
from .subgraph import Subgraph, next_generation
from .trees import Structure, flatten, joined


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
        call = _RecordedCall(f, args, kwargs, argnums, scalar=True, has_aux=has_aux)
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
        call = _RecordedCall(f, args, kwargs, argnums, scalar=True, has_aux=has_aux)
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
        call = _RecordedCall(f, args, kwargs, argnums, has_aux=has_aux)
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
) -> tuple[ValueOrFloat, ValueOrFloat]: ...
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
    call = _RecordedCall(f, args, {}, tuple(range(len(args))) if argnums is None else argnums)
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
    call = _RecordedCall(f, args, {}, argnums, scalar=True)
    directions = call.directions(tangents)
    with enable_grad():
        slopes = list(map(as_value, call.graph.pull_back(0, False)))
        products = Subgraph(slopes, call.inputs, True).push_forward(directions, call.as_numbers)
    return call.arguments.rebuild(call.results(products))


class _RecordedCall:
    """One call of a function with nodes in place of the numbers of the arguments at `argnums`.

    Args:
        f: the function.
        args: its positional arguments.
        kwargs: its keyword arguments.
        argnums: the position of the argument to differentiate with respect to, or a tuple of positions.
        scalar: whether the result has to be one number.
        has_aux: whether the function returns a pair of its result and an object that is not differentiated.

    Attributes:
        arguments: the structure of the arguments to differentiate with respect to: a tuple, unless `argnums` was one
            position. The paths in it begin with their positions in the tuple in either case.
        count: the number of these arguments.
        inputs: the nodes in them.
        outputs: the nodes in the result, and then those in the object that is not differentiated.
        structure: the structure of the result.
        aux: the rest of that object; None without one.
        generation: that of `inputs`; see `Subgraph`.
        graph: the graph between inputs and outputs.
        connected: True if results are Values, since the function reached Values from outside.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        argnums: int | tuple[int, ...],
        scalar: bool = False,
        has_aux: bool = False,
    ) -> None:
        name = getattr(f, "__name__", type(f).__name__)
        self.generation = next_generation()
        positions, single = positions_of(argnums, len(args), name)
        parts = [flatten(parameters_in(args[p]), f"argument {p} of {name}") for p in positions]
        self.inputs = inputs = [ops.IDENTITY(x) if isinstance(x, Value) else Value(x) for own, _ in parts for x in own]
        self.arguments = joined([structure for _, structure in parts], single)
        self.count = len(positions)
        recorded = list(args)
        varying = self.arguments.rebuild(inputs)
        for position, argument in zip(positions, (varying,) if single else varying):
            recorded[position] = like(args[position], argument)
        with differentiating(inputs):
            result = _recorded(f, recorded, kwargs)
            self.aux: Frame | None = None
            others: list[Number] = []
            if has_aux:
                result, aux = _pair(result, name)
                others, self.aux = framed(aux)
                del aux
            numbers, self.structure = flatten(_one_number(result, name, scalar), f"the result of {name}")
        self.outputs = [as_value(x) for x in [*numbers, *others]]
        del numbers, others, result  # their references to the outputs would count as references from outside
        given_values = any(not x.is_leaf for x in inputs)  # an input that copies a Value is not a leaf
        self.graph = Subgraph(self.outputs, inputs, True, self.generation)
        self.connected = is_recording() and (given_values or self.graph.outside is not None)

    @property
    def as_numbers(self) -> bool:
        """True if nothing can differentiate the results again, so that they need no graph."""
        return not self.connected and tracing.current() is None

    def value(self) -> Any:
        """Return the result of the function, as the caller receives it."""
        return self.structure.rebuild(self.results(self.outputs[: self.structure.size]))

    def with_aux(self, result: Any) -> Any:
        """Return a result, or a pair of it and the object that is not differentiated, if there is one."""
        if self.aux is None:
            return result
        return result, self.aux.fill(self.results(self.outputs[self.structure.size :]))

    def gradient_of(self, output: int) -> list[Number]:
        """Return the derivative of the output at an index with respect to each input, as the caller receives it."""
        return self.results(self.graph.pull_back(output, self.as_numbers))

    def results(self, numbers: Sequence[Number]) -> list[Number]:
        """Return numbers in the form that the caller receives: all Values, or all floats.

        In a recording they stay as they are, since reading the number of a Value would freeze a parameter.
        """
        if tracing.current() is not None:
            return list(numbers)
        if not self.connected:
            return [x.data if isinstance(x, Value) else float(x) for x in numbers]
        if is_differentiating():  # a transform around this one is in progress
            # The number of the first branch, in a node that reaches all that the function has reached. The result need
            # not depend on it (the derivative of w + x**2 is 2 x), but where the function has reached a Value from
            # outside of the transform around this one, too, that one has to see that its results are to be Values.
            reached = self.outputs[0] if len(self.outputs) == 1 else ops.SUM(*self.outputs)
            return [ops.WHERE(1.0, x, reached) for x in numbers]
        # New nodes, so that an assignment to a result's .data changes none of the user's.
        return [ops.IDENTITY(x) if isinstance(x, Value) else Value(x) for x in numbers]

    def directions(self, tangents: Any) -> list[Number]:
        """Return the tangent of every input; raise an error that says which tangents do not fit."""
        numbers = numbers_like(self.arguments, tangents_of(tangents, self.count), "tangents", "arguments")
        self.connected |= is_recording() and any(isinstance(x, Value) for x in numbers)
        return numbers


def numbers_like(wanted: Structure, tree: Any, name: str, of: str) -> list[Number]:
    """Return the numbers of a structure that has to be like another one, in the order of that.

    Raises:
        ValueError: if it is not; the message begins with `name`, and names the wanted structure that `of` something.
    """
    given, structure = flatten(tree, name)
    leaves = dict(zip(structure.paths, zip(structure.shapes, structure.split(given))))
    shapes = dict(zip(wanted.paths, wanted.shapes))
    if {path: shape for path, (shape, _) in leaves.items()} != shapes:
        raise ValueError(
            f"{name}: expected the structure of the {of}, with {_leaves(wanted)}; got {_leaves(structure)}"
        )
    return [x for path in shapes for x in leaves[path][1]]  # a dict may be in another order


def _pair(result: Any, name: str) -> tuple[Any, Any]:
    """Return a result that has to be a pair; raise if it is not."""
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        got = f"{len(result)} items" if isinstance(result, (tuple, list)) else type(result).__name__
        raise TypeError(f"{name}: with has_aux, expected a function that returns a pair (result, aux), got {got}")
    return result[0], result[1]


def _recorded(f: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call a function with recording switched on; where it is on already, switching would cost 1 us."""
    if is_recording():
        return f(*args, **kwargs)
    with enable_grad():
        return f(*args, **kwargs)


def parameters_in(argument: Any) -> Any:
    """Return the parameters of a module by name, and any other argument as it is."""
    return dict(argument.named_parameters()) if hasattr(type(argument), "with_parameters") else argument


def like(argument: Any, tree: Any) -> Any:
    """Return a module with the parameters in a tree if the argument is a module, otherwise the tree."""
    return argument.with_parameters(tree) if hasattr(type(argument), "with_parameters") else tree


def _one_number(result: Any, name: str, wanted: bool) -> Any:
    """Return the result of a function unchanged; raise if one number is wanted and it is not one."""
    is_number = isinstance(result, Value) or is_real_scalar(result)
    if wanted and not is_number and getattr(result, "shape", None) != ():
        raise TypeError(
            f"{name}: expected a function whose result is one number, got {type(result).__name__}; "
            "reduce it with microgrud.sum or mean, or use jacobian"
        )
    return result


def positions_of(
    argnums: int | tuple[int, ...], count: int, name: str, distinct: bool = True
) -> tuple[tuple[int, ...], bool]:
    """Return the positions of arguments as integers from 0, and whether `argnums` is one position and not a tuple.

    Raises:
        TypeError, ValueError: if it is neither, or there is no such argument, or a position occurs twice and positions
            have to be distinct.
    """
    if type(argnums) is int and 0 <= argnums < count:  # 0.1 us instead of 1
        return (argnums,), True
    single = not isinstance(argnums, (tuple, list))
    try:
        given = tuple(map(operator.index, (argnums,) if single else argnums))  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name}: expected argnums to be an integer or a tuple of integers, got {argnums!r}") from None
    for position in given:
        if not -count <= position < count:
            raise ValueError(f"{name}: expected an argument at position {position}, got {count} arguments")
    positions = tuple([position % count for position in given])
    if distinct and len(set(positions)) < len(positions):
        raise ValueError(f"{name}: expected distinct positions in argnums, got {argnums!r}")
    return positions, single


def tangents_of(tangents: Any, count: int) -> tuple[Any, ...]:
    """Return the tangents of `count` arguments, given as a tuple, or one that is not a tuple as it is.

    Raises:
        ValueError: if there are more or fewer.
    """
    parts = tangents if isinstance(tangents, tuple) else (tangents,)
    if len(parts) != count:
        raise ValueError(
            f"tangents: expected {count}, one for each argument to differentiate with respect to, got {len(parts)}; "
            "argnums chooses the arguments"
        )
    return parts


def _leaves(structure: Structure) -> str:
    leaves = [f"{path}: {shape or 'number'}" for path, shape in zip(structure.paths, structure.shapes)]
    return ", ".join(leaves) or "no numbers"
