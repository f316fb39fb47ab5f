"""The backward pass step by step: the frames are the engine's own, and the player works in a real browser."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from chromium import chromium
from hypothesis import given, settings

import microgrud as mg
from microgrud import Value, tanh
from microgrud.draw import BackpropSteps, Frame, backprop_steps, draw
from microgrud.draw.style import hue, short, tint
from microgrud.engine import topological_order
from microgrud.optim import SGD
from microgrud.testing import Expression, expressions


@pytest.fixture
def steps() -> BackpropSteps:
    """Return the steps of a neuron with a penalty on its input: x is used three times, and every node has a label."""
    x, w, b = Value(2.0, label="x"), Value(-0.75, label="w"), Value(1.0, label="b")
    loss = (tanh(w * x + b) - 1.0) ** 2 + x * x
    loss.label = "loss"
    for k, node in enumerate(topological_order(loss)):
        node.label = node.label or f"n{k}"
    return backprop_steps(loss, parameters=[w, b], inputs=x)


# --- frames ---


def test_the_first_frame_is_the_root_and_the_last_has_the_gradients_of_the_engine(steps: BackpropSteps) -> None:
    root = steps.root
    assert steps[0].grads == {root: 1.0}
    assert all(node.grad == 0.0 for node in topological_order(root))  # as they were
    root.backward()
    assert steps[-1].grads == {node: node.grad for node in topological_order(root)}


def test_nodes_come_in_the_order_of_the_engine_each_with_its_complete_adjoint(steps: BackpropSteps) -> None:
    order = [node for node in reversed(topological_order(steps.root)) if not node.is_leaf]
    assert [frame.node for frame in steps[1:-1]] == order
    steps.root.backward()
    assert [frame.adjoint for frame in steps[1:-1]] == [node.grad for node in order]


def test_a_sentence_names_the_factors_and_adds_up_uses(steps: BackpropSteps) -> None:
    (square,) = [
        frame for frame in steps if frame.node is not None and frame.node._prev == (frame.shares[0].parent,) * 2
    ]
    assert [share.total for share in square.shares] == [2.0, 4.0]
    assert [share.before for share in square.shares] == [0.0, 2.0]
    assert "x gets 1 \u00d7 2 = 2 once more, in total 4: the shares of all uses add up." in square.sentence
    assert "Gradients add up." not in square.sentence
    (product,) = [frame for frame in steps if frame.node is not None and frame.node.label == "n2"]
    adjoint, slope = product.adjoint, -0.75
    gets = f"x gets {short(adjoint, 4)} \u00d7 \u22120.75 = {short(adjoint * slope, 4)}, in addition to its 4: "
    assert gets + f"{short(4.0 + adjoint * slope, 4)}. Gradients add up." in product.sentence
    assert "in addition" not in product.sentence.split("with respect to x")[0]  # w had received nothing before
    leaves = ", ".join(f"{x.label}: {short(grad, 4)}" for x, grad in steps[-1].grads.items() if x.is_leaf)
    assert sorted(steps[-1].sentence.rstrip(".").split(": ", 1)[1].split(", ")) == sorted(leaves.split(", "))
    assert steps[-1].sentence.startswith("Done. The derivatives of loss with respect to the leaves: w: ")


@settings(max_examples=50)
@given(expressions(max_nodes=12))
def test_the_frames_of_any_program_end_with_the_gradients_of_the_engine(program: Expression) -> None:
    root = program(*[Value(x) for x in program.inputs])
    if not isinstance(root, Value):
        return
    frames = backprop_steps(root, max_nodes=1_000)
    root.backward()
    for node, grad in frames[-1].grads.items():
        assert repr(grad) == repr(node.grad)
    for before, frame in itertools.pairwise(frames):
        had = {share.parent: before.grads.get(share.parent, 0.0) for share in frame.shares}
        for share in frame.shares:
            assert repr(share.before) == repr(had[share.parent])
            had[share.parent] = share.total
        assert {x: repr(total) for x, total in had.items()} == {x: repr(frame.grads[x]) for x in had}


def test_sentences_name_the_share_of_a_node_built_by_hand() -> None:
    x = Value(3.0, label="x")
    node = Value(9.0, (x, x), "square")

    def backward() -> None:
        x.grad += 6.0 * node.grad

    node._backward = backward
    frames = backprop_steps(node * 2.0)
    assert frames[2].sentence == "The grad of v1 is complete: 2. Its own rule adds 12 to x."
    assert [(share.before, share.amount, share.total) for share in frames[2].shares] == [(0.0, 12.0, 12.0)]
    assert x.grad == 0.0

    frames = backprop_steps(node + (x + 2.0) * 1e16)
    (by_hand,) = [frame for frame in frames if frame.node is node]
    assert by_hand.sentence.endswith("Its own rule changes the grad of x from 1e+16 to 1e+16.")
    frames = backprop_steps((x + 2.0) * 1e16 + node)
    (by_hand,) = [frame for frame in frames if frame.node is node]
    assert by_hand.sentence.endswith("Its own rule adds 6 to x.")
    (after,) = [frame for frame in frames if frame.node is not None and frame.node._op == "+" and x in frame.node._prev]
    assert after.sentence.endswith("x gets 1e+16 \u00d7 1 = 1e+16, in addition to its 6: 1e+16. Gradients add up.")


def test_a_share_that_is_lost_in_an_infinite_grad_is_described_by_totals() -> None:
    x = Value(0.0, label="x")
    root = Value(1.0, (x.sqrt(), x), "by hand")
    root._prev[0].label = "s"

    def backward() -> None:
        root._prev[0].grad += root.grad
        x.grad += 3.0

    root._backward = backward
    last = root + x.sqrt()
    frames = backprop_steps(last)
    (by_hand,) = [frame for frame in frames if frame.node is root]
    assert "Its own rule changes the grad of x from inf to inf." in by_hand.sentence
    assert "Its own rule adds 1 to s." in by_hand.sentence


def test_infinite_gradients_add_up_to_infinite_ones() -> None:
    x = Value(0.0, label="x")
    frames = backprop_steps(x.sqrt() + x.sqrt())
    assert "x gets 1 \u00d7 inf = inf, in addition to its inf: inf. Gradients add up." in frames[-2].sentence


def test_an_operand_that_does_not_matter_gets_nothing_from_an_infinite_adjoint() -> None:
    x = Value(0.0, label="x")
    root = x.relu().sqrt()
    frames = backprop_steps(root)
    assert "x gets nothing through ReLU: the result does not depend on it here." in frames[-2].sentence
    root.backward()
    assert (frames[-1].grads[x], x.grad, frames[-2].shares[0].total) == (0.0, 0.0, 0.0)


def test_leaves_that_received_nothing_are_not_listed() -> None:
    x, y = Value(-1.0, label="x"), Value(2.0, label="y")
    (*_, last) = backprop_steps((x * 2.0).relu() * 3.0 + y)
    assert last.sentence.endswith("leaves: y: 1; the other leaves received nothing, so their derivatives are 0.")
    assert x not in last.grads
    (*_, last) = backprop_steps((x * 2.0).relu() * 3.0)
    assert last.sentence == "Done. No leaf received anything: the derivatives of v3 with respect to them are 0."
    many = [Value(1.0, label=f"x{k}") for k in range(10)]
    (*_, last) = backprop_steps(mg.sum(many))
    assert last.sentence.endswith(", ".join(f"x{k}: 1" for k in range(8)) + " and 2 more.")


def test_a_node_without_a_label_has_a_unique_name() -> None:
    x = Value(3.0, label="v2")
    sentences = str(backprop_steps(((x + 1.0) * 2.0).exp()))
    assert "The local derivative of * with respect to v1 is 2" in sentences
    assert "The local derivative of exp with respect to v3 is" in sentences
    assert "The local derivative of + with respect to v2 is 1" in sentences


def test_a_zero_adjoint_passes_nothing_on_and_grads_are_restored_after_an_error() -> None:
    x = Value(-1.0, label="x")
    frames = backprop_steps((x * 2.0).relu() * 3.0)
    assert [frame.sentence for frame in frames if "is 0: it passes nothing on" in frame.sentence]

    x.grad = 5.0
    bad = Value(1.0, (x,), "bad")
    bad._backward = lambda: 1 / 0  # type: ignore[assignment, return-value]
    with pytest.raises(ZeroDivisionError):
        backprop_steps(bad * 1.0)
    assert x.grad == 5.0


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda v: backprop_steps([v, v]), TypeError, "^root: expected a Value, got an object of type list$"),
        (lambda v: backprop_steps(3.0), TypeError, "^root: expected a Value, got an object of type float$"),
        (
            lambda v: backprop_steps(v, rankdir="up"),
            ValueError,
            "^rankdir: expected one of 'LR', 'RL', 'TB', 'BT', got 'up'$",
        ),
        (lambda v: backprop_steps(v, digits=0), ValueError, "^digits: expected an integer of at least 1, got 0$"),
        (lambda v: backprop_steps(v, digits=2.5), TypeError, "^digits: expected an integer, got 2.5$"),
    ],
)
def test_wrong_arguments_are_refused(call: Callable[[Any], object], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call(Value(1.0) * 2.0)


# --- the page ---


def test_the_page_is_self_contained_and_reproducible(steps: BackpropSteps, tmp_path: Path) -> None:
    steps.save(tmp_path / "steps.html")
    page = (tmp_path / "steps.html").read_text(encoding="utf-8")
    # The names of XML's own namespaces are not addresses of other files.
    assert set(re.findall(r'https?://[^"\s<]+', page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/TR/2001/REC-SVG-20010904/DTD/svg11.dtd",
    }
    assert not re.findall(r"\bid=", page)  # the same steps may be shown twice on a page
    again = backprop_steps(steps.root, parameters=[], inputs=[])
    assert again.html() == backprop_steps(steps.root, parameters=[], inputs=[]).html()


def test_a_page_is_not_written_under_another_ending(steps: BackpropSteps, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^path: expected a name that ends in .html or .htm, got '.*steps.txt'$"):
        steps.save(tmp_path / "steps.txt")
    steps.save(tmp_path / "steps.HTM")
    assert [path.name for path in tmp_path.iterdir()] == ["steps.HTM"]


def test_steps_show_the_graph_as_it_was_when_they_were_made() -> None:
    def made() -> tuple[Value, BackpropSteps]:
        x = Value(3.0, label="x")
        return x, backprop_steps(x * x + x.exp())

    expected = made()[1].html()
    x, steps = made()
    x.data, x.label = 1.2345678e100, "changed"
    steps.root.backward()
    steps.root.label = "changed"
    for node in topological_order(steps.root):
        node.data += 1.0
    assert steps.html() == expected
    assert "data=3.0" in expected


def test_a_page_grows_with_the_graph_and_not_with_its_square() -> None:
    def size(count: int) -> int:
        y = Value(0.3, label="x")
        for _ in range(count):
            y = (y * 1.1).tanh()
        return len(backprop_steps(y, max_nodes=1_000).html())

    assert size(28) < 160_000
    assert size(56) - size(28) < 1.1 * (size(28) - size(0))


def test_numbers_that_are_not_finite_have_no_part_in_the_scale_of_tints() -> None:
    x, y = Value(0.0, label="x"), Value(2.0, label="y")
    page = backprop_steps(x.sqrt() + y * 3.0).html()
    assert f'"3","{tint(3.0, 3.0)}","3.0"' in page
    assert f'"1","{tint(1.0, 3.0)}","1.0"' in page
    assert f'"inf","{tint(math.inf, 3.0)}","inf"' in page


def test_a_tint_has_its_sign_and_grows_over_four_powers_of_ten() -> None:
    assert [tint(0.0, 1.0), tint(math.nan, 1.0), tint(1.0, 0.0)] == ["#ffffff"] * 3
    assert tint(5.0, 5.0) == tint(math.inf, 5.0) == hue(1.0, 0.45)
    assert tint(-5e-2, 5.0) == hue(-1.0, 0.45 / 2)
    assert tint(5e-3, 5.0) == hue(1.0, 0.45 / 4)
    assert tint(5e-4, 5.0) == tint(5e-300, 5.0) == hue(1.0, 0.45 * 0.12)  # distinct from 0 however small
    assert hue(1.0, 1.0) == "#0072b2"
    assert hue(-1.0, 1.0) == "#d55e00"
    assert hue(1.0, 0.0) == "#ffffff"


def test_round_outlines_lie_over_the_corners_of_cells(steps: BackpropSteps) -> None:
    (box,) = re.findall(r'<g [^>]*data-says="w: .*?</g>', steps.html())
    outlines = re.findall(r"<(?:path|polygon)[^>]*>", box)
    assert len(outlines) == 4
    assert 'stroke="none"' in outlines[0]
    assert re.match('<path fill="none" stroke="black"', outlines[-1])


def test_the_player_leaves_out_the_middle_of_very_many_operands() -> None:
    page = backprop_steps(mg.sum([Value(float(k), label=f"x{k}") for k in range(30)])).html()
    assert "6 more operands" in page
    assert 'data-says="x29: data=29.0"' in page
    assert "x15: data" not in page


_double = mg.compile(lambda x, y: tanh(x * y) + x)
_kept = mg.checkpoint(lambda x, y: mg.exp(x) * y)
_square = mg.custom_op("my_square", lambda x: x * x, lambda z, x: 2.0 * x)


@pytest.mark.parametrize(
    "program",
    [
        lambda a, b: _double(a, b) * a,
        lambda a, b: _kept(a, b) * b,
        lambda a, b: _square(a) * b + _square(b),
        lambda a, b: (a * b) * (a * b) + a,
        lambda a, b: mg.gradient(a**3 * b, [a])[0] * a + b,
        lambda a, b: a * b + Value(math.nan),
    ],
    ids=["compiled", "checkpoint", "custom_op", "shared", "gradient", "nan"],
)
def test_the_update_is_that_of_sgd_for_any_kind_of_node(program: Callable[..., Value]) -> None:
    parameters = [Value(0.7, label="a"), Value(-1.3, label="b")]
    root = program(*parameters)
    steps = backprop_steps(root, parameters=parameters, lr=0.1)
    root.backward()
    totals = {share.parent: share.total for frame in steps for share in frame.shares}
    assert [totals[p] for p in parameters] == [p.grad for p in parameters]
    said = str(steps).splitlines()[-1]
    old = [p.data for p in parameters]
    SGD(parameters, lr=0.1).step()
    for p, before in zip(parameters, old):
        minus = f"({short(p.grad, 4)})" if p.grad < 0.0 else short(p.grad, 4)
        assert f"{p.label} = {short(before, 4)} \u2212 0.1 \u00d7 {minus} = {short(p.data, 4)}" in said


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile"), 1000, 700) as found:
        yield found


@pytest.fixture
def page(browser: Any, steps: BackpropSteps, tmp_path: Path) -> Any:
    """Open the player of `steps` in the browser."""
    steps.save(tmp_path / "steps.html")
    browser.get((tmp_path / "steps.html").as_uri())
    yield browser
    assert browser.get_log("browser") == []


def step_of(page: Any) -> tuple[str, str]:
    """Return the number of the step, and the sentence."""
    return page.find_element("css selector", "output").text, page.find_element("css selector", ".sentence").text


#: Returns the texts, the colour of the last cell and the tooltip of each box; the texts, the tooltip and the thickness
#: of everything that is highlighted; and the numbers that do not fit into their cells.
READ_PICTURE = """
const colour = "rgb(166, 0, 79)", boxes = [], lit = [], outside = [];
const stroked = e => getComputedStyle(e).stroke === colour;
document.querySelectorAll("svg g g").forEach(g => {
  const texts = [...g.querySelectorAll("text")].map(t => t.textContent.trim());
  const title = g.querySelector("title") ? g.querySelector("title").textContent : "";
  if (texts.includes("grad")) {
    const cell = [...g.querySelectorAll("polygon")].pop(), number = [...g.querySelectorAll("text")].pop();
    boxes.push([texts, cell.getAttribute("fill"), title]);
    const c = cell.getBoundingClientRect(), n = number.getBoundingClientRect();
    if (n.left < c.left || n.right > c.right || n.top < c.top || n.bottom > c.bottom) { outside.push(texts); }
  }
  const shapes = [...g.querySelectorAll("path, polygon, polyline, ellipse")].filter(stroked);
  if (shapes.length) {
    const filled = shapes.some(e => getComputedStyle(e).fill === colour);
    lit.push([texts, title, filled, ...new Set(shapes.map(e => getComputedStyle(e).strokeWidth))]);
  }
});
return [boxes, lit, outside];
"""


def expected_boxes(steps: BackpropSteps, k: int) -> dict[str, tuple[str, str, str, str]]:
    """Return the contents of each box in a step by the label of its node: data, grad, tint and tooltip."""
    largest = max(abs(grad) for frame in steps for grad in frame.grads.values())
    found = {}
    for node in topological_order(steps.root):
        grad = steps[k].grads.get(node)
        number, colour = ("\u2013", "#ffffff") if grad is None else (short(grad, 4), tint(grad, largest))
        tooltip = f"{node.label}: data={node.data!r}" + ("" if grad is None else f", grad={grad!r}")
        found[node.label] = (short(node.data, 4), number, colour, tooltip)
    return found


def expected_highlights(frame: Frame) -> list[list[Any]]:
    """Return the highlighted parts other than the box: the operation of the node, and the edges into and out of it."""
    if frame.node is None:
        return []
    into = [[[short(s.slope or 0.0, 4)], f"local derivative {s.slope!r}", True, "2.5px"] for s in frame.shares]
    return [[[frame.node._op], "", False, "2.5px"], [[], "", True, "2.5px"], *into]


def assert_picture_is_of_step(page: Any, steps: BackpropSteps, k: int) -> None:
    boxes, lit, outside = page.execute_script(READ_PICTURE)
    assert {texts[0]: (texts[-3], texts[-1], colour, title) for texts, colour, title in boxes} == expected_boxes(
        steps, k
    )
    assert outside == []
    node = steps[k].node
    own = [group for group in lit if "grad" in group[0]]
    assert [(texts[0], width) for texts, _, _, *width in own] == ([] if node is None else [(node.label, ["3.5px"])])
    assert sorted(group for group in lit if group not in own) == sorted(expected_highlights(steps[k]))


def test_each_step_shows_the_numbers_of_the_engine_and_highlights_its_node(page: Any, steps: BackpropSteps) -> None:
    on, back = (page.find_element("css selector", f"[data-go={name}]") for name in ("on", "back"))
    with seen_as(page, 1000, "reduce"):  # colours do not fade in
        for k, frame in enumerate(steps):
            assert step_of(page) == (f"step {k} of {len(steps) - 1}", frame.sentence)
            assert_picture_is_of_step(page, steps, k)
            if k < len(steps) - 1:
                on.click()
        assert on.get_attribute("aria-disabled") == "true"
        for k in range(len(steps) - 2, -1, -1):
            back.click()
            assert_picture_is_of_step(page, steps, k)
        assert back.get_attribute("aria-disabled") == "true"


def test_without_scripts_there_are_the_last_picture_and_all_sentences_and_no_buttons(
    browser: Any, steps: BackpropSteps, tmp_path: Path
) -> None:
    html = re.sub(r"<script>.*?</script>", "", steps.html(), flags=re.DOTALL)
    assert html != steps.html()
    (tmp_path / "dead.html").write_text(f'<meta charset="utf-8">{html}', encoding="utf-8")
    browser.get((tmp_path / "dead.html").as_uri())
    assert not any(e.is_displayed() for e in browser.find_elements("css selector", ".controls, button, input"))
    assert_picture_is_of_step(browser, steps, len(steps) - 1)
    assert browser.find_element("css selector", ".sentence").text == steps[-1].sentence
    browser.find_element("css selector", "summary").click()
    assert [li.text for li in browser.find_elements("css selector", "li")] == [frame.sentence for frame in steps]


def test_the_keyboard_and_the_slider_step_through(page: Any, steps: BackpropSteps) -> None:
    from selenium.webdriver.common.keys import Keys

    player = page.find_element("css selector", ".microgrud-backprop")
    slider = page.find_element("css selector", "input[type=range]")

    def assert_at(k: int) -> None:
        assert step_of(page) == (f"step {k} of {len(steps) - 1}", steps[k].sentence)
        assert slider.get_property("value") == str(k)
        assert slider.get_attribute("aria-valuetext") == f"step {k}"

    for key, k in ((Keys.ARROW_RIGHT, 1), (Keys.ARROW_RIGHT, 2), (Keys.ARROW_LEFT, 1), (Keys.END, len(steps) - 1)):
        player.send_keys(key)
        assert_at(k)
    player.send_keys(Keys.HOME)
    assert_at(0)
    for key, k in ((Keys.ARROW_RIGHT, 1), (Keys.ARROW_RIGHT, 2), (Keys.ARROW_LEFT, 1), (Keys.ARROW_UP, 2)):
        slider.send_keys(key)
        assert_at(k)
    slider.send_keys(Keys.SPACE)  # has no effect on the slider
    assert page.find_element("css selector", "[data-go=play]").text == "play"
    player.send_keys(Keys.SPACE)
    assert page.find_element("css selector", "[data-go=play]").text == "pause"


#: A clock that the test advances.
CLOCK = """
window.setInterval = (call, time) => { window.turn = call; window.pace = time; return 7; };
window.clearInterval = id => { if (id === 7) { window.turn = null; } };
"""


def test_it_plays_to_the_end_pauses_and_starts_again(page: Any, steps: BackpropSteps) -> None:
    page.execute_script(CLOCK)
    play = page.find_element("css selector", "[data-go=play]")
    last = len(steps) - 1

    def turn() -> bool:
        return bool(page.execute_script("if (window.turn) { window.turn(); } return Boolean(window.turn)"))

    play.click()
    assert (play.text, play.get_attribute("aria-label")) == ("pause", "pause")
    assert page.execute_script("return window.pace") >= 1_000
    assert turn()
    assert step_of(page)[0] == f"step 1 of {last}"
    play.click()
    assert (play.text, play.get_attribute("aria-label")) == ("play", "play")
    assert not turn()
    assert step_of(page)[0] == f"step 1 of {last}"
    play.click()
    assert [turn() for _ in range(2, last + 1)] == [True] * (last - 2) + [False]
    assert step_of(page) == (f"step {last} of {last}", steps[-1].sentence)
    assert play.text == "play"
    play.click()
    assert step_of(page) == (f"step 0 of {last}", steps[0].sentence)
    assert play.text == "pause"
    page.find_element("css selector", "[data-go=on]").click()
    assert play.text == "play"


def test_colours_fade_unless_the_reader_prefers_reduced_motion(page: Any) -> None:
    fade = "return getComputedStyle(document.querySelector('.tint')).transitionDuration"
    with seen_as(page, 1000):
        assert page.execute_script(fade) != "0s"
    with seen_as(page, 1000, "reduce"):
        assert page.execute_script(fade) == "0s"


@contextmanager
def seen_as(browser: Any, width: int, motion: str = "no-preference") -> Iterator[None]:
    """Show the page at a width, to a reader who does or does not prefer reduced motion."""
    metrics = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-reduced-motion", "value": motion}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def extent(browser: Any, selector: str) -> tuple[float, float]:
    """Return the left and the right end of an element, measured from the left edge of the window."""
    script = "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.left, r.right]"
    left, right = browser.execute_script(script, selector)
    return left, right


@pytest.fixture
def wide() -> BackpropSteps:
    """Return the steps of a neuron in single operations, whose graph is wider than a page of 760 pixels."""
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2, b = Value(-3.0, label="w1"), Value(1.0, label="w2"), Value(6.8813735870195432, label="b")
    n = x1 * w1 + x2 * w2 + b
    n.label = "n"
    o = n.tanh()
    o.label = "o"
    return backprop_steps(o, parameters=[w1, w2, b], inputs=[x1, x2])


@pytest.mark.parametrize("width", [760, 1000])
def test_pictures_fit_the_width_of_the_page_with_the_root_in_sight(
    browser: Any, wide: BackpropSteps, width: int, tmp_path: Path
) -> None:
    wide.save(tmp_path / "steps.html")
    svg = draw(wide.root)._repr_mimebundle_()["image/svg+xml"]
    (tmp_path / "drawn.html").write_text(f'<meta charset="utf-8">{svg[svg.index("<svg") :]}', encoding="utf-8")
    with seen_as(browser, width):
        for name, around in (("steps.html", ".picture"), ("drawn.html", "body")):
            browser.get((tmp_path / name).as_uri())
            left, right = extent(browser, around)
            picture = extent(browser, f"{around} svg")
            assert left <= picture[0] < picture[1] <= right + 1.0
            sizes = "return [...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height)"
            assert min(size for size in browser.execute_script(sizes) if size) >= 9.0


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_on_a_narrow_page_the_player_scrolls_to_the_node_of_the_step(
    browser: Any, wide: BackpropSteps, motion: str, tmp_path: Path
) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    wide.save(tmp_path / "steps.html")

    def in_sight(_: Any) -> bool:
        left, right = extent(browser, ".picture")
        node = extent(browser, ".focus")
        return left <= node[0] and node[1] <= right

    with seen_as(browser, 500, motion):
        browser.get((tmp_path / "steps.html").as_uri())
        assert extent(browser, ".picture svg")[0] < extent(browser, ".picture")[0]  # smaller would be illegible
        assert in_sight(browser)
        player = browser.find_element("css selector", ".microgrud-backprop")
        for _ in wide[1:-1]:
            player.send_keys(Keys.ARROW_RIGHT)
            if motion == "reduce":
                assert in_sight(browser)
            else:
                WebDriverWait(browser, 5.0, 0.05).until(in_sight)
        assert browser.execute_script("return window.scrollX") == 0


def test_players_on_one_page_step_by_themselves_also_those_of_the_same_steps(
    browser: Any, steps: BackpropSteps, tmp_path: Path
) -> None:
    other = backprop_steps(Value(3.0, label="y") * 2.0)
    page = f'<meta charset="utf-8">{steps.html()}{steps.html()}{other.html()}'
    (tmp_path / "three.html").write_text(page, encoding="utf-8")
    browser.get((tmp_path / "three.html").as_uri())
    first, second, third = browser.find_elements("css selector", ".microgrud-backprop")
    third.find_element("css selector", "[data-go=last]").click()
    for _ in range(2):
        second.find_element("css selector", "[data-go=on]").click()
    numbers = [player.find_element("css selector", "output").text for player in (first, second, third)]
    assert numbers == [f"step 0 of {len(steps) - 1}", f"step 2 of {len(steps) - 1}", "step 2 of 2"]
    grads = [[t.text for t in player.find_elements("css selector", ".grad")] for player in (first, second, third)]
    assert grads[0] != grads[1]
    assert grads[2] == ["2", "1"]


def test_a_script_that_runs_elsewhere_and_twice_starts_the_player_once(
    browser: Any, steps: BackpropSteps, tmp_path: Path
) -> None:
    """Run the script as notebooks do, which take scripts out of the output and run them elsewhere in the page."""
    (tmp_path / "elsewhere.html").write_text('<meta charset="utf-8"><main></main>', encoding="utf-8")
    browser.get((tmp_path / "elsewhere.html").as_uri())
    again = """
        document.querySelector("main").innerHTML = arguments[0];
        for (let k = 0; k < 2; k++) {
          const script = document.createElement("script");
          script.text = document.querySelector("main script").textContent;
          document.head.appendChild(script);
        }
    """
    browser.execute_script(again, steps.html())
    browser.find_element("css selector", "[data-go=on]").click()
    browser.execute_script(
        "const s = document.createElement('script'); s.text = arguments[0]; document.body.append(s)",
        re.findall(r"<script>(.*?)</script>", steps.html(), re.DOTALL)[0],
    )
    assert step_of(browser) == (f"step 1 of {len(steps) - 1}", steps[1].sentence)
