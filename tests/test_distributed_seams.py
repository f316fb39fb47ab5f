"""Training on a cluster, combined with all else that `fit` and models can do: compared with training here."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
distributed = pytest.importorskip("distributed")
pytest.importorskip("cloudpickle")


from microgrud import Value, detect_anomaly, exp, grad, no_grad, tanh  # noqa: E402
from microgrud.distributed import (  # noqa: E402
    ClusterError,
    Shards,
    crew as crew_module,
)
from microgrud.distributed.crew import Crew  # noqa: E402
from microgrud.losses import cross_entropy, squared_error  # noqa: E402
from microgrud.nn import MLP, Dropout, Embedding, Layer, Module, Neuron, Sequential  # noqa: E402
from microgrud.optim import Adam, StepLR  # noqa: E402
from microgrud.train import EarlyStopping, History, TrainingDivergedError, TrainingEvent, fit  # noqa: E402

pytestmark = pytest.mark.slow("a matrix of runs on a cluster of two processes, 30 s")

ROWS = sorted(np.random.default_rng(1).normal(size=(60, 3)).tolist())  # so that shards take different branches
TARGETS = [math.sin(a) + b * b for a, b, _ in ROWS]
Arguments = dict[str, Any]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Yield the client of a cluster of two processes with one thread each."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def part(*data: Any) -> tuple[Any, ...]:
    return data


def in_shards(*data: Any, count: int = 5) -> Shards:
    """Return rows, targets and perhaps weights in shards of about the same size."""
    bounds = [round(k * len(data[0]) / count) for k in range(count + 1)]
    return Shards([partial(part, *(each[a:b] for each in data)) for a, b in pairwise(bounds)])


def train(client: Any, arguments: Arguments, *data: Any, count: int = 5) -> tuple[History, list[float], float]:
    """Return the history, the parameters, and the next number of the global generator."""
    random.seed(7)
    settings = {"loss": squared_error, "epochs": 2, "batch_size": 25, "progress": False, **arguments}
    model = settings.pop("model")
    if client is None:
        history = fit(model, *data[:2], sample_weight=data[2] if data[2:] else None, **settings)
    else:
        history = fit(model, in_shards(*data, count=count), client=client, **settings)
    return history, [p.data for p in model.parameters()], random.random()


def network(*layers: int) -> Module:
    return MLP(3, list(layers) or [4, 1], rng=3)


class OfHalves(Module):
    """A model that takes another branch for each half of the rows; a shard has rows of one half."""

    def __init__(self, count: int = 2) -> None:
        self.parts = [Neuron(3, nonlin=False, rng=k) for k in range(count)]

    def __call__(self, x: Any) -> Any:
        k = 0
        while k < len(self.parts) - 1 and x[0] > -1.2 + 2.4 * (k + 1) / len(self.parts):
            k += 1
        return self.parts[k](x)


class WithTry(OfHalves):
    def __call__(self, x: Any) -> Any:
        try:
            return 2.0 * self.parts[0](x)
        except ZeroDivisionError:
            return self.parts[1](x)


class WithDerivative(OfHalves):
    def __call__(self, x: Any) -> Any:
        return self.parts[0](x) + grad(lambda t: tanh(t * t))(x[1])


class OfIndices(Module):
    def __init__(self) -> None:
        self.embedding, self.layer = Embedding(5, 2, rng=1), Layer(3, 1, rng=2)

    def __call__(self, x: Any) -> Any:
        return self.layer([*self.embedding(x[0]), x[1]])


class Scaled:
    """A loss with a setting."""

    def __init__(self) -> None:
        self.scale = 1.0

    def __call__(self, prediction: Any, target: Any) -> Any:
        return self.scale * (prediction - target) ** 2


def at_step(number: int, action: Callable[[], object]) -> Callable[[TrainingEvent], None]:
    def callback(event: TrainingEvent) -> None:
        if event.step == number:
            action()

    return callback


def with_closure() -> Arguments:
    scale = Value(1.0)
    return {
        "model": network(),
        "loss": lambda prediction, target: scale * (prediction - target) ** 2,
        "optimizer": Adam([*(model := network()).parameters(), scale], lr=0.01),
        "callbacks": at_step(2, lambda: setattr(scale, "data", 0.5)),
    } | {"model": model}


def with_setting() -> Arguments:
    loss = Scaled()
    return {"model": network(), "loss": loss, "callbacks": at_step(2, lambda: setattr(loss, "scale", 3.0))}


def with_freezing() -> Arguments:
    model = network()
    return {"model": model, "callbacks": at_step(2, model.layers[0].freeze)}


def with_new_value() -> Arguments:
    model = network()
    return {"model": model, "callbacks": at_step(2, lambda: model.layers[0].neurons[0].w.__setitem__(0, Value(0.5)))}


def with_some_parameters() -> Arguments:
    model = network()
    return {"model": model, "optimizer": Adam(model.layers[1].parameters(), lr=0.01)}


def with_dropout(**more: Any) -> Arguments:
    return {"model": Sequential(network(6), Dropout(0.3), Layer(6, 1, rng=1)), **more}


def with_another_fit() -> Arguments:
    def inner() -> None:
        fit(network(), ROWS[:9], TARGETS[:9], loss=squared_error, epochs=1, progress=False)

    return {"model": network(), "callbacks": at_step(2, inner)}


WAYS: dict[str, Callable[[], Arguments]] = {
    "branches of shards": lambda: {"model": OfHalves()},
    "branches of shards, recorded": lambda: {"model": OfHalves(), "compile": True},
    "eight branches, recorded": lambda: {"model": OfHalves(8), "compile": True, "batch_size": 40},
    "no recording": lambda: {"model": network(), "compile": False},
    "recorded": lambda: {"model": network(), "compile": True},
    "try": lambda: {"model": WithTry()},
    "a derivative in the model": lambda: {"model": WithDerivative()},
    "a lambda": lambda: {"model": network(), "loss": lambda p, t: abs(p - t) + 0.1 * p**2},
    "a Value that a callback changes": with_closure,
    "a setting that a callback changes": with_setting,
    "frozen in mid-run": with_freezing,
    "a parameter replaced": with_new_value,
    "some parameters": with_some_parameters,
    "dropout": with_dropout,
    "dropout, recorded": lambda: with_dropout(compile=True),
    "dropout, validation": lambda: with_dropout(validation=0.2, compile=False),
    "lbfgs": lambda: {"model": network(2, 1), "optimizer": "lbfgs", "batch_size": None},
    "a schedule and clipping": lambda: {"model": network(), "clip_norm": 0.5, "schedule": lambda o: StepLR(o, 1)},
    "early stopping": lambda: {
        "model": network(), "early_stopping": EarlyStopping(1), "validation": 0.3, "epochs": 9, "lr": 0.2,
    },
    "rows in their order": lambda: {"model": network(), "shuffle": False, "validation": 0.2},
    "batches of one": lambda: {"model": network(), "batch_size": 1, "epochs": 1},
    "a batch of more than all": lambda: {"model": network(), "batch_size": 1000},
    "a fit inside a fit": with_another_fit,
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_a_cluster_does_what_this_process_does(client: Any, name: str) -> None:
    (here, numbers, drawn), (there, others, also_drawn) = (
        train(where, WAYS[name](), ROWS, TARGETS) for where in (None, client)
    )
    assert there.loss == pytest.approx(here.loss, rel=1e-10, abs=1e-12)
    assert others == pytest.approx(numbers, rel=1e-9, abs=1e-11)
    assert also_drawn == drawn
    assert (there.stopped_by, there.best_epoch, there.engine) == (here.stopped_by, here.best_epoch, here.engine)
    ours, theirs = ([epoch.validation_loss or 0.0 for epoch in each.epochs] for each in (here, there))
    assert theirs == pytest.approx(ours, rel=1e-10)


def test_weights_of_zero_in_a_whole_shard_and_batch_count_nothing(client: Any) -> None:
    weights = [0.0 if 12 <= k < 30 else 1.0 + k % 3 for k in range(60)]
    here, there = (
        train(where, {"model": network(), "batch_size": 5, "shuffle": False}, ROWS, TARGETS, weights)[0]
        for where in (None, client)
    )
    assert here.loss[3] == there.loss[3] == 0.0
    assert there.loss == pytest.approx(here.loss, rel=1e-12)


def test_columns_of_integers_are_those_that_are_in_all_shards(client: Any) -> None:
    rows = [[k % 5, 0.5 * k] for k in range(60)]
    here, there = (train(where, {"model": OfIndices()}, rows, TARGETS)[0] for where in (None, client))
    assert there.loss == pytest.approx(here.loss, rel=1e-12)
    mixed = [[float(k) if k == 3 else k, x] for k, x in rows]
    for where in (None, client):
        with pytest.raises(TypeError, match="index: expected an integer"):
            train(where, {"model": OfIndices()}, mixed, TARGETS)


def test_targets_may_be_classes_and_sequences(client: Any) -> None:
    classes: list[Any] = [float(k % 3) if k < 9 else k % 3 for k in range(60)]
    pairs = [[t, 2.0 * t] for t in TARGETS]
    for targets, loss in ((classes, cross_entropy), (pairs, lambda p, t: (p[0] - t[0]) ** 2 + (p[1] - t[1]) ** 2)):
        here, there = (
            train(where, {"model": network(4, 3), "loss": loss}, ROWS, targets)[0] for where in (None, client)
        )
        assert there.loss == pytest.approx(here.loss, rel=1e-12)


def test_a_diverging_run_ends_at_the_same_step(client: Any) -> None:
    for settings in ({"lr": 1e200}, {"loss": lambda p, t: exp(exp(4.0 + (p - t) ** 2)), "lr": 1.0}):
        places = []
        for where in (None, client):
            with pytest.raises(TrainingDivergedError) as caught:
                train(where, {"model": network(), "optimizer": "sgd", **settings}, ROWS, TARGETS)
            places.append((caught.value.where, caught.value.learning_rate))
        assert places[0] == places[1]


class Counting(OfHalves):
    calls = 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return self.parts[0](x)


class Special(Value):
    """A leaf of a class of its own."""


class Gated(OfHalves):
    def __init__(self) -> None:
        super().__init__()
        self.gate = Special(1.0)

    def __call__(self, x: Any) -> Any:
        return self.gate * self.parts[0](x)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"model": Counting()}, RuntimeError, "change nothing in a call"),
        ({"model": Gated()}, TypeError, "expected leaves that are Values, got a Special"),
        ({"loss": lambda p, t: (p.data - t) ** 2}, TypeError, "compute the loss with Values"),
        ({"loss": lambda p, t: (p - t) ** 2 + random.random()}, ValueError, "draw no random numbers"),
    ],
    ids=["a count", "a subclass", "numbers", "random numbers"],
)
def test_what_cannot_be_done_on_a_cluster_is_an_error(
    client: Any, arguments: Arguments, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        train(client, {"model": network(), **arguments}, ROWS, TARGETS)


def test_a_row_that_is_not_finite_is_named_with_its_shard(client: Any) -> None:
    rows = [list(row) for row in ROWS]
    rows[26][1] = math.nan
    with pytest.raises(ValueError, match="shard 2: row 2: expected finite numbers, got nan in column 1"):
        train(client, {"model": network()}, rows, TARGETS)


def test_contexts_that_a_worker_cannot_see_are_errors(client: Any) -> None:
    with no_grad(), pytest.raises(RuntimeError, match="outside of it"):
        train(client, {"model": network()}, ROWS, TARGETS)
    with detect_anomaly(), pytest.raises(ClusterError, match="detect_anomaly"):
        train(client, {"model": network()}, ROWS, TARGETS)


def test_leaves_that_are_not_trained_are_warned_of(client: Any) -> None:
    scale = Value(1.0, label="scale")
    with pytest.warns(UserWarning, match="'scale'"):
        train(client, {"model": network(), "loss": lambda p, t: scale * (p - t) ** 2}, ROWS, TARGETS)


@pytest.mark.parametrize("compile", ["auto", True, False])
def test_a_run_resumed_in_the_middle_of_an_epoch_has_the_same_bits(client: Any, tmp_path: Path, compile: Any) -> None:
    def stop(event: TrainingEvent) -> None:
        if event.step == 4:
            event.stop()

    whole = train(client, with_dropout(compile=compile), ROWS, TARGETS)
    file = tmp_path / "run"
    stopped = train(client, with_dropout(compile=compile, checkpoint=file, callbacks=stop), ROWS, TARGETS)
    assert len(stopped[0].loss) == 4
    resumed = train(client, with_dropout(compile=compile, checkpoint=file, resume=True), ROWS, TARGETS)
    assert (resumed[0].loss, resumed[1]) == (whole[0].loss, whole[1])


def test_two_runs_at_once_on_one_client_do_not_mix(client: Any) -> None:
    found = {}

    def run(seed: int) -> None:
        model = MLP(3, [4, 1], rng=seed)
        found[seed] = fit(model, in_shards(ROWS, TARGETS), loss=squared_error, client=client, progress=False).loss

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (1, 2):
        model = MLP(3, [4, 1], rng=seed)
        here = fit(model, ROWS, TARGETS, loss=squared_error, progress=False)
        assert found[seed] == pytest.approx(here.loss, rel=1e-12)


# --- any placement, any tree ---


class Unrecordable(OfHalves):
    """A model that cannot be recorded for rows of the last shard."""

    def __init__(self) -> None:
        self.layers = [Layer(3, 6, rng=1), Layer(6, 1, rng=2)]

    def __call__(self, x: Any) -> Any:
        hidden = list(self.layers[0](x))
        if x[0] > 1.5:
            hidden[0] = hidden[int(float(x[0]))]
        return self.layers[1](hidden)


@pytest.mark.parametrize(
    "arguments",
    [
        lambda: {"model": network(), "batch_size": None},
        lambda: {"model": network(4, 1), "batch_size": None, "compile": False},
        lambda: {"model": network(6, 1), "batch_size": None},  # 40 rows are too few for a recording, 60 are not
        lambda: {"model": Unrecordable(), "batch_size": None},
        lambda: {"model": OfHalves(8), "compile": True, "batch_size": 40},
    ],
    ids=["network", "eager", "few rows", "one shard cannot be recorded", "branches"],
)
def test_the_bits_do_not_depend_on_the_places_of_shards_and_the_tree(
    client: Any, arguments: Callable[[], Arguments], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(client, arguments(), ROWS, TARGETS, count=6)
    monkeypatch.setattr(crew_module, "_FAN", 1)  # an actor calls the other
    assert train(client, arguments(), ROWS, TARGETS, count=6)[:2] == first[:2]
    living = Crew._living
    for threads in ((1,), (1, 5)):
        monkeypatch.setattr(Crew, "_living", lambda self, threads=threads: dict(zip(sorted(living(self)), threads)))
        assert train(client, arguments(), ROWS, TARGETS, count=6)[:2] == first[:2]


def test_an_error_on_an_actor_below_another_is_that_of_the_model(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(OfHalves):
        def __call__(self, x: Any) -> Any:
            if x[0] > 1.2:
                raise KeyError("no such row")
            return self.parts[0](x)

    monkeypatch.setattr(crew_module, "_FAN", 1)
    with pytest.raises(KeyError, match="no such row") as caught:
        train(client, {"model": Refusing(), "batch_size": None}, ROWS, TARGETS)
    assert "in __call__" in str(caught.value.__cause__)
