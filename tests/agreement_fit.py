"""Models with losses, which `fit` trains on recordings and without: the parameters are those of formulas by hand.

To add a program, write a class or function here and an entry in FITTED.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

from agreement_truth import Numbers, Refusal, difference
from inside import thresholds
from optimizers_by_hand import FORMULAS

import microgrud
from microgrud import CompileError, Value, log, sin, tanh
from microgrud.losses import gaussian_nll, smooth_l1, squared_error
from microgrud.nn import MLP, LayerNorm, Linear, Module, PReLU, Sequential
from microgrud.train import fit

ROWS = [[0.1 * k - 0.35, 0.9 - 0.2 * k] for k in range(8)]
TARGETS = [0.3 * x - 0.5 * y + 0.1 for x, y in ROWS]
INTEGERS = [[k % 3, (5 * k) % 7 - 3] for k in range(8)]
WEIGHTS = [0.0, 1.0, 2.5, 0.5, 0.0, 3.0, 1.0, 0.25]
MIXED = [[k % 3, y] for k, (_, y) in enumerate(ROWS)]

#: The settings of `compile`, and the rows as a batch that is read anew in each epoch.
SETTINGS: tuple[Any, ...] = (False, "auto", True, "batches")


class Model(Module):
    """A model of a few parameters, whose prediction is a function of them and of a row."""

    def __init__(self, predict: Callable[[Any, Any], Any], count: int = 3) -> None:
        super().__init__()
        self.predict = predict
        self.w = [Value(0.3 * k - 0.2) for k in range(count)]

    def __call__(self, row: Any) -> Any:
        return self.predict(self.w, row)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A model and a loss, the documented error of `fit(compile=True)`, if there is one, and arguments of `fit`."""

    make: Callable[[], Any]
    loss: Callable[[Any, Any], Any] = squared_error
    refused: Refusal | None = None
    optimizer: str = "sgd"
    rows: Sequence[Any] = tuple(ROWS)
    weights: Sequence[float] | None = None


def _linear(w: Any, row: Any) -> Any:
    return w[0] * row[0] + w[1] * row[1] + w[2]


def _of_two(w: Any, row: Any) -> Any:
    return [w[0] * row[0] + w[2], w[1] * row[1]]


def _looking_up(w: Any, row: Any) -> Any:
    return microgrud.take(w, row[0]) * row[1] + w[0]


def _looking_up_and_computing(w: Any, row: Any) -> Any:
    return microgrud.take(w, row[0]) * row[0] + w[1] * row[1]


def _branching(w: Any, row: Any) -> Any:
    return tanh(w[0] * row[0]) if row[1] > w[2] else w[1] * row[1] + sin(w[0])


def _sorting(w: Any, row: Any) -> Any:
    low, high = sorted([w[0] * row[0] + 0.3, w[1] * row[1]], key=lambda v: v * 2.0)
    return low * 0.5 + high + w[2]


def _comparing(w: Any, row: Any) -> Any:
    return w[0] if row[0] == ROWS[2][0] else w[1] * row[1] + w[2]


def _catching(w: Any, row: Any) -> Any:
    try:
        log(row[1] + 0.0 * w[0])
    except ValueError:
        return w[1] * row[0] + w[2]
    return w[0] * row[1]


def _of_a_derivative(w: Any, row: Any) -> Any:
    force = microgrud.grad(lambda t: w[0] * t * t + sin(w[1] * t))
    return force(row[0]) + w[2] * row[1]


def _of_a_second_derivative(w: Any, row: Any) -> Any:
    bend = microgrud.hessian(lambda t: w[0] * t * t * t + sin(w[1] * t))
    return bend(row[0]) + w[2] * row[1]


def _of_a_direction(w: Any, row: Any) -> Any:
    value, slope = microgrud.jvp(lambda t: w[0] * t * t + w[1], (row[0],), (1.5,))
    return value + slope * w[2]


def _copying(w: Any, row: Any) -> Any:
    return copy.copy(w[0] * row[0]) + w[1] * row[1] + w[2]


def _with_inner_step(w: Any, row: Any) -> Any:
    """A training step inside the model, with a learning rate that is learnt."""
    inner = w[0] - w[1] * microgrud.grad(lambda v: (v * row[0] - row[1]) ** 2)(w[0])
    return inner * row[0] + w[2]


def _around_a_compiled_function() -> Model:
    compiled = microgrud.compile(lambda a, b, x: tanh(a * x + b) * a)
    return Model(lambda w, row: compiled(w[0], w[1], row[0]) + w[2] * row[1])


def _around_a_compiled_closure() -> Model:
    # Outside a transform, a compiled function of plain numbers returns plain numbers.
    model = Model(lambda w, row: compiled(w[2] * row[0]) + w[2] * row[1])
    compiled = microgrud.compile(lambda x: tanh(model.w[0] * x + model.w[1]))
    return model


def _refused(reason: str) -> Refusal:
    return Refusal(CompileError, "leave compile out", reason, always=False)


