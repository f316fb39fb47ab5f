"""A compiled function and its derivatives at a vector of parameters; no parameter and no grad changes."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..autodiff.trees import check_unmasked
from ..common.forking import Lock
from ..engine import Value
from ..engine.identity import all_identical
from ..engine.vectors import Vector, check_parameters, checked_vector, read_data, write_data
from ..nn.module import Module, has_parameters, leaves_of as module_leaves

if TYPE_CHECKING:
    from .branches import Recording
    from .evaluation import Evaluation
    from .recordings import Recordings
    from .signature import Arguments

#: Held while parameters have the numbers of a vector: another thread would compute with these, and restore them.
_assigning = Lock()


class Owner(NamedTuple):
    """The Module that parameters were found in, and its name in the function."""

    module: Module
    name: str


class Flat:
    """The places of leaves in a vector with one number for each parameter.

    Args:
        parameters: the parameters.
    """

    def __init__(self, parameters: Sequence[Value]) -> None:
        self.parameters = check_parameters("parameters", parameters)
        self.listed = tuple(self.parameters)
        self._index = {id(parameter): k for k, parameter in enumerate(self.parameters)}
        self._places: weakref.WeakKeyDictionary[Recording, tuple[np.ndarray, Sequence[Value]]]
        self._places = weakref.WeakKeyDictionary()

    def is_for(self, parameters: Sequence[Value]) -> bool:
        """Return whether the parameters are these: the same objects, whatever their numbers are."""
        return parameters is self.listed or bool(all_identical([parameters], [self.listed]))

    def evaluate(
        self, recordings: Recordings, vector: Any, args: tuple[Any, ...], owner: Owner | None
    ) -> tuple[float, Vector]:
        """Return the result of a function, and its derivatives with respect to the parameters, at a vector of these.

        Args:
            recordings: those of the function.
            vector: a number for each parameter.
            args: the arguments of the function.
            owner: the Module that the parameters were found in; None if they were given.
        """
        numbers = self.numbers("value_and_grad_flat: vector", vector)
        gradient = np.zeros(len(numbers))
        found = recordings.replayed(partial(self._replay, owner, numbers, gradient, None), args)
        if found is not None:
            return found[0], gradient
        result = self._at(numbers, recordings, args, lambda given: recordings.with_gradient(given))
        self._add(result, owner, gradient)
        return recordings.totals(result)[0], gradient

    def product(
        self, recordings: Recordings, numbers: Vector, args: tuple[Any, ...], owner: Owner | None, weights: Vector
    ) -> Vector:
        """Return the derivatives of the weighted sum of the results of a function with respect to the parameters.

        Args:
            recordings: those of the function.
            numbers: the numbers of the parameters.
            args: the arguments of the function.
            owner: the Module that the parameters were found in; None if they were given.
            weights: a weight for each number of the result.
        """
        product = np.zeros(len(numbers))
        if recordings.replayed(partial(self._replay, owner, numbers, product, weights), args) is None:
            seeds = weights.tolist()
            self._add(
                self._at(numbers, recordings, args, lambda given: recordings.evaluate(given, seeds)), owner, product
            )
        return product

    def outputs(self, recordings: Recordings, numbers: Vector, args: tuple[Any, ...], owner: Owner | None) -> Vector:
        """Return the numbers of the results of all samples: a row for each number."""
        found = recordings.replayed(partial(self._replay_outputs, owner, numbers, recordings.samples_in), args)
        if found is not None:
            outputs: Vector = found[0]
            return outputs
        result = self._at(numbers, recordings, args, lambda given: recordings.evaluate(given, None))
        for own in result.served:
            _in_vector(owner, *self._places_of(own.leaves))
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

    def _add(self, result: Evaluation, owner: Owner | None, gradient: Vector) -> None:
        """Add the derivatives with respect to leaves to those of the parameters."""
        for leaves, slopes in result.leaves:
            places = _in_vector(owner, *self._places_of(leaves))
            gradient[places[places >= 0]] += slopes[places >= 0]

    def _replay(
        self,
        owner: Owner | None,
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
        places = self._all_places(owner, recordings)
        return replay.flat(args, numbers, gradient, None, weights, None, places)

    def _replay_outputs(
        self,
        owner: Owner | None,
        numbers: Vector,
        samples_in: Callable[[tuple[Any, ...]], int],
        replay: Any,
        recordings: Sequence[Recording],
        args: tuple[Any, ...],
    ) -> Any:
        """Run a replay with the numbers in place of those of the parameters; return the results of all samples."""
        places = self._all_places(owner, recordings)
        outputs = np.empty((recordings[0].structure.size, samples_in(args)))
        done = replay.flat(args, numbers, None, outputs, None, None, places)
        return done if done is NotImplemented else outputs

    def _all_places(self, owner: Owner | None, recordings: Sequence[Recording]) -> np.ndarray:
        """Return the place in the vector of each leaf of all recordings, -1 for one that is not in it."""
        parts = []
        for recording in recordings:
            if recording not in self._places:
                self._places[recording] = self._places_of(recording.leaves)
            places, others = self._places[recording]
            parts.append(_in_vector(owner, places, others))
            if owner is not None and others:  # they are frozen, and need not be looked up again
                self._places[recording] = places, ()
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _places_of(self, leaves: Sequence[Value]) -> tuple[np.ndarray, Sequence[Value]]:
        """Return the place of each leaf in the vector, -1 for one that is not in it, and these others."""
        places = np.array([self._index.get(id(leaf), -1) for leaf in leaves], dtype=np.int64)
        return places, [leaf for leaf, place in zip(leaves, places) if place < 0]


def _in_vector(owner: Owner | None, places: np.ndarray, others: Sequence[Value]) -> np.ndarray:
    """Return the places of leaves; raise a ValueError if another leaf is none of the Module, not even a frozen one."""
    if others and owner is not None:
        own = set(map(id, module_leaves(owner.module)))
        other = next((x for x in others if id(x) not in own), None)
        if other is not None:
            raise ValueError(
                f"parameters: expected a function of the parameters of {owner.name}, got one that also depends on "
                f"{other.label or other!r}; give the parameters of the vector: parameters=[...]"
            )
    return places


def parameters_of(
    function: Callable[..., Any], instance: Any, given: Module | Sequence[Value] | None, known: Flat | None, method: str
) -> tuple[Sequence[Value], Owner | None]:
    """Return the parameters of a vector: those given, or those of the only Module that a function uses, and that.

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
    owner = None if given is not None else _module_of(function, instance, method)
    module = owner.module if owner is not None else given
    assert module is not None
    if known is not None and has_parameters(module, known.listed):
        return known.listed, owner
    return module.parameters(), owner


def _module_of(function: Callable[..., Any], instance: Any, method: str) -> Owner:
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
    return Owner(module, name)
