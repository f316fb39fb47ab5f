"""Trained models of tables as ONNX: onnxruntime answers as the model does, for cells of all kinds."""

from __future__ import annotations

import copy
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings, strategies as st
from sklearn.datasets import load_diabetes, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from microgrud.export import onnx_inputs, to_onnx
from microgrud.sklearn import MLPClassifier, MLPRegressor, TablePreparation
from microgrud.sklearn.modelfile import save_pipeline
from microgrud.tables.target import inspect_target

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
RNG = np.random.default_rng(0)
ROWS = 240
QUICK: dict[str, Any] = {"hidden_layer_sizes": (8, 4), "max_iter": 4, "random_state": 0}
#: Cells of every kind: numbers with a unit, truth values, categories with rare ones, codes, dates, texts, constants.
FRAME = pd.DataFrame(
    {
        "weight": [f"{x:.1f} kg" for x in RNG.normal(70.0, 9.0, ROWS)],
        "price": [f"{x:.2f}".replace(".", ",") for x in RNG.normal(20.0, 5.0, ROWS)],
        "flag": RNG.choice(["True", "False"], ROWS),
        "colour": [*RNG.choice(["red", "Blue", "straße", "dark green"], ROWS - 6), *"uvwxyz"],
        "grade": RNG.choice(["a", "A", "none"], ROWS),
        "code": RNG.choice(["007", "1", "2.5", "x"], ROWS),
        "when": (np.datetime64("1968-02-28") + RNG.integers(0, 3_000_000, ROWS).astype("m8[m]")).astype(str),
        "day": (np.datetime64("2019-12-01") + RNG.integers(0, 90, ROWS)).astype("M8[D]").astype(str),
        "note": [f"text {k * k % 97} of {k}" for k in range(ROWS)],
        "constant": ["1"] * ROWS,
    }
)
FRAME[RNG.random(FRAME.shape) < 0.08] = ""
CLASSES = np.where(FRAME["colour"] == "red", "b", np.where(FRAME["flag"] == "True", "a", "c"))
NUMBERS = RNG.normal(3e5, 2e4, ROWS)


@pytest.fixture(scope="module")
def exported(classifier: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return session(classifier, tmp_path_factory.mktemp("exported"))


def session(model: Any, folder: Path) -> Any:
    """Export a model, and open the file."""
    to_onnx(model, folder / "model.onnx")
    return onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])


def pipeline(network: Any, target: Any) -> Pipeline:
    """Return a pipeline that is trained on FRAME."""
    fitted: Pipeline = Pipeline([("preparation", TablePreparation()), ("network", network)]).fit(FRAME, target)
    return fitted


@pytest.fixture(scope="module")
def classifier() -> Pipeline:
    model = pipeline(MLPClassifier(n_estimators=2, **QUICK), CLASSES)
    model["network"].network_share_ = 0.75  # of the linear models is the rest
    return model


