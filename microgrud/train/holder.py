"""The actor on a worker of a cluster: it holds shards, and adds up their losses and gradients."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..common.generators import GlobalState
from ..distributed.answers import answer_error, answering, ask, result_of
from ..distributed.checking import ClusterError
from ..distributed.crew import merged
from ..distributed.shipping import pack, unpack
from ..distributed.sums import Sums, add_up
from ..engine.vectors import Vector, clear_gradients, read_gradients, write_data
from ..nn.mode import mode
from .batches import Rows, Samples, check_samples
from .evaluation import Loss, predict
from .history import History
from .masks import Masks
from .objective import Objective
from .recorded import Measured
from .streams import fingerprint


class Request(NamedTuple):
    """A request that all shards get.

    Attributes:
        data: the numbers of all leaves.
        first, last: whether the batch is the first of an epoch, and the last.
        validates: whether to evaluate without a gradient, in evaluation mode.
        eager_because: the reason to evaluate by the model, which a shard has met; else None.
    """

    data: Vector
    first: bool
    last: bool
    validates: bool
    eager_because: str | None


class Order(NamedTuple):
    """A request to one shard: the rows, by their number in the shard, and the masks of Dropout for them."""

    rows: Vector
    masks: Any


class Description(NamedTuple):
    """The properties of a shard that the run depends on; `digest` is that of all its numbers."""

    rows: int
    columns: int
    names: tuple[str, ...] | None
    integers: tuple[int, ...]
    target_shape: tuple[int, ...] | None
    digest: str


class Job(NamedTuple):
    """The objects that are sent to the workers once.

    Attributes:
        model, loss, with_predictions, batch_size, compile: as for `Objective`.
        parameters: the leaves to train.
    """

    model: Any
    loss: Loss
    parameters: Sequence[Any]
    with_predictions: bool
    batch_size: int
    compile: Any


class Holder:
    """The actor of a worker.

    Args:
        threads: the number of threads of the worker.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.shards: dict[int, Samples] = {}
        self.count = 0
        self._alike: tuple[list[int], Any] = ([], None)
        self._objective: ShardObjective | None = None
        self._job: tuple[Job, list[Any]] | None = None

    @answering
    def load(self, numbers: Sequence[int], loaders: Sequence[Any]) -> list[Description]:
        """Load shards, and return their descriptions."""
        found = []
        for number, loader in zip(numbers, loaders):
            try:
                data = unpack(loader, [])[0]() if isinstance(loader, bytes) else loader()
            except Exception as error:  # of the user's code
                raise answer_error(error, f"loading shard {number}:\n") from error
            if not isinstance(data, Samples):
                if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
                    raise TypeError(
                        f"fit: shard {number}: expected a pair (X, y) or a triple (X, y, sample_weight), got an object "
                        f"of type {type(data).__name__}"
                    )
                names = tuple(map(str, getattr(data[0], "columns", ()))) or None
                samples = check_samples(f"fit: shard {number}", *data)
            else:
                samples, names = data, None
            self.shards[number] = samples
            width, digest = samples.rows.width, fingerprint(samples).hex()
            shape = samples.targets.array.shape[1:] if isinstance(samples.targets, Rows) else None
            found.append(Description(len(samples), width, names, samples.rows.integers, shape, digest))
        self._objective = None
        return found

    @answering
    def rest(self, number: int) -> tuple[Any, Any]:
        """Return the targets and the weights of a shard."""
        return self.shards[number][1:]

    @answering
    def head(self, number: int, count: int) -> tuple[Any, ...]:
        """Return the first samples of a shard."""
        return tuple(self.shards[number].take(range(min(count, len(self.shards[number])))))

    @answering
    def settle(self, count: int, integers: Sequence[int], targets: Any, total: float) -> None:
        """Note the number of all shards, the columns of integers, the type of targets, and the sum of all weights."""
        self.count, self._alike, self._total = count, (list(integers), targets), total
        self._objective = None

    @answering
    def use(self, content: bytes, labels: list[str]) -> None:
        """Take the model and the loss from now on."""
        job, leaves = unpack(content, labels)
        self._job, self._objective = (Job(*job), leaves), None

    @answering
    def step(self, request: Request, own: dict[int, Order], children: Sequence[Any]) -> tuple[Sums, dict[int, Any]]:
        """Return sums over the own shards and those of other actors, and per shard the engine and the predictions.

        Args:
            request: the request to all shards.
            own: the requests to shards of this actor.
            children: other actors, each with the requests to its shards and its children.
        """
        waiting = [ask(actor, "step", request, *rest) for actor, *rest in children]
        assert self._job is not None
        objective = self._objective = self._objective or self._new_objective()
        write_data(self._job[1], np.array(request.data))  # what arrives is read-only
        sums: Sums = {}
        others: dict[int, Any] = {}
        for number, order in own.items():
            sums[0, number], others[number] = objective.of_shard(
                self._offsets[number] + order.rows, order.masks, request
            )
        return merged([(add_up(sums, self.count), others), *map(result_of, waiting)], self.count)

    def _new_objective(self) -> ShardObjective:
        """Return the objective over the rows of all own shards, one after the other."""
        assert self._job is not None
        parts = [self.shards[number] for number in sorted(self.shards)]
        starts = np.cumsum([0, *map(len, parts)]).tolist()
        self._offsets = dict(zip(sorted(self.shards), starts))
        integers, kind = self._alike
        if kind is None:
            targets: Any = [target for part in parts for target in part.targets]
        else:
            targets = Rows(np.concatenate([part.targets.array for part in parts]).astype(kind))  # type: ignore[attr-defined]
        weights = [part.weights for part in parts if part.weights is not None]
        samples = Samples(
            Rows(np.concatenate([part.rows.array for part in parts]), integers),
            targets,
            np.concatenate(weights) if weights else None,
        )
        for number, part in zip(sorted(self.shards), parts):  # as views: the rows are kept once
            start = self._offsets[number]
            rows = Rows(samples.rows.array[start : start + len(part)], part.rows.integers)
            self.shards[number] = Samples(rows, part.targets, part.weights)
        job, _ = self._job
        made = ShardObjective(
            job.model, job.loss, samples, job.batch_size, lambda: clear_gradients(job.parameters), job.with_predictions,
            job.compile, History(), job.parameters, self.threads,
        )  # fmt: skip
        made.total = self._total
        made.batch_size = job.batch_size  # not the number of own rows: the engine depends on it
        return made


