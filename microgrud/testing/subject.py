"""The function under test, which can be called with floats, complex numbers, mpmath numbers or Values."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..autodiff.calls import positions_of
from ..autodiff.trees import Structure, as_array, flatten, indexed, joined, leaves_of, map_leaves
from ..common.arrays import is_array, load_numpy
from ..common.forking import CachedAttribute
from ..common.numbers import Number
from ..engine import Value
from ..engine.vectors import check_parameters

#: The precisions in which a relative error of 1e-6 cannot be distinguished from rounding.
_TOO_COARSE = ("float16", "bfloat16", "float32", "complex64")
_SCALAR = flatten(0.0, "a number")[1]


@dataclass(frozen=True)
class Subject:
    """A function with the structure of its arguments and of its result.

    Attributes:
        f: the function.
        args: the user's arguments; tensors as arrays.
        positions: the positions of the arguments to differentiate with respect to.
        structures: the structure of each of these arguments.
        makers: for each leaf of these arguments, a function that converts an array into a tensor of the kind of the
            leaf.
        parameters: the leaves in the function's closure to differentiate with respect to.
        point: the numbers in the arguments, flat, and those of the parameters.
        inputs: the name of each number, such as `x[0]['w'][1, 2]`.
    """

    f: Callable[..., Any]
    args: tuple[Any, ...]
    positions: tuple[int, ...]
    structures: tuple[Structure, ...]
    makers: tuple[Callable[[Any], Any], ...]
    parameters: tuple[Value, ...]
    point: tuple[float, ...]
    inputs: tuple[str, ...]

    @CachedAttribute
    def name(self) -> str:
        """The name of the function; an operation of `custom_op` has a name of its own."""
        return str(getattr(self.f, "__name__", getattr(self.f, "name", type(self.f).__name__)))

    def arguments(self, numbers: Sequence[Any]) -> list[Any]:
        """Return the arguments with these numbers in the place of those to differentiate with respect to."""
        built, varying = list(self.args), numbers
        if not self._takes_scalars:
            structure = self._structure
            own = zip(self.makers, structure.split(numbers), structure.shapes)
            varying = structure.assemble(make(x[0] if shape is None else as_array(x, shape)) for make, x, shape in own)
        for position, argument in zip(self.positions, varying):
            built[position] = argument
        return built

    # These are cached, since differences call the function some 150 times for each derivative.

    @CachedAttribute
    def _takes_scalars(self) -> bool:
        return all(structure.shapes == (None,) and structure.paths == ("",) for structure in self.structures)

    @CachedAttribute
    def _structure(self) -> Structure:
        return joined(self.structures)

    @CachedAttribute
    def _result(self) -> str:
        return f"the result of {self.name}"

    def leaves(self, numbers: Sequence[float]) -> list[Value]:
        """Return leaves with these numbers: new ones for the arguments, and the parameters themselves."""
        own = len(numbers) - len(self.parameters)
        for parameter, x in zip(self.parameters, numbers[own:]):
            parameter.data = x
        return [*map(Value, numbers[:own]), *self.parameters]

    def __call__(self, numbers: Sequence[Any]) -> tuple[list[Number], Structure]:
        """Call the function, and return the numbers of its result with their structure.

        Raises:
            TypeError: if a parameter, which holds a float, is to hold another number.
        """
        own = len(numbers) - len(self.parameters)
        for parameter, x in zip(self.parameters, numbers[own:]):
            if x is not parameter:
                if type(x) is not float:
                    raise TypeError("a parameter holds a float")
                parameter.data = x
        return flatten_result(self.f(*self.arguments(numbers)), self._result)


def make_subject(
    f: Callable[..., Any], args: tuple[Any, ...], argnums: int | tuple[int, ...] | None, parameters: Sequence[Value]
) -> Subject:
    """Make a Subject from a function and its arguments.

    Raises:
        TypeError, ValueError: if an argument does not consist of numbers, or `argnums` are not positions of arguments.
    """
    if not callable(f):
        raise TypeError(f"check_gradients: expected a function, got an object of type {type(f).__name__}")
    if not args and not parameters:
        raise ValueError("check_gradients: expected a point (the arguments of the function) or parameters, got neither")
    _check_call(f, args)
    leaves = tuple(check_parameters("check_gradients: parameters", parameters)) if parameters else ()
    positions = _positions(args, argnums)
    plain = tuple(as_plain(arg, f"argument {i}") for i, arg in enumerate(args))
    names = _names(f, len(args))
    structures: list[Structure] = []
    point: list[float] = []
    inputs: list[str] = []
    for position in positions:
        numbers, structure = flatten(plain[position], f"argument {position}")
        structures.append(structure)
        point.extend(x.data if isinstance(x, Value) else x for x in numbers)
        inputs.extend(places(structure, names[position]))
    point.extend(leaf.data for leaf in leaves)
    inputs.extend(leaf.label or f"parameters[{i}]" for i, leaf in enumerate(leaves))
    if not point:
        raise ValueError("check_gradients: expected at least one number to differentiate with respect to, got none")
    makers = tuple(_maker_like(leaf) for leaf in leaves_of([args[position] for position in positions]))
    kept = tuple(plain[i] if i in positions else args[i] for i in range(len(args)))
    return Subject(f, kept, positions, tuple(structures), makers, leaves, tuple(point), tuple(inputs))


def _signature(f: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(f)
    except (TypeError, ValueError):  # some functions in C have none
        return None


def _check_call(f: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Raise if the function does not take this number of arguments."""
    signature = _signature(f)
    try:
        if signature is not None:
            signature.bind(*args)
    except TypeError as error:
        raise TypeError(
            f"check_gradients: {getattr(f, '__name__', 'the function')}{signature} cannot be called with "
            f"{len(args)} argument{'s' * (len(args) != 1)}: {error}. Pass each argument of the function by itself; a "
            "list is one argument"
        ) from None


