"""The pictures of the README: they are those of their programs, and everything in them is visible."""

from __future__ import annotations

import re
import runpy
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def descent() -> dict[str, Any]:
    """Return the names of docs/descent.py."""
    return runpy.run_path(str(DOCS / "descent.py"))


def test_the_stored_picture_of_descents_is_that_of_its_program(descent: dict[str, Any], tmp_path: Path) -> None:
    descent["draw"](tmp_path / "descent.svg")
    stored = (DOCS / "descent.svg").read_text(encoding="utf-8")
    assert (tmp_path / "descent.svg").read_text(encoding="utf-8") == stored
    assert len(stored) < 25_000


def test_the_four_rates_do_what_the_picture_says(descent: dict[str, Any]) -> None:
    ends = {}
    for rate, verdict in descent["RATES"].items():
        places, losses = descent["walk"](rate)
        assert len(places) == descent["STEPS"] + 1
        assert losses == pytest.approx([0.5 * (w * w + 10.0 * b * b) for w, b in places], rel=1e-12)
        crossings = sum(b * c < 0.0 for (_, b), (_, c) in pairwise(places))
        ends[verdict] = (losses[-1], crossings)
        assert all(later < loss for loss, later in pairwise(losses)) == (verdict != "too large")
    assert ends["too small"][0] > 1.0
    assert ends["good"][0] < 1e-4
    assert ends["nearly too large"][0] > 100.0 * ends["good"][0]
    assert ends["too large"][0] > 1e4
    assert [crossings for _, crossings in ends.values()] == [0, 40, 40, 40]


def test_each_walk_is_seen_from_its_start_to_its_end_and_no_two_curves_end_together(descent: dict[str, Any]) -> None:
    root = ElementTree.parse(DOCS / "descent.svg").getroot()
    *panels, curves = root.findall(f".//{SVG}svg")
    assert len(panels) == 4
    heights = []
    for k, (panel, rate) in enumerate(zip(panels, descent["RATES"])):
        left, top, width, height = map(float, panel.attrib["viewBox"].split())
        places, losses = descent["walk"](rate)
        ground, line, steps, start, end = panel.findall(f"{SVG}path")
        assert ground.get("class") == "paper"  # with light colours around it: the lower is the darker in both themes
        assert (line.get("class"), steps.get("class"), start.get("class"), end.get("class")) == (
            f"c{k}", f"f{k}", "dot", f"f{k}",
        )  # fmt: skip
        drawn = [(left + (w + 5.6) / 11.2 * width, top + (2.5 - b) / 5.0 * height) for w, b in places]
        marked = [tuple(map(float, place)) for place in re.findall(r"M(\S+) (\S+?)m", steps.attrib["d"])]
        inside = sum(abs(b) < 2.5 for _, b in places[1:])
        assert inside == 40 if rate < 0.2 else 3 < inside < 40  # the last walk leaves the picture
        assert marked[:3] == pytest.approx([pytest.approx(place, abs=0.06) for place in drawn[1:4]])
        assert bool(end.attrib["d"]) == (rate < 0.2)
        texts = [text.text for text in root.findall(f"{SVG}text")]
        assert f"rate {rate:g}: {descent['RATES'][rate]}" in texts
        curve = curves.findall(f"{SVG}path")[k]
        assert curve.get("class") == f"c{k}"
        heights.append(float(curve.attrib["d"].split()[-1]))
        assert losses[-1] > 0.0
    assert len({curve.get("stroke-dasharray") for curve in curves.findall(f"{SVG}path")}) == 4
    assert min(b - a for a, b in pairwise(sorted(heights))) > 30.0


def test_the_walk_over_the_surface_comes_down_towards_the_reader(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plot = pytest.importorskip("matplotlib.figure")
    drawn: list[Any] = []
    monkeypatch.setattr(plot.Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    page = runpy.run_path(str(DOCS / "surface.py"))
    monkeypatch.setitem(page["draw"].__globals__, "surface", lambda: page["surface"](points=21))
    page["draw"](tmp_path / "surface.png")
    (ax,) = drawn[0].axes
    from mpl_toolkits.mplot3d.proj3d import proj_transform

    drawn[0].draw_without_rendering()
    walk = next(line for line in ax.get_lines() if line.get_label() == "walk")
    x, y, z = walk.get_data_3d()
    heights = proj_transform(x, y, z, ax.get_proj())[1]
    assert heights[0] - heights[-1] > 0.6 * (heights.max() - heights.min())
    assert (heights[:-40] > heights[40:]).mean() > 0.95
    assert z[0] - z[-1] > 0.8