class ShardObjective(Objective):
    """The loss of parts of batches, on a worker: the masks of Dropout are given, and state is not to change.

    Attributes:
        total: the sum of the weights of all samples of the run.
    """

    total = 1.0
    _finder: Masks | None = None

    def of_shard(self, indices: Any, masks: Any, request: Request) -> tuple[Vector | None, Any]:
        """Return the gradient, the loss and the weight of samples in a vector, and their predictions.

        Gradient and loss are the means of the samples, times their share of the weights of all samples of the run.

        Raises:
            ClusterError: if a call changes anything, which the next worker would not see.
        """
        places = indices.tolist()
        weight = self.samples.total(places) / self.total
        if request.eager_because is not None:
            self.history.engine, self.history.eager_because = "eager", request.eager_because
        calls_model = self.history.engine != "tape" or self.compile is True
        before = self._state() if calls_model else None
        self.given_masks = unpacked_masks(masks)
        if request.validates:
            loss, predictions = self.validate(places)
            slopes = np.zeros(0)
        else:
            loss, predictions = self.with_gradient(places, request.first, request.last)
            slopes = read_gradients(self.parameters)
        if calls_model and self._state() != before:
            raise ClusterError(
                "fit: client: expected a model and a loss that change nothing in a call, got ones that change their "
                "attributes, which the other workers would not see"
            )
        found: Vector = np.concatenate([slopes * weight, [loss * weight, weight]])
        return found, (self.history.engine, self.history.eager_because, predictions)

    def validate(self, places: Sequence[int]) -> tuple[float, list[Any]]:
        """Return the mean loss of samples, and the predictions, in evaluation mode."""

        def replay() -> Measured:
            if self._validation is None or self._validation.change() is not None:
                self._validation = self._record(self.samples, len(self.samples), lambda operands: None)
            return self._validation(places, False)

        with mode(self.model, training=False):
            return self._replay_or_evaluate(
                replay, lambda: predict(self.model, self.samples.take(places), self.loss), "in validation, "
            )

    def _evaluate_by_model(self, batch: Samples) -> tuple[float, list[Any]]:
        if self.given_masks is None:
            return super()._evaluate_by_model(batch)
        given, model = iter(self.given_masks.tolist()), self.model
        if self._finder is None:
            self._finder = masks_of(model, batch.rows[0])
        finder = self._finder

        def with_masks(row: Any) -> Any:
            with finder.given(next(given)):
                return model(row)

        self.model = with_masks
        try:
            return super()._evaluate_by_model(batch)
        finally:
            self.model = model

    def _state(self) -> bytes:
        return pack((self.model, self.loss)).content


def masks_of(model: Any, row: Any) -> Masks:
    """Return the masks of Dropout that a call of a model takes; it draws from no generator."""
    found = Masks()
    with GlobalState() as state, found.finding():
        state.save()
        model(copy.deepcopy(row))
    return found


def packed_masks(masks: Any) -> Any:
    """Return masks, of which each column holds 0 and one other number, in a bit each; other masks unchanged."""
    if masks is None or not masks.size:
        return None
    bits, kept = masks != 0.0, masks.max(axis=0)
    if np.array_equal(np.where(bits, kept, 0.0), masks):
        return np.packbits(bits), kept, bits.shape
    return masks


def unpacked_masks(packed: Any) -> Any:
    """Return the masks that `packed_masks` was given.

    >>> unpacked_masks(packed_masks(np.array([[2.0, 0.0], [0.0, 4.0]])))
    array([[2., 0.],
           [0., 4.]])
    """
    if not isinstance(packed, tuple):
        return packed
    bits, kept, shape = packed
    return np.where(np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape), kept, 0.0)
