"""The contents of pictures of surfaces: contours, the relief, and the walks over them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from microgrud import Value, log
from microgrud.plot import LossSurface, Trajectory, himmelblau, loss_surface, saddle
from microgrud.plot.relief import height_at
from microgrud.plot.scales import asks_for_log, chosen_scale, contour_levels, log_floor
from microgrud.plot.style import STYLES, style
from microgrud.plot.walks import draw_legend

WALK = [[-1.0, -0.5], [1.0, 0.5], [2.0, 1.0], [3.0, 2.0]]


def flat() -> Any:
    return Figure().add_subplot()


def walk(x: Value, y: Value, places: list[list[float]] = WALK) -> Trajectory:
    trajectory = Trajectory([x, y])
    for x.data, y.data in places:
        trajectory.record(himmelblau(x, y))
    return trajectory


def valleys(**arguments: Any) -> LossSurface:
    x, y = Value(0.0, label="x"), Value(0.0, label="y")
    arguments = {"extent": (-5, 5), "points": 21, "trajectory": walk(x, y), **arguments}
    return loss_surface(lambda: himmelblau(x, y), [x, y], **arguments)


def half_plane() -> LossSurface:
    x, y = Value(1.0), Value(1.0)
    return loss_surface(lambda: log(x) + y, [x, y], extent=(-1, 1), points=11)


def legend_of(ax: Any) -> list[str]:
    return [] if ax.get_legend() is None else [text.get_text() for text in ax.get_legend().get_texts()]


# --- from above ---


def test_the_walk_has_each_step_its_start_and_its_end_and_the_axes_their_names() -> None:
    ax = flat()
    assert valleys().contour(ax) is ax
    line, start, end = ax.get_lines()
    assert line.get_xydata().tolist() == WALK
    assert line.get_marker() not in ("", "None", None)
    assert start.get_xydata().tolist() == WALK[:1]
    assert end.get_xydata().tolist() == WALK[-1:]
    assert start.get_marker() != end.get_marker()
    assert start.get_zorder() > line.get_zorder()
    assert legend_of(ax) == ["walk", "start", "end"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")
    assert (ax.get_xlim(), ax.get_ylim()) == ((-5.0, 5.0), (-5.0, 5.0))


def test_several_walks_differ_in_colour_in_marker_and_in_dashes() -> None:
    x, y = Value(0.0), Value(0.0)
    walks = {name: walk(x, y, [[i, 0.0], [i, 1.0]]) for i, name in enumerate("abc")}
    surface = loss_surface(lambda: himmelblau(x, y), [x, y], trajectory=walks, points=5)
    ax = surface.contour(flat())
    lines = ax.get_lines()[:3]
    assert [line.get_label() for line in lines] == ["a", "b", "c"]
    for what in ("get_color", "get_marker", "get_linestyle"):
        assert len({str(getattr(line, what)()) for line in lines}) >= 2, what
    assert len({line.get_marker() for line in lines}) == 3
    assert legend_of(ax) == ["a", "b", "c", "start", "end"]


def test_a_surface_is_drawn_with_other_walks_or_with_none() -> None:
    surface = valleys()
    assert surface.contour(flat(), trajectory={}).get_lines() == []
    x, y = surface.parameters
    other = surface.contour(flat(), trajectory=walk(x, y, [[0.0, 0.0], [0.5, 0.5]]))
    assert other.get_lines()[0].get_xydata().tolist() == [[0.0, 0.0], [0.5, 0.5]]


def test_styles_differ_in_marker_hatch_and_lightness_and_never_run_out() -> None:
    assert len({look.marker for look in STYLES}) == len({look.hatch for look in STYLES}) == len(STYLES)
    assert len({look.color for look in STYLES}) == len(STYLES)
    assert len({(style(i).color, style(i).marker) for i in range(3 * len(STYLES))}) == 3 * len(STYLES)


def test_a_wide_range_of_losses_has_a_logarithmic_scale_and_says_so() -> None:
    ax = flat()
    valleys().contour(ax)
    bar = ax.figure.axes[1]
    assert bar.get_ylabel() == "loss (logarithmic scale)"
    assert bar.get_yscale() == "log"
    linear = flat()
    valleys().contour(linear, scale="linear")
    assert linear.figure.axes[1].get_ylabel() == "loss"
    assert linear.figure.axes[1].get_yscale() != "log"


def test_losses_below_zero_have_a_linear_scale() -> None:
    x, y = Value(0.0), Value(0.0)
    surface = loss_surface(lambda: saddle(x, y), [x, y], points=5)
    ax = surface.contour(flat())
    assert ax.figure.axes[1].get_ylabel() == "loss"
    with pytest.raises(ValueError, match="levels: expected numbers above 0 on a logarithmic scale"):
        surface.contour(flat(), scale="log", levels=[-1.0, 1.0])


def test_levels_may_be_given_and_are_then_those_of_the_colour_bar() -> None:
    for chosen, log_scale in (([1.0, 10.0, 100.0, 1000.0], True), ([0.0, 50.0, 500.0], False)):
        ax = valleys().contour(flat(), levels=chosen)
        bar: Any = ax.figure.axes[1]
        assert (bar.get_yscale() == "log") is log_scale
        assert bar.get_ylim() == pytest.approx((chosen[0], chosen[-1]))


def test_the_colour_bar_can_be_left_out() -> None:
    ax = flat()
    valleys().contour(ax, colorbar=False)
    assert ax.figure.axes == [ax]


def test_places_without_a_loss_are_hatched_and_the_legend_says_so() -> None:
    ax = half_plane().contour(flat())
    (ground,) = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert ground.get_hatch()
    assert ground.get_transform().contains_branch(ax.transAxes)
    assert (ground.get_xy(), ground.get_width(), ground.get_height()) == ((0.0, 0.0), 1.0, 1.0)
    assert legend_of(ax) == ["no finite loss here"]
    assert not valleys().contour(flat()).patches


def test_a_surface_with_no_finite_loss_at_all_is_hatched_all_over() -> None:
    x, y = Value(0.0), Value(0.0)
    surface = loss_surface(lambda: math.inf, [x, y], points=3)
    ax = surface.contour(flat())
    assert legend_of(ax) == ["no finite loss here"]
    assert not ax.collections
    with pytest.raises(ValueError, match="expected a finite loss somewhere on the grid"):
        surface.surface()


def test_a_flat_surface_can_be_drawn() -> None:
    x, y = Value(0.0), Value(0.0)
    surface = loss_surface(lambda: 2.0, [x, y], points=3)
    surface.contour().figure.canvas.draw_idle()
    surface.surface()
    assert surface._repr_png_().startswith(b"\x89PNG")
    assert surface.contour(flat(), scale="log").figure.axes[1].get_yscale() == "log"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ax": Figure()}, "LossSurface.contour: ax: expected matplotlib Axes or None, got an object of type Figure"),
        ({"scale": "cubic"}, "scale: expected one of 'auto', 'linear', 'log', got 'cubic'"),
        ({"levels": 1}, "levels: expected an integer of at least 2"),
        ({"levels": [3.0, 2.0]}, r"levels: expected at least 2 finite numbers, ascending, got \[3.0, 2.0\]"),
        ({"levels": "many"}, "levels: expected a sequence of numbers, got 'many'"),
        ({"colorbar": 1}, "colorbar: expected True or False, got 1"),
        ({"trajectory": 3}, "trajectory: expected a Trajectory"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        valleys().contour(**change)


def test_a_logarithmic_scale_needs_something_positive() -> None:
    x, y = Value(0.0), Value(0.0)
    surface = loss_surface(lambda: -1.0, [x, y], points=3)
    with pytest.raises(ValueError, match="scale: expected 'linear' or 'auto', since no number is positive, got 'log'"):
        surface.contour(scale="log")


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("upper", [True, False])
def test_the_legend_is_where_no_curve_is(right: bool, upper: bool) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    ax: Any = Figure().add_subplot()
    t = np.linspace(0.02, 0.98, 200)
    # The curve runs along two edges, and hides the corners that lie at them.
    curve = np.concatenate([
        np.column_stack([t, np.full(200, 0.1 if upper else 0.9)]),
        np.column_stack([np.full(200, 0.1 if right else 0.9), t]),
    ])  # fmt: skip
    lines = ax.plot(*curve.T, label="curve")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    draw_legend(ax, lines)
    FigureCanvasAgg(ax.figure).draw()
    box = ax.get_legend().get_window_extent()
    assert not any(box.contains(*place) for place in ax.transData.transform(curve))
    assert ax.get_window_extent().count_contains([box.min, box.max]) == 2


# --- scales ---


@given(st.lists(st.floats(0.0, 1e12), min_size=1, max_size=50), st.integers(2, 30))
def test_levels_ascend_from_the_lowest_to_the_highest_loss(numbers: list[float], count: int) -> None:
    linear = contour_levels(numbers, "linear", count)
    assert linear[0] <= min(numbers)
    assert linear[-1] >= max(numbers)
    assert (np.diff(linear) > 0.0).all()
    if max(numbers) > 1e-300:
        levels = contour_levels(numbers, "log", count)
        assert len(levels) == count
        assert (np.diff(levels) > 0.0).all()
        assert levels[0] == log_floor(numbers)
        assert levels[-1] >= max(numbers)
        assert np.allclose(np.diff(np.log(levels)), (np.log(levels[-1]) - np.log(levels[0])) / (count - 1))


@pytest.mark.parametrize("height", [1.0, 0.0, -2e5, 1e-9])
@pytest.mark.parametrize("noise", [0.0, 1e-16])
def test_the_colour_bar_of_a_constant_loss_can_be_read(height: float, noise: float) -> None:
    x, y = Value(0.0), Value(0.0)
    surface = loss_surface(lambda: height * (1.0 + noise * (x + y)), [x, y], points=5)
    ax: Any = surface.contour()
    FigureCanvasAgg(ax.figure).draw()
    bar = ax.figure.axes[1].yaxis
    assert bar.get_offset_text().get_text() in ("", "1e\u22129")
    ticks = [float(tick) for tick in bar.get_ticklocs()]
    assert height == pytest.approx(ticks[2])
    assert len(ticks) == 5
    assert ticks[-1] - ticks[0] == pytest.approx(0.2 * (abs(height) or 1.0))
    if height > 0.0:
        logarithmic: Any = surface.contour(scale="log")
        FigureCanvasAgg(logarithmic.figure).draw()
        labels = [label.get_text() for label in logarithmic.figure.axes[1].get_yticklabels()]
        assert len(set(labels)) == len(labels) > 3


def test_the_one_point_of_a_grid_that_hits_a_minimum_does_not_set_the_scale() -> None:
    losses = np.append(np.linspace(1.0, 20.0, 2000), [0.0, 1e-30])
    assert log_floor(losses) > 0.9
    assert asks_for_log(losses)
    assert not asks_for_log([math.nan])
    assert not asks_for_log([-1.0, 0.01, 100.0])  # although the range of the numbers above 0 is wide
    assert not asks_for_log([0.0, 0.0])
    assert chosen_scale("here", "auto", [math.inf, math.nan, 2.0]) == "linear"


# --- in three dimensions ---


def solid() -> Any:
    return Figure().add_subplot(projection="3d")


def test_the_relief_has_the_walk_at_the_height_of_the_surface() -> None:
    ax = solid()
    surface = valleys()
    assert surface.surface(ax, scale="linear") is ax
    x, y, z = ax.get_lines()[0].get_data_3d()
    assert np.column_stack([x, y]).tolist() == WALK
    assert z[-1] == surface.losses[14, 16] == 0.0  # a point of the grid, at (3, 2)
    assert z[1] == pytest.approx(height_at(surface.x, surface.y, surface.losses, np.array([[1.0, 0.5]]))[0])
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()) == ("x", "y", "loss")


def test_heights_are_logarithms_where_the_range_asks_for_it_and_the_ticks_say_of_what() -> None:
    ax = solid()
    surface = valleys()
    surface.surface(ax)
    assert ax.get_zlabel() == "loss (logarithmic scale)"
    ax.figure.draw_without_rendering()
    ticks = {label.get_text() for label in ax.get_zticklabels()}
    assert {"10", "100"} <= ticks
    assert ax.get_lines()[0].get_data_3d()[2][0] == pytest.approx(
        height_at(surface.x, surface.y, np.log10(np.maximum(surface.losses, log_floor(surface.losses))),
                  np.array(WALK[:1]))[0]
    )  # fmt: skip


@pytest.mark.parametrize("scale", [1.0, 1e-5, 3e4])
@pytest.mark.parametrize("kind", ["linear", "log"])
def test_the_numbers_along_the_heights_do_not_run_into_the_axis(scale: float, kind: str) -> None:
    x, y = Value(0.0), Value(0.0)
    surface = loss_surface(lambda: scale * (0.05 + x * x + y * y), [x, y], points=11)
    ax: Any = surface.surface(scale=kind)
    FigureCanvasAgg(ax.figure).draw()
    line = ax.zaxis.line.get_window_extent()
    # These are the ticks as drawn: get_zticklabels() would move their labels to the places of flat axes. Ticks beyond
    # the ends of the axis lie elsewhere and are left out.
    boxes = [tick.label1.get_window_extent() for tick in ax.zaxis.majorTicks]
    shown = [box for box in boxes if line.x0 - 60 < box.x0 < line.x1 + 60]
    assert len(shown) >= 3
    assert all(box.x0 > line.x1 for box in shown)


def test_the_relief_has_holes_where_there_is_no_finite_loss_and_says_so() -> None:
    ax = solid()
    half_plane().surface(ax)
    ax.figure.draw_without_rendering()
    assert legend_of(ax) == ["no finite loss here"]


def test_a_long_label_has_two_lines_in_three_dimensions() -> None:
    x, y = Value(0.0), Value(0.0)
    surface = loss_surface(lambda: x + y, [x, y], points=3, trajectory=walk(x, y), directions="principal")
    ax = surface.surface(solid())
    assert ax.get_xlabel().startswith("principal direction 1\n(")


def test_flat_axes_cannot_take_a_relief() -> None:
    with pytest.raises(TypeError, match=r"expected three-dimensional Axes, got flat ones; .*projection=\"3d\""):
        valleys().surface(flat())


@given(a=st.floats(0, 2), b=st.floats(-1, 1))
def test_heights_between_the_points_of_a_plane_are_on_it(a: float, b: float) -> None:
    x, y = np.linspace(0, 2, 5), np.linspace(-1, 1, 4)
    heights = 3.0 + 2.0 * x[None, :] - y[:, None]
    assert height_at(x, y, heights, np.array([[a, b]]))[0] == pytest.approx(3.0 + 2.0 * a - b)


def test_a_place_outside_of_the_grid_has_no_height() -> None:
    grid = np.array([0.0, 1.0])
    assert np.isnan(height_at(grid, grid, np.zeros((2, 2)), np.array([[1.1, 0.5], [0.5, -0.1], [np.nan, 0.0]]))).all()
