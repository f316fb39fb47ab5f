"""The rate sweep: exponential rates, the ranges that it finds, and that it leaves no trace."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from microgrud import Value, log
from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.optim import LBFGS, SGD, Adam
from microgrud.optim.packing import read_data, read_gradients
from microgrud.plot import LearningRateRange, learning_rate_range, quadratic
from microgrud.plot.rates import _judged

X = [[0.1 * i, -0.3 * i] for i in range(6)]
Y = [0.2 * i * i for i in range(6)]


def bowl(curvature: float) -> tuple[Any, list[Value]]:
    x, y = Value(1.0), Value(1.0)
    height = quadratic(1.0)
    return lambda: curvature * height(x, y), [x, y]


def test_rates_rise_exponentially_and_losses_are_those_of_the_steps() -> None:
    loss, parameters = bowl(1.0)
    result = learning_rate_range(loss, SGD(parameters), lowest=0.001, highest=0.1, steps=5, smoothing=0.0)
    assert result.rates == pytest.approx([0.001 * 10 ** (i / 2) for i in range(5)])
    scale, expected = 1.0, []
    for rate in result.rates:
        expected.append(scale**2)
        scale *= 1.0 - rate
    assert result.losses == pytest.approx(expected)
    assert result.smoothed.tolist() == pytest.approx(result.losses.tolist())
    assert not result.diverged


@pytest.mark.parametrize("curvature", [1.0, 100.0])
def test_the_ranges_lie_where_theory_puts_them(curvature: float) -> None:
    loss, parameters = bowl(curvature)
    result = learning_rate_range(loss, SGD(parameters), lowest=1e-6, highest=1e3, steps=200)
    assert result.good is not None
    assert result.suggestion is not None
    # From 2/curvature on gradient descent on a bowl diverges; the sweep runs on some steps before the loss shows it.
    assert 1e-3 / curvature < result.good[0] < result.suggestion < 2.0 / curvature
    assert result.suggestion < result.good[1] < 20.0 / curvature
    assert result.diverged
    assert len(result.rates) == len(result.losses) == len(result.smoothed) < 200


def test_noise_at_the_start_is_not_taken_for_a_fall() -> None:
    rng = np.random.default_rng(0)
    rates = np.geomspace(1e-5, 1.0, 100)
    clean = np.where(rates < 1e-2, 1.0, 1.0 - 0.4 * np.log10(np.minimum(rates, 0.3) / 1e-2)) + 3.0 * (rates > 0.5)
    good, suggestion = _judged(rates, clean + 0.02 * rng.standard_normal(100))
    assert good is not None
    assert suggestion is not None
    assert 0.5e-2 < good[0] < 3e-2
    assert good[0] <= suggestion <= good[1]
    assert _judged(rates, 1.0 + 0.02 * rng.standard_normal(100)) == (None, None)


@pytest.mark.parametrize("kind", [Adam, LBFGS, lambda p: SGD(p, lr=0.3, momentum=0.9)])
def test_parameters_gradients_and_optimizer_come_back_as_they_were(kind: Any) -> None:
    model = MLP(2, [3, 1], activation="tanh", rng=random.Random(0))
    optimizer = kind(model.parameters())

    def loss() -> Any:
        return squared_error([model(row) for row in X], Y)

    def closure() -> Any:
        optimizer.zero_grad()
        height = loss()
        height.backward()
        return height

    optimizer.step(closure)
    data, gradients = read_data(model.parameters()).tobytes(), read_gradients(model.parameters()).tobytes()
    state = optimizer.state_dict()
    result = learning_rate_range(loss, optimizer, lowest=1e-4, steps=20)
    assert len(result.losses) >= 2
    assert read_data(model.parameters()).tobytes() == data
    assert read_gradients(model.parameters()).tobytes() == gradients
    assert optimizer.state_dict() == state


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TypeError("mistake")])
def test_they_come_back_after_an_error_too(error: BaseException) -> None:
    x = Value(1.0)
    calls = []

    def loss() -> Any:
        calls.append(x.data)
        if len(calls) > 3:
            raise error
        return x * x

    optimizer = SGD([x], lr=0.25)
    with pytest.raises(type(error)):
        learning_rate_range(loss, optimizer, lowest=0.01)
    assert len(set(calls)) == 4
    assert x.data == 1.0
    assert optimizer.param_groups[0]["lr"] == 0.25


def test_a_sweep_ends_where_the_loss_leaves_its_domain_or_overflows() -> None:
    x = Value(5.0)
    result = learning_rate_range(lambda: x - log(x), SGD([x]), lowest=0.01, highest=1e6, steps=60)
    assert result.diverged
    assert np.isfinite(result.losses).all()
    assert x.data == 5.0


def test_a_loss_that_cannot_be_computed_at_the_start_is_an_error() -> None:
    x = Value(-1.0)
    with pytest.raises(ValueError, match="log"):
        learning_rate_range(lambda: log(x), SGD([x]))
    with pytest.raises(ValueError, match="expected a finite loss to start from"):
        learning_rate_range(lambda: x * math.inf, SGD([x]))


def test_rates_that_do_nothing_have_no_good_range() -> None:
    loss, parameters = bowl(1.0)
    x = Value(0.0)
    result = learning_rate_range(lambda: loss() + 0.0 * x, SGD([x]), steps=10)
    assert (result.good, result.suggestion, result.diverged) == (None, None, False)
    assert "no rate makes the loss fall" in [text.get_text() for text in result.plot().texts]
    assert len(parameters) == 2
    assert repr(result) == "LearningRateRange(no rate up to 10 makes the loss fall)"


def test_the_picture_marks_the_ranges_and_the_suggestion() -> None:
    loss, parameters = bowl(1.0)
    result = learning_rate_range(loss, SGD(parameters), lowest=1e-5, highest=100.0, steps=100)
    ax: Any = Figure().add_subplot()
    assert result.plot(ax) is ax
    raw, smoothed, star = ax.get_lines()
    assert raw.get_ydata().tolist() == result.losses.tolist()
    assert smoothed.get_ydata().tolist() == result.smoothed.tolist()
    assert star.get_xdata() == [result.suggestion]
    assert [text.get_text() for text in ax.texts] == ["too small", "good", "diverging"]
    assert (ax.get_xscale(), ax.get_xlabel()) == ("log", "learning rate (logarithmic scale)")
    assert any(f"suggested: {result.suggestion:.3g}" == text.get_text() for text in ax.get_legend().get_texts())
    assert ax.get_xlim() == pytest.approx((1e-5, 100.0))
    assert isinstance(result, LearningRateRange)
    assert repr(result).endswith(f", suggested {result.suggestion:.3g})")
    assert result._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": 1.0}, "learning_rate_range: loss: expected a function without arguments, got a float"),
        ({"loss": lambda: 1.0}, "loss: expected it to return a Value, got a float"),
        ({"optimizer": [Value(1.0)]}, "optimizer: expected an Optimizer, got an object of type list"),
        ({"lowest": 0.0}, "lowest: expected a finite number x > 0"),
        ({"highest": 1e-9}, "highest: expected a finite number"),
        ({"steps": 1}, "steps: expected an integer of at least 2"),
        ({"smoothing": 1.0}, "smoothing: expected a finite number"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    loss, parameters = bowl(1.0)
    with pytest.raises((TypeError, ValueError), match=message):
        learning_rate_range(**{"loss": loss, "optimizer": SGD(parameters), **change})
