"""Schedules that consist of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...common import checks
from ...common.checks import Count, Part
from .base import Schedule


@dataclass(eq=False, repr=False)
class LinearWarmup(Schedule):
    """Raise the rate from a part of its base to the whole in equal steps; then follow another schedule, if given.

        lr_t = base * (start_factor + (1 - start_factor) * min(t, total_iters) / total_iters)

    With `after`, base is that schedule's rate at its own t = 0, and the first step after the warm-up is its first.
    Goyal et al., "Accurate, large minibatch SGD", 2017. PyTorch's LinearLR with end_factor 1.

    Args:
        optimizer: whose rates to set.
        total_iters: the number of steps of the warm-up, at least 1.
        start_factor: the part of the base to start from, in [0, 1].
        after: the schedule to follow, made for the same optimizer just before.
        interval: `"step"` (the default here) or `"epoch"`; with `after`, that of `after`.
    """

    total_iters: Count = 5
    start_factor: Part = 1.0 / 3.0
    after: Schedule | None = None
    interval: str | None = None

    def __post_init__(self) -> None:
        after = self.after
        if after is not None:
            if not isinstance(after, Schedule) or after.optimizer is not self.optimizer:
                raise ValueError(f"LinearWarmup: after: expected a schedule of the same optimizer, got {after!r}")
            self.interval = self.interval or after.interval
            if self.interval != after.interval:
                raise ValueError(
                    f"LinearWarmup: expected the interval of `after` ({after.interval!r}), got {self.interval!r}"
                )
        super().__post_init__()

    def rate(self, base: float, t: int) -> float:
        """Return base * (start_factor + (1 - start_factor) * min(t, total_iters) / total_iters)."""
        done = min(t, self.total_iters) / self.total_iters
        return float(base * (self.start_factor + (1.0 - self.start_factor) * done))

    def step(self, metric: float | None = None) -> None:
        """Advance by one step: of the warm-up, or, once that is over, of the schedule after it."""
        self.steps += 1
        self._apply()
        if self.after is not None and self.steps > self.total_iters:
            self.after.step(metric)

    def state_dict(self) -> dict[str, Any]:
        """Return the progress of the warm-up and of the schedule after it."""
        return {**super().state_dict(), "after": None if self.after is None else self.after.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned; on an error nothing is changed."""
        if not isinstance(state, Mapping) or (state.get("after") is None) != (self.after is None):
            raise ValueError(
                f"LinearWarmup.load_state_dict: expected what state_dict() returned, got {checks.brief(state)}"
            )
        own = self._checked({name: entry for name, entry in state.items() if name != "after"})
        if self.after is not None:
            self.after.load_state_dict(state["after"])
        self._restore(own)

    def _apply(self) -> None:
        if self.after is None or self.steps <= self.total_iters:
            super()._apply()


# `dataclass` has set the attribute to None, the default of the parameter; the default of the class belongs there.
LinearWarmup.interval = "step"
