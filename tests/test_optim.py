"""The optimizers: their update formulas against two independent references, parameter groups, state and errors."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from arrays import np
from hypothesis import given, strategies as st
from mpmath import cos, mp, mpf, sqrt

from microgrud import Value, sin
from microgrud.nn import MLP
from microgrud.optim import LBFGS, OPTIMIZERS, SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

STEPS = 6


def loss_of(x: Value, y: Value) -> Value:
    return (x - 3) ** 2 + x * y**2 + sin(3 * y)


def take_steps(optimizer: Optimizer, x: Value, y: Value, steps: int = STEPS) -> tuple[float, float]:
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(x, y).backward()
        optimizer.step()
    return x.data, y.data


# The points after six steps from (1.5, -2), computed with PyTorch 2.13 in double precision.
TRAJECTORIES = [
    ("SGD", {}, (1.4942156490157839, -1.9813573577441659)),
    ("SGD", {"lr": 0.05}, (1.6655874644599435, -0.646747825325072)),
    ("SGD", {"lr": 0.05, "momentum": 0.9}, (2.0421589410611056, 0.7289177983000231)),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}, (1.7562038363478896, 0.375837914242013)),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}, (2.590365789051721, 0.16505331628451045)),
    (
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.2},
        (1.8378486333156527, 0.7220694074630337),
    ),
    ("Adagrad", {}, (1.4651978065514002, -1.9639169757721386)),
    (
        "Adagrad",
        {"lr": 0.3, "lr_decay": 0.1, "weight_decay": 0.2, "initial_accumulator_value": 0.5, "eps": 1e-3},
        (1.7422643386202232, -0.9650001671266062),
    ),
    ("RMSprop", {}, (1.428171002744824, -1.6254639065693168)),
    ("RMSprop", {"lr": 0.05, "alpha": 0.9, "eps": 1e-3}, (1.6490574304099601, -1.3333178563250312)),
    ("RMSprop", {"lr": 0.05, "centered": True}, (2.4558904872676095, -0.3532219898774952)),
    (
        "RMSprop",
        {"lr": 0.05, "alpha": 0.8, "momentum": 0.7, "weight_decay": 0.1, "centered": True, "eps": 1e-2},
        (1.6139204779508882, -0.5009272922945733),
    ),
    ("RMSprop", {"lr": 0.05, "momentum": 0.5}, (2.9671453278726294, -0.3001302680192359)),
    ("Adam", {}, (1.4940045926685448, -1.9940010532145782)),
    (
        "Adam",
        {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
        (1.293791061269799, -1.3978818026183282),
    ),
    ("Adam", {"lr": 0.3, "amsgrad": True, "betas": (0.5, 0.6)}, (2.3407965867044918, -0.2927925946932898)),
    ("Adam", {"lr": 0.1, "betas": (0.0, 0.0)}, (1.6999999898723088, -1.4000000017161849)),
    ("AdamW", {}, (1.4939148324065834, -1.993881222363357)),
    (
        "AdamW",
        {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "betas": (0.5, 0.7)},
        (1.4177260910486147, -1.0939738658164233),
    ),
]
IDS = [f"{name}-{'-'.join(settings) or 'defaults'}" for name, settings, _ in TRAJECTORIES]
KINDS = {"SGD": SGD, "Adagrad": Adagrad, "RMSprop": RMSprop, "Adam": Adam, "AdamW": AdamW}


@pytest.mark.parametrize(("name", "settings", "end"), TRAJECTORIES, ids=IDS)
def test_six_steps_lead_where_pytorch_gets_to(name: str, settings: dict[str, Any], end: tuple[float, float]) -> None:
    x, y = Value(1.5), Value(-2.0)
    assert take_steps(KINDS[name]([x, y], **settings), x, y) == pytest.approx(end, rel=1e-12, abs=0.0)


# --- the formulas as published: one parameter at a time, with 50 digits ---


def sgd_formula(lr: Any = 1e-3, momentum: Any = 0, dampening: Any = 0, weight_decay: Any = 0, nesterov: bool = False):
    p, g = yield
    g += weight_decay * p
    velocity = g
    while True:
        direction = g if not momentum else (g + momentum * velocity if nesterov else velocity)
        p, g = yield p - lr * direction
        g += weight_decay * p
        velocity = momentum * velocity + (1 - mpf(dampening)) * g


def adagrad_formula(
    lr: Any = 1e-2, lr_decay: Any = 0, weight_decay: Any = 0, initial_accumulator_value: Any = 0, eps: Any = 1e-10
):
    total, t, new = mpf(initial_accumulator_value), 0, None
    while True:
        p, g = yield new
        g += weight_decay * p
        total += g**2
        new = p - lr / (1 + mpf(t) * lr_decay) * g / (sqrt(total) + eps)
        t += 1


def rmsprop_formula(
    lr: Any = 1e-2,
    alpha: Any = 0.99,
    eps: Any = 1e-8,
    weight_decay: Any = 0,
    momentum: Any = 0,
    centered: bool = False,
):
    second = first = velocity = mpf(0)
    new = None
    while True:
        p, g = yield new
        g += weight_decay * p
        second = alpha * second + (1 - mpf(alpha)) * g**2
        first = alpha * first + (1 - mpf(alpha)) * g
        spread = sqrt(second - first**2) if centered else sqrt(second)
        velocity = momentum * velocity + g / (spread + eps)
        new = p - lr * velocity


def adam_formula(
    lr: Any = 1e-3,
    betas: Any = (0.9, 0.999),
    eps: Any = 1e-8,
    weight_decay: Any = 0,
    amsgrad: bool = False,
    decoupled: bool = False,
):
    beta1, beta2 = map(mpf, betas)
    m = v = largest = mpf(0)
    t, new = 0, None
    while True:
        p, g = yield new
        t += 1
        if decoupled:
            p -= mpf(lr) * weight_decay * p
        else:
            g += weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        largest = max(largest, v)
        m_hat = m / (1 - beta1**t)
        v_hat = (largest if amsgrad else v) / (1 - beta2**t)
        new = p - lr * m_hat / (sqrt(v_hat) + eps)


def adamw_formula(weight_decay: Any = 1e-2, **settings: Any):
    return adam_formula(weight_decay=weight_decay, decoupled=True, **settings)


FORMULAS: dict[str, Callable[..., Iterator[Any]]] = {
    "SGD": sgd_formula,
    "Adagrad": adagrad_formula,
    "RMSprop": rmsprop_formula,
    "Adam": adam_formula,
    "AdamW": adamw_formula,
}


@pytest.mark.parametrize(("name", "settings", "end"), TRAJECTORIES, ids=IDS)
def test_every_step_follows_the_published_formula(name: str, settings: dict[str, Any], end: object) -> None:
    with mp.workdps(50):
        formulas = [FORMULAS[name](**settings), FORMULAS[name](**settings)]
        for formula in formulas:
            next(formula)
        p, q = mpf(1.5), mpf(-2)
        x, y = Value(1.5), Value(-2.0)
        optimizer = KINDS[name]([x, y], **settings)
        for _ in range(STEPS):
            p, q = formulas[0].send((p, 2 * (p - 3) + q**2)), formulas[1].send((q, 2 * p * q + 3 * cos(3 * q)))
            take_steps(optimizer, x, y, steps=1)
            assert x.data == pytest.approx(float(p), rel=1e-12, abs=0.0)
            assert y.data == pytest.approx(float(q), rel=1e-12, abs=0.0)


@pytest.mark.parametrize("name", KINDS)
def test_the_steps_are_the_same_for_many_parameters_as_for_one(name: str) -> None:
    alone = []
    for start in (1.0, -2.0, 0.5):
        x = Value(start)
        optimizer = KINDS[name]([x], lr=0.1)
        for g in (1.0, -0.5, 3.0):
            x.grad = g * start
            optimizer.step()
        alone.append(x.data)
    together = [Value(1.0), Value(-2.0), Value(0.5)]
    starts = [x.data for x in together]
    optimizer = KINDS[name](together, lr=0.1)
    for g in (1.0, -0.5, 3.0):
        for x, start in zip(together, starts):
            x.grad = g * start
        optimizer.step()
    assert [x.data for x in together] == alone


def test_centered_rmsprop_survives_a_constant_gradient() -> None:
    # v - m^2 is 0 in the limit, and rounding takes it below; PyTorch then makes the parameter NaN.
    x = Value(0.0)
    optimizer = RMSprop([x], lr=1e-9, alpha=0.5, centered=True)
    for _ in range(300):
        x.grad = 0.7
        optimizer.step()
    assert math.isfinite(x.data)


def test_zero_gradients_leave_parameters_where_they_are() -> None:
    for kind in KINDS.values():
        x = Value(1.25)
        kind([x], weight_decay=0.0).step()
        assert x.data == 1.25


@pytest.mark.parametrize(
    ("name", "settings", "moves"),
    [
        ("SGD", {}, False),
        ("SGD", {"momentum": 0.9}, True),
        ("SGD", {"weight_decay": 0.1}, True),
        ("Adagrad", {}, False),
        ("RMSprop", {}, False),
        ("Adam", {}, True),
        ("AdamW", {"betas": (0.0, 0.9), "weight_decay": 0.1}, True),
    ],
)
def test_a_parameter_that_the_loss_does_not_reach_is_updated_as_any_other(
    name: str, settings: dict[str, Any], moves: bool
) -> None:
    x, y = Value(1.0), Value(2.0)
    optimizer = KINDS[name]([x, y], lr=0.1, **settings)
    for loss in (lambda: x * y, lambda: x * 1.0):  # the second does not reach y
        before = y.data
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert y.grad == 0.0
    assert (y.data != before) == moves


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"lbfgs"}))
def test_each_optimizer_finds_the_bottom_of_a_bowl(name: str) -> None:
    x, y = Value(2.0), Value(-1.0)
    rates = {"adadelta": 20.0, "lion": 0.01}  # Adadelta begins with tiny steps; all those of Lion have one length
    optimizer = OPTIMIZERS[name]([x, y], lr=rates.get(name, 0.1))
    for _ in range(400):
        optimizer.zero_grad()
        ((x - 1) ** 2 + 2 * (y - 0.5) ** 2).backward()
        optimizer.step()
    assert (x.data, y.data) == pytest.approx((1.0, 0.5), abs=0.06)


def test_step_calls_the_closure_first_and_returns_its_loss() -> None:
    x = Value(1.0)
    optimizer = SGD([x], lr=0.25)

    def closure() -> Value:
        optimizer.zero_grad()
        loss = x * x
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    assert (loss.data, x.data) == (1.0, 0.5)
    assert optimizer.step() is None


def test_zero_grad_clears_the_parameters_of_every_group() -> None:
    x, y = Value(1.0), Value(2.0)
    (x * y).backward()
    SGD([{"params": [x]}, {"params": [y]}]).zero_grad()
    assert (x.grad, y.grad) == (0.0, 0.0)


# --- parameter groups ---


def test_groups_have_settings_of_their_own_and_inherit_the_rest() -> None:
    x, y = Value(0.0), Value(0.0)
    optimizer = SGD([{"params": [x]}, {"params": [y], "lr": 0.5}], lr=0.1)
    x.grad = y.grad = 1.0
    optimizer.step()
    assert (x.data, y.data) == (-0.1, -0.5)
    assert [group["momentum"] for group in optimizer.param_groups] == [0.0, 0.0]


def test_one_group_may_come_as_a_dict_and_parameters_as_any_iterable() -> None:
    x = Value(0.0)
    assert SGD({"params": iter([x]), "lr": 0.5}).parameters() == [x]
    assert SGD(p for p in [x]).parameters() == [x]


def test_a_rate_changed_in_the_group_holds_from_the_next_step() -> None:
    x = Value(0.0)
    optimizer = SGD([x], lr=0.1)
    optimizer.param_groups[0]["lr"] = 2.0
    x.grad = 1.0
    optimizer.step()
    assert x.data == -2.0


@pytest.mark.parametrize("name", ["sgd", "adamw", "lbfgs"])
def test_a_setting_as_an_attribute_which_would_have_no_effect_is_refused(name: str) -> None:
    optimizer = OPTIMIZERS[name]([Value(0.0)])
    with pytest.raises(
        AttributeError, match=rf"{type(optimizer).__name__}: each parameter group has its own lr; .*'lr'"
    ):
        optimizer.lr = 0.1  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="param_groups"):
        optimizer.lr  # type: ignore[attr-defined]  # noqa: B018
    assert "lr" not in vars(optimizer)
    assert not hasattr(optimizer, "speed")


def test_a_group_added_later_starts_its_own_count() -> None:
    x, y = Value(0.0), Value(0.0)
    optimizer = Adam([x], lr=0.1)
    x.grad = 1.0
    optimizer.step()
    optimizer.add_param_group({"params": [y]})
    y.grad = 1.0
    optimizer.step()
    assert y.data == pytest.approx(-0.1, rel=1e-6)  # the first step of Adam has the size of the rate


# --- the formulas in C and on vectors ---

ALL_SETTINGS = {
    "SGD": {
        "momentum": st.sampled_from([0.0, 0.5, 0.9]),
        "dampening": st.sampled_from([0.0, 0.3]),
        "nesterov": st.booleans(),
    },
    "Adagrad": {"lr_decay": st.sampled_from([0.0, 0.1]), "initial_accumulator_value": st.sampled_from([0.0, 0.5])},
    "RMSprop": {
        "alpha": st.sampled_from([0.0, 0.9]),
        "momentum": st.sampled_from([0.0, 0.7]),
        "centered": st.booleans(),
    },
    "Adam": {"betas": st.sampled_from([(0.9, 0.999), (0.0, 0.0), (0.5, 0.6)]), "amsgrad": st.booleans()},
    "AdamW": {"betas": st.sampled_from([(0.9, 0.999), (0.5, 0.6)]), "amsgrad": st.booleans()},
}


@st.composite
def settings_of(draw: st.DrawFn, name: str) -> dict[str, Any]:
    drawn = {key: draw(strategy) for key, strategy in ALL_SETTINGS[name].items()}
    drawn |= {"lr": draw(st.sampled_from([0.0, 1e-3, 0.1, 1e300])), "weight_decay": draw(st.sampled_from([0.0, 0.2]))}
    if name not in ("SGD",):
        drawn["eps"] = draw(st.sampled_from([0.0, 1e-8, 1e-3]))
    elif drawn["nesterov"]:
        drawn |= {"momentum": 0.9, "dampening": 0.0}
    return drawn


def on_vectors(kind: type[Optimizer]) -> type[Optimizer]:
    """Return an optimizer whose formula, being its own, is computed on vectors with any engine."""

    def update(self: Any, *args: Any) -> Any:
        return kind._update(self, *args)

    return type(kind.__name__, (kind,), {"_update": update})


@pytest.mark.parametrize("name", KINDS)
@given(st.data())
def test_a_formula_in_c_and_the_same_on_vectors_give_the_same_bits(name: str, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.sampled_from([1, 7, 255, 256, 300]), min_size=1, max_size=2))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    starts = [rng.normal(size=size) * 10.0 ** rng.integers(-3, 4, size=size) for size in sizes]
    both = []
    own = [data.draw(settings_of(name)) for _ in sizes]
    for kind in (KINDS[name], on_vectors(KINDS[name])):
        groups = [{"params": [Value(x) for x in start], **group} for start, group in zip(starts, own)]
        both.append(kind(groups))
    special = st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, -1e200, 1e200])
    for _ in range(data.draw(st.integers(1, 4))):
        gradients = rng.normal(size=sum(sizes))
        gradients[rng.integers(0, len(gradients))] = data.draw(special)
        for optimizer in both:
            for parameter, gradient in zip(optimizer.parameters(), gradients.tolist()):
                parameter.grad = gradient
            optimizer.step()
        in_c, on_numpy = ([repr(p.data) for p in optimizer.parameters()] for optimizer in both)
        assert in_c == on_numpy
        assert repr(both[0].state_dict()) == repr(both[1].state_dict())
        assert [repr(p.grad) for p in both[0].parameters()] == list(map(repr, gradients.tolist()))
        if data.draw(st.booleans()):  # settings may change between steps
            for k, group in enumerate(data.draw(settings_of(name)) for _ in sizes):
                for optimizer in both:
                    optimizer.param_groups[k].update(group)


def test_a_step_changes_no_vector_that_cannot_be_changed() -> None:
    x = Value(1.0)
    optimizer = SGD([x], lr=0.1, momentum=0.9)
    x.grad = 1.0
    optimizer.step()
    optimizer.state[0]["momentum_buffer"] = kept = np.array([2.0])
    kept.flags.writeable = False
    optimizer.step()
    assert (kept[0], optimizer.state[0]["momentum_buffer"][0]) == (2.0, 0.9 * 2.0 + 1.0)


def test_a_parameter_that_is_no_value_is_refused_by_a_step() -> None:
    parameters = [Value(1.0) for _ in range(300)]
    optimizer = SGD([{"params": [Value(1.0)]}, {"params": parameters}], lr=0.1)
    moved = optimizer.param_groups[0]["params"] + optimizer.param_groups[1]["params"]
    for parameter in moved:
        parameter.grad = 1.0
    optimizer.param_groups[1]["params"][299] = 1.0
    with pytest.raises(TypeError, match="expected Values, got an object of type float at index 299"):
        optimizer.step()
    assert {parameter.data for parameter in moved} == {1.0}
    assert [state["step"] for state in optimizer.state] == [0, 0]


# --- errors ---


@pytest.mark.parametrize(
    ("parameters", "kind", "message"),
    [
        ([], ValueError, "expected at least one parameter, got none"),
        (Value(1.0), TypeError, "put it into a list"),
        (MLP(1, [1]), TypeError, "pass its .parameters()"),
        (3.0, TypeError, "expected a list of Values"),
        ([1.0], TypeError, "got an object of type float at index 0"),
        ([Value(1.0) * 2], ValueError, r"got the result of an operation \('\*'\) at index 0"),
        ([{"lr": 1.0}], ValueError, "expected a 'params' entry"),
        ([{"params": []}], ValueError, "parameter group 0: expected at least one parameter"),
        ([{"params": [Value(1.0)], "rate": 1.0}], TypeError, "expected settings among .*got 'rate'"),
        ([{"params": [Value(1.0)], "lr": -1.0}], ValueError, "parameter group 0: lr: expected a finite number x >= 0"),
    ],
)
def test_invalid_parameters_are_refused(parameters: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        SGD(parameters)


def test_a_parameter_is_refused_twice_in_one_list_and_in_two_groups() -> None:
    x, y = Value(1.0), Value(2.0)
    with pytest.raises(ValueError, match="got index 0 again at index 2"):
        SGD([x, y, x])
    with pytest.raises(ValueError, match="parameter group 1: the parameter at index 1 already belongs"):
        SGD([{"params": [x]}, {"params": [y, x]}])


@pytest.mark.parametrize(
    ("name", "settings", "kind", "message"),
    [
        ("SGD", {"lr": -0.1}, ValueError, "SGD: lr: expected a finite number x >= 0, got -0.1"),
        ("SGD", {"lr": math.nan}, ValueError, "SGD: lr: expected a finite number x >= 0, got nan"),
        ("SGD", {"lr": math.inf}, ValueError, "lr: .*got inf"),
        ("SGD", {"lr": "0.1"}, TypeError, "lr: expected a real number, got the string '0.1'"),
        ("SGD", {"lr": None}, TypeError, "lr: expected a real number"),
        ("SGD", {"momentum": -0.5}, ValueError, "momentum"),
        ("SGD", {"dampening": math.inf}, ValueError, "dampening: expected a finite number, got inf"),
        ("SGD", {"weight_decay": -1}, ValueError, "weight_decay"),
        ("SGD", {"nesterov": 1, "momentum": 0.9}, TypeError, "nesterov: expected True or False"),
        ("SGD", {"nesterov": True}, ValueError, "expected momentum above 0"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, ValueError, "and dampening 0"),
        ("Adagrad", {"lr_decay": -1}, ValueError, "lr_decay"),
        ("Adagrad", {"initial_accumulator_value": -1}, ValueError, "initial_accumulator_value"),
        ("RMSprop", {"alpha": 1.0}, ValueError, "alpha: expected a finite number 0 <= x < 1, got 1.0"),
        ("RMSprop", {"eps": -1e-8}, ValueError, "eps"),
        ("Adam", {"betas": (0.9, 1.0)}, ValueError, r"Adam: betas\[1\]: expected a finite number 0 <= x < 1"),
        ("Adam", {"betas": (-0.1, 0.9)}, ValueError, r"betas\[0\]"),
        ("Adam", {"betas": 0.9}, TypeError, "betas: expected a pair"),
        ("Adam", {"betas": (0.9, 0.9, 0.9)}, ValueError, "betas: expected a pair"),
        ("AdamW", {"eps": -1}, ValueError, "AdamW: eps"),
        ("AdamW", {"amsgrad": "yes"}, TypeError, "amsgrad"),
    ],
)
def test_invalid_settings_are_refused(name: str, settings: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        KINDS[name]([Value(1.0)], **settings)


def test_parameters_taken_from_a_group_behind_its_back_are_missed() -> None:
    x, y = Value(1.0), Value(2.0)
    optimizer = SGD([x, y], lr=0.1, momentum=0.9)
    optimizer.step()
    del optimizer.param_groups[0]["params"][0]
    with pytest.raises(ValueError, match="parameter group 0 has 1 parameters, and had 2 at its last step"):
        optimizer.step()


def test_the_formula_of_a_subclass_is_called_even_if_it_wraps_that_of_its_base() -> None:
    class Halved(Adam):
        @functools.wraps(Adam._update)
        def _update(self, group: Any, state: Any, data: Any, grad: Any) -> Any:
            return super()._update(group, state, data, grad * 0.0)

    x = Value(1.0)
    optimizer = Halved([x], lr=0.1)
    x.grad = 1.0
    optimizer.step()
    assert x.data == 1.0


def test_a_subclass_has_to_bring_its_formula() -> None:
    with pytest.raises(NotImplementedError, match="Optimizer does not define _update"):
        Optimizer([Value(1.0)]).step()


def test_a_step_that_fails_in_a_later_group_moves_nothing() -> None:
    x, y, z = Value(1.0), Value(2.0), Value(3.0)
    optimizer = SGD([{"params": [x]}, {"params": [y, z]}], lr=0.1, momentum=0.9)
    take_steps(optimizer, x, y, steps=1)
    before = [p.data for p in (x, y, z)]
    del optimizer.param_groups[1]["params"][1]
    with pytest.raises(ValueError, match="had 2 at its last step"):
        optimizer.step()
    assert [p.data for p in (x, y, z)] == before
    assert [state["step"] for state in optimizer.state] == [1, 1]


# --- state ---


@pytest.mark.parametrize(("name", "settings", "end"), TRAJECTORIES, ids=IDS)
def test_a_restored_optimizer_continues_to_the_same_bits(name: str, settings: dict[str, Any], end: object) -> None:
    x, y = Value(1.5), Value(-2.0)
    optimizer = KINDS[name]([x, y], **settings)
    take_steps(optimizer, x, y, steps=3)
    saved = json.loads(json.dumps(optimizer.state_dict()))

    p, q = Value(x.data), Value(y.data)
    restored = KINDS[name]([p, q])
    restored.load_state_dict(saved)
    assert restored.state_dict() == optimizer.state_dict()
    assert take_steps(restored, p, q) == take_steps(optimizer, x, y)


def damaged(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    x, y = Value(1.5), Value(-2.0)
    optimizer = SGD([x, y], lr=0.1, momentum=0.9)
    take_steps(optimizer, x, y, steps=2)
    state = optimizer.state_dict()
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(optimizer="Adam"), "expected the state of SGD, got Adam"),
        (lambda s: s.pop("optimizer"), "damaged"),
        (lambda s: s.update(groups=3), "damaged"),
        (lambda s: s["groups"].append(s["groups"][0]), r"expected groups of \[2\] parameters, got \[2, 2\]"),
        (lambda s: s["groups"][0].update(size=3), r"got \[3\]"),
        (lambda s: s["groups"][0]["settings"].pop("lr"), "got none of"),
        (lambda s: s["groups"][0]["settings"].update(lr=-1.0), "lr: expected a finite number"),
        (lambda s: s["groups"][0]["settings"].update(lr="x"), "damaged"),
        (lambda s: s["groups"][0]["settings"].update(speed=1), "damaged.*speed"),
        (lambda s: s["groups"][0]["state"].pop("step"), "expected a number of steps"),
        (lambda s: s["groups"][0]["state"].update(step=-1), "step: expected an integer of at least 0"),
        (lambda s: s["groups"][0]["state"].update(step=True), "step: expected an integer"),
        (lambda s: s["groups"][0]["state"].update(exp_avg=[1.0, 2.0]), "got 'exp_avg'"),
        (lambda s: s["groups"][0]["state"].update(momentum_buffer=[1.0]), "momentum_buffer: expected a list of 2"),
        (lambda s: s["groups"][0]["state"].update(momentum_buffer=["1.0", "2.0"]), "expected numbers"),
    ],
)
def test_a_damaged_state_is_refused_and_nothing_changed(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    x, y = Value(1.5), Value(-2.0)
    optimizer = SGD([x, y], lr=0.3, momentum=0.5)
    take_steps(optimizer, x, y, steps=1)
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(damaged(change))
    assert optimizer.state_dict() == before


def test_repr_shows_the_settings_of_each_group() -> None:
    text = repr(Adagrad([{"params": [Value(1.0), Value(2.0)]}, {"params": [Value(3.0)], "lr": 1.0}]))
    assert "2 parameters: lr=0.01, lr_decay=0.0" in text
    assert "1 parameters: lr=1.0" in text


def test_numpy_and_integer_settings_become_plain_floats() -> None:
    optimizer = Adam([Value(1.0)], lr=np.float32(0.5), betas=[np.float64(0.5), 0], amsgrad=np.bool_(True))
    group = optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["amsgrad"]) == (0.5, (0.5, 0.0), True)
    assert json.loads(json.dumps(optimizer.state_dict()))["groups"][0]["settings"]["amsgrad"] is True


def test_lbfgs_is_among_the_optimizers_by_name() -> None:
    assert OPTIMIZERS["lbfgs"] is LBFGS
    assert {kind.__name__.lower() for kind in OPTIMIZERS.values()} == set(OPTIMIZERS)
