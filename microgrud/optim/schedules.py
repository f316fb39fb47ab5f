"""Learning-rate schedules: each is a closed formula for the rate after `t` steps of the schedule.

A schedule takes an optimizer, remembers each parameter group's rate as its base, sets the rate for t = 0, and with
each `step()` the rate for the next t. Names, settings and values are PyTorch's, except where a class says otherwise.

>>> from microgrud import Value
>>> from microgrud.optim import SGD
>>> optimizer = SGD([Value(0.0)], lr=0.8)
>>> schedule = ExponentialLR(optimizer, gamma=0.5)
>>> for _ in range(3):
...     schedule.step()
>>> schedule.rates
[0.1]
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, TypeAlias, cast

from ..common import checks
from ..common.checks import Count, CountFromZero, Flag, Fraction, NonzeroPart, NotNegative, OpenFraction, Part, Positive
from ..common.numbers import Interval
from .optimizer import Optimizer

#: Annotations of the settings that are one of two names.
AnnealStrategy: TypeAlias = Annotated[str, checks.one_of("cos", "linear")]
Mode: TypeAlias = Annotated[str, checks.one_of("min", "max")]
ThresholdMode: TypeAlias = Annotated[str, checks.one_of("rel", "abs")]


@dataclass(init=False, eq=False, repr=False)
class Schedule:
    """Base class of the schedules.

    A subclass is a formula, `rate`, and may be a dataclass with a field for each setting; a setting that is
    annotated with its check, `Annotated[type, check]`, is checked.

    Args:
        optimizer: whose rates to set.
        interval: when `fit` calls `step`: after each optimizer `"step"` or each `"epoch"`; None for the default of the
            class.
        base_rates: the `base` of `rate` for each parameter group; its present rate if None.

    Attributes:
        steps: how often `step` was called: the `t` of the formulas.
        base_rates: the `base` of `rate` for each parameter group.

    Raises:
        TypeError, ValueError: for invalid settings, or something other than an optimizer.
    """

    optimizer: Optimizer
    #: The event after which `fit` calls `step`; in a class, the default. An annotation would make it the second field.
    interval = cast("str | None", "epoch")
    #: The attributes that change from step to step, with the checks that they have to pass when restored.
    progress: ClassVar[Mapping[str, checks.Check]] = {"steps": checks.whole(0)}

    def __init__(
        self, optimizer: Optimizer, interval: str | None = None, base_rates: list[float] | None = None
    ) -> None:
        self.optimizer = checks.instance(Optimizer, "an Optimizer")(self._name, optimizer)
        interval = interval or type(self).interval or "epoch"
        self.interval = checks.one_of("step", "epoch")(f"{self._name}: interval", interval)
        self.base_rates = base_rates or self._bases()
        self.steps = 0
        self._apply()

    def __post_init__(self) -> None:
        # A derived class that is no dataclass may have annotations that name nothing at run time.
        declared = checks.declared(next(kind for kind in type(self).__mro__ if "__dataclass_fields__" in vars(kind)))
        for name in [each.name for each in fields(self) if each.name in declared]:
            setattr(self, name, declared[name](f"{self._name}: {name}", getattr(self, name)))
        Schedule.__init__(self, self.optimizer, self.interval)

    @property
    def rates(self) -> list[float]:
        """The present learning rate of each parameter group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def rate(self, base: float, t: int) -> float:
        """Return the rate after `t` steps of a group whose rate was `base`; the formula of the schedule."""
        raise NotImplementedError(f"{self._name} does not define rate(base, t)")

    def step(self, metric: float | None = None) -> None:
        """Advance by one step.

        Args:
            metric: the loss; only `ReduceLROnPlateau` uses it.
        """
        self.steps += 1
        self._apply()

    def _bases(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def _apply(self) -> None:
        for group, rate in zip(self.optimizer.param_groups, [self._finite_rate(base) for base in self.base_rates]):
            group["lr"] = rate

    def _finite_rate(self, base: float) -> float:
        try:
            rate = self.rate(base, self.steps)
        except OverflowError:
            rate = math.inf
        if not math.isfinite(rate):
            raise OverflowError(
                f"{self._name}: expected a finite rate, got {rate} at step {self.steps} from a base of {base}; choose "
                "settings with which the rate does not grow"
            )
        return rate

    def state_dict(self) -> dict[str, Any]:
        """Return the progress of the schedule as numbers, strings and lists: what JSON can hold.

        The settings are not included: they are given again when the schedule is made.
        """
        state = {name: getattr(self, name) for name in self.progress}
        return {"schedule": self._name, "base_rates": list(self.base_rates), **state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, and the optimizer's rates with it; on an error nothing is changed.

        Raises:
            ValueError: if the state is of another schedule or other parameter groups, or is damaged.
        """
        self._restore(self._checked(state))

    def _checked(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return the attributes in a saved state; raise a ValueError if it is damaged."""
        where = f"{self._name}.load_state_dict"
        if not isinstance(state, Mapping) or set(state) != {"schedule", "base_rates", *self.progress}:
            raise ValueError(f"{where}: expected what state_dict() returned, got {checks.brief(state)}")
        if state["schedule"] != self._name:
            raise ValueError(f"{where}: expected the state of {self._name}, got that of {state['schedule']}")
        base_rates = checks.numbers(len(self.base_rates))(f"{where}: base_rates", state["base_rates"])
        try:
            progress = checks.checked({name: state[name] for name in self.progress}, self.progress, where)
        except TypeError as error:
            raise ValueError(str(error)) from error
        return {"base_rates": base_rates, **progress}

    def _restore(self, attributes: Mapping[str, Any]) -> None:
        for name, entry in attributes.items():
            setattr(self, name, entry)
        self._apply()

    @property
    def _name(self) -> str:
        return type(self).__name__


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


# `dataclass` has set these attributes to None, the default of the parameter; their own default belongs there.
ConstantLR.interval = StepLR.interval = ExponentialLR.interval = CosineAnnealingLR.interval = "epoch"
ReduceLROnPlateau.interval = "epoch"
LinearWarmup.interval = OneCycleLR.interval = "step"