FITTED: dict[str, Fitted] = {
    "linear": Fitted(lambda: Model(_linear)),
    "network": Fitted(lambda: MLP(2, [3, 1], activation="tanh", rng=1)),
    "sequential": Fitted(lambda: Sequential(Linear(2, 3, rng=1), LayerNorm(3, eps=0.1), PReLU(), Linear(3, 1, rng=2))),
    "frozen layer": Fitted(lambda: Sequential(Linear(2, 3, rng=1).freeze(), "tanh", Linear(3, 1, rng=2))),
    "branch": Fitted(lambda: Model(_branching)),
    "integers": Fitted(lambda: Model(_linear), rows=INTEGERS),
    "weights": Fitted(lambda: MLP(2, [3, 1], activation="tanh", rng=1), weights=WEIGHTS),
    "branch with weights": Fitted(lambda: Model(_branching), weights=WEIGHTS),
    "branch by integers": Fitted(lambda: Model(_branching), rows=INTEGERS),
    "look-up": Fitted(lambda: Model(_looking_up), rows=MIXED),
    "look-up times an integer": Fitted(lambda: Model(_looking_up), rows=INTEGERS),
    "integer as index and number": Fitted(lambda: Model(_looking_up_and_computing), rows=MIXED),
    "sorting": Fitted(lambda: Model(_sorting)),
    "equality": Fitted(lambda: Model(_comparing)),
    "try and except": Fitted(lambda: Model(_catching)),
    "derivative of a closure": Fitted(lambda: Model(_of_a_derivative)),
    "second derivative of a closure": Fitted(lambda: Model(_of_a_second_derivative)),
    "jvp of a closure": Fitted(lambda: Model(_of_a_direction)),
    "copy": Fitted(
        lambda: Model(_copying),
        refused=_refused("a copy would be frozen"),
    ),
    "inner step": Fitted(lambda: Model(_with_inner_step)),
    "compiled function": Fitted(_around_a_compiled_function),
    "compiled closure": Fitted(_around_a_compiled_closure),
    "derivative in the loss": Fitted(
        lambda: Model(_linear), loss=lambda p, t: (p - t) ** 2 + 0.1 * microgrud.grad(lambda u: (u * p) ** 2)(1.0)
    ),
    "equality in the loss": Fitted(
        lambda: Model(_linear),
        loss=lambda p, t: p * p if t == TARGETS[0] else (p - t) ** 2,
    ),
    "options of a loss": Fitted(lambda: Model(_linear), loss=functools.partial(smooth_l1, beta=0.2, reduction="sum")),
    "variance that is predicted": Fitted(
        lambda: Model(_of_two), loss=lambda p, t: gaussian_nll(p[0], t, microgrud.exp(p[1]))
    ),
    **{name: Fitted(lambda: Model(_branching), optimizer=name) for name in FORMULAS},
}


def by_hand(fitted: Fitted) -> Numbers:
    """Train by the optimizer's formula on all rows, with derivatives by finite differences."""
    model = fitted.make()
    parameters = model.parameters()
    formulas = [FORMULAS[fitted.optimizer](lr=0.1) for _ in parameters]
    for formula in formulas:
        next(formula)
    for _ in range(2):
        slopes = []
        for p in parameters:
            kept, ends = p.data, []
            for sign in (1.0, -1.0):
                p.data = kept + sign * 1e-5
                losses = [fitted.loss(model(row), t) for row, t in zip(fitted.rows, TARGETS)]
                weights = fitted.weights or [1.0] * len(losses)
                ends.append(sum(w * float(x.data) for w, x in zip(weights, losses)) / sum(weights))
            p.data = kept
            slopes.append((ends[0] - ends[1]) / 2e-5)
        for p, slope, formula in zip(parameters, slopes, formulas):
            p.data = formula.send((p.data, slope))
    return [p.data for p in parameters]


def trained(fitted: Fitted, compile: Any) -> Numbers:
    """Return the parameters after two steps of `fit`, which records small models too."""
    model = fitted.make()
    settings: dict[str, Any] = {
        "sample_weight": fitted.weights,
        "lr": 0.1,
        "epochs": 2,
        "batch_size": None,
        "progress": False,
    }
    with thresholds(least_work=0, least_samples=0):
        if compile == "batches":
            weights = settings.pop("sample_weight")
            batch = (fitted.rows, TARGETS) if weights is None else (fitted.rows, TARGETS, weights)
            fit(model, lambda: iter([batch]), loss=fitted.loss, optimizer=fitted.optimizer, **settings)
        else:
            fit(model, fitted.rows, TARGETS, loss=fitted.loss, compile=compile, optimizer=fitted.optimizer, **settings)
    return [p.data for p in model.parameters()]


def fit_outcome(fitted: Fitted, compile: Any) -> str:
    """Return an error of `fit` under a setting in words; an empty string if there is none."""
    try:
        found = trained(fitted, compile)
    except CompileError as error:
        if compile is True and fitted.refused is not None and re.search(fitted.refused.match, str(error)):
            return ""
        raise
    return difference(found, by_hand(fitted))
