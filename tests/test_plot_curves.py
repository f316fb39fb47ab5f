"""Learning curves: the curves of `History.plot`, with epochs along the top, on the scale that suits the numbers."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure

from microgrud.plot import learning_curve
from microgrud.train import EpochRecord, History


def history(epochs: int = 2, factor: float = 0.5) -> History:
    made = History()
    loss = 1.0
    for i in range(2 * epochs):
        made.add_step(epoch=1 + i // 2, loss=loss, metric=0.25 * i, learning_rate=0.1, gradient_norm=2.0)
        loss *= factor
    for i in range(epochs):
        mean = (made.loss[2 * i] + made.loss[2 * i + 1]) / 2
        made.epochs.append(EpochRecord(i + 1, 2 * i + 2, mean, 0.5, 0.1, validation_loss=mean + 0.1))
    return made


def flat() -> Any:
    return Figure().add_subplot()


def test_the_curves_are_those_of_the_history_and_differ_in_form() -> None:
    ax = flat()
    assert learning_curve(history(), ax) is ax
    batches, epochs, validation = ax.get_lines()
    assert list(batches.get_ydata()) == [1.0, 0.5, 0.25, 0.125]
    assert list(epochs.get_xdata()) == list(validation.get_xdata()) == [2, 4]
    assert list(validation.get_ydata()) == pytest.approx([0.85, 0.2875])
    assert len({(line.get_marker(), line.get_linestyle()) for line in ax.get_lines()}) == 3
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("step", "loss", "linear")


def test_a_loss_that_falls_far_is_on_a_logarithmic_scale_unless_another_is_asked_for() -> None:
    ax = learning_curve(history(epochs=5))
    assert (ax.get_yscale(), ax.get_ylabel()) == ("log", "loss (logarithmic scale)")
    linear = learning_curve(history(epochs=5), scale="linear")
    assert (linear.get_yscale(), linear.get_ylabel()) == ("linear", "loss")
    assert learning_curve(history(epochs=5), what="learning_rate").get_yscale() == "linear"


def test_the_epochs_are_along_the_top_and_agree_with_the_steps() -> None:
    ax = learning_curve(history(epochs=4), scale="linear")
    (top,) = ax.child_axes
    assert top.get_xlabel() == "epoch"
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    assert top.get_xlim() == pytest.approx([x / 2 for x in ax.get_xlim()])


def test_without_epochs_or_with_uneven_ones_there_is_nothing_along_the_top() -> None:
    unfinished = history()
    unfinished.epochs.clear()
    assert not learning_curve(unfinished).child_axes
    uneven = history(epochs=3)
    uneven.epochs[2].step = 5
    assert not learning_curve(uneven).child_axes


def test_a_single_step_can_be_seen_and_its_ticks_are_whole_numbers() -> None:
    made = History()
    made.add_step(epoch=1, loss=0.5, metric=None, learning_rate=0.1, gradient_norm=2.0)
    made.epochs.append(EpochRecord(1, 1, 0.5, None, 0.1, validation_loss=0.6))
    ax = learning_curve(made)
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    batches, epochs, _ = ax.get_lines()
    assert batches.get_marker() == "o"
    assert float(batches.get_markersize()) > float(epochs.get_markersize())  # neither mark hides the other
    low, high = ax.get_xlim()
    assert (low, high) == (0.0, 2.0)
    for axis in (ax.xaxis, ax.child_axes[0].xaxis):
        assert [tick for tick in axis.get_ticklocs() if low <= tick <= high] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("epochs", [1, 2, 3, 8])
def test_ticks_are_whole_numbers_that_do_not_crowd(epochs: int) -> None:
    ax = learning_curve(history(epochs))
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.child_axes[0].xaxis, ax.child_axes[0].get_xlim())):
        ticks = [tick for tick in axis.get_ticklocs() if limits[0] <= tick <= limits[1]]
        assert all(tick == round(tick) for tick in ticks)
        assert 1 <= len(ticks) <= 10


def test_the_best_epoch_is_marked() -> None:
    made = history()
    made.best_epoch = 2
    ax = learning_curve(made)
    assert list(ax.get_lines()[-1].get_xdata()) == [4, 4]
    assert "best epoch (2)" in [text.get_text() for text in ax.get_legend().get_texts()]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"history": [1.0, 0.5]},
            "learning_curve: history: expected the History that fit returns, got an object of type list",
        ),
        ({"history": History()}, "^learning_curve: expected at least one step with a loss, got none"),
        ({"what": "speed"}, "^learning_curve: what: expected one of 'loss'"),
        ({"scale": "cubic"}, "learning_curve: scale: expected one of"),
        ({"ax": Figure()}, "learning_curve: ax: expected matplotlib Axes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        learning_curve(**{"history": history(), **change})
