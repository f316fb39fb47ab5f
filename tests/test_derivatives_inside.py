"""Models and losses that contain a derivative keep it wherever the package evaluates them, also inside no_grad()."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from arrays import np

import microgrud
from microgrud import Value, enable_grad, gradient, no_grad, tanh
from microgrud.interactive import descent, regions, residuals, tangent
from microgrud.losses import squared_error
from microgrud.nn import MLP, Module
from microgrud.testing import check_gradients


class Slope(Module):
    """The derivative of a network with respect to its input."""

    def __init__(self) -> None:
        self.network = MLP(1, [3, 1], activation="tanh", rng=0)

    def __call__(self, row: Sequence[Any]) -> Any:
        (given,) = row
        x = given if isinstance(given, Value) else Value(given)
        return gradient(self.network([x]), x)


def cube_slope(x: Any) -> Any:
    return gradient(x**3, x)


ROWS = [[k / 10.0] for k in range(10)]


def slopes(model: Slope) -> list[float]:
    """Return the predictions by difference quotients."""
    network, h = model.network, 1e-6
    return [(network([x + h]).data - network([x - h]).data) / (2.0 * h) for (x,) in ROWS]


def test_predict_and_evaluate_and_the_validation_of_fit_differentiate() -> None:
    train = pytest.importorskip("microgrud.train", exc_type=ImportError)
    model = Slope()
    for mode in (enable_grad, no_grad):
        with mode():
            assert model.predict(ROWS) == pytest.approx(slopes(model), abs=1e-8)  # by a replay
            assert model.predict(ROWS[:2]) == pytest.approx(slopes(model)[:2], abs=1e-8)  # row by row
            found, _ = train.evaluate(model, ROWS, [1.0] * 10, loss=squared_error)
        assert found == pytest.approx(np.mean([(s - 1.0) ** 2 for s in slopes(model)]), abs=1e-7)
    held_out = (ROWS, [1.0] * 10)
    history = train.fit(
        model, ROWS, [1.0] * 10, loss=squared_error, lr=0.01, epochs=2, validation=held_out, progress=False
    )
    expected = np.mean([(s - 1.0) ** 2 for s in slopes(model)])
    assert history.epochs[-1].validation_loss == pytest.approx(expected, abs=1e-7)


def test_pictures_differentiate() -> None:
    picture = tangent(cube_slope, at=1.0)
    assert (picture.value, picture.slope, picture.secant) == (3.0, 6.0, 9.0)
    with no_grad():
        inside = tangent(cube_slope, at=1.0)
        walk = descent(lambda x: x * x, 1.0, lr=0.25, steps=1).walks[0]
        assert residuals(lambda x: cube_slope(Value(x)), [2.0], [10.0]).errors() == [2.0]
    assert (inside.value, inside.slope, inside.secant) == (3.0, 6.0, 9.0)
    assert walk.losses == [1.0, 0.25]
    model = Slope()
    picture_of = regions(lambda row: model([row[0]]) + 0.25, [(0.0, 0.0), (3.0, 1.0)], [0, 1], resolution=3)
    assert picture_of.accuracy() == sum((model([x]).data + 0.25 > 0.0) == (x > 0.0) for x in (0.0, 3.0)) / 2


def test_surfaces_and_regions_of_matplotlib_differentiate() -> None:
    plot = pytest.importorskip("microgrud.plot", exc_type=ImportError)
    w, b = Value(1.0), Value(0.5)

    def loss() -> Value:
        x = Value(0.3)
        return gradient(tanh(w * x + b), x) ** 2

    surface = plot.loss_surface(loss, [w, b], points=3, extent=(-1, 1), progress=False)
    expected = [[(a * (1.0 - np.tanh(0.3 * a + c) ** 2)) ** 2 for a in (-1, 0, 1)] for c in (-1, 0, 1)]
    np.testing.assert_allclose(surface.losses, expected, rtol=1e-12)
    axes = plot.decision_regions(lambda row: cube_slope(Value(row[0])) - 3.0, [(0.0, 0.0), (2.0, 1.0)], [0, 1])
    assert len(axes.collections) > 1  # both classes have a region


def test_the_check_of_gradients_differentiates_and_so_does_a_recording_inside_no_grad() -> None:
    assert check_gradients(cube_slope, 2.0)
    with no_grad():
        assert check_gradients(cube_slope, 2.0)
    if repr(np).startswith("<module"):
        recorded = microgrud.compile(cube_slope)
        with no_grad():
            assert recorded(2.0) == 12.0


def test_a_gradient_of_what_no_grad_has_cut_off_is_an_error() -> None:
    x = Value(2.0)
    outside = x**3
    with no_grad():
        for output in (x**3, [outside, 2.0 * x]):
            with pytest.raises(RuntimeError, match=r"^gradient: expected an output with a graph, .* enable_grad\(\)$"):
                gradient(output, x)  # type: ignore[call-overload]
        assert gradient(outside, x).data == 12.0
        assert gradient([outside, x], x, [1.0, 2.0]).data == 14.0
        with enable_grad():
            assert gradient(x**3, x).data == 12.0
    assert gradient(Value(1.0), x).data == 0.0
