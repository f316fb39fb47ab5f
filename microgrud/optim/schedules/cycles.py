"""Schedules that raise the rate and lower it again, while momentum moves in the opposite direction."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from ...common import checks
from ...common.checks import Count, Flag, Fraction, Part, Positive
from .base import Schedule

AnnealStrategy: TypeAlias = Annotated[str, checks.one_of("cos", "linear")]


@dataclass(eq=False, repr=False)
class OneCycleLR(Schedule):
    """Raise the rate to its maximum, then lower it almost to 0, while momentum moves in the opposite direction.

    With u = total_steps * pct_start - 1 steps up, and the rest, total_steps - 1 - u, down:

        lr_t goes from max_lr / div_factor to max_lr in u steps, then to max_lr / div_factor / final_div_factor;
        momentum from max_momentum to base_momentum, then back

    along half a cosine each, or straight lines. Afterwards the rate stays at its last value. Smith & Topin,
    "Super-convergence: very fast training of neural networks using large learning rates", 2018.

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
    interval: str | None = None

    def _bases(self) -> list[float]:
        groups = len(self.optimizer.param_groups)
        highest = list(self.max_lr) if isinstance(self.max_lr, Iterable) else [self.max_lr] * groups
        if len(highest) != groups:
            raise ValueError(f"OneCycleLR: max_lr: expected one rate, or one for each of {groups} parameter groups")
        del self.max_lr  # a checkpoint holds every attribute; these rates are in `base_rates`
        return [checks.real(checks.POSITIVE)("OneCycleLR: max_lr", rate) for rate in highest]

    def rate(self, base: float, t: int) -> float:
        """Return the rate after `t` steps of a group whose highest rate is `base`."""
        first = base / self.div_factor
        return self._along(t, first, base, first / self.final_div_factor)

    def momentum(self, t: int) -> float:
        """Return the momentum after `t` steps."""
        return self._along(t, self.max_momentum, self.base_momentum, self.max_momentum)

    def _along(self, t: int, first: float, middle: float, last: float) -> float:
        up, end = self.total_steps * self.pct_start - 1.0, self.total_steps - 1.0
        t = min(t, self.total_steps - 1)
        if t <= up:
            return self._between(first, middle, t / up if up > 0.0 else 1.0)
        return self._between(middle, last, (t - up) / (end - up))

    def _between(self, start: float, end: float, part: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * part
        return end + (start - end) * (1.0 + math.cos(math.pi * part)) / 2.0

    def _apply(self) -> None:
        super()._apply()
        for group in self.optimizer.param_groups if self.cycle_momentum else ():
            if "betas" in group:
                group["betas"] = (self.momentum(self.steps), group["betas"][1])
            elif group.get("momentum", 0.0) > 0.0:
                group["momentum"] = self.momentum(self.steps)


# `dataclass` has set the attribute to None, the default of the parameter; the default of the class belongs there.
OneCycleLR.interval = "step"
