"""A small search of sizes, learning rate and weight decay by successive halving."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV, KFold, StratifiedKFold, cross_val_score

from ..engine.vectors import Vector
from .fitting import Data, new_network
from .settings import RunSettings, option_name, option_text

#: The values to choose from, by setting.
_CHOICES = {
    "hidden": [(), (16,), (32, 16), (64, 32), (128, 64), (64, 64, 32)],
    "lr": [0.0003, 0.001, 0.003, 0.01],
    "weight_decay": [0.0001, 0.001, 0.01, 0.1],
}
_PARAMETERS = {"hidden": "hidden_layer_sizes", "lr": "learning_rate_init", "weight_decay": "alpha"}
_CANDIDATES, _FOLDS, _FEWEST_ROWS = 12, 3, 60
#: Number of trainings: of 12, 4 and 2 candidates, of the best and of the default, in each fold.
_TRAININGS = 60


def search(data: Data, inputs: Vector, values: Vector, settings: RunSettings) -> tuple[RunSettings, str]:
    """Return the settings with the best sizes, rate and decay that were found, and a note about it.

    scikit-learn's HalvingRandomSearchCV trains 12 random candidates on a part of the training rows, the best third of
    them on three times as many, and so on (Jamieson and Talwalkar, "Non-stochastic best arm identification and
    hyperparameter optimization", 2016). The best one is then compared with the default on all training rows. Settings
    that were given are not searched.

    Args:
        data: the table, for the kind of its target.
        inputs: the prepared inputs of the training rows.
        values: their targets.
        settings: the settings that were chosen.
    """
    free = [name for name in _CHOICES if getattr(settings, name) is None]
    if not free:
        note = "--search: sizes, rate and decay are given, so that there is nothing to search."
        return replace(settings, search=False), note
    classes = data.target.task == "classification"
    score = _log_probability if classes else "r2"
    network = new_network(data, replace(settings, estimators=1).for_one_of(_TRAININGS))
    folds = (StratifiedKFold if classes else KFold)(_FOLDS, shuffle=True, random_state=settings.seed)
    fewest = min(len(inputs), max(_FEWEST_ROWS, len(inputs) // 9))
    halving = HalvingRandomSearchCV(
        network,
        {_PARAMETERS[name]: _CHOICES[name] for name in free},
        n_candidates=_CANDIDATES,
        factor=3,
        min_resources=fewest,
        cv=folds,
        scoring=score,
        refit=False,
        random_state=settings.seed,
        error_score=-np.inf,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            halving.fit(inputs, values)
        except ValueError:  # so few rows of a class that no candidate can be trained
            return replace(settings, search=False), "--search: there are too few rows of each class for a search."
        tried = len(set(map(str, halving.cv_results_["params"])))
        pair: list[dict[str, Any]] = [{}, halving.best_params_]
        usual, found = (
            cross_val_score(network.set_params(**chosen), inputs, values, cv=folds, scoring=score, error_score=-np.inf)
            for chosen in pair
        )
    note = f"The search tried {tried} settings on the training rows, and "
    if not found.mean() > usual.mean():
        return replace(settings, search=False), f"{note}found none that is better than the default."
    best = {name: halving.best_params_[_PARAMETERS[name]] for name in free}
    options = " ".join(f"{option_name(name)} {option_text(value)}" for name, value in best.items())
    return replace(settings, **best, search=False), f"{note}chose {options}."


def _log_probability(network: Any, inputs: Vector, values: Vector) -> float:
    """Return the mean logarithm of the probability of the true class, which a fold may not have trained on."""
    is_true = values[:, None] == network.classes_
    of_true = (network.predict_proba(inputs) * is_true).sum(axis=1)
    return float(np.log(np.clip(of_true, np.finfo(float).eps, 1.0)).mean())
