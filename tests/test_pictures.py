"""The pictures of a training run: the walk and its surface, the gradients, the regions, the network."""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from inside import thresholds

from microgrud.cli import charts
from microgrud.cli.pictures import (
    confusion_chart,
    draw_pictures,
    loss_chart,
    plane_of,
    precision_recall_chart,
    predictions_chart,
    regions_chart,
    reliability_chart,
    roc_chart,
)
from microgrud.cli.pipeline import train_on_table
from microgrud.cli.report import report_page
from microgrud.cli.run import Run
from microgrud.cli.settings import RunSettings
from microgrud.cli.walk import flow_chart, flow_picture, measured_samples, surface_chart, surface_of, surface_picture
from microgrud.engine.vectors import read_data, read_gradients, write_data
from microgrud.losses import cross_entropy, squared_error
from microgrud.plot import LossSurface, Trajectory
from microgrud.tables import Table
from microgrud.tables.table import iris_table
from microgrud.train import evaluate

pytestmark = pytest.mark.usefixtures("coarse_reports")


def a_table(**columns: Any) -> Table:
    return Table("things", pd.DataFrame({name: [str(x) for x in values] for name, values in columns.items()}))


@pytest.fixture(scope="module")
def iris() -> Run:
    return train_on_table(iris_table(), RunSettings("species", hidden=(5,), epochs=6, estimators=2))


@pytest.fixture(scope="module")
def pictures(iris: Run) -> dict[str, charts.Picture]:
    """Draw a run, and check that this leaves its model as it is."""
    parameters = iris.model.parameters()
    for i, parameter in enumerate(parameters):
        parameter.grad = float(i)
    data = read_data(parameters)
    drawn = draw_pictures(iris)
    assert read_data(parameters).tolist() == data.tolist()
    assert read_gradients(parameters).tolist() == list(map(float, range(len(parameters))))
    return drawn


@pytest.fixture(scope="module")
def plain() -> Run:
    """Train a regression on two columns of numbers of different sizes."""
    rng = np.random.default_rng(0)
    width, height = 100.0 + 20.0 * rng.normal(size=60), 0.01 * rng.normal(size=60)
    table = a_table(width=width, height=height, area=width + 1000.0 * height)
    return train_on_table(table, RunSettings("area", hidden=(3,), epochs=3, batch_size=8, estimators=2))


