"""Early ends of a training run: Ctrl-C, and divergence."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from lines import ROWS, TARGETS, Line, at_step, train

from microgrud import Value, exp, log, mean
from microgrud.losses import cross_entropy
from microgrud.nn import MLP
from microgrud.optim import SGD
from microgrud.train import History, TrainingDivergedError, TrainingEvent
from microgrud.train.interrupts import Interrupts

# --- Ctrl-C ---


@pytest.fixture
def handler() -> Iterator[Any]:
    """A SIGINT handler of the user, which has to be restored afterwards."""

    def own(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, own)
    yield own
    assert signal.getsignal(signal.SIGINT) is own
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("handler")
def test_ctrl_c_stops_after_the_current_step_and_keeps_model_and_history() -> None:
    stopped, whole = Line(0.0, 0.0), Line(0.0, 0.0)

    def press(model: Line) -> Callable[[Any, Any], Value]:
        calls = []

        def loss(prediction: Value, target: float) -> Value:
            calls.append(0)
            if len(calls) == 6:  # in the middle of the second batch
                signal.raise_signal(signal.SIGINT)
            return (prediction - target) ** 2

        return loss

    history = train(stopped, loss=press(stopped))
    assert (len(history), history.interrupted, history.epochs) == (2, True, [])
    train(whole, callbacks=at_step(2, TrainingEvent.stop))
    assert stopped.numbers == pytest.approx(whole.numbers, rel=1e-12, abs=0.0)


@pytest.mark.usefixtures("handler")
def test_a_second_ctrl_c_stops_at_once_and_leaves_whole_parameters() -> None:
    model = Line(0.0, 0.0)

    def press_twice(event: TrainingEvent) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(model, callbacks=at_step(2, press_twice))


def test_a_second_ctrl_c_in_the_middle_of_an_update_undoes_it() -> None:
    model = Line(1.0, 2.0)

    class Halfway(SGD):
        def step(self, closure: Any = None) -> Any:
            model.w[0].data = 99.0
            raise KeyboardInterrupt

    history = train(model, optimizer=Halfway(model.parameters(), lr=0.1))
    assert model.numbers == [1.0, 2.0, 0.0]
    assert history.interrupted


@pytest.mark.usefixtures("handler")
def test_an_interrupt_from_elsewhere_counts_as_the_first() -> None:
    def raise_it(event: TrainingEvent) -> None:
        raise KeyboardInterrupt

    history = train(Line(0.0, 0.0), callbacks=at_step(2, raise_it))
    assert (len(history), history.interrupted) == (2, True)


def test_fit_works_in_a_thread_where_signals_cannot_be_caught() -> None:
    results: list[History] = []
    thread = threading.Thread(target=lambda: results.append(train(Line(0.0, 0.0))))
    thread.start()
    thread.join()
    assert len(results[0]) == 9


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
            assert not interrupts.requested
    finally:
        signal.signal(signal.SIGINT, before)


# --- divergence ---


def test_a_learning_rate_far_too_high_stops_with_the_last_finite_parameters() -> None:
    model = Line(0.0, 0.0)
    seen = [model.numbers]
    with pytest.raises(TrainingDivergedError) as caught:
        train(
            model,
            optimizer=SGD(model.parameters(), lr=1e80),
            callbacks=lambda event: seen.append(model.numbers),
            epochs=9,
        )
    text = str(caught.value)
    assert "training diverged at epoch 1, batch 3 of 3" in text
    assert "Try a lower learning rate (it was 1e+80)" in text
    assert isinstance(caught.value, ArithmeticError)
    assert model.numbers in seen
    assert all(map(math.isfinite, model.numbers))
    loss = mean([(model(row) - target) ** 2 for row, target in zip(ROWS, TARGETS)])
    assert math.isfinite(loss.data)


def test_a_step_to_parameters_that_are_not_finite_is_undone_and_named() -> None:
    model = Line(1.0, 2.0)
    with pytest.raises(TrainingDivergedError, match="epoch 1, batch 1 of 3: the step makes w0 -?inf"):
        train(model, loss=lambda p, t: 1e160 * p, optimizer=SGD(model.parameters(), lr=1e160), X=[[1.0, 1.0]] * 10)
    assert model.numbers == [1.0, 2.0, 0.0]


@pytest.mark.parametrize("way", ["subclass", "attribute", "not its parameter"])
def test_a_step_is_undone_whatever_made_a_parameter_infinite(way: str) -> None:
    model = Line(1.0, 2.0)

    def spoil(step: Callable[..., Any], *args: Any) -> None:
        step(*args)
        model.b.data = math.inf

    class Spoiling(SGD):
        def step(self, *args: Any) -> None:
            spoil(super().step, *args)

    kind = SGD if way == "attribute" else Spoiling
    optimizer = kind(model.w if way == "not its parameter" else model.parameters(), lr=0.1)
    if way == "attribute":
        optimizer.step = partial(spoil, optimizer.step)  # type: ignore[method-assign]
    with pytest.raises(TrainingDivergedError, match="the step makes b inf"):
        train(model, optimizer=optimizer)
    assert model.numbers == [1.0, 2.0, 0.0]


def test_an_overflow_in_the_loss_counts_as_divergence() -> None:
    model = Line(0.0, 0.0)
    with pytest.raises(TrainingDivergedError, match=r"epoch 1, batch 2 of 3: exp\(") as caught:
        train(model, loss=lambda p, t: -exp(p), optimizer=SGD(model.parameters(), lr=1e4))
    assert isinstance(caught.value.__cause__, OverflowError)
    assert model.numbers == [0.0, 0.0, 0.0]


def test_a_domain_error_that_training_brought_about_counts_as_divergence() -> None:
    model = Line(0.0, 0.0, b=1.0)
    with pytest.raises(TrainingDivergedError, match="expected x > 0, got -"):
        train(model, loss=lambda p, t: p * 1.0 + 0.0 * log(p), optimizer=SGD(model.parameters(), lr=100.0))
    assert model.numbers == [0.0, 0.0, 1.0]


def test_a_domain_error_at_the_initial_parameters_is_raised_unchanged() -> None:
    model = Line(0.0, 0.0, b=-1.0)
    with pytest.raises(ValueError, match="log") as caught:
        train(model, loss=lambda p, t: log(p))
    assert not isinstance(caught.value, TrainingDivergedError)
    bad = [*TARGETS[:9], 17]
    with pytest.raises(ValueError, match="17"):
        train(MLP(2, [3]), y=[0] * 9 + [bad[9]], loss=cross_entropy, shuffle=False)


@pytest.mark.parametrize("infinite", [math.inf, math.nan])
def test_a_loss_that_is_not_finite_stops_at_once(infinite: float) -> None:
    model = Line(1.0, 2.0)
    with pytest.raises(TrainingDivergedError, match=f"epoch 1, batch 1 of 3: the loss is -?{infinite}"):
        train(model, loss=lambda p, t: p * infinite)
    assert model.numbers == [1.0, 2.0, 0.0]


def test_a_gradient_that_is_not_finite_stops_as_well() -> None:
    model = Line(0.0, 0.0)
    with pytest.raises(TrainingDivergedError, match="the norm of the gradient is inf"):
        train(model, [[1.0, 1.0]] * 10, loss=lambda p, t: p**0.5)


def test_a_validation_loss_that_is_not_finite_stops_and_says_where() -> None:
    model = Line(0.0, 0.0)

    def loss(p: Value, t: Any) -> Value:
        return p * math.inf if t == "validation" else (p - t) ** 2

    with pytest.raises(TrainingDivergedError, match="epoch 1, validation: the loss on the validation data is"):
        train(model, loss=loss, validation=(ROWS[1:], ["validation"] * 9))
    assert all(map(math.isfinite, model.numbers))
