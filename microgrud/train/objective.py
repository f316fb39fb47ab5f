"""What a step goes down: the mean loss of a batch, with its gradient, from recordings or by the model itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from .. import anomaly
from ..engine import Value, topological_order
from ..functions import mean
from ..tape.executors import native_tape
from ..tape.recorder import CompileError
from .batches import Samples
from .evaluation import Loss, mode, predict
from .history import Engine
from .recorded import Measured, RecordedLoss
from .surroundings import Surroundings
from .untrained import Untrained

__all__ = ["MeanLoss", "Objective"]

#: Operands of the operations in a batch, below which there is nothing to be won. Measured with the engine in C, for
#: loss and gradient: a step by the model takes 0.04 to 0.2 us for each, a replay 80 us and little more.
_LEAST_WORK = 2_000
#: Samples in a batch: of one, long sums are no faster replayed; the interpreter in NumPy takes as long for any number
#: of them as the engine in Python for six.
_LEAST_SAMPLES = 8 if native_tape is None else 2
#: Ways through the branches of model and loss that a batch may take: one in so many samples, within limits.
_SAMPLES_PER_WAY, _FEWEST_WAYS, _MOST_WAYS = 4, 4, 64


class Objective:
    """The mean loss of batches, and that of samples to validate on.

    The engine is chosen at the first evaluation. A model that turns out not to be recordable later, at a branch that it
    has not taken before, is evaluated by itself from then on.

    Args:
        model, loss: as `fit` was given them.
        samples: to take batches from.
        batch_size: how many a batch has.
        clear: sets the gradients to zero.
        with_predictions: whether somebody asks for them.
        compile: as `fit` was given it.

    Attributes:
        engine: what evaluates; None before the first evaluation.
        reason: why it is not the tape.
        untrained: collects the leaves that the losses of the first two batches reach; None afterwards.
    """

    def __init__(
        self,
        model: Any,
        loss: Loss,
        samples: Samples,
        batch_size: int,
        clear: Callable[[], object],
        with_predictions: bool,
        compile: bool | Literal["auto"],
    ) -> None:
        self.model, self.loss, self.samples = model, loss, samples
        self.batch_size = min(batch_size, len(samples))
        self.clear, self.with_predictions, self.compile = clear, with_predictions, compile
        self.engine: Engine | None = None if compile else "eager"
        self.reason: str | None = None if compile else "compile=False"
        self.untrained: Untrained | None = None
        self._training: RecordedLoss | None = None
        self._validation: RecordedLoss | None = None
        self._surroundings: Surroundings | None = None

    def go_on(self, engine: Engine | None, reason: str | None) -> None:
        """Evaluate as the run did that is resumed, unless the user has chosen."""
        if self.compile == "auto":
            self.engine, self.reason = engine, reason

    def with_gradient(self, indices: Sequence[int]) -> tuple[float, list[Any]]:
        """Return the mean loss of a batch, and the predictions, and leave its gradient in the parameters' `grad`."""
        return self._by_tape_or(lambda: self._replayed(indices), lambda: self._by_model(self.samples.take(indices)), "")

    def without_gradient(self, held_out: Samples) -> tuple[float, list[Any]]:
        """Return the mean loss of samples to validate on, and the predictions, in evaluation mode."""
        return self._by_tape_or(
            lambda: self._validated(held_out), lambda: predict(self.model, held_out, self.loss), "in validation, "
        )

    def look_again(self, kind: Literal["step", "epoch"]) -> None:
        """See whether a callback has changed what model or loss read, after a step or an epoch.

        After an epoch it is recorded anew. After a step it is left to the model from then on: what changes at every
        step takes longer to record than to evaluate.
        """
        changed = None if self._surroundings is None else self._surroundings.change()
        if changed is not None:
            self._training = self._validation = self._surroundings = None
            if kind == "step" and self.compile is not True:
                self.engine, self.reason = "eager", f"a callback changes {changed} after a step"

    # --- the choice ---

    def _by_tape_or(
        self, replay: Callable[[], Measured], by_model: Callable[[], tuple[float, list[Any]]], where: str
    ) -> tuple[float, list[Any]]:
        """Replay where that can be done. What goes wrong in it is left to the model, which has its own errors."""
        if self.engine == "eager":
            return by_model()
        try:
            found = replay()
        except Exception as error:
            outcome = by_model()
            self._give_up(error, where)
            return outcome
        self.engine = "tape"
        return found.loss, found.predictions

    def _give_up(self, error: Exception, where: str) -> None:
        reason = where + str(error) if isinstance(error, CompileError) else f"{where}{type(error).__name__}: {error}"
        if self.compile is True:
            raise CompileError(
                f"fit: compile: expected a model and a loss that can be recorded, got others: {reason}; leave compile "
                "out to train them without"
            ) from error
        self.engine, self.reason = "eager", reason
        self._training = self._validation = self._surroundings = None

    # --- by the tape ---

    def _replayed(self, indices: Sequence[int]) -> Measured:
        if anomaly.watching():
            raise CompileError("detect_anomaly() watches each operation")
        if self._training is None:
            most_ways = min(max(_FEWEST_WAYS, self.batch_size // _SAMPLES_PER_WAY), _MOST_WAYS)
            self._training = self._record(self.samples, most_ways, self._check_worth)
            self._surroundings = Surroundings({"model": self.model, "loss": self.loss}, with_random=False)
        found = self._training(indices, gradient=True)
        if self.untrained is not None:
            self.untrained.see(found.leaves(), closed_over=True)
        self.clear()
        found.add_gradient()
        return found

    def _validated(self, held_out: Samples) -> Measured:
        with mode(self.model, training=False):
            if self._validation is None:
                # However many ways they take: those that have come up before would be no measure for a resumed run.
                self._validation = self._record(held_out, len(held_out), lambda operands: None)
            return self._validation(range(len(held_out)), gradient=False)

    def _record(self, samples: Samples, most_ways: int, check: Callable[[int], object]) -> RecordedLoss:
        return RecordedLoss(self.model, self.loss, samples, self.with_predictions, most_ways, check)

    def _check_worth(self, operands: int) -> None:
        """Raise unless a batch is so large that a replay is faster, or the user wants it in any case."""
        if self.compile is True or self.engine == "tape":
            return
        if self.batch_size < _LEAST_SAMPLES or self.batch_size * operands < _LEAST_WORK:
            raise CompileError(f"{self.batch_size} samples of {operands} operands each are faster without")

    # --- by the model ---

    def _by_model(self, batch: Samples) -> tuple[float, list[Any]]:
        predictions = [self.model(row) for row in batch.rows]
        loss = mean([self.loss(prediction, target) for prediction, target in zip(predictions, batch.targets)])
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


class MeanLoss:
    """The mean loss of samples with the parameters as they are: what `evaluate` gives, to be asked for many times.

    >>> from microgrud.losses import squared_error
    >>> from microgrud.nn import Neuron
    >>> neuron = Neuron(1, nonlin=False, init="zeros")
    >>> mean_loss = MeanLoss(neuron, Samples([[1.0], [2.0]], [2.0, 4.0]), squared_error)
    >>> mean_loss()
    10.0
    >>> neuron.w[0].data = 2.0
    >>> mean_loss()
    0.0
    """

    def __init__(self, model: Any, samples: Samples, loss: Loss) -> None:
        self.samples = samples
        self.objective = Objective(model, loss, samples, len(samples), lambda: None, False, "auto")

    def __call__(self) -> float:
        """Evaluate it, in evaluation mode."""
        return self.objective.without_gradient(self.samples)[0]
