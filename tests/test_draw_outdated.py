"""Pictures of graphs whose numbers were set after they were computed: no new slope stands beside an old gradient."""

from __future__ import annotations

import re
from typing import Any

import pytest
from drawings import boxes, cells, texts
from hypothesis import given, settings

import microgrud as mg
from microgrud import Value, compile, custom_op, dot, log, tanh
from microgrud.draw import backprop_steps, draw, explain
from microgrud.nn import MLP
from microgrud.testing import Expression, expressions

NOTE = ".data was set after this graph was computed."


def neuron() -> tuple[Value, Value, Value]:
    x, w = Value(0.5, label="x"), Value(-1.5, label="w")
    loss = (tanh(w * x + 2.0) - 1.0) ** 2
    loss.label = "loss"
    loss.backward()
    return loss, x, w


def slopes_on(source: str) -> list[str]:
    return re.findall(r'\[label=" ([^"]*) "', source)


def test_a_step_of_training_leaves_the_slopes_that_still_hold_and_a_note() -> None:
    loss, _, w = neuron()
    before = draw(loss)
    w.data -= 0.5 * w.grad
    after = draw(loss)
    assert slopes_on(before.source)[:2] == ["0.5", "\u22121.5"]
    assert slopes_on(after.source) == ["?", "?", *slopes_on(before.source)[2:]]
    assert NOTE not in texts(before)[0]
    assert NOTE in texts(after)[0]
    found = boxes(after)
    assert cells(found["w"])[2] == f"{w.data:.4g}".replace("-", "\u2212")
    assert cells(found["loss"]) == cells(boxes(before)["loss"])


def test_a_picture_keeps_the_numbers_that_the_graph_had_when_it_was_drawn() -> None:
    model = MLP(2, [8, 1], activation="tanh", rng=0)
    loss = mg.mean([(model([0.1 * k, 1.0]) - 1.0) ** 2 for k in range(4)])
    loss.backward()
    first, second = draw(loss, model=model, fold="neurons"), draw(loss, model=model, fold="neurons")
    steps, other = (backprop_steps(loss, parameters=model, lr=0.1, max_nodes=n) for n in (20, 1000))
    again = [backprop_steps(loss, parameters=model, lr=0.1, max_nodes=n).html() for n in (20, 1000)]
    expected = first.html()
    for p in model.parameters():
        p.data -= 0.1 * p.grad
    model.zero_grad()
    assert second.html() == expected
    assert [steps.html(), other.html()] == again


@pytest.mark.parametrize("show", [backprop_steps, lambda root: explain(root, root._prev[0])])
def test_the_player_and_paths_refuse_a_pass_over_old_and_new_numbers(show: Any) -> None:
    loss, x, _ = neuron()
    show(loss)
    x.data = 3.0
    with pytest.raises(ValueError, match=r"\.data was set after \* was computed from w and x; compute the root again"):
        show(loss)


def test_numbers_at_which_an_operation_is_not_defined_and_sums_in_parts_are_outdated() -> None:
    x, y = Value(2.0, label="x"), Value(3.0, label="y")
    root = log(x) + dot([x, 4.0], [y, y])
    assert "?" not in slopes_on(draw(root, expand=["dot"]).source)
    x.data = -1.0
    source = draw(root, expand=["dot"]).source
    assert NOTE in source
    assert slopes_on(source).count("?") == 4  # of log, and of the products
    assert "4" not in slopes_on(source)


@settings(max_examples=60, deadline=None)
@given(expressions(max_nodes=12))
def test_no_graph_is_outdated_as_long_as_nothing_is_set(program: Expression) -> None:
    inputs = [Value(x) for x in program.inputs]
    output = program(*inputs)
    if isinstance(output, Value):
        assert NOTE not in draw(output).source


def test_nodes_that_compute_their_number_elsewhere_are_never_outdated() -> None:
    x = Value(2.0)
    cube = custom_op("cube", lambda x: x**3, lambda z, x: 3.0 * x * x)
    bent = custom_op("bend", lambda xs: [xs[0] * xs[1]], vjp=lambda result, xs, cotangent: [[xs[1], xs[0]]])
    square = compile(lambda x: x * x)
    by_hand = Value(4.0, (x,), "square"), Value(9.0, (x,), local_grads=(6.0,))
    for root in (cube(x), bent([x, x])[0], square(x), *by_hand, mg.checkpoint(lambda x: x.exp())(x), float("nan") * x):
        assert NOTE not in draw(root * 2.0).source


def test_no_function_of_a_user_is_called_to_draw_its_result() -> None:
    calls: list[float] = []

    def noisy(x: float) -> float:
        calls.append(x)
        return x + len(calls)

    root = custom_op("noisy", noisy, lambda z, x: 1.0)(Value(2.0)) * 3.0
    root.backward()
    assert NOTE not in draw(root).source
    backprop_steps(root).html()
    assert calls == [2.0]
