"""Training: `fit` walks a model down the surface of its loss, batch by batch.

The textbook loop is `Training.take_step`: predict, loss, backward, step. The other parts have their own files:
arguments, batches, state, divergence, early stopping, interrupts, history, events, progress, checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any, Literal, TypeAlias

from ..common.checks import POSITIVE, flag, one_of, optional, real, whole
from ..engine import Value
from ..engine.vectors import read_data
from ..nn.mode import mode
from ..optim.clipping import scale_gradients
from ..optim.optimizer import Optimizer
from ..optim.schedules import Schedule
from . import arguments
from .batches import Samples, check_samples
from .checkpoint import Checkpoint
from .divergence import check_finite
from .evaluation import Loss, Metric, score
from .events import Callback, TrainingEvent
from .history import EpochRecord, History, RunningMeans
from .interrupts import Interrupts
from .progress import progress_bar
from .remote import Cluster
from .state import RunState
from .stopping import EarlyStopping
from .streams import Stream

#: Loss and metric, and those on the validation data.
Figures: TypeAlias = tuple[float, float | None, float | None, float | None]


def fit(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    loss: Loss,
    optimizer: Optimizer | str = "adam",
    lr: float | None = None,
    epochs: int = 10,
    batch_size: int | None = 32,
    sample_weight: Any = None,
    shuffle: bool = True,
    validation: tuple[Any, Any] | tuple[Any, Any, Any] | float | None = None,
    metric: Metric | None = None,
    schedule: Schedule | Callable[[Optimizer], Schedule] | None = None,
    early_stopping: EarlyStopping | int | None = None,
    clip_norm: float | None = None,
    callbacks: Callback | Iterable[Callback] = (),
    seed: int = 0,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
    compile: bool | Literal["auto"] = "auto",
    client: Any = None,
) -> History:
    """Train a model.

    Args:
        model: `model(row)` gives the prediction, a Value or a sequence of Values, and `model.parameters()` the
            parameters to train. A `Module` is set to training mode during the run. `fit` warns of leaf Values that the
            losses of the first two batches both depend on and that are neither in `parameters()` nor in the optimizer:
            they are not trained. To train only some of the parameters, give these to the optimizer: there is no
            warning about the others, nor about those that a Module holds but its own `parameters()` leaves out, such
            as those of modules that are frozen. A model with BatchNorm1d is called once for each batch in training
            mode, with a list of rows, and returns the list of predictions.
        X: n rows of d numbers each: lists, a NumPy array or a pandas table. Columns of integers stay integers, such as
            the indices for an `Embedding`. Or, without y, batches `(X, y)` or `(X, y, sample_weight)`, of which one at
            a time is in memory: an iterable that can be read in each epoch, or a function that returns an iterator,
            given the number of the epoch if it has a parameter. Their order and size are the caller's; `shuffle` and
            `batch_size` have no effect.
        y: n targets: numbers, class indices, or sequences of numbers; None for batches.
        loss: `loss(prediction, target)` gives the loss of one sample, a Value.
        optimizer: an optimizer of the model's parameters, or the name of one: `"sgd"`, `"adagrad"`, `"adadelta"`,
            `"rmsprop"`, `"rprop"`, `"adam"`, `"adamw"`, `"adamax"`, `"nadam"`, `"radam"`, `"lion"`, `"lbfgs"`; rprop
            and lbfgs are best with all samples in one batch, `batch_size=None`.
        lr: the learning rate of an optimizer given by name; its default if None.
        epochs: the number of passes over the data, 0 or more.
        batch_size: the number of samples per step; all of them if None.
        sample_weight: n weights w of at least 0: the loss of a batch is `sum(w * loss) / sum(w)`, or 0 if all its
            weights are 0, and that of an epoch is the same over all its samples. A metric is not weighted.
        shuffle: whether to visit the samples in another order in each epoch.
        validation: data `(X, y)`, or with weights `(X, y, sample_weight)`, on which the loss is measured after each
            epoch, or the fraction of the training data (with its weights) to set aside for that: chosen at random by
            `seed`, or, without `shuffle`, the last rows.
        metric: `metric(predictions, targets)` gives another figure, such as the accuracy; predictions are numbers, or
            lists of numbers. It is reported for each batch, and averaged over the epoch.
        schedule: a learning-rate schedule of the optimizer, or a function that makes one: `lambda o: StepLR(o, 10)`.
        early_stopping: an `EarlyStopping`, or its patience in epochs.
        clip_norm: the largest norm of the gradient to allow; see `clip_grad_norm`.
        callbacks: called with a `TrainingEvent` after each step and each epoch, such as a `CSVLogger`.
        seed: the seed of the shuffling; the same seed gives the same run, on one machine to the bit (for Dropout, give
            its own seed, or call `random.seed`).
        progress: whether to show a bar with loss and metric, which needs tqdm; by default where tqdm is installed, in a
            terminal or a notebook.
        checkpoint: the file for the state of the run, written at the end of epochs and when the run is asked to stop;
            without `resume` an existing file is overwritten. It grows only with what is new, and is complete at every
            moment, even if the process is killed. Saving takes at most 3% of the time, plus some 40 ms per run: if
            epochs are shorter than 30 saves, some saves are left out.
        checkpoint_every: the number of epochs between two saves, at least 1; the last epoch is saved in any case.
        resume: whether to continue from the checkpoint, if there is one, with the same program (more epochs are fine):
            the result is that of a run that was never stopped, to the bit on one machine. It restores parameters,
            history, the global generators of `random` and `numpy.random`, and the attributes of model, loss, metric,
            optimizer, schedule and early stopping, and of objects of your own among these: numbers, strings, lists,
            tuples, dicts, sets, deques, arrays, generators of random numbers and Values. State that the run has not
            changed counts as a setting, and must be the same. A change of any other object is an error, if the object
            can be pickled and so compared. It does not restore callbacks, globals, attributes of classes and of
            functions, or variables that functions close over.
        compile: whether to record model and loss, and replay them over each batch, as `microgrud.compile` does: the
            same figures up to rounding, many times as fast. `"auto"` records models and losses of this package, and
            functions and Modules whose code is on the list in docs/recording.md, if there is enough work; it evaluates
            all others sample by sample. `history.engine` says which of the two, and `history.eager_because` why. True
            takes your word that the others can be recorded too, and compares the recording with the model on the first
            batch and on one sample in every epoch. False never records.
        client: a `dask.distributed.Client`, on whose workers the data are held and evaluated: the result is that of
            this process to rounding, and has the same bits for any number of workers. X and y may then also be Dask
            collections, or X may be `microgrud.distributed.Shards`, with y=None. A worker that is lost is replaced.
            Model and loss travel, and change nothing but the numbers of Values; see docs/howto/clusters.md.

    Returns:
        The history of the run. Ctrl-C stops after the current step (a second one at once), and the history says so.

    Warns:
        UserWarning: after the second batch, with the names of Values that are not trained; see `model`.

    Raises:
        TrainingDivergedError: if the loss, its gradient or the parameters are no longer finite; the model keeps the
            last parameters for which they were.
        TypeError, ValueError: for invalid data or settings.
        ModelFileError: if the checkpoint is damaged, or belongs to another run; then nothing is changed.
        RuntimeError: inside `no_grad()`, where there are no gradients.
        OSError: before the first epoch, if the checkpoint cannot be written; TypeError, if a file cannot hold the state
            of the model, say (an iterator).
        CheckpointError: later, if the checkpoint can no longer be written. The error has the `history`; the model keeps
            its parameters, and the file the state of the last save.
        ClusterError: with a client, if the scheduler or all workers are gone, or a worker lacks this version of
            microgrud; the model keeps the parameters of the last step.
        CompileError: with `compile=True`, if model and loss cannot be recorded, or if their recording gives numbers
            that differ from theirs; the message says why.

    >>> from microgrud.losses import squared_error
    >>> from microgrud.nn import MLP
    >>> model = MLP(1, [1])
    >>> history = fit(model, [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], loss=squared_error, optimizer="lbfgs",
    ...               batch_size=None, epochs=3, progress=False)
    >>> round(model([10.0]).data, 6)
    21.0
    """
    seed = whole(0)("fit: seed", seed)
    arguments.check_checkpoint(checkpoint, resume)
    epochs = whole(0)("fit: epochs", epochs)
    with nullcontext() if client is None else Cluster(client, X, y, sample_weight) as cluster:
        stream = Stream(X, epochs, checkpoint is not None, sample_weight) if y is None and cluster is None else None
        if cluster is not None:
            given = cluster.samples
        else:
            given = check_samples("fit", X, y, sample_weight) if stream is None else stream.first
        samples, held_out = arguments.with_validation(given, validation, seed if shuffle else None, stream)
        chosen = arguments.chosen_optimizer(optimizer, model, lr)
        if chosen.needs_closure and clip_norm is not None:
            raise ValueError(
                f"fit: clip_norm: expected None with {type(chosen).__name__}, which needs the whole gradient"
            )
        training = Training(
            model=model,
            parameters=arguments.all_parameters(model, chosen),
            samples=samples,
            held_out=held_out,
            loss=arguments.check_function("fit: loss", loss),
            metric=optional(arguments.check_function)("fit: metric", metric),
            optimizer=chosen,
            schedule=arguments.chosen_schedule(schedule, chosen),
            stopping=arguments.chosen_stopping(early_stopping),
            epochs=epochs,
            batch_size=(stream is None and optional(whole(1))("fit: batch_size", batch_size)) or len(samples),
            shuffle=flag("fit: shuffle", shuffle),
            clip_norm=optional(real(POSITIVE))("fit: clip_norm", clip_norm),
            callbacks=arguments.check_functions("callbacks", callbacks),
            seed=seed,
            checkpoint_every=whole(1)("fit: checkpoint_every", checkpoint_every),
            compile=one_of(True, False, "auto")("fit: compile", compile),
            stream=stream,
            cluster=cluster,
        )
        if checkpoint is not None:
            training.checkpoint = Checkpoint(checkpoint, training)
            if resume and os.path.exists(checkpoint):
                training.checkpoint.resume()
        steps = None if training.batches is None else training.epochs * training.batches
        with progress_bar(steps, len(training.history), progress) as show:
            return training.run(show)


class Training(RunState):
    """One run of `fit`: its state, and the steps that change it."""

    checkpoint: Checkpoint | None = None

    def run(self, show: Callback) -> History:
        """Train until the last epoch is done or a stop is requested; `show` gets the events, as callbacks do."""
        self.show = show
        with Interrupts() as self.interrupts, mode(self.model, training=True):
            self.objective.resume()
            try:
                while self.epoch < self.epochs and self.history.stopped_by is None:
                    self.run_epoch()
            except KeyboardInterrupt:
                if self.interrupts.requested:  # the second Ctrl-C stops at once
                    raise
                self.history.stopped_by = "interrupt"
        if self.stopping is not None and self.history.stopped_by in (None, "early stopping"):
            self.stopping.restore(self.parameters)
        return self.history

    def run_epoch(self) -> None:
        """Take a step for each remaining batch of the present epoch, then measure and save."""
        for batch in self.remaining_batches():
            self.take_step(batch)
            if self.history.stopped_by is not None:
                self.save(at_once=True)
                return
        self.finish_epoch()
        last = self.epoch == self.epochs or self.history.stopped_by is not None
        if last or self.epoch % self.checkpoint_every == 0:
            self.save(at_once=last)

    def remaining_batches(self) -> Iterator[list[int]]:
        """Yield the remaining batches of the present epoch, as indices of samples."""
        if self.stream is not None:
            for samples in self.stream.batches(self.epoch + 1, self.batch):
                self.samples = self.objective.samples = samples
                yield list(range(len(samples)))
            return
        order = list(range(len(self.samples)))
        if self.shuffle:
            self.rng.shuffle(order)
        for start in range(self.batch * self.batch_size, len(order), self.batch_size):
            yield order[start : start + self.batch_size]

    def take_step(self, batch: list[int]) -> None:
        """Take one step downhill: predict, loss, backward, step. The batch holds indices of samples."""
        where = f"epoch {self.epoch + 1}, batch {self.batch + 1} of {self.batches or '?'}"
        last = self.batch + 1 == self.batches if self.stream is None else self.batch == 0
        rate = self.optimizer.param_groups[0]["lr"]
        with self.guard.watch(where, lambda: self.objective.with_gradient(batch)):
            loss, predictions = self.objective.with_gradient(batch, self.batch == 0, last)
            norm = self.guard.check(loss, self.objective.vectors)
        if self.objective.untrained is not None and self.objective.untrained.batches >= 2:
            self.objective.untrained.warn(self.model, self.loss, stacklevel=5)  # at the call of `fit`
            self.objective.untrained = None
        if self.clip_norm is not None and norm > self.clip_norm:
            scale_gradients(self.optimizer.parameters(), self.clip_norm / norm)
        with self.guard.step(where):
            self.optimizer.step((lambda: self.loss_and_gradient(batch)) if self.optimizer.needs_closure else None)
        targets = [] if self.metric is None else [self.samples.targets[i] for i in batch]
        metric = score(self.metric, predictions, targets)
        self.history.add_step(self.epoch + 1, loss, metric, rate, norm)
        self.means.add(len(batch), loss, metric, self.samples.total(batch))
        self.batch += 1
        if self.schedule is not None and self.schedule.interval == "step":
            self.schedule.step(loss)
        self.notify("step", (loss, metric, None, None))

    def loss_and_gradient(self, batch: list[int]) -> Value:
        """Evaluate the loss and its gradient again, for an optimizer that tries several points in a step."""
        return Value(self.objective.with_gradient(batch)[0])

    def finish_epoch(self) -> None:
        """Measure the epoch, and update schedule and early stopping."""
        validation: tuple[float | None, float | None] = (None, None)
        if self.stream is not None:
            self.stream.end_epoch(self.epoch + 1)
        if self.held_out is not None:
            validation = self.validate(self.held_out)
        watched = self.means.loss if validation[0] is None else validation[0]
        epoch, rate = self.epoch + 1, self.history.learning_rate[-1]
        record = EpochRecord(epoch, len(self.history), self.means.loss, self.means.metric, rate, *validation)
        self.history.epochs.append(record)
        if self.schedule is not None and self.schedule.interval == "epoch":
            self.schedule.step(watched)
        if self.stopping is not None:
            self.stopping.update(epoch, watched, read_data(self.parameters))
            self.history.best_epoch = self.stopping.best_epoch
            self.history.stopped_by = "early stopping" if self.stopping.should_stop else None
        self.epoch, self.batch, self.means, self.random_state = epoch, 0, RunningMeans(), self.rng.getstate()
        self.notify("epoch", (record.loss, record.metric, *validation))

    def validate(self, held_out: Samples) -> tuple[float, float | None]:
        """Return loss and metric on the validation data."""

        def attempt() -> tuple[float, float | None]:
            loss, predictions = self.objective.without_gradient(held_out)
            return loss, score(self.metric, predictions, held_out.targets)

        with self.guard.watch(f"epoch {self.epoch + 1}, validation", attempt):
            loss, metric = attempt()
            check_finite("the loss on the validation data", loss)
        return loss, metric

    def notify(self, kind: Literal["step", "epoch"], figures: Figures) -> None:
        """Call the callbacks, and note a request to stop by one of them or by Ctrl-C."""
        batch = self.batch if kind == "step" else self.history.epoch.count(self.history.epoch[-1])
        place = (self.history.epoch[-1], batch, self.batches, len(self.history))
        event = TrainingEvent(kind, *place, *figures, self.model, self.optimizer, self.history)
        for callback in self.callbacks:
            callback(event)
        self.show(event)
        if self.history.stopped_by is None and self.epoch < self.epochs:
            if event.stop_requested:
                self.history.stopped_by = "callback"
            elif self.interrupts.requested:
                self.history.stopped_by = "interrupt"

    def save(self, at_once: bool) -> None:
        """Write the checkpoint, if there is one."""
        if self.checkpoint is not None:
            self.objective.choose_engine(first=self.batch % (self.batches or 2**62) == 0)
            self.checkpoint.save(at_once)
