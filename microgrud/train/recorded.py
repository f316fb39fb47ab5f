"""The mean loss over samples, with its gradient, from recordings of the loss of one sample.

The user wrote model and loss for plain numbers, and a recording calls them with Values. So each recording is compared
with a call with plain numbers before it is used.
"""

from __future__ import annotations

import copy
import functools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.containers import opened
from ..autodiff.gradients import numbers_of_gradient
from ..autodiff.trees import flatten
from ..common.generators import GlobalState
from ..engine import Value, topological_order, tracing
from ..engine.identity import all_identical
from ..engine.vectors import Vector, add_to_gradients, write_gradients
from ..functions import dot, mean
from ..optim.optimizer import Optimizer
from ..tape.evaluation import Evaluation
from ..tape.recorder import CompileError
from ..tape.verified import VerifiedRecordings
from .batches import Samples
from .dependencies import Dependencies
from .evaluation import Loss, number
from .inputs import Inputs, targets_as_array
from .masks import Masks


class Measured(NamedTuple):
    """The mean loss over some samples.

    Attributes:
        loss: the mean.
        predictions: one for each sample; empty if they are not needed.
        gradient: derivatives in parts: each with leaves, and a number for each leaf.
        data: the numbers of the leaves of the only part, if they were read into a vector.
    """

    loss: float
    predictions: list[Any]
    gradient: list[tuple[Sequence[Value], Vector]]
    data: Vector | None = None

    def set_gradient(self, clear: Callable[[], object]) -> tuple[Vector, Vector] | None:
        """Clear gradients, and add the derivatives: in one pass if the leaves are all that an optimizer would clear.

        Returns:
            The numbers of the leaves and their derivatives, if it took one pass.
        """
        if self.data is not None and getattr(clear, "__func__", None) is Optimizer.zero_grad:
            groups = clear.__self__.param_groups  # type: ignore[attr-defined]
            (leaves, slopes), *_ = self.gradient
            if len(groups) == 1 and all_identical([groups[0]["params"]], [leaves]) and tracing.current() is None:
                write_gradients(leaves, slopes)
                return self.data, slopes
        clear()
        self.add_gradient()
        return None

    def add_gradient(self) -> None:
        """Add the derivatives to the `grad` of the leaves.

        The parts come in the order in which branches were first taken. They are added in an order that does not depend
        on it, so that a resumed run, whose recordings are new, continues with bit-identical results.
        """
        parts = self.gradient
        for leaves, numbers in sorted(parts, key=lambda part: part[1].tobytes()) if len(parts) > 1 else parts:
            add_to_gradients(leaves, numbers)

    def leaves(self) -> list[Value]:
        """Return the leaves with a derivative other than 0: the others may only have decided a branch."""
        return [leaf for leaves, numbers in self.gradient for leaf, number in zip(leaves, numbers.tolist()) if number]


