"""`fit` with columns of integers: they reach the model as integers, and a recording serves all of them."""

from __future__ import annotations

import random
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
from microgrud.nn import MLP, Embedding, Module
from microgrud.train import evaluate, fit

RNG = random.Random(2)
#: A word of five, a number, and a count that is not looked up.
ROWS = [[RNG.randrange(5), RNG.uniform(-1.0, 1.0), RNG.randrange(60)] for _ in range(120)]
TARGETS = [(word - 2) * x + 0.01 * count for word, x, count in ROWS]
#: The same, as a caller may have them.
TABLES = {
    "lists": ROWS,
    "tuples of NumPy's numbers": [(np.int16(word), np.float64(x), np.uint8(count)) for word, x, count in ROWS],
    "array of objects": np.array(ROWS, dtype=object),
    "frame": pd.DataFrame(ROWS),
    "frame with nullable integers": pd.DataFrame(ROWS).astype({0: "Int64", 2: "UInt8"}),
    "table of PyArrow": pa.table({name: list(column) for name, column in zip("abc", zip(*ROWS))}),
}


@pytest.fixture(autouse=True)
def recording() -> Iterator[None]:
    """Record models however small they are."""
    with thresholds(least_work=0, least_samples=0):
        yield


class Words(Module):
    """A network on the vector of the first number of a row, an integer, and the other numbers."""

    def __init__(self, others: int = 2) -> None:
        self.embedding = Embedding(5, 2, rng=1)
        self.network = MLP(2 + others, [4, 1], activation="tanh", rng=2)

    def forward(self, row: Any) -> Any:
        return self.network([*self.embedding(row[0]), *row[1:]])


class Seen(Module):
    """A model that notes the types of the numbers of each row."""

    def __init__(self) -> None:
        self.w, self.types = Value(0.5), set[tuple[type, ...]]()

    def forward(self, row: Any) -> Any:
        self.types.add(tuple(map(type, row)))
        return self.w * sum(row)


def train(model: Any, X: Any = ROWS, y: Any = TARGETS, **settings: Any) -> Any:
    given = {"loss": squared_error, "epochs": 2, "batch_size": 16, "lr": 0.01, "progress": False}
    return fit(model, X, y, **{**given, **settings})


@pytest.mark.parametrize("table", TABLES)
def test_columns_of_integers_reach_the_model_as_integers_in_every_table(table: str) -> None:
    model = Seen()
    train(model, TABLES[table], compile=False, validation=(TABLES[table], TARGETS))
    evaluate(model, TABLES[table], TARGETS, loss=squared_error)
    assert model.types == {(int, float, int)}


@pytest.mark.parametrize(
    ("X", "types"),
    [
        (np.array(ROWS)[:, 1:], (float, float)),
        (np.array([[1, 2], [3, 4]], dtype=np.uint8), (int, int)),
        ([[1, True], [0, False]], (int, float)),
        ([[1, 2], [1.5, 2]], (float, int)),
        ([[1, 2**53 + 1], [0, 0]], (int, float)),
        (pd.DataFrame({"a": [1, 2], "b": [True, False]}), (int, float)),
        (pd.DataFrame({"a": [1, 2], "b": [0.5, 1.0]}, dtype=np.float64), (float, float)),
    ],
)
def test_bools_and_integers_that_no_float_holds_are_floats(X: Any, types: Any) -> None:
    model = Seen()
    train(model, X, [0.0] * len(X), compile=False)
    assert model.types == {types}


@pytest.mark.parametrize("compile", ["auto", True])
@pytest.mark.parametrize("table", TABLES)
def test_an_embedding_is_trained_on_one_recording_as_it_is_without(table: str, compile: Any) -> None:
    eager, recorded = Words(), Words()
    before = eager.embedding.weight[3][1].data
    expected = train(eager, compile=False, validation=0.2)
    history = train(recorded, TABLES[table], compile=compile, validation=0.2)

    assert (history.engine, history.eager_because) == ("tape", None)
    assert history.loss == pytest.approx(expected.loss, rel=1e-12)
    assert [e.validation_loss for e in history.epochs] == pytest.approx([e.validation_loss for e in expected.epochs])
    np.testing.assert_allclose(recorded.get_vector(), eager.get_vector(), rtol=1e-9)
    assert recorded.embedding.weight[3][1].data != before


