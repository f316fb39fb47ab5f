"""The settings of a training run: the checked parameters of an estimator, with defaults that suit the table."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeAlias

from ..common import checks
from ..common.checks import Count, Flag, NotNegative, Positive, one_of, optional, real, whole
from ..common.numbers import Interval
from ..nn.activations import get_activation
from ..optim import schedules
from ..optim.optimizer import Optimizer
from ..optim.schedules import Schedule

#: The optimizers of the estimators, and the default learning rate of each, which suits standardised inputs.
LEARNING_RATES = {"sgd": 0.05, "adagrad": 0.05, "rmsprop": 0.005, "adam": 0.01, "adamw": 0.01, "lbfgs": 1.0}

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
_HE_ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "mish", "celu", "relu6", "hardswish")


def _sizes(where: str, setting: Any) -> tuple[int, ...]:
    sizes = setting if isinstance(setting, (list, tuple)) else [setting]
    return tuple(whole(1)(where, size) for size in sizes)


def _activation(where: str, setting: Any) -> Any:
    try:
        get_activation(setting)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where.removesuffix('activation')}{error}") from None
    return setting


def or_auto(check: checks.Check) -> checks.Check:
    """Make the check that accepts "auto" as well."""
    return lambda where, setting: "auto" if isinstance(setting, str) and setting == "auto" else check(where, setting)


#: Parameters of the estimators that are settings as well, each with its check.
Sizes: TypeAlias = Annotated[Any, _sizes]
ActivationLike: TypeAlias = Annotated[Any, _activation]
Solver: TypeAlias = Annotated[str, one_of(*LEARNING_RATES)]
ScheduleName: TypeAlias = Annotated[str, one_of(*SCHEDULES)]
Verbose: TypeAlias = Annotated[bool, lambda where, setting: bool(setting)]
Seed: TypeAlias = Annotated[Any, lambda where, setting: setting]  # scikit-learn checks it
Seconds: TypeAlias = Annotated[float | None, optional(real(checks.POSITIVE))]


@dataclass(frozen=True)
class Settings:
    """The settings of the training of one network; the names are the parameters of the estimators."""

    hidden_layer_sizes: Sizes
    activation: ActivationLike
    solver: Solver
    alpha: NotNegative
    batch_size: Count
    learning_rate: ScheduleName
    learning_rate_init: Positive
    max_iter: Count
    shuffle: Flag
    tol: NotNegative
    verbose: Verbose
    validation_fraction: Annotated[float | None, optional(real(Interval(0.0, 1.0, low_open=True, high_open=True)))]
    n_iter_no_change: Count
    max_seconds: Seconds
    blend_linear: Flag

    @property
    def fit_options(self) -> dict[str, Any]:
        """The options of `microgrud.train.fit` that do not depend on the number of epochs."""
        return {"batch_size": self.batch_size, "shuffle": self.shuffle, "progress": self.verbose}

    @property
    def init(self) -> str:
        """The initialiser of the weights."""
        return "he_uniform" if get_activation(self.activation).name in _HE_ACTIVATIONS else "glorot_uniform"


@functools.lru_cache
def checks_of(kind: Any) -> Mapping[str, checks.Check]:
    """Return the checks of the parameters of an estimator, by their names."""
    # A derived class that is no dataclass may have annotations that name nothing at run time.
    return checks.declared(next(each for each in kind.__mro__ if "__dataclass_fields__" in vars(each)))


def settings_for(checked: dict[str, Any], rows: int) -> Settings:
    """Return the settings of a run with so many training rows: each "auto" and None is replaced by a number.

    Args:
        checked: the parameters, as their checks return them.
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
    given = {each.name: checked[each.name] for each in fields(Settings)}
    found = {
        "alpha": alpha,
        "batch_size": batch_size,
        "learning_rate_init": rate,
        "max_iter": max_iter,
        "validation_fraction": checked["validation_fraction"] if split else None,
    }
    return Settings(**given | found)