@dataclass(eq=False)
class RecordedLoss:
    """The mean loss over samples, from recordings.

    Args:
        model: the argument of `fit`, in the mode in which it is recorded.
        loss: the argument of `fit`.
        samples: the samples that batches consist of.
        with_predictions: whether predictions are needed.
        most_paths: the maximum number of branch paths in a batch with a gradient.
        check: called before anything is recorded, with the number of operands of the operations on a sample.
        dependencies: detects changes in what model and loss depend on; None if the user vouches for them.
        parameters: the leaves that the gradient is for, in the order in which to read them.
        threads: the number of threads of a replay; None for as many as there are processors.

    Attributes:
        scale: the largest absolute loss so far: differences far below it are rounding.
        random: a context after which the global generators of random numbers are restored.
        before_calls: called before each call of the model.

    Raises:
        CompileError: if the loss cannot be recorded. Errors of model and loss are raised unchanged.
    """

    model: Any
    loss: Loss
    samples: Samples
    with_predictions: bool
    most_paths: int
    check: Callable[[int], object]
    dependencies: Dependencies | None
    parameters: Sequence[Value] = ()
    threads: int | None = None

    def __post_init__(self) -> None:
        self.random = GlobalState()
        self.before_calls: Callable[[], object] = lambda: None
        self.scale = 0.0
        self.masks = Masks()
        with self.random:
            with self.masks.finding():
                first, _ = self.by_model(self.samples.rows[0], self.samples.targets[0])
            self.check(sum(len(node._operands) for node in topological_order(first)))
            self.recordings, self.inputs = self._record_by_types(first._data)

    def __call__(self, indices: Sequence[int], gradient: bool, masks: np.ndarray | None = None) -> Measured:
        """Evaluate the mean loss over samples.

        Args:
            indices: the indices of the samples.
            gradient: whether to compute derivatives.
            masks: those of the samples; drawn if None. An error puts the generators back into their states.

        Raises:
            CompileError: if the loss cannot be recorded. Errors of model and loss are raised unchanged.
        """
        undo = self.masks.undo()
        try:
            drawn = self._drawn = self.masks.draw(len(indices)) if masks is None else masks
            verify = functools.partial(self._verify, indices)
            shares = self.samples.shares(indices)
            result = self.recordings(indices, gradient, verify, drawn, shares)
        except BaseException:
            undo()
            raise
        losses = result.outputs[0]
        loss = math.fsum(losses.tolist()) / len(losses) if shares is None else math.fsum((losses * shares).tolist())
        return Measured(loss, self._predictions(result), result.leaves, result.data)

    def use(self, samples: Samples) -> None:
        """Evaluate other samples from now on; raise a CompileError if they are not like those before."""
        self.inputs = self.inputs.like(samples.rows, targets_as_array(samples.targets))
        self.samples = samples
        self.recordings.use(self.inputs.arrays)

    def change(self) -> str | None:
        """Return the name of something that the recordings depend on and that has changed, None if nothing has."""
        return None if self.dependencies is None else self.dependencies.change()

    # --- recording ---

    def _of_arguments(self, inputs: Inputs, *given: Any) -> Any:
        """Return what `_sample` does, for the arguments of a recording."""
        return self._sample(*inputs.sample(given))

    def _sample(self, row: Any, target: Any, drawn: Sequence[Any] = ()) -> Any:
        """Return the loss of a sample, and the prediction if it is needed."""
        with self.masks.given(drawn):
            loss, prediction = self._evaluate(row, _with_tuples(self.samples.targets[0], target))  # these come as lists
        if not self.with_predictions:
            return (loss,)
        if tracing.current() is not None:
            _check_prediction(prediction)
        return loss, prediction

    def _evaluate(self, row: Any, target: Any) -> tuple[Value, Any]:
        """Return the loss of a sample and the prediction; raise if the call changes what they depend on."""
        self.before_calls()
        self.random.save()
        try:
            prediction = self.model(row)
            loss = self.loss(prediction, target)
        finally:
            if self.dependencies is not None:
                self.dependencies.check_unchanged()
        if not isinstance(loss, Value):
            raise CompileError(f"expected a Value as loss, got {loss!r}")
        return loss, prediction

    def _record_by_types(self, expected: float) -> tuple[VerifiedRecordings, Inputs]:
        """Return a recording of the first sample, for all samples; integers become floats or integers in it.

        With floats, one recording serves all samples. The integers for a look-up have to be integers. If the model
        looks up by a column and computes with it too, or the loss does so with targets, each integer needs a recording
        of its own, which works for a few.
        """
        rows, targets = self.samples.rows, targets_as_array(self.samples.targets)
        refusal: Exception = CompileError("the model or the loss cannot be recorded")
        kinds: list[Any] = [np.float64]
        if targets.dtype.kind != "f" or (targets == np.floor(targets)).all():
            kinds.append(np.int64)
        choices: list[tuple[int, ...]] = [(), rows.integers] if rows.integers else [()]
        found: list[tuple[int, list[int], VerifiedRecordings, Inputs]] = []
        for integers in choices:  # to which the columns for look-ups alone are added
            for kind in kinds:
                inputs = Inputs(rows, integers, targets.astype(kind, order="C"))
                function = functools.partial(self._of_arguments, inputs)
                recordings = VerifiedRecordings(
                    function, inputs.arrays, self.most_paths, self.parameters, self.masks.first, self.threads
                )
                try:
                    self._record_first(recordings, inputs, expected)
                except Exception as error:
                    refusal = error
                    continue
                columns, needed = inputs.baked(recordings.static_integers)
                if needed == 1:
                    return recordings, inputs
                found.append((needed, columns, recordings, inputs))
                others = tuple(k for k in integers if k not in columns)
                if others and others not in choices:
                    choices.append(others)
                break
        if not found:
            raise refusal
        needed, columns, recordings, inputs = min(found, key=lambda each: each[0])
        if needed > self.most_paths:
            raise CompileError(
                f"the model needs a recording for each of {needed} rows of integers: it looks up by column "
                f"{columns[0]} and computes with it; give it a column for each, or look up with "
                "microgrud.take(table, k) only"
                if columns
                else f"the loss needs a recording for each of {needed} integer targets; "
                "look up with microgrud.take(table, k)"
            )
        return recordings, inputs

    def _record_first(self, recordings: VerifiedRecordings, inputs: Inputs, expected: float) -> None:
        given = list(inputs.sample(recordings.first_sample())[:2])
        row, target = self.samples.rows[0], self.samples.targets[0]
        as_given = repr(given) == repr([row, target])
        if not as_given and self._by_model_with(self.masks.first, given[0], _with_tuples(target, given[1])) != expected:
            raise CompileError("the loss differs for lists instead of tuples, or for floats instead of integers")
        recordings.record_first(lambda _, loss: self._check_close(loss, expected))

    def _predictions(self, result: Evaluation) -> list[Any]:
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

    # --- verification ---

    def by_model(self, row: Any, target: Any) -> tuple[Value, Any]:
        """Return the loss of a sample and the prediction, computed by the model with plain numbers."""
        given = copy.deepcopy((row, target))
        loss, prediction = self._evaluate(*given)
        if given != (row, target):
            raise CompileError("a call changes the row or the target that it is given")
        self.scale = max(self.scale, abs(loss._data))
        return loss, prediction

    def _by_model_with(self, masks: Sequence[float], row: Any, target: Any) -> float:
        with self.masks.given(masks):
            loss, _ = self.by_model(row, target)
        return loss._data

    def _verify(self, indices: Sequence[int], place: int, loss: float) -> None:
        """Raise a CompileError unless the model gives the loss of a recorded sample of a batch."""
        index, masks = indices[place], () if self._drawn is None else self._drawn[place].tolist()
        self._check_close(loss, self._by_model_with(masks, self.samples.rows[index], self.samples.targets[index]))

    def _check_close(self, loss: float, expected: float) -> None:
        if not math.isclose(loss, expected, rel_tol=1e-6, abs_tol=1e-9 * self.scale):
            raise CompileError(
                f"the loss of a sample is {loss} if its numbers are Values, and {expected} if they are floats"
            )

    def confirm(self, indices: Sequence[int], found: Measured, parameters: Sequence[Value] | None, whole: bool) -> None:
        """Compare the loss of a batch, and its gradient, with those of the model; raise if they differ.

        `fit(compile=True)` does that, where the user vouches for the model.

        Args:
            indices: the indices of the samples in the batch.
            found: the replayed loss of the batch.
            parameters: the leaves whose derivatives are compared too; None if there is no gradient.
            whole: whether to evaluate the whole batch with the model; otherwise one sample of it.

        Raises:
            CompileError: if they differ by more than rounding.
        """
        masks = self._drawn
        if not whole:
            place = random.Random(repr(found.loss)).randrange(len(indices))  # leaves the user's generators alone
            indices, masks = [indices[place]], None if masks is None else masks[place : place + 1]
            found = self(indices, parameters is not None, masks)
        self.random.save_and_seed(repr(found.loss))
        results = []
        for i, drawn in zip(indices, [()] * len(indices) if masks is None else masks.tolist()):
            with self.masks.given(drawn):
                results.append(self.by_model(self.samples.rows[i], self.samples.targets[i]))
        expected = weighted_mean([loss for loss, _ in results], self.samples.shares(indices))
        _compare("the loss", found.loss, expected.data, 1e-3 * self.scale)
        for replayed, (_, prediction) in zip(found.predictions, results):
            answers = _numbers(prediction)
            size = max(map(abs, answers), default=0.0)
            for output, answer in zip(_numbers(replayed), answers):
                _compare("a prediction", output, answer, size)
        if parameters is None:
            return
        slopes: dict[Value, float] = {}
        for leaves, numbers in found.gradient:
            for leaf, slope in zip(leaves, numbers.tolist()):
                slopes[leaf] = slopes.get(leaf, 0.0) + slope
        by_model = numbers_of_gradient(expected, parameters)
        size = max(map(abs, by_model), default=0.0) + 1e-6 * self.scale
        for leaf, slope in zip(parameters, by_model):
            _compare(f"the derivative with respect to {leaf.label or leaf!r}", slopes.get(leaf, 0.0), slope, size)


