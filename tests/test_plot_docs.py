"""The pictures of the README: everything in them is visible."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from microgrud.plot.style import STYLES

DOCS = Path(__file__).parents[1] / "docs"


def test_each_of_the_four_walks_is_seen_from_its_start_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    page = runpy.run_path(str(DOCS / "descent.py"))
    page["draw"](tmp_path / "descent.svg")
    (figure,) = figures
    *panels, curves = figure.axes
    assert len(panels) == len(page["RATES"]) == 4
    for ax, rate, look in zip(panels, page["RATES"], STYLES):
        places, losses = page["walk"](rate)
        line, start, end = ax.get_lines()  # the marks lie above the line, and no other walk covers it
        assert [tuple(place) for place in line.get_xydata().tolist()] == places
        assert start.get_xydata().tolist() == [list(places[0])]
        assert end.get_xydata().tolist() == [list(places[-1])]
        assert line.zorder < start.zorder < end.zorder
        assert to_hex(line.get_color()) == to_hex(end.get_markerfacecolor()) == look.color.lower()
        assert all(abs(x) < ax.get_xlim()[1] for x in places[-1])
        assert f"learning rate {rate:g}\n" in ax.get_title()
        (curve,) = [line for line in curves.get_lines() if line.get_label() == f"{rate:g}"]
        assert curve.get_ydata().tolist() == losses
    # The walk with the good rate arrives at the minimum.
    assert panels[1].get_lines()[2].get_xydata()[0] == pytest.approx([-3.779310, -3.283186], abs=1e-6)
