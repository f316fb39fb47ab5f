"""The player of a large graph has a step for each box, and the last step can be an update of the parameters."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from test_player import browser  # noqa: F401

from microgrud import Value, mean, tanh
from microgrud.draw import BackpropSteps, backprop_steps, draw
from microgrud.draw.style import short
from microgrud.engine import topological_order
from microgrud.nn import MLP
from microgrud.optim import SGD
from microgrud.testing import Expression, expressions


def network() -> tuple[Value, MLP]:
    model = MLP(2, [8, 1], activation="tanh", rng=random.Random(0))
    points = [(0.0, 0.0, -1.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, -1.0)]
    loss = mean([(model([x, y]) - target) ** 2 for x, y, target in points])
    loss.label = "loss"
    return loss, model


def neuron() -> tuple[Value, list[Value]]:
    x, w, b = Value(2.0, label="x"), Value(-0.75, label="w"), Value(1.0, label="b")
    loss = (tanh(w * x + b) - 1.0) ** 2
    loss.label = "loss"
    return loss, [w, b]


# --- folded ---


def test_a_large_graph_has_a_step_for_each_box_and_the_gradients_of_the_engine() -> None:
    loss, model = network()
    steps = backprop_steps(loss, parameters=model)
    assert len(steps) == 4
    assert all(x.grad == 0.0 for x in topological_order(loss))
    loss.backward()
    order = topological_order(loss)
    assert steps[-1].grads == {x: x.grad for x in order}
    assert [x for frame in steps for x in frame.nodes] == [x for k in (2, 1) for x in steps[3 - k].nodes]
    assert {x for frame in steps for x in frame.nodes} == {x for x in order if not x.is_leaf}
    last = model.layers[-1].parameters()
    assert steps[1].sentence == (
        "4 dot, 4 -, 4 **, 1 mean: 13 nodes pass their gradients on, each times its local derivatives, the last node "
        f"first. 9 leaves now have their gradients: {short(min(p.grad for p in last), 4)} to "
        f"{short(max(p.grad for p in last), 4)}."
    )
    assert all(p in steps[1].grads for p in last)
    assert not any(p in steps[1].grads for p in model.layers[0].parameters())


def test_the_range_of_grads_holds_those_of_0_and_names_nan() -> None:
    xs = [Value(float(k)) for k in range(-1, 29)]  # two dead units
    dead = sum((x * 2.0).relu() for x in xs)
    broken = sum(x * (math.nan if x is xs[7] else 2.0) for x in xs)
    for root, words, exactly in ((dead, "0 to 2", "0.0 to 2.0"), (broken, "2, nan", "2.0, nan")):
        assert isinstance(root, Value)
        page = backprop_steps(root, max_nodes=1).html()
        assert f'"{words}"' in page
        assert f'"{exactly}"' in page
        root.backward()
        assert f">{words}<" in draw(root, max_nodes=3).source
        for x in topological_order(root):
            x.grad = 0.0


@settings(max_examples=50)
@given(expressions(max_nodes=12))
def test_a_folded_pass_over_any_program_ends_with_the_gradients_of_the_engine(program: Expression) -> None:
    root = program(*[Value(x) for x in program.inputs])
    if not isinstance(root, Value) or root.is_leaf:
        return
    frames = backprop_steps(root, max_nodes=1)
    whole = backprop_steps(root, max_nodes=1_000)
    assert {x: repr(grad) for x, grad in frames[-1].grads.items()} == {
        x: repr(grad) for x, grad in whole[-1].grads.items()
    }
    assert "<svg" in frames.html()


def test_a_step_of_a_graph_of_a_hundred_thousand_nodes_is_small() -> None:
    y = Value(1.0, label="x")
    for _ in range(20_000):
        y = y * 1.0001
    steps = backprop_steps(y)
    assert 5 < len(steps) < 12
    assert len(steps.html()) < 60_000


# --- the update ---


def test_the_update_is_the_step_of_sgd_and_changes_nothing() -> None:
    loss, parameters = neuron()
    steps = backprop_steps(loss, parameters=parameters, lr=0.1)
    assert len(steps) == len(backprop_steps(loss)) + 1
    assert [p.data for p in parameters] == [-0.75, 1.0]
    loss.backward()
    SGD(parameters, lr=0.1).step()
    assert steps[-1].data == {p: p.data for p in parameters}
    w, b = parameters
    assert f"w = \u22120.75 \u2212 0.1 \u00d7 (\u22124.6) = {short(w.data, 4)}; b = 1 \u2212 0.1" in steps[-1].sentence
    assert f"= {short(b.data, 4)}" in steps[-1].sentence
    assert f"the sum of the squared gradients, {short(0.1 * (w.grad**2 + b.grad**2), 4)}" in steps[-1].sentence


def test_parameters_without_a_gradient_are_not_updated() -> None:
    w, unused = Value(2.0, label="w"), Value(5.0, label="unused")
    steps = backprop_steps((w * 3.0).relu() + (-unused).relu(), parameters=[w, unused], lr=1.0)
    assert steps[-1].data == {w: -1.0}
    steps = backprop_steps(Value(-1.0).relu() * 2.0, parameters=[w], lr=1.0)
    assert steps[-1].sentence == "The update changes nothing: no parameter received a gradient."


def test_a_root_that_is_a_parameter_is_updated_as_by_sgd() -> None:
    w = Value(2.0, label="w")
    assert backprop_steps(w, parameters=[w], lr=0.5)[-1].data == {w: 1.5}


def test_the_update_of_a_large_graph_counts_the_parameters_that_it_does_not_write() -> None:
    loss, model = network()
    steps = backprop_steps(loss, parameters=model, lr=0.5)
    assert len(steps[-1].data) == 33
    assert ", and 29 more. " in steps[-1].sentence
    assert "24 nodes: data=" in steps.html()


@pytest.mark.parametrize(("lr", "match"), [(-1.0, "^lr: expected a finite number x >= 0, got -1.0$"), ("a", "lr")])
def test_a_wrong_rate_is_refused(lr: Any, match: str) -> None:
    with pytest.raises((ValueError, TypeError), match=match):
        backprop_steps(Value(1.0) * 2.0, parameters=[], lr=lr)


def test_an_update_needs_parameters() -> None:
    with pytest.raises(ValueError, match=r"^lr: expected parameters as well; write backprop_steps\(root, parameters="):
        backprop_steps(Value(1.0) * 2.0, lr=0.1)


# --- in a browser ---


def opened(browser: Any, steps: BackpropSteps, path: Path) -> Any:  # noqa: F811
    steps.save(path)
    browser.get(path.as_uri())
    return browser


def cells(page: Any) -> dict[str, tuple[str, str]]:
    read = """return [...document.querySelectorAll("[data-node]")].map(
        box => ["title", ".data", ".grad"].map(part => box.querySelector(part).textContent));"""
    return {title.split(":")[0]: (data, grad) for title, data, grad in page.execute_script(read)}


@pytest.mark.slow("starts a browser")
def test_the_update_is_shown_and_buttons_keep_the_keyboard(browser: Any, tmp_path: Path) -> None:  # noqa: F811
    from selenium.webdriver.common.keys import Keys

    loss, parameters = neuron()
    steps = backprop_steps(loss, parameters=parameters, lr=0.1)
    page = opened(browser, steps, tmp_path / "steps.html")
    on, back = (page.find_element("css selector", f"[data-go={name}]") for name in ("on", "back"))
    for _ in range(len(steps) + 2):
        on.click()
    assert page.find_element("css selector", ".sentence").text == steps[-1].sentence
    assert cells(page)["w"] == (short(steps[-1].data[parameters[0]], 4), short(steps[-1].grads[parameters[0]], 4))
    assert page.switch_to.active_element == on
    page.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert page.find_element("css selector", "output").text == f"step {len(steps) - 2} of {len(steps) - 1}"
    assert cells(page)["w"][0] == "\u22120.75"
    for _ in range(len(steps) + 2):
        back.click()
    assert page.switch_to.active_element == back
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert page.find_element("css selector", "output").text == f"step 1 of {len(steps) - 1}"
    assert browser.get_log("browser") == []


@pytest.mark.slow("starts a browser")
@pytest.mark.parametrize("font", ["Liberation Sans", "DejaVu Sans Mono"])
def test_numbers_fit_their_cells_in_any_font(font: str, browser: Any, tmp_path: Path) -> None:  # noqa: F811
    loss, model = network()
    for k, steps in enumerate((backprop_steps(loss, parameters=model, lr=0.5), backprop_steps(neuron()[0]))):
        page = opened(browser, steps, tmp_path / f"{k}.html")
        style = f"const s = document.createElement('style'); s.textContent = 'text {{ font-family: \"{font}\" }}';"
        page.execute_script(style + "document.head.append(s);")
        for _ in steps:
            page.find_element("css selector", "[data-go=on]").click()
            wide = """return [...document.querySelectorAll(".data, .grad")].filter(
                text => text.getBoundingClientRect().width > text.dataset.room * text.getScreenCTM().a + 0.5).length;"""
            assert page.execute_script(wide) == 0


@pytest.mark.slow("starts a browser")
def test_a_folded_graph_is_played_box_by_box(browser: Any, tmp_path: Path) -> None:  # noqa: F811
    loss, model = network()
    steps = backprop_steps(loss, parameters=model, lr=0.5)
    page = opened(browser, steps, tmp_path / "steps.html")
    assert {grad for _, grad in cells(page).values()} == {"1", "\u2013"}
    page.find_element("css selector", "[data-go=on]").click()
    lit = page.find_elements("css selector", ".box.on > title")
    assert [re.sub(r":.*", "", title.get_attribute("textContent")) for title in lit] == ["4 dot, 4 -, 4 **, 1 mean"]
    assert cells(page)["9 leaves"][1] != "\u2013"
    assert cells(page)["24 leaves"][1] == "\u2013"
    page.find_element("css selector", "[data-go=last]").click()
    new = [steps[-1].data[p] for p in model.layers[0].parameters()]
    assert cells(page)["24 nodes"][0] == f"{short(min(new), 4)} to {short(max(new), 4)}"
    assert browser.get_log("browser") == []
