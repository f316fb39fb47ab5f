"""Animations of walks: the contents of the files, and equal bytes in every run."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from microgrud import Value
from microgrud.optim import SGD
from microgrud.plot import LossSurface, Race, Trajectory, animate, loss_surface, race, ravine


def surface(places: int = 4) -> LossSurface:
    x, y = Value(0.0, label="x"), Value(0.0, label="y")
    walks = {}
    for name, height in (("short", 0.5), ("long", 1.0)):
        walks[name] = Trajectory([x, y])
        for x.data in range(places if name == "long" else 2):
            y.data = height
            walks[name].record(ravine(x, y))
    return loss_surface(lambda: ravine(x, y), [x, y], trajectory=walks, points=5)


def test_a_gif_has_a_frame_for_each_place_of_the_longest_walk(tmp_path: Path) -> None:
    path = animate(surface(), None, tmp_path / "walk.gif", dpi=40, fps=5)
    with Image.open(path) as film:
        assert film.format == "GIF"
        assert film.n_frames == 4
        assert film.info["duration"] == 200
        assert film.size == (256, 192)


@pytest.mark.parametrize("name", ["walk.gif", "walk.html"])
def test_equal_walks_give_equal_bytes(tmp_path: Path, name: str) -> None:
    first = animate(surface(), None, tmp_path / name, dpi=40).read_bytes()
    second = animate(surface(), None, str(tmp_path / name), dpi=40).read_bytes()
    assert first == second
    assert list(tmp_path.iterdir()) == [tmp_path / name]


FRAME = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\\\s]+)\"")


def frames_of(page: Path) -> list[Any]:
    """Return the frames of a page as arrays of pixels."""
    encoded = [text.replace("\\\n", "") for text in FRAME.findall(page.read_text(encoding="utf-8"))]
    return [np.array(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA"), int) for text in encoded]


def test_a_page_holds_its_frames_and_needs_no_network(tmp_path: Path) -> None:
    path = animate(surface(), None, tmp_path / "walk.html", dpi=40)
    assert [frame.shape for frame in frames_of(path)] == [(192, 256, 4)] * 4
    page = path.read_text(encoding="utf-8")
    frames = FRAME.findall(page)
    assert not re.search(r"(https?:)?//(?!www\.w3\.org)[a-z]+\.[a-z]+", page.split("data:image")[0])
    assert "font-awesome" not in page
    assert "fa-" not in page.replace("".join(frames), "")


def test_each_frame_shows_the_walks_as_far_as_they_have_come(tmp_path: Path) -> None:
    walked = surface()
    first, *_, last = frames_of(animate(walked, None, tmp_path / "walk.html", dpi=40))
    ends = frames_of(animate(walked, None, tmp_path / "ends.html", dpi=40, most_frames=2))
    assert np.array_equal(ends, [first, last])
    changed = np.argwhere(np.abs(first - last).max(axis=2) > 30)
    # The pixels that change are those of the walks and of the count above them.
    assert 50 < len(changed) < 0.2 * first.shape[0] * first.shape[1]


def test_at_each_step_the_lines_go_up_to_it_and_the_count_gives_its_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    walked = surface()
    paths = {name: walked.path(trajectory) for name, trajectory in walked.trajectories.items()}
    shown = shown_at_steps(monkeypatch)
    animate(walked, None, tmp_path / "walk.gif", dpi=40)
    assert shown.keys() == {0, 1, 2, 3}
    for step in (2, 3):
        short, short_head, long, long_head = (np.column_stack(data).tolist() for data in shown[step])
        assert short == paths["short"].tolist()
        assert short_head == paths["short"][1:].tolist()
        assert long == paths["long"][: step + 1].tolist()
        assert long_head == [paths["long"][step].tolist()]


def shown_at_steps(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[Any]]:
    """Collect the data of the lines of each frame, two for each walk, by the step that the count shows."""
    drawn: list[Any] = []
    shown: dict[int, list[Any]] = {}

    def set_data(line: Line2D, *data: Any, real: Any = Line2D.set_data) -> None:
        if line.get_zorder() >= 4.0:  # a walk or its head; lines of the axes lie lower
            drawn.append(data)
        real(line, *data)

    def set_text(text: Text, said: Any, real: Any = Text.set_text) -> None:
        # The first text is there before any frame; older versions of matplotlib set texts again for the layout.
        if str(said).startswith("step ") and drawn:
            shown[int(said.split()[1])] = drawn.copy()
        if str(said).startswith("step "):
            drawn.clear()
        real(text, said)

    monkeypatch.setattr(Line2D, "set_data", set_data)
    monkeypatch.setattr(Text, "set_text", set_text)
    return shown


@pytest.mark.parametrize(
    ("places", "most_frames", "steps"), [(5, 150, range(5)), (1001, 11, range(0, 1001, 100)), (1, 5, [0])]
)
def test_a_long_walk_is_shown_in_fewer_frames_with_its_first_and_its_last_place(
    places: int, most_frames: int, steps: Sequence[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    walked = surface(places)
    shown = shown_at_steps(monkeypatch)
    animate(walked, walked.trajectories["long"], tmp_path / "walk.gif", dpi=20, most_frames=most_frames)
    assert sorted(shown) == list(steps)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surface": 3}, "animate: surface: expected a LossSurface, got an object of type int"),
        ({"path": "walk.mp4"}, "animate: path: expected a file name that ends in .gif or .html, got 'walk.mp4'"),
        ({"trajectory": {}}, "animate: trajectory: expected at least one walk, got none"),
        ({"fps": 0}, "animate: fps: expected a finite number"),
        ({"dpi": 0}, "animate: dpi: expected an integer of at least 1"),
        ({"most_frames": 1}, "animate: most_frames: expected an integer of at least 2"),
    ],
)
def test_what_cannot_be_animated_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"surface": surface(), "trajectory": None, "path": tmp_path / "walk.gif", **change}
    with pytest.raises((TypeError, ValueError), match=message):
        animate(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    path = animate(surface(), None, tmp_path / "new" / "folder" / "walk.gif", dpi=20)
    assert path.read_bytes().startswith(b"GIF89a")


def test_an_unwritable_path_fails_before_anything_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(FigureCanvasAgg, "draw", lambda *_: pytest.fail("it drew"))
    with pytest.raises(OSError, match="file"):
        animate(surface(), None, tmp_path / "file" / "walk.gif", dpi=20)


# --- races ---


def a_race() -> Race:
    """Return a race of three steps, from which one walk is thrown out after two, and one stays in the picture."""
    optimizers = {name: lambda p, lr=lr: SGD(p, lr=lr) for name, lr in (("slow", 0.03), ("fast", 1e100))}
    return race(ravine, (2.0, 1.0), optimizers, steps=3, points=5, extent=(-3, 3))


def test_a_film_of_a_race_shows_its_walks_and_their_losses_as_far_as_each_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = a_race()
    walks = found.trajectories
    assert (len(walks["slow"]), len(walks["fast"]), list(found.ended)) == (4, 2, ["fast"])
    shown = shown_at_steps(monkeypatch)
    assert found.animate(tmp_path / "new" / "race.gif", dpi=20) == tmp_path / "new" / "race.gif"
    assert shown.keys() == {0, 1, 2, 3}
    for step in range(4):
        numbers = [np.column_stack(data) for data in shown[step][-8:]]  # the first frame has older ones, too
        for k, (place, loss) in enumerate(zip(numbers[0:4:2], numbers[4:8:2])):
            walk = list(walks.values())[k]
            last = min(step, len(walk) - 1)
            assert loss[:, 0].tolist() == list(range(last + 1))
            assert np.array_equal(loss[:, 1], np.clip(walk.losses[: last + 1], None, 1e250))
            assert np.array_equal(place, np.clip(found.surface.path(walk)[: last + 1], -1e250, 1e250))
        assert numbers[1].tolist() == numbers[0][-1:].tolist()
        assert numbers[7].tolist() == numbers[6][-1:].tolist()
    with Image.open(tmp_path / "new" / "race.gif") as film:
        assert (film.n_frames, film.size) == (4, (210, 92))


def test_frames_of_a_race_differ_in_both_panels_and_equal_races_give_equal_bytes(tmp_path: Path) -> None:
    first, *_, last = frames_of(a_race().animate(tmp_path / "race.html", dpi=40, most_frames=2))
    changed = np.abs(first - last).max(axis=2) > 30
    assert changed[:, :210].sum() > 20
    assert changed[:, 210:].sum() > 20
    assert changed.mean() < 0.2
    once, again = (a_race().animate(tmp_path / f"{k}.gif", dpi=20).read_bytes() for k in range(2))
    assert once == again


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "race.mp4"}, "Race.animate: path: expected a file name that ends in .gif or .html, got 'race.mp4'"),
        ({"fps": 0}, "Race.animate: fps: expected a finite number"),
        ({"dpi": 0}, "Race.animate: dpi: expected an integer of at least 1"),
        ({"most_frames": 1}, "Race.animate: most_frames: expected an integer of at least 2"),
    ],
)
def test_a_race_that_cannot_be_animated_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        a_race().animate(**{"path": tmp_path / "race.gif", **change})
    assert list(tmp_path.iterdir()) == []
