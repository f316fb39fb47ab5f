"""Decision regions: each place lies in the region of the class that the model predicts for it."""

from __future__ import annotations

import io
import math
import random
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from microgrud import Value, relu
from microgrud.nn import MLP, Module
from microgrud.plot import decision_regions
from microgrud.plot.style import style

X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.2]]


def flat() -> Any:
    return Figure(figsize=(4, 4), dpi=50).add_subplot()


def color_at(ax: Any, x: float, y: float) -> np.ndarray[Any, Any]:
    """Return the background colour at a place: the lightest around it, since hatches and lines are darker."""
    ax.get_legend().set_visible(False)
    canvas: Any = FigureCanvasAgg(ax.figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1, :, :3] / 255.0
    column, row = ax.transData.transform((x, y)).round().astype(int)
    around = pixels[row - 4 : row + 5, column - 4 : column + 5].reshape(-1, 3)
    return np.asarray(around[around.sum(axis=1).argmax()])


def tint(index: int) -> Any:
    return pytest.approx(np.array(to_rgb(style(index).tint)), abs=0.02)


def regions(model: Any, y: Any, **arguments: Any) -> Any:
    return decision_regions(model, X, y, flat(), points=41, **arguments)


def test_a_logit_above_0_is_the_second_class() -> None:
    ax = regions(lambda row: 4.0 * (row[0] - 0.5), [0, 0, 1, 1, 1])
    assert color_at(ax, 0.2, 0.6) == tint(0)
    assert color_at(ax, 0.8, 0.6) == tint(1)


def test_a_probability_above_one_half_is_the_second_class() -> None:
    ax = regions(lambda row: 0.4 + 0.2 * (row[0] > 0.7), [0, 0, 1, 1, 1])
    assert color_at(ax, 0.55, 0.6) == tint(0)
    assert color_at(ax, 0.9, 0.6) == tint(1)


def test_an_mlp_says_by_its_activation_whether_its_output_is_a_probability() -> None:
    # Both models return numbers between 0 and 1 for these weights.
    for output, second in (("sigmoid", False), ("linear", True)):
        model = MLP(2, [1], output=output, init="zeros")
        model.layers[0].neurons[0].b.data = 0.3 if output == "linear" else -1.0  # type: ignore[union-attr]
        assert color_at(regions(model, [0, 0, 1, 1, 1]), 0.3, 0.6) == tint(1 if second else 0)


def test_a_threshold_may_be_chosen_and_scores_of_hinge_have_the_classes_minus_1_and_1() -> None:
    ax = regions(lambda row: 10.0 * row[0], [-1, -1, 1, 1, 1], threshold=5.0)
    assert color_at(ax, 0.2, 0.6) == tint(0)
    assert color_at(ax, 0.8, 0.6) == tint(1)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["-1", "1"]
    ax = regions(lambda row: 0.2 + 0.1 * row[0], [-1, -1, 1, 1, 1])  # scores between 0 and 1 are no probabilities
    assert color_at(ax, 0.2, 0.6) == tint(1)
    assert color_at(ax, 0.8, 0.6) == tint(1)


def test_a_batched_model_is_called_once_and_draws_the_regions_of_one_that_takes_a_row() -> None:
    calls: list[Any] = []

    def model(rows: Any) -> Any:
        calls.append(rows)
        return np.stack([0.0 * rows[:, 0], 3.0 * (rows[:, 0] - 0.4), 6.0 * (rows[:, 0] - 0.7)], axis=1)

    y = [0, 1, 2, 2, 1]
    ax = regions(model, y, batched=True)
    assert [rows.shape for rows in calls] == [(41 * 41, 2)]
    alone = regions(lambda row: model(np.array([row]))[0].tolist(), y)
    svg = [io.BytesIO(), io.BytesIO()]
    for file, each in zip(svg, (ax, alone)):
        each.figure.savefig(file, format="png")
    assert svg[0].getvalue() == svg[1].getvalue()
    assert color_at(regions(lambda rows: rows[:, 0] - 0.5, [0, 0, 1, 1, 1], batched=True), 0.8, 0.6) == tint(1)


@pytest.mark.parametrize("outputs", [np.zeros(3), np.zeros((41 * 41, 0)), 0.0, np.zeros((41 * 41, 1, 1))])
def test_a_batched_model_needs_an_output_for_each_point(outputs: Any) -> None:
    message = r"model: expected a number or a row of outputs for each of 1681 points, got an array of shape \("
    with pytest.raises(ValueError, match=message):
        regions(lambda rows: outputs, [0, 0, 1, 1, 1], batched=True)


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_the_largest_of_several_outputs_wins(kind: Any) -> None:
    def model(row: list[float]) -> Any:
        return kind([0.0, 3.0 * (row[0] - 0.4), 6.0 * (row[0] - 0.7)])

    ax = regions(model, [0, 1, 2, 2, 1], class_names=["low", "$middle", "high"])
    assert color_at(ax, 0.2, 0.6) == tint(0)
    assert color_at(ax, 0.7, 0.6) == tint(1)
    assert color_at(ax, 1.05, 0.6) == tint(2)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["low", "$middle", "high"]
    ax.figure.draw_without_rendering()  # a dollar sign does not begin a formula


