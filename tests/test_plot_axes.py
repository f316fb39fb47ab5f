"""Properties of all pictures: the Axes they are drawn on, notebooks, matplotlib's settings, and matplotlib missing."""

from __future__ import annotations

import builtins
import io
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.axes3d import Axes3D
from PIL import Image

import microgrud
from microgrud import Value, plot
from microgrud.nn import MLP, Layer, Module, Neuron
from microgrud.optim import SGD, Adam
from microgrud.plot.axes import several_axes
from microgrud.train import EpochRecord, History

ROWS, CLASSES = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]


def network() -> MLP:
    model = MLP(2, [3, 1], activation="tanh", rng=random.Random(0))
    model(ROWS[1]).backward()
    return model


def surface() -> plot.LossSurface:
    x, y = Value(1.0, label="x"), Value(0.5, label="y")
    trajectory = plot.Trajectory([x, y])
    for x.data, y.data in ((1.0, 0.5), (0.5, 0.1), (0.2, 0.0)):
        trajectory.record(plot.ravine(x, y))
    return plot.loss_surface(lambda: plot.ravine(x, y), [x, y], points=7, trajectory=trajectory)


def history() -> History:
    made = History()
    for i in range(4):
        made.add_step(epoch=1, loss=1.0 / (i + 1), metric=None, learning_rate=0.1, gradient_norm=1.0)
    made.epochs.append(EpochRecord(1, 4, 0.5, None, 0.1, 0.6))
    return made


def sweep() -> plot.LearningRateRange:
    x = Value(1.0)
    return plot.learning_rate_range(lambda: x * x, SGD([x]), lowest=1e-4, steps=30)


def contest() -> plot.Race:
    return plot.race(plot.ravine, (2.0, 1.0), {"Adam": Adam, "SGD": SGD}, steps=3, points=5)


#: The functions that draw on one Axes.
SINGLE: dict[str, Callable[..., Any]] = {
    "contour": lambda ax=None: surface().contour(ax),
    "learning_curve": lambda ax=None: plot.learning_curve(history(), ax),
    "decision_regions": lambda ax=None: plot.decision_regions(network(), ROWS, CLASSES, ax, points=5),
    "gradient_flow": lambda ax=None: plot.gradient_flow(network(), ax),
    "rates": lambda ax=None: sweep().plot(ax),
}
#: The functions that draw on three-dimensional Axes or on several.
OTHERS: dict[str, Callable[[], Any]] = {
    "surface": lambda: surface().surface(),
    "race": lambda: contest().plot(),
    "histograms": lambda: plot.parameter_histograms(network()),
}
PICTURES = {**SINGLE, **OTHERS}


def figure_of(drawn: Any) -> Figure:
    made = (drawn[0] if isinstance(drawn, tuple) else drawn).figure
    assert isinstance(made, Figure)
    return made


@pytest.mark.parametrize("name", list(SINGLE))
def test_a_picture_is_drawn_on_the_axes_it_is_given_which_are_returned(name: str) -> None:
    figure = Figure()
    _, right = figure.subplots(1, 2)
    assert SINGLE[name](right) is right
    assert right.has_data()
    assert right.get_xlabel()
    assert right.get_ylabel()


@pytest.mark.parametrize("name", list(SINGLE))
def test_anything_but_axes_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="ax: expected matplotlib Axes or None, got an object of type Figure"):
        SINGLE[name](Figure())


@pytest.mark.parametrize("name", list(PICTURES))
def test_a_picture_shows_itself_in_a_notebook_with_every_label_inside(name: str) -> None:
    drawn = PICTURES[name]()
    shown = drawn._repr_png_()
    assert Image.open(io.BytesIO(shown)).width > 500
    figure = figure_of(drawn)
    assert not hasattr(drawn, "_repr_html_")
    whole = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    # A constrained layout keeps everything within the page, except for three-dimensional Axes.
    if not isinstance(drawn, Axes3D):
        assert whole.x0 >= -0.03
        assert whole.y0 >= -0.03
        assert whole.x1 <= width + 0.03
        assert whole.y1 <= height + 0.03


@pytest.mark.slow("3 s: every kind of picture, twice")
@pytest.mark.parametrize("name", list(PICTURES))
def test_a_picture_is_the_same_bytes_every_time(name: str) -> None:
    assert PICTURES[name]()._repr_png_() == PICTURES[name]()._repr_png_()


