"""Schedules whose rates are a factor of the base, or run to a minimum, by a closed formula."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from ...common.checks import Count, CountFromZero, NonzeroPart, NotNegative, Part, Positive, instance, whole
from ...common.numbers import as_float, as_sequence
from .base import Schedule


def _milestones(where: str, setting: Any) -> list[int]:
    return sorted(whole(0)(f"{where}[{i}]", t) for i, t in enumerate(as_sequence(setting, where, "numbers of steps")))


Milestones: TypeAlias = Annotated[Sequence[int], _milestones]


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
class MultiStepLR(Schedule):
    """Multiply the rate by a factor at each of a few steps.

        lr_t = base * gamma^(the number of milestones that are t or less)

    Args:
        optimizer: whose rates to set.
        milestones: the steps at which the rate changes, each 0 or more; a step that is there twice counts twice.
        gamma: the factor, above 0.
        interval: `"step"` or `"epoch"`.
    """

    milestones: Milestones
    gamma: Positive = 0.1
    interval: str | None = None

    def rate(self, base: float, t: int) -> float:
        """Return base * gamma^(the number of milestones that are t or less)."""
        return float(base * self.gamma ** bisect_right(self.milestones, t))


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
class LinearLR(Schedule):
    """Change the rate from one part of its base to another in equal steps.

        lr_t = base * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters)

    Args:
        optimizer: whose rates to set.
        start_factor: the part of the base to start from, in [0, 1].
        end_factor: the part of the base to end at, in [0, 1].
        total_iters: the number of steps in between, at least 1.
        interval: `"step"` or `"epoch"`.
    """

    start_factor: Part = 1.0 / 3.0
    end_factor: Part = 1.0
    total_iters: Count = 5
    interval: str | None = None

    def rate(self, base: float, t: int) -> float:
        """Return base * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters)."""
        done = min(t, self.total_iters) / self.total_iters
        return float(base * (self.start_factor + (self.end_factor - self.start_factor) * done))


@dataclass(eq=False, repr=False)
class PolynomialLR(Schedule):
    """Lower the rate from its base to 0 along a power of the steps that are left.

        lr_t = base * (1 - min(t, total_iters) / total_iters)^power

    Args:
        optimizer: whose rates to set.
        total_iters: the number of steps to 0, at least 1.
        power: the power, above 0; a straight line for 1.
        interval: `"step"` or `"epoch"`.
    """

    total_iters: Count = 5
    power: Positive = 1.0
    interval: str | None = None

    def rate(self, base: float, t: int) -> float:
        """Return base * (1 - min(t, total_iters) / total_iters)^power."""
        return float(base * ((self.total_iters - min(t, self.total_iters)) / self.total_iters) ** self.power)


@dataclass(eq=False, repr=False)
class LambdaLR(Schedule):
    """Multiply the base by the result of a function of your own.

        lr_t = base * lr_lambda(t)

    A checkpoint of `fit` contains the name of the function, not its code; that of a lambda comes with its constants.

    Args:
        optimizer: whose rates to set.
        lr_lambda: a function of the number of steps that returns a number, 0 or more; or one for each parameter group.
        interval: `"step"` or `"epoch"`.

    >>> from microgrud import Value
    >>> from microgrud.optim import SGD
    >>> schedule = LambdaLR(SGD([Value(0.0)], lr=0.5), lambda t: 1 / (1 + t))
    >>> schedule.step()
    >>> schedule.rates
    [0.25]
    """

    lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]
    interval: str | None = None

    def _bases(self) -> list[float]:
        given, groups = self.lr_lambda, len(self.optimizer.param_groups)
        found = [given] * groups if callable(given) else as_sequence(given, "LambdaLR: lr_lambda", "functions")
        if len(found) != groups:
            raise ValueError(f"LambdaLR: lr_lambda: expected one function, or one for each of {groups} groups")
        self.lr_lambda = [instance(Callable, "a function")("LambdaLR: lr_lambda", each) for each in found]
        return super()._bases()

    def _rate_of(self, group: int, t: int) -> float:
        factor = self.lr_lambda[group](t)  # type: ignore[index]
        return self.base_rates[group] * as_float(factor, "LambdaLR: the result of lr_lambda")


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


@dataclass(eq=False, repr=False)
class CosineAnnealingWarmRestarts(Schedule):
    """Lower the rate from its base to its minimum along half a cosine, and begin again at the base.

        lr_t = eta_min + (base - eta_min) (1 + cos(pi u / T)) / 2

    `u` is the number of steps since the last start. The first course takes T = t_0 steps, and each further one `t_mult`
    times as many as the one before. Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR
    2017.

    Args:
        optimizer: whose rates to set.
        t_0: the number of steps of the first course, at least 1 (`T_0` in PyTorch).
        t_mult: the growth of this number from course to course, at least 1 (`T_mult` in PyTorch).
        eta_min: the minimum, 0 or more.
        interval: `"step"` or `"epoch"`.
    """

    t_0: Count
    t_mult: Count = 1
    eta_min: NotNegative = 0.0
    interval: str | None = None

    def rate(self, base: float, t: int) -> float:
        """Return eta_min + (base - eta_min) (1 + cos(pi u / T)) / 2."""
        length = self.t_0
        while t >= length and self.t_mult > 1:
            t, length = t - length, length * self.t_mult
        return float(self.eta_min + (base - self.eta_min) * (1.0 + math.cos(math.pi * (t % length) / length)) / 2.0)


# `dataclass` has set the attribute to None, the default of the parameter; the default of the class belongs there.
ConstantLR.interval = StepLR.interval = MultiStepLR.interval = ExponentialLR.interval = LinearLR.interval = "epoch"
PolynomialLR.interval = LambdaLR.interval = CosineAnnealingLR.interval = "epoch"
CosineAnnealingWarmRestarts.interval = "epoch"
