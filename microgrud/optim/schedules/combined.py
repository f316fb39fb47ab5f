"""Schedules that consist of others."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...common import checks
from ...common.checks import Count, Part
from ...common.numbers import as_sequence
from ..optimizer import Optimizer
from .base import Schedule
from .cycles import Cycle
from .plateau import ReduceLROnPlateau


class Combined(Schedule):
    """Base class of schedules that consist of others, all with the same bases.

    Args:
        optimizer: whose rates to set.
        schedulers: new schedules of the optimizer, at least one, made one after the other.
        interval: `"step"` or `"epoch"`; that of the schedules if None, which has to be the same then.
    """

    def __init__(self, optimizer: Any, schedulers: Any, interval: str | None = None) -> None:
        where = f"{self._name}: schedulers"
        self.optimizer = checks.instance(Optimizer, "an Optimizer")(self._name, optimizer)
        self.schedulers: list[Schedule] = list(as_sequence(schedulers, where, "schedules"))
        for i, each in enumerate(self.schedulers):
            if not isinstance(each, Schedule) or each.optimizer is not optimizer:
                raise ValueError(f"{where}[{i}]: expected a schedule of the same optimizer, got {each!r}")
        intervals = {each.interval for each in self.schedulers}
        if not intervals or (len(intervals) > 1 and interval is None):
            got = f"intervals {', '.join(map(repr, sorted(map(str, intervals))))}" if intervals else "no schedule"
            raise ValueError(f"{where}: expected at least one schedule, and one interval for all, got {got}")
        for each in self._leaves():
            if isinstance(each, LinearWarmup) and each.after is not None:
                raise ValueError(f"{where}: expected a LinearWarmup without `after`; put that schedule into the list")
        super().__init__(optimizer, interval or intervals.pop())

    def _leaves(self) -> Iterator[Schedule]:
        """Yield the schedules that do not consist of others, at any depth."""
        for each in self.schedulers:
            yield from each._leaves() if isinstance(each, Combined) else (each,)

    def _bases(self) -> list[float]:
        """Return the rates before all the schedules were made, and give them to each as its base.

        Making a schedule sets its first rate, which the next one has taken for the base.
        """
        bases = present = list(self.schedulers[0].base_rates)
        for i, each in enumerate(self.schedulers):
            own = isinstance(next(each._leaves()) if isinstance(each, Combined) else each, Cycle)
            if each.steps or (not own and each.base_rates != present):
                raise ValueError(
                    f"{self._name}: schedulers[{i}]: expected a new schedule, made directly after the one before it in "
                    f"the list, got one at step {each.steps} with the base {each.base_rates}, and not {present}"
                )
            each._apply()
            present = self.rates
        self._start_from(bases)
        return bases

    def _start_from(self, bases: list[float]) -> list[float]:
        self.base_rates = list(bases)
        for each in self.schedulers:
            bases = each._start_from(bases)
        return bases

    def state_dict(self) -> dict[str, Any]:
        """Return the progress of this schedule and of those that it consists of."""
        return {**super().state_dict(), "schedulers": [each.state_dict() for each in self.schedulers]}

    def _checked(self, state: Mapping[str, Any]) -> dict[str, Any]:
        states = state.get("schedulers") if isinstance(state, Mapping) else None
        if not isinstance(states, list) or len(states) != len(self.schedulers):
            raise ValueError(
                f"{self._name}.load_state_dict: expected what state_dict() returned, got {checks.brief(state)}"
            )
        own = super()._checked({name: entry for name, entry in state.items() if name != "schedulers"})
        return {**own, "schedulers": [each._checked(part) for each, part in zip(self.schedulers, states)]}

    def _restore(self, attributes: Mapping[str, Any]) -> None:
        for each, part in zip(self.schedulers, attributes["schedulers"]):
            each._restore(part)
        super()._restore({name: entry for name, entry in attributes.items() if name != "schedulers"})


class SequentialLR(Combined):
    """Follow one schedule after another, each from its own t = 0 and from the same base.

        lr_t = the rate of schedule k at t - milestones[k - 1],  where k milestones are t or less

    A `ReduceLROnPlateau` goes on from the rate that it finds. Before a `OneCycleLR` or a `CyclicLR`, the base is the
    optimizer's rate; in PyTorch some schedules start there from the first rate of the cycle.

    Args:
        optimizer: whose rates to set.
        schedulers: new schedules of the optimizer, made one after the other in the order of the list.
        milestones: the steps at which the second, third, ... schedule begins, ascending.
        interval: `"step"` or `"epoch"`; that of the schedules if None, which has to be the same then.

    Raises:
        TypeError, ValueError: for invalid settings, and for schedules that were made in another order.

    >>> from microgrud import Value
    >>> from microgrud.optim import SGD, ExponentialLR, LinearLR
    >>> optimizer = SGD([Value(0.0)], lr=0.8)
    >>> schedule = SequentialLR(optimizer, [LinearLR(optimizer, 0.5, 1.0, 2), ExponentialLR(optimizer, 0.5)], [2])
    >>> rates = schedule.rates
    >>> for _ in range(4):
    ...     schedule.step()
    ...     rates += schedule.rates
    >>> [round(rate, 3) for rate in rates]
    [0.4, 0.6, 0.8, 0.4, 0.2]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[Schedule],
        milestones: Iterable[int],
        interval: str | None = None,
    ) -> None:
        where = f"{self._name}: milestones"
        given = list(as_sequence(schedulers, f"{self._name}: schedulers", "schedules"))
        found = [checks.whole(1)(where, t) for t in as_sequence(milestones, where, "numbers of steps")]
        if found != sorted(set(found)) or len(found) != len(given) - 1:
            raise ValueError(f"{where}: expected ascending numbers, one fewer than schedules, got {found}")
        self.milestones = found
        super().__init__(optimizer, given, interval)

    def step(self, metric: float | None = None) -> None:
        """Advance by one step: begin the next schedule, or advance the present one."""
        self.steps += 1
        present = self.schedulers[bisect_right(self.milestones, self.steps)]
        if self.steps in self.milestones:
            present._apply()
        else:
            present.step(metric)

    def _apply(self) -> None:
        self.schedulers[bisect_right(self.milestones, self.steps)]._apply()


