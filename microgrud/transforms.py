"""Derivatives of functions: `grad`, `value_and_grad`, `jacobian`, `hessian`, `jvp` and `hvp`.

Each takes a function of numbers, NumPy arrays, or lists, tuples and dicts of them, and works by calling it with
Values in the place of the numbers. Arrays in give arrays out. They nest: the derivative of a function that itself
takes derivatives is right, also where an inner function closes over the argument of an outer one, since each
transform makes nodes of its own for its arguments.

Results are plain floats unless they depend on a Value that was passed in, or on an argument of a transform around
this one; then they are Values. Values that the function merely closes over (the parameters of a model, say) count as
constants; `microgrud.gradient` differentiates by those.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import ops, watching
from .engine import Value, topological_order
from .gradients import gradient, pushforward
from .operation import Number, is_real_scalar
from .recording import enable_grad
from .trees import Structure, flatten

# The arguments of all transforms that are being computed around this point of the program.
_outer_arguments: ContextVar[tuple[Value, ...]] = ContextVar("microgrud_outer_arguments", default=())


def grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Make the function that computes the gradient of `f`.

    Args:
        f: a function whose result is one number.
        argnums: the position of the argument to differentiate by, or a tuple of positions.

    Returns:
        A function of the same arguments; its result has the structure of the argument (a tuple of results for a
        tuple of positions).

    Raises:
        TypeError: (from the function returned) if an argument is not made of numbers, or the result is not one number.
        ValueError: (from the function returned) if there is no argument at a position.

    >>> grad(lambda x: x**3)(2.0)
    12.0
    >>> grad(grad(lambda x: x**3))(2.0)
    12.0
    >>> grad(lambda p: p["w"] * 3 + p["b"])({"w": 1.0, "b": 2.0})
    {'w': 3.0, 'b': 1.0}
    """
    both = value_and_grad(f, argnums)

    @functools.wraps(f)
    def gradient_of_f(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return gradient_of_f


def value_and_grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., tuple[Any, Any]]:
    """Make the function that computes `f` and its gradient in one go; arguments as for `grad`.

    >>> value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (6.0, (3.0, 2.0))
    """

    @functools.wraps(f)
    def value_and_gradient_of_f(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        call = _call_recorded(f, args, kwargs, argnums)
        output = call.scalar_output()
        (value,) = call.plain([output])
        return value, call.rebuild_arguments(call.plain(gradient(output, call.inputs)))

    return value_and_gradient_of_f


def jacobian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Make the function that computes all partial derivatives of all outputs of `f`, in reverse mode.

    Args:
        f: a function whose result is a number, an array, or a structure of them.
        argnums: the position of the argument to differentiate by, or a tuple of positions.

    Returns:
        A function whose result has the structure of the output of `f`, with in place of each leaf a structure like
        the argument: an array of shape output.shape + argument.shape, or a number where both are numbers.

    >>> jacobian(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 3.0])
    [[3.0, 2.0], [1.0, 1.0]]
    """

    @functools.wraps(f)
    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        call = _call_recorded(f, args, kwargs, argnums)
        outputs, structure = call.flat_outputs()
        rows = [call.plain(gradient(output, call.inputs)) for output in outputs]
        blocks = [call.rebuild_blocks(own, shape) for own, shape in zip(structure.split(rows), structure.shapes)]
        return structure.assemble(blocks)

    return jacobian_of_f


def hessian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Make the function that computes all second derivatives of `f`: the Jacobian of its gradient.

    Args and result as for `jacobian`; the result of `f` is one number.

    >>> hessian(lambda x: x[0] ** 2 * x[1])([2.0, 3.0])
    [[6.0, 4.0], [4.0, 0.0]]
    """
    return jacobian(grad(f, argnums), argnums)


