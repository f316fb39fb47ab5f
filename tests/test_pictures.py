"""The pictures of a training run: the walk and its surface, the gradients, the regions, the network."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from inside import thresholds

from microgrud.cli import charts
from microgrud.cli.pictures import draw_pictures, plane_of, regions_chart
from microgrud.cli.pipeline import train_on_table
from microgrud.cli.report import report_page
from microgrud.cli.run import Run
from microgrud.cli.settings import RunSettings
from microgrud.cli.walk import flow_chart, flow_picture, measured_samples, surface_chart, surface_of, surface_picture
from microgrud.engine.vectors import read_data, read_gradients, write_data
from microgrud.losses import cross_entropy, squared_error
from microgrud.nn import MLP
from microgrud.plot import Trajectory
from microgrud.tables.table import Table, iris_table
from microgrud.train import evaluate

pytestmark = pytest.mark.usefixtures("coarse_reports")


def a_table(**columns: Any) -> Table:
    return Table("things", pd.DataFrame({name: [str(x) for x in values] for name, values in columns.items()}))


@pytest.fixture(scope="module")
def iris() -> Run:
    return train_on_table(iris_table(), RunSettings("species", hidden=(5,), epochs=6), progress=False)


@pytest.fixture(scope="module")
def pictures(iris: Run) -> dict[str, charts.Picture]:
    return draw_pictures(iris)


@pytest.fixture(scope="module")
def plain() -> Run:
    """Train a regression on two columns of numbers of different sizes."""
    rng = np.random.default_rng(0)
    width, height = 100.0 + 20.0 * rng.normal(size=60), 0.01 * rng.normal(size=60)
    table = a_table(width=width, height=height, area=width + 1000.0 * height)
    return train_on_table(table, RunSettings("area", hidden=(3,), epochs=3, batch_size=8), progress=False)


# --- the surface and the walk ---


def test_the_walk_goes_from_the_first_weights_to_the_trained_ones(iris: Run) -> None:
    first = MLP(4, (5, 3), "tanh", init="glorot_uniform", rng=0)
    positions = iris.trajectory.positions
    assert len(positions) == 6 * 8 + 1
    assert positions[0].tolist() == read_data(first.parameters()).tolist()
    assert positions[-1].tolist() == read_data(iris.predictor.model.parameters()).tolist()


@thresholds(most_places=10)
def test_a_long_walk_of_a_large_network_is_thinned() -> None:
    run = train_on_table(iris_table(), RunSettings("species", hidden=(), epochs=6), progress=False)
    assert (run.trajectory.every, len(run.trajectory)) == (5, 11)
    assert "Marks show every 5th step." in surface_picture(run).caption


@pytest.mark.parametrize("name", ["iris", "plain"])
def test_the_surface_is_that_of_the_training_loss(name: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(name)
    surface = surface_of(run)
    model, loss = run.predictor.model, squared_error if name == "plain" else cross_entropy
    trained = read_data(model.parameters())
    assert surface.plane.origin.tolist() == trained.tolist()
    assert surface.losses.shape == (9, 9)
    try:
        for i, j in ((0, 0), (4, 2), (8, 7)):
            write_data(model.parameters(), surface.plane.point(surface.x[i], surface.y[j]))
            expected = evaluate(model, run.learned.rows, run.learned.targets, loss=loss)[0]
            assert surface.losses[j, i] == pytest.approx(expected, rel=1e-12)
    finally:
        write_data(model.parameters(), trained)
    walk = next(line for line in surface_chart(surface).get_lines() if line.get_label() == "walk")
    assert np.asarray(walk.get_xydata()) == pytest.approx(surface.path(run.trajectory))


@thresholds(fewest_rows=10, most_work=10)
def test_the_surface_uses_some_rows_of_a_large_table(plain: Run) -> None:
    some = measured_samples(plain)
    assert len(some) == 10
    assert some == measured_samples(plain)
    for row, target in zip(some.rows, some.targets):
        assert target == plain.learned.targets[plain.learned.rows.index(row)]
    assert surface_of(plain).losses.shape == (5, 5)
    assert "the mean loss of 10 of the 48 training rows" in surface_picture(plain).caption


@thresholds(most_parameters=12)
@pytest.mark.slow("2 s: every picture of a report")
def test_a_network_that_is_too_large_for_a_surface_shows_the_reason_instead(plain: Run) -> None:
    pictures = draw_pictures(plain)
    assert pictures["surface"].files == ()
    page = report_page(plain, pictures)
    assert '<p class="missing">There is no loss surface here: with 13 parameters it would take minutes' in page


def test_two_parameters_are_the_axes_of_the_surface() -> None:
    table = a_table(x=range(20), y=[2 * i + i % 3 for i in range(20)])
    run = train_on_table(table, RunSettings("y", hidden=(), epochs=2), progress=False)
    surface = surface_of(run)
    assert surface.plane.labels == ("layers.0.neurons.0.w.0", "layers.0.neurons.0.b")
    assert "The network has only these two parameters." in surface_picture(run).caption


def test_a_walk_that_went_nowhere_leaves_random_directions(iris: Run) -> None:
    run = replace(iris, trajectory=Trajectory(iris.predictor.model))
    surface = surface_of(run)
    assert surface.plane.labels == ("random direction 1", "random direction 2")
    assert surface.trajectories == {}
    assert surface_chart(surface).get_title() == "Loss surface"
    assert "mark" not in surface_picture(run).caption


# --- the gradients ---


def test_the_flow_is_that_of_the_gradients_before_and_after(iris: Run) -> None:
    drawn: list[Any] = []
    model = iris.predictor.model
    for place in (0, -1):
        other = MLP(4, (5, 3), "tanh")
        write_data(other.parameters(), iris.trajectory.positions[place])
        loss = (
            sum(cross_entropy(other(row), target) for row, target in zip(iris.learned.rows, iris.learned.targets)) / 120
        )
        loss.backward()
        drawn.append(read_gradients(other.parameters()))
    chart = flow_chart(iris, {"one": drawn[0], "other": drawn[1]})
    panels = chart.figure.axes
    sizes = [len(layer.parameters()) for layer in model.layers]
    for ax, gradient in zip(panels, drawn):
        first, last = np.abs(gradient[: sizes[0]]), np.abs(gradient[sizes[0] :])
        heights = [patch.get_height() for patch in ax.patches]
        assert heights == pytest.approx([first.mean(), last.mean(), first.max(), last.max()])
    assert [ax.get_title().split(":")[0] for ax in panels] == ["one", "other"]
    assert panels[0].get_ylim() == panels[1].get_ylim()
    picture = flow_picture(iris)
    assert picture is not None
    titles = ["Before the first step:", "After the last step:"]
    texts = [text.text for text in ElementTree.fromstring(picture.files[0]).iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text in titles] == titles


@pytest.mark.slow("2 s: every picture of a report")
def test_pictures_leave_the_model_as_it_is(iris: Run) -> None:
    parameters = iris.predictor.model.parameters()
    for i, parameter in enumerate(parameters):
        parameter.grad = float(i)
    data = read_data(parameters)
    draw_pictures(iris)
    assert read_data(parameters).tolist() == data.tolist()
    assert read_gradients(parameters).tolist() == list(map(float, range(len(parameters))))


# --- the regions ---


def test_two_columns_of_numbers_are_drawn_in_their_own_units(plain: Run) -> None:
    plane = plane_of(plain.predictor.preprocessing, np.array(plain.learned.rows))
    assert plane is not None
    assert plane.labels == ("width", "height")
    places = plane.project(np.array(plain.held_out))
    assert 40.0 < places[:, 0].min() < places[:, 0].max() < 180.0
    assert np.abs(places[:, 1]).max() < 0.05
    for place, inputs, predicted in zip(places, plain.held_out, plain.predictions["predicted"]):
        assert plane.point(*place) == pytest.approx(inputs, rel=1e-9, abs=1e-9)
        assert plain.predictor.answer(plane.point(*place).tolist()) == pytest.approx([predicted])


def test_more_inputs_are_drawn_in_the_plane_of_their_principal_components(
    iris: Run, pictures: dict[str, charts.Picture]
) -> None:
    rows = np.array(iris.learned.rows)
    plane = plane_of(iris.predictor.preprocessing, rows)
    assert plane is not None
    assert plane.variance is not None
    centered = rows - rows.mean(axis=0)
    _, lengths, directions = np.linalg.svd(centered, full_matrices=False)
    assert sum(plane.variance) == pytest.approx((lengths[:2] ** 2).sum() / (lengths**2).sum())
    assert np.abs(plane.directions @ directions[:2].T) == pytest.approx(np.eye(2), abs=1e-9)
    assert plane.point(0.0, 0.0) == pytest.approx(rows.mean(axis=0))
    on_it = np.array([plane.point(*place) for place in ((1.0, 0.0), (-0.5, 2.0))])
    assert plane.project(on_it) == pytest.approx(np.array([(1.0, 0.0), (-0.5, 2.0)]))
    caption = pictures["regions"].caption
    assert f"goes through the mean of the 4 inputs and holds {sum(plane.variance):.0%} of their variance" in caption


@pytest.mark.slow("2 s: every picture of a report")
def test_a_single_input_spans_no_plane() -> None:
    table = a_table(x=range(20), y=[2 * i + i % 3 for i in range(20)])
    run = train_on_table(table, RunSettings("y", hidden=(2,), epochs=1), progress=False)
    assert plane_of(run.predictor.preprocessing, np.array(run.learned.rows)) is None
    assert "regions" not in draw_pictures(run)


def test_the_regions_have_the_held_out_rows_of_each_class_over_them(iris: Run) -> None:
    plane = plane_of(iris.predictor.preprocessing, np.array(iris.learned.rows))
    assert plane is not None
    axes = regions_chart(iris, plane, lambda *place: iris.predictor.answer(plane.point(*place).tolist()))
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["setosa", "versicolor", "virginica"]
    marks = {
        c.get_label(): np.asarray(c.get_offsets()) for c in axes.collections if c.get_label() in iris.target.classes
    }
    places = plane.project(np.array(iris.held_out))
    for name, own in marks.items():
        assert own.tolist() == places[(iris.predictions["true"] == name).to_numpy()].tolist()
    assert axes.get_xlabel().startswith("principal component 1 (")


# --- the network ---


def test_the_network_has_the_names_of_its_inputs_and_its_classes(pictures: dict[str, charts.Picture]) -> None:
    (svg,) = pictures["network"].files
    texts = {text.text for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert texts >= {"sepal length (cm)", "petal width (cm)", "setosa", "versicolor", "virginica", "tanh", "linear"}


@pytest.mark.slow("2 s: every picture of a report")
def test_a_run_survives_without_a_program_that_draws(iris: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> bytes:
        raise RuntimeError("no <dot> here")

    monkeypatch.setattr("microgrud.draw.rendering.Drawing.pipe", fails)
    pictures = draw_pictures(iris)
    assert pictures["network"].files == ()
    page = report_page(iris, pictures)
    assert '<p class="missing">There is no picture of the network here: no &lt;dot&gt; here</p>' in page