def test_samples_are_drawn_by_class_each_with_a_marker_of_its_own() -> None:
    y = [0, 1, 1, 0, 1]
    ax = regions(lambda row: row[0] - row[1], y)
    groups = {c.get_label(): c for c in ax.collections if c.get_label() in ("0", "1")}
    assert groups["0"].get_offsets().tolist() == [X[0], X[3]]
    assert groups["1"].get_offsets().tolist() == [X[1], X[2], X[4]]
    first, second = (groups[label].get_paths()[0].vertices for label in "01")
    assert first.shape != second.shape
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x1", "x2")
    assert ax.get_xlim() == pytest.approx((-0.08, 1.08))


def test_a_class_without_a_region_or_without_samples_is_in_the_legend_all_the_same() -> None:
    ax = regions(lambda row: [1.0, 0.0, -1.0], [0, 0, 1, 1, 0])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1", "2"]
    assert color_at(ax, 0.3, 0.7) == tint(0)


def test_regression_is_a_heat_map_of_the_predictions_with_the_samples_in_the_colours_of_their_targets() -> None:
    y = [0.5 * a - b for a, b in X]
    ax = regions(lambda row: Value(0.5 * row[0] - row[1]), y)
    (heat,) = (c for c in ax.collections if type(c).__name__ == "QuadMesh")
    grid = np.asarray(heat.get_coordinates())
    assert np.asarray(heat.get_array()).ravel() == pytest.approx((0.5 * grid[..., 0] - grid[..., 1]).ravel())
    (samples,) = (c for c in ax.collections if c.get_label() == "sample")
    assert samples.get_array().tolist() == y
    assert samples.get_offsets().tolist() == X
    assert samples.norm.vmin == heat.norm.vmin
    assert samples.norm.vmax == heat.norm.vmax
    assert ax.figure.axes[1].get_ylabel() == "prediction; in the circles: target"


def test_a_heat_map_is_an_image_in_vector_files_too() -> None:
    # With triangles the file took 64 MB.
    ax = decision_regions(lambda row: row[0] * row[1], X, [0.5 * a - b for a, b in X])
    file = io.BytesIO()
    ax.figure.savefig(file, format="svg")
    assert b"<image" in file.getvalue()
    assert len(file.getvalue()) < 1_000_000


# --- the legend ---

CENTERS = np.array([[0.0, 0.0], [3.0, 3.0], [-3.0, 3.0], [3.0, -3.0], [-3.0, -3.0]])


def clouds() -> tuple[Any, Any, Any]:
    """Return five classes in the middle and in the corners, and a model that predicts them."""
    y = np.repeat(np.arange(5), 20)
    rows = CENTERS[y] + np.random.default_rng(0).standard_normal((100, 2))
    return lambda row: (-((CENTERS - row) ** 2).sum(axis=1)).tolist(), rows, y


def hidden_samples(ax: Any, rows: Any) -> int:
    """Return the number of samples under the legend."""
    FigureCanvasAgg(ax.figure.figure).draw()
    box = ax.get_legend().get_window_extent()
    return sum(box.contains(*place) for place in ax.transData.transform(rows))


def test_the_legend_is_next_to_the_picture_if_no_place_is_free() -> None:
    model, rows, y = clouds()
    ax: Any = decision_regions(model, rows, y, class_names=["a", "b", "the class with the longest name", "d", "e"])
    assert hidden_samples(ax, rows) == 0
    box, inside = ax.get_legend().get_window_extent(), ax.get_window_extent()
    assert inside.x1 < box.x0 < box.x1 < ax.figure.bbox.x1
    assert inside.width > 300  # the Figure is wider, not the picture narrower