CHANGES: dict[str, dict[str, list[str]]] = {
    "missing": {name: ["", "None", "?"] for name in FRAME},  # not the grade none
    "unknown": {name: ["unheard of", "1e99", "(other)"] for name in FRAME},
    "spelled": {
        "weight": ["70", "70.0kg", "1e1 kg"],
        "flag": ["TRUE", "1", "0.0"],
        "colour": [" RED ", "STRASSE", "dark   Green"],
        "grade": ["a", " A", "A"],
        "code": ["7", "01", "02.50", "X", "1.0"],
        "when": ["1900-02-28", "29.02.2000 12:30", "2024-12-31T23:59:59.999999", "1 Jan 0001"],
        "day": ["2020-02-29", "1600-03-01 00:00", "9999-12-31"],
    },
    "points": {"price": ["20.50", "1.25", "3.75"]},
    "far": {"weight": ["1e9 kg", "-500 kg"], "price": ["-1e5", "1e3"]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_pipeline_answers_the_same_to_changed_cells(change: str, classifier: Pipeline, exported: Any) -> None:
    cells = FRAME.copy()
    for name, texts in CHANGES[change].items():
        rows = slice(None, None, 1 if change == "points" else 2)
        cells.loc[rows, name] = np.resize(texts, len(cells.loc[rows]))
    read = onnx_inputs(classifier, cells)
    raw = {name: cells[[name]].to_numpy(object) for name, values in read.items() if values.dtype == object}
    wanted = classifier.predict_proba(cells)
    for inputs in (read, {**read, **raw}):
        labels, probabilities = exported.run(["output_label", "output_probability"], inputs)
        assert np.abs(probabilities - wanted).max() <= 1e-12
        assert labels.tolist() == classifier.predict(cells).tolist()
    assert np.abs(wanted - classifier.predict_proba(FRAME)).max() > 1e-6  # the changes matter


@pytest.mark.filterwarnings("ignore:column .* none of its cells can be read")
def test_inputs_from_elsewhere_are_judged_by_the_graph(classifier: Pipeline, exported: Any) -> None:
    cells, inputs = FRAME.copy(), onnx_inputs(classifier, FRAME)
    cells["weight"], inputs["weight"] = "1e9 kg", np.full((ROWS, 1), 1e9)
    cells["price"], inputs["price"] = "-1e60", np.full((ROWS, 1), -1e60)
    cells["day"], inputs["day"] = "2020-02-29", np.full((ROWS, 1), 18_321 * 86_400_000_000)
    cells["flag"], inputs["flag"] = "true", np.full((ROWS, 1), "TRUE", object)
    found = exported.run(["output_probability"], inputs)[0]
    assert np.abs(found - classifier.predict_proba(cells)).max() <= 1e-12


def test_spellings_that_only_python_knows_are_read_before_the_graph(classifier: Pipeline, exported: Any) -> None:
    cells = FRAME.assign(code="\u0667")  # the Arabic digit 7
    inputs = onnx_inputs(classifier, cells)
    assert set(inputs["code"][:, 0]) == {"007"}
    found = exported.run(["output_probability"], inputs)[0]
    assert np.abs(found - classifier.predict_proba(cells)).max() <= 1e-12


def test_the_inputs_are_the_columns_and_the_file_says_what_they_take(exported: Any) -> None:
    kinds = {each.name: (each.type, each.shape[1]) for each in exported.get_inputs()}
    text, number, moment = ("tensor(string)", 1), ("tensor(double)", 1), ("tensor(int64)", 1)
    assert kinds == {
        **{"weight": number, "price": number, "flag": text, "colour": text, "grade": text, "code": text},
        **{"when": moment, "day": moment, "note": text, "constant": text},
    }
    metadata = exported.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == ["a", "b", "c"]
    assert json.loads(metadata["inputs"])["day"].startswith("int64, microseconds since 1970")
    assert json.loads(metadata["inputs"]).keys() == kinds.keys()


@given(st.lists(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), min_size=1, max_size=20))
@settings(max_examples=30)
@example([datetime(1900, 2, 28, 23, 59), datetime(1600, 2, 29), datetime(2000, 3, 1), datetime(1969, 12, 31, 23)])
def test_the_parts_of_dates_are_those_of_the_preparation_to_the_bit(moments: list[datetime]) -> None:
    from microgrud.export.onnx_graph import Graph
    from microgrud.export.onnx_tables import parts_of_dates
    from microgrud.tables.dates import parts_of

    graph = Graph()
    parts = parts_of_dates(graph, graph.input("when", np.int64, 1), -4)
    for name, tensor in parts.items():
        graph.output(name, tensor, np.float64, 1)
    run = onnxruntime.InferenceSession(graph.finish().SerializeToString(), providers=["CPUExecutionProvider"])
    stored = np.array(moments, "datetime64[us]")
    wanted = parts_of(stored, np.datetime64("1969-12-28"))
    found = dict(zip(parts, run.run(list(parts), {"when": stored.astype(np.int64)[:, None]})))
    for name in wanted:
        assert found[name][:, 0].tolist() == wanted[name].tolist(), name


@pytest.mark.parametrize("target", [NUMBERS, NUMBERS * 1e-6 + 1.0])
def test_a_pipeline_that_predicts_numbers_answers_the_same(target: Any, tmp_path: Path) -> None:
    model = pipeline(MLPRegressor(n_estimators=2, **QUICK), target)
    (found,) = session(model, tmp_path).run(["variable"], onnx_inputs(model, FRAME))
    assert found.shape == (ROWS, 1)
    assert found[:, 0] == pytest.approx(model.predict(FRAME), rel=1e-12, abs=0.0)


@pytest.mark.parametrize("labels", [np.array([7, 3, 10]), np.array(["x", "y", "ü"]), np.array([1.0, 2.0, 3.0])])
def test_an_estimator_takes_a_matrix_and_gives_its_labels(labels: Any, tmp_path: Path) -> None:
    X, y = load_wine(return_X_y=True)
    model = MLPClassifier(n_estimators=3, **QUICK).fit(X[::2], labels[y[::2]])
    model.temperature_ = 1.7
    found, probabilities = session(model, tmp_path).run(None, {"X": X})
    assert np.abs(probabilities - model.predict_proba(X)).max() <= 1e-12
    wanted = model.predict(X).tolist()
    assert found.tolist() == (wanted if labels.dtype.kind == "i" else list(map(str, wanted)))


def test_the_file_names_the_columns_of_a_matrix(tmp_path: Path) -> None:
    X, y = load_wine(return_X_y=True, as_frame=True)
    metadata = session(MLPClassifier(**QUICK).fit(X, y), tmp_path).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["columns"]) == X.columns.tolist()
    assert json.loads(metadata["classes"]) == [0, 1, 2]


SETTINGS: list[dict[str, Any]] = [
    {"scale_inputs": False, "activation": "tanh"},
    {"pieces": 0},
    {"hidden_layer_sizes": ()},
    {"activation": "sigmoid", "solver": "lbfgs"},
    {"activation": "gelu"},
]


