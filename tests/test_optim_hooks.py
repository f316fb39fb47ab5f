"""Hooks before and after the steps of an optimizer: their arguments, their order, copies, pickles and checkpoints."""

from __future__ import annotations

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import pytest

from microgrud import Value
from microgrud.common.jsonfile import ModelFileError
from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.optim import LBFGS, SGD, Adam, Optimizer
from microgrud.train import TrainingDivergedError, fit

ROWS, TARGETS = [[0.1 * i, 0.5] for i in range(8)], [0.3 * i for i in range(8)]


def halve_gradients(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    for parameter in optimizer.parameters():
        parameter.grad *= 0.5


def clip_below_zero(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    for parameter in optimizer.parameters():
        parameter.data = max(parameter.data, 0.0)


class Counter:
    """A hook with state."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self.steps += 1
        optimizer.param_groups[0]["lr"] = 0.1 / self.steps


def slope(x: Value, gradient: float = 1.0) -> Value:
    x.grad = gradient
    return x


def test_hooks_see_the_parameters_before_and_after_the_step_in_the_order_of_registration() -> None:
    x = slope(Value(1.0))
    optimizer, seen = SGD([x], lr=0.25), []
    for name in ("a", "b"):
        optimizer.register_step_pre_hook(lambda o, args, kwargs, name=name: seen.append((name, x.data, args, kwargs)))
        optimizer.register_step_post_hook(lambda o, args, kwargs, name=name: seen.append((name, x.data, o)))
    optimizer.step()
    assert seen == [("a", 1.0, (), {}), ("b", 1.0, (), {}), ("a", 0.75, optimizer), ("b", 0.75, optimizer)]


def test_a_pre_hook_may_change_gradients_and_a_post_hook_parameters() -> None:
    x, y = slope(Value(1.0)), slope(Value(0.1))
    optimizer = SGD([x, y], lr=0.5)
    optimizer.register_step_pre_hook(halve_gradients)
    optimizer.register_step_post_hook(clip_below_zero)
    optimizer.step()
    assert (x.data, y.data) == (0.75, 0.0)


@pytest.mark.parametrize("make", [lambda x: SGD([x], lr=0.25), lambda x: LBFGS([x], lr=0.25, line_search_fn=None)])
def test_a_pre_hook_may_replace_the_closure(make: Any) -> None:
    x = Value(1.0)
    optimizer = make(x)

    def closure(factor: float) -> float:
        x.grad = factor
        return factor * x.data

    optimizer.register_step_pre_hook(lambda o, args, kwargs: (((lambda: closure(-1.0)),), {}))
    assert optimizer.step(lambda: closure(1.0)) == -1.0
    assert x.data > 1.0
    assert optimizer.step(closure=lambda: closure(1.0)) < -1.0


def test_an_invalid_result_or_an_error_of_a_pre_hook_changes_nothing() -> None:
    x = slope(Value(1.0))
    optimizer = Adam([x])
    hook = optimizer.register_step_pre_hook(lambda o, args, kwargs: args)
    with pytest.raises(TypeError, match=r"Adam.step: expected a pre-hook to return None, or .*, got \(\)"):
        optimizer.step()
    hook.remove()
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        optimizer.step()
    assert (x.data, optimizer.state[0]["step"]) == (1.0, 0)


@pytest.mark.parametrize("when", ["register_step_pre_hook", "register_step_post_hook"])
def test_something_other_than_a_function_is_refused(when: str) -> None:
    with pytest.raises(TypeError, match=f"SGD.{when}: hook: expected a function, got an object of type int"):
        getattr(SGD([Value(0.0)]), when)(3)


def test_a_removed_hook_is_not_called_any_more_and_others_are() -> None:
    x, counter = Value(1.0), Counter()
    optimizer = SGD([x])
    hooks = [optimizer.register_step_post_hook(counter) for _ in range(2)]
    optimizer.step()
    hooks[1].remove()
    hooks[1].remove()
    optimizer.step()
    hooks[0].remove()
    optimizer.step()
    assert counter.steps == 3


def test_hooks_run_with_a_step_that_does_not_call_that_of_its_base() -> None:
    class Resetting(SGD):
        def step(self, closure: Any = None) -> Any:
            for parameter in self.parameters():
                parameter.data = 1.0

    x, counter = Value(0.0), Counter()
    optimizer = Resetting([x])
    optimizer.register_step_pre_hook(counter)
    optimizer.register_step_post_hook(counter)
    optimizer.step()
    assert (x.data, counter.steps) == (1.0, 2)


def test_the_copy_that_a_hook_makes_runs_its_hooks_too() -> None:
    optimizer, counter, copies = SGD([Value(1.0)]), Counter(), []
    counting = optimizer.register_step_pre_hook(counter)
    copying = optimizer.register_step_post_hook(lambda o, args, kwargs: copies.append(copy.deepcopy((o, counting))))
    optimizer.step()
    copying.remove()
    again, counting_again = copies[0]
    again.step()
    assert (counter.steps, counting_again.function.steps) == (1, 2)


def test_after_an_error_hooks_run_again() -> None:
    counter, optimizer = Counter(), LBFGS([Value(1.0)])
    optimizer.register_step_pre_hook(counter)
    for _ in range(2):
        with pytest.raises(TypeError, match="expected a closure"):
            optimizer.step()
    assert counter.steps == 2


def test_hooks_of_a_subclass_that_calls_step_of_its_base_run_once() -> None:
    class Logged(SGD):
        def step(self, closure: Any = None) -> Any:
            return super().step(closure)

    counter, optimizer = Counter(), Logged([Value(1.0)])
    optimizer.register_step_pre_hook(counter)
    optimizer.step()
    assert counter.steps == 1


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_and_pickles_keep_hooks_of_their_own(copied: Any) -> None:
    x = Value(0.1)
    optimizer = SGD([x], lr=0.5)
    hook = optimizer.register_step_post_hook(clip_below_zero)
    again = copied(optimizer)
    hook.remove()
    (y,) = again.parameters()
    for parameter, each in ((x, optimizer), (y, again)):
        parameter.grad = 1.0
        each.step()
    assert (x.data, y.data) == (-0.4, 0.0)


def test_a_pickle_refuses_a_hook_that_it_cannot_hold() -> None:
    optimizer = SGD([Value(0.0)])
    optimizer.register_step_pre_hook(lambda o, args, kwargs: None)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(optimizer)


def test_a_state_holds_no_hooks() -> None:
    optimizer = SGD([Value(0.0)])
    before = optimizer.state_dict()
    optimizer.register_step_pre_hook(halve_gradients)
    assert optimizer.state_dict() == before


# --- in fit ---


def run(hooks: dict[str, Any], epochs: int = 3, **others: Any) -> list[float]:
    model = MLP(2, [3, 1], activation="tanh", rng=0)
    optimizer = Adam(model.parameters(), lr=0.1)
    for when, hook in hooks.items():
        getattr(optimizer, when)(hook)
    fit(
        model,
        ROWS,
        TARGETS,
        loss=squared_error,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=4,
        progress=False,
        **others,
    )
    return [p.data for p in model.parameters()]


def test_a_run_with_hooks_resumes_to_the_same_bits_with_the_state_of_its_hooks(tmp_path: Path) -> None:
    path = tmp_path / "run.json"

    def hooks() -> dict[str, Any]:
        return {"register_step_pre_hook": halve_gradients, "register_step_post_hook": Counter()}

    whole = run(hooks())
    run(hooks(), 1, checkpoint=path)
    assert run(hooks(), checkpoint=path, resume=True) == whole
    assert run({}) != whole


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({"register_step_pre_hook": halve_gradients}, {}, "_step_pre_hook"),
        ({}, {"register_step_pre_hook": halve_gradients}, "_step_pre_hook"),
        ({"register_step_pre_hook": halve_gradients}, {"register_step_pre_hook": clip_below_zero}, "halve_gradients"),
        ({"register_step_pre_hook": halve_gradients}, {"register_step_post_hook": halve_gradients}, "_hook"),
    ],
)
def test_a_run_does_not_resume_with_other_hooks(before: Any, after: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    run(before, 1, checkpoint=path)
    with pytest.raises(ModelFileError, match=message):
        run(after, checkpoint=path, resume=True)


@pytest.mark.parametrize("recorded", [False, "auto", True])
def test_a_pre_hook_changes_the_gradients_of_recorded_training(recorded: Any) -> None:
    hooks = {"register_step_pre_hook": halve_gradients, "register_step_post_hook": clip_below_zero}
    assert run(hooks, compile=recorded) == pytest.approx(run(hooks, compile=False), rel=1e-12)
    assert min(run(hooks, compile=recorded)) == 0.0


def test_parameters_that_a_post_hook_makes_infinite_end_the_run() -> None:
    def spoil(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        optimizer.parameters()[2].data = math.inf

    with pytest.raises(TrainingDivergedError, match="the step makes .* inf"):
        run({"register_step_post_hook": spoil})
