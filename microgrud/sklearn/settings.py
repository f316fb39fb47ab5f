"""The settings of a training run: the checked parameters of an estimator, with defaults that suit the table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..common.checks import NOT_NEGATIVE, POSITIVE, Check, flag, one_of, optional, real, whole
from ..common.numbers import Interval
from ..nn.activations import get_activation
from ..optim import OPTIMIZERS, schedules
from ..optim.optimizer import Optimizer
from ..optim.schedules import Schedule

#: The default learning rate of each optimizer, which suits standardised inputs.
LEARNING_RATES = {"adam": 0.01, "adamw": 0.01, "adagrad": 0.05, "rmsprop": 0.005, "sgd": 0.05, "lbfgs": 1.0}

#: Makes each schedule of an optimizer's rate, from its highest rate and the number of steps; None is a constant rate.
SCHEDULES: dict[str, Callable[[Optimizer, float, int], Schedule | None]] = {
    "constant": lambda optimizer, rate, steps: None,
    "cosine": lambda optimizer, rate, steps: schedules.CosineAnnealingLR(optimizer, steps, interval="step"),
    "exponential": lambda optimizer, rate, steps: schedules.ExponentialLR(optimizer, 0.01 ** (1 / steps), "step"),
    "one-cycle": lambda optimizer, rate, steps: schedules.OneCycleLR(optimizer, rate, steps),
    "plateau": lambda optimizer, rate, steps: schedules.ReduceLROnPlateau(optimizer, patience=5),
    "step": lambda optimizer, rate, steps: schedules.StepLR(optimizer, max(1, steps // 3), interval="step"),
    "warmup": lambda optimizer, rate, steps: schedules.LinearWarmup(optimizer, max(1, steps // 10)),
}

#: Fewer rows than these are all trained on: a validation share of them would say nothing.
LEAST_ROWS_TO_SPLIT = 20

#: Activations for which weights are drawn by He's rule; for the others, by Glorot's.
_HE_ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus")


@dataclass(frozen=True)
class Settings:
    """The settings of the training of one network; the names are the parameters of the estimators."""

    hidden_layer_sizes: tuple[int, ...]
    activation: Any
    solver: str
    alpha: float
    batch_size: int
    learning_rate: str
    learning_rate_init: float
    max_iter: int
    shuffle: bool
    tol: float
    verbose: bool
    validation_fraction: float | None
    n_iter_no_change: int
    max_seconds: float | None
    blend_linear: bool

    def with_share_of_seconds(self, share: float) -> Settings:
        """Return the settings with a share of the limit of time."""
        return self if self.max_seconds is None else replace(self, max_seconds=share * self.max_seconds)

    @property
    def init(self) -> str:
        """The initialiser of the weights."""
        return "he_uniform" if get_activation(self.activation).name in _HE_ACTIVATIONS else "glorot_uniform"


def _sizes(where: str, setting: Any) -> tuple[int, ...]:
    sizes = setting if isinstance(setting, (list, tuple)) else [setting]
    return tuple(whole(1)(where, size) for size in sizes)


def _activation(where: str, setting: Any) -> Any:
    try:
        get_activation(setting)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where.removesuffix('activation')}{error}") from None
    return setting


def class_weight(where: str, setting: Any) -> Any:
    """Check for None, "balanced", or a dict with a weight of 0 or more for each class."""
    if isinstance(setting, dict):
        return {label: real(NOT_NEGATIVE)(f"{where}[{label!r}]", weight) for label, weight in setting.items()}
    return one_of(None, "balanced")(where, setting)


def _jobs(where: str, setting: Any) -> int:
    if type(setting) is bool or not isinstance(setting, (int, np.integer)) or setting == 0:
        raise ValueError(f"{where}: expected None or a whole number other than 0, got {setting!r}")
    return int(setting)


def _or(word: str, check: Check) -> Check:
    return lambda where, setting: word if isinstance(setting, str) and setting == word else check(where, setting)


#: The checks of the parameters that both estimators have.
CHECKS: dict[str, Check] = {
    "hidden_layer_sizes": _sizes,
    "activation": _activation,
    "solver": one_of(*OPTIMIZERS),
    "alpha": _or("auto", real(NOT_NEGATIVE)),
    "batch_size": _or("auto", optional(whole(1))),
    "learning_rate": one_of(*SCHEDULES),
    "learning_rate_init": optional(real(POSITIVE)),
    "max_iter": _or("auto", whole(1)),
    "shuffle": flag,
    "tol": real(NOT_NEGATIVE),
    "verbose": lambda where, setting: bool(setting),
    "random_state": lambda where, setting: setting,
    "warm_start": flag,
    "early_stopping": flag,
    "validation_fraction": real(Interval(0.0, 1.0, low_open=True, high_open=True)),
    "n_iter_no_change": whole(1),
    "scale_inputs": flag,
    "pieces": _or("auto", whole(0)),
    "blend_linear": flag,
    "n_estimators": whole(1),
    "max_seconds": optional(real(POSITIVE)),
    "n_jobs": optional(_jobs),
}


def automatic(checked: dict[str, Any]) -> list[str]:
    """Return the names of the rate and the weight decay, as far as they are left to `settings_for`."""
    return ["learning_rate_init"] * (checked["learning_rate_init"] is None) + ["alpha"] * (checked["alpha"] == "auto")


def settings_for(checked: dict[str, Any], rows: int) -> Settings:
    """Return the settings of a run with so many training rows: each "auto" and None is replaced by a number.

    Args:
        checked: the parameters, as `CHECKS` return them.
        rows: the number of rows.
    """
    whole_table = checked["solver"] == "lbfgs"
    batch_size = checked["batch_size"]
    rate = checked["learning_rate_init"] or LEARNING_RATES[checked["solver"]]
    if batch_size == "auto":
        batch_size = rows if whole_table else min(256, max(32, 2 ** round(math.log2(max(1, rows / 40)))))
        if checked["learning_rate_init"] is None and checked["solver"] in ("adam", "adamw"):
            rate *= min(1.0, 0.3 * batch_size / 32)  # the smaller the batch, the noisier its gradient
    batch_size = min(batch_size or rows, rows)
    max_iter = checked["max_iter"]
    if max_iter == "auto":
        steps = math.ceil(rows / batch_size)
        max_iter = 50 if whole_table else max(min(60, max(10, 6_000 // steps)), 300 // steps)
    alpha = checked["alpha"]
    if alpha == "auto":
        alpha = min(1.0, (10.0 if checked["solver"] == "adamw" else 1.0) / rows)
    split = checked["early_stopping"] and rows >= LEAST_ROWS_TO_SPLIT
    chosen = {each.name: checked[each.name] for each in fields(Settings)}
    found = {
        "alpha": alpha,
        "batch_size": batch_size,
        "learning_rate_init": rate,
        "max_iter": max_iter,
        "validation_fraction": checked["validation_fraction"] if split else None,
        "blend_linear": checked["blend_linear"] and bool(checked["hidden_layer_sizes"]),
    }
    return Settings(**chosen | found)
