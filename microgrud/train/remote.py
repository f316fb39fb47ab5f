"""Training data on the workers of a cluster, and the loss of batches of them with its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from ..common.generators import GlobalState
from ..distributed.checking import ClusterError, check_client
from ..distributed.crew import Crew
from ..distributed.shards import parts_of_collections
from ..distributed.shipping import Package, pack
from ..engine import Value, anomaly, topological_order
from ..engine.grad_mode import is_recording
from ..engine.vectors import Vector, add_to_gradients, read_data
from ..nn.module import Module
from ..nn.sequential import trains_on_batches
from .batches import Rows, Samples, check_samples
from .dependencies import Dependencies
from .evaluation import Loss
from .history import History
from .holder import Description, Holder, Order, Request, masks_of, packed_masks
from .masks import Masks
from .objective import Objective
from .untrained import Untrained
from .usage import UnlistedError

#: Data of this process are cut into so many shards, of so many rows at least.
_MOST_SHARDS, _LEAST_ROWS = 32, 1024
#: Rows of the first shard with which model and loss are tried here, before they are sent.
_TRIED = 8


class RemoteRows(Rows):
    """Rows that workers hold, by their numbers through all shards.

    Args:
        cluster: the cluster that holds them.
        numbers: the numbers of the rows.
    """

    def __init__(self, cluster: Cluster, numbers: np.ndarray[Any, Any]) -> None:
        super().__init__(numbers, cluster.integers)
        self.cluster = cluster

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.cluster.columns

    def take(self, indices: list[int]) -> RemoteRows:
        """Return some rows, in this order."""
        return RemoteRows(self.cluster, self.array[indices])


class Cluster:
    """The workers of a cluster, with the data of a run in shards.

    Args:
        client: a client of `dask.distributed`.
        X, y, weights: the arguments of `fit`.

    Attributes:
        crew: the actors on the workers.
        samples: the samples; their rows are on the workers, targets and weights here.
        columns, integers: the number of columns, and those of integers.

    Raises:
        TypeError, ValueError: for invalid data, and for shards that are not alike.
        ClusterError: if workers lack this package, or there are none.
    """

    def __init__(self, client: Any, X: Any, y: Any, weights: Any) -> None:
        check_client(client)
        self.crew = Crew(client, Holder, _loaders(client, X, y, weights))
        try:
            self.samples = self._settled(self.crew.descriptions)
        except BaseException:
            self.crew.close()
            raise

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *error: object) -> None:
        self.crew.close()

    def _settled(self, found: Sequence[Description]) -> Samples:
        """Compare the shards, tell the workers what they have in common, and return their rows as samples."""
        for k, each in enumerate(found):
            for what in ("columns", "names", "target_shape"):
                got, expected = getattr(each, what), getattr(found[0], what)
                if got != expected:
                    raise ValueError(f"fit: shard {k}: expected {what} {expected} as in shard 0, got {got}")
        self.columns = found[0].columns
        self.integers = [k for k in found[0].integers if all(k in each.integers for each in found)]
        self.bounds = np.cumsum([0, *(each.rows for each in found)])
        self.digests = [each.digest for each in found]
        parts = [self.crew.one(k, "rest", k) for k in range(len(found))]
        some = [weights is not None for _, weights in parts]
        if any(some) and not all(some):
            raise ValueError(f"fit: shard {some.index(False)}: expected sample weights as in others, got none")
        kind, targets = None, []  # type: Any, Any
        if found[0].target_shape is None:
            targets = [target for own, _ in parts for target in own]
        else:
            targets = Rows(np.concatenate([own.array for own, _ in parts]))
            kind = targets.array.dtype
        weights = np.concatenate([own for _, own in parts]) if all(some) else None
        samples = Samples(RemoteRows(self, np.arange(self.bounds[-1])), targets, weights)
        total = samples.total(range(len(samples))) or 1.0
        self.crew.everywhere("settle", len(found), self.integers, kind, total)
        return samples

    def orders(
        self, rows: Sequence[int] | np.ndarray[Any, Any], masks: Any
    ) -> tuple[dict[int, Order], np.ndarray[Any, Any]]:
        """Return what each shard is asked for, and the places of its rows in the batch, shard by shard."""
        numbers = np.asarray(rows)
        owners = np.searchsorted(self.bounds, numbers, side="right") - 1
        places = np.argsort(owners, kind="stable")
        shards, starts = np.unique(owners[places], return_index=True)
        orders = {}
        for shard, own in zip(shards.tolist(), np.split(places, starts[1:])):
            local = (numbers[own] - self.bounds[shard]).astype(np.uint32)
            orders[shard] = Order(local, None if masks is None else packed_masks(masks[own]))
        return orders, places


class RemoteObjective:
    """The mean loss of batches on a cluster; see `Objective`, whose methods these are.

    Args:
        cluster: the cluster with the data.
        others: the arguments of `Objective`, of which the samples are those of the cluster.
    """

    vectors: tuple[Vector, Vector] | None = None

    def __init__(
        self,
        cluster: Cluster,
        model: Any,
        loss: Loss,
        samples: Samples,
        batch_size: int,
        clear: Callable[[], object],
        with_predictions: bool,
        compile: bool | Literal["auto"],
        history: History,
        parameters: Sequence[Value],
    ) -> None:
        if isinstance(model, Module) and trains_on_batches(model):
            raise ValueError(
                "fit: client: expected a model of single rows, got one with a module such as BatchNorm1d, which "
                "computes with the whole batch; LayerNorm does not"
            )
        self.cluster, self.model, self.loss, self.samples = cluster, model, loss, samples
        self.batch_size, self.clear, self.with_predictions, self.compile = batch_size, clear, with_predictions, compile
        self.history, self.parameters = history, list(parameters)
        self.untrained: Untrained | None = None
        self._masks: Masks | None = None
        self._dependencies: Dependencies | None = None
        self._package: Package | None = None
        self._here: Objective | None = None  # for validation data of this process

    def resume(self) -> None:
        """Do nothing: the workers record when they are asked for the first batch."""

    def choose_engine(self, first: bool) -> None:
        """Do nothing: each worker chooses by what it meets."""

    def with_gradient(self, indices: Sequence[int], first: bool = False, last: bool = False) -> tuple[float, list[Any]]:
        """Return the mean loss of a batch and the predictions, and leave its gradient in the parameters' `grad`."""
        if not is_recording():
            raise RuntimeError(
                "fit: expected gradients to be recorded, got a step inside no_grad(); train outside of it"
            )
        if anomaly.is_detecting():
            raise ClusterError("fit: client: expected no detect_anomaly(), which watches this process alone")
        if self._masks is None:
            self._try_here()
        self._send()
        masks = None if self._masks is None else self._masks.draw(len(indices))
        loss, slopes, predictions = self._measure(self.samples, indices, masks, first, last, False)
        self.clear()
        add_to_gradients(self.parameters, slopes)
        return loss, predictions

    def without_gradient(self, held_out: Samples) -> tuple[float, list[Any]]:
        """Return the mean loss of the validation samples and the predictions, in evaluation mode."""
        if not isinstance(held_out.rows, RemoteRows):
            if self._here is None:
                self._here = Objective(
                    self.model, self.loss, held_out, self.batch_size, self.clear, self.with_predictions, self.compile,
                    History(), self.parameters,
                )  # fmt: skip
            return self._here.without_gradient(held_out)
        self._send()
        loss, _, predictions = self._measure(held_out, range(len(held_out)), None, False, False, True)
        return loss, predictions

    def _try_here(self) -> None:
        """Call model and loss with a few rows: their own errors are raised here, before anything is sent."""
        tried = Samples(*self.cluster.crew.one(0, "head", 0, _TRIED))
        masks = masks_of(self.model, tried.rows[0])
        with GlobalState() as state:
            for some in ([0], range(len(tried))):
                losses: dict[str, list[Any]] = {seed: [] for seed in ("one", "other")}
                for seed, found in losses.items():
                    state.save_and_seed(seed)
                    for i in some:
                        with masks.given(masks.first):
                            found.append(self.loss(self.model(tried.rows[i]), tried.targets[i]))
                self._check(*losses.values())
                if self.untrained is not None:
                    nodes = (node for loss in losses["one"] for node in topological_order(loss))
                    self.untrained.see(node for node in nodes if node.is_leaf)
        self._masks = masks  # not before the checks: `fit` repeats a step that raises a ValueError

    @staticmethod
    def _check(losses: Sequence[Any], others: Sequence[Any]) -> None:
        """Raise unless losses are Values, and do not depend on random numbers."""
        for loss, other in zip(losses, others):
            if not isinstance(loss, Value):
                raise TypeError(
                    f"fit: loss: expected a Value that depends on the parameters, got {loss!r}; compute the loss with "
                    "Values, not with their .data"
                )
            if repr(loss.data) != repr(other.data):
                raise ValueError(
                    "fit: client: expected a model and a loss that draw no random numbers but the masks of Dropout, "
                    f"got the losses {loss.data} and {other.data} of one sample; workers would draw others than here"
                )

    def _send(self) -> None:
        """Send model and loss to the workers, if they have changed by more than the numbers of leaves."""
        if self._package is not None and self._dependencies is not None and self._dependencies.change() is None:
            return
        made = pack((self.model, self.loss, self.parameters, self.with_predictions, self.batch_size, self.compile))
        if self._package is None or self._package.content != made.content:
            self.cluster.crew.everywhere("use", made.content, [leaf.label for leaf in made.leaves])
        self._package = made
        try:
            self._dependencies = Dependencies({"model": self.model, "loss": self.loss})
        except UnlistedError:
            self._dependencies = None

    def _measure(
        self, samples: Samples, indices: Iterable[int], masks: Any, first: bool, last: bool, validates: bool
    ) -> tuple[float, Vector, list[Any]]:
        """Return the mean loss of samples, its derivatives, and the predictions."""
        assert self._package is not None
        rows = samples.rows.array[list(indices)]
        orders, places = self.cluster.orders(rows, masks)
        reason = self.history.eager_because if self.compile == "auto" else None
        request = Request(read_data(self._package.leaves), first, last, validates, reason)
        total, others = self.cluster.crew.add_up(request, orders)
        engines = [(engine, reason) for _, (engine, reason, _) in sorted(others.items())]
        chosen = next((pair for pair in engines if pair[0] == "eager"), engines[0])
        if chosen[0] == "eager" and any(engine != "eager" for engine, _ in engines):
            # Which shards share a recording, and give it up with another, must not show in the result.
            total, others = self.cluster.crew.add_up(request._replace(eager_because=chosen[1]), orders)
        self.history.engine, self.history.eager_because = chosen
        weight = float(total[-1]) or 1.0
        predictions: list[Any] = []
        if self.with_predictions:
            predictions = [None] * len(rows)
            for place, one in zip(places.tolist(), (one for shard in orders for one in others[shard][2])):
                predictions[place] = one
        return float(total[-2]) / weight, total[:-2] / weight, predictions


def _loaders(client: Any, X: Any, y: Any, weights: Any) -> list[Any]:
    """Return a source for each shard: samples of this process, partitions of collections, or functions."""
    if hasattr(X, "loaders"):
        for name, given in (("y", y), ("sample_weight", weights)):
            if given is not None:
                raise ValueError(f"fit: {name}: expected None, as shards bring their own, got {type(given).__name__}")
        return list(X.loaders(client))
    if any(hasattr(x, "to_delayed") for x in (X, y, weights)):
        return parts_of_collections(X, y, weights)
    if y is None:
        raise TypeError(
            "fit: X: expected data that workers can hold, got batches; with a client, give X and y, or "
            "microgrud.distributed.Shards"
        )
    samples = check_samples("fit", X, y, weights)
    size = max(_LEAST_ROWS, math.ceil(len(samples) / _MOST_SHARDS))
    starts = range(0, len(samples), size)
    parts = [samples.take(range(start, min(start + size, len(samples)))) for start in starts]
    return [partial(Samples, *part) for part in parts]  # Dask takes the length of a tuple for that of its items
