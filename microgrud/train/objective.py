"""Batch loss and gradient: replayed from a recording if that is possible, otherwise computed by the model."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

from ..common.numbers import is_real_scalar
from ..engine import Value, anomaly, topological_order
from ..engine.grad_mode import is_recording
from ..engine.vectors import Vector
from ..nn.mode import mode
from ..nn.module import Module
from ..nn.sequential import trains_on_batches
from ..tape.native import native_tape
from ..tape.recorder import CompileError
from .batches import Samples
from .dependencies import Dependencies
from .evaluation import Loss, has_plain_mode, predict
from .history import History
from .recorded import Measured, RecordedLoss, weighted_mean
from .untrained import Untrained
from .usage import UnlistedError

#: Minimum number of operands in a batch for which recordings pay off. Measured with the C engine, for loss and
#: gradient: a step by the model takes 0.04 to 0.2 us per operand, a replay 80 us and little more.
_LEAST_WORK = 2_000
#: Minimum number of samples in a batch: with one sample, a replay of long sums is no faster; the interpreter in NumPy
#: takes as long for any number of samples as the Python engine for six.
_LEAST_SAMPLES = 8 if native_tape is None else 2
#: Minimum number of samples to replay for which recording again after a change pays off. Measured, a recording takes as
#: long as the model for 276 samples with 17 parameters, for 104 with 337, for 51 with 8,500.
_LEAST_REPLAYS = 100
#: Maximum number of distinct branch paths per batch: batch_size // _SAMPLES_PER_PATH, within the two limits.
_SAMPLES_PER_PATH, _FEWEST_PATHS, _MOST_PATHS = 4, 4, 64
#: Parts of reasons: a hint where only the code is unsuitable, and a reason that needs no warning.
_COMPILE_HINT = "; compile=True takes your word that it gives the same for the same numbers and changes nothing"
_TOO_LITTLE_WORK = "too little work to gain from a recording"
#: Seconds of evaluation by the model after which `fit` warns and says why it is slow.
_SLOW_SECONDS = 10.0


@dataclass(eq=False)
class Objective:
    """The mean loss of batches, and that of samples to validate on.

    The engine is chosen at the first evaluation. If a model later takes a new branch that cannot be recorded, it is
    evaluated eagerly from then on.

    Args:
        model, loss: the arguments of `fit`.
        samples: the samples that batches consist of; of a stream, the present batch.
        batch_size: the number of samples in a batch.
        clear: sets the gradients to zero.
        with_predictions: whether predictions are needed.
        compile: the argument of `fit`.
        history: the history that names the engine, and the reason that it is not the tape.
        parameters: the leaves to train; their derivatives are compared if the user vouches for model and loss.
        threads: the number of threads of a replay; None for as many as there are processors.

    Attributes:
        given_masks: the masks of Dropout for the samples of the next batch; None to draw them.
        untrained: collects the leaves that the losses of the first two batches reach; None afterwards.
        vectors: the numbers of `parameters` at the last batch, and their derivatives, if they are all parameters of the
            optimizer in its order, and a replay has read them; else None.
    """

    model: Any
    loss: Loss
    samples: Samples
    batch_size: int
    clear: Callable[[], object]
    with_predictions: bool
    compile: bool | Literal["auto"]
    history: History
    parameters: Sequence[Value] = ()
    threads: int | None = None

    def __post_init__(self) -> None:
        self.given_masks: Any = None
        self.batch_size = min(self.batch_size, len(self.samples))
        self.untrained: Untrained | None = None
        self.vectors: tuple[Vector, Vector] | None = None
        self._training: RecordedLoss | None = None
        self._validation: RecordedLoss | None = None
        self._validated_with: RecordedLoss | None = None  # the recording for training, since when nothing has changed
        self._seconds_until_warning: float | None = None  # before the warning that it is slow

    def with_gradient(self, indices: Sequence[int], first: bool = False, last: bool = False) -> tuple[float, list[Any]]:
        """Return the mean loss of a batch and the predictions, and leave its gradient in the parameters' `grad`.

        Args:
            indices: the indices of the samples in the batch.
            first: whether the batch is the first of an epoch.
            last: whether it is the last.
        """
        if not is_recording():
            raise RuntimeError(
                "fit: expected gradients to be recorded, got a step inside no_grad(); train outside of it"
            )
        started, self.vectors = time.perf_counter(), None
        found = self._replay_or_evaluate(
            lambda: self._replay(indices, first, last), lambda: self._evaluate_by_model(self.samples.take(indices)), ""
        )
        if self._seconds_until_warning is not None:
            self._seconds_until_warning -= time.perf_counter() - started
            if self._seconds_until_warning < 0.0:
                self._seconds_until_warning = None
                reason = self.history.eager_because
                warnings.warn(f"fit: evaluates each sample with the model, which is slow: {reason}", stacklevel=6)
        return found

    def without_gradient(self, held_out: Samples) -> tuple[float, list[Any]]:
        """Return the mean loss of the validation samples and the predictions, in evaluation mode."""
        return self._replay_or_evaluate(
            lambda: self._validate(held_out), lambda: predict(self.model, held_out, self.loss), "in validation, "
        )

    def resume(self) -> None:
        """Record what the resumed run had recorded, before anything changes."""
        self._start_slow_timer()
        if self.compile == "auto" and self.history.engine == "tape":
            try:
                self._training = self._record_training()
            except Exception as error:  # the model raises it again, if the error is its own
                self._give_up(error, "")

    def choose_engine(self, first: bool) -> None:
        """Choose the engine of the next batch now, so that a run resumed from here chooses the same.

        Args:
            first: whether that batch is the first of an epoch.
        """
        if self.compile == "auto" and self.history.engine == "tape":
            try:
                self._drop_stale_recording(first)
            except CompileError as error:
                self._give_up(error, "")

    # --- the choice ---

    def _replay_or_evaluate(
        self, replay: Callable[[], Measured], by_model: Callable[[], tuple[float, list[Any]]], where: str
    ) -> tuple[float, list[Any]]:
        """Replay if possible. On any error evaluate the model, which raises its own errors, and give up recording."""
        history = self.history
        if not self.compile:
            history.engine, history.eager_because = "eager", "compile=False"
        if history.engine == "eager" and self.compile is not True:
            return by_model()
        try:
            found = replay()
        except Exception as error:
            outcome = by_model()
            self._give_up(error, where)
            return outcome
        history.engine, history.eager_because = "tape", None
        return found.loss, found.predictions

    def _give_up(self, error: Exception, where: str) -> None:
        reason = str(error)
        if not isinstance(error, CompileError):
            reason = (
                f"the model or the loss raises {type(error).__name__} if the numbers of a sample are Values: {error}"
            )
        reason = where + reason
        if self.compile is True:
            raise CompileError(
                f"fit: compile: expected a model and a loss that can be recorded, got ones that cannot: {reason}; "
                "leave compile out to train them without recordings"
            ) from error
        if isinstance(error, UnlistedError):
            reason += _COMPILE_HINT
        self.history.engine, self.history.eager_because = "eager", reason
        self._start_slow_timer()
        self._training = self._validation = None

    def _start_slow_timer(self) -> None:
        """Start the countdown to the warning that the run is slow, if the user can do something about it."""
        known = self.history.engine == "eager" and self.compile == "auto"
        is_small = _TOO_LITTLE_WORK in str(self.history.eager_because)
        self._seconds_until_warning = _SLOW_SECONDS if known and not is_small else None

    # --- by the tape ---

    def _replay(self, indices: Sequence[int], first: bool, last: bool) -> Measured:
        if anomaly.is_detecting():
            raise CompileError("detect_anomaly() watches each operation")
        is_new = self._training is None
        self._drop_stale_recording(first)
        if self._training is None:
            self._training = self._record_training()
        elif self._training.samples is not self.samples:
            self._training.use(self.samples)
        found = self._measure(self._training, indices, True, is_new, last)
        if self.untrained is not None:
            self.untrained.see(found.leaves(), closed_over=True)
        self.vectors = found.set_gradient(self.clear)
        return found

    def _record_training(self) -> RecordedLoss:
        if _needs_batch(self.model):
            raise CompileError("the model computes with statistics of the whole batch, as BatchNorm1d does")
        most_paths = min(max(_FEWEST_PATHS, self.batch_size // _SAMPLES_PER_PATH), _MOST_PATHS)
        return self._record(self.samples, most_paths, self._check_worthwhile)

    def _drop_stale_recording(self, first: bool) -> None:
        """Drop a recording that no longer holds; raise a CompileError if a new one would not pay off."""
        changed = None if self._training is None else self._training.change()
        if changed is None:
            return
        replays = len(self.samples) if first else self.batch_size
        if replays < _LEAST_REPLAYS and self.compile is not True:
            raise CompileError(f"{changed} changes too often for recordings of {replays} samples")
        self._training = None

    def _validate(self, held_out: Samples) -> Measured:
        with ExitStack() as stack:
            set_mode = functools.cache(lambda: stack.enter_context(mode(self.model, training=False)))
            is_new = self._validation is None
            if self._validation is None or not self._is_as_validated():
                set_mode()
                if self._validation is None or self._validation.change() is not None:
                    # No limit to the paths: a resumed run would not count those that earlier epochs have taken.
                    self._validation = self._record(held_out, len(held_out), lambda operands: None)
            self._validation.before_calls = set_mode
            found = self._measure(self._validation, range(len(held_out)), False, is_new, True)
        self._validated_with = self._training
        if not self._is_as_validated():
            self._validated_with = None
        return found

    def _is_as_validated(self) -> bool:
        """Return whether nothing has changed since a validation, so that its recording would hold in evaluation mode.

        To set the mode for nothing takes as long as two or three steps: all modules are searched for twice.
        """
        recorded = self._training
        if recorded is None or recorded is not self._validated_with or recorded.dependencies is None:
            return False
        return has_plain_mode(self.model, recorded.dependencies.objects) and recorded.dependencies.is_untouched()

    def _measure(
        self, recorded: RecordedLoss, indices: Sequence[int], gradient: bool, is_new: bool, last: bool
    ) -> Measured:
        if self.compile is not True:
            return recorded(indices, gradient, self.given_masks)
        with recorded.random:
            found = recorded(indices, gradient, self.given_masks)
            if is_new or last:
                recorded.confirm(indices, found, self.parameters if gradient else None, whole=is_new)
        return found

    def _record(self, samples: Samples, most_paths: int, check: Callable[[int], object]) -> RecordedLoss:
        dependencies: Dependencies | None = None
        try:
            dependencies = Dependencies({"model": self.model, "loss": self.loss})
        except UnlistedError:
            if self.compile is not True:
                raise
        return RecordedLoss(
            self.model, self.loss, samples, self.with_predictions, most_paths, check, dependencies, self.parameters,
            self.threads,
        )  # fmt: skip

    def _check_worthwhile(self, operands: int) -> None:
        """Raise unless a batch is so large that a replay is faster, or the user demands a recording."""
        if self.compile is True or self.history.engine == "tape":
            return
        if self.batch_size < _LEAST_SAMPLES or self.batch_size * operands < _LEAST_WORK:
            raise CompileError(
                f"a batch of {self.batch_size} samples with {operands} operands each is {_TOO_LITTLE_WORK}; "
                "compile=True records it in any case"
            )

    # --- by the model ---

    def _evaluate_by_model(self, batch: Samples) -> tuple[float, list[Any]]:
        of_rows = _of_batch if _needs_batch(self.model) else map
        predictions = list(of_rows(self.model, list(batch.rows)))
        losses = [self.loss(prediction, target) for prediction, target in zip(predictions, batch.targets)]
        for loss in losses:
            if not isinstance(loss, Value) and not is_real_scalar(loss):
                raise TypeError(f"fit: loss: expected a Value, the loss of one sample, got {loss!r}")
        loss = weighted_mean(losses, batch.shares(range(len(batch))))
        if not isinstance(loss, Value):
            raise TypeError(
                f"fit: loss: expected a Value that depends on the parameters, got {loss!r}; compute the loss with "
                "Values, not with their .data"
            )
        if self.untrained is not None:
            self.untrained.see(node for node in topological_order(loss) if node.is_leaf)
        self.clear()
        loss.backward()
        return loss.data, predictions


def _needs_batch(model: Any) -> bool:
    return isinstance(model, Module) and trains_on_batches(model)


def _of_batch(model: Any, rows: list[Any]) -> list[Any]:
    """Return the predictions for a batch by one call of a model that needs all its rows."""
    predictions = model(rows)
    if not isinstance(predictions, (list, tuple)) or len(predictions) != len(rows):
        raise TypeError(
            f"fit: model: expected a list of {len(rows)} predictions, one for each row of the batch that it was given "
            f"because of a module such as BatchNorm1d, got an object of type {type(predictions).__name__}"
        )
    return list(predictions)


class MeanLoss:
    """The mean loss of samples with the present parameters: the result of `evaluate`, for many evaluations.

    >>> from microgrud.losses import squared_error
    >>> from microgrud.nn import Neuron
    >>> from microgrud.train.batches import check_samples
    >>> neuron = Neuron(1, nonlin=False, init="zeros")
    >>> mean_loss = MeanLoss(neuron, check_samples("here", [[1.0], [2.0]], [2.0, 4.0]), squared_error)
    >>> mean_loss()
    10.0
    >>> neuron.w[0].data = 2.0
    >>> mean_loss()
    0.0
    """

    def __init__(self, model: Any, samples: Samples, loss: Loss) -> None:
        self.samples = samples
        self.objective = Objective(model, loss, samples, len(samples), lambda: None, False, "auto", History())

    def __call__(self) -> float:
        """Return the mean loss, in evaluation mode."""
        return self.objective.without_gradient(self.samples)[0]
