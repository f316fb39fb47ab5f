"""Helpers for tests of training: the smallest model, data that it fits, and a short call of `fit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from microgrud import Value
from microgrud.losses import squared_error
from microgrud.train import History, TrainingEvent, fit

ROWS = [[i / 10, (i % 3) / 3] for i in range(10)]
TARGETS = [2 * a - b + 1 for a, b in ROWS]


class Line:
    """The smallest model: y = w . x + b."""

    def __init__(self, *w: float, b: float = 0.0) -> None:
        self.w = [Value(x, label=f"w{i}") for i, x in enumerate(w)]
        self.b = Value(b, label="b")

    def parameters(self) -> list[Value]:
        return [*self.w, self.b]

    def __call__(self, row: list[float]) -> Value:
        return sum((w * x for w, x in zip(self.w, row)), self.b)

    @property
    def numbers(self) -> list[float]:
        return [p.data for p in self.parameters()]


def train(model: Any, X: Any = ROWS, y: Any = TARGETS, **settings: Any) -> History:
    return fit(model, X, y, **{"loss": squared_error, "epochs": 3, "batch_size": 4, "progress": False, **settings})


def mean_absolute_error(predictions: list[float], targets: list[float]) -> float:
    return sum(abs(p - t) for p, t in zip(predictions, targets)) / len(targets)


def at_step(number: int, action: Callable[[TrainingEvent], Any]) -> Callable[[TrainingEvent], None]:
    """Make a callback that acts after one step."""

    def callback(event: TrainingEvent) -> None:
        if event.kind == "step" and event.step == number:
            action(event)

    return callback
