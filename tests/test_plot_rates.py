"""The sweep of learning rates: exponential rates, the ranges that it finds, and restored parameters."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from microgrud import Value, backend, log
from microgrud.engine.vectors import read_data, read_gradients
from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.optim import LBFGS, SGD, Adam
from microgrud.plot import LearningRateRange, learning_rate_range, quadratic

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
    # Gradient descent on a bowl diverges from 2/curvature on; the loss of the sweep shows it some steps later.
    assert 1e-3 / curvature < result.good[0] < result.suggestion <= 1.0 / curvature
    assert 1.4 / curvature < result.good[1] <= 2.0 / curvature < result.rates[-1]
    assert result.diverged
    assert len(result.rates) == len(result.losses) == len(result.smoothed) < 200


def stretched(curvature: float, condition_number: float, start: tuple[float, float]) -> tuple[Any, list[Value]]:
    """Return a bowl with this curvature along y, and with the curvature over the condition number along x."""
    x, y = Value(start[0]), Value(start[1])
    return lambda: 0.5 * curvature * (x * x / condition_number + y * y), [x, y]


@pytest.mark.parametrize("curvature", [0.01, 4.0, 1e4])
@pytest.mark.parametrize("condition_number", [1.0, 30.0, 1e6])
@pytest.mark.parametrize("start", [(1.0, 1.0), (5.0, 1e-3), (1e-3, 1.0), (-100.0, 1e-6)])
@pytest.mark.parametrize(("momentum", "limit"), [(0.0, 2.0), (0.9, 3.8)])
@pytest.mark.parametrize("steps", [40, 100])
def test_on_a_bowl_rates_that_diverge_by_theory_are_not_good(
    curvature: float, condition_number: float, start: tuple[float, float], momentum: float, limit: float, steps: int
) -> None:
    # Gradient descent converges below 2 / curvature, with momentum m below 2 (1 + m) / curvature (Polyak 1964).
    loss, parameters = stretched(curvature, condition_number, start)
    optimizer = SGD(parameters, lr=0.1, momentum=momentum)
    result = learning_rate_range(loss, optimizer, lowest=1e-6 / curvature, highest=1e3 / curvature, steps=steps)
    assert result.good is not None
    assert result.suggestion is not None
    assert result.good[1] <= limit / curvature
    assert result.good[0] <= result.suggestion <= 0.5 * result.good[1]


@pytest.mark.parametrize("scale", [0.01, 4.0, 1e4])
@pytest.mark.parametrize("condition_number", [1.0, 30.0])
@pytest.mark.parametrize("start", [(1.0, 1.0), (5.0, 1e-3)])
def test_adam_whose_steps_no_curvature_limits_has_rates_with_which_a_walk_from_the_start_falls(
    scale: float, condition_number: float, start: tuple[float, float]
) -> None:
    loss, parameters = stretched(scale, condition_number, start)
    result = learning_rate_range(loss, Adam(parameters))
    assert result.good is not None
    assert result.suggestion is not None
    assert result.good[0] <= result.suggestion <= 0.5 * result.good[1]
    before = loss().data
    for rate in (result.good[1], result.suggestion):
        for p, place in zip(parameters, start):
            p.data = place
        optimizer = Adam(parameters, lr=rate)
        for _ in range(60):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
        assert loss().data < before


def test_the_fit_of_a_line_is_not_called_good_beyond_what_theory_allows() -> None:
    xs, ys = [-2.0, -1.0, 0.0, 1.0, 2.0], [-2.1, -0.4, 0.9, 2.6, 4.1]  # twice the mean of x * x is 4, the curvature
    w, b = Value(-2.0), Value(-3.0)
    result = learning_rate_range(
        lambda: squared_error([w * x + b for x in xs], ys), SGD([w, b]), lowest=1e-3, highest=20.0, steps=40
    )
    assert result.good is not None
    assert 0.2 < result.good[1] <= 0.5
    assert result.rates[int(result.smoothed.argmin())] > 0.5  # the end of the good rates by the sweep alone


# A sweep over batches of 20 takes a quarter of a minute on the Python engine.
RANDOM_BATCHES = [(batch, seed) for batch in (20, 4) for seed in range(4)] if backend == "c" else [(4, 0)]


@pytest.mark.slow("3 s: sweeps over many seeds")
@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize(("batch", "seed"), RANDOM_BATCHES)
def test_the_suggestion_keeps_away_from_the_cliff_though_batches_are_random(kind: Any, batch: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = rng.uniform(0.0, math.pi, 100)
    signs = rng.choice([-1.0, 1.0], 100)
    rows = np.column_stack([signs * np.cos(angles) + (signs < 0), signs * np.sin(angles) + 0.5 * (signs < 0)])
    rows += 0.15 * rng.standard_normal((100, 2))
    model = MLP(2, [8, 4, 1], activation="tanh", rng=random.Random(seed))

    def loss() -> Any:
        chosen = rng.choice(100, batch, replace=False)
        return squared_error([model(rows[i].tolist()) for i in chosen], signs[chosen].tolist())

    result = learning_rate_range(loss, kind(model.parameters()), highest=100.0)
    assert result.diverged
    assert result.good is not None
    assert result.suggestion is not None
    assert result.good[0] <= result.suggestion <= 0.5 * result.good[1]
    before = np.mean([loss().data for _ in range(20)])
    optimizer = kind(model.parameters(), lr=result.suggestion)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        height = loss()
        height.backward()
        optimizer.step()
        losses.append(height.data)
    assert np.mean(losses[-20:]) < 0.8 * before


def judged(rates: Any, losses: Any) -> tuple[Any, Any]:
    """Return the good rates and the suggestion for these losses, at a start from which every trial passes."""
    x, heights = Value(0.0), itertools.chain(losses, itertools.repeat(1.0))
    found = learning_rate_range(
        lambda: x * 0.0 + next(heights),
        SGD([x]),
        lowest=rates[0],
        highest=rates[-1],
        steps=len(rates),
        smoothing=0.0,
    )
    return found.good, found.suggestion


def test_noise_at_the_start_is_not_taken_for_a_fall() -> None:
    rng = np.random.default_rng(0)
    rates = np.geomspace(1e-5, 1.0, 100)
    clean = np.where(rates < 1e-2, 1.0, 1.0 - 0.4 * np.log10(np.minimum(rates, 0.3) / 1e-2)) + 3.0 * (rates > 0.5)
    good, suggestion = judged(rates, clean + 0.02 * rng.standard_normal(100))
    assert good is not None
    assert suggestion is not None
    assert 0.5e-2 < good[0] < 3e-2
    assert good[0] <= suggestion <= good[1]
    assert judged(rates, 1.0 + 0.02 * rng.standard_normal(100)) == (None, None)


@pytest.mark.parametrize("flat", [10, 41])
def test_good_rates_begin_with_the_first_from_which_on_a_tenth_of_the_fall_is_done(flat: int) -> None:
    rates = np.geomspace(1e-5, 10.0, 100)
    smoothed = np.concatenate([np.ones(flat), 1.0 - 0.01 * np.arange(100 - flat)])  # down to the last
    good, _ = judged(rates, smoothed)
    done = 1.0 - smoothed >= 0.1 * (1.0 - smoothed[-1])
    assert good == (rates[np.argmax(done)], rates[-1])


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
def test_they_are_restored_after_an_error(error: BaseException) -> None:
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


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_gradients_of_untrained_values_are_restored(error: BaseException | None) -> None:
    model = MLP(2, [3, 1], activation="tanh", rng=random.Random(0))
    frozen, trained = model.layers[0].parameters(), model.layers[1].parameters()
    scale = Value(2.0)
    between = scale * scale  # computed once, before the sweep
    between.backward()
    for i, p in enumerate(frozen):
        p.grad = 0.1 * i
    gradients, calls = read_gradients([*frozen, scale, between]).tolist(), []

    def loss() -> Any:
        calls.append(1)
        if error is not None and len(calls) > 5:
            raise error
        return between * squared_error([model(row) for row in X], Y)

    optimizer = SGD(trained)
    if error is None:
        assert len(learning_rate_range(loss, optimizer, steps=10).losses) > 2
    else:
        with pytest.raises(KeyboardInterrupt):
            learning_rate_range(loss, optimizer)
    assert read_gradients([*frozen, scale, between]).tolist() == gradients


@pytest.mark.parametrize("last", [2.0, math.inf])
def test_a_loss_that_diverges_at_the_very_last_rate_has_diverged(last: float) -> None:
    x = Value(0.0)
    heights = itertools.chain([1.0, 0.9, 0.8, 0.7, 100.0 * last], itertools.repeat(1.0))
    assert learning_rate_range(lambda: x + next(heights), SGD([x]), steps=5).diverged
    heights = itertools.chain([1.0, 0.9, 0.8, 0.7, 0.6], itertools.repeat(1.0))
    assert not learning_rate_range(lambda: x + next(heights), SGD([x]), steps=5).diverged


def test_the_loss_is_smoothed_by_its_formula() -> None:
    loss, parameters = bowl(1.0)
    result = learning_rate_range(loss, SGD(parameters), steps=50, smoothing=0.7)
    weights = [
        [0.7 ** (i - j) if j <= i else 0.0 for j in range(len(result.losses))] for i in range(len(result.losses))
    ]
    assert result.smoothed == pytest.approx((weights @ result.losses) / np.sum(weights, axis=1))


def test_each_loss_enters_the_average_once() -> None:
    """An average computed anew at each step would multiply each loss at every later step: quadratic time."""
    heights: list[Counted] = []

    class Height(Value):
        @property
        def data(self) -> float:  # type: ignore[override]
            heights.append(Counted(1.0))
            return heights[-1]

    result = learning_rate_range(lambda: Height(1.0), SGD([Value(1.0)]), steps=50, smoothing=0.7)
    assert len(result.losses) == 50
    assert [height.products for height in heights] == [1] * 50


class Counted(float):
    """A number that counts the products in which it is the second factor."""

    products = 0

    def __rmul__(self, factor: float) -> float:
        self.products += 1
        return factor * float(self)


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


def test_rounding_is_not_a_fall() -> None:
    p = Value(1.0)
    for loss in (lambda: Value(1.0) + p * 0, lambda: 3e5 + p * 0, lambda: Value(-0.1) + p * 0):
        result = learning_rate_range(loss, SGD([p]))
        assert (result.good, result.suggestion) == (None, None)


def test_no_rate_is_good_if_the_lowest_is_too_high() -> None:
    loss, parameters = bowl(100.0)
    assert learning_rate_range(loss, SGD(parameters), lowest=0.03, highest=1.0, steps=20).good is None


def test_the_picture_marks_the_ranges_and_the_suggestion() -> None:
    loss, parameters = bowl(1.0)
    result = learning_rate_range(loss, SGD(parameters), lowest=1e-5, highest=100.0, steps=100)
    ax: Any = Figure().add_subplot()
    assert result.plot(ax) is ax
    raw, smoothed, star = ax.get_lines()
    assert raw.get_ydata().tolist() == result.losses.tolist()
    assert smoothed.get_ydata().tolist() == result.smoothed.tolist()
    assert star.get_xdata() == [result.suggestion]
    (place,) = np.flatnonzero(result.rates == result.suggestion)
    assert star.get_ydata() == pytest.approx([result.smoothed[place]])
    assert [text.get_text() for text in ax.texts] == ["too small", "good", "too large"]
    assert (ax.get_xscale(), ax.get_xlabel()) == ("log", "learning rate (logarithmic scale)")
    assert any(f"suggested: {result.suggestion:.3g}" == text.get_text() for text in ax.get_legend().get_texts())
    assert ax.get_xlim() == pytest.approx((1e-5, 100.0))
    assert isinstance(result, LearningRateRange)
    assert repr(result).endswith(f", suggested {result.suggestion:.3g})")
    assert result._repr_png_().startswith(b"\x89PNG")


def test_good_rates_reach_the_highest_if_none_is_too_high() -> None:
    loss, parameters = bowl(1.0)
    result = learning_rate_range(loss, SGD(parameters), lowest=1e-4, highest=1.0, steps=30)
    assert result.good is not None
    assert result.good[1] == pytest.approx(1.0)
    assert [text.get_text() for text in result.plot().texts] == ["too small", "good"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"loss": 1.0},
            "learning_rate_range: loss: expected a function without arguments, got an object of type float",
        ),
        ({"loss": lambda: 1.0}, "loss: expected it to return a Value, got an object of type float"),
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
