"""The loss over a plane: each height equals a direct evaluation, and nothing is left changed."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from microgrud import Value, exp, log
from microgrud.engine.vectors import read_data, read_gradients, write_data
from microgrud.losses import squared_error
from microgrud.nn import MLP, Module
from microgrud.plot import LossSurface, Trajectory, beale, himmelblau, loss_surface, replayed_loss
from microgrud.plot.parameters import filters_of
from microgrud.plot.planes import filter_normalized_plane
from microgrud.tape.native import native_tape
from microgrud.train.progress import with_progress

X = [[0.1 * i, -0.3 * i] for i in range(4)]
Y = [0.2 * i for i in range(4)]


def network(seed: int = 0) -> MLP:
    model = MLP(2, [3, 1], activation="tanh", rng=random.Random(seed))
    for p in model.parameters():
        p.grad = 0.5
    return model


def two() -> tuple[Value, Value]:
    return Value(1.0, label="x"), Value(-2.0, label="y")


def walk_of(parameters: list[Value], places: Any) -> Trajectory:
    """Return a recorded walk over these places; the parameters keep their values."""
    before = read_data(parameters)
    trajectory = Trajectory(parameters)
    for i, place in enumerate(places):
        write_data(parameters, np.asarray(place, dtype=float))
        trajectory.record(float(i))
    write_data(parameters, before)
    return trajectory


# --- the heights ---


@given(
    corner=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    sides=st.tuples(st.floats(0.1, 4), st.floats(0.1, 4)),
    points=st.tuples(st.integers(2, 5), st.integers(2, 5)),
)
def test_each_height_is_that_of_a_direct_evaluation(
    corner: tuple[float, float], sides: tuple[float, float], points: tuple[int, int]
) -> None:
    x, y = two()
    extent = [(low, low + side) for low, side in zip(corner, sides)]
    surface = loss_surface(lambda: beale(x, y), [x, y], extent=extent, points=points)
    assert surface.losses.shape == (points[1], points[0])
    assert (surface.x[0], surface.x[-1]) == extent[0]
    assert (surface.y[0], surface.y[-1]) == extent[1]
    for j, b in enumerate(surface.y):
        for i, a in enumerate(surface.x):
            assert surface.losses[j, i] == beale(Value(float(a)), Value(float(b))).data


@pytest.mark.parametrize("directions", ["random", ("layers.0.neurons.0.w.0", "layers.1.neurons.0.b")])
def test_each_height_of_a_network_is_that_at_its_point_of_the_plane(directions: Any) -> None:
    model = network()
    surface = loss_surface(lambda: squared_error([model(row) for row in X], Y), model, directions=directions, points=3)
    other = network()
    for j, b in enumerate(surface.y):
        for i, a in enumerate(surface.x):
            write_data(other.parameters(), surface.plane.point(a, b))
            assert surface.losses[j, i] == squared_error([other(row) for row in X], Y).data


@pytest.mark.parametrize("kind", [float, np.float64, Value])
def test_a_loss_may_be_a_value_or_a_number(kind: Any) -> None:
    x, y = two()
    surface = loss_surface(lambda: kind(x.data + y.data), [x, y], extent=(0, 1), points=2)
    assert surface.losses.tolist() == [[0.0, 1.0], [1.0, 2.0]]


def test_nothing_is_recorded_meanwhile() -> None:
    x, y = two()
    results = []

    def loss() -> Value:
        results.append(x * y)
        return results[-1]

    loss_surface(loss, [x, y], points=2)
    assert all(result.is_leaf for result in results)
    assert not (x * y).is_leaf


# --- parameters and gradients afterwards ---


def stop(error: BaseException, after: int) -> Any:
    calls = []

    def loss() -> float:
        calls.append(1)
        if len(calls) > after:
            raise error
        return 1.0

    return loss


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TypeError("mistake"), ValueError("everywhere")])
def test_parameters_and_gradients_come_back_bit_for_bit_also_after_an_error(error: BaseException) -> None:
    model = network()
    model.layers[0].neurons[0].w[0].data = 0.1 + 0.2
    model.layers[0].neurons[0].w[1].data = -0.0
    data, gradients = read_data(model.parameters()).tobytes(), read_gradients(model.parameters()).tobytes()
    with pytest.raises(type(error)):
        loss_surface(stop(error, 0 if isinstance(error, ValueError) else 5), model, points=4)
    loss_surface(lambda: squared_error([model(row) for row in X], Y), model, points=3)
    assert read_data(model.parameters()).tobytes() == data
    assert read_gradients(model.parameters()).tobytes() == gradients


def test_gradients_come_back_though_the_loss_clears_them() -> None:
    model = network()

    def loss() -> Any:
        model.zero_grad()
        return squared_error([model(row) for row in X], Y)

    loss_surface(loss, model, points=3)
    assert {p.grad for p in model.parameters()} == {0.5}


# --- places without a loss ---


def test_places_without_a_finite_loss_are_nan_or_infinite_and_counted() -> None:
    x, y = two()
    surface = loss_surface(lambda: log(x) + (math.inf if y.data > 0.5 else 0.0), [x, y], extent=(-1, 1), points=3)
    assert np.array_equal(surface.losses, [[np.nan, np.nan, 0.0], [np.nan, np.nan, 0.0], [np.nan, np.nan, np.inf]],
                          equal_nan=True)  # fmt: skip
    assert surface.undefined == 7
    assert surface.failure is not None
    assert surface.failure.startswith("ValueError: log(x=-1.0): expected x > 0")


def test_an_overflow_is_a_place_without_a_loss() -> None:
    x, y = two()
    surface = loss_surface(lambda: exp(x) + y, [x, y], extent=((0, 1000), (0, 1)), points=2)
    assert np.isnan(surface.losses).tolist() == [[False, True], [False, True]]


def test_a_mistake_in_the_loss_is_not_taken_for_a_place_without_one() -> None:
    x, y = two()
    with pytest.raises(ValueError, match="expected as many targets"):
        loss_surface(lambda: squared_error([x, y], [1.0]), [x, y], points=2)


# --- planes ---


def test_two_parameters_span_the_plane_by_default_and_others_stay() -> None:
    x, y = two()
    z = Value(5.0)
    surface = loss_surface(lambda: z * x + y, [x, y], points=2, extent=(0, 1))
    assert surface.plane.labels == ("x", "y")
    chosen = loss_surface(lambda: z * x + y, [x, z, y], directions=(y, "x"), points=2, extent=(0, 1))
    assert chosen.plane.labels == ("y", "x")
    assert chosen.losses.tolist() == [[0.0, 1.0], [5.0, 6.0]]


def test_without_an_extent_it_lies_around_the_parameters_as_far_as_their_size() -> None:
    x, y = Value(0.25), Value(-30.0)
    surface = loss_surface(lambda: x + y, [x, y], points=3)
    assert surface.x.tolist() == [-0.75, 0.25, 1.25]
    assert surface.y.tolist() == [-60.0, -30.0, 0.0]
    assert surface.plane.labels == ("parameter 0", "parameter 1")
    assert loss_surface(lambda: 1.0, network(), points=2).x.tolist() == [-1.0, 1.0]


@given(seed=st.integers(0, 2**32))
def test_in_a_random_direction_the_weights_of_each_neuron_are_as_long_as_they_are_and_biases_stay(seed: int) -> None:
    model = network(seed % 5)
    plane = loss_surface(lambda: 1.0, model, points=2, seed=seed).plane
    names = [name for name, _ in model.named_parameters()]
    for direction in plane.directions:
        for neuron in ("layers.0.neurons.0", "layers.0.neurons.1", "layers.0.neurons.2", "layers.1.neurons.0"):
            weights = [i for i, name in enumerate(names) if name.startswith(f"{neuron}.w")]
            assert np.linalg.norm(direction[weights]) == pytest.approx(np.linalg.norm(plane.origin[weights]))
            assert direction[names.index(f"{neuron}.b")] == 0.0
    assert plane.origin.tolist() == read_data(model.parameters()).tolist()
    assert not np.allclose(*plane.directions)


def test_random_directions_depend_on_the_seed_alone() -> None:
    first, again, other = (loss_surface(lambda: 1.0, network(), points=2, seed=s).plane.directions for s in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_parameters_of_another_module_are_a_filter_and_so_is_a_list() -> None:
    class Scaled(Module):
        def __init__(self) -> None:
            self.scale, self.shift = Value(2.0), Value(3.0)
            self.net = MLP(1, [1], rng=0)

    scaled = Scaled()
    assert filters_of(scaled, scaled.parameters()) == [[0, 1], [2]]
    assert filters_of(None, [Value(0.0)] * 3) == [[0, 1, 2]]


def test_weights_that_are_all_zero_give_no_directions() -> None:
    with pytest.raises(ValueError, match="expected at least two weights other than 0 to scale random directions"):
        filter_normalized_plane(np.zeros(3), [[0, 1, 2]], 0)


@given(seed=st.integers(0, 1000), places=st.integers(3, 12))
def test_a_walk_in_a_plane_is_wholly_in_its_principal_plane(seed: int, places: int) -> None:
    rng = np.random.default_rng(seed)
    model = network()
    n = len(model.parameters())
    walk = rng.standard_normal(n) + rng.standard_normal((places, 2)) @ rng.standard_normal((2, n))
    trajectory = walk_of(model.parameters(), walk)
    surface = loss_surface(lambda: 1.0, model, trajectory=trajectory, points=2)
    plane = surface.plane
    assert plane.directions @ plane.directions.T == pytest.approx(np.eye(2), abs=1e-12)
    path = surface.path(trajectory)
    assert np.array([plane.point(a, b) for a, b in path]) == pytest.approx(walk, abs=1e-11)
    assert path[-1].tolist() == [0.0, 0.0]
    assert plane.variance is not None
    assert sum(plane.variance) == pytest.approx(1.0)
    assert plane.variance[0] >= plane.variance[1]
    assert (surface.x[0] < path[:, 0]).all()
    assert (path[:, 1] < surface.y[-1]).all()


def test_the_shares_of_variance_are_those_of_scikit_learn() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    walk = np.cumsum(np.random.default_rng(3).standard_normal((20, 13)), axis=0)
    model = network()
    plane = loss_surface(lambda: 1.0, model, trajectory=walk_of(model.parameters(), walk), points=2).plane
    expected = decomposition.PCA(2).fit(walk)
    assert plane.variance == pytest.approx(expected.explained_variance_ratio_)
    assert np.abs(plane.directions @ expected.components_.T) == pytest.approx(np.eye(2), abs=1e-9)
    assert f"({plane.variance[0]:.1%} of the walk)" in plane.labels[0]
    assert (plane.directions.max(axis=1) == np.abs(plane.directions).max(axis=1)).all()


def test_a_walk_is_projected_to_the_nearest_places_of_a_plane_whose_directions_are_askew() -> None:
    plane = filter_normalized_plane(np.array([1.0, 2.0, 3.0]), [[0, 1, 2]], 0)
    points = np.random.default_rng(0).standard_normal((5, 3))
    for point, (a, b) in zip(points, plane.project(points)):
        assert plane.directions @ (point - plane.point(a, b)) == pytest.approx([0.0, 0.0], abs=1e-12)


def test_a_walk_may_have_its_parameters_in_another_order() -> None:
    x, y = two()
    trajectory = walk_of([y, x], [[2.0, 1.0], [4.0, 3.0]])
    surface = loss_surface(lambda: himmelblau(x, y), [x, y], trajectory=trajectory, points=2)
    assert surface.path(trajectory).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert surface.x[0] == pytest.approx(1.0 - 0.4)


def test_places_that_ran_away_do_not_set_the_extent() -> None:
    x, y = two()
    trajectory = walk_of([x, y], [[0.0, 0.0], [1.0, 1.0], [math.inf, math.nan]])
    surface = loss_surface(lambda: x + y, [x, y], trajectory=trajectory, points=2)
    assert surface.x.tolist() == pytest.approx([-0.2, 1.2])


# --- progress ---


def test_a_progress_bar_is_shown_on_request_and_not_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = two()
    loss_surface(lambda: x + y, [x, y], points=2)
    loss_surface(lambda: x + y, [x, y], points=2, progress=False)
    assert capsys.readouterr().err == ""
    loss_surface(lambda: x + y, [x, y], points=2, progress=True)
    assert "2/2" in capsys.readouterr().err


def test_no_bar_is_made_unless_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    # An automatic bar appears after two seconds, so that the output of a short run proves nothing.
    items = [1, 2, 3]
    for interactive in (True, False):
        monkeypatch.setattr("microgrud.train.progress.is_interactive", lambda interactive=interactive: interactive)
        assert with_progress("here", items, False, "item") is items
        assert (with_progress("here", items, None, "item") is items) is not interactive


def test_without_tqdm_the_bar_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = two()
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match="loss_surface: .* pip install tqdm"):
        loss_surface(lambda: x + y, [x, y], points=2, progress=True)


# --- invalid arguments ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"loss": 3.0},
            "loss: expected a function without arguments such as lambda: ..., got an object of type float",
        ),
        ({"parameters": []}, "loss_surface: parameters: expected at least one parameter"),
        ({"parameters": [Value(1.0)]}, "loss_surface: expected at least 2 parameters to span a plane, got 1$"),
        ({"points": 1}, "points: expected an integer of at least 2, got 1"),
        ({"points": (3, 1)}, r"points\[1\]: expected an integer of at least 2"),
        ({"extent": (1, 1)}, r"extent: expected \(low, high\) with low below high, got \(1, 1\)"),
        ({"extent": 3}, "extent: expected a pair of numbers, got 3"),
        ({"extent": ((0, 1), (0, math.inf))}, r"extent\[1\]\[1\]: expected a finite number"),
        ({"extent": (-1e308, 1e308)}, r"extent\[0\]: expected a finite number -1e\+250 <= x <= 1e\+250, got -1e\+308"),
        ({"directions": "steepest"}, "directions: expected one of 'random', 'principal', got 'steepest'"),
        ({"directions": "principal"}, "directions: expected one trajectory with 'principal', got 0"),
        ({"directions": ("x",)}, "directions: expected two parameters, got 1"),
        ({"directions": ("x", "z")}, "expected one of the parameters x, y; got 'z', which is none of them$"),
        ({"directions": ("x", "x")}, "expected two different parameters, got x twice"),
        ({"directions": (1, 2)}, "expected Values, labels or names, got an object of type int"),
        ({"directions": 7}, "directions: expected 'random', 'principal' or a pair"),
        ({"trajectory": [1.0]}, "trajectory: expected a Trajectory or a dict of them, got an object of type list"),
        ({"trajectory": Trajectory([Value(1.0)])}, "trajectory: expected a walk with at least one place"),
        ({"trajectory": walk_of([Value(1.0)], [[1.0]])}, "expected a walk of the same 2 parameters"),
        ({"trajectory": walk_of([Value(1.0), Value(2.0)], [[1.0, 2.0]])}, "expected a walk of the same 2 parameters"),
        ({"seed": -1}, "seed: expected an integer of at least 0"),
        ({"loss": lambda: None}, "the loss that the function returned: expected a real number, got None"),
    ],
)
def test_invalid_arguments_are_refused_with_a_clear_message(change: dict[str, Any], message: str) -> None:
    x, y = two()
    arguments: dict[str, Any] = {"loss": lambda: x + y, "parameters": [x, y], "points": 3}
    with pytest.raises((TypeError, ValueError), match=message):
        loss_surface(**{**arguments, **change})


def test_a_walk_that_goes_nowhere_or_has_one_parameter_spans_no_plane() -> None:
    x, y = two()
    with pytest.raises(ValueError, match="expected a walk that moves"):
        loss_surface(lambda: x, [x, y], directions="principal", trajectory=walk_of([x, y], [[1.0, 2.0]] * 3))
    z = Value(0.0)
    with pytest.raises(ValueError, match="expected a walk that moves"):  # although the mean of three is rounded
        loss_surface(lambda: x, [x, y, z], trajectory=walk_of([x, y, z], [[0.1, 0.2, 0.7]] * 3))
    with pytest.raises(ValueError, match="expected at least 2 parameters to span a plane, got 1"):
        loss_surface(lambda: x, [x], directions="principal", trajectory=walk_of([x], [[1.0], [2.0]]))
    with pytest.raises(ValueError, match="expected places, all with numbers up to"):
        loss_surface(lambda: x, [x, y], directions="principal", trajectory=walk_of([x, y], [[1.0, math.nan]]))
    with pytest.raises(ValueError, match="expected a walk with at least one finite place"):
        loss_surface(lambda: x, [x, y], trajectory=walk_of([x, y], [[1.0, math.nan]]))


@pytest.mark.parametrize("far", [1e260, 1.7e308])
def test_a_walk_that_is_on_its_way_to_infinity_sets_no_extent_and_spans_no_plane(far: float) -> None:
    x, y, z = Value(1.0), Value(1.0), Value(1.0)
    walk = walk_of([x, y], [[0.0, 0.0], [1.0, 1.0], [-far, far]])
    assert loss_surface(lambda: x + y, [x, y], trajectory=walk, points=2).x.tolist() == pytest.approx([-0.2, 1.2])
    lost = walk_of([x, y, z], [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [-far, far, 1.0]])
    with pytest.raises(ValueError, match="expected places, all with numbers up to"):
        loss_surface(lambda: x, [x, y, z], trajectory=lost)
    x.data = far
    with pytest.raises(ValueError, match="parameters: expected numbers up to"):
        loss_surface(lambda: x + y, [x, y])


def test_the_shares_of_a_long_walk_do_not_overflow() -> None:
    parameters = [Value(0.0), Value(0.0), Value(0.0)]
    plane = loss_surface(
        lambda: 1.0, parameters, trajectory=walk_of(parameters, [[0.0, 0, 0], [2e200, 0, 0], [0, 1e200, 0]]), points=2
    ).plane
    assert plane.variance is not None
    assert sum(plane.variance) == pytest.approx(1.0)


def test_a_model_that_has_run_away_is_refused() -> None:
    x, y = Value(1.0), Value(math.nan)
    with pytest.raises(ValueError, match="parameters: expected finite numbers, got nan at index 1"):
        loss_surface(lambda: x + y, [x, y])


def test_equal_labels_are_ambiguous() -> None:
    a, b, c = Value(1.0, label="w"), Value(2.0, label="w"), Value(3.0, label="b")
    with pytest.raises(ValueError, match="got 'w', which is the name of 2 of them$"):
        loss_surface(lambda: a + b + c, [a, b, c], directions=("w", "b"))


def test_a_surface_is_a_record_of_what_was_evaluated() -> None:
    x, y = two()
    surface = loss_surface(lambda: x + y, [x, y], points=2)
    assert isinstance(surface, LossSurface)
    assert (surface.undefined, surface.failure, surface.trajectories) == (0, None, {})
    assert repr(surface) == "LossSurface(2 x 2 points over x and y, losses from -4 to 2)"
    x.data = -1.0
    partly = loss_surface(lambda: log(x), [x, y], points=3, extent=(-1, 1))
    assert repr(partly).endswith("losses from 0 to 0, 6 without a finite loss)")
    nowhere = loss_surface(lambda: math.inf, [x, y], points=2)
    assert repr(nowhere).endswith("no finite loss, 4 without a finite loss)")


# --- replays ---


def a_network_and_its_loss() -> tuple[MLP, Callable[[], Value]]:
    model = MLP(2, [8, 1], activation="tanh", rng=0)
    rows = [[i / 5, 1 - i / 7] for i in range(9)]
    return model, lambda: squared_error([model(row) for row in rows], [a * b for a, b in rows])


REPLAYED = pytest.mark.skipif(native_tape is None, reason="the interpreter in NumPy is no faster at one place")


@REPLAYED
@pytest.mark.parametrize("case", ["network", "reads numbers", "NumPy", "branches at will", "small", "few places"])
def test_a_loss_is_replayed_where_it_is_on_the_list_to_the_same_surface(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, loss = a_network_and_its_loss()
    parameters = model.parameters()
    losses: dict[str, Callable[[], Any]] = {
        "network": loss,
        "reads numbers": lambda: loss().data,
        "NumPy": lambda: loss() + float(np.sum(read_data(parameters) ** 2)),
        "branches at will": lambda: sum(
            [p if p > 0.1 * k else 2 * p for p in parameters for k in range(-9, 9)], loss()
        ),
        "small": lambda: parameters[0] * parameters[1],
        "few places": loss,
    }
    made: list[Any] = []
    real = replayed_loss.ReplayedLoss
    monkeypatch.setattr(replayed_loss, "ReplayedLoss", lambda loss: made.append(real(loss)) or made[-1])
    points = 13 if case == "few places" else 15
    found = loss_surface(losses[case], model, points=points, progress=False).losses
    assert [each.compiled is not None for each in made] == ([] if case == "few places" else [case == "network"])
    monkeypatch.setattr(replayed_loss, "native_tape", None)
    expected = loss_surface(losses[case], model, points=points, progress=False).losses
    assert found == pytest.approx(expected, rel=1e-10, nan_ok=True)
    assert np.ptp(found) > 0.1


def test_a_loss_that_changes_something_is_called_as_often_as_there_are_places() -> None:
    model, loss = a_network_and_its_loss()
    calls = []

    def counted() -> Value:
        calls.append(len(calls))
        return loss()

    surface = loss_surface(counted, model, points=15, progress=False)
    assert calls == list(range(surface.losses.size))


def test_places_where_a_recorded_loss_is_undefined_have_none() -> None:
    model, loss = a_network_and_its_loss()
    first, second = model.parameters()[:2]
    surface = loss_surface(
        lambda: loss() + log(first), model, directions=(first, second), extent=(-1, 1), points=15, progress=False
    )
    assert surface.undefined == 15 * 8
    assert "log" in str(surface.failure)
