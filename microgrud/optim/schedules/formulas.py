"""Schedules whose rates are a factor of the base, or run to a minimum, by a closed formula."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...common.checks import Count, CountFromZero, NonzeroPart, NotNegative, Positive
from .base import Schedule


@dataclass(eq=False, repr=False)
class ConstantLR(Schedule):
    """Keep the rate constant, or at a part of its base for the first steps.

        lr_t = base * factor  for t < total_iters,  base later

    Args:
        optimizer: whose rates to set.
        factor: the factor of the first steps, in (0, 1]; 1 by default, where PyTorch has 1/3.
        total_iters: the number of these steps, 0 or more.
        interval: `"step"` or `"epoch"`.
    """

    factor: NonzeroPart = 1.0
    total_iters: CountFromZero = 5
    interval: str | None = None

    def rate(self, base: float, t: int) -> float:
        """Return `base * factor` for t < total_iters, and `base` later."""
        return base * self.factor if t < self.total_iters else base


@dataclass(eq=False, repr=False)
class StepLR(Schedule):
    """Multiply the rate by a factor every `step_size` steps.

        lr_t = base * gamma^floor(t / step_size)

    Args:
        optimizer: whose rates to set.
        step_size: the number of steps between two changes, at least 1.
        gamma: the factor, above 0.
        interval: `"step"` or `"epoch"`.
    """

    step_size: Count
    gamma: Positive = 0.1
    interval: str | None = None

    def rate(self, base: float, t: int) -> float:
        """Return base * gamma^floor(t / step_size)."""
        return float(base * self.gamma ** (t // self.step_size))


@dataclass(eq=False, repr=False)
class ExponentialLR(Schedule):
    """Multiply the rate by a factor at each step.

        lr_t = base * gamma^t

    Args:
        optimizer: whose rates to set.
        gamma: the factor, above 0.
        interval: `"step"` or `"epoch"`.
    """

    gamma: Positive
    interval: str | None = None

    def rate(self, base: float, t: int) -> float:
        """Return base * gamma^t."""
        return float(base * self.gamma**t)


@dataclass(eq=False, repr=False)
class CosineAnnealingLR(Schedule):
    """Lower the rate from its base to its minimum along half a cosine; raise it again after that.

        lr_t = eta_min + (base - eta_min) (1 + cos(pi t / t_max)) / 2

    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, without restarts.

    Args:
        optimizer: whose rates to set.
        t_max: the number of steps to the minimum, at least 1 (`T_max` in PyTorch).
        eta_min: the minimum, 0 or more.
        interval: `"step"` or `"epoch"`.
    """

    t_max: Count
    eta_min: NotNegative = 0.0
    interval: str | None = None

    def rate(self, base: float, t: int) -> float:
        """Return eta_min + (base - eta_min) (1 + cos(pi t / t_max)) / 2."""
        return float(self.eta_min + (base - self.eta_min) * (1.0 + math.cos(math.pi * t / self.t_max)) / 2.0)


# `dataclass` has set the attribute to None, the default of the parameter; the default of the class belongs there.
ConstantLR.interval = StepLR.interval = ExponentialLR.interval = CosineAnnealingLR.interval = "epoch"
