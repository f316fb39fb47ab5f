"""Stored estimators: pickles, JSON and model files give back the trained estimator, or an error."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from estimators import IRIS, NAMES, SPECIES, classifier, regressor, same
from hypothesis import given, settings, strategies as st
from sklearn.exceptions import NotFittedError
from typed import QUICK, succeed

from microgrud.sklearn import MLPClassifier, MLPRegressor, load


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_predict_the_same_and_train_on_alike(copied: Callable[[Any], Any]) -> None:
    for model in (classifier(), regressor()):
        classes = {} if isinstance(model, MLPRegressor) else {"classes": [0, 1, 2]}
        model.partial_fit(IRIS, SPECIES, **classes)
        twin = copied(model)
        assert same(model, twin)
        model.partial_fit(IRIS, SPECIES)
        assert not same(model, twin)
        assert same(model, twin.partial_fit(IRIS, SPECIES))


def test_a_pickle_holds_parameters_and_no_recordings() -> None:
    model = classifier(hidden_layer_sizes=(50, 50), max_iter=1).fit(IRIS, NAMES)
    model.predict(IRIS)
    assert len(pickle.dumps(model)) < 8 * sum(w.size for w in [*model.coefs_, *model.intercepts_]) + 4_000


# --- JSON ---


LABELS = {
    "strings": NAMES,
    "objects": NAMES.astype(object),
    "integers": SPECIES,
    "small integers": SPECIES.astype(np.int8),
    "floats": SPECIES * 1.0,
    "truth values": SPECIES == 1,
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_a_classifier_is_rebuilt_from_json_with_labels_of_their_type(labels: Any) -> None:
    weight = dict.fromkeys(np.unique(labels).tolist(), 2.0)
    model = classifier(n_estimators=2, class_weight=weight).fit(IRIS, labels)
    text = json.dumps(model.to_json(), allow_nan=False)
    twin = MLPClassifier.from_json(json.loads(text))
    assert same(model, twin)
    assert twin.predict(IRIS).dtype == model.predict(IRIS).dtype
    assert {type(label) for label in twin.predict(IRIS).tolist()} == {type(labels.tolist()[0])}
    assert twin.get_params() == model.get_params()
    assert (twin.loss_curve_, twin.n_iter_, twin.settings_) == (model.loss_curve_, model.n_iter_, model.settings_)
    assert json.dumps(twin.to_json()) == text


@pytest.mark.parametrize(
    "stored",
    [
        copy.deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: MLPClassifier.from_json(json.loads(json.dumps(model.to_json()))),
    ],
    ids=["copy", "pickle", "json"],
)
def test_a_temperature_other_than_1_is_stored(stored: Callable[[Any], Any]) -> None:
    labels = np.where(np.random.default_rng(0).random(150) < 0.2, (SPECIES + 1) % 3, SPECIES)  # one in five is wrong
    options = {"hidden_layer_sizes": (32,), "max_iter": 60, "tol": 10.0, "alpha": 0.0, "blend_linear": False}
    model = classifier(n_estimators=4, **options).fit(IRIS, labels)
    assert abs(model.temperature_ - 1.0) > 0.05
    twin = stored(model)
    assert twin.temperature_ == model.temperature_
    assert same(model, twin)


@pytest.mark.slow("4 s")
@pytest.mark.usefixtures("in_an_empty_folder")
def test_a_run_with_a_temperature_predicts_its_held_out_rows_as_it_has_stored_them() -> None:
    labels = np.where(np.random.default_rng(0).random(150) < 0.2, (SPECIES + 1) % 3, SPECIES)
    table = pd.DataFrame(IRIS, columns=list("abcd")).assign(kind=NAMES[50 * labels])
    table.to_csv("table.csv", index=False)
    succeed("train", "table.csv", "--target", "kind", "--no-pictures", "--quiet", "--out", "run")
    # Read as text: older versions of pandas do not read a number to its last digit.
    held_out, pipeline = pd.read_csv("run/predictions.csv", dtype=str), load("run")
    assert pipeline["network"].temperature_ != 1.0
    assert pipeline["network"].network_share_ > 0.0
    found = pipeline.predict_proba(table.iloc[held_out["row"].astype(int) - 1])
    expected = held_out[[f"probability {name}" for name in pipeline["network"].classes_]]
    assert (found == expected.to_numpy(float)).all()


def test_a_regressor_is_rebuilt_from_json_with_the_names_of_its_inputs() -> None:
    frame = pd.DataFrame(IRIS, columns=list("abcd"))
    for y in (SPECIES, np.column_stack([SPECIES, IRIS[:, 0]])):
        model = regressor(scale_inputs=False).fit(frame, y)
        twin = MLPRegressor.from_json(json.loads(json.dumps(model.to_json())))
        assert same(model, twin, frame)
        assert twin.feature_names_in_.tolist() == list("abcd")
        with pytest.raises(ValueError, match="feature names"):
            twin.predict(frame.rename(columns={"a": "z"}))
        assert same(model.partial_fit(frame, y), twin.partial_fit(frame, y), frame)
        assert same(model, MLPRegressor.from_json(model.to_json()), frame)


def test_an_estimator_from_json_has_no_validated_rows() -> None:
    with pytest.raises(ValueError, match="validated: expected an estimator after fit, got one from JSON"):
        MLPClassifier.from_json(classifier().fit(IRIS, NAMES).to_json()).validated(IRIS)


def test_a_loaded_pipeline_shows_the_parameters_that_were_given(tmp_path: Path) -> None:
    table = pd.DataFrame({"size": range(20), "colour": ["red", "blue"] * 10, "kind": ["a", "b", "b", "a"] * 5})
    table.to_csv(tmp_path / "table.csv", index=False)
    given = ["--target", "kind", "--ignore", "size", "--hidden", "3,2"]
    succeed("train", tmp_path / "table.csv", *QUICK, *given, "--out", tmp_path / "run")
    shown = repr(load(tmp_path / "run"))
    assert "ignore=('size',)" in shown
    assert "hidden_layer_sizes=(3, 2)" in shown
    assert "[]" not in shown


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to each entry of a document."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [found for key, each in items for found in [(*path, key), *places(each, (*path, key))]]


DOCUMENTS = [
    classifier(hidden_layer_sizes=(2,), max_iter=2, class_weight={0: 1.0, 1: 2.0}).fit(IRIS, SPECIES % 2).to_json(),
    regressor(hidden_layer_sizes=(), max_iter=2).fit(pd.DataFrame(IRIS, columns=list("abcd")), SPECIES).to_json(),
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_document_is_an_error_that_names_an_entry(data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(DOCUMENTS)))
    *path, key = data.draw(st.sampled_from(places(document)))
    inner = document
    for step in path:
        inner = inner[step]
    damage = data.draw(st.sampled_from([None, "x", -1, 0, 1.5, math.inf, [], {}, [None], {"x": 1}, "remove"]))
    if damage == "remove":
        del inner[key]
    else:
        inner[key] = damage
    kind = MLPClassifier if document.get("estimator") == "MLPClassifier" else MLPRegressor
    refusal = ""
    try:
        made = kind.from_json(document)
    except ValueError as error:
        refusal = str(error)
    if refusal:
        named = [*path, key, "networks"]  # the number of weights follows from other entries
        assert any(step in refusal for step in named if isinstance(step, str))
    else:
        assert len(made.predict(pd.DataFrame(IRIS, columns=made.to_json()["feature_names"]))) == 150


@pytest.mark.parametrize(
    ("parameters", "named"), [({"activation": lambda x: x * x}, "activation"), ({"random_state": np.random}, "random_")]
)
def test_what_json_cannot_hold_is_named(parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(TypeError, match=named):
        classifier(**parameters).fit(IRIS, NAMES).to_json()


def test_a_blend_without_its_linear_models_is_refused() -> None:
    document = classifier(n_estimators=2).fit(IRIS, NAMES).to_json()
    for linear in ([], document["linear"][:1]):
        with pytest.raises(ValueError, match="linear: expected a model for each of the networks"):
            MLPClassifier.from_json({**document, "linear": linear, "network_share": 0.5})


def test_only_a_trained_estimator_has_a_description() -> None:
    with pytest.raises(NotFittedError):
        classifier().to_json()
    with pytest.raises(ValueError, match="expected 'MLPRegressor', got 'MLPClassifier'"):
        MLPRegressor.from_json(DOCUMENTS[0])
