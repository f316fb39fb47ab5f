"""The pictures of a training run: their contents, and that they change no global state."""

from __future__ import annotations

import builtins
import re
import runpy
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib import colors
from matplotlib.axes import Axes

from microgrud.cli import charts
from microgrud.cli.charts import DARK, LIGHT, Theme, drawn


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


SVG = "{http://www.w3.org/2000/svg}"
CHARTS: dict[str, Callable[[], Axes]] = {
    "confusion": lambda: charts.confusion_matrix([[3, 1], [0, 2]], ["$no", "yes"], charts.figure()),
    "scatter": lambda: charts.predicted_against_true([1.0, 2.0], [1.5, 1.8], "$price", charts.figure()),
    "roc": lambda: charts.roc_curve([0.0, 0.5, 1.0], [0.0, 0.9, 1.0], 0.7, {"at 0.5": (0.5, 0.9)}, charts.figure()),
    "reliability": lambda: charts.reliability({"network": [{"probability": 0.4, "share": 0.5}]}, charts.figure()),
}


def texts_of(svg: bytes) -> list[str | None]:
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_confusion_matrix_has_its_counts_its_names_and_the_shares_of_its_rows() -> None:
    axes = charts.confusion_matrix([[3, 1], [0, 0]], ["no", "yes"], charts.figure())
    assert texts(axes) == ["3", "1", "0", "0"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["no", "yes"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["no", "yes"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    (cells,) = axes.collections
    assert [color.tolist() for color in np.asarray(cells.get_facecolor())] == [
        [*colors.to_rgb(LIGHT.deep), 0.75],
        [*colors.to_rgb(LIGHT.deep), 0.25],
    ]
    corners = [path.vertices.min(axis=0).tolist() for path in cells.get_paths()]
    assert corners == [[-0.5, -0.5], [0.5, -0.5]]


def test_names_in_a_script_that_the_fonts_here_lack_are_left_to_the_readers_fonts() -> None:
    light, _ = drawn(lambda: charts.confusion_matrix([[1, 0], [0, 1]], ["中国", "日本"], charts.figure()))
    assert {"中国", "日本"} <= set(texts_of(light))


def test_long_names_are_cut_and_slanted_and_many_classes_have_no_numbers() -> None:
    axes = charts.confusion_matrix(np.eye(25, dtype=int).tolist(), ["a name of " + "x" * 30] * 25, charts.figure())
    assert texts(axes) == []
    label = axes.get_xticklabels()[0]
    assert label.get_text() == "a name of xxxxxxx…"
    assert label.get_rotation() == 40


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("share", [0.0, 0.6, 0.61, 1.0])
def test_numbers_of_a_confusion_matrix_stand_out_from_their_cells(theme: Theme, share: float) -> None:
    rows = 100
    axes = charts.confusion_matrix(
        [[round(share * rows), rows - round(share * rows)], [0, 1]], ["a", "b"], charts.figure()
    )
    color = {LIGHT.page: theme.page, LIGHT.ink: theme.ink}[str(axes.texts[0].get_color())]
    page, deep = np.array(colors.to_rgb(theme.page)), np.array(colors.to_rgb(theme.deep))
    assert contrast(colors.to_rgb(color), tuple(page + share * (deep - page))) >= 3.0


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_lines_and_text_stand_out_from_the_page(theme: Theme) -> None:
    page = colors.to_rgb(theme.page)
    assert contrast(colors.to_rgb(theme.ink), page) >= 7.0
    assert contrast(colors.to_rgb(theme.first), page) >= 4.5
    assert contrast(colors.to_rgb(theme.second), page) >= 4.5


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The contrast ratio of the Web Content Accessibility Guidelines, from 1 to 21."""

    def luminance(rgb: tuple[float, ...]) -> float:
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_predicted_against_true_has_a_point_a_row_and_the_diagonal() -> None:
    axes = charts.predicted_against_true([1.0, 3.0], [2.0, 2.5], "price", charts.figure())
    (points,) = axes.collections
    assert np.asarray(points.get_offsets()).tolist() == [[1.0, 2.0], [3.0, 2.5]]
    assert axes.get_xlim() == axes.get_ylim() == pytest.approx((0.92, 3.08))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true price", "predicted price")
    assert legend_of(axes) == ["predicted = true", "held-out row"]


def test_equal_numbers_and_many_rows_can_be_drawn() -> None:
    level = charts.predicted_against_true([2.0, 2.0], [2.0, 2.0], "y", charts.figure())
    assert level.get_xlim() == (1.0, 3.0)
    numbers = [float(i) for i in range(3000)]
    light, _ = drawn(lambda: charts.predicted_against_true(numbers, [0.0] * 3000, "y", charts.figure()))
    assert len(light) < 200_000


def test_the_roc_curve_has_its_points_its_area_its_thresholds_and_the_diagonal() -> None:
    axes = charts.roc_curve([0.0, 0.2, 1.0], [0.0, 0.9, 1.0], 0.85, {"at 0.5": (0.2, 0.9)}, charts.figure())
    diagonal, curve, mark = axes.get_lines()
    assert diagonal.get_xydata() == pytest.approx(np.array([[0, 0], [1, 1]]))
    assert curve.get_xydata() == pytest.approx(np.array([[0, 0], [0.2, 0.9], [1, 1]]))
    assert mark.get_xydata() == pytest.approx(np.array([[0.2, 0.9]]))
    assert legend_of(axes) == ["guessing (area 0.5)", "network (area 0.850)", "at 0.5"]


def test_the_precision_recall_curve_has_steps_its_area_and_the_share_of_the_class() -> None:
    axes = charts.precision_recall_curve([1.0, 0.5, 0.0], [0.4, 0.8, 1.0], 0.7, 0.4, {}, charts.figure())
    guessing, curve = axes.get_lines()
    assert list(guessing.get_ydata()) == [0.4, 0.4]
    assert curve.get_drawstyle() == "steps-post"
    assert curve.get_xydata() == pytest.approx(np.array([[1.0, 0.4], [0.5, 0.8], [0.0, 1.0]]))
    assert legend_of(axes) == ["guessing (area 0.400)", "network (area 0.700)"]


def test_reliability_has_a_curve_for_the_probabilities_before_and_after_calibration() -> None:
    after, before = ([{"probability": p, "share": 0.5, "rows": 3.0}] for p in (0.4, 0.9))
    axes = charts.reliability({"calibrated": after, "before calibration": before}, charts.figure())
    _, first, second = axes.get_lines()
    assert (first.get_xydata().tolist(), second.get_xydata().tolist()) == ([[0.4, 0.5]], [[0.9, 0.5]])
    assert legend_of(axes) == ["probability = share", "calibrated", "before calibration"]


@pytest.mark.parametrize("name", CHARTS)
def test_pictures_are_svg_and_the_same_bytes_every_time(name: str) -> None:
    pictures = drawn(CHARTS[name])
    assert [ElementTree.fromstring(svg).tag for svg in pictures] == [f"{SVG}svg"] * 2
    assert pictures == drawn(CHARTS[name])


@pytest.mark.parametrize("name", CHARTS)
def test_a_dark_picture_is_the_light_one_in_the_colours_of_the_dark_theme(name: str) -> None:
    light, dark = (svg.decode() for svg in drawn(CHARTS[name]))
    assert texts_of(light.encode()) == texts_of(dark.encode())
    of_light, of_dark = ({*vars(theme).values()} for theme in (LIGHT, DARK))
    used, replaced = (set(re.findall(r"#[0-9a-f]{6}", svg)) for svg in (light, dark))
    assert {LIGHT.page, LIGHT.ink, LIGHT.faint} <= used
    assert replaced.isdisjoint(of_light)
    assert used - of_light == replaced - of_dark


def test_a_logarithmic_axis_is_labelled_with_plain_numbers() -> None:
    for top, labels in ((5.0, ["0.2", "0.5", "1", "2"]), (5e3, ["1", "10", "100", "1000"])):
        axes = charts.figure()
        axes.set(yscale="log", ylim=(0.15, top))
        charts.label_decades(axes)
        places = [y for y in axes.get_yticks() if 0.15 < y < 0.9 * top]
        assert [axes.yaxis.get_major_formatter()(y) for y in places] == labels


@pytest.mark.slow("1 s: two pictures of 3,000 evaluations")
def test_the_picture_in_the_docs_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    draw = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "descent.py"))["draw"]
    for name in ("one.svg", "two.svg"):
        draw(tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_drawing_needs_no_pyplot_and_leaves_matplotlibs_settings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(matplotlib.rcParams)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    for draw in CHARTS.values():
        drawn(draw)
    assert dict(matplotlib.rcParams) == before


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_matplotlib(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return imported(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(ImportError, match="the report needs matplotlib, .* not installed: pip install matplotlib"):
        charts.figure()
