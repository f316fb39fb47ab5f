"""The learning-rate schedules: their closed formulas, PyTorch's rates, warm-up, plateaus, state and errors."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, strategies as st

from microgrud import Value
from microgrud.common.checks import Fraction
from microgrud.optim import (
    SGD,
    Adam,
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearWarmup,
    OneCycleLR,
    Optimizer,
    ReduceLROnPlateau,
    Schedule,
    StepLR,
)

Make = Callable[[Optimizer], Schedule]
LOSSES = [1.0, 0.5, 0.49999, 0.6, 0.7, 0.4, 0.45, 0.46, 0.47, 0.48, 0.49, 0.3]


def optimizer_with(*rates: float, momentum: float = 0.9) -> SGD:
    return SGD([{"params": [Value(0.0)], "lr": rate} for rate in rates], momentum=momentum)


def course(make: Make, steps: int, metrics: list[float] | None = None, setting: str = "lr") -> list[float]:
    """Return a setting of an optimizer with rate 0.5 before the first step of the schedule and after each."""
    optimizer = optimizer_with(0.5)
    schedule = make(optimizer)
    seen = [optimizer.param_groups[0][setting]]
    for i in range(steps):
        schedule.step(metrics[i] if metrics else None)
        seen.append(optimizer.param_groups[0][setting])
    return seen


# The rates of PyTorch 2.13's schedulers of the same names and settings, on SGD with rate 0.5 and momentum 0.9.
PYTORCH: dict[str, tuple[Make, list[float] | None, list[float]]] = {
    "constant": (lambda o: ConstantLR(o, 0.25, 3), None, [0.125, 0.125, 0.125, 0.5, 0.5, 0.5]),
    "step": (lambda o: StepLR(o, 2, gamma=0.5), None, [0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625]),
    "exponential": (
        lambda o: ExponentialLR(o, 0.9),
        None,
        [0.5, 0.45, 0.405, 0.36450000000000005, 0.32805000000000006, 0.2952450000000001],
    ),
    "cosine": (
        lambda o: CosineAnnealingLR(o, 4, eta_min=0.1),
        None,
        [0.5, 0.4414213562373095, 0.3, 0.15857864376269054, 0.1, 0.15857864376269049, 0.3],
    ),
    "warm-up": (lambda o: LinearWarmup(o, 4, 0.2), None, [0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5]),
    "warm-up with defaults": (
        lambda o: LinearWarmup(o),
        None,
        [0.16666666666666666, 0.23333333333333334, 0.3, 0.36666666666666675, 0.43333333333333346, 0.5, 0.5],
    ),
    "warm-up, then exponential": (
        lambda o: LinearWarmup(o, 3, 0.2, after=ExponentialLR(o, 0.5)),
        None,
        [0.1, 0.2333333333333333, 0.36666666666666664, 0.5, 0.25, 0.125, 0.0625, 0.03125],
    ),
    "one cycle": (
        lambda o: OneCycleLR(o, 1.0, 10),
        None,
        [
            0.040000000000000036,
            0.52,
            1.0,
            0.9504846320134737,
            0.8117456539497631,
            0.6112620219362893,
            0.38874197806371075,
            0.18825834605023697,
            0.049519367986526286,
            4e-06,
        ],
    ),
    "one cycle in lines": (
        lambda o: OneCycleLR(o, 0.4, 8, 0.5, "linear", True, 0.8, 0.9, div_factor=10, final_div_factor=100),
        None,
        [0.04, 0.16, 0.28, 0.4, 0.30010000000000003, 0.20020000000000002, 0.1003, 0.00040000000000001146],
    ),
    "plateau": (
        lambda o: ReduceLROnPlateau(o, factor=0.5, patience=1),
        LOSSES,
        [0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625, 0.0625],
    ),
    "plateau of a maximum": (
        lambda o: ReduceLROnPlateau(
            o, "max", 0.1, patience=0, threshold=0.05, threshold_mode="abs", cooldown=2, min_lr=0.01
        ),
        LOSSES,
        [0.5, 0.5, 0.05, 0.05, 0.05, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01],
    ),
}


@pytest.mark.parametrize("name", PYTORCH)
def test_the_rates_are_those_of_pytorch(name: str) -> None:
    make, metrics, rates = PYTORCH[name]
    assert course(make, len(rates) - 1, metrics) == pytest.approx(rates, rel=1e-12, abs=0.0)


def test_one_cycle_moves_the_momentum_in_the_opposite_direction() -> None:
    # Computed with PyTorch 2.13.
    expected = [0.95, 0.9, 0.85, 0.854951556604879, 0.8688255099070633, 0.8888739533021842, 0.9111260466978157]
    expected += [0.9311744900929366, 0.945048443395121, 0.95]
    assert course(lambda o: OneCycleLR(o, 1.0, 10), 9, setting="momentum") == pytest.approx(
        expected, rel=1e-12, abs=0.0
    )


def test_one_cycle_moves_the_first_beta_of_adam_and_leaves_what_uses_no_momentum() -> None:
    adam = Adam([Value(0.0)], betas=(0.9, 0.99))
    OneCycleLR(adam, 0.1, 10)
    assert adam.param_groups[0]["betas"] == (0.95, 0.99)
    plain = optimizer_with(0.1, momentum=0.0)
    OneCycleLR(plain, 0.1, 10)
    assert plain.param_groups[0]["momentum"] == 0.0
    still = optimizer_with(0.1)
    OneCycleLR(still, 0.1, 10, cycle_momentum=False)
    assert still.param_groups[0]["momentum"] == 0.9


def test_one_cycle_stays_at_its_last_rate_when_it_is_over() -> None:
    rates = course(lambda o: OneCycleLR(o, 1.0, 4), 8)
    assert rates[3] == pytest.approx(4e-6)
    assert rates[4:] == [rates[3]] * 5


def test_constant_keeps_the_rate_by_default() -> None:
    assert course(ConstantLR, 7) == [0.5] * 8


FORMULAS: dict[str, tuple[Make, Callable[[float, int], float]]] = {
    "step": (lambda o: StepLR(o, 3, 0.2), lambda base, t: base * 0.2 ** math.floor(t / 3)),
    "exponential": (lambda o: ExponentialLR(o, 0.7), lambda base, t: base * 0.7**t),
    "cosine": (
        lambda o: CosineAnnealingLR(o, 7, 0.01),
        lambda base, t: 0.01 + (base - 0.01) * (1 + math.cos(math.pi * t / 7)) / 2,
    ),
    "warm-up": (lambda o: LinearWarmup(o, 8, 0.1), lambda base, t: base * (0.1 + 0.9 * min(t, 8) / 8)),
}


@pytest.mark.parametrize("name", FORMULAS)
@given(rates=st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=3), steps=st.integers(0, 20))
def test_each_group_follows_the_formula_from_its_own_base(name: str, rates: list[float], steps: int) -> None:
    make, formula = FORMULAS[name]
    schedule = make(optimizer_with(*rates))
    for _ in range(steps):
        schedule.step()
    assert schedule.rates == pytest.approx([formula(base, steps) for base in rates], rel=1e-12, abs=0.0)


def test_one_cycle_may_have_a_highest_rate_for_each_group() -> None:
    schedule = OneCycleLR(optimizer_with(0.1, 0.1), [1.0, 2.0], 10)
    schedule.step()
    schedule.step()
    assert schedule.rates == [1.0, 2.0]


def test_highest_rates_may_come_from_an_iterator() -> None:
    schedule = OneCycleLR(optimizer_with(0.1, 0.1), iter([1.0, 2.0]), 10)
    assert schedule.base_rates == [1.0, 2.0]
    assert copy.deepcopy(schedule).rates == schedule.rates
    assert "max_lr" not in vars(schedule)  # nor in a checkpoint, which holds every attribute


# --- the interval ---


def test_classes_know_their_interval_and_subclasses_may_have_another() -> None:
    class PerStep(StepLR):
        interval = "step"
        note: NotDefinedAtRunTime  # type: ignore[name-defined]  # noqa: F821

    by_epoch = (Schedule, ConstantLR, StepLR, ExponentialLR, CosineAnnealingLR, ReduceLROnPlateau)
    assert {kind.interval for kind in by_epoch} == {"epoch"}
    assert {kind.interval for kind in (LinearWarmup, OneCycleLR, PerStep)} == {"step"}
    assert PerStep(optimizer_with(0.5), 3).interval == "step"
    assert PerStep(optimizer_with(0.5), 3, interval="epoch").interval == "epoch"
    assert StepLR(optimizer_with(0.5), 3, interval=None).interval == "epoch"


# --- warm-up, and the schedule after it ---


def test_the_schedule_after_a_warm_up_decides_when_both_are_called() -> None:
    optimizer = optimizer_with(0.5)
    assert LinearWarmup(optimizer, 3).interval == "step"
    assert LinearWarmup(optimizer, 3, interval="epoch").interval == "epoch"
    assert LinearWarmup(optimizer, 3, after=StepLR(optimizer, 1)).interval == "epoch"
    assert LinearWarmup(optimizer, 3, after=StepLR(optimizer, 1, interval="step")).interval == "step"
    with pytest.raises(ValueError, match=r"expected the interval of `after` \('epoch'\), got 'step'"):
        LinearWarmup(optimizer, 3, after=StepLR(optimizer, 1), interval="step")


def test_a_plateau_after_a_warm_up_sees_the_metrics_after_it() -> None:
    def make(optimizer: Optimizer) -> Schedule:
        return LinearWarmup(optimizer, 2, 0.5, after=ReduceLROnPlateau(optimizer, factor=0.5, patience=0))

    metrics = [9.0, 9.0, 1.0, 2.0, 3.0]
    assert course(make, 5, metrics) == pytest.approx([0.25, 0.375, 0.5, 0.5, 0.25, 0.125])


def test_a_schedule_of_another_optimizer_cannot_follow_a_warm_up() -> None:
    with pytest.raises(ValueError, match="after: expected a schedule of the same optimizer"):
        LinearWarmup(optimizer_with(0.1), 3, after=StepLR(optimizer_with(0.1), 1))


# --- plateaus ---


def test_a_plateau_needs_a_metric() -> None:
    with pytest.raises(ValueError, match="expected the metric to watch, got None"):
        ReduceLROnPlateau(optimizer_with(0.5)).step()


def test_a_metric_that_is_not_a_number_counts_as_no_better() -> None:
    schedule = ReduceLROnPlateau(optimizer_with(0.5), factor=0.5, patience=0)
    schedule.step(math.nan)
    schedule.step(1.0)
    assert (schedule.rates, schedule.best) == ([0.25], 1.0)


def test_a_change_smaller_than_eps_is_not_made() -> None:
    schedule = ReduceLROnPlateau(optimizer_with(1e-3), factor=0.5, patience=0, eps=1e-2)
    for metric in (1.0, 2.0, 3.0):
        schedule.step(metric)
    assert schedule.rates == [1e-3]


# --- state ---


@pytest.mark.parametrize("name", PYTORCH)
@pytest.mark.parametrize("cut", [0, 2, 5])
def test_a_restored_schedule_continues_in_the_same_way(name: str, cut: int) -> None:
    make, _, rates = PYTORCH[name]
    first_optimizer = optimizer_with(0.5)
    first = make(first_optimizer)
    for metric in LOSSES[:cut]:
        first.step(metric)
    saved = json.loads(json.dumps([first.state_dict(), first_optimizer.state_dict()]))

    second_optimizer = optimizer_with(0.5)
    second = make(second_optimizer)
    second_optimizer.load_state_dict(saved[1])
    second.load_state_dict(saved[0])
    assert second.rates == first.rates
    for metric in LOSSES[cut : len(rates) - 1]:
        first.step(metric)
        second.step(metric)
        assert second.rates == first.rates
    assert second.state_dict() == first.state_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(schedule="StepLR"), "expected the state of ExponentialLR, got that of StepLR"),
        (lambda s: s.pop("steps"), "expected what state_dict"),
        (lambda s: s.update(steps=-1), "steps: expected an integer of at least 0"),
        (lambda s: s.update(steps="two"), "steps: expected an integer, got 'two'"),
        (lambda s: s.update(base_rates=[0.1, 0.2]), "base_rates: expected a list of 1 numbers"),
    ],
)
def test_a_damaged_state_is_refused_and_nothing_changed(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    schedule = ExponentialLR(optimizer_with(0.5), 0.5)
    schedule.step()
    before = schedule.state_dict()
    damaged = dict(before)
    change(damaged)
    with pytest.raises(ValueError, match=message):
        schedule.load_state_dict(damaged)
    assert (schedule.state_dict(), schedule.rates) == (before, [0.25])


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(after=None),
        lambda s: s.update(steps=-1),
        lambda s: s["after"].update(steps=-1),
        lambda s: s.clear(),
    ],
)
def test_a_damaged_state_of_a_warm_up_changes_neither_it_nor_the_next_schedule(
    change: Callable[[dict[str, Any]], Any],
) -> None:
    optimizer = optimizer_with(0.5)
    schedule = LinearWarmup(optimizer, 1, 0.5, after=ExponentialLR(optimizer, 0.5))
    schedule.step()
    schedule.step()
    before = json.loads(json.dumps(schedule.state_dict()))
    damaged = json.loads(json.dumps(before))
    damaged["after"]["steps"] = 5
    change(damaged)
    with pytest.raises(ValueError, match="load_state_dict"):
        schedule.load_state_dict(damaged)
    assert (schedule.state_dict(), schedule.rates) == (before, [0.25])


# --- errors ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: ConstantLR(o, factor=0.0), "ConstantLR: factor: expected a finite number 0 < x <= 1"),
        (lambda o: ConstantLR(o, total_iters=-1), "ConstantLR: total_iters"),
        (lambda o: StepLR(o, 0), "StepLR: step_size: expected an integer of at least 1, got 0"),
        (lambda o: StepLR(o, 3, gamma=0.0), "StepLR: gamma"),
        (lambda o: ExponentialLR(o, -0.5), "ExponentialLR: gamma"),
        (lambda o: CosineAnnealingLR(o, 0), "t_max"),
        (lambda o: CosineAnnealingLR(o, 3, eta_min=-1.0), "eta_min"),
        (lambda o: LinearWarmup(o, 0), "total_iters"),
        (lambda o: LinearWarmup(o, 3, 1.5), "start_factor"),
        (lambda o: OneCycleLR(o, 0.0, 10), "max_lr: expected a finite number x > 0"),
        (lambda o: OneCycleLR(o, [0.1, 0.2], 10), "max_lr: expected one rate, or one for each of 1"),
        (lambda o: OneCycleLR(o, 0.1, 0), "total_steps"),
        (lambda o: OneCycleLR(o, 0.1, 10, pct_start=1.1), "pct_start"),
        (lambda o: OneCycleLR(o, 0.1, 10, anneal_strategy="cosine"), "expected one of 'cos', 'linear', got 'cosine'"),
        (lambda o: OneCycleLR(o, 0.1, 10, max_momentum=1.0), "max_momentum"),
        (lambda o: ReduceLROnPlateau(o, mode="least"), "mode: expected one of 'min', 'max'"),
        (lambda o: ReduceLROnPlateau(o, factor=1.0), "factor: expected a finite number 0 < x < 1"),
        (lambda o: ReduceLROnPlateau(o, patience=-1), "patience"),
        (lambda o: ReduceLROnPlateau(o, threshold_mode="relative"), "threshold_mode"),
        (lambda o: StepLR(o, 3, interval="batch"), "interval: expected one of 'step', 'epoch', got 'batch'"),
    ],
)
def test_invalid_settings_are_refused_and_the_rate_left_alone(make: Make, message: str) -> None:
    optimizer = optimizer_with(0.5)
    with pytest.raises(ValueError, match=message):
        make(optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("make", [lambda o: ExponentialLR(o, 1e200), lambda o: StepLR(o, 1, gamma=1e200)])
def test_a_rate_that_grows_beyond_all_bounds_is_an_error_that_names_the_step(make: Make) -> None:
    optimizer = optimizer_with(1e100)
    schedule = make(optimizer)
    schedule.step()
    with pytest.raises(OverflowError, match=r"LR: expected a finite rate, got inf at step 2 from a base of 1e\+100"):
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == 1e300


@pytest.mark.parametrize("make", [StepLR, OneCycleLR])
def test_something_other_than_an_optimizer_is_refused(make: Any) -> None:
    with pytest.raises(TypeError, match="expected an Optimizer, got an object of type float"):
        make(0.1, 1, *([10] if make is OneCycleLR else []))


@dataclass(eq=False, repr=False)
class Lowered(StepLR):
    """A schedule in another module than the annotations of the fields that it inherits."""

    lowest: Fraction = 0.1
    interval: str | None = None


def test_the_settings_of_a_subclass_are_checked() -> None:
    schedule = Lowered(optimizer_with(0.5), 3, lowest=0)
    assert (schedule.lowest, type(schedule.lowest), schedule.interval) == (0.0, float, "epoch")
    for settings, message in (
        ({"step_size": 0}, "Lowered: step_size: expected an integer of at least 1, got 0"),
        ({"step_size": 3, "lowest": 1.0}, "Lowered: lowest: expected a finite number 0 <= x < 1, got 1.0"),
    ):
        with pytest.raises(ValueError, match=message):
            Lowered(optimizer_with(0.5), **settings)


def test_a_subclass_has_to_bring_its_formula() -> None:
    with pytest.raises(NotImplementedError, match="Schedule does not define rate"):
        Schedule(optimizer_with(0.5))
