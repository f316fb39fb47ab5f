"""A schedule that lowers the rate where a metric no longer improves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeAlias

from ...common import checks
from ...common.checks import CountFromZero, NotNegative, OpenFraction
from ...common.numbers import Interval
from .base import Schedule

Mode: TypeAlias = Annotated[str, checks.one_of("min", "max")]
ThresholdMode: TypeAlias = Annotated[str, checks.one_of("rel", "abs")]


@dataclass(eq=False, repr=False)
class ReduceLROnPlateau(Schedule):
    """Lower the rate by a factor when the metric has not improved for a while.

        lr <- max(lr * factor, min_lr)  after more than `patience` steps without a better metric

    Better is, for mode `"min"`, below best * (1 - threshold), or with threshold_mode `"abs"` below best - threshold;
    for mode `"max"`, above best * (1 + threshold), or best + threshold.

    Args:
        optimizer: whose rates to set.
        mode: `"min"` for a loss, `"max"` for an accuracy.
        factor: the factor, in (0, 1).
        patience: the number of steps without a better metric to tolerate, 0 or more.
        threshold: the smallest improvement that counts, 0 or more.
        threshold_mode: `"rel"` or `"abs"`.
        cooldown: the number of steps after a change in which nothing is counted, 0 or more.
        min_lr: the lowest rate, 0 or more.
        eps: a change of the rate that is not larger than this is skipped, 0 or more.
        interval: `"step"` or `"epoch"`.
    """

    progress: ClassVar[Mapping[str, checks.Check]] = {
        "steps": checks.whole(0),
        "best": checks.optional(checks.real(Interval())),
        "bad_steps": checks.whole(0),
        "cooling": checks.whole(0),
    }

    mode: Mode = "min"
    factor: OpenFraction = 0.1
    patience: CountFromZero = 10
    threshold: NotNegative = 1e-4
    threshold_mode: ThresholdMode = "rel"
    cooldown: CountFromZero = 0
    min_lr: NotNegative = 0.0
    eps: NotNegative = 1e-8
    interval: str | None = None

    def __post_init__(self) -> None:
        self.best: float | None = None
        self.bad_steps = self.cooling = 0
        super().__post_init__()

    def step(self, metric: float | None = None) -> None:
        """Compare the metric with the best so far, and lower the rates if it has not improved for too long.

        Raises:
            ValueError: without a metric.
        """
        if metric is None:
            raise ValueError("ReduceLROnPlateau.step: expected the metric to watch, got None")
        self.steps += 1
        if self._is_better(metric):
            self.best, self.bad_steps = float(metric), 0
        else:
            self.bad_steps += 1
        if self.cooling > 0:
            self.cooling -= 1
            self.bad_steps = 0
        if self.bad_steps > self.patience:
            self.cooling, self.bad_steps = self.cooldown, 0
            for group in self.optimizer.param_groups:
                lower = max(group["lr"] * self.factor, self.min_lr)
                if group["lr"] - lower > self.eps:
                    group["lr"] = lower

    def _is_better(self, metric: float) -> bool:
        if self.best is None:
            return math.isfinite(metric)
        margin = self.threshold * (self.best if self.threshold_mode == "rel" else 1.0)
        return bool(metric > self.best + margin) if self.mode == "max" else bool(metric < self.best - margin)

    def _apply(self) -> None:
        """Leave the rates unchanged: the optimizer saves and restores them."""


# `dataclass` has set the attribute to None, the default of the parameter; the default of the class belongs there.
ReduceLROnPlateau.interval = "epoch"