def test_results_show_their_picture_in_a_notebook() -> None:
    assert surface()._repr_png_() == surface().contour()._repr_png_()  # type: ignore[attr-defined]
    assert contest()._repr_png_() == contest().plot()._repr_png_()  # type: ignore[attr-defined]
    assert sweep()._repr_png_() == sweep().plot()._repr_png_()  # type: ignore[attr-defined]


def test_given_axes_do_not_show_themselves() -> None:
    axes = Figure().subplots(1, 2)
    assert not hasattr(contest().plot(axes), "_repr_png_")
    assert not hasattr(surface().contour(axes[0]), "_repr_png_")


def test_axes_may_be_a_list_a_tuple_or_an_array() -> None:
    axes = Figure().subplots(1, 2)
    for given in (axes, list(axes), tuple(axes), axes.reshape(2, 1)):
        assert several_axes("here", given, 1, 2, 2, (4, 3)) == tuple(axes)
    assert several_axes("here", axes[0], 1, 1, 1, (4, 3)) == (axes[0],)
    assert all(isinstance(ax, Axes) for ax in several_axes("here", None, 1, 2, 2, (4, 3)))


def test_drawing_needs_no_pyplot_and_leaves_matplotlibs_settings_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(matplotlib.rcParams, "hatch.color", "#123456")  # no value that an earlier test can have left
    before = dict(matplotlib.rcParams)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for draw in PICTURES.values():
        draw()._repr_png_()
    for name in ("walk.gif", "walk.html"):
        plot.animate(surface(), None, tmp_path / name, dpi=20)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TypeError("mistake")])
def test_after_an_error_modes_settings_and_random_numbers_are_as_before(error: BaseException) -> None:
    from microgrud.engine.grad_mode import is_recording

    model = network()
    x, y = Value(1.0), Value(2.0)
    calls: list[int] = []

    def stop(*_: Any) -> Any:
        calls.append(1)
        if len(calls) > 4:
            raise error
        return 0.5 * (x + y)

    class Stopping(MLP):
        def __call__(self, row: Any) -> Any:
            assert not self.training
            return stop()

    stopping = Stopping(2, [1], rng=0)
    states: list[Any] = [random.getstate(), np.random.get_state(), dict(matplotlib.rcParams)]
    for run in (
        lambda: plot.loss_surface(stop, model),
        lambda: plot.learning_rate_range(stop, Adam([x, y])),
        lambda: plot.race(stop, (1.0, 1.0), {"Adam": Adam}),
        lambda: plot.decision_regions(stopping, ROWS, CLASSES),
    ):
        calls.clear()
        with pytest.raises(type(error)):
            run()
        assert stopping.training
        assert is_recording()
        after = [random.getstate(), np.random.get_state(), dict(matplotlib.rcParams)]
        assert all(np.array_equal(one, other) for one, other in zip(states[1], after[1]))  # type: ignore[arg-type]
        assert (after[0], after[2]) == (states[0], states[2])


def test_settings_of_matplotlib_come_back_though_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(matplotlib.rcParams, "hatch.color", "#123456")  # no value that an earlier test can have left
    before = dict(matplotlib.rcParams)
    monkeypatch.setattr(Axes, "contourf", fail)
    for name in ("contour", "decision_regions"):
        with pytest.raises(KeyboardInterrupt):
            PICTURES[name]()
        assert dict(matplotlib.rcParams) == before


def test_pictures_follow_the_readers_style_and_can_be_drawn_in_a_dark_one() -> None:
    from matplotlib.style import context

    with context("dark_background"):
        for draw in PICTURES.values():
            draw()._repr_png_()


HUGE = 1.7e308
X, Y = Value(0.0, label="x"), Value(0.0, label="y")


def tall(height: Callable[[], float]) -> plot.LossSurface:
    walk = plot.Trajectory([X, Y])
    for X.data, Y.data in ((-0.5, 0.5), (HUGE, -HUGE), (0.5, 0.5)):
        walk.record(1.0)
    return plot.loss_surface(height, [X, Y], extent=(-1, 1), points=5, trajectory=walk)


def losses(*numbers: float) -> Any:
    made = History()
    for loss in numbers:
        made.add_step(epoch=1, loss=loss, metric=None, learning_rate=0.1, gradient_norm=1.0)
    return made


def heights(*numbers: float) -> Callable[[Any, Any], Any]:
    waiting = list(numbers)
    return lambda x, y: 0.0 * (x + y) + (waiting.pop(0) if waiting else numbers[0])


def with_gradients(*numbers: float) -> MLP:
    model = network()
    for p, number in zip(model.parameters(), numbers):
        p.grad = number
    return model


