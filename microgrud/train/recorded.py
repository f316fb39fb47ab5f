"""The mean loss over samples, with its gradient, from recordings of the loss of one.

The user wrote a model and a loss for numbers, and a recording is made with Values: so each recording is compared with a
call with plain numbers before it is used.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..engine import Value, topological_order, tracing
from ..engine.vectors import Vector, read_gradients, write_gradients
from ..tape.arguments import Arguments, read_arguments
from ..tape.evaluation import Evaluation, evaluate
from ..tape.family import Family
from ..tape.integers import IntegerArgument
from ..tape.recorder import CompileError
from .batches import Samples
from .evaluation import Loss
from .listed import Listed
from .randomness import GlobalState

__all__ = ["Measured", "RecordedLoss"]

#: Recordings that are kept for later batches that may need them.
_MOST_RECORDINGS = 128
#: How many recordings a family may have: here batches have a limit of their own.
_NO_LIMIT = 2**62


class Measured(NamedTuple):
    """The mean loss over some samples.

    Attributes:
        loss: the mean.
        predictions: one for each sample; none if nobody asked for them.
        gradient: derivatives in parts: each a list of leaves, and a number for each.
    """

    loss: float
    predictions: list[Any]
    gradient: list[tuple[list[Value], Vector]]

    def add_gradient(self) -> None:
        """Add the derivatives to the `grad` of the leaves.

        The parts come in the order in which branches were first taken. They are added in one that does not depend on
        it, so that a run that is resumed, whose recordings are new, goes on to the same bits.
        """
        for leaves, numbers in sorted(self.gradient, key=lambda part: part[1].tobytes()):
            write_gradients(leaves, read_gradients(leaves) + numbers)

    def leaves(self) -> list[Value]:
        """Return the leaves by which the derivative is not 0: others may only have decided a branch."""
        return [leaf for leaves, numbers in self.gradient for leaf, number in zip(leaves, numbers.tolist()) if number]


class RecordedLoss:
    """The mean loss over samples, from recordings.

    Args:
        model: as `fit` was given it, in the mode in which it is to be recorded.
        loss: likewise.
        samples: those that batches are taken from.
        with_predictions: whether somebody asks for them.
        most_paths: how many ways through the branches of model and loss a batch may take that has a gradient.
        check: called, before anything is recorded, with the number of operands that the operations on a sample have.
        listed: the watch over what model and loss depend on; None if the user vouches for them.

    Attributes:
        scale: the largest absolute loss that the model has given: differences far below it are rounding.
        random: a context in which model and loss draw no numbers from the global generators that others miss.

    Raises:
        CompileError: if it cannot be recorded. What model and loss raise, it raises here too.
    """

    def __init__(
        self,
        model: Any,
        loss: Loss,
        samples: Samples,
        with_predictions: bool,
        most_paths: int,
        check: Callable[[int], object],
        listed: Listed | None,
    ) -> None:
        self.model, self.loss, self.samples = model, loss, samples
        self.with_predictions, self.most_paths, self.listed = with_predictions, most_paths, listed
        self._recorded: list[tuple[Any, Any, float]] = []  # in the present batch: samples, and what they gave
        self.random = GlobalState()
        self.scale = 0.0
        with self.random:
            first, _ = self.by_model(samples.rows[0], samples.targets[0])
            check(sum(len(node._operands) for node in topological_order(first)))
            self.arguments, self.family = self._record_by_type_of_targets(samples, first._data)
        self._numbers, self._integers = np.array(self.arguments.numbers), np.array(self.arguments.integers)

    def __call__(self, indices: Sequence[int], gradient: bool) -> Measured:
        """Evaluate the mean loss over samples.

        Args:
            indices: of the samples.
            gradient: whether to compute its derivatives.

        Raises:
            CompileError: if it cannot be recorded. What model and loss raise, it raises here too.
        """
        self._recorded = []
        seeds = None
        if gradient:  # of the loss, and not of the predictions
            seeds = [1.0 / len(indices)] + [0.0] * (self.family.paths[0].structure.size - 1)
        result = evaluate(self.family, self._arguments(indices), seeds, "raise")
        self._check_recordings(result)
        losses = result.outputs[0].tolist()
        return Measured(math.fsum(losses) / len(losses), self._predictions(result), result.leaves)

    def change(self) -> str | None:
        """Return the name of something that the recordings hold for and that has changed; see `Listed.change`."""
        return None if self.listed is None else self.listed.change()

    # --- what is recorded ---

    def _sample(self, row: Any, target: Any) -> Any:
        """Return the loss of a sample, and the prediction if somebody asks for it."""
        recording = tracing.current() is not None
        if recording:
            if len(self._recorded) >= 2 * self.most_paths:  # each is recorded twice
                raise self._too_many_paths()
            self.random.save()
        target = _with_tuples(self.samples.targets[0], target)  # tuples, where that has tuples
        try:
            prediction = self.model(row)
            loss = self.loss(prediction, target)
        finally:
            if recording and self.listed is not None:
                self.listed.check_unchanged()
        if recording:
            if not isinstance(loss, Value):
                raise CompileError(f"expected a Value as loss, got {loss!r}")
            if self.with_predictions:
                _check_prediction(prediction)
            self._recorded.append((_plain_numbers(row), _plain_numbers(target), loss._data))
        return (loss, prediction) if self.with_predictions else (loss,)

    def _record_by_type_of_targets(self, samples: Samples, expected: float) -> tuple[Arguments, Family]:
        """Return the samples as arguments, with a recording of the first; whole targets as what the loss takes them.

        As floats, one recording serves all of them. Class indices, which the loss looks up by, have to be integers; if
        it computes with them, each integer has a recording of its own, which will do if they are few.
        """
        targets, example = _as_array(samples.targets), samples.targets[0]
        if any(_nested_types(target) != _nested_types(example) for target in samples.targets):
            raise CompileError("the targets are lists and tuples")
        refusal: Exception | None = None
        kinds: list[Any] = [np.float64]
        if targets.dtype.kind != "f" or (targets == np.floor(targets)).all():
            kinds.append(np.int64)
        for kind in kinds:
            arguments = read_arguments(
                ["row", "target"], (samples.rows, targets.astype(kind).tolist()), {}, ("row", "target")
            )
            family = Family(self._sample, _NO_LIMIT, os.cpu_count() or 1)
            try:
                self._record_first(arguments, family, samples, expected)
            except Exception as error:
                refusal = error
                continue
            classes = len(np.unique(targets)) if family.paths[0].program.static_integers else 0
            if classes > self.most_paths:
                raise CompileError(
                    f"it looks at whole targets, of which there are {classes}; use microgrud.take(table, k)"
                )
            return arguments, family
        raise refusal or CompileError("it cannot be recorded")

    def _record_first(self, arguments: Arguments, family: Family, samples: Samples, expected: float) -> None:
        numbers, integers = arguments.sample(0)
        given = arguments.rebuild([float(x) for x in numbers], integers)[0]
        as_given = repr(given) == repr([samples.rows[0], samples.targets[0]])
        if not as_given and self.by_model(given[0], _with_tuples(samples.targets[0], given[1]))[0]._data != expected:
            raise CompileError("it does something else with lists in the place of tuples, or with floats of integers")
        self._recorded = []
        if family.add(arguments, numbers, integers) is None:
            raise CompileError("it catches the error of an operation")
        self._check_close(self._recorded[0][2], expected)

    def _arguments(self, indices: Sequence[int]) -> Arguments:
        numbers, integers = (list(x[:, indices]) if len(x) else [] for x in (self._numbers, self._integers))
        return replace(self.arguments, samples=len(indices), numbers=numbers, integers=integers)

    def _predictions(self, result: Evaluation) -> list[Any]:
        assert result.structure is not None
        if not self.with_predictions:
            return []
        paths = result.structure.paths
        if paths[1:] == tuple(f"[1][{i}]" for i in range(len(paths) - 1)) and result.structure.size == len(paths):
            lists: list[Any] = result.outputs[1:].T.tolist()
            return lists
        if paths == ("[0]", "[1]") and result.structure.size == 2:
            numbers: list[Any] = result.outputs[1].tolist()
            return numbers
        return [result.structure.rebuild(numbers)[1] for numbers in result.outputs.T.tolist()]

    # --- whether it can be believed ---

    def by_model(self, row: Any, target: Any) -> tuple[Value, Any]:
        """Return the loss of a sample, and the prediction, computed by the model with plain numbers."""
        self.random.save()
        given = copy.deepcopy((row, target))
        try:
            prediction = self.model(given[0])
            loss = self.loss(prediction, given[1])
        finally:
            if self.listed is not None:
                self.listed.check_unchanged()
        if given != (row, target):
            raise CompileError("a call changes the row or the target that it is given")
        if not isinstance(loss, Value):
            raise CompileError(f"expected a Value as loss, got {loss!r}")
        self.scale = max(self.scale, abs(loss._data))
        return loss, prediction

    def _check_recordings(self, result: Evaluation) -> None:
        """Raise a CompileError unless the recordings that a batch takes are few, and those that it has added right."""
        # Those that have a part in the gradient: a resumed run, whose recordings are new, counts the same.
        if len(result.leaves) > self.most_paths:
            raise self._too_many_paths()
        for row, target, loss in self._recorded[::2]:
            self._check_close(loss, self.by_model(row, target)[0]._data)
        if len(self.family.paths) > _MOST_RECORDINGS:
            self.family.paths = sorted(self.family.paths, key=lambda path: path.used)[-_MOST_RECORDINGS:]

    def _check_close(self, loss: float, expected: float) -> None:
        if not math.isclose(loss, expected, rel_tol=1e-6, abs_tol=1e-9 * self.scale):
            raise CompileError(f"with Values in the place of the numbers of a sample it is {loss}, not {expected}")

    def _too_many_paths(self) -> CompileError:
        return CompileError(f"a batch takes more than {self.most_paths} ways through its branches, or integers")


def _as_array(targets: list[Any]) -> Any:
    """Return targets as an array of floats, integers or truth values.

    Raises:
        CompileError: if they are anything else.
    """
    try:
        array = np.array(targets)
    except ValueError:  # of different lengths
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        raise CompileError("the targets are not numbers, or lists of as many numbers each")
    if array.dtype.kind in "iu" and (np.abs(array.astype(np.float64)) > 2**53).any():
        raise CompileError("the targets are integers beyond 2**53, which are no floats")
    return array


def _nested_types(x: Any) -> Any:
    """Return the types of nested lists and tuples."""
    return (type(x), *map(_nested_types, x)) if isinstance(x, (list, tuple)) else None


def _with_tuples(example: Any, x: Any) -> Any:
    """Return nested lists of numbers with tuples where the example has tuples."""
    if not isinstance(example, (list, tuple)):
        return x
    return type(example)([_with_tuples(e, item) for e, item in zip(example, x)])


def _plain_numbers(x: Any) -> Any:
    """Return the numbers of a sample that is being recorded, in lists as there, as plain numbers."""
    if isinstance(x, Value):
        return x._data
    if isinstance(x, IntegerArgument):
        return x._number  # its index would be looked at, and one recording hold for it alone
    return type(x)([_plain_numbers(item) for item in x]) if isinstance(x, (list, tuple)) else x


def _check_prediction(prediction: Any) -> None:
    """Raise if a metric would be given another type of number: a replay has floats alone."""
    parts = [prediction]
    for part in parts:
        if isinstance(part, (list, tuple, np.ndarray)):
            parts.extend(part)
        elif not isinstance(part, (Value, float)):
            raise CompileError(f"expected Values and floats as prediction, got {part!r}")
