"""Recorded calls: one call of a function with nodes in place of the numbers of its arguments, for all transforms."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from ..common.numbers import Number, is_real_scalar
from ..common.words import name_of
from ..engine import Value, ops, tracing
from ..engine.copying import differentiating, is_differentiating
from ..engine.grad_mode import enable_grad, is_recording
from .frames import Frame, framed
from .gradients import as_value
from .subgraph import Subgraph, next_generation
from .trees import Structure, flatten, joined


class RecordedCall:
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
        name = name_of(f)
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
            numbers, self.structure = flatten(one_number(result, name, scalar), f"the result of {name}")
        self.outputs = [as_value(x) for x in [*numbers, *others]]
        if any(hasattr(type(args[p]), "with_parameters") for p in positions):
            _check_reached(parts, inputs, self.outputs, name)
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


def _check_reached(parts: Sequence[Any], inputs: Sequence[Value], outputs: Sequence[Value], name: str) -> None:
    """Raise if results depend on a parameter of a module itself, and not on what stands in its place in the copy.

    Raises:
        ValueError: as for a module with a function that closes over the module, which a copy of it does not know.
    """
    given = {id(x): node for x, node in zip((x for own, _ in parts for x in own), inputs)}
    ends, reached, waiting = {id(x) for x in inputs}, set(), list(outputs)
    while waiting:
        node = waiting.pop()
        if id(node) not in reached:
            reached.add(id(node))
            waiting.extend([] if id(node) in ends else [x for x in node._operands if isinstance(x, Value)])
    for key, node in given.items():
        if key in reached and id(node) not in reached:
            raise ValueError(
                f"{name}: expected a function of the parameters of the module that it is given, got one of those of "
                "another object, such as a function in an attribute that closes over the module: call methods of the "
                "module instead, or write .detach() where a parameter is to be a constant"
            )


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


def one_number(result: Any, name: str, wanted: bool) -> Any:
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
    if structure.paths == ("",):  # the structure is a number or an array itself
        return "one number" if structure.shapes == (None,) else f"an array of shape {structure.shapes[0]}"
    words = ["number" if shape is None else f"array of shape {shape}" for shape in structure.shapes]
    leaves = [f"{path}: {word}" for path, word in zip(structure.paths, words)]
    return ", ".join(leaves) or "no numbers"
