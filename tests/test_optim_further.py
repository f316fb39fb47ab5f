"""Adadelta, Adamax, NAdam, RAdam, Rprop and Lion, and `maximize`, against published formulas and PyTorch's figures."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from arrays import np
from hypothesis import given, strategies as st
from optimizers_by_hand import FORMULAS

from microgrud import Value, sin
from microgrud.optim import OPTIMIZERS, SGD, Adamax, Lion, NAdam, Optimizer, RAdam, Rprop, StepLR

STEPS = 200


def take_steps(optimizer: Optimizer, x: Value, y: Value, steps: int = STEPS) -> tuple[float, float]:
    for _ in range(steps):
        optimizer.zero_grad()
        ((x - 3) ** 2 + x * y**2 + sin(3 * y)).backward()
        optimizer.step()
    return x.data, y.data


# The points after 200 steps from (1.5, -2), computed with PyTorch 2.13 in double precision. (It has no Lion.)
FIGURES: list[tuple[str, dict[str, Any], tuple[float, float]]] = [
    ("adadelta", {}, (2.3624060392655393, -0.674419723374703)),
    ("adadelta", {"lr": 0.5, "rho": 0.8, "eps": 0.001, "weight_decay": 0.1}, (2.784107785451243, -0.2230254191257655)),
    ("adamax", {}, (1.4402323448313712, -1.6083416396011134)),
    (
        "adamax",
        {"lr": 0.01, "betas": (0.8, 0.99), "eps": 0.001, "weight_decay": 0.1},
        (2.7637586143700124, -0.3383436250844163),
    ),
    ("nadam", {}, (1.4882112768962206, -1.5768813076229597)),
    (
        "nadam",
        {"lr": 0.01, "betas": (0.8, 0.99), "eps": 0.001, "weight_decay": 0.1, "momentum_decay": 0.1},
        (2.762139957007285, -0.3398004838600103),
    ),
    (
        "nadam",
        {"lr": 0.05, "weight_decay": 0.3, "decoupled_weight_decay": True},
        (2.5267260454924885, -0.31675665544361836),
    ),
    ("radam", {}, (1.4577475519525982, -1.9447190227077626)),
    (
        "radam",
        {"lr": 0.01, "betas": (0.8, 0.99), "eps": 0.001, "weight_decay": 0.1},
        (2.550209507844632, -0.5557010416350994),
    ),
    (
        "radam",
        {"lr": 0.05, "weight_decay": 0.3, "decoupled_weight_decay": True},
        (0.9242740075130078, -0.3717184620277336),
    ),
    ("radam", {"lr": 0.01, "betas": (0.9, 0.5), "eps": 0.1}, (2.931916153844876, -0.3083626308447658)),
    ("rprop", {}, (2.952827371890639, -0.3071550285295672)),
    ("rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (0.0001, 0.5)}, (2.9528411862636723, -0.3071731188265381)),
]


@pytest.mark.parametrize(("name", "settings", "end"), FIGURES)
def test_200_steps_lead_where_pytorch_gets_to(name: str, settings: dict[str, Any], end: tuple[float, float]) -> None:
    x, y = Value(1.5), Value(-2.0)
    assert take_steps(OPTIMIZERS[name]([x, y], **settings), x, y) == pytest.approx(end, rel=1e-12, abs=0.0)


# --- the formulas as published ---

NAMES = ["adadelta", "adamax", "nadam", "radam", "rprop", "lion"]
CASES = [(name, settings) for name, settings, _ in FIGURES]
CASES += [("lion", {}), ("lion", {"lr": 0.01, "betas": (0.5, 0.8), "weight_decay": 0.3})]


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_each_of_200_steps_follows_the_published_formula(name: str, settings: dict[str, Any], maximize: bool) -> None:
    numbers = [1.5, -2.0, 1e-3, 30.0]
    parameters = [Value(x) for x in numbers]
    optimizer = OPTIMIZERS[name](parameters, maximize=maximize, **settings)
    formulas = [FORMULAS[name](**settings) for _ in numbers]
    for formula in formulas:
        next(formula)
    for t in range(STEPS):
        gradients = [math.cos(0.4 * t * x + x) * x + 0.1 for x in (1.5, -2.0, 1e-3, 30.0)]
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient
        optimizer.step()
        signed = [-g if maximize else g for g in gradients]
        numbers = [f.send((x, g)) for f, x, g in zip(formulas, numbers, signed)]
        assert [p.data for p in parameters] == pytest.approx(numbers, rel=1e-12, abs=1e-13)


# --- maximize ---


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"lbfgs"}))
def test_to_maximize_is_to_minimize_the_negative(name: str) -> None:
    ends = []
    for maximize in (False, True):
        x, y = Value(1.5), Value(-2.0)
        optimizer = OPTIMIZERS[name]([{"params": [x], "lr": 0.03}, {"params": [y]}], lr=0.01, maximize=maximize)
        for _ in range(20):
            optimizer.zero_grad()
            height = (x - 3) ** 2 + x * y**2
            (-height if maximize else height).backward()
            optimizer.step()
        ends.append([(x.data, y.data, -x.grad if maximize else x.grad)])
    assert ends[0] == ends[1]  # to the bit, though one of them may run in C


def test_the_gradients_keep_their_sign() -> None:
    x = Value(1.0)
    x.grad = 2.0
    SGD([x], lr=0.5, maximize=True).step()
    assert (x.data, x.grad) == (2.0, 2.0)


def test_one_group_may_go_up_while_another_goes_down() -> None:
    x, y = Value(0.0), Value(0.0)
    optimizer = SGD([{"params": [x], "maximize": True}, {"params": [y]}], lr=0.5)
    x.grad = y.grad = 1.0
    optimizer.step()
    assert (x.data, y.data) == (0.5, -0.5)


# --- details ---


def test_rprop_compares_signs_where_products_of_gradients_would_vanish() -> None:
    x = Value(0.0)
    optimizer = Rprop([x], lr=1.0)
    for gradient in (1e-200, 1e-200, -1e-200, math.inf):
        x.grad = gradient
        optimizer.step()
    assert x.data == -1.0 - 1.2 - 0.6  # the third gradient turns, so that only its step size changes


def test_rates_of_rprop_change_nothing_after_the_first_step() -> None:
    steps = []
    for factor in (0.1, 1.0):
        x, y = Value(1.5), Value(-2.0)
        optimizer = Rprop([x, y])
        take_steps(optimizer, x, y, steps=1)
        StepLR(optimizer, 1, gamma=factor).step()
        steps.append(take_steps(optimizer, x, y, steps=5))
    assert steps[0] == steps[1]


def test_every_step_of_lion_without_decay_has_the_length_of_the_rate() -> None:
    parameters = [Value(0.0) for _ in range(5)]
    optimizer = Lion(parameters, lr=0.25)
    for p, gradient in zip(parameters, (1e-300, -1e300, math.inf, 0.0, math.nan)):
        p.grad = gradient
    optimizer.step()
    assert [p.data for p in parameters[:4]] == [-0.25, 0.25, -0.25, 0.0]
    assert math.isnan(parameters[4].data)


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_that_is_not_a_number_shows_in_the_parameter(name: str) -> None:
    x, y = Value(1.0), Value(1.0)
    optimizer = OPTIMIZERS[name]([x, y])
    for gradient in (1.0, math.nan, 1.0):
        x.grad, y.grad = gradient, 1.0
        optimizer.step()
    assert math.isnan(x.data)
    assert y.data < 1.0


@pytest.mark.parametrize("kind", [NAdam, RAdam])
def test_changed_betas_hold_from_the_next_step(kind: type[Optimizer]) -> None:
    x = Value(1.0)
    optimizer = kind([x], lr=0.1)
    for betas in ((0.9, 0.99), (0.5, 0.9), (0.0, 0.0)):
        optimizer.param_groups[0]["betas"] = betas
        x.grad = 1.0
        optimizer.step()
    assert math.isfinite(x.data)
    assert x.data < 1.0


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("rprop", {"etas": (1.1, 1.2)}, "Rprop: etas: expected one factor below 1 and one above"),
        ("rprop", {"etas": (0.0, 1.2)}, r"etas\[0\]: expected a finite number x > 0"),
        ("rprop", {"step_sizes": (1.0, 0.5)}, "step_sizes: expected the smaller one first"),
        ("adadelta", {"rho": 1.0}, "rho: expected a finite number 0 <= x < 1"),
        ("adamax", {"eps": -1.0}, "eps"),
        ("nadam", {"momentum_decay": -1.0}, "momentum_decay: expected a finite number x >= 0"),
        ("radam", {"betas": (0.9, 1.0)}, r"betas\[1\]"),
        ("lion", {"weight_decay": -0.1}, "weight_decay"),
    ],
)
def test_invalid_settings_are_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OPTIMIZERS[name]([Value(1.0)], **settings)


# --- state ---


def restored_by_state(optimizer: Optimizer, x: Value, y: Value) -> tuple[Optimizer, Value, Value]:
    p, q = Value(x.data), Value(y.data)
    restored = type(optimizer)([p, q])
    restored.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))
    return restored, p, q


def pickled(*objects: Any) -> Any:
    return pickle.loads(pickle.dumps(objects))


@pytest.mark.parametrize("copied", [restored_by_state, lambda *three: copy.deepcopy(three), pickled])
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_a_restored_or_copied_optimizer_continues_to_the_same_bits(
    name: str, settings: dict[str, Any], copied: Callable[..., Any]
) -> None:
    x, y = Value(1.5), Value(-2.0)
    optimizer = OPTIMIZERS[name]([x, y], **settings)
    take_steps(optimizer, x, y, steps=7)
    again, p, q = copied(optimizer, x, y)
    assert again.state_dict() == optimizer.state_dict()
    assert take_steps(again, p, q, steps=7) == take_steps(optimizer, x, y, steps=7)


@pytest.mark.parametrize("product", [math.nan, "0.5", None, [0.5]])
def test_a_damaged_number_in_a_state_is_refused(product: Any) -> None:
    optimizer = NAdam([Value(1.0)])
    optimizer.step()
    state = optimizer.state_dict()
    state["groups"][0]["state"]["mu_product"] = product
    with pytest.raises(ValueError, match="mu_product"):
        optimizer.load_state_dict(state)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9), st.sampled_from(NAMES))
def test_parameters_move_independently_of_each_other(gradients: list[float], name: str) -> None:
    together, alone = [Value(0.5) for _ in gradients], [Value(0.5) for _ in gradients]
    optimizers = [OPTIMIZERS[name](together, lr=0.1), *(OPTIMIZERS[name]([p], lr=0.1) for p in alone)]
    for factor in (1.0, -0.5, 2.0):
        for parameters in (together, alone):
            for parameter, gradient in zip(parameters, gradients):
                parameter.grad = factor * gradient
        for optimizer in optimizers:
            optimizer.step()
    assert [repr(p.data) for p in together] == [repr(p.data) for p in alone]


def test_steps_that_overflow_do_not_warn() -> None:
    x = Value(1.0)
    optimizer = Adamax([x], lr=1e300, eps=0.0)
    with np.errstate(all="raise"):
        for gradient in (1e-320, 1e300):
            x.grad = gradient
            optimizer.step()
    assert x.data == -math.inf