@pytest.mark.parametrize("free", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_the_legend_is_in_a_free_corner(free: tuple[int, int]) -> None:
    model, rows, y = clouds()
    kept = (rows * free).min(axis=1) < 0.3
    ax: Any = decision_regions(model, rows[kept], y[kept])
    assert hidden_samples(ax, rows[kept]) == 0
    box, inside = ax.get_legend().get_window_extent(), ax.get_window_extent()
    assert inside.x0 < box.x0 < box.x1 < inside.x1


def test_axes_of_a_subfigure_have_their_legend_next_to_them() -> None:
    model, rows, y = clouds()
    ax: Any = Figure(figsize=(12, 4), layout="constrained").subfigures(1, 2)[0].add_subplot()
    decision_regions(model, rows, y, ax, class_names=["a", "b", "the class with the longest name", "d", "e"])
    assert hidden_samples(ax, rows) == 0
    assert ax.get_legend().get_window_extent().x0 > ax.get_window_extent().x1


def test_in_a_figure_without_a_layout_the_legend_hides_the_fewest_samples() -> None:
    model, rows, y = clouds()
    kept = (rows.min(axis=1) < 0) | (np.arange(100) % 4 == 0)  # few in the upper right corner
    ax: Any = decision_regions(model, rows[kept], y[kept], Figure(figsize=(5, 4)).add_subplot())
    fewest = hidden_samples(ax, rows[kept])
    box = ax.get_legend().get_window_extent()
    assert ax.get_window_extent().count_contains([box.min, box.max]) == 2
    for corner in ("upper right", "upper left", "lower left", "lower right"):
        ax.get_legend().set_loc(corner)
        assert fewest <= hidden_samples(ax, rows[kept])
    assert fewest < len(rows[kept]) / 10


# --- no finite prediction ---


def hatched(ax: Any) -> int:
    return sum(isinstance(patch, Rectangle) and bool(patch.get_hatch()) for patch in ax.patches)


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (lambda row: math.nan, [0, 0, 1, 1, 1]),
        (lambda row: [1.0, row[0], math.nan], [0, 0, 1, 1, 2]),
        (lambda row: row[0] if row[0] < 0.5 else math.nan, [0, 0, 1, 1, 1]),
        (lambda row: [math.inf, math.inf], [0, 0, 1, 1, 1]),
        (lambda row: row[0] if row[0] < 0.5 else math.nan, [0.1, 0.2, 0.3, 0.4, 0.5]),
        (lambda row: math.nan, [0.1, 0.2, 0.3, 0.4, 0.5]),
        (lambda row: math.inf, [0.1, 0.2, 0.3, 0.4, 0.5]),
    ],
)
def test_places_without_a_finite_prediction_are_hatched_and_in_the_legend(model: Any, y: Any) -> None:
    ax = regions(model, y)
    assert hatched(ax) == 1
    assert ax.get_legend().get_texts()[-1].get_text() == "no finite prediction here"
    ax.figure.draw_without_rendering()


def test_finite_predictions_are_not_hatched() -> None:
    assert hatched(regions(lambda row: row[0], [0, 0, 1, 1, 1])) == 0
    ax = regions(lambda row: row[0], [0.1, 0.2, 0.3, 0.4, 0.5])
    assert hatched(ax) == 0
    assert ax.get_legend() is None


@pytest.mark.parametrize(
    ("model", "threshold", "expected"),
    [
        (lambda row: 0.0, None, (0, 0)),
        (lambda row: 0.5, 0.5, (0, 0)),
        (lambda row: float(row[0] > 0.5), 0.0, (0, 1)),  # a score equal to the threshold is not above it
        (lambda row: float(row[0] < 0.5) - 1.0, -1.0, (1, 0)),
        (lambda row: 2.0 - 1.0 * (row[0] > 0.5), 2.0, (0, 0)),
        (lambda row: [1.0, 1.0, 1.0], None, (0, 0)),
        (lambda row: [0.0, 1.0, 1.0], None, (1, 1)),
        (lambda row: [1.0 * (row[0] > 0.5), 0.0, 1.0], None, (2, 0)),
        (lambda row: [5e-324 * (row[0] > 0.5), 0.0, 0.0], None, (0, 0)),
        (lambda row: [0.0, 5e-324 * (row[0] > 0.5)], None, (0, 1)),
    ],
)
def test_the_first_of_equal_classes_wins(model: Any, threshold: Any, expected: Any) -> None:
    several = isinstance(model([0.0, 0.0]), list)
    y = [0, 0, 1, 1, 2] if several and len(model([0.0, 0.0])) == 3 else [0, 0, 1, 1, 1]
    ax = regions(model, y, threshold=threshold)
    assert color_at(ax, 0.2, 0.6) == tint(expected[0])
    assert color_at(ax, 0.8, 0.6) == tint(expected[1])


def test_a_model_whose_weights_are_all_zero_gives_the_first_class_everywhere() -> None:
    for outputs in (1, 3):
        ax = regions(MLP(2, [outputs], init="zeros"), [0, 1, 1, 0, 1])
        assert color_at(ax, 0.3, 0.7) == tint(0)


@pytest.mark.parametrize("first", [0, 1])
def test_a_tie_is_decided_without_moving_the_border(first: int) -> None:
    def model(row: list[float]) -> list[float]:
        lead = round(row[0] - 0.5, 9) * (-1) ** first
        return [0.0, lead]

    ax = decision_regions(model, X, [0, 0, 1, 1, 1], flat(), points=5)  # 0.29 apart; one is at the tie
    assert color_at(ax, 0.42, 0.6) == tint(first)
    assert color_at(ax, 0.58, 0.6) == tint(1 - first)