#: Numbers close to the largest and the smallest float, as a diverging walk meets them.
EXTREMES: dict[str, Callable[[], Any]] = {
    "contour": lambda: tall(lambda: HUGE * (1 - abs(X.data))).contour(),
    "contour, both signs": lambda: tall(lambda: HUGE * X.data).contour(),
    "contour, linear": lambda: tall(lambda: 10.0 ** (308.0 * X.data)).contour(scale="linear"),
    "contour, logarithmic": lambda: tall(lambda: 10.0 ** (308.0 * X.data)).contour(scale="log"),
    "contour, constant": lambda: tall(lambda: HUGE).contour(scale="log"),
    "contour, smallest": lambda: tall(lambda: 5e-324 * (X.data > 0)).contour(scale="log"),
    "surface": lambda: tall(lambda: HUGE * X.data).surface(),
    "surface, logarithmic": lambda: tall(lambda: 10.0 ** (308.0 * X.data)).surface(scale="log"),
    "surface, constant": lambda: tall(lambda: HUGE).surface(),
    "surface, small": lambda: plot.loss_surface(lambda: X.data, [X, Y], extent=(0, 1e-320), points=5).surface(),
    "learning curve": lambda: plot.learning_curve(losses(1.0, 1e308, 1e308, 2.0)),
    "learning curve, both signs": lambda: plot.learning_curve(losses(HUGE, 1.0, -HUGE)),
    "race": lambda: plot.race(heights(1.0, 2.0, HUGE), (1, 1), {"a": SGD}, steps=2, points=3, extent=(-1, 1)).plot(),
    "race, down": lambda: plot.race(
        heights(HUGE, HUGE, -HUGE), (1, 1), {"a": SGD}, steps=2, points=3, extent=(-1, 1)
    ).plot(),
    "gradients": lambda: plot.gradient_flow(with_gradients(HUGE, HUGE, -HUGE)),
    "small gradients": lambda: plot.gradient_flow(with_gradients(*[5e-324] * 13)),
    "regions": lambda: plot.decision_regions(lambda row: [HUGE * row[0], -HUGE * row[1]], ROWS, CLASSES, points=5),
    "regression": lambda: plot.decision_regions(
        lambda row: HUGE * 0.9 * row[0], ROWS, [HUGE, -HUGE, 1.0, 0.5], points=5
    ),
}


@pytest.mark.parametrize("name", list(EXTREMES))
def test_numbers_at_the_ends_of_the_floats_are_drawn_without_an_overflow(name: str) -> None:
    figure_of(EXTREMES[name]()).savefig(io.BytesIO())  # warnings are errors


#: A text that looks like the beginning of a formula, and a name that matplotlib omits from legends.
ODD, HIDDEN = r"$\foo$", "_hidden $"


class Odd(Module):
    def __init__(self) -> None:
        self.parts = {ODD: Layer(2, 1, rng=0), "$": Neuron(1, rng=0)}

    def __call__(self, x: Any) -> Any:
        return self.parts["$"](self.parts[ODD](x))


def odd_surface() -> plot.LossSurface:
    x, y = Value(1.0, label=ODD), Value(0.5, label=r"$\frac$")
    walks = {ODD: plot.Trajectory([x, y]), HIDDEN: plot.Trajectory([x, y])}
    for x.data in (1.0, 0.5):
        for walk in walks.values():
            walk.record(1.0)
    return plot.loss_surface(lambda: plot.ravine(x, y), [x, y], points=5, trajectory=walks)


def odd_network() -> Odd:
    model = Odd()
    model([1.0, 2.0]).backward()
    return model


#: The pictures with texts of the user, and the texts that each should show.
NAMED: dict[str, tuple[Callable[[], Any], set[str]]] = {
    "contour": (lambda: odd_surface().contour(), {ODD, r"$\frac$", HIDDEN}),
    "surface": (lambda: odd_surface().surface(), {ODD, r"$\frac$", HIDDEN}),
    "race": (
        lambda: plot.race(plot.ravine, (2.0, 1.0), {ODD: SGD, HIDDEN: Adam}, steps=2, points=5).plot(),
        {ODD, HIDDEN},
    ),
    "histograms": (
        lambda: plot.parameter_histograms(odd_network()),
        {rf"parts.{ODD} (3 parameters)", "parts.$ (2 parameters)"},
    ),
    "gradient_flow": (lambda: plot.gradient_flow(odd_network()), {f"parts.{ODD}", "parts.$"}),
    "decision_regions": (
        lambda: plot.decision_regions(
            network(), ROWS, CLASSES, points=5, feature_names=[ODD, "$"], class_names=[ODD, HIDDEN]
        ),
        {ODD, "$", HIDDEN},
    ),
}


