"""Trained models of tables as ONNX: the graph with its documentation, and the comparison with the model."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..engine.vectors import Vector
from ..sklearn.classifier import MLPClassifier
from ..version import __version__
from .check_rows import rows_of_columns, rows_of_numbers
from .onnx_check import nudged, run
from .onnx_estimators import LABEL, NUMBER, PROBABILITY, add_estimator
from .onnx_graph import Graph
from .onnx_tables import add_preparation
from .table_inputs import MATRIX, TAKES, column_inputs, used_plans
from .trained import TrainedModel, trained_model

#: The largest difference between the model and the graph, for probabilities of 1 and numbers of the target's deviation.
_TOLERANCE = 1e-12
_ROWS = 500
Flags = np.ndarray[Any, np.dtype[np.bool_]]


def trained_to_onnx(model: Any) -> Any:
    """Return the checked ONNX model of a trained model; see `to_onnx`."""
    trained = trained_model("to_onnx", model)
    graph = Graph()
    if trained.preparation is None:
        columns = _finite(graph, graph.input(MATRIX, np.float64, trained.network.n_features_in_))
    else:
        _check_names(trained)
        columns = add_preparation(graph, trained.preparation)
    add_estimator(graph, trained.network, columns, trained.classes)
    made = graph.finish(_metadata(trained))
    _compare(made, trained)
    return made


def _finite(graph: Graph, columns: str) -> str:
    """Return the columns with NaN in each row that has a number that is not finite, which the estimator refuses."""
    none = graph.add("Mul", columns, graph.constant(np.array(0.0)))
    return graph.add("Add", columns, graph.add("ReduceSum", none, graph.constant(np.array([1])), keepdims=1))


def _check_names(trained: TrainedModel) -> None:
    """Raise a ValueError that names all columns whose names no input can have."""
    assert trained.preparation is not None
    names = [plan.name for plan in used_plans(trained.preparation)]
    taken = {"", LABEL, NUMBER, PROBABILITY}
    if wrong := [name for name in names if name in taken]:
        raise ValueError(
            f"to_onnx: columns: expected names that inputs can have, got {', '.join(map(repr, wrong))}, which are "
            f"empty, or those of outputs; rename them in the table and train again"
        )


def _metadata(trained: TrainedModel) -> dict[str, str]:
    """Return what a reader of the file needs to know, as texts by name."""
    found = {"microgrud": __version__}
    if trained.target:
        found["target"] = trained.target
    if isinstance(trained.network, MLPClassifier):
        labels = trained.network.classes_.tolist() if trained.classes is None else list(trained.classes)
        found["classes"] = json.dumps(labels, ensure_ascii=False)
    names = getattr(trained.network, "feature_names_in_", None)
    if names is not None:
        found["columns"] = json.dumps(names.tolist(), ensure_ascii=False)
    if trained.preparation is not None:
        takes = {plan.name: TAKES[plan.kind] for plan in used_plans(trained.preparation)}
        found["inputs"] = json.dumps(takes, ensure_ascii=False)
    return found


def _compare(made: Any, trained: TrainedModel) -> None:
    """Run the graph in onnxruntime on rows that try every part of it, and compare it with the model.

    Raises:
        ValueError: if they differ.
    """
    rows: Any
    if trained.preparation is None:
        rows = rows_of_numbers(trained.network, _ROWS)
        tries: list[dict[str, Any]] = [{MATRIX: rows}]
    else:
        rows = rows_of_columns(trained.preparation, _ROWS)
        read = column_inputs(trained.preparation, rows)
        texts = {name: rows[[name]].to_numpy() for name, x in read.items() if x.dtype == object}
        tries = [read, {**read, **texts}]  # categories in the spellings of training, and in those of the cells
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # on columns without a cell that can be read, or without names
        prepared = rows if trained.preparation is None else trained.preparation.transform(rows)
        answered, wanted = _answers(trained, prepared)
    for inputs in tries:
        found = [each[answered] for each in run(made, inputs)]
        near = _check_close(found[-1], wanted, trained, partial(_amplified, made, inputs, answered, found[-1]))
        if isinstance(trained.network, MLPClassifier):
            _check_labels(found[0], wanted, trained, near)


def _answers(trained: TrainedModel, rows: Vector) -> tuple[Flags, Vector]:
    """Return which rows the estimator answers, and the probabilities of all classes for them, or numbers."""
    network = trained.network
    predict = network.predict_proba if isinstance(network, MLPClassifier) else network.predict
    answered = np.ones(len(rows), bool)
    try:
        found = predict(rows)
    except ValueError:  # an output for a far row is not finite
        answered = np.array([_is_answered(predict, row[None]) for row in rows])
        if not answered.any():
            raise
        found = predict(rows[answered])
    found = found.reshape(len(found), -1)
    if trained.classes is None:
        return answered, found
    probabilities = np.zeros((len(found), len(trained.classes)))
    probabilities[:, [list(trained.classes).index(str(label)) for label in network.classes_]] = found
    return answered, probabilities


def _is_answered(predict: Callable[[Vector], Vector], row: Vector) -> bool:
    try:
        predict(row)
    except ValueError:
        return False
    return True


def _amplified(made: Any, inputs: dict[str, Any], answered: Flags, found: Vector) -> Vector:
    """Return how far answers move if all constants change by a few units in the last place, as next to poles of tan."""
    others = [run(nudged(made, seed), inputs)[-1][answered] for seed in range(3)]
    moved: Vector = 4.0 * np.max([np.abs(other - found) for other in others], axis=0)
    return moved


def _check_close(found: Vector, wanted: Vector, trained: TrainedModel, amplified: Callable[[], Vector]) -> Vector:
    """Return how far each answer may be from the model's; raise a ValueError if one is farther."""
    unit = np.ones(wanted.shape)
    if not isinstance(trained.network, MLPClassifier):
        unit = np.maximum(trained.network.target_scale_.deviation, np.abs(wanted))
    allowed, far = _TOLERANCE * unit, np.abs(found - wanted)
    if not (far <= allowed).all():
        allowed = np.fmax(allowed, amplified())
    if not (far <= allowed).all():
        raise ValueError(
            f"to_onnx: expected the answers of the model within {_TOLERANCE:g} in onnxruntime, got one that differs by "
            f"{(far / unit).max():.1e}; nothing was written, report this as a bug"
        )
    return allowed


def _check_labels(found: Any, wanted: Vector, trained: TrainedModel, near: Vector) -> None:
    labels = np.array(trained.network.classes_ if trained.classes is None else trained.classes)
    highest = np.sort(wanted, axis=1)
    clear = highest[:, -1] - highest[:, -2] > 2.0 * near.max(axis=1)
    expected = labels[wanted.argmax(axis=1)]
    if (found[clear].astype(str) != expected[clear].astype(str)).any():
        raise ValueError("to_onnx: expected the classes of the model, got others; nothing was written, report this")