def test_an_infinite_score_wins_and_hides_nothing() -> None:
    ax = regions(lambda row: [0.0, math.inf if row[0] > 0.5 else -math.inf], [0, 0, 1, 1, 1])
    assert hatched(ax) == 0
    assert color_at(ax, 0.2, 0.6) == tint(0)
    assert color_at(ax, 0.8, 0.6) == tint(1)


def test_places_without_a_number_do_not_make_a_probability_a_logit() -> None:
    ax = regions(lambda row: math.nan if row[1] > 0.5 else 0.4 + 0.2 * (row[0] > 0.7), [0, 0, 1, 1, 1])
    assert color_at(ax, 0.55, 0.35) == tint(0)
    assert color_at(ax, 0.9, 0.35) == tint(1)


def test_a_constant_prediction_can_be_drawn_and_the_task_can_be_said() -> None:
    ax = regions(lambda row: 0.5, [0, 1, 0, 1, 1], task="regression")
    assert len(ax.figure.axes) == 2


def test_the_columns_of_a_pandas_table_name_the_axes() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["width in cm", "length in cm"])
    ax = decision_regions(lambda row: row[0], table, [0, 1, 0, 1, 1], points=3)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width in cm", "length in cm")
    named = decision_regions(lambda row: row[0], table, [0, 1, 0, 1, 1], points=3, feature_names=["a", "b"])
    assert named.get_xlabel() == "a"


def test_the_model_is_asked_in_evaluation_mode_without_recording_and_left_as_it_was() -> None:
    class Noisy(Module):
        def __init__(self) -> None:
            self.w = Value(1.0)
            self.seen: list[Any] = []

        def __call__(self, row: list[float]) -> Any:
            out = relu(self.w * row[0])
            self.seen = [*self.seen[-3:], (self.training, out.is_leaf)]
            return out

    model = Noisy()
    decision_regions(model, X, [0, 1, 0, 1, 1], points=3)
    assert set(model.seen) == {(False, True)}
    assert model.training
    assert model.w.data == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": 3}, "decision_regions: model: expected a function of a row, got an object of type int"),
        ({"X": [[1.0]], "y": [0]}, "decision_regions: X: expected rows of 2 numbers, which span a plane, got 1"),
        ({"y": [0, 1]}, "expected as many rows as targets"),
        ({"y": [0, 1, 2, 3, 4], "task": "classification"}, "expected the classes 0 and 1, or -1 and 1, .* one output"),
        ({"y": [0, 1, 0.5, 0, 0], "task": "classification"}, "expected integers as classes, got 0.5"),
        (
            {"y": ["a", "b", "a", "b", "a"], "task": "classification"},
            "y: class: expected a real number, got the string",
        ),
        ({"model": lambda row: [1.0, 2.0], "y": [0, 1, 2, 0, 0]}, "expected class indices from 0 to 1, got 0 to 2"),
        ({"model": lambda row: [1.0, 2.0], "threshold": 0.0}, "threshold: expected None for a model of 2 outputs"),
        (
            {"model": lambda row: [1.0, 2.0], "task": "regression"},
            "expected a model of one output in regression, got 2",
        ),
        ({"model": lambda row: [1.0] * (1 + (row[0] > 0.5))}, "expected as many outputs for each row"),
        ({"model": lambda row: "yes"}, "the prediction of the model: expected a sequence of numbers, got 'yes'"),
        ({"task": "clustering"}, "task: expected one of 'classification', 'regression'"),
        ({"points": 1}, "points: expected an integer of at least 2"),
        ({"feature_names": ["a"]}, "feature_names: expected 2 of them, got 1"),
        ({"class_names": ["a"]}, "class_names: expected 2 of them, got 1"),
        ({"ax": 3}, "decision_regions: ax: expected matplotlib Axes or None, got an object of type int"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"model": lambda row: row[0], "X": X, "y": [0, 1, 0, 1, 1], "points": 3, **change}
    with pytest.raises((TypeError, ValueError), match=message):
        decision_regions(**arguments)


def test_a_grid_of_a_network_is_drawn_from_the_same_numbers_that_the_model_gives() -> None:
    model = MLP(2, [4, 3], activation="tanh", rng=random.Random(0))
    ax = regions(model, [0, 1, 2, 1, 0])
    for x, y in [(0.3, 0.7), (0.8, 0.4), (0.15, 0.4)]:
        outputs = [v.data for v in model([x, y])]
        margin = sorted(outputs)[-1] - sorted(outputs)[-2]
        assert margin > 0.01, "a place near a border proves nothing"
        assert color_at(ax, x, y) == tint(int(np.argmax(outputs)))
