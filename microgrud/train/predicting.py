"""`Module.predict`: the predictions of a model for the rows of a table, replayed where `fit` would replay them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from ..autodiff.trees import check_unmasked
from ..common.numbers import as_float
from ..engine import Value, tracing
from ..engine.grad_mode import without_graph
from ..nn.module import Module, modules_of
from ..nn.rows import rows_of
from ..tape.compiling import compile
from ..tape.recorder import CompileError
from .dependencies import Dependencies
from .evaluation import number

#: A function from rows, as an array of floats, to predictions; None if it holds for other rows only.
Replay: TypeAlias = Callable[[Any], Any]
#: Minimum number of rows for which a first recording pays off: it takes as long as some calls of the model.
_LEAST_ROWS = 8


def predict(model: Module, X: Any) -> Any:
    """Return the predictions of a model for the rows of a table; see `Module.predict`."""
    where = f"{type(model).__name__}.predict"
    if tracing.current() is not None:
        raise CompileError(
            f"{where} inside a recording: its numbers would be the same at every replay; call the model instead"
        )
    rows = _rows(where, X)
    table = _table(where, rows)
    known = vars(model).get("_predictor")
    if known is None or known.model is not model:  # a shallow copy has that of the original
        known = vars(model)["_predictor"] = Predictor(model)
    if known.modules:
        with evaluation_mode(model, known.modules):
            found = known.replayed(rows, table, only_unchanged=True)
        if found is not None:
            return found
    with evaluation_mode(model, modules_of(model)):
        found = known.replayed(rows, table)
        if found is None:
            found = _array(where, without_graph(lambda: [_plain(model(row)) for row in _lists(rows)]))
    return found


@contextmanager
def evaluation_mode(model: Module, modules: Sequence[Module]) -> Iterator[None]:
    """Set those modules that are in training mode to evaluation mode inside the block; change nothing if none is."""
    training = [module for module in modules if module.training]
    own = training and any(type(module).train is not Module.train for module in modules)
    if own:
        model.train(False)
    for module in training:
        module.training = False
    try:
        yield
    finally:
        if own:
            model.train(model in training)
        for module in training:
            module.training = True


class Predictor:
    """The recording of a model for predictions. The model keeps it; copies and pickles of the model start without one.

    Args:
        model: the model, or None in a copy.

    Attributes:
        modules: the modules that the recording depends on; to find all of a model of 39 takes longer than a replay.
    """

    def __init__(self, model: Module | None = None) -> None:
        self.model = model
        self.modules: list[Module] = []
        self._dependencies: Dependencies | None = None
        self._replay: Replay | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Predictor, ()

    def replayed(self, rows: Any, table: Any, only_unchanged: bool = False) -> Any:
        """Return the predictions by a replay, None if the model has to be called.

        Args:
            rows: the rows as given, a list or an array.
            table: an array of their numbers as floats.
            only_unchanged: whether to record nothing if something has changed.
        """
        try:
            if self._dependencies is None or self._dependencies.change() is not None:
                self._dependencies, self._replay, self.modules = None, None, []
                if only_unchanged or len(rows) < _LEAST_ROWS:
                    return None
                self._dependencies = Dependencies({"model": self.model})
                self._replay = self._recorded(_lists(rows), table)
                self.modules = [x for x in self._dependencies.objects if isinstance(x, Module)]
            return None if self._replay is None else self._replay(table)
        except Exception:  # the model raises it again, if the error is its own
            return None

    def _recorded(self, rows: list[list[Any]], table: Any) -> Replay | None:
        """Return a function that replays a recording; None if none gives the prediction of the model for a row.

        All numbers of a row are floats in the recording, or else those of columns of integers are integers.
        """
        model: Any = self.model
        expected = _array("predict", [without_graph(lambda: _plain(model(list(rows[0]))))])
        integers = [k for k in range(len(rows[0])) if all(type(row[k]) is int for row in rows)]
        for chosen in ([], integers) if integers else ([],):
            replay = _replay_of(model, len(rows[0]), chosen)
            try:
                if np.allclose(replay(table[:1]), expected, rtol=1e-6, atol=1e-9, equal_nan=True):
                    return replay
            except Exception:
                continue
        return None


def _replay_of(model: Module, width: int, integers: list[int]) -> Replay:
    """Return a function from rows to their predictions, by replays; it looks up by the integers of these columns."""
    floats = [k for k in range(width) if k not in integers]
    order = {k: place for place, k in enumerate([*floats, *integers])}

    def of_row(numbers: Any, indices: Any = ()) -> Any:
        both = [*numbers, *indices]
        return _numbers(model([both[order[k]] for k in range(width)]))

    recorded = compile(of_row, batched=("numbers", "indices") if integers else "numbers")

    def replay(table: Any) -> Any:
        if table.shape[1] != width:
            return None
        if not integers:
            return recorded.map(table)
        indices = table[:, integers].astype(np.int64)
        return recorded.map(table[:, floats], indices) if (indices == table[:, integers]).all() else None

    return replay


def _numbers(prediction: Any) -> Any:
    """Return a prediction as a number or nested lists of numbers."""
    if isinstance(prediction, (list, tuple, np.ndarray)):
        return [_numbers(x) for x in prediction]
    return prediction if isinstance(prediction, Value) else as_float(prediction, "predict: a prediction")


def _plain(prediction: Any) -> Any:
    """Return a prediction without its graph: a number, or numbers in nested lists."""

    def plain(x: Any) -> Any:
        return [plain(item) for item in x] if isinstance(x, list) else number(x)

    return plain(_numbers(prediction))


def _array(where: str, predictions: Sequence[Any]) -> Any:
    try:
        return np.array(predictions, dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"{where}: expected predictions of one shape, got lists of several lengths") from error


def _rows(where: str, X: Any) -> Any:
    """Return the rows of a table: a two-dimensional array of numbers as it is, others as a list."""
    check_unmasked(X, where)
    if type(X) is np.ndarray and X.ndim == 2 and X.dtype.kind in "fiub" and X.dtype.itemsize <= 8:
        return X
    rows = rows_of(X)
    if rows is None:
        raise TypeError(
            f"{where}: expected a table, a list of rows of numbers, got an object of type {type(X).__name__} that is "
            "none; write [row] for one row, [[x] for x in xs] for one column"
        )
    return [row.tolist() if isinstance(row, np.ndarray) else row for row in rows]


def _table(where: str, rows: Any) -> Any:
    """Return an array of the numbers of rows as floats; raise an error that names what is not a number."""
    try:
        table = np.asarray(rows)
    except ValueError:  # the lengths differ
        table = np.empty(0)
    if table.dtype.kind not in "fiub" or table.ndim != 2:
        for i, row in enumerate(rows):
            if not isinstance(row, (list, tuple)):
                raise TypeError(f"{where}: row {i}: expected a sequence of numbers, got {row!r}")
            if len(row) != len(rows[0]):
                raise ValueError(
                    f"{where}: expected rows of {len(rows[0])} numbers as in row 0, got {len(row)} in row {i}"
                )
        table = np.array([[as_float(x, f"{where}: row {i}") for x in row] for i, row in enumerate(rows)])
    return np.ascontiguousarray(table, dtype=np.float64)


def _lists(rows: Any) -> list[list[Any]]:
    return rows.tolist() if isinstance(rows, np.ndarray) else [list(row) for row in rows]
