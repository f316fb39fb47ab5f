"""The estimators in scikit-learn: its own checks, its tools, and the parameters."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from estimators import IRIS, NAMES, WHOLE, classifier, same
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_sample_weight_equivalence_on_dense_data, estimator_checks_generator

from microgrud.sklearn import MLPClassifier, MLPRegressor

#: A weight of 2 is not a row given twice where that moves the borders of the mini-batches, and the validation share.
NOT_IN_BATCHES = "check_sample_weight_equivalence_on_dense_data"
CHECKS = [
    pytest.param(estimator, check, id=f"{type(estimator).__name__}-{check.func.__name__}")
    for model in (MLPClassifier((16,), max_iter=40), MLPRegressor((16,), max_iter=40))
    for estimator, check in estimator_checks_generator(model)
    if check.func.__name__ != NOT_IN_BATCHES  # passed with full batches below
]


@pytest.mark.slow("25 s for the hundred of them")
@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learns_checks_pass(estimator: Any, check: Callable[[Any], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's own, on checks that it skips
        check(estimator)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("solver", ["sgd", "adagrad", "rmsprop", "adam", "adamw", "lbfgs"])
def test_with_full_batches_a_weight_is_a_number_of_rows(kind: Any, solver: str) -> None:
    max_iter = 5 if solver == "lbfgs" else 10  # a line search amplifies rounding
    model = kind((8,), **WHOLE | {"solver": solver, "max_iter": max_iter})
    check_sample_weight_equivalence_on_dense_data(kind.__name__, model)


@pytest.mark.slow("4 s: two processes, each of which imports everything")
def test_pipelines_and_searches_in_processes_work() -> None:
    pipeline = make_pipeline(StandardScaler(), classifier(max_iter=30))
    search = GridSearchCV(pipeline, {"mlpclassifier__hidden_layer_sizes": [(2,), (8,)]}, n_jobs=2, cv=3)
    assert search.fit(IRIS, NAMES).score(IRIS, NAMES) > 0.9
    assert cross_val_score(pipeline, IRIS, NAMES, cv=3).mean() > 0.9


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
@pytest.mark.slow("3 s: two processes")
def test_other_backends_of_joblib_train_the_same_networks(backend: str) -> None:
    alone = classifier(n_estimators=3, max_iter=2).fit(IRIS, NAMES)
    with parallel_config(backend):
        together = classifier(n_estimators=3, max_iter=2, n_jobs=2).fit(IRIS, NAMES)
    assert (together.predict_proba(IRIS) == alone.predict_proba(IRIS)).all()


def test_without_scikit_learn_an_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['sklearn'] = None; import microgrud.sklearn"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "microgrud.sklearn needs scikit-learn, which is not installed: pip install scikit-learn" in done.stderr


# --- parameters ---


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_every_parameter_is_explicit_and_described(kind: Any) -> None:
    parameters = inspect.signature(kind).parameters
    assert parameters.keys() == kind().get_params().keys()
    by_position = [name for name, each in parameters.items() if each.kind is not each.KEYWORD_ONLY]
    assert by_position == ["hidden_layer_sizes", "activation"]
    described = inspect.getdoc(kind).partition("Args:\n")[2].partition("Attributes:\n")[0]
    heads = re.findall(r"^ {4}(\w[\w,\s]*):", described, re.MULTILINE)
    assert sorted(re.findall(r"\w+", " ".join(heads))) == sorted(parameters)


def test_a_subclass_may_have_annotations_of_its_own() -> None:
    kind = type("Mine", (MLPClassifier,), {"__annotations__": {"owner": "a name that is not defined"}})
    assert same(clone(kind(**classifier().get_params())).fit(IRIS, NAMES), classifier().fit(IRIS, NAMES))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes: expected an integer of at least 1"),
        ({"activation": "rely"}, "activation: expected one of"),
        ({"solver": "adamm"}, "solver: expected one of"),
        ({"alpha": -1.0}, "alpha: expected a finite number x >= 0"),
        ({"alpha": "much"}, "alpha: expected"),
        ({"batch_size": 0}, "batch_size: expected an integer of at least 1"),
        ({"learning_rate": "fast"}, "learning_rate: expected one of"),
        ({"max_iter": 0}, "max_iter: expected an integer of at least 1"),
        ({"validation_fraction": 1.0}, "validation_fraction: expected"),
        ({"class_weight": "even"}, "class_weight: expected one of"),
        ({"class_weight": {"setosa": -1.0}}, "class_weight\\['setosa'\\]: expected"),
        ({"label_smoothing": 1.0}, "label_smoothing: expected"),
        ({"n_estimators": 0}, "n_estimators: expected"),
        ({"max_seconds": 0.0}, "max_seconds: expected"),
        ({"n_jobs": 0}, "n_jobs: expected"),
    ],
)
def test_an_invalid_parameter_is_named_by_fit(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"MLPClassifier: {message}"):
        classifier(**parameters).fit(IRIS, NAMES)