class ChainedScheduler(Combined):
    """Follow several schedules at once: each takes the rate that the one before it sets as its base.

        lr_t = f_n(... f_2(f_1(base, t), t) ..., t)

    The factors of schedules that multiply the base, such as `StepLR`, are multiplied, as in PyTorch, which has no such
    formula for a minimum (`eta_min`) or for a `SequentialLR` in the chain. `OneCycleLR` and `CyclicLR`, which have
    rates of their own, replace the rates of those before them.

    Args:
        schedulers: new schedules of one optimizer, made one after the other in the order of the list. Each needs a
            formula: `ReduceLROnPlateau` is refused.
        optimizer: that of the schedules if None.
        interval: `"step"` or `"epoch"`; that of the schedules if None, which has to be the same then.

    Raises:
        TypeError, ValueError: for invalid settings, and for schedules that were made in another order.

    >>> from microgrud import Value
    >>> from microgrud.optim import SGD, ConstantLR, ExponentialLR
    >>> optimizer = SGD([Value(0.0)], lr=0.8)
    >>> schedule = ChainedScheduler([ConstantLR(optimizer, 0.5, 2), ExponentialLR(optimizer, 0.5)])
    >>> rates = schedule.rates
    >>> for _ in range(3):
    ...     schedule.step()
    ...     rates += schedule.rates
    >>> rates
    [0.4, 0.2, 0.2, 0.1]
    """

    def __init__(
        self, schedulers: Sequence[Schedule], optimizer: Optimizer | None = None, interval: str | None = None
    ) -> None:
        given = list(as_sequence(schedulers, f"{self._name}: schedulers", "schedules"))
        first = optimizer if optimizer is not None or not given else getattr(given[0], "optimizer", None)
        super().__init__(first, given, interval)

    def _bases(self) -> list[float]:
        if any(isinstance(each, ReduceLROnPlateau) for each in self._leaves()):
            raise ValueError("ChainedScheduler: schedulers: expected schedules with a formula, got ReduceLROnPlateau")
        return super()._bases()

    def step(self, metric: float | None = None) -> None:
        """Advance all schedules by one step."""
        self.steps += 1
        self._follow(lambda schedule: schedule.step(metric))

    def _apply(self) -> None:
        self._follow(lambda schedule: schedule._apply())

    def _follow(self, act: Callable[[Schedule], None]) -> None:
        rates = self.base_rates
        for each in self.schedulers:
            each._start_from(rates)
            act(each)
            rates = self.rates


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

    def _checked(self, state: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(state, Mapping) or (state.get("after") is None) != (self.after is None):
            raise ValueError(
                f"LinearWarmup.load_state_dict: expected what state_dict() returned, got {checks.brief(state)}"
            )
        own = super()._checked({name: entry for name, entry in state.items() if name != "after"})
        return own if self.after is None else {**own, "after": self.after._checked(state["after"])}

    def _restore(self, attributes: Mapping[str, Any]) -> None:
        if self.after is not None:
            self.after._restore(attributes["after"])
        super()._restore({name: entry for name, entry in attributes.items() if name != "after"})

    def _apply(self) -> None:
        if self.after is None or self.steps <= self.total_iters:
            super()._apply()


# `dataclass` has set the attribute to None, the default of the parameter; the default of the class belongs there.
LinearWarmup.interval = "step"