@pytest.mark.parametrize("name", list(NAMED))
def test_names_of_users_are_drawn_literally(name: str) -> None:
    from matplotlib.text import Text

    draw, expected = NAMED[name]
    figure = figure_of(draw())
    figure.savefig(io.BytesIO())
    shown: Any = figure.findobj(lambda artist: isinstance(artist, Text))
    assert expected <= {text.get_text() for text in shown if not text.get_parse_math()}


def test_an_animation_shows_names_literally(tmp_path: Path) -> None:
    assert plot.animate(odd_surface(), None, tmp_path / "walk.gif", dpi=20).exists()


def test_without_matplotlib_every_picture_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    imported = builtins.__import__

    def without_matplotlib(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith(("matplotlib", "mpl_toolkits")):
            raise ImportError(name)
        return imported(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    pictures = {**PICTURES, "animation": lambda: plot.animate(surface(), None, tmp_path / "walk.gif")}
    for name, draw in pictures.items():
        with pytest.raises(ImportError, match=" needs matplotlib, .* not installed: pip install matplotlib"):
            draw()
        assert name


def test_recording_and_evaluating_need_no_matplotlib_and_drawing_no_pyplot() -> None:
    program = """
import sys
from microgrud import Value, plot
x, y = Value(1.0), Value(2.0)
walk = plot.Trajectory([x, y])
walk.record(plot.beale(x, y))
surface = plot.loss_surface(lambda: plot.beale(x, y), [x, y], points=3, trajectory=walk)
assert "matplotlib" not in sys.modules
surface.contour(), surface.surface(), surface._repr_png_()
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_microgrud_plot_is_there_at_its_first_use() -> None:
    program = """
import sys, microgrud
assert "microgrud.plot" not in sys.modules
assert microgrud.plot.rosenbrock(1.0, 1.0) == 0.0
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_public_names_are_there_sorted_and_documented_with_an_example() -> None:
    names = plot.__all__
    assert sorted(names, key=lambda name: (not name[0].isupper(), name)) == names
    assert len(set(names)) == len(names)
    for name in names:
        public = getattr(plot, name)
        assert public.__doc__, name
        assert public.__module__.startswith("microgrud.plot."), name
        if not isinstance(public, type):
            assert ">>> " in public.__doc__, name
    assert microgrud.plot is plot


# --- arguments ---


@pytest.mark.parametrize("whole", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize("real", [np.float64, np.float32])
def test_numbers_of_numpy_are_numbers(whole: Any, real: Any, tmp_path: Path) -> None:
    x, y = Value(1.0), Value(0.5)
    trajectory = plot.Trajectory([x, y], every=whole(1))
    trajectory.record(real(1.0), real(0.1))
    no = np.bool_(False)

    def loss() -> Any:
        return plot.quadratic(real(4))(x, y)

    extent = np.array([[-1, 2], [real(0), 1]])
    for points in (whole(3), (whole(3), whole(4)), np.array([3, 4], dtype=whole)):
        surface = plot.loss_surface(
            loss, [x, y], extent=extent, points=points, seed=whole(1), progress=no, trajectory=trajectory
        )
        assert surface.losses.shape in ((3, 3), (4, 3))
    surface.contour(levels=whole(4), colorbar=no)
    surface.contour(levels=np.array([1, 2], dtype=whole))
    plot.animate(surface, None, tmp_path / "walk.gif", fps=real(5), dpi=whole(20), most_frames=whole(2))
    plot.race(plot.ravine, (real(1), whole(2)), {"a": SGD}, steps=whole(2), points=whole(3), extent=(real(0), whole(1)))
    plot.learning_rate_range(
        loss, SGD([x, y]), lowest=real(1e-3), highest=whole(1), steps=whole(5), smoothing=real(0.5), progress=no
    )
    plot.decision_regions(
        lambda row: real(row[0]), np.array(ROWS, dtype=real), np.array(CLASSES, dtype=whole), points=whole(3),
        threshold=real(0.5), feature_names=np.array(["a", "b"]), class_names=np.array(["no", "yes"]),
    )  # fmt: skip
    plot.parameter_histograms(network(), bins=whole(3))


def sweep_with(**arguments: Any) -> Any:
    x = Value(1.0)
    return plot.learning_rate_range(lambda: x * x, SGD([x]), **arguments)


def surface_with(**arguments: Any) -> Any:
    x, y = Value(1.0), Value(1.0)
    return plot.loss_surface(**{"loss": lambda: 1.0, "parameters": [x, y], "points": 3, **arguments})


def race_with(**arguments: Any) -> Any:
    return plot.race(plot.ravine, **{"start": (1, 1), "optimizers": {"a": SGD}, "steps": 1, "points": 3, **arguments})


def regions_with(**arguments: Any) -> Any:
    return plot.decision_regions(lambda row: row[0], **{"X": ROWS, "y": CLASSES, "points": 3, **arguments})


#: Each argument with a function of this argument, and with invalid values.
WRONG: list[tuple[str, Callable[..., Any], list[Any]]] = [
    ("parameters", surface_with, [3, "ab", None, [1, 2], Value(1.0)]),
    ("directions", surface_with, [3, ("x",), ("x", None), np.array(["x", "y"])]),
    ("trajectory", surface_with, [3, "ab", {"a": 3}]),
    ("extent", surface_with, [3, "ab", (1, "b")]),
    ("points", surface_with, ["a", 2.5, None, (3,), (3, 2.5), np.array(2.5)]),
    ("seed", surface_with, ["a", 1.5, None]),
    ("progress", surface_with, ["yes", 1, []]),
    ("trajectory", lambda trajectory: surface().path(trajectory), [3, None, "walk"]),
    ("trajectory", lambda trajectory: surface().contour(trajectory=trajectory), [3, "walk"]),
    ("levels", lambda levels: surface().contour(levels=levels), ["a", 2.5, None, [None, 1], True]),
    ("scale", lambda scale: surface().contour(scale=scale), [3, None, ["log"]]),
    ("scale", lambda scale: surface().surface(scale=scale), [3, None, ["log"]]),
    ("colorbar", lambda colorbar: surface().contour(colorbar=colorbar), [3, None]),
    ("path", lambda path: plot.animate(surface(), None, path), [3, None, b"walk.gif", "walk.mp4"]),
    ("fps", lambda fps: plot.animate(surface(), None, "walk.gif", fps=fps), ["a", None, -1, float("nan")]),
    ("dpi", lambda dpi: plot.animate(surface(), None, "walk.gif", dpi=dpi), ["a", None, 2.5]),
    ("start", race_with, ["ab", 3, None, (1, "b"), (1, 2, 3)]),
    ("extent", race_with, ["ab", 3, (1, "b")]),
    ("steps", race_with, ["a", 2.5, None]),
    ("lowest", sweep_with, ["a", None, [1]]),
    ("highest", sweep_with, ["a", None, [1]]),
    ("steps", sweep_with, ["a", None, 2.5]),
    ("smoothing", sweep_with, ["a", None, [1]]),
    ("progress", sweep_with, ["yes", 1]),
    ("X", regions_with, ["a", 3, None]),
    ("y", regions_with, ["a", 3, None, [None] * 4]),
    ("points", regions_with, ["a", None, 2.5]),
    ("threshold", regions_with, ["a", [1]]),
    ("task", regions_with, [3, "sorting"]),
    ("feature_names", regions_with, [3, "ab", [], ["a"]]),
    ("class_names", regions_with, [3, "ab", [], ["a"]]),
    ("bins", lambda bins: plot.parameter_histograms(network(), bins=bins), ["a", None, 2.5]),
    ("model", plot.parameter_histograms, ["a", 3, None]),
    ("model", plot.gradient_flow, ["a", 3, None]),
    ("history", plot.learning_curve, ["a", 3, None]),
    ("what", lambda what: plot.learning_curve(history(), what=what), ["speed", 3, None, ["loss"]]),
    ("condition_number", plot.quadratic, ["a", None, [1]]),
    ("every", lambda every: plot.Trajectory([Value(1.0)], every=every), ["a", None, 2.5]),
    ("loss", lambda loss: plot.Trajectory([Value(1.0)]).record(loss), ["a", None, [1]]),
]


@pytest.mark.parametrize(("argument", "function", "wrong"), WRONG)
def test_invalid_values_are_refused_with_the_name_of_the_argument(
    argument: str, function: Callable[..., Any], wrong: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for thing in wrong:
        with pytest.raises((TypeError, ValueError), match=rf"\b{argument}\b.*: expected"):
            function(**{argument: thing})
