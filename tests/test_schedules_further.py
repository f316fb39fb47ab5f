"""Schedules of many steps, cycles and combinations: PyTorch's rates, closed formulas, state, copies and errors."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from microgrud import Value
from microgrud.optim import (
    SGD,
    Adam,
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LinearWarmup,
    MultiStepLR,
    OneCycleLR,
    Optimizer,
    PolynomialLR,
    ReduceLROnPlateau,
    Schedule,
    SequentialLR,
    StepLR,
)

Make = Callable[[Optimizer], Schedule]
STEPS = 200
#: The steps of the figures below.
PLACES = (0, 1, 2, 7, 20, 21, 33, 100, 149, 200)


def optimizer_with(*rates: float, momentum: float = 0.9) -> SGD:
    return SGD([{"params": [Value(0.0)], "lr": rate} for rate in rates], momentum=momentum)


def course(make: Make, steps: int = STEPS, metrics: Any = None) -> list[tuple[float, float]]:
    """Return rate and momentum of an optimizer with rate 0.5 before the first step of the schedule and after each."""
    optimizer = optimizer_with(0.5)
    schedule = make(optimizer)
    seen = [(optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"])]
    for t in range(steps):
        schedule.step(metrics[t] if metrics else None)
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
    return seen


# Rates and momenta of PyTorch 2.13's schedulers in the same notation, on SGD with rate 0.5 and momentum 0.9 (None).
PYTORCH: dict[str, tuple[Make, list[float], list[float] | None]] = {
    "multi-step": (
        lambda o: MultiStepLR(o, [2, 20, 20, 120], 0.3),
        [0.5, 0.5, 0.15, 0.15, 0.0135, 0.0135, 0.0135, 0.0135, 0.00405, 0.00405],
        None,
    ),
    "lambda": (
        lambda o: LambdaLR(o, lambda t: 1 / (1 + 0.1 * t)),
        [
            0.5,
            0.45454545454545453,
            0.4166666666666667,
            0.2941176470588235,
            0.16666666666666666,
            0.16129032258064516,
            0.11627906976744184,
            0.045454545454545456,
            0.031446540880503145,
            0.023809523809523808,
        ],
        None,
    ),
    "linear": (
        lambda o: LinearLR(o),
        [
            0.16666666666666666,
            0.23333333333333334,
            0.30000000000000004,
            0.5000000000000001,
            0.5000000000000001,
            0.5000000000000001,
            0.5000000000000001,
            0.5000000000000001,
            0.5000000000000001,
            0.5000000000000001,
        ],
        None,
    ),
    "linear, falling": (
        lambda o: LinearLR(o, 1.0, 0.01, 150),
        [
            0.5,
            0.4967,
            0.4934,
            0.4769,
            0.43400000000000005,
            0.4307000000000001,
            0.39110000000000006,
            0.17,
            0.008299999999999997,
            0.0050000000000000105,
        ],
        None,
    ),
    "polynomial": (
        lambda o: PolynomialLR(o, 150),
        [
            0.5,
            0.49666666666666665,
            0.49333333333333335,
            0.4766666666666667,
            0.43333333333333335,
            0.43,
            0.39,
            0.16666666666666669,
            0.0033333333333333552,
            0.0,
        ],
        None,
    ),
    "polynomial of a power": (
        lambda o: PolynomialLR(o, 150, 2.5),
        [
            0.5,
            0.4917082869983794,
            0.4834996290098628,
            0.443692359749874,
            0.3496231951699187,
            0.34293841196343106,
            0.2686621655536932,
            0.03207501495497922,
            1.8144368465060884e-06,
            0.0,
        ],
        None,
    ),
    "restarts": (
        lambda o: CosineAnnealingWarmRestarts(o, 20),
        [
            0.5,
            0.49692208514878444,
            0.4877641290737884,
            0.3634976249348867,
            0.5,
            0.49692208514878444,
            0.1365023750651133,
            0.5,
            0.28910861626005774,
            0.5,
        ],
        None,
    ),
    "growing restarts": (
        lambda o: CosineAnnealingWarmRestarts(o, 7, 2, 1e-3),
        [
            0.5,
            0.4752917325416535,
            0.406060705563754,
            0.5,
            0.00725548591063498,
            0.5,
            0.3060189730221004,
            0.010751128174697679,
            0.3329046259578142,
            0.028832813823271342,
        ],
        None,
    ),
    "triangular": (
        lambda o: CyclicLR(o, 1e-3, 0.1, 20),
        [
            0.001,
            0.005949999999999983,
            0.01090000000000001,
            0.03565000000000001,
            0.1,
            0.09505000000000002,
            0.03565000000000001,
            0.1,
            0.055450000000000076,
            0.001,
        ],
        [0.9, 0.895, 0.89, 0.865, 0.8, 0.805, 0.865, 0.8, 0.845, 0.9],
    ),
    "triangular2": (
        lambda o: CyclicLR(o, 1e-3, 0.1, 20, 7, "triangular2"),
        [
            0.001,
            0.005949999999999993,
            0.010899999999999986,
            0.03565000000000001,
            0.1,
            0.0858571428571429,
            0.01585000000000001,
            0.012756250000000007,
            0.0031656249999999987,
            0.001425390625000001,
        ],
        [0.9, 0.895, 0.89, 0.865, 0.8, 0.8142857142857143, 0.885, 0.888125, 0.8978125, 0.8995703125],
    ),
    "exp_range": (
        lambda o: CyclicLR(o, 1e-3, 0.1, 13, 29, "exp_range", 0.99),
        [
            0.001,
            0.008539230769230743,
            0.01592767692307694,
            0.05068625277688802,
            0.06242763138230236,
            0.059049111656275736,
            0.023051651880864252,
            0.033488525739216964,
            0.015508910198408134,
            0.005573788900323522,
        ],
        [
            0.9,
            0.8923846153846154,
            0.8849215384615384,
            0.8498118658819314,
            0.837951887492624,
            0.8413645336805295,
            0.8777256041607432,
            0.8671833073341243,
            0.8853445351531232,
            0.8953800112117944,
        ],
    ),
    "scale of iterations": (
        lambda o: CyclicLR(o, 1e-3, 0.1, 20, scale_fn=lambda t: 1 / (1 + t), scale_mode="iterations"),
        [
            0.001,
            0.0034749999999999916,
            0.0043000000000000035,
            0.005331250000000001,
            0.005714285714285714,
            0.005275000000000001,
            0.002019117647058824,
            0.0019801980198019802,
            0.0013630000000000005,
            0.001,
        ],
        [
            0.9,
            0.8975000000000001,
            0.8966666666666667,
            0.895625,
            0.8952380952380953,
            0.8956818181818182,
            0.8989705882352942,
            0.899009900990099,
            0.8996333333333334,
            0.9,
        ],
    ),
    "scale of cycles": (
        lambda o: CyclicLR(o, 1e-3, 0.1, 20, scale_fn=lambda c: 0.9**c),
        [
            0.001,
            0.005454999999999985,
            0.009910000000000009,
            0.032185000000000005,
            0.09010000000000001,
            0.08564500000000003,
            0.032185000000000005,
            0.07317100000000001,
            0.03672464500000005,
            0.001,
        ],
        [0.9, 0.8955000000000001, 0.891, 0.8685, 0.81, 0.8145, 0.8685, 0.8271000000000001, 0.8639145, 0.9],
    ),
    "one cycle of three phases": (
        lambda o: OneCycleLR(o, 0.1, 201, three_phase=True),
        [
            0.0040000000000000036,
            0.004067344172595577,
            0.004269187722149681,
            0.007262982263848125,
            0.028515679418535042,
            0.030765391550549123,
            0.06047420449095092,
            0.025478168919838288,
            0.0027743946645451384,
            4e-07,
        ],
        [
            0.95,
            0.9499298498202129,
            0.9497195961227607,
            0.9466010601418249,
            0.924462833939026,
            0.9221193838015113,
            0.8911727036552595,
            0.9276269073751684,
            0.95,
            0.95,
        ],
    ),
    "one cycle of three lines": (
        lambda o: OneCycleLR(
            o, 0.1, 201, pct_start=0.4, anneal_strategy="linear", three_phase=True, div_factor=7, final_div_factor=90
        ),
        [
            0.014285714285714287,
            0.015365239294710328,
            0.01644476430370637,
            0.02184238934868658,
            0.03587621446563512,
            0.036955739474631155,
            0.049910039582583665,
            0.07776178481468154,
            0.02486505937387551,
            0.0001587301587301585,
        ],
        [
            0.95,
            0.9487405541561712,
            0.9474811083123426,
            0.941183879093199,
            0.9248110831234256,
            0.923551637279597,
            0.9084382871536524,
            0.8759445843828715,
            0.9376574307304786,
            0.95,
        ],
    ),
    "one cycle of two phases and a part": (
        lambda o: OneCycleLR(o, 0.1, 201, pct_start=0.7, three_phase=True),
        [
            0.0040000000000000036,
            0.0040121366791890795,
            0.004048540579298751,
            0.00459349525073352,
            0.008773586452480789,
            0.009253761038782296,
            0.016621831282366537,
            0.08210800504620079,
            0.09895407507434091,
            0.062229501339081145,
        ],
        [
            0.95,
            0.9499873576258446,
            0.9499494368965637,
            0.9493817757804859,
            0.9450275141119991,
            0.9445273322512684,
            0.9368522590808681,
            0.8686374947435408,
            0.8510895051308949,
            0.8893442694384571,
        ],
    ),
    "warm-up, then exponential": (
        lambda o: SequentialLR(o, [LinearLR(o, 0.1, 1.0, 20), ExponentialLR(o, 0.97)], [20]),
        [
            0.05,
            0.0725,
            0.09499999999999999,
            0.20750000000000002,
            0.5,
            0.485,
            0.33651354508278736,
            0.04372287845941359,
            0.009829325672702156,
            0.0020791325244628113,
        ],
        None,
    ),
    "three in sequence": (
        lambda o: SequentialLR(
            o, [ConstantLR(o, 0.1, 20), StepLR(o, 30, 0.5), CosineAnnealingWarmRestarts(o, 20, 2)], [10, 77]
        ),
        [0.05, 0.05, 0.05, 0.05, 0.5, 0.5, 0.5, 0.49309248009941914, 0.47275163104709195, 0.053670767279813736],
        None,
    ),
    "one cycle, then exponential": (
        lambda o: SequentialLR(o, [OneCycleLR(o, 0.1, 50), ExponentialLR(o, 0.99)], [50], "step"),
        [
            0.0040000000000000036,
            0.0052034602152724735,
            0.008753494340683884,
            0.052000000000000005,
            0.09292246799033459,
            0.0904508879153485,
            0.043288563555770404,
            0.002420024268550145,
            0.0014789185505989057,
            0.0008858071489554437,
        ],
        [
            0.95,
            0.9487463956090911,
            0.945048443395121,
            0.8999999999999999,
            0.8570775603199067,
            0.8595491502812526,
            0.9067116632908827,
            0.95,
            0.95,
            0.95,
        ],
    ),
    "chained": (
        lambda o: ChainedScheduler([StepLR(o, 30, 0.5), LinearLR(o, 0.2, 1.0, 50), PolynomialLR(o, 190)]),
        [
            0.1,
            0.10743157894736843,
            0.11477894736842105,
            0.15025263157894733,
            0.2326315789473685,
            0.2383789473684211,
            0.1503894736842106,
            0.02960526315789474,
            0.006743421052631579,
            0.0,
        ],
        None,
    ),
    "chained with a cosine": (
        lambda o: ChainedScheduler([ExponentialLR(o, 0.99), CosineAnnealingLR(o, 210)]),
        [
            0.5,
            0.4949723051980427,
            0.4899403347202654,
            0.46475618607863467,
            0.39986914120724154,
            0.3949562084297174,
            0.33744020817036824,
            0.09834649309805883,
            0.02171321916727352,
            0.0003741105676973375,
        ],
        None,
    ),
}


@pytest.mark.parametrize("name", PYTORCH)
def test_rates_and_momenta_over_200_steps_are_those_of_pytorch(name: str) -> None:
    make, rates, momenta = PYTORCH[name]
    seen = course(make)
    assert [seen[t][0] for t in PLACES] == pytest.approx(rates, rel=1e-12, abs=1e-15)
    assert [seen[t][1] for t in PLACES] == pytest.approx(momenta or [0.9] * len(PLACES), rel=1e-12, abs=0.0)


# --- formulas, written in another way ---


def restarts(base: float, t: int) -> float:
    length, start = 3, 0
    while start + length <= t:
        start, length = start + length, 2 * length
    return 0.01 + (base - 0.01) * math.cos(math.pi * (t - start) / length / 2) ** 2


def triangles(t: int) -> float:
    height = 0.0
    for k in range(t):
        height += 0.2 if k % 9 < 5 else -0.25
    return height


FORMULAS: dict[str, tuple[Make, Callable[[float, int], float]]] = {
    "multi-step": (
        lambda o: MultiStepLR(o, (9, 2, 9), gamma=0.5),
        lambda base, t: base * 0.5 ** ((t >= 2) + 2 * (t >= 9)),
    ),
    "lambda": (lambda o: LambdaLR(o, lambda t: 0.9**t), lambda base, t: base * 0.9**t),
    "linear": (lambda o: LinearLR(o, 0.25, 0.75, 8), lambda base, t: base * min(0.25 + t / 16, 0.75)),
    "polynomial": (lambda o: PolynomialLR(o, 12, 3), lambda base, t: base * max(0.0, 1 - t / 12) ** 3),
    "restarts": (lambda o: CosineAnnealingWarmRestarts(o, 3, 2, eta_min=0.01), restarts),
    "cycles": (lambda o: CyclicLR(o, 0.1, 0.3, 5, 4), lambda base, t: 0.1 + 0.2 * triangles(t)),
    "fading cycles": (
        lambda o: CyclicLR(o, 0.1, 0.3, 5, 4, "triangular2"),
        lambda base, t: 0.1 + 0.2 * triangles(t) / 2 ** (t // 9),
    ),
    "sequence": (
        lambda o: SequentialLR(o, [LinearLR(o, 0.5, 1, 4), ExponentialLR(o, 0.9), ConstantLR(o, 0.1, 3)], [4, 9]),
        lambda base, t: base * (0.5 + t / 8 if t < 4 else 0.9 ** (t - 4) if t < 9 else 0.1 if t < 12 else 1.0),
    ),
    "chain": (
        lambda o: ChainedScheduler([StepLR(o, 3, 0.5), CosineAnnealingLR(o, 30, 0.001), LinearLR(o, 0.5, 1, 4)]),
        lambda base, t: (
            (0.001 + (base * 0.5 ** (t // 3) - 0.001) * math.cos(math.pi * t / 60) ** 2) * min(0.5 + t / 8, 1)
        ),
    ),
    "sequence in a chain": (
        lambda o: ChainedScheduler(
            [ExponentialLR(o, 0.9), SequentialLR(o, [ConstantLR(o, 0.5, 99), StepLR(o, 3, 0.5)], [4])]
        ),
        lambda base, t: base * 0.9**t * (0.5 if t < 4 else 0.5 ** ((t - 4) // 3)),
    ),
    "chain in a sequence": (
        lambda o: SequentialLR(
            o, [ChainedScheduler([ExponentialLR(o, 0.9), ConstantLR(o, 0.5, 2)]), ExponentialLR(o, 0.8)], [5]
        ),
        lambda base, t: base * (0.9**t * (0.5 if t < 2 else 1) if t < 5 else 0.8 ** (t - 5)),
    ),
    "warm-up in a sequence": (
        lambda o: SequentialLR(o, [LinearWarmup(o, 4, 0.2, interval="epoch"), ExponentialLR(o, 0.8)], [4]),
        lambda base, t: base * (0.2 + 0.2 * t if t < 4 else 0.8 ** (t - 4)),
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
@settings(max_examples=20)
@given(rates=st.lists(st.floats(1e-2, 10.0), min_size=1, max_size=3), steps=st.integers(0, 40))
def test_each_group_follows_the_formula_from_its_own_base(name: str, rates: list[float], steps: int) -> None:
    make, formula = FORMULAS[name]
    schedule = make(optimizer_with(*rates))
    for _ in range(steps):
        schedule.step()
    assert schedule.rates == pytest.approx([formula(base, steps) for base in rates], rel=1e-12, abs=1e-15)


def test_groups_may_have_functions_and_cycles_of_their_own() -> None:
    schedule = LambdaLR(optimizer_with(0.5, 0.25), [lambda t: 1.0 + t, lambda t: 1.0])
    schedule.step()
    assert schedule.rates == [1.0, 0.25]
    cyclic = CyclicLR(optimizer_with(0.5, 0.25), iter([0.1, 0.2]), [1.0, 2.0], 2)
    cyclic.step()
    assert cyclic.rates == [0.1 + 0.9 * 0.5, 0.2 + 1.8 * 0.5]


def test_cycles_move_the_first_beta_of_adam_and_leave_what_uses_no_momentum() -> None:
    adam = Adam([Value(0.0)], betas=(0.9, 0.99))
    schedule = CyclicLR(adam, 0.0, 1.0, 2, base_momentum=0.5, max_momentum=0.7)
    schedule.step()
    assert adam.param_groups[0]["betas"] == (0.6, 0.99)
    plain = optimizer_with(0.1, momentum=0.0)
    CyclicLR(plain, 0.0, 1.0, 2)
    assert plain.param_groups[0]["momentum"] == 0.0


def test_restarts_are_exact_after_millions_of_steps() -> None:
    schedule = CosineAnnealingWarmRestarts(optimizer_with(0.5), 10, 10)
    assert schedule.rate(0.5, 10 * 1_111_111) == 0.5
    assert schedule.rate(0.5, 10 * 1_111_111 - 1) < 1e-12
    assert CosineAnnealingWarmRestarts(optimizer_with(0.5), 10).rate(0.5, 10**15) == 0.5


def test_a_plateau_in_a_sequence_sees_the_metrics_of_its_time_and_goes_on_from_the_rate_that_it_finds() -> None:
    def make(optimizer: Optimizer) -> Schedule:
        return SequentialLR(
            optimizer, [LinearLR(optimizer, 0.5, 1, 2), ReduceLROnPlateau(optimizer, "min", 0.5, 0)], [3]
        )

    rates = [rate for rate, _ in course(make, 6, [9.0, 9.0, 9.0, 1.0, 2.0, 3.0])]
    assert rates == [0.25, 0.375, 0.5, 0.5, 0.5, 0.25, 0.125]


def test_the_interval_of_a_combination_is_that_of_its_parts() -> None:
    o = optimizer_with(0.5)
    assert ChainedScheduler([ExponentialLR(o, 0.9, "step")]).interval == "step"
    o = optimizer_with(0.5)
    with pytest.raises(ValueError, match="one interval for all, got intervals 'epoch', 'step'"):
        ChainedScheduler([ExponentialLR(o, 0.9), OneCycleLR(o, 0.1, 10)])
    o = optimizer_with(0.5)
    assert ChainedScheduler([ExponentialLR(o, 0.9), OneCycleLR(o, 0.1, 10)], o, "epoch").interval == "epoch"


# --- state ---

MADE = {name: make for name, (make, *_) in (PYTORCH | FORMULAS).items()}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("cut", [0, 4, 27])
def test_a_restored_schedule_continues_in_the_same_way(name: str, cut: int) -> None:
    first_optimizer, second_optimizer = optimizer_with(0.5, 0.2), optimizer_with(0.5, 0.2)
    first, second = MADE[name](first_optimizer), MADE[name](second_optimizer)
    for _ in range(cut):
        first.step()
    saved = json.loads(json.dumps([first.state_dict(), first_optimizer.state_dict()]))
    second_optimizer.load_state_dict(saved[1])
    second.load_state_dict(saved[0])
    for _ in range(30):
        assert second_optimizer.state_dict() == first_optimizer.state_dict()
        first.step()
        second.step()
    assert second.state_dict() == first.state_dict()


@pytest.mark.parametrize("name", MADE)
def test_a_copy_and_a_pickle_continue_with_an_optimizer_of_their_own(name: str) -> None:
    schedule = MADE[name](optimizer_with(0.5, 0.2))
    for _ in range(11):
        schedule.step()
    copies = [copy.deepcopy(schedule)]
    if "lambda" not in repr(vars(schedule)):
        copies.append(pickle.loads(pickle.dumps(schedule)))
    for _ in range(20):
        schedule.step()
        for each in copies:
            each.step()
            assert each.optimizer is not schedule.optimizer
            assert each.rates == schedule.rates
            assert each.optimizer.state_dict() == schedule.optimizer.state_dict()


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("schedulers"),
        lambda s: s["schedulers"].pop(),
        lambda s: s["schedulers"][1].update(steps=-1),
        lambda s: s["schedulers"][0].update(schedule="StepLR"),
        lambda s: s.update(steps="2"),
        lambda s: s.clear(),
    ],
)
def test_a_damaged_state_of_a_combination_changes_nothing(change: Callable[[dict[str, Any]], Any]) -> None:
    o = optimizer_with(0.5)
    schedule = SequentialLR(o, [LinearLR(o, 0.5, 1, 4), ExponentialLR(o, 0.5)], [4])
    schedule.step()
    before, rates = json.loads(json.dumps(schedule.state_dict())), schedule.rates
    damaged = json.loads(json.dumps(before))
    damaged["schedulers"][0]["steps"] = 3
    change(damaged)
    with pytest.raises(ValueError, match="load_state_dict"):
        schedule.load_state_dict(damaged)
    assert (schedule.state_dict(), schedule.rates) == (before, rates)


# --- errors ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: MultiStepLR(o, [3, -1]), r"milestones\[1\]: expected an integer of at least 0, got -1"),
        (lambda o: MultiStepLR(o, [3], gamma=0.0), "gamma"),
        (lambda o: LinearLR(o, start_factor=2.0), "start_factor"),
        (lambda o: LinearLR(o, total_iters=0), "total_iters"),
        (lambda o: PolynomialLR(o, power=-1.0), "power: expected a finite number x > 0"),
        (lambda o: CosineAnnealingWarmRestarts(o, 0), "t_0"),
        (lambda o: CosineAnnealingWarmRestarts(o, 3, 0), "t_mult"),
        (lambda o: LambdaLR(o, [abs, abs]), "LambdaLR: lr_lambda: expected one function, or one for each of 1"),
        (lambda o: LambdaLR(o, lambda t: -1.0), "LambdaLR: expected a rate of 0 or more, got -0.5 at step 0"),
        (lambda o: CyclicLR(o, -0.1, 0.1), "base_lr: expected a finite number x >= 0"),
        (lambda o: CyclicLR(o, 0.1, [0.1, 0.2]), "max_lr: expected one rate, or one for each of 1"),
        (lambda o: CyclicLR(o, 0.1, 0.2, mode="square"), "mode: expected one of 'triangular'"),
        (lambda o: CyclicLR(o, 0.1, 0.2, step_size_down=0), "step_size_down"),
        (lambda o: OneCycleLR(o, 0.1, 10, three_phase=True, pct_start=2.0), "pct_start"),
        (lambda o: ChainedScheduler([]), "expected an Optimizer|at least one schedule"),
        (lambda o: SequentialLR(o, [], []), "expected ascending numbers, one fewer than schedules"),
        (lambda o: SequentialLR(o, [ConstantLR(o), ConstantLR(o)], [3, 5]), "one fewer than schedules"),
        (lambda o: SequentialLR(o, [ConstantLR(o), ConstantLR(o), ConstantLR(o)], [5, 5]), "ascending"),
        (lambda o: SequentialLR(o, [ConstantLR(o), ConstantLR(o)], [0]), "at least 1, got 0"),
        (lambda o: SequentialLR(o, [ConstantLR(optimizer_with(0.5))], []), r"\[0\]: expected a schedule of the same"),
        (
            lambda o: ChainedScheduler([ConstantLR(o), 0.1]),
            r"schedulers\[1\]: expected a schedule of the same optimizer",
        ),
        (lambda o: ChainedScheduler([ReduceLROnPlateau(o)]), "expected schedules with a formula"),
        (
            lambda o: ChainedScheduler([SequentialLR(o, [ConstantLR(o), ReduceLROnPlateau(o)], [3])]),
            "expected schedules with a formula, got ReduceLROnPlateau",
        ),
        (
            lambda o: SequentialLR(o, [LinearWarmup(o, 3, after=ConstantLR(o)), ConstantLR(o)], [5]),
            "expected a LinearWarmup without `after`",
        ),
    ],
)
def test_invalid_settings_are_refused_and_the_rate_left_alone(make: Make, message: str) -> None:
    optimizer = optimizer_with(0.5)
    with pytest.raises((ValueError, TypeError), match=message):
        make(optimizer)
    if "after" not in message:
        assert optimizer.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: LambdaLR(o, 0.5), "lr_lambda: expected a sequence of functions|expected functions"),
        (lambda o: LambdaLR(o, [0.5]), "lr_lambda: expected a function, got an object of type float"),
        (lambda o: LambdaLR(o, lambda t: "1"), "the result of lr_lambda: expected a real number"),
        (lambda o: CyclicLR(o, 0.1, 0.2, scale_fn=1.0), "scale_fn: expected a function"),
        (lambda o: MultiStepLR(o, 3), "milestones"),
        (lambda o: MultiStepLR(o, [0.5]), r"milestones\[0\]: expected an integer, got 0.5"),
        (lambda o: ChainedScheduler(3), "schedulers"),
        (lambda o: ChainedScheduler([3]), "expected an Optimizer"),
    ],
)
def test_settings_of_another_type_are_refused(make: Make, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make(optimizer_with(0.5))


def test_schedules_made_in_another_order_or_used_before_are_refused() -> None:
    o = optimizer_with(0.5)
    second, first = ExponentialLR(o, 0.5), LinearLR(o, 0.5)
    third = ConstantLR(o)
    with pytest.raises(
        ValueError, match=r"schedulers\[1\]: expected a new schedule, made directly after the one before"
    ):
        ChainedScheduler([first, second])
    third.step()
    with pytest.raises(ValueError, match=r"schedulers\[0\]: expected a new schedule, .* got one at step 1"):
        ChainedScheduler([third])


def test_a_momentum_that_leaves_its_range_is_an_error_that_names_the_step() -> None:
    schedule = CyclicLR(optimizer_with(0.5), 0.1, 0.2, 1, mode="exp_range", gamma=4.0)
    schedule.step()
    schedule.step()
    with pytest.raises(ValueError, match="CyclicLR: the momentum at step 3: expected a finite number 0 <= x < 1"):
        schedule.step()
