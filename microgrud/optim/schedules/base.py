"""Base class of the schedules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast

from ...common import checks
from ..optimizer import Optimizer


@dataclass(init=False, eq=False, repr=False)
class Schedule:
    """Base class of the schedules.

    A subclass is a formula, `rate`, and may be a dataclass with a field for each setting; a setting that is annotated
    with its check, `Annotated[type, check]`, is checked.

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

    def _rate_of(self, group: int, t: int) -> float:
        """Return the rate of a group, by its index; overridden where it depends on more than the base."""
        return self.rate(self.base_rates[group], t)

    def _start_from(self, bases: list[float]) -> list[float]:
        """Take new bases; return the bases of a schedule that comes after this one."""
        self.base_rates = list(bases)
        return bases

    def _apply(self) -> None:
        rates = [self._checked_rate(i) for i in range(len(self.base_rates))]
        for group, rate in zip(self.optimizer.param_groups, rates):
            group["lr"] = rate

    def _checked_rate(self, group: int) -> float:
        try:
            rate = self._rate_of(group, self.steps)
        except OverflowError:
            rate = math.inf
        where = f"at step {self.steps} from a base of {self.base_rates[group]}"
        if not math.isfinite(rate):
            raise OverflowError(
                f"{self._name}: expected a finite rate, got {rate} {where}; choose "
                "settings with which the rate does not grow"
            )
        if rate < 0.0:
            raise ValueError(f"{self._name}: expected a rate of 0 or more, got {rate} {where}")
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
