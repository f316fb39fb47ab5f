"""The value and the gradient of a compiled function at a vector of parameters; it changes no parameter and no grad."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autodiff.trees import check_unmasked
from ..common.forking import Lock
from ..engine import Value
from ..engine.identity import all_identical
from ..engine.vectors import Vector, check_parameters, checked_vector, read_data, write_data
from ..nn.module import Module

if TYPE_CHECKING:
    from .branches import Recording
    from .recordings import Recordings

#: Held while parameters have the numbers of a vector: another thread would compute with these, and restore them.
_assigning = Lock()


class Flat:
    """The places of leaves in a vector with one number for each parameter.

    Args:
        parameters: the parameters.
        name: the name of the Module that they were found in; None if they were given.
    """

    def __init__(self, parameters: Sequence[Value], name: str | None) -> None:
        self.parameters, self.name = check_parameters("value_and_grad_flat: parameters", parameters), name
        self._listed = tuple(self.parameters)
        self._index = {id(parameter): k for k, parameter in enumerate(self.parameters)}
        self._places: weakref.WeakKeyDictionary[Recording, Places] = weakref.WeakKeyDictionary()

    def is_for(self, parameters: list[Value], name: str | None) -> bool:
        """Return whether the parameters are these: the same objects, whatever their numbers are."""
        return name == self.name and bool(all_identical([parameters], [self._listed]))

    def evaluate(self, recordings: Recordings, vector: Any, args: tuple[Any, ...]) -> tuple[float, Vector]:
        """Return the result of a function, and its derivatives with respect to the parameters, at a vector of these.

        Args:
            recordings: those of the function.
            vector: a number for each parameter.
            args: the arguments of the function.
        """
        check_unmasked(vector, "value_and_grad_flat: vector")
        numbers = checked_vector("value_and_grad_flat: vector", vector, len(self.parameters))
        gradient = np.zeros(len(numbers))
        found = recordings.replayed(partial(self._replay, numbers, gradient), args)
        if found is not None:
            return found[0], gradient
        arguments = recordings.read(args, {})
        if arguments.has_values:
            raise TypeError("value_and_grad_flat: expected numbers as arguments, got a Value: pass its .data")
        with _assigning:
            before = read_data(self.parameters)
            write_data(self.parameters, numbers)
            try:
                result = recordings.with_gradient(arguments)
            finally:
                write_data(self.parameters, before)
        for leaves, slopes in result.leaves:
            self._places_of(leaves).add(slopes, gradient)
        return recordings.totals(result)[0], gradient

    def _replay(
        self, numbers: Vector, gradient: Vector, replay: Any, recordings: Sequence[Recording], args: tuple[Any, ...]
    ) -> Any:
        """Run a replay with the numbers in place of those of the parameters; add the derivatives to the gradient."""
        if recordings[0].structure.size != 1:
            return NotImplemented
        parts = []
        for recording in recordings:
            if recording not in self._places:
                self._places[recording] = self._places_of(recording.leaves)
            parts.append(self._places[recording])
        given = np.concatenate([places.take(numbers) for places in parts])
        slopes = np.empty(len(given))
        result = replay.flat(args, given, slopes, None)
        if result is not NotImplemented:
            for places in parts:
                places.add(slopes[: places.size], gradient)
                slopes = slopes[places.size :]
        return result

    def _places_of(self, leaves: Sequence[Value]) -> Places:
        """Find leaves in the vector."""
        places = Places(leaves, self._index)
        if places.others and self.name is not None:
            leaf = places.others[0]
            raise ValueError(
                f"value_and_grad_flat: expected a function of the parameters of {self.name}, got one that also depends "
                f"on {leaf.label or leaf!r}; give the parameters of the vector: parameters=[...]"
            )
        return places


class Places:
    """The places of the leaves of a recording in a vector; other leaves keep their own numbers."""

    def __init__(self, leaves: Sequence[Value], index: dict[int, int]) -> None:
        self.size = len(leaves)
        self.others = [leaf for leaf in leaves if id(leaf) not in index]
        found = np.array([index.get(id(leaf), -1) for leaf in leaves], dtype=np.int64)
        self._from, self._others_from = np.flatnonzero(found >= 0), np.flatnonzero(found < 0)
        self._to = found[self._from]

    def take(self, numbers: Vector) -> Vector:
        """Return a number for each leaf."""
        if not self.others:
            return numbers[self._to]
        taken = np.empty(self.size)
        taken[self._from], taken[self._others_from] = numbers[self._to], read_data(self.others)
        return taken

    def add(self, slopes: Vector, gradient: Vector) -> None:
        """Add the derivatives with respect to the leaves to those with respect to the vector."""
        gradient[self._to] += slopes[self._from] if self.others else slopes


def parameters_of(
    function: Callable[..., Any], instance: Any, given: Module | Sequence[Value] | None
) -> tuple[list[Value], str | None]:
    """Return the parameters of a vector: those given, or those of the only Module that a function uses, and its name.

    Args:
        function: the function.
        instance: the instance whose method it is, None for another function.
        given: the Values, or their Module; None to find it.

    Raises:
        TypeError: if none are given, and the function uses no Module, or several.
    """
    if isinstance(given, Module):
        return given.parameters(), None
    if given is not None:
        return list(given), None
    used = {"the object": instance, "the function": function, "its object": getattr(function, "__self__", None)}
    if inspect.isroutine(function):
        found = inspect.getclosurevars(function)
        used.update({**found.globals, **found.nonlocals})
    modules = {id(x): (x, name) for name, x in reversed(used.items()) if isinstance(x, Module)}
    if len(modules) != 1:
        names = ", ".join(sorted(name for _, name in modules.values())) or "none"
        raise TypeError(
            f"value_and_grad_flat: expected a function that uses one Module, got {names}; give the parameters of the "
            "vector: parameters=model.parameters()"
        )
    ((module, name),) = modules.values()
    return module.parameters(), name
