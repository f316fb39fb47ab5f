"""`fit(..., client=...)`: training on the workers of a Dask cluster gives what training here gives."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

np = pytest.importorskip("numpy")
distributed = pytest.importorskip("distributed")
pytest.importorskip("cloudpickle")

from microgrud import Value, dot, relu  # noqa: E402
from microgrud.distributed import ClusterError, Shards  # noqa: E402
from microgrud.losses import cross_entropy, squared_error  # noqa: E402
from microgrud.nn import MLP, BatchNorm1d, Dropout, Linear, Module, Sequential  # noqa: E402
from microgrud.train import History, fit  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3000, 4))
Y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2]
SETTINGS: dict[str, Any] = {"loss": squared_error, "epochs": 2, "batch_size": 500, "progress": False}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Yield the client of a cluster of two processes with one thread each."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def both(model: Any, client: Any, X: Any = X, y: Any = Y, **changes: Any) -> tuple[History, History]:
    """Train here and on the cluster; return both histories after a comparison of the losses and the parameters."""
    models = model(), model()
    here = fit(models[0], X, y, **{**SETTINGS, **changes})
    there = fit(models[1], X, y, **{**SETTINGS, **changes}, client=client)
    assert there.loss == pytest.approx(here.loss, rel=1e-12)
    numbers = [[p.data for p in each.parameters()] for each in models]
    assert numbers[1] == pytest.approx(numbers[0], rel=1e-10, abs=1e-12)
    assert here.engine == there.engine
    return here, there


def network() -> Module:
    return MLP(4, [8, 1], activation="tanh", rng=1)


def test_a_cluster_gives_the_losses_and_parameters_of_this_process(client: Any) -> None:
    _, there = both(network, client)
    assert (there.engine, len(there.loss)) == ("tape", 12)


def test_validation_and_metric_are_those_of_this_process(client: Any) -> None:
    def largest_error(predictions: list[float], targets: list[float]) -> float:
        return max(abs(p - t) for p, t in zip(predictions, targets))

    here, there = both(network, client, validation=0.2, metric=largest_error)
    assert there.metric == pytest.approx(here.metric, rel=1e-12)
    for ours, theirs in zip(there.epochs, here.epochs):
        assert ours.validation_loss == pytest.approx(theirs.validation_loss, rel=1e-12)
        assert ours.validation_metric == pytest.approx(theirs.validation_metric, rel=1e-12)


def test_validation_data_of_this_process_stay_here(client: Any) -> None:
    here, there = both(network, client, validation=(X[:100], Y[:100]))
    assert there.epochs[-1].validation_loss == pytest.approx(here.epochs[-1].validation_loss, rel=1e-12)


def test_weights_count(client: Any) -> None:
    weights = RNG.uniform(size=len(X))
    weights[:1500] = 0.0  # whole shards
    both(network, client, sample_weight=weights)


def test_dropout_takes_the_masks_that_it_takes_here(client: Any) -> None:
    def model() -> Module:
        return Sequential(Linear(4, 8, rng=0), Dropout(0.3, rng=7), Linear(8, 1, rng=1))

    both(model, client)
    both(model, client, X[:60], Y[:60], compile=False)


def test_classes_and_an_eager_loss(client: Any) -> None:
    def loss(prediction: list[Value], target: int) -> Value:
        try:
            return cross_entropy(prediction, target)
        finally:
            pass

    _, there = both(
        lambda: MLP(4, [6, 3], rng=2), client, X[:200], [k % 3 for k in range(200)], loss=loss, batch_size=50
    )
    assert there.engine == "eager"
    assert there.eager_because is not None


class Branching(Module):
    """A model that takes another path for each sign of two inputs."""

    def __init__(self) -> None:
        self.weights = [Value(0.1 * k) for k in range(1, 5)]
        self.slope = Value(0.5)

    def forward(self, x: list[float]) -> Value:
        out = dot(self.weights, x)
        if x[0] > 0.0:
            out = out + self.slope * x[1]
        return out * self.slope if out > 0.0 else relu(out + 1.0)


def test_branches_that_no_recording_has_taken(client: Any) -> None:
    order = np.argsort(X[:, 0])  # each shard meets other branches
    _, there = both(Branching, client, X[order], Y[order])
    assert there.engine == "tape"


def test_a_value_that_a_callback_changes_is_read_anew(client: Any) -> None:
    def run(client: Any) -> list[float]:
        scale = Value(1.0)

        def anneal(event: Any) -> None:
            scale.data *= 0.9

        def loss(prediction: Value, target: float) -> Value:
            return squared_error(prediction, target) * scale

        with pytest.warns(UserWarning, match="not trained"):
            return fit(network(), X, Y, **{**SETTINGS, "loss": loss}, callbacks=anneal, client=client).loss

    assert run(client) == pytest.approx(run(None), rel=1e-12)


def test_an_optimizer_that_tries_several_points(client: Any) -> None:
    both(network, client, optimizer="lbfgs", batch_size=None, epochs=3)


def rows(start: int, stop: int) -> tuple[Any, Any]:
    return X[start:stop], Y[start:stop]


def test_shards_are_loaded_by_workers(client: Any) -> None:
    here, there = network(), network()
    expected = fit(here, X, Y, **SETTINGS)
    shards = Shards([partial(rows, start, min(start + 700, 3000)) for start in range(0, 3000, 700)])
    assert fit(there, shards, **SETTINGS, client=client).loss == pytest.approx(expected.loss, rel=1e-12)


def test_dask_collections_stay_on_the_cluster(client: Any) -> None:
    da = pytest.importorskip("dask.array")
    expected = fit(network(), X, Y, **SETTINGS)
    found = fit(network(), da.from_array(X, chunks=(800, 4)), da.from_array(Y, chunks=800), **SETTINGS, client=client)
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)


def test_parquet_files_are_read_by_the_workers(client: Any, tmp_path: Any) -> None:
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    table = pd.DataFrame({"a": X[:, 0], "b": np.arange(len(X)) % 5, "y": Y})
    for k in range(3):
        table[k * 1000 : k * 1000 + 1000].to_parquet(tmp_path / f"{k}.parquet")
    files = dd.read_parquet(str(tmp_path / "*.parquet"))
    models = MLP(2, [4, 1], rng=0), MLP(2, [4, 1], rng=0)
    expected = fit(models[0], table[["a", "b"]], table["y"], **SETTINGS)
    found = fit(models[1], files[["a", "b"]], files["y"], **SETTINGS, client=client)
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)


def test_one_worker_and_two_give_the_same_bits(client: Any) -> None:
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0") as other:
        models = network(), network()
        losses = [fit(model, X, Y, **SETTINGS, client=each).loss for model, each in zip(models, (client, other))]
    assert losses[0] == losses[1]
    assert [p.data for p in models[0].parameters()] == [p.data for p in models[1].parameters()]


def test_a_run_resumes_from_its_checkpoint(client: Any, tmp_path: Any) -> None:
    whole, parts = network(), network()
    expected = fit(whole, X, Y, **SETTINGS, client=client)
    path = str(tmp_path / "run.json")
    fit(parts, X, Y, **{**SETTINGS, "epochs": 1}, client=client, checkpoint=path)
    found = fit(network(), X, Y, **SETTINGS, client=client, checkpoint=path, resume=True)
    assert found.loss == expected.loss


def batches(client: Any) -> Any:
    return fit(network(), lambda: iter([(X, Y)]), **SETTINGS, client=client)


def counting(client: Any) -> Any:
    class Counting(Module):
        def __init__(self) -> None:
            self.inner, self.calls = network(), 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            return self.inner(x)

    return fit(Counting(), X[:50], Y[:50], **SETTINGS, client=client)


def drawing(client: Any) -> Any:
    import random

    return fit(network(), X, Y, **{**SETTINGS, "loss": lambda p, t: (p - t) ** 2 * random.random()}, client=client)


def other_columns(client: Any) -> Any:
    return fit(network(), Shards([lambda: (X, Y), lambda: (X[:, :3], Y)]), **SETTINGS, client=client)


def not_a_pair(client: Any) -> Any:
    return fit(network(), Shards([lambda: X]), **SETTINGS, client=client)  # type: ignore[list-item]


def whole_batch(client: Any) -> Any:
    model = Sequential(Linear(4, 3), BatchNorm1d(3), Linear(3, 1))
    return fit(model, X, Y, **SETTINGS, client=client)


def with_targets(client: Any) -> Any:
    return fit(network(), Shards([lambda: (X, Y)]), Y, **SETTINGS, client=client)


REFUSED = [
    (batches, TypeError, "expected data that workers can hold, got batches"),
    (counting, ClusterError, "change nothing in a call"),
    (drawing, ValueError, "draw no random numbers"),
    (other_columns, ValueError, "shard 1: expected columns 4 as in shard 0, got 3"),
    (not_a_pair, TypeError, "shard 0: expected a pair"),
    (whole_batch, ValueError, "BatchNorm1d"),
    (with_targets, ValueError, "fit: y: expected None"),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED, ids=lambda x: getattr(x, "__name__", None))
def test_bad_input_is_an_error_that_says_what_is_expected(client: Any, call: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call(client)


def test_shards_need_a_client() -> None:
    with pytest.raises(TypeError, match="write client="):
        fit(network(), Shards([lambda: (X, Y)]), **SETTINGS)


def test_an_address_is_not_a_client() -> None:
    with pytest.raises(TypeError, match="write client=Client"):
        fit(network(), X, Y, **SETTINGS, client="tcp://127.0.0.1:8786")


def test_a_closed_client_is_an_error() -> None:
    client = distributed.Client(processes=False, n_workers=1, dashboard_address=":0")
    client.close()
    with pytest.raises(ClusterError, match="expected an open client"):
        fit(network(), X, Y, **SETTINGS, client=client)