def _positions(args: tuple[Any, ...], argnums: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the positions to differentiate with respect to; by default all except arrays and tensors of integers."""
    if argnums is None:
        return tuple(i for i, arg in enumerate(args) if not _is_of_integers(arg))
    return positions_of(argnums, len(args), "check_gradients")[0]


def _is_of_integers(arg: Any) -> bool:
    kind = str(getattr(arg, "dtype", "")).rsplit(".", 1)[-1]
    return bool(kind) and kind.startswith(("int", "uint", "bool")) and bool(getattr(arg, "shape", ()))


def flatten_result(result: Any, where: str) -> tuple[list[Number], Structure]:
    """Return the numbers of a result (floats, Values, complex or mpmath numbers, arrays, tensors) and its structure."""
    if isinstance(result, (Value, complex)):
        return [result], _SCALAR
    if isinstance(result, float):
        return [float(result)], _SCALAR
    return flatten(as_plain(result, where), where, exact=True)


def as_plain(x: Any, where: str) -> Any:
    """Turn tensors (of PyTorch, JAX and the like) into NumPy arrays, also inside lists, tuples and dicts.

    Raises:
        TypeError: for tensors of single precision.
    """
    return map_leaves(lambda leaf, _: _plain_leaf(leaf, where), x)


def _plain_leaf(x: Any, where: str) -> Any:
    if (
        isinstance(x, (Value, float, int))
        or (is_array(x) and x.dtype == "float64")
        or (not hasattr(x, "dtype") and not hasattr(x, "__array__"))
    ):
        return x
    kind = str(getattr(x, "dtype", "")).rsplit(".", 1)[-1]
    if kind in _TOO_COARSE:
        raise TypeError(
            f"check_gradients: {where}: expected double precision, got {kind}, whose rounding hides small errors; use "
            "float64 (in JAX: jax.config.update('jax_enable_x64', True))"
        )
    if hasattr(x, "detach"):
        x = x.detach()
    return x if is_array(x) else load_numpy().asarray(x)


def _maker_like(leaf: Any) -> Callable[[Any], Any]:
    """Return a function that converts an array into a tensor of PyTorch if the leaf of an argument is one.

    Functions of JAX and HIPS autograd take NumPy arrays, while those of PyTorch only take tensors.
    """
    if type(leaf).__module__.partition(".")[0] != "torch":
        return lambda array: array
    return functools.partial(_tensor_like, leaf)


def _tensor_like(tensor: Any, array: Any) -> Any:
    """Return a leaf tensor with the numbers of an array that records gradients if the given one does."""
    torch: Any = sys.modules["torch"]
    if array.dtype == object:
        raise TypeError("a tensor of PyTorch holds no such numbers; pass the gradient under test as grad=")
    return torch.tensor(array).requires_grad_(tensor.requires_grad)


def places(structure: Structure, name: str) -> list[str]:
    """Return the name of each number of a structure: `w`, `w[0]`, `w['b'][1, 2]`."""
    return [
        text for path, shape in zip(structure.paths, structure.shapes) for text in indexed(name + path, shape or ())
    ]


def _names(f: Callable[..., Any], count: int) -> list[str]:
    """Return the names of the first parameters of a function, or numbers if they are unknown."""
    signature = _signature(f)
    names: list[str] = []
    for parameter in signature.parameters.values() if signature is not None else ():
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}[{i}]" for i in range(count - len(names))]
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
    return [*names[:count], *(f"argument {i}" for i in range(len(names), count))]
