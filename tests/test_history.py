"""The history of a training run: its contents, how it is saved and restored, and its plots."""

from __future__ import annotations

import base64
import builtins
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from microgrud.plot import learning_curve
from microgrud.train.history import EpochRecord, History, RunningMeans


def two_epochs() -> History:
    """Return the history of two epochs of two steps, with validation and a metric that is undefined once."""
    history = History()
    for i, loss in enumerate([1.0, 0.1 + 0.2, 1 / 3, 5e-324]):
        metric = None if i == 1 else 0.25 * i
        history.add_step(epoch=1 + i // 2, loss=loss, metric=metric, learning_rate=0.1, gradient_norm=2.0)
    history.epochs.append(EpochRecord(1, 2, 0.65, 0.0, 0.1, 0.7, 0.5))
    history.epochs.append(EpochRecord(2, 4, 1 / 6, 0.625, 0.1, 0.6, 0.75))
    return history


def test_a_saved_history_has_a_row_a_step_with_exact_numbers(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    history = two_epochs()
    history.save(path)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == history.loss
    assert [row["metric"] for row in rows] == ["0.0", "", "0.5", "0.75"]
    assert [row["epoch"] for row in rows] == ["1", "1", "2", "2"]
    assert [row["validation_loss"] for row in rows] == ["", "0.7", "", "0.6"]
    assert float(rows[3]["epoch_loss"]) == 1 / 6
    assert list(rows[0]) == list(history.rows()[0])


def test_saving_again_replaces_the_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    two_epochs().save(path)
    History().save(path)
    assert path.read_text(encoding="utf-8").count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "history.csv"
    folder.mkdir()
    with pytest.raises(OSError, match="history"):
        two_epochs().save(folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_history_survives_json() -> None:
    history = two_epochs()
    history.stopped_by = "early stopping"
    history.best_epoch = 2
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("loss"), "damaged"),
        (lambda d: d.update(epochs=[{"epoch": 1}]), "damaged"),
        (lambda d: d.update(loss=None), "damaged"),
        (lambda d: d["loss"].pop(), "the same number of figures of each kind"),
        (lambda d: d["loss"].__setitem__(0, "1.0"), "expected numbers"),
        (lambda d: d["epochs"][0].update(loss="low"), "expected numbers"),
    ],
)
def test_a_damaged_history_is_refused(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    saved = two_epochs().to_dict()
    change(saved)
    with pytest.raises(ValueError, match=message):
        History.from_dict(saved)


def test_only_an_interrupt_counts_as_interrupted() -> None:
    assert History(stopped_by="interrupt").interrupted
    assert not History(stopped_by="callback").interrupted
    assert not History().interrupted


def test_running_means_weigh_batches_by_their_samples() -> None:
    means = RunningMeans()
    assert means.metric is None
    means.add(3, 1.0, 0.5)
    means.add(1, 5.0, None)
    assert (means.loss, means.metric) == (2.0, 0.5)
    assert RunningMeans(means.sums).sums == means.sums


# --- text ---


def test_the_text_has_the_figures_of_the_first_and_the_last_epoch() -> None:
    history = two_epochs()
    figures = "loss: 0.65 to 0.1667, metric: 0 to 0.625, validation_loss: 0.7 to 0.6, validation_metric: 0.5 to 0.75"
    assert repr(history) == f"History(steps: 4, epochs: 2, {figures})"
    history.best_epoch, history.stopped_by = 2, "early stopping"
    assert repr(history) == f"History(steps: 4, epochs: 2, {figures}, best_epoch: 2, stopped_by: early stopping)"
    history.epochs.clear()  # interrupted in the first epoch
    assert "epochs: 0, loss: 1 to 4.941e-324, metric: 0 to 0.75, best" in repr(history)
    assert repr(History()) == "History(steps: 0, epochs: 0)"


def test_the_text_of_a_long_run_is_short() -> None:
    history = History()
    for i in range(10_000):
        history.add_step(epoch=i + 1, loss=1 / 3, metric=None, learning_rate=0.1, gradient_norm=2.0)
        history.epochs.append(EpochRecord(i + 1, i + 1, 1 / 3, None, 0.1))
    assert len(repr(history)) < 100


# --- pictures ---


def test_a_notebook_shows_the_curve_with_the_text(tmp_path: Path) -> None:
    bundle = two_epochs()._repr_mimebundle_()
    assert bundle["text/plain"] == repr(two_epochs())
    picture = base64.b64decode(bundle["image/png"], validate=True)
    expected = learning_curve(two_epochs()).figure
    expected.savefig(tmp_path / "expected.png", dpi=110, metadata={"Software": None})
    assert picture == (tmp_path / "expected.png").read_bytes()


def test_a_notebook_shows_a_run_without_steps_as_text_and_opens_no_pyplot_figure() -> None:
    assert History()._repr_mimebundle_() == {"text/plain": repr(History())}
    before = pyplot.get_fignums()
    two_epochs()._repr_mimebundle_()
    assert pyplot.get_fignums() == before


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 1e308, 0.0])
def test_a_notebook_shows_any_loss(loss: float) -> None:
    history = History()
    history.add_step(epoch=1, loss=loss, metric=None, learning_rate=0.1, gradient_norm=2.0)
    assert "image/png" in history._repr_mimebundle_()


def test_the_loss_is_drawn_by_step_by_epoch_and_on_validation_data() -> None:
    ax = Figure().add_subplot()
    assert two_epochs().plot(ax) is ax
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss")
    batches, epochs, validation = ax.get_lines()
    assert list(batches.get_ydata()) == two_epochs().loss
    assert list(epochs.get_xdata()) == [2, 4]
    assert list(validation.get_ydata()) == [0.7, 0.6]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "training, each batch",
        "training, each epoch",
        "validation",
    ]


def test_steps_without_a_metric_are_left_out_of_its_picture() -> None:
    ax = Figure().add_subplot()
    two_epochs().plot(ax, what="metric")
    assert list(ax.get_lines()[0].get_xdata()) == [1, 3, 4]
    assert ax.get_ylabel() == "metric"


@pytest.mark.parametrize(
    ("what", "label"), [("learning_rate", "learning rate"), ("gradient_norm", "norm of the gradient")]
)
def test_rate_and_gradient_are_drawn_as_one_line(what: str, label: str) -> None:
    ax = Figure().add_subplot()
    two_epochs().plot(ax, what=what)
    assert len(ax.get_lines()) == 1
    assert ax.get_ylabel() == label


def test_a_run_without_a_finished_epoch_has_the_steps_alone() -> None:
    history = two_epochs()
    history.epochs.clear()
    ax = Figure().add_subplot()
    history.plot(ax)
    assert len(ax.get_lines()) == 1


def test_without_axes_a_new_pyplot_figure_is_made_which_notebooks_show() -> None:
    pyplot.switch_backend("agg")
    before = pyplot.get_fignums()
    ax = two_epochs().plot()
    assert len(pyplot.get_fignums()) == len(before) + 1
    pyplot.close(ax.figure)


def test_a_figure_that_cannot_be_drawn_is_an_error() -> None:
    with pytest.raises(ValueError, match="what: expected one of 'loss', .*, got 'speed'"):
        two_epochs().plot(what="speed")
    with pytest.raises(ValueError, match="expected at least one step with a loss, got none"):
        History().plot()


def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def fake_import(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fake_import)
    with pytest.raises(ImportError, match="History.plot needs matplotlib, .*: pip install matplotlib"):
        two_epochs().plot()
    assert two_epochs()._repr_mimebundle_() == {"text/plain": repr(two_epochs())}
