"""`fit` warns of Values that the loss depends on and that are not trained."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from lines import ROWS, TARGETS, Line, train

from microgrud import Value, no_grad
from microgrud.losses import squared_error
from microgrud.nn import Module, Neuron
from microgrud.optim import SGD

WAYS = [False, True, "auto"]


def warned(model: Any, **settings: Any) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        train(model, **settings)
    return found


def scaled(scale: Value) -> Callable[[Any, Any], Value]:
    return lambda prediction, target: squared_error(prediction, target) * scale


@pytest.mark.parametrize("compile", WAYS)
def test_a_leaf_that_the_loss_closes_over_is_named_once(compile: Any) -> None:
    found = warned(Line(0.5, -0.5), loss=scaled(Value(0.25)), compile=compile)
    assert len(found) == 1
    assert found[0].category is UserWarning
    message = str(found[0].message)
    assert message.startswith("fit: the loss depends on Values that are not parameters, so they are not trained: 'loss")
    assert ": scale' (0.25); to train them" in message
    assert found[0].filename.endswith("lines.py")  # the file that calls `fit`


@pytest.mark.parametrize("compile", WAYS)
def test_the_warning_gives_label_or_place_or_number(compile: Any) -> None:
    class Hiding(Line):
        def __init__(self) -> None:
            super().__init__(1.0, 2.0)
            self.hidden = {Value(0.75)}
            self.extra = {"c": Value(0.5), "d": Value(0.25, label="the offset")}

        def __call__(self, row: list[float]) -> Value:
            (hidden,) = self.hidden
            return super().__call__(row) * self.extra["c"] + self.extra["d"] * hidden

    (found,) = warned(Hiding(), compile=compile)
    for name in ("'model.extra.c' (0.5)", "'the offset' (0.25)", "a Value without a label (0.75)"):
        assert name in str(found.message)


@pytest.mark.parametrize("compile", WAYS)
def test_the_names_are_ten_at_most(compile: Any) -> None:
    many = [Value(float(i)) for i in range(12)]
    (found,) = warned(Line(0.5, -0.5), loss=lambda p, t: sum(many, squared_error(p, t)), compile=compile)
    assert str(found.message).count("many.") == 10
    assert " and 2 more; " in str(found.message)


class Frozen(Module):
    def __init__(self) -> None:
        self.base, self.head = Neuron(2), Neuron(1)

    def __call__(self, row: list[float]) -> Value:
        return self.head([self.base(row)])


class Declared(Frozen):
    def parameters(self) -> list[Value]:
        return self.head.parameters()


@pytest.mark.parametrize("compile", WAYS)
def test_parameters_left_out_on_purpose_give_no_warning(compile: Any) -> None:
    model, declared, offset = Frozen(), Declared(), Value(0.0)
    train(model, optimizer=SGD(model.head.parameters(), lr=0.1), compile=compile)
    train(declared, compile=compile)
    train(
        model,
        optimizer=SGD([*model.parameters(), offset], lr=0.1),
        loss=lambda p, t: squared_error(p + offset, t),
        compile=compile,
    )


@pytest.mark.parametrize("compile", WAYS)
def test_leaves_of_one_call_and_detached_ones_and_those_of_branches_are_none(compile: Any) -> None:
    threshold, kept = Value(0.5), Value(2.0)

    def loss(prediction: Value, target: float) -> Value:
        with_new = squared_error(prediction, target) * Value(2.0) + (kept * 1.0).detach()
        return with_new if prediction > threshold else with_new * 2.0

    train(Line(0.5, -0.5), loss=loss, compile=compile)


def test_values_computed_inside_no_grad_depend_on_nothing() -> None:
    kept = Value(2.0)

    def loss(prediction: Value, target: float) -> Value:
        with no_grad():
            factor = kept * kept
        return squared_error(prediction, target) * factor

    train(Line(0.5, -0.5), loss=loss)


@pytest.mark.parametrize("compile", WAYS)
def test_one_batch_is_not_enough(compile: Any) -> None:
    settings: dict[str, Any] = {"loss": scaled(Value(0.25)), "compile": compile, "batch_size": None}
    assert not warned(Line(0.5, -0.5), epochs=1, **settings)
    assert len(warned(Line(0.5, -0.5), epochs=2, **settings)) == 1


def test_leaves_are_not_kept_beyond_the_second_batch() -> None:
    made: list[weakref.ref[Value]] = []
    alive: list[int] = []

    class Leaf(Value):
        pass

    def loss(prediction: Value, target: float) -> Value:
        leaf = Leaf(1.0)
        made.append(weakref.ref(leaf))
        return squared_error(prediction, target) * leaf

    def count(event: Any) -> None:
        gc.collect()
        alive.append(sum(each() is not None for each in made))

    train(Line(0.5, -0.5), ROWS[:8], TARGETS[:8], loss=loss, epochs=2, compile=False, callbacks=count)
    assert alive[0] >= 4
    assert alive[1:] == [0] * len(alive[1:])


def test_a_warning_that_is_an_error_ends_the_training() -> None:
    with pytest.raises(UserWarning, match="not trained"):
        train(Line(0.5, -0.5), loss=scaled(Value(0.25)))
