"""Lists of parameters from and to NumPy vectors: one vector for their data, one for their gradients.

An optimizer reads both vectors, computes its update on them as a whole, and writes the data back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..common.forking import Lock
from . import native
from .value import Value

Vector: TypeAlias = npt.NDArray[np.float64]

_adding = Lock()


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


def clear_gradients(parameters: Iterable[Value]) -> None:
    """Set the parameters' gradients to zero, as by assignment: a recording in progress takes notice."""
    if native.engine is not None:
        native.engine.clear_gradients(parameters)
        return
    for parameter in parameters:
        parameter.grad = 0.0


def add_to_gradients(parameters: Sequence[Value], vector: Vector) -> None:
    """Add a vector to the parameters' gradients, in order: no update of another thread is lost that does so too."""
    if native.engine is not None:
        native.engine.add_to_numbers(parameters, True, np.ascontiguousarray(vector, dtype=np.float64))
        return
    with _adding:
        for parameter, number in zip(parameters, vector.tolist()):
            parameter.grad += number


def _read(parameters: Sequence[Value], of_gradients: bool) -> Vector:
    if native.engine is not None:
        vector = np.empty(len(parameters))
        native.engine.read_numbers(parameters, of_gradients, vector)
        return vector
    numbers = [p.grad for p in parameters] if of_gradients else [p.data for p in parameters]
    return np.fromiter(numbers, dtype=np.float64, count=len(parameters))


def _write(parameters: Sequence[Value], vector: Vector, of_gradients: bool) -> None:
    if native.engine is not None:
        native.engine.write_numbers(parameters, of_gradients, np.ascontiguousarray(vector, dtype=np.float64))
        return
    name = "grad" if of_gradients else "data"
    for parameter, number in zip(parameters, vector.tolist()):
        setattr(parameter, name, number)


def check_parameters(where: str, parameters: Iterable[Value]) -> list[Value]:
    """Return the parameters as a list, or say why they are none that can be trained.

    Args:
        where: who asks, for the message.
        parameters: an iterable of Values.

    Raises:
        TypeError: if it is no iterable of Values.
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
