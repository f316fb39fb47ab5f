"""Schedules that raise the rate and lower it again, while momentum moves in the opposite direction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from ...common import checks
from ...common.checks import Count, Flag, Fraction, Part, Positive
from ...common.numbers import as_float
from .base import Schedule

AnnealStrategy: TypeAlias = Annotated[str, checks.one_of("cos", "linear")]
CyclicMode: TypeAlias = Annotated[str, checks.one_of("triangular", "triangular2", "exp_range")]
ScaleMode: TypeAlias = Annotated[str, checks.one_of("cycle", "iterations")]
_function = checks.optional(checks.instance(Callable, "a function"))


class Cycle(Schedule):
    """Base class of schedules with rates of their own, which set the momentum, too."""

    cycle_momentum: bool

    def momentum(self, t: int) -> float:
        """Return the momentum after `t` steps."""
        raise NotImplementedError(f"{self._name} does not define momentum(t)")

    def _for_each(self, name: str, given: Any, check: checks.Check) -> list[float]:
        """Return the checked rate of each group, given as one or as several."""
        groups = len(self.optimizer.param_groups)
        rates = list(given) if isinstance(given, Iterable) else [given] * groups
        if len(rates) != groups:
            raise ValueError(f"{self._name}: {name}: expected one rate, or one for each of {groups} parameter groups")
        return [check(f"{self._name}: {name}", rate) for rate in rates]

    def _start_from(self, bases: list[float]) -> list[float]:
        return [self._rate_of(group, 0) for group in range(len(self.base_rates))]

    def _apply(self) -> None:
        where = f"{self._name}: the momentum at step {self.steps}"
        momentum = checks.real(checks.FRACTION)(where, self.momentum(self.steps)) if self.cycle_momentum else 0.0
        super()._apply()
        for group in self.optimizer.param_groups if self.cycle_momentum else ():
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            elif group.get("momentum", 0.0) > 0.0:
                group["momentum"] = momentum


@dataclass(eq=False, repr=False)
class OneCycleLR(Cycle):
    """Raise the rate to its maximum, then lower it almost to 0, while momentum moves in the opposite direction.

    With u = total_steps * pct_start - 1 steps up, and the rest, total_steps - 1 - u, down:

        lr_t goes from max_lr / div_factor to max_lr in u steps, then to max_lr / div_factor / final_div_factor;
        momentum from max_momentum to base_momentum, then back

    along half a cosine each, or straight lines. With `three_phase`, the rate falls to its first value in as many steps
    as it rose, and then to its last; momentum is back after the second phase. Afterwards the rate stays at its last
    value. Smith & Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.

    Args:
        optimizer: whose rates to set.
        max_lr: the highest rate, above 0; one for all groups, or one for each.
        total_steps: the number of steps, at least 1.
        pct_start: the part of the steps in which the rate rises, in [0, 1].
        anneal_strategy: `"cos"` or `"linear"`.
        cycle_momentum: whether to set `momentum`, or the first of `betas`, where the optimizer uses one.
        base_momentum: the lowest momentum, in [0, 1).
        max_momentum: the highest momentum, in [0, 1).
        div_factor: the highest rate divided by the first, above 0.
        final_div_factor: the first rate divided by the last, above 0.
        three_phase: whether the way down mirrors the way up, before the rate falls to its last value.
        interval: `"step"` (the default here) or `"epoch"`.
    """

    max_lr: float | Iterable[float]
    total_steps: Count
    pct_start: Part = 0.3
    anneal_strategy: AnnealStrategy = "cos"
    cycle_momentum: Flag = True
    base_momentum: Fraction = 0.85
    max_momentum: Fraction = 0.95
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4
    three_phase: Flag = False
    interval: str | None = None

    def _bases(self) -> list[float]:
        highest = self._for_each("max_lr", self.max_lr, checks.real(checks.POSITIVE))
        del self.max_lr  # a checkpoint holds every attribute; these rates are in `base_rates`
        return highest

    def rate(self, base: float, t: int) -> float:
        """Return the rate after `t` steps of a group whose highest rate is `base`."""
        first = base / self.div_factor
        return self._along(t, first, base, first / self.final_div_factor)

    def momentum(self, t: int) -> float:
        """Return the momentum after `t` steps."""
        return self._along(t, self.max_momentum, self.base_momentum, self.max_momentum)

    def _along(self, t: int, first: float, middle: float, last: float) -> float:
        up, end = self.total_steps * self.pct_start - 1.0, self.total_steps - 1.0
        course = [(up, middle), (2.0 * up, first), (end, last)] if self.three_phase else [(up, middle), (end, last)]
        start, here, now = 0.0, first, min(float(t), end)
        for stop, there in course:
            if now <= stop or stop == end:
                break
            start, here = stop, there
        return self._between(here, there, (now - start) / (stop - start) if stop > start else 1.0)

    def _between(self, start: float, end: float, part: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * part
        return end + (start - end) * (1.0 + math.cos(math.pi * part)) / 2.0


@dataclass(eq=False, repr=False)
class CyclicLR(Cycle):
    """Raise the rate from its base to its maximum and lower it again, over and over.

        lr_t = base_lr + (max_lr - base_lr) h s,  momentum_t = max_momentum - (max_momentum - base_momentum) h s

    `h` rises from 0 to 1 in `step_size_up` steps, and falls to 0 in `step_size_down`. The scale `s` in cycle `c` = 1,
    2, ... is 1 for `"triangular"`, 2^(1 - c) for `"triangular2"`, and gamma^t for `"exp_range"`. Smith, "Cyclical
    learning rates for training neural networks", WACV 2017.

    Args:
        optimizer: whose rates to set.
        base_lr: the lowest rate, 0 or more; one for all groups, or one for each.
        max_lr: the highest rate of the first cycle, 0 or more; one for all groups, or one for each.
        step_size_up: the number of steps in which the rate rises, at least 1.
        step_size_down: the number of steps in which it falls; as many if None.
        mode: `"triangular"`, `"triangular2"` or `"exp_range"`.
        gamma: the factor of `"exp_range"`, above 0.
        scale_fn: a function that gives the scale, in place of that of the mode.
        scale_mode: the argument of `scale_fn`: `"cycle"` for c, `"iterations"` for t.
        cycle_momentum: whether to set `momentum`, or the first of `betas`, where the optimizer uses one.
        base_momentum: the lowest momentum, in [0, 1).
        max_momentum: the highest momentum, in [0, 1).
        interval: `"step"` (the default here) or `"epoch"`.
    """

    base_lr: float | Iterable[float]
    max_lr: float | Iterable[float]
    step_size_up: Count = 2000
    step_size_down: Annotated[int | None, checks.optional(checks.whole(1))] = None
    mode: CyclicMode = "triangular"
    gamma: Positive = 1.0
    scale_fn: Annotated[Callable[[int], float] | None, _function] = None
    scale_mode: ScaleMode = "cycle"
    cycle_momentum: Flag = True
    base_momentum: Fraction = 0.8
    max_momentum: Fraction = 0.9
    interval: str | None = None

    def _bases(self) -> list[float]:
        check = checks.real(checks.NOT_NEGATIVE)
        self.highest = self._for_each("max_lr", self.max_lr, check)
        lowest = self._for_each("base_lr", self.base_lr, check)
        del self.max_lr, self.base_lr  # a checkpoint holds every attribute; these rates are in lists
        return lowest

    def _rate_of(self, group: int, t: int) -> float:
        low, high = self.base_rates[group], self.highest[group]
        return low + (high - low) * self._height(t)

    def momentum(self, t: int) -> float:
        """Return the momentum after `t` steps."""
        return self.max_momentum - (self.max_momentum - self.base_momentum) * self._height(t)

    def _height(self, t: int) -> float:
        """Return h s."""
        up, down = self.step_size_up, self.step_size_down or self.step_size_up
        cycle, place = divmod(t, up + down)
        return (place / up if place <= up else (up + down - place) / down) * self._scale(cycle + 1, t)

    def _scale(self, cycle: int, t: int) -> float:
        if self.scale_fn is not None:
            return as_float(self.scale_fn(cycle if self.scale_mode == "cycle" else t), "CyclicLR: scale_fn: the result")
        if self.mode == "exp_range":
            return float(self.gamma**t)
        return float(2.0 ** (1 - cycle)) if self.mode == "triangular2" else 1.0


# `dataclass` has set the attribute to None, the default of the parameter; the default of the class belongs there.
OneCycleLR.interval = CyclicLR.interval = "step"
