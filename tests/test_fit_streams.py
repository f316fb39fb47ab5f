"""`fit` on batches that are read anew in each epoch: the run is that on the same rows in memory."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from inside import thresholds

from microgrud import Value, take
from microgrud.losses import cross_entropy, squared_error
from microgrud.nn import MLP, BatchNorm1d, Dropout, Linear, Module, Sequential
from microgrud.train import CSVLogger, History, fit

RNG = random.Random(6)
ROWS = [[RNG.uniform(-1.0, 1.0), RNG.uniform(-1.0, 1.0)] for _ in range(26)]
TARGETS = [x * y - 0.5 * y for x, y in ROWS]
WEIGHTS = [RNG.choice([0.0, 0.5, 2.0]) for _ in ROWS]


@pytest.fixture(autouse=True)
def recording() -> Iterator[None]:
    """Record models however small they are."""
    with thresholds(least_work=0, least_samples=0):
        yield


def batches(*columns: Any, size: int = 8) -> list[Any]:
    return [tuple(column[i : i + size] for column in columns) for i in range(0, len(columns[0]), size)]


def network(*parts: Any) -> Sequential:
    return Sequential(Linear(2, 4, rng=1), *parts, "tanh", Linear(4, 1, rng=2))


def train(model: Any, *data: Any, **options: Any) -> History:
    given: dict[str, Any] = {"loss": squared_error, "epochs": 3, "lr": 0.05, "progress": False}
    return fit(model, *data, **{**given, **options})


def _mean_error(predictions: Any, targets: Any) -> float:
    return sum(abs(p - t) for p, t in zip(predictions, targets)) / len(targets)


class Loader:
    """An iterable without a length, like one over a file."""

    def __init__(self, *columns: Any) -> None:
        self.batches = batches(*columns)

    def __iter__(self) -> Iterator[Any]:
        yield from self.batches


SOURCES = {
    "list": batches,
    "iterable": Loader,
    "function": lambda *columns: lambda: iter(batches(*columns)),
    "function of the epoch": lambda *columns: lambda epoch: batches(*columns) if epoch in (1, 2, 3) else None,
    "arrays": lambda *columns: batches(*map(np.array, columns)),
}


@pytest.mark.parametrize("compile", ["auto", True, False])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("weights", [(), (WEIGHTS,)])
def test_a_run_on_batches_has_the_bits_of_one_on_the_rows(weights: Any, source: str, compile: Any) -> None:
    options = {"validation": (ROWS[:5], TARGETS[:5]), "metric": _mean_error, "compile": compile}
    in_memory, streamed = network(Dropout(0.2, rng=3)), network(Dropout(0.2, rng=3))
    given = {"sample_weight": weights[0]} if weights else {}
    expected = train(in_memory, ROWS, TARGETS, batch_size=8, shuffle=False, **given, **options)
    history = train(streamed, SOURCES[source](ROWS, TARGETS, *weights), **options)
    assert history.engine == expected.engine == ("eager" if compile is False else "tape")
    assert (history.loss, history.metric, history.epochs) == (expected.loss, expected.metric, expected.epochs)
    assert streamed.get_vector().tolist() == in_memory.get_vector().tolist()


def test_class_indices_and_words_come_in_batches_too() -> None:
    class Words(Module):
        def __init__(self) -> None:
            self.table = [[Value(0.1 * i - 0.05 * k * k) for k in range(3)] for i in range(5)]

        def forward(self, row: Any) -> Any:
            return [row[1] * x for x in take(self.table, row[0])]

    rows, labels = [[k % 5, 0.1 * k] for k in range(26)], [k % 3 for k in range(26)]
    one, other = Words(), Words()
    expected = train(one, rows, labels, loss=cross_entropy, batch_size=8, shuffle=False)
    history = train(other, batches(rows, labels), loss=cross_entropy)
    assert history.engine == "tape"
    assert history.loss == expected.loss


def test_batch_normalization_and_lbfgs_take_batches() -> None:
    for kind, optimizer in ((BatchNorm1d, "adam"), (None, "lbfgs")):
        one, other = (network() if kind is None else network(kind(4)) for _ in range(2))
        expected = train(one, ROWS, TARGETS, batch_size=8, shuffle=False, optimizer=optimizer)
        assert train(other, batches(ROWS, TARGETS), optimizer=optimizer).loss == expected.loss


def test_a_generator_serves_one_epoch_and_no_more() -> None:
    history = train(network(), iter(batches(ROWS, TARGETS)), epochs=1)
    assert len(history) == 4
    with pytest.raises(ValueError, match=r"in each of 3 epochs, got a generator.*fit\(model, lambda: batches\(...\)\)"):
        train(network(), (batch for batch in batches(ROWS, TARGETS)))
    once = iter(batches(ROWS, TARGETS)[:1])
    with pytest.raises(ValueError, match="at least one batch in epoch 1, got none.*a new iterator at each call"):
        train(network(), lambda: once)


def test_events_count_the_batches() -> None:
    for source, known in ((batches(ROWS, TARGETS), 4), (Loader(ROWS, TARGETS), None)):
        events: list[Any] = []
        train(network(), source, epochs=2, callbacks=events.append)
        assert [(e.kind, e.epoch, e.batch, e.batches) for e in events] == [
            *(("step", 1, k, known) for k in (1, 2, 3, 4)), ("epoch", 1, 4, known),
            *(("step", 2, k, known) for k in (1, 2, 3, 4)), ("epoch", 2, 4, known),
        ]  # fmt: skip


def _shuffled(epoch: int) -> Any:
    order = random.Random(epoch).sample(range(len(ROWS)), len(ROWS))
    return batches([ROWS[i] for i in order], [TARGETS[i] for i in order])


@pytest.mark.parametrize("compile", ["auto", False])
@pytest.mark.parametrize("stop_at", [1, 3, 4, 6, 8])
@pytest.mark.parametrize("source", [_shuffled, Loader(ROWS, TARGETS)])
def test_a_resumed_run_has_the_same_bits(source: Any, stop_at: int, compile: Any, tmp_path: Path) -> None:
    def stop(event: Any) -> None:
        if event.step == stop_at:
            event.stop()

    random.seed(3)
    expected = train(straight := network(Dropout(0.2)), source, compile=compile)
    random.seed(3)
    given: dict[str, Any] = {"compile": compile, "checkpoint": tmp_path / "run"}
    train(network(Dropout(0.2)), source, callbacks=stop, **given)
    random.seed(4)
    log = CSVLogger(tmp_path / "log.csv")
    history = train(resumed := network(Dropout(0.2)), source, resume=True, callbacks=log, **given)
    assert (history.loss, history.epochs) == (expected.loss, expected.epochs)
    assert resumed.get_vector().tolist() == straight.get_vector().tolist()


def test_a_run_that_could_not_be_resumed_is_refused(tmp_path: Path) -> None:
    path, rng = tmp_path / "run", random.Random(0)

    def shuffled() -> Any:
        return _shuffled(rng.randrange(10**9))

    with pytest.raises(ValueError, match=r"the first batch is another one if it is read again; .*lambda epoch"):
        train(network(), shuffled, checkpoint=path)
    with pytest.raises(
        ValueError, match=r"in each of 1 epochs and by a run that resumes this one, got a list_iterator"
    ):
        train(network(), iter(batches(ROWS, TARGETS)), epochs=1, checkpoint=path)

    def later_other() -> Any:
        return [*batches(ROWS, TARGETS)[:1], *_shuffled(rng.randrange(10**9))]

    with pytest.raises(ValueError, match="epoch 2 has other batches than the first one"):
        train(network(), later_other, checkpoint=path)


def test_other_batches_are_refused_when_a_run_is_resumed(tmp_path: Path) -> None:
    given: dict[str, Any] = {"checkpoint": tmp_path / "run"}
    train(network(), Loader(ROWS, TARGETS), callbacks=lambda event: event.stop() if event.step == 6 else None, **given)
    with pytest.raises(ValueError, match="it belongs to a run with data"):
        train(network(), Loader(ROWS, TARGETS[::-1]), resume=True, **given)
    with pytest.raises(ValueError, match="it belongs to a run with"):
        train(network(), ROWS[:8], TARGETS[:8], batch_size=8, resume=True, **given)
    changed = Loader(ROWS, [*TARGETS[:9], 3.0, *TARGETS[10:]])  # in the second batch
    with pytest.raises(ValueError, match="epoch 2 has other batches than in the stopped run"):
        train(network(), changed, resume=True, **given)
    changed = Loader(ROWS, [*TARGETS[:25], 3.0])  # in the last one, which was not read in epoch 2
    with pytest.raises(ValueError, match="epoch 2 has other batches than the first one"):
        train(network(), changed, resume=True, **given)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (np.array(ROWS), TypeError, "y: expected targets, got None; without y, X has to be batches"),
        (pd.DataFrame(ROWS), TypeError, "y: expected targets, got None; without y, X has to be batches"),
        (pa.table({"a": [1.0]}), TypeError, "y: expected targets, got None; without y, X has to be batches"),
        (5, TypeError, "X: expected batches .* or a function that returns an iterator .* got an object of type int"),
        ([], ValueError, "X: expected at least one batch in epoch 1, got none"),
        ([(ROWS,)], TypeError, r"epoch 1, batch 1: expected a pair \(X, y\) or a triple .* got 1 items"),
        ([5], TypeError, r"epoch 1, batch 1: expected a pair \(X, y\) or a triple .* got a int"),
        ([(ROWS, TARGETS), (ROWS, TARGETS[1:])], ValueError, "epoch 1, batch 2: expected as many rows as targets"),
        ([(ROWS, TARGETS), ([[1.0]], [0.0])], ValueError, "batch 2: expected rows of 2 numbers as in the first"),
        ([([[1, 2]], [0]), ([[1, 2.5]], [0])], ValueError, "batch 2: expected integers in column 1 as in the"),
        ([(ROWS, TARGETS), (ROWS, TARGETS, WEIGHTS)], ValueError, "batch 2: expected sample weights in all batches"),
    ],
)  # fmt: skip
def test_what_is_no_stream_of_like_batches_is_refused(source: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=f"^fit: .*{message}" if message.startswith("batch") else f"^fit: {message}"):
        train(network(), source)


def test_settings_that_need_all_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sample_weight: expected None with batches.*give \(X, y, sample_weight\)"):
        train(network(), batches(ROWS, TARGETS), sample_weight=WEIGHTS)
    with pytest.raises(ValueError, match=r"validation: expected a pair \(X, y\) with batches, got 0.2"):
        train(network(), batches(ROWS, TARGETS), validation=0.2)


def test_memory_holds_a_few_batches(tmp_path: Path) -> None:
    count, width, size = 4000, 100, 100  # 3.2 MB in all, 80 kB a batch
    np.save(tmp_path / "X.npy", np.random.default_rng(0).uniform(-1.0, 1.0, (count, width)))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")

    def read() -> Iterator[Any]:
        for i in range(0, count, size):
            yield X[i : i + size], X[i : i + size, 0]

    model = MLP(width, [1], rng=0)
    train(model, read, epochs=1)
    tracemalloc.start()
    try:
        history = train(model, read, epochs=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(history) == 80
    assert peak < 1_500_000


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_mapped_file_gives_the_bits_of_an_array_and_is_not_copied(dtype: Any, tmp_path: Path) -> None:
    numbers = np.random.default_rng(1).uniform(-1.0, 1.0, (3000, 100)).astype(dtype)
    np.save(tmp_path / "X.npy", numbers)
    X, y = np.load(tmp_path / "X.npy", mmap_mode="r"), numbers[:, 0]
    one, other = (MLP(100, [1], rng=0) for _ in range(2))
    expected = train(one, numbers, y, batch_size=500)
    tracemalloc.start()
    try:
        history = train(other, X, y, batch_size=500)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert history.loss == expected.loss
    assert (peak < 2_000_000) == (dtype is np.float64)  # a copy takes 2.4 MB