def jvp(
    f: Callable[..., Any], primals: Any, tangents: Any, argnums: int | tuple[int, ...] | None = None
) -> tuple[Any, Any]:
    """Compute `f` and its derivative in a direction, the Jacobian-vector product J v, in forward mode.

    Args:
        f: a function of one or more arguments.
        primals: the arguments, as a tuple; an argument that is alone and no tuple may stand by itself.
        tangents: the direction v: for each argument that varies a structure of numbers like it.
        argnums: the positions of the arguments that vary; all of them by default.

    Returns:
        The result of `f`, and its directional derivative, in the same structure.

    Raises:
        TypeError, ValueError: if the tangents do not fit the primals.

    >>> jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 10.0))
    (6.0, 23.0)
    """
    args = primals if isinstance(primals, tuple) else (primals,)
    call = _call_recorded(f, args, {}, tuple(range(len(args))) if argnums is None else argnums)
    outputs, structure = call.flat_outputs()
    results = pushforward(outputs, call.directions(tangents))
    return structure.rebuild(call.plain(outputs)), structure.rebuild(call.plain(results))


def hvp(f: Callable[..., Any], primals: Any, tangents: Any, argnums: int | tuple[int, ...] = 0) -> Any:
    """Compute the Hessian of `f` times a vector, H v, without the Hessian: forward mode over reverse mode.

    Args:
        f: a function whose result is one number.
        primals: the arguments, as a tuple; an argument that is alone and no tuple may stand by itself.
        tangents: the vector v: for each argument to differentiate by a structure of numbers like it.
        argnums: the position of the argument to differentiate by, or a tuple of positions.

    Returns:
        H v, in the structure of the argument (a tuple of them for a tuple of positions).

    Raises:
        TypeError, ValueError: if the tangents do not fit the primals, or the result of `f` is not one number.

    >>> hvp(lambda x: x[0] ** 2 * x[1], ([2.0, 3.0],), ([1.0, 10.0],))
    [46.0, 4.0]
    """
    args = primals if isinstance(primals, tuple) else (primals,)
    call = _call_recorded(f, args, {}, argnums)
    with enable_grad():
        slopes = gradient(call.scalar_output(), call.inputs)
        results = pushforward(slopes, call.directions(tangents))
    return call.rebuild_arguments(call.plain(results))


@dataclass(frozen=True)
class _RecordedCall:
    """One call of a function with nodes in place of the numbers of some of its arguments."""

    name: str
    positions: tuple[int, ...]
    single: bool  # whether `argnums` was one position and not a tuple
    structures: tuple[Structure, ...]
    inputs: list[Value]
    result: Any
    live: set[Value]  # what results are to stay connected with

    def scalar_output(self) -> Value:
        """Return the result as a node, or say that it is not one number."""
        if isinstance(self.result, Value):
            return self.result
        if isinstance(self.result, np.ndarray) and self.result.shape == ():
            return _as_node(self.result.item())
        if is_real_scalar(self.result):
            return _as_node(self.result)
        raise TypeError(
            f"{self.name}: expected a function whose result is one number, got {type(self.result).__name__}; "
            "reduce it with microgrud.sum or mean, or use jacobian"
        )

    def flat_outputs(self) -> tuple[list[Value], Structure]:
        """Return the result as a list of nodes and its structure."""
        numbers, structure = flatten(self.result, f"the result of {self.name}")
        return [_as_node(x) for x in numbers], structure

    def plain(self, numbers: Sequence[Number]) -> list[Number]:
        """Turn results into floats, except those that depend on something live; for a recording all stay what they are.

        Of a number that depends on nothing live, such as the slope of a linear function, a recording would otherwise be
        told that it was looked at, and a parameter would be frozen.
        """
        if watching.current() is not None:
            return list(numbers)
        return [x if isinstance(x, Value) and self._is_live(x) else _as_float(x) for x in numbers]

    def rebuild_arguments(self, numbers: Sequence[Number]) -> Any:
        """Put a number for each input into the structure of the arguments."""
        rebuilt = [structure.rebuild(own) for structure, own in zip(self.structures, self._split(numbers))]
        return self._one_or_all(rebuilt)

    def rebuild_blocks(self, rows: Sequence[list[Number]], shape: tuple[int, ...] | None) -> Any:
        """Put the derivatives of one output (a number, or an array of this shape) into the arguments' structure."""
        if shape is None:
            (row,) = rows
            return self.rebuild_arguments(row)
        parts = zip(self.structures, self._split(range(len(self.inputs))))
        return self._one_or_all(
            [structure.rebuild_rows([[row[i] for i in own] for row in rows], shape) for structure, own in parts]
        )

    def _one_or_all(self, rebuilt: list[Any]) -> Any:
        """Return a tuple if `argnums` was one, and else the one there is."""
        if not self.single:
            return tuple(rebuilt)
        (only,) = rebuilt
        return only

    def _split(self, items: Sequence[Any]) -> list[Sequence[Any]]:
        """Cut a sequence with one item for each input into one part for each argument."""
        parts = []
        start = 0
        for structure in self.structures:
            parts.append(items[start : start + structure.size])
            start += structure.size
        return parts

    def directions(self, tangents: Any) -> dict[Value, Number]:
        """Pair every input with its tangent, or say which tangents do not fit."""
        parts = tangents if isinstance(tangents, tuple) else (tangents,)
        if len(parts) != len(self.positions):
            raise ValueError(
                f"tangents: expected {len(self.positions)}, one for each argument to differentiate by, got "
                f"{len(parts)}; argnums chooses the arguments"
            )
        numbers: list[Number] = []
        for i, (part, structure) in enumerate(zip(parts, self.structures)):
            own, own_structure = flatten(part, f"tangents[{i}]")
            leaves = dict(zip(own_structure.paths, zip(own_structure.shapes, own_structure.split(own))))
            if {path: shape for path, (shape, _) in leaves.items()} != dict(zip(structure.paths, structure.shapes)):
                raise ValueError(
                    f"tangents[{i}]: expected the structure of its argument, with {_leaves(structure)}; "
                    f"got {_leaves(own_structure)}"
                )
            numbers.extend(x for path in structure.paths for x in leaves[path][1])  # a dict may be in another order
        self.live.update(x for x in numbers if isinstance(x, Value))
        return dict(zip(self.inputs, numbers))

    def _is_live(self, node: Value) -> bool:
        return bool(self.live) and any(x in self.live for x in topological_order(node))


