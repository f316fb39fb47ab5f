"""A compiled function and its derivatives at a vector of parameters; no parameter and no grad changes."""

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
from ..nn.module import Module, has_parameters

if TYPE_CHECKING:
    from .branches import Recording
    from .evaluation import Evaluation
    from .recordings import Recordings
    from .signature import Arguments

#: Held while parameters have the numbers of a vector: another thread would compute with these, and restore them.
_assigning = Lock()


class Flat:
    """The places of leaves in a vector with one number for each parameter.

    Args:
        parameters: the parameters.
    """

    def __init__(self, parameters: Sequence[Value]) -> None:
        self.parameters = check_parameters("parameters", parameters)
        self.listed = tuple(self.parameters)
        self._index = {id(parameter): k for k, parameter in enumerate(self.parameters)}
        self._places: weakref.WeakKeyDictionary[Recording, tuple[np.ndarray, Value | None]]
        self._places = weakref.WeakKeyDictionary()

    def is_for(self, parameters: Sequence[Value]) -> bool:
        """Return whether the parameters are these: the same objects, whatever their numbers are."""
        return parameters is self.listed or bool(all_identical([parameters], [self.listed]))

    def evaluate(
        self, recordings: Recordings, vector: Any, args: tuple[Any, ...], name: str | None
    ) -> tuple[float, Vector]:
        """Return the result of a function, and its derivatives with respect to the parameters, at a vector of these.

        Args:
            recordings: those of the function.
            vector: a number for each parameter.
            args: the arguments of the function.
            name: the name of the Module that the parameters were found in; None if they were given.
        """
        numbers = self.numbers("value_and_grad_flat: vector", vector)
        gradient = np.zeros(len(numbers))
        found = recordings.replayed(partial(self._replay, name, numbers, gradient, None), args)
        if found is not None:
            return found[0], gradient
        result = self._at(numbers, recordings, args, lambda given: recordings.with_gradient(given))
        self._add(result, name, gradient)
        return recordings.totals(result)[0], gradient

    def product(
        self, recordings: Recordings, numbers: Vector, args: tuple[Any, ...], name: str | None, weights: Vector
    ) -> Vector:
        """Return the derivatives of the weighted sum of the results of a function with respect to the parameters.

        Args:
            recordings: those of the function.
            numbers: the numbers of the parameters.
            args: the arguments of the function.
            name: the name of the Module that the parameters were found in; None if they were given.
            weights: a weight for each number of the result.
        """
        product = np.zeros(len(numbers))
        if recordings.replayed(partial(self._replay, name, numbers, product, weights), args) is None:
            seeds = weights.tolist()
            self._add(
                self._at(numbers, recordings, args, lambda given: recordings.evaluate(given, seeds)), name, product
            )
        return product

    def outputs(self, recordings: Recordings, numbers: Vector, args: tuple[Any, ...], name: str | None) -> Vector:
        """Return the numbers of the results of all samples: a row for each number."""
        found = recordings.replayed(partial(self._replay_outputs, name, numbers, recordings.samples_in), args)
        if found is not None:
            outputs: Vector = found[0]
            return outputs
        result = self._at(numbers, recordings, args, lambda given: recordings.evaluate(given, None))
        for own in result.served:
            _in_vector(name, *self._places_of(own.leaves))
        return result.outputs

    def numbers(self, where: str, vector: Any) -> Vector:
        """Return a number for each parameter as a new vector; raise an error if there are others."""
        check_unmasked(vector, where)
        return checked_vector(where, vector, len(self.parameters))

    def _at(
        self,
        numbers: Vector,
        recordings: Recordings,
        args: tuple[Any, ...],
        evaluate: Callable[[Arguments], Evaluation],
    ) -> Evaluation:
        """Evaluate a call while the parameters have the numbers of a vector."""
        arguments = recordings.read(args, {})
        if arguments.has_values:
            raise TypeError("arguments: expected numbers as arguments, got a Value: pass its .data")
        with _assigning:
            before = read_data(self.parameters)
            write_data(self.parameters, numbers)
            try:
                return evaluate(arguments)
            finally:
                write_data(self.parameters, before)

    def _add(self, result: Evaluation, name: str | None, gradient: Vector) -> None:
        """Add the derivatives with respect to leaves to those of the parameters."""
        for leaves, slopes in result.leaves:
            places = _in_vector(name, *self._places_of(leaves))
            gradient[places[places >= 0]] += slopes[places >= 0]

    def _replay(
        self,
        name: str | None,
        numbers: Vector,
        gradient: Vector,
        weights: Vector | None,
        replay: Any,
        recordings: Sequence[Recording],
        args: tuple[Any, ...],
    ) -> Any:
        """Run a replay with the numbers in place of those of the parameters; add the derivatives to the gradient."""
        if recordings[0].structure.size != (1 if weights is None else len(weights)):
            return NotImplemented
        places = self._all_places(name, recordings)
        return replay.flat(args, numbers, gradient, None, weights, None, places)

    def _replay_outputs(
        self,
        name: str | None,
        numbers: Vector,
        samples_in: Callable[[tuple[Any, ...]], int],
        replay: Any,
        recordings: Sequence[Recording],
        args: tuple[Any, ...],
    ) -> Any:
        """Run a replay with the numbers in place of those of the parameters; return the results of all samples."""
        places = self._all_places(name, recordings)
        outputs = np.empty((recordings[0].structure.size, samples_in(args)))
        done = replay.flat(args, numbers, None, outputs, None, None, places)
        return done if done is NotImplemented else outputs

    def _all_places(self, name: str | None, recordings: Sequence[Recording]) -> np.ndarray:
        """Return the place in the vector of each leaf of all recordings, -1 for one that is not in it."""
        parts = []
        for recording in recordings:
            if recording not in self._places:
                self._places[recording] = self._places_of(recording.leaves)
            parts.append(_in_vector(name, *self._places[recording]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _places_of(self, leaves: Sequence[Value]) -> tuple[np.ndarray, Value | None]:
        """Return the place of each leaf in the vector, -1 for one that is not in it, and the first of these."""
        places = np.array([self._index.get(id(leaf), -1) for leaf in leaves], dtype=np.int64)
        others = np.flatnonzero(places < 0)
        return places, leaves[others[0]] if len(others) else None


def _in_vector(name: str | None, places: np.ndarray, other: Value | None) -> np.ndarray:
    """Return the places of leaves; raise a ValueError if one is not a parameter of the Module with a name."""
    if other is not None and name is not None:
        raise ValueError(
            f"parameters: expected a function of the parameters of {name}, got one that also depends on "
            f"{other.label or other!r}; give the parameters of the vector: parameters=[...]"
        )
    return places


def parameters_of(
    function: Callable[..., Any], instance: Any, given: Module | Sequence[Value] | None, known: Flat | None, method: str
) -> tuple[Sequence[Value], str | None]:
    """Return the parameters of a vector: those given, or those of the only Module that a function uses, and its name.

    Args:
        function: the function.
        instance: the instance whose method it is, None for another function.
        given: the Values, or their Module; None to find it.
        known: the parameters of the last call: if a Module has the same, these are returned.
        method: the name of the method, for error messages.

    Raises:
        TypeError: if none are given, and the function uses no Module, or several.
    """
    if given is not None and not isinstance(given, Module):
        return given if type(given) in (list, tuple) else list(given), None
    module, name = (given, None) if given is not None else _module_of(function, instance, method)
    if known is not None and has_parameters(module, known.listed):
        return known.listed, name
    return module.parameters(), name


def _module_of(function: Callable[..., Any], instance: Any, method: str) -> tuple[Module, str]:
    """Return the only Module that a function uses, and its name."""
    used = {"the object": instance, "the function": function, "its object": getattr(function, "__self__", None)}
    if inspect.isroutine(function):
        found = inspect.getclosurevars(function)
        used.update({**found.globals, **found.nonlocals})
    modules = {id(x): (x, name) for name, x in reversed(used.items()) if isinstance(x, Module)}
    if len(modules) != 1:
        names = ", ".join(sorted(name for _, name in modules.values())) or "none"
        raise TypeError(
            f"{method}: expected a function that uses one Module, got {names}; give the parameters of the vector: "
            "parameters=model.parameters()"
        )
    ((module, name),) = modules.values()
    return module, name
