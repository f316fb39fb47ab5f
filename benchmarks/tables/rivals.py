"""Rivals of scikit-learn with standard preparation, and the command line of microgrud as a user types it."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from .sources import Source

#: An estimator for classes and one for numbers, each with its defaults but for the seed and enough iterations.
ESTIMATORS: dict[str, tuple[Any, Any]] = {
    "linear": (LogisticRegression(max_iter=2000), Ridge()),
    "sklearn mlp": (MLPClassifier(max_iter=500), MLPRegressor(max_iter=500)),
    "boosting": (HistGradientBoostingClassifier(), HistGradientBoostingRegressor()),
}


class RefusedError(Exception):
    """An error of the tool, in its own words."""


def standard_pipeline(name: str, source: Source, seed: int) -> Any:
    """Return an estimator behind the usual preparation: medians, indicators, standard units, one input per category.

    The target of a regression is in standard units, too.
    """
    estimator = ESTIMATORS[name][source.task == "regression"]
    if "random_state" in estimator.get_params():
        estimator = estimator.set_params(random_state=seed)
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    texts = make_pipeline(
        SimpleImputer(strategy="most_frequent", add_indicator=True),
        OneHotEncoder(max_categories=30, handle_unknown="infrequent_if_exist", sparse_output=False),
    )
    is_number = make_column_selector(dtype_include="number")
    is_text = make_column_selector(dtype_exclude="number")
    if source.task == "regression":
        estimator = TransformedTargetRegressor(estimator, transformer=StandardScaler())
    return make_pipeline(make_column_transformer((numbers, is_number), (texts, is_text)), estimator)


def predict_by_sklearn(name: str, source: Source, train: pd.DataFrame, test: pd.DataFrame, seed: int) -> np.ndarray:
    """Return the predictions of a rival for the rows of `test`."""
    known = train[train[source.target].notna()]
    targets = known[source.target]
    targets = targets.astype(str) if source.task == "classification" else targets.astype(float)
    model = standard_pipeline(name, source, seed).fit(_plain(known.drop(columns=source.target)), targets)
    predictions: np.ndarray = model.predict(_plain(test.drop(columns=source.target)))
    return predictions


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns hold floats or texts, as scikit-learn takes them."""
    plain = frame.copy()
    for name in plain.columns:
        if pd.api.types.is_numeric_dtype(plain[name]):
            plain[name] = plain[name].astype(float)
        else:
            plain[name] = plain[name].astype(object).where(plain[name].notna(), np.nan).map(str, na_action="ignore")
    return plain


def predict_by_command(source: Source, train: pd.DataFrame, test: pd.DataFrame, seed: int) -> np.ndarray:
    """Return the predictions of `microgrud train` and `predict`, without options but target, seed and no pictures.

    Raises:
        RefusedError: if either command fails; it has the last line of the error.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        train.to_csv(folder / "train.csv", index=False)
        test.drop(columns=source.target).to_csv(folder / "test.csv", index=False)
        target = ("--target", source.target)
        _command(folder, "train", "train.csv", *target, "--seed", str(seed), "--no-pictures", "--out", "run")
        _command(folder, "predict", "run/model.json", "test.csv", "--out", "predictions.csv")
        predictions: np.ndarray = pd.read_csv(folder / "predictions.csv", dtype=str)["predicted"].to_numpy()
        return predictions.astype(float) if source.task == "regression" else predictions


def _command(folder: pathlib.Path, *words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "microgrud", *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RefusedError(done.stderr.strip().splitlines()[-1])
