"""The data of `fit`: arrays, lists and tables of the same numbers train to the same bits, and are refused alike."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from microgrud import Value
from microgrud.losses import cross_entropy, squared_error
from microgrud.nn import MLP
from microgrud.train import evaluate, fit

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (48, 5)) / 255.0
CLASSES = RNG.integers(0, 3, 48)
NUMBERS = RNG.normal(size=(48, 3))


def trained(X: Any, y: Any, loss: Any = cross_entropy, **settings: Any) -> list[Any]:
    """Return what a run gives: losses, figures of validation, and parameters."""
    model = MLP(5, [4, 3], rng=random.Random(0))
    history = fit(
        model, X, y, loss=loss, lr=0.01, epochs=2, batch_size=16, validation=0.25, progress=False,
        metric=lambda predictions, targets: len(repr((predictions, targets))),
        **settings,
    )  # fmt: skip
    figures = [record.validation_loss for record in history.epochs], [record.metric for record in history.epochs]
    return [history.engine, history.loss, *figures, [p.data for p in model.parameters()]]


def sum_of_squares(prediction: list[Value], target: list[float]) -> Value:
    return sum(((p - t) ** 2 for p, t in zip(prediction, target, strict=True)), Value(0.0))


SAME_ROWS = {
    "array": X,
    "array by columns": np.asfortranarray(X),
    "every second column": np.repeat(X, 2, axis=1)[:, ::2],
    "big-endian": X.astype(">f8"),
    "frame": pd.DataFrame(X),
    "frame of objects": pd.DataFrame(X).astype(object),
    "list of arrays": list(X),
    "tuples": tuple(map(tuple, X.tolist())),
}
SAME_CLASSES = {
    "array": CLASSES,
    "column": CLASSES[:, None],
    "bytes": CLASSES.astype(np.uint8),
    "series": pd.Series(CLASSES),
    "list of lists": CLASSES[:, None].tolist(),
}


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("rows", SAME_ROWS)
def test_rows_in_any_form_train_the_same_network(rows: str, compile: bool) -> None:
    expected = trained(X.tolist(), CLASSES.tolist(), compile=compile)
    assert expected[0] == ("tape" if compile else "eager")
    assert trained(SAME_ROWS[rows], CLASSES.tolist(), compile=compile) == expected


@pytest.mark.parametrize("classes", SAME_CLASSES)
def test_classes_in_any_form_train_the_same_network(classes: str) -> None:
    assert trained(X, SAME_CLASSES[classes], compile=True) == trained(X, CLASSES.tolist(), compile=True)


@pytest.mark.parametrize("dtype", [np.float32, ">f8", np.int16, bool])
def test_numbers_as_targets_have_the_types_of_lists(dtype: Any) -> None:
    def loss(prediction: list[Value], target: Any) -> Value:
        return squared_error(prediction[0], target)

    given = NUMBERS[:, 0].astype(dtype)
    assert trained(X, given, loss, compile=True) == trained(X, given.tolist(), loss, compile=True)


@pytest.mark.parametrize("compile", [True, False])
def test_rows_of_targets_train_the_same_network_as_lists(compile: bool) -> None:
    expected = trained(X, NUMBERS.tolist(), sum_of_squares, compile=compile)
    for given in (NUMBERS, np.asfortranarray(NUMBERS), pd.DataFrame(NUMBERS), list(map(tuple, NUMBERS.tolist()))):
        assert trained(X, given, sum_of_squares, compile=compile) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.uint8, bool])
def test_rows_of_other_types_are_converted_exactly(dtype: Any) -> None:
    given = (X * 255).astype(dtype)
    assert trained(given, CLASSES) == trained(given.tolist(), CLASSES)


def test_the_model_and_the_loss_get_lists_and_plain_numbers() -> None:
    kinds: set[Any] = set()

    class Seen(MLP):
        def __call__(self, x: Any) -> Any:
            kinds.add((type(x), type(x[0]) if type(x[0]) is float else float))
            return super().__call__(x)

    def loss(prediction: Any, target: Any) -> Value:
        kinds.add(type(target))
        return cross_entropy(prediction, target)

    fit(Seen(5, [3]), X, CLASSES, loss=loss, epochs=1, batch_size=16, progress=False, compile=False)
    evaluate(Seen(5, [3]), X, CLASSES, loss=loss)
    assert kinds == {(list, float), int}


def test_arrays_that_change_during_the_run_make_no_difference() -> None:
    rows, classes = X.copy(), CLASSES.copy()

    def spoil(event: Any) -> None:
        rows[:], classes[:] = 0.0, 0

    assert trained(rows, classes, callbacks=spoil) == trained(X, CLASSES)


def test_a_run_on_lists_is_resumed_on_an_array(tmp_path: Path) -> None:
    def run(X: Any, y: Any, epochs: int, path: Path) -> list[float]:
        model = MLP(5, [4, 3], rng=random.Random(0))
        fit(model, X, y, loss=cross_entropy, epochs=epochs, batch_size=16, validation=(X, y), checkpoint=path,
            resume=True, progress=False)  # fmt: skip
        return [p.data for p in model.parameters()]

    whole = run(X, CLASSES, 3, tmp_path / "whole")
    run(X.tolist(), CLASSES.tolist(), 1, tmp_path / "parts")
    assert run(pd.DataFrame(X), pd.Series(CLASSES), 3, tmp_path / "parts") == whole


def with_number(number: Any, row: int) -> Any:
    rows = X.tolist()
    rows[row][3] = number
    return rows


FORMS = [lambda rows: rows, np.array, pd.DataFrame, lambda rows: np.asfortranarray(rows)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", [float("nan"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused_by_row_and_column_in_any_form(form: Any, number: float) -> None:
    with pytest.raises(ValueError, match=f"fit: row 17: expected finite numbers, got {number} in column 3"):
        trained(form(with_number(number, 17)), CLASSES)
    targets = NUMBERS.tolist()
    targets[17][1] = number
    with pytest.raises(ValueError, match=f"fit: target 17: expected finite numbers, got {number}"):
        trained(X, form(targets), sum_of_squares)
    with pytest.raises(ValueError, match="fit: validation: row 5: expected finite numbers, got"):
        fit(MLP(5, [3]), X, CLASSES, loss=cross_entropy, validation=(form(with_number(number, 5)), CLASSES))


@pytest.mark.parametrize("form", [lambda rows: rows, lambda rows: np.array(rows, dtype=object), pd.DataFrame])
def test_missing_numbers_are_refused_by_row_in_any_form(form: Any) -> None:
    rows = form(with_number(None, 17))
    expected = "row 17: expected finite numbers, got nan" if isinstance(rows, pd.DataFrame) else "row 17: .*None"
    with pytest.raises((TypeError, ValueError), match=expected):
        trained(rows, CLASSES)


def test_arrays_of_the_wrong_shape_are_refused_as_lists_are() -> None:
    for wrong in (X[:, 0], X[:, :, None], X[:0], np.float64(1.0), X.astype(complex), X[:5]):
        errors = []
        for form in (wrong, wrong.tolist()):
            with pytest.raises((TypeError, ValueError)) as caught:
                trained(form, CLASSES)
            errors.append(str(caught.value))
        assert errors[0] == errors[1]


def test_arrays_do_not_become_lists() -> None:
    rows = np.random.default_rng(0).random((4_000, 100))  # 3.2 MB, and 12.8 MB in lists
    model = MLP(100, [2])
    tracemalloc.start()
    fit(model, rows, rows[:, :2], loss=sum_of_squares, epochs=1, batch_size=40, compile=True, progress=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.0 * rows.nbytes