def _call_recorded(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], argnums: int | tuple[int, ...]
) -> _RecordedCall:
    """Call `f` with fresh nodes in place of the numbers of the arguments at `argnums`."""
    name = getattr(f, "__name__", type(f).__name__)
    positions = _positions(argnums, len(args), name)
    structures: list[Structure] = []
    inputs: list[Value] = []
    live = set(_outer_arguments.get())
    recorded = list(args)
    for position in positions:
        numbers, structure = flatten(args[position], f"argument {position} of {name}")
        live.update(x for x in numbers if isinstance(x, Value))
        nodes = [ops.IDENTITY(x) if isinstance(x, Value) else Value(x) for x in numbers]
        recorded[position] = structure.rebuild(nodes)
        structures.append(structure)
        inputs.extend(nodes)
    token = _outer_arguments.set((*_outer_arguments.get(), *inputs))
    try:
        with enable_grad():
            result = f(*recorded, **kwargs)
    finally:
        _outer_arguments.reset(token)
    return _RecordedCall(
        name, positions, not isinstance(argnums, (tuple, list)), tuple(structures), inputs, result, live
    )


def _positions(argnums: int | tuple[int, ...], count: int, name: str) -> tuple[int, ...]:
    """Return the positions as distinct integers from 0, or say what is wrong with them."""
    try:
        given = tuple(map(operator.index, argnums if isinstance(argnums, (tuple, list)) else (argnums,)))
    except TypeError:
        raise TypeError(f"{name}: expected argnums to be an integer or a tuple of integers, got {argnums!r}") from None
    for position in given:
        if not -count <= position < count:
            raise ValueError(f"{name}: expected an argument at position {position}, got {count} arguments")
    positions = tuple(position % count for position in given)
    if len(set(positions)) < len(positions):
        raise ValueError(f"{name}: expected distinct positions in argnums, got {argnums!r}")
    return positions


def _leaves(structure: Structure) -> str:
    leaves = [f"{p or 'it'}: {s or 'number'}" for p, s in zip(structure.paths, structure.shapes)]
    return ", ".join(leaves) or "no numbers"


def _as_node(x: Number) -> Value:
    return x if isinstance(x, Value) else Value(x)


def _as_float(x: Number) -> Number:
    if isinstance(x, Value):
        return x.detach() if watching.current() else x.data  # a recording reads the number anew at every call
    return float(x)