def weighted_mean(losses: Sequence[Any], shares: Vector | None) -> Any:
    """Return the mean of losses, or their sum, each times its share of the weights."""
    return mean(losses) if shares is None else dot(losses, shares.tolist())


def _with_tuples(example: Any, x: Any) -> Any:
    """Return nested lists of numbers with tuples where the example has tuples."""
    found = opened(example)
    if found is None:
        return x
    _, items, make = found
    return make([_with_tuples(item, part) for item, part in zip(items, x)])


def _check_prediction(prediction: Any) -> None:
    """Raise if a metric would get another type of number: a replay returns only floats."""
    parts = [prediction]
    for part in parts:
        if isinstance(part, (list, tuple, np.ndarray)):
            parts.extend(part)
        elif not isinstance(part, (Value, float)):
            raise CompileError(f"expected Values and floats as prediction, got {part!r}")


def _numbers(prediction: Any) -> list[float]:
    return list(map(number, flatten(prediction, "prediction")[0]))


def _compare(what: str, replayed: float, expected: float, size: float) -> None:
    """Raise if two numbers differ by more than a millionth of the greater one, or of the size of such numbers."""
    if not math.isclose(replayed, expected, rel_tol=1e-6, abs_tol=1e-6 * size):
        raise CompileError(
            f"{what} is {expected:g} from the model and {replayed:g} from its recording: the model or the loss depends "
            "on something that has changed, or on random numbers"
        )