@pytest.mark.parametrize("given", SETTINGS, ids=str)
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_an_estimator_with_any_settings_answers_the_same(given: dict[str, Any], share: float, tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    targets = np.column_stack([y, -y + 5.0])
    model = MLPRegressor(n_estimators=2, **{**QUICK, **given}).fit(X, targets)
    model.network_share_ = share  # of the linear models is the rest
    (found,) = session(model, tmp_path).run(None, {"X": 3.0 * X})
    assert found == pytest.approx(model.predict(3.0 * X), rel=1e-11, abs=1e-10)


def test_a_model_that_amplifies_rounding_is_exported(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    model = MLPRegressor(**{**QUICK, "activation": "tan"}).fit(X, y)
    model.network_share_ = 1.0
    (found,) = session(model, tmp_path).run(None, {"X": X})
    assert found[:, 0] == pytest.approx(model.predict(X), rel=1e-6)


def test_rows_that_an_estimator_refuses_have_no_answer(tmp_path: Path) -> None:
    X, y = load_wine(return_X_y=True)
    X = X.copy()
    run = session(MLPClassifier(**QUICK).fit(X, y), tmp_path)
    X[3, 2], X[5, 0] = np.nan, -np.inf
    probabilities = run.run(["output_probability"], {"X": X})[0]
    assert np.flatnonzero(np.isnan(probabilities).all(axis=1)).tolist() == [3, 5]
    assert np.isnan(probabilities).sum() == 6


def test_a_run_has_the_classes_of_its_target_in_their_order(tmp_path: Path) -> None:
    names = np.array([*["9", "10", "11"] * (ROWS // 3 - 1), "10", "9", "8"])
    target = inspect_target(pd.Series(names), "size", "classification")
    model = pipeline(MLPClassifier(**QUICK), np.where(names == "8", "9", names))  # 8 is in no row to learn from
    save_pipeline(tmp_path / "model.json", model, target, {})
    labels, probabilities = session(tmp_path, tmp_path).run(None, onnx_inputs(tmp_path / "model.json", FRAME))
    assert target.classes == ["8", "9", "10", "11"]
    assert model.classes_.tolist() == ["10", "11", "9"]
    assert np.abs(probabilities[:, [2, 3, 1]] - model.predict_proba(FRAME)).max() <= 1e-12
    assert not probabilities[:, 0].any()
    assert labels.tolist() == model.predict(FRAME).tolist()


def test_a_graph_that_differs_from_the_model_is_not_written(
    classifier: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from microgrud.export import onnx_estimators, onnx_trained

    def inexact(network: Any) -> Any:
        return [layer._replace(weights=layer.weights * (1.0 + 1e-9)) for layer in arrays_of(network)]

    def relabelled(graph: Any, model: Any, *others: Any) -> None:
        other = copy.copy(model)
        other.classes_ = model.classes_[::-1]
        add_estimator(graph, other, *others)

    arrays_of, add_estimator = onnx_estimators.arrays_of, onnx_estimators.add_estimator
    with monkeypatch.context() as patch:
        patch.setattr(onnx_estimators, "arrays_of", inexact)
        with pytest.raises(ValueError, match="differs by .*nothing was written"):
            to_onnx(classifier, tmp_path / "model.onnx")
    monkeypatch.setattr(onnx_trained, "add_estimator", relabelled)
    with pytest.raises(ValueError, match="expected the classes of the model, got others"):
        to_onnx(classifier, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    named = FRAME[["flag", "colour"]].set_axis(["output_label", "variable"], axis=1)
    taken = make_pipeline(TablePreparation(), MLPClassifier(**QUICK)).fit(named, CLASSES)
    scaled = make_pipeline(StandardScaler(), MLPClassifier(**QUICK)).fit(*load_wine(return_X_y=True))
    own = MLPClassifier(**{**QUICK, "activation": lambda x: x * x}).fit(*load_wine(return_X_y=True))
    own.network_share_ = 1.0
    for model, kind, message in [
        (taken, ValueError, "got 'output_label', 'variable', which are empty, or those of outputs"),
        (scaled, TypeError, "got the steps StandardScaler, MLPClassifier"),
        (MLPClassifier(), NotFittedError, "not fitted"),
        (StandardScaler(), TypeError, "got StandardScaler"),
        (own, ValueError, "activation"),
        (tmp_path / "none", OSError, "none"),
    ]:
        with pytest.raises(kind, match=message):
            to_onnx(model, tmp_path / "model.onnx")
    with pytest.raises(TypeError, match="its input 'X' is the matrix"):
        onnx_inputs(scaled[1], FRAME)
    assert not list(tmp_path.iterdir())


def test_an_exported_run_predicts_as_the_command_line_does(tmp_path: Path) -> None:
    from export_tables_report import compared

    frame = FRAME.iloc[:150, :8].assign(target=CLASSES[:150])
    found = compared(frame, "target", 400, 0, tmp_path, epochs=8)
    assert found.difference <= 1e-12
    assert found.classes_agree
