"""A small search of sizes, learning rate and weight decay by successive halving."""

from __future__ import annotations

import math
import time
import warnings
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV, KFold, StratifiedKFold, cross_val_score

from ..engine.vectors import Vector
from .fitting import Data, is_interrupted, new_network
from .settings import RunSettings, option_name, option_text

#: The values to choose from, by setting.
_CHOICES: dict[str, list[Any]] = {
    "hidden": [(), (16,), (32, 16), (64, 32), (128, 64), (64, 64, 32)],
    "lr": [0.0003, 0.001, 0.003, 0.01],
    "weight_decay": [0.0001, 0.001, 0.01, 0.1],
}
_PARAMETERS = {"hidden": "hidden_layer_sizes", "lr": "learning_rate_init", "weight_decay": "alpha"}
_CANDIDATES, _FOLDS, _FEWEST_ROWS = 12, 3, 60
#: Number of trainings: of 12, 4 and 2 candidates, of the best and of the default, in each fold.
_TRAININGS = 60


class _Trials:
    """Trainings with other sizes, rates and decays, scored on folds of the training rows; Ctrl-C or `end` ends them."""

    def __init__(
        self, network: Any, inputs: Vector, values: Vector, choices: dict[str, list[Any]], seed: int, end: float
    ) -> None:
        self.end, self.ending = end, "was interrupted"
        self.network, self.inputs, self.values, self.names = network, inputs, values, list(choices)
        self.scores: dict[int, dict[str, tuple[dict[str, Any], list[float]]]] = defaultdict(dict)
        folds = (StratifiedKFold if is_classifier(network) else KFold)(_FOLDS, shuffle=True, random_state=seed)
        self.options = {"cv": folds, "scoring": self.score, "error_score": -np.inf}
        fewest = min(len(inputs), max(_FEWEST_ROWS, len(inputs) // 9))
        self.halving = HalvingRandomSearchCV(
            network, choices, n_candidates=_CANDIDATES, factor=3, min_resources=fewest, refit=False,
            return_train_score=False, random_state=seed, **self.options,
        )  # fmt: skip

    def score(self, network: Any, inputs: Vector, values: Vector) -> float:
        """Return and record R², or the mean log probability of the true class, which the training rows may lack.

        Raises:
            KeyboardInterrupt: if Ctrl-C ended the training, which `fit` itself does not raise, or if the time is over.
        """
        if is_interrupted(network):
            raise KeyboardInterrupt
        if time.perf_counter() >= self.end:
            self.ending = "was ended by --time"
            raise KeyboardInterrupt
        if is_classifier(network):
            of_true = (network.predict_proba(inputs) * (values[:, None] == network.classes_)).sum(axis=1)
            found = float(np.log(np.clip(of_true, np.finfo(float).eps, 1.0)).mean())
        else:
            found = float(network.score(inputs, values))
        chosen = {name: getattr(network, name) for name in self.names}
        self.scores[len(self.halving.n_candidates_)].setdefault(str(chosen), (chosen, []))[1].append(found)
        return found

    def mean_score(self, **parameters: Any) -> float:
        """Return the mean score over the folds, of all training rows, with some parameters."""
        self.network.set_params(**parameters)
        return float(cross_val_score(self.network, self.inputs, self.values, **self.options).mean())

    def best_so_far(self) -> dict[str, Any]:
        """Return the best parameters of the last round that came to its end; an empty dict before that."""
        if hasattr(self.halving, "best_params_"):
            return dict(self.halving.best_params_)
        last = self.scores[len(getattr(self.halving, "n_candidates_", ())) - 1].values()
        whole = [(float(np.mean(scores)), chosen) for chosen, scores in last if len(scores) == _FOLDS]
        return max(whole, key=lambda pair: pair[0], default=(0.0, dict[str, Any]()))[1]


def search(
    data: Data, inputs: Vector, values: Vector, settings: RunSettings, seconds: float | None = None
) -> tuple[RunSettings, str]:
    """Return the settings with the best sizes, rate and decay that were found, and a note about it.

    scikit-learn's HalvingRandomSearchCV trains 12 random candidates on a part of the training rows, the best third of
    them on three times as many, and so on (Jamieson and Talwalkar, "Non-stochastic best arm identification and
    hyperparameter optimization", 2016). The best one is then compared with the default on all training rows. Settings
    that were given are not searched. After Ctrl-C, or when the time is over, the best candidate of the last whole round
    is taken.

    Args:
        data: the table, for the kind of its target.
        inputs: the prepared inputs of the training rows.
        values: their targets.
        settings: the settings that were chosen.
        seconds: the limit of time.
    """
    default = replace(settings, search=False)
    free = [name for name in _CHOICES if getattr(settings, name) is None]
    if not free:
        return default, "--search: sizes, rate and decay are given, so that there is nothing to search."
    end = math.inf if seconds is None else time.perf_counter() + seconds
    network = new_network(data, settings, n_estimators=1, max_seconds=seconds and seconds / _TRAININGS)
    trials = _Trials(network, inputs, values, {_PARAMETERS[name]: _CHOICES[name] for name in free}, settings.seed, end)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            trials.halving.fit(inputs, values)
            tried = len(set(map(str, trials.halving.cv_results_["params"])))
            note = f"The search tried {tried} settings on the training rows, and"
            if not trials.mean_score() < trials.mean_score(**trials.best_so_far()):
                return default, f"{note} found none that is better than the default."
        except ValueError:  # so few rows of a class that no candidate can be trained
            return default, "--search: there are too few rows of each class for a search."
        except KeyboardInterrupt:
            if not trials.best_so_far():
                return default, f"The search {trials.ending} in its first round: training goes on with the default."
            note = f"The search {trials.ending} before it compared its best settings with the default, and"
    best = trials.best_so_far()
    chosen = {name: best[_PARAMETERS[name]] for name in free}
    options = " ".join(f"{option_name(name)} {option_text(value)}" for name, value in chosen.items())
    return replace(default, **chosen), f"{note} chose {options}."
