"""The pictures of a training run: their contents, and that they change no global state."""

from __future__ import annotations

import builtins
import runpy
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib import colors
from matplotlib.axes import Axes

from microgrud.cli import charts
from microgrud.cli.charts import DARK, LIGHT, Theme


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def drawn() -> dict[str, Axes]:
    return {
        "loss": charts.loss_curve([1.0, 0.5, 0.1], 2, charts.figure()),
        "confusion": charts.confusion_matrix([[3, 1], [0, 2]], ["$no", "yes"], charts.figure()),
        "scatter": charts.predicted_against_true([1.0, 2.0], [1.5, 1.8], "$price", charts.figure()),
    }


def test_the_loss_curve_has_each_step_the_mean_of_each_epoch_and_the_held_out_loss() -> None:
    axes = charts.loss_curve([4.0, 2.0, 1.0, 3.0, 0.5], 2, charts.figure(), held_out=0.7)
    steps, means, level = axes.get_lines()
    assert steps.get_xydata() == pytest.approx(np.array([[0.5, 4], [1, 2], [1.5, 1], [2, 3], [2.5, 0.5]]))
    assert means.get_xydata() == pytest.approx(np.array([[1, 3], [2, 2], [2.5, 0.5]]))
    assert list(level.get_ydata()) == [0.7, 0.7]
    assert legend_of(axes) == ["each step", "epoch mean", "held-out rows, at the end"]
    assert axes.get_yscale() == "linear"


def test_a_loss_that_falls_far_is_drawn_on_a_logarithmic_scale_that_one_lucky_step_does_not_set() -> None:
    losses = np.geomspace(1.0, 0.01, 200)
    losses[50] = 1e-9
    axes = charts.loss_curve(losses.tolist(), 20, charts.figure())
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] > 1e-3


def test_a_loss_of_zero_is_not_drawn_on_a_logarithmic_scale() -> None:
    assert charts.loss_curve([1.0, 0.0], 1, charts.figure()).get_yscale() == "linear"


def test_a_single_epoch_is_a_point_that_can_be_seen() -> None:
    axes = charts.loss_curve([1.0, 0.5], 2, charts.figure())
    assert axes.get_lines()[1].get_marker() == "o"


def test_the_confusion_matrix_has_its_counts_its_names_and_the_shares_of_its_rows() -> None:
    axes = charts.confusion_matrix([[3, 1], [0, 0]], ["no", "yes"], charts.figure())
    assert texts(axes) == ["3", "1", "0", "0"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["no", "yes"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["no", "yes"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    (image,) = axes.get_images()
    assert np.asarray(image.get_array()).tolist() == [[0.75, 0.25], [0.0, 0.0]]


def test_names_in_a_script_that_the_fonts_here_lack_are_left_to_the_readers_fonts() -> None:
    svg = charts.render(charts.confusion_matrix([[1, 0], [0, 1]], ["中国", "日本"], charts.figure()))
    texts = {element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {"中国", "日本"} <= texts


def test_long_names_are_cut_and_slanted_and_many_classes_have_no_numbers() -> None:
    axes = charts.confusion_matrix(np.eye(25, dtype=int).tolist(), ["a name of " + "x" * 30] * 25, charts.figure())
    assert texts(axes) == []
    label = axes.get_xticklabels()[0]
    assert label.get_text() == "a name of xxxxxxx…"
    assert label.get_rotation() == 40


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_numbers_of_a_confusion_matrix_stand_out_from_their_cells(theme: Theme) -> None:
    with theme.applied():
        axes = charts.confusion_matrix([[9, 1], [5, 5]], ["a", "b"], charts.figure(), theme)
    (image,) = axes.get_images()
    cells = image.cmap(image.norm(np.asarray(image.get_array()))).reshape(-1, 4)
    for text, cell in zip(axes.texts, cells):
        assert contrast(colors.to_rgb(str(text.get_color())), tuple(cell[:3])) >= 3.0


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
    many = charts.predicted_against_true([float(i) for i in range(3000)], [0.0] * 3000, "y", charts.figure())
    assert len(charts.render(many)) < 200_000


@pytest.mark.parametrize("name", ["loss", "confusion", "scatter"])
def test_pictures_are_svg_and_the_same_bytes_every_time(name: str) -> None:
    first, second = drawn()[name], drawn()[name]
    svg = charts.render(first)
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert svg == charts.render(second)


def test_the_picture_in_the_docs_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    draw = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "descent.py"))["draw"]
    for name in ("one.svg", "two.svg"):
        draw(tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_drawing_needs_no_pyplot_and_leaves_matplotlibs_settings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(matplotlib.rcParams)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with DARK.applied():
        for axes in drawn().values():
            charts.render(axes)
    assert dict(matplotlib.rcParams) == before


def test_a_page_and_its_picture_have_one_colour() -> None:
    with DARK.applied():
        axes = charts.loss_curve([1.0, 0.5], 1, charts.figure(), theme=DARK)
    assert colors.to_hex(axes.get_facecolor()) == DARK.page
    assert colors.to_hex(axes.figure.get_facecolor()) == DARK.page  # type: ignore[union-attr]
    assert colors.to_hex(axes.title.get_color()) == DARK.ink


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_matplotlib(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return imported(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(
        ImportError, match=r"the report needs matplotlib; install it with: pip install 'microgrud\[plot\]'"
    ):
        charts.figure()
