"""A small search of sizes, learning rate and weight decay by successive halving."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV, KFold, StratifiedKFold

from ..engine.vectors import Vector
from .fitting import Data, new_network
from .settings import RunSettings, option_name, option_text

#: The values to choose from, by setting.
_CHOICES = {
    "hidden": [(), (16,), (32, 16), (64, 32), (128, 64), (64, 64, 32)],
    "lr": [0.0003, 0.001, 0.003, 0.01, 0.03],
    "weight_decay": [0.0001, 0.001, 0.01, 0.1],
}
_PARAMETERS = {"hidden": "hidden_layer_sizes", "lr": "learning_rate_init", "weight_decay": "alpha"}
_CANDIDATES, _FOLDS, _FEWEST_ROWS = 12, 3, 60


def search(data: Data, inputs: Vector, values: Vector, settings: RunSettings) -> tuple[RunSettings, str]:
    """Return the settings with the best sizes, rate and decay that were found, and a note about it.

    scikit-learn's HalvingRandomSearchCV trains 12 random candidates on a part of the training rows, the best third of
    them on three times as many, and so on (Jamieson and Talwalkar, "Non-stochastic best arm identification and
    hyperparameter optimization", 2016). Settings that were given are not searched.

    Args:
        data: the table, for the kind of its target.
        inputs: the prepared inputs of the training rows.
        values: their targets.
        settings: the settings that were chosen.
    """
    free = [name for name in _CHOICES if getattr(settings, name) is None]
    if not free:
        return replace(
            settings, search=False
        ), "--search: sizes, rate and decay are given, so there is nothing to search."
    classes = data.target.task == "classification"
    score = "neg_log_loss" if classes else "r2"
    folds = (StratifiedKFold if classes else KFold)(_FOLDS, shuffle=True, random_state=settings.seed)
    fewest = min(len(inputs), max(_FEWEST_ROWS, len(inputs) // 9))
    halving = HalvingRandomSearchCV(
        new_network(data, replace(settings, estimators=1)),
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
        halving.fit(inputs, values)
    best = {name: halving.best_params_[_PARAMETERS[name]] for name in free}
    found = " ".join(f"{option_name(name)} {option_text(value)}" for name, value in best.items())
    tried = len(set(map(str, halving.cv_results_["params"])))
    note = f"The search tried {tried} settings on the training rows, and chose {found}."
    return replace(settings, **best, search=False), note