def test_a_step_on_an_embedding_is_that_of_the_formula() -> None:
    class Table(Module):
        def __init__(self) -> None:
            self.weight = [Value(1.0), Value(2.0), Value(3.0)]

        def forward(self, row: Any) -> Any:
            return take(self.weight, row[0])

    model = Table()
    history = train(model, [[0], [2], [2]], [0.5, 1.0, 2.0], batch_size=3, epochs=1, optimizer="sgd", lr=0.3)
    # d/dw of ((w0 - 0.5)^2 + (w2 - 1)^2 + (w2 - 2)^2) / 3 is (2 (w0 - 0.5), 0, 2 (2 w2 - 3)) / 3.
    assert [w.data for w in model.weight] == pytest.approx([1.0 - 0.1 * 1.0, 2.0, 3.0 - 0.1 * 6.0], rel=1e-15)
    assert history.engine == "tape"


def test_integers_as_numbers_take_one_recording_and_give_what_floats_give() -> None:
    X = np.arange(200).reshape(100, 2) % 83  # more integers than a batch may have recordings
    y = (0.1 * X[:, 0]).tolist()
    models = [MLP(2, [4, 1], activation="tanh", rng=3) for _ in range(3)]
    integers, floats, eager = (
        train(model, given, y, compile=compile)
        for model, given, compile in zip(models, [X, X.astype(float), X], [True, True, False])
    )
    assert integers.engine == floats.engine == "tape"
    assert integers.loss == floats.loss
    assert models[0].get_vector().tolist() == models[1].get_vector().tolist()
    assert integers.loss == pytest.approx(eager.loss, rel=1e-12)


@pytest.mark.parametrize("words", [3, 60])
def test_an_index_that_is_a_number_too_takes_a_recording_for_each_integer(words: int) -> None:
    class Both(Module):
        def __init__(self) -> None:
            self.weight = [Value(0.01 * k) for k in range(60)]

        def forward(self, row: Any) -> Any:
            return take(self.weight, row[0]) * row[0] + row[1]

    X = [[k % words, 0.1 * k] for k in range(120)]
    models = [Both(), Both()]
    histories = [train(model, X, TARGETS, compile=compile) for model, compile in zip(models, ["auto", False])]
    np.testing.assert_allclose(models[0].get_vector(), models[1].get_vector(), rtol=1e-9)
    assert histories[0].engine == ("tape" if words == 3 else "eager")
    if words == 60:
        assert "a recording for each of 60 rows of integers: it looks up by column 0" in histories[0].eager_because


def test_class_indices_and_words_are_integers_of_one_recording() -> None:
    class Classes(Module):
        def __init__(self) -> None:
            self.embedding, self.network = Embedding(5, 2, rng=1), MLP(3, [3], rng=2)

        def forward(self, row: Any) -> Any:
            return self.network([*self.embedding(row[0]), row[1]])

    labels = [k % 3 for k in range(len(ROWS))]
    models = [Classes(), Classes()]
    histories = [
        train(model, ROWS, labels, loss=cross_entropy, compile=compile) for model, compile in zip(models, [True, False])
    ]
    assert histories[0].engine == "tape"
    assert histories[0].loss == pytest.approx(histories[1].loss, rel=1e-12)


def test_an_index_out_of_range_is_the_error_of_the_model() -> None:
    rows = [*ROWS[:40], [5, 0.0, 0], *ROWS[40:]]
    with pytest.raises(IndexError, match="5"):
        train(Words(), rows, [*TARGETS, 0.0])


@pytest.mark.parametrize("compile", ["auto", False])
def test_a_resumed_run_with_an_embedding_has_the_same_bits(compile: Any, tmp_path: Path) -> None:
    path = tmp_path / "run"
    straight, resumed = Words(), Words()
    expected = train(straight, epochs=5, compile=compile, metric=_mean_error)

    def stop(event: Any) -> None:
        if event.step == 11:
            event.stop()

    train(resumed, epochs=5, compile=compile, metric=_mean_error, checkpoint=path, callbacks=stop)
    resumed = Words()
    history = train(
        resumed, pd.DataFrame(ROWS), epochs=5, compile=compile, metric=_mean_error, checkpoint=path, resume=True
    )
    assert history.loss == expected.loss
    assert resumed.get_vector().tolist() == straight.get_vector().tolist()


def _mean_error(predictions: Any, targets: Any) -> float:
    return sum(abs(p - t) for p, t in zip(predictions, targets)) / len(targets)