@pytest.fixture(scope="module")
def two() -> Run:
    """Train a classification of two classes on two inputs."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 80))
    table = a_table(a=a, b=b, sold=np.where(a + b + 0.5 * rng.normal(size=80) > 0, "yes", "no"))
    return train_on_table(table, RunSettings("sold", hidden=(3,), epochs=5, estimators=2))


def walk_of(run: Run) -> Trajectory:
    assert run.trajectory is not None
    return run.trajectory


def surface(run: Run) -> LossSurface:
    return surface_of(run, walk_of(run).of(run.model))


# --- the surface and the walk ---


def test_the_trained_network_is_a_place_of_the_walk(iris: Run) -> None:
    positions = walk_of(iris).positions
    assert len(positions) == len(iris.history) + 1
    trained = read_data(iris.model.parameters())
    assert [(place == trained).all() for place in positions].count(True) == 1


@thresholds(most_places=10)
def test_a_long_walk_of_a_large_network_is_thinned() -> None:
    run = train_on_table(iris_table(), RunSettings("species", hidden=(), epochs=6, batch_size=20, estimators=2))
    steps = len(run.history)
    assert steps > 10
    assert len(walk_of(run)) == -(-steps // walk_of(run).every) + 1 <= 11
    picture = surface_picture(run)
    assert picture is not None
    assert f"Marks show every {walk_of(run).every}" in picture.caption


@pytest.mark.parametrize("name", ["iris", "plain"])
def test_the_surface_is_that_of_the_training_loss(name: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(name)
    found = surface(run)
    model, loss = run.model, squared_error if name == "plain" else cross_entropy
    trained = read_data(model.parameters())
    assert found.plane.origin.tolist() == walk_of(run).positions[-1].tolist()
    assert found.losses.shape == (9, 9)
    try:
        for i, j in ((0, 0), (4, 2), (8, 7)):
            write_data(model.parameters(), found.plane.point(found.x[i], found.y[j]))
            expected = evaluate(model, run.learned.rows, run.learned.targets, loss=loss)[0]
            assert found.losses[j, i] == pytest.approx(expected, rel=1e-12)
    finally:
        write_data(model.parameters(), trained)
    walk = next(line for line in surface_chart(found).get_lines() if line.get_label() == "walk")
    assert np.asarray(walk.get_xydata()) == pytest.approx(found.plane.project(walk_of(run).positions))


@thresholds(fewest_rows=10, most_work=10)
def test_the_surface_uses_some_rows_of_a_large_table(plain: Run) -> None:
    some = measured_samples(plain)
    assert len(some) == 10
    assert some == measured_samples(plain)
    for row, target in zip(some.rows, some.targets):
        assert target == plain.learned.targets[plain.learned.rows.index(row)]
    assert surface(plain).losses.shape == (5, 5)
    picture = surface_picture(plain)
    assert picture is not None
    assert "the mean loss of 10 of the 48 training rows" in picture.caption


@thresholds(most_parameters=12)
def test_a_network_that_is_too_large_for_a_surface_shows_the_reason_instead(plain: Run) -> None:
    picture = surface_picture(plain)
    assert picture is not None
    assert picture.files == ()
    page = report_page(plain, {"surface": picture})
    count = len(plain.model.parameters())
    assert f'<p class="missing">There is no loss surface here: with {count} parameters it would take' in page


def test_two_parameters_are_the_axes_of_the_surface() -> None:
    table = a_table(x=[0, 1, 1, 0, 1] * 4, y=[0.5 * (i % 5) + 0.1 * i for i in range(20)])
    run = train_on_table(table, RunSettings("y", hidden=(), epochs=2, estimators=2))
    assert surface(run).plane.labels == ("layers.0.neurons.0.w.0", "layers.0.neurons.0.b")
    picture = surface_picture(run)
    assert picture is not None
    assert "The network has only these two parameters." in picture.caption


def test_a_walk_that_went_nowhere_leaves_random_directions(iris: Run) -> None:
    run = replace(iris, trajectory=Trajectory(iris.model))
    found = surface(run)
    assert found.plane.labels == ("random direction 1", "random direction 2")
    assert found.trajectories == {}
    assert surface_chart(found).get_title() == "Loss surface"
    picture = surface_picture(run)
    assert picture is not None
    assert "Marks" not in picture.caption


def test_a_run_without_a_walk_has_no_pictures_of_it(iris: Run) -> None:
    run = replace(iris, trajectory=None)
    assert (surface_picture(run), flow_picture(run)) == (None, None)


# --- the gradients ---


def test_the_flow_is_that_of_the_gradients_before_and_after(iris: Run) -> None:
    drawn: list[Any] = []
    model = iris.model
    for place in (0, -1):
        other = copy.deepcopy(model)
        write_data(other.parameters(), walk_of(iris).positions[place])
        loss = sum(map(cross_entropy, map(other, iris.learned.rows), iris.learned.targets)) / 120
        other.zero_grad()
        loss.backward()
        drawn.append(read_gradients(other.parameters()))
    chart = flow_chart(iris, {"one": drawn[0], "other": drawn[1]})
    assert flow_chart(iris, {"one": drawn[0]}).get_title().startswith("one:")
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


# --- the regions ---


def test_two_inputs_are_the_axes_of_the_plane_of_predictions(plain: Run, two: Run) -> None:
    for run in (plain, two):
        plane = plane_of(run.inputs, run.held_out)
        assert plane is not None
        assert list(plane.labels) == [f"{name} (prepared)" for name in run.inputs]
        assert plane.project(run.held_out) == pytest.approx(run.held_out)
    axes = regions_chart(two, plane)
    assert axes.get_xlabel() == "a (prepared)"
    places = {str(c.get_label()): np.asarray(c.get_offsets()) for c in axes.collections}
    for name in ("no", "yes"):
        assert places[name] == pytest.approx(two.held_out[(two.predictions["true"] == name).to_numpy()])


def test_more_inputs_are_drawn_in_the_plane_of_their_principal_components(
    iris: Run, pictures: dict[str, charts.Picture]
) -> None:
    rows = iris.held_out
    plane = plane_of(iris.inputs, rows)
    assert plane is not None
    assert plane.variance is not None
    centered = rows - rows.mean(axis=0)
    _, lengths, directions = np.linalg.svd(centered, full_matrices=False)
    assert sum(plane.variance) == pytest.approx((lengths[:2] ** 2).sum() / (lengths**2).sum())
    assert np.abs(plane.directions @ directions[:2].T) == pytest.approx(np.eye(2), abs=1e-9)
    assert plane.point(0.0, 0.0) == pytest.approx(rows.mean(axis=0))
    caption = pictures["regions"].caption
    assert f"goes through their mean in 4 dimensions and holds {sum(plane.variance):.0%} of their variance" in caption


def test_a_single_input_and_many_classes_have_no_regions() -> None:
    assert plane_of(["x"], np.zeros((3, 1))) is None
    table = a_table(x=np.arange(90) % 11, z=np.arange(90) % 7, y=[f"class {i % 9}" for i in range(90)])
    run = train_on_table(table, RunSettings("y", hidden=(2,), epochs=1, test_size=0.4, estimators=1))
    drawn = draw_pictures(run)
    assert "regions" not in drawn
    assert {"confusion", "reliability", "network"} <= set(drawn)


def test_the_regions_have_the_held_out_rows_of_each_class_over_them(iris: Run) -> None:
    plane = plane_of(iris.inputs, iris.held_out)
    assert plane is not None
    axes = regions_chart(iris, plane)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["setosa", "versicolor", "virginica"]
    marks = {
        c.get_label(): np.asarray(c.get_offsets()) for c in axes.collections if c.get_label() in iris.target.classes
    }
    assert set(marks) == set(iris.target.classes)
    places = plane.project(iris.held_out)
    for name, own in marks.items():
        assert own == pytest.approx(places[(iris.predictions["true"] == name).to_numpy()])
    assert axes.get_xlabel().startswith("principal component 1 (")


# --- the results ---


def test_the_charts_show_the_run(iris: Run, plain: Run, two: Run) -> None:
    assert [int(text.get_text()) for text in confusion_chart(iris).texts] == np.ravel(iris.scores["confusion"]).tolist()
    (points,) = predictions_chart(plain).collections
    assert np.array_equal(np.asarray(points.get_offsets()), plain.predictions[["true", "predicted"]].to_numpy())
    true, probability = two.predictions["true"] == "yes", two.predictions["probability yes"].to_numpy()
    assert texts_of_legend(roc_chart(two))[1] == f"network (area {two.scores['roc_auc']:.3f})"
    found = precision_recall_chart(two)
    assert list(found.get_lines()[0].get_ydata()) == [true.mean()] * 2
    taken = probability >= 0.5
    at_half = found.get_lines()[2].get_xydata()
    assert at_half == pytest.approx(np.array([[taken[true].mean(), true[taken].mean()]]))
    shares = reliability_chart(two).get_lines()[1].get_xydata()
    assert shares == pytest.approx(
        np.array([[group["probability"], group["share"]] for group in two.scores["calibration"]["after"]])
    )


def texts_of_legend(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_loss_curve_has_the_steps_the_validation_loss_the_chosen_epoch_and_the_held_out_loss(iris: Run) -> None:
    axes = loss_chart(iris)
    lines = {str(line.get_label()): line for line in axes.get_lines()}
    epochs = iris.history.epochs
    assert list(lines["training, each batch"].get_ydata()) == iris.history.loss
    assert list(lines["validation"].get_ydata()) == [epoch.validation_loss for epoch in epochs]
    best = iris.history.best_epoch
    assert best is not None
    assert list(lines[f"best epoch ({best})"].get_xdata()) == [epochs[best - 1].step] * 2
    assert list(lines["held-out rows"].get_ydata()) == [iris.held_out_loss] * 2
    assert set(texts_of_legend(axes)) == set(lines)


@pytest.mark.slow("1 s: one more set of pictures")
def test_two_classes_have_pictures_of_their_own(two: Run, pictures: dict[str, charts.Picture]) -> None:
    assert {"roc", "precision_recall"}.isdisjoint(pictures)
    drawn = draw_pictures(two)
    for name in ("roc", "precision_recall", "reliability"):
        assert len(drawn[name].files) == 2
        assert "yes" in drawn[name].caption


# --- the network ---


def test_the_network_has_the_names_of_its_inputs_and_its_classes(pictures: dict[str, charts.Picture]) -> None:
    (svg,) = pictures["network"].files
    texts = {text.text for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert texts >= {"sepal length (cm)", "petal width (cm)", "setosa", "versicolor", "virginica", "linear"}
    assert any(str(text).startswith("petal width (cm), piece") for text in texts)


def test_a_picture_that_fails_is_a_sentence_and_the_others_are_drawn(
    iris: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no <dot> here")

    monkeypatch.setattr("microgrud.draw.rendering.Drawing.pipe", fails)
    monkeypatch.setattr("microgrud.plot.surface.draw_contours", fails)
    drawn = draw_pictures(iris)
    assert [name for name, picture in drawn.items() if not picture.files] == ["surface", "network"]
    page = report_page(iris, drawn)
    assert '<p class="missing">There is no picture of the network here: no &lt;dot&gt; here</p>' in page
    assert '<p class="missing">There is no picture of the loss surface here: no &lt;dot&gt; here</p>' in page
