"""The player of a race: at each step it shows the walks, and their losses, as far as they have come."""

from __future__ import annotations

import html
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest

from microgrud.optim import SGD, Optimizer
from microgrud.plot import Race, race, ravine

SVG = "{http://www.w3.org/2000/svg}"


def a_race(loss: Any = ravine, steps: int = 3, rates: Mapping[str, float] | None = None, **options: Any) -> Race:
    """Return a race of gradient descents; by default one of them ends early."""

    def factory(rate: float) -> Callable[[Any], Optimizer]:
        return lambda parameters: SGD(parameters, lr=rate)

    optimizers = {name: factory(rate) for name, rate in (rates or {"slow": 0.03, "<fast>\x1b": 1e100}).items()}
    return race(loss, (2.0, 1.0), optimizers, steps=steps, points=5, extent=(-3, 3), **options)


def panels(svg: str) -> list[list[dict[str, str]]]:
    """Return for both charts the attributes of the elements that move."""
    inner = ElementTree.fromstring(svg).findall(f"{SVG}svg")
    return [[dict(e.attrib) for e in panel.iter() if "data-slot" in e.attrib] for panel in inner]


def places_of(outline: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](\S+?) ([-\d.]+)", outline)]


def frames_of(page: str) -> list[list[str]]:
    """Return the frames of a page, those of lines that grow joined up to each step."""
    frames = [json.loads(html.unescape(frame)) for frame in re.findall(r'data-frame="([^"]*)"', page)]
    return [
        ["".join(frame[k] for frame in frames[: step + 1]) if k % 2 == 0 else frames[step][k] for k in range(len(now))]
        for step, now in enumerate(frames)
    ]


def test_each_step_shows_the_places_and_the_losses_up_to_it() -> None:
    found = a_race(rates={"slow": 0.01, "faster": 0.05})
    player = found.animate()
    assert len(player) == 4
    for step in range(4):
        ground, chart = panels(player.svg(step))
        for k, walk in enumerate(found.trajectories.values()):
            line, head = ground[2 * k : 2 * k + 2]
            left, right, top, bottom = 30.0, 406.0, 30.0, 260.0
            expected = [
                (left + (x + 3) / 6 * (right - left), bottom - (y + 3) / 6 * (bottom - top))
                for x, y in walk.positions[: step + 1].tolist()
            ]
            drawn = places_of(line["d"])
            assert drawn[0] == pytest.approx(expected[0], abs=0.06)
            assert drawn[-1] == pytest.approx(expected[-1], abs=0.06)
            assert places_of(head["transform"].replace("translate(", "M").rstrip(")")) == [drawn[-1]]
            losses = places_of(chart[2 * k]["d"])
            begin, end = (places_of(panels(player.svg())[1][0]["d"])[j][0] for j in (0, -1))
            assert losses[-1][0] - begin == pytest.approx((end - begin) * step / 3, abs=0.2)
            heights = zip(pairwise(y for _, y in losses), pairwise(walk.losses.tolist()))
            assert all((y < later) == (loss > next_loss) for (y, later), (loss, next_loss) in heights)
    assert str(player).splitlines()[2].startswith("step 2 of 3, loss: slow ")


def test_the_frames_of_the_page_are_the_pictures_of_the_steps() -> None:
    player = a_race(rates={"slow": 0.01, "faster": 0.05}).animate()
    frames = frames_of(player.html())
    assert len(frames) == 4
    for step, frame in enumerate(frames):
        elements = [element for panel in panels(player.svg(step)) for element in panel]
        assert len(elements) == len(frame) == 8
        for element, value in zip(elements, frame):
            if element["data-slot"] == "transform":
                assert value == element["transform"]
            else:  # the picture leaves out places on a straight line
                assert set(places_of(element["d"])) <= set(places_of(value))
                assert places_of(element["d"])[-1] == places_of(value)[-1]
                assert len(places_of(value)) == step + 1


def test_a_walk_that_ends_early_waits_and_one_that_diverges_leaves_the_picture() -> None:
    found = a_race()
    assert len(found.trajectories["<fast>\x1b"]) == 2
    player = found.animate()
    early, last = panels(player.svg(1)), panels(player.svg(3))
    assert early[0][3] == last[0][3]
    assert early[1][2] == last[1][2]
    numbers = re.findall(r"-?[\d.]+", "".join(e.get("d", "") + e.get("transform", "") for p in last for e in p))
    assert all(abs(float(number)) < 2000 for number in numbers)
    assert "&lt;fast&gt;" in player.svg()
    assert "<fast>" not in player.html()
    slow, fast = (walk.losses[-1] for walk in found.trajectories.values())
    assert str(player).splitlines()[-1] == f"step 3 of 3, loss: slow {slow:.3g}, <fast>\x1b {fast:.3g}"


def test_a_surface_with_holes_and_losses_that_are_not_finite_are_drawn() -> None:
    def holed(x: Any, y: Any) -> Any:
        if x.data < -2.0:
            raise ValueError("hole")
        return x * x + y * y

    def endless(x: Any, y: Any) -> Any:
        return (x * x + y * y) * math.inf

    for loss in (holed, endless, lambda x, y: 0.0 * x + 0.0 * y):
        player = a_race(loss, rates={"slow": 0.01}).animate()
        ElementTree.fromstring(player.svg())
        assert "nan" not in re.sub(r'aria-label="[^"]*"', "", player.svg())
    (image,) = re.findall(r"<image", a_race(holed, rates={"slow": 0.01}).animate().svg())
    assert image


def test_a_long_race_has_at_most_a_hundred_frames_and_a_small_page() -> None:
    player = a_race(steps=1000, rates={"slow": 0.001, "slower": 0.0005}).animate()
    page = player.html()
    frames = frames_of(page)
    assert len(frames) == 100
    assert len(places_of(frames[-1][0])) == 1001
    assert "step 1000 of 1000, loss: " in page
    assert len(page) < 100_000


@pytest.mark.parametrize("option", [{"fps": 5}, {"dpi": 50}, {"most_frames": 3}])
def test_a_setting_of_films_without_a_file_is_refused(option: Any) -> None:
    ((name, setting),) = option.items()
    with pytest.raises(TypeError, match=rf'^Race.animate: {name}: .* animate\("race.gif", {name}={setting}\), got no'):
        a_race().animate(**option)
