"""The backward pass step by step: the frames are the engine's own, and the player works in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from microgrud import Value, tanh
from microgrud.draw import BackpropSteps, backprop_steps, draw
from microgrud.engine import topological_order
from microgrud.testing import Expression, expressions


@pytest.fixture
def steps() -> BackpropSteps:
    """The steps of a neuron with a penalty on its input, so that x is used three times."""
    x, w, b = Value(2.0, label="x"), Value(-0.75, label="w"), Value(1.0, label="b")
    loss = (tanh(w * x + b) - 1.0) ** 2 + x * x
    loss.label = "loss"
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


def test_a_sentence_says_what_is_multiplied_and_that_uses_add_up(steps: BackpropSteps) -> None:
    (square,) = [
        frame for frame in steps if frame.node is not None and frame.node._prev == (frame.shares[0].parent,) * 2
    ]
    assert [share.total for share in square.shares] == [2.0, 4.0]
    assert "it gets 1 \u00d7 2 = 2 once more, which makes 4: uses add up." in square.sentence
    assert any("Gradients add up." in frame.sentence for frame in steps)
    assert steps[-1].sentence.startswith("Done. The derivatives of loss by the leaves: w: ")


@settings(max_examples=50)
@given(expressions(max_nodes=12))
def test_the_frames_of_any_program_end_with_the_gradients_of_the_engine(program: Expression) -> None:
    root = program(*[Value(x) for x in program.inputs])
    if not isinstance(root, Value):
        return
    frames = backprop_steps(root, max_nodes=1_000)
    root.backward()
    for node, grad in frames[-1].grads.items():
        assert grad == node.grad or (grad != grad and node.grad != node.grad)


def test_nodes_built_by_hand_tell_what_they_add() -> None:
    x = Value(3.0, label="x")
    node = Value(9.0, (x, x), "square")

    def backward() -> None:
        x.grad += 6.0 * node.grad

    node._backward = backward
    frames = backprop_steps(node * 2.0)
    assert "Its own rule adds 12 to x." in frames[2].sentence
    assert x.grad == 0.0


def test_a_zero_adjoint_passes_nothing_on_and_grads_come_back_also_after_an_error() -> None:
    x = Value(-1.0, label="x")
    frames = backprop_steps((x * 2.0).relu() * 3.0)
    assert [frame.sentence for frame in frames if "is 0: it passes nothing on" in frame.sentence]

    x.grad = 5.0
    bad = Value(1.0, (x,), "bad")
    bad._backward = lambda: 1 / 0  # type: ignore[assignment, return-value]
    with pytest.raises(ZeroDivisionError):
        backprop_steps(bad * 1.0)
    assert x.grad == 5.0


def test_a_graph_that_no_one_could_follow_is_refused() -> None:
    y = Value(1.0)
    for _ in range(100):
        y = y * 2.0
    with pytest.raises(ValueError, match="a graph of 101 nodes has as many steps.*max_nodes .now 60."):
        backprop_steps(y)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda v: backprop_steps([v, v]), TypeError, "^root: expected a Value, got list$"),
        (lambda v: backprop_steps(3.0), TypeError, "^root: expected a Value, got float$"),
        (lambda v: backprop_steps(v, rankdir="up"), ValueError, "^rankdir: expected one of LR, TB, RL, BT, got 'up'$"),
        (lambda v: backprop_steps(v, digits=0), ValueError, "^digits: expected at least 1, got 0$"),
    ],
)
def test_wrong_arguments_are_refused(call: Callable[[Any], object], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call(Value(1.0) * 2.0)


# --- the page ---


def test_the_page_needs_nothing_from_elsewhere_and_is_the_same_every_time(steps: BackpropSteps, tmp_path: Path) -> None:
    steps.save(tmp_path / "steps.html")
    page = (tmp_path / "steps.html").read_text(encoding="utf-8")
    # Names of XML's own namespaces are no addresses.
    assert set(re.findall(r'https?://[^"\s<]+', page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/TR/2001/REC-SVG-20010904/DTD/svg11.dtd",
    }
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    again = backprop_steps(steps.root, parameters=[], inputs=[])
    assert again.html() == backprop_steps(steps.root, parameters=[], inputs=[]).html()


def test_a_page_is_not_written_under_another_ending(steps: BackpropSteps, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^path: expected a name that ends in .html or .htm, got '.*steps.txt'$"):
        steps.save(tmp_path / "steps.txt")
    steps.save(tmp_path / "steps.HTM")
    assert [path.name for path in tmp_path.iterdir()] == ["steps.HTM"]


def test_the_picture_stands_still_from_frame_to_frame(steps: BackpropSteps) -> None:
    sizes = re.findall(r'<svg width="(\w+)" height="(\w+)"', steps.html())
    assert len(sizes) == len(steps)
    assert len(set(sizes)) == 1


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("takes Chromium and its driver (on Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    for flag in [*flags.split(), "disable-component-update", "disable-sync", "window-size=1000,700"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as found:
        yield found


@pytest.fixture
def page(browser: Any, steps: BackpropSteps, tmp_path: Path) -> Any:
    """The player of `steps` in the browser."""
    steps.save(tmp_path / "steps.html")
    browser.get((tmp_path / "steps.html").as_uri())
    yield browser
    assert browser.get_log("browser") == []


def shown(page: Any) -> tuple[str, str, list[str]]:
    """What is on the screen: the number of the step, the sentence, the texts of the picture."""
    (frame,) = [f for f in page.find_elements("css selector", ".frame") if f.is_displayed()]
    texts = [t.text for t in frame.find_elements("css selector", "text")]
    return page.find_element("css selector", "output").text, page.find_element("css selector", ".sentence").text, texts


def test_the_player_shows_the_numbers_of_the_engine_in_every_step(page: Any, steps: BackpropSteps) -> None:
    steps.root.backward()
    on = page.find_element("css selector", "[data-go=on]")
    for k, frame in enumerate(steps):
        number, sentence, texts = shown(page)
        assert number == f"step {k} of {len(steps) - 1}"
        assert sentence == frame.sentence
        for grad in frame.grads.values():
            assert f"{grad:.4g}".replace("-", "\u2212", 1) in texts
        assert texts.count("\u2013") == len(topological_order(steps.root)) - len(frame.grads)
        if k < len(steps) - 1:
            on.click()
    assert not on.is_enabled()


def test_the_keyboard_and_the_slider_step_through(page: Any, steps: BackpropSteps) -> None:
    from selenium.webdriver.common.keys import Keys

    player = page.find_element("css selector", ".backprop")
    player.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert shown(page)[0].startswith("step 1 ")
    player.send_keys(Keys.END)
    assert shown(page)[1] == steps[-1].sentence
    player.send_keys(Keys.HOME)
    assert shown(page)[1] == steps[0].sentence
    slider = page.find_element("css selector", "input[type=range]")
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert shown(page)[1] == steps[3].sentence


def test_it_plays_pauses_and_does_not_move_for_those_who_ask_for_that(page: Any) -> None:
    play = page.find_element("css selector", "[data-go=play]")
    play.click()
    assert play.text == "pause"
    play.click()
    assert play.text == "play"
    animation = "return getComputedStyle(document.querySelector('.frame:not([hidden])')).animationName"
    assert page.execute_script(animation) != "none"
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        assert page.execute_script(animation) == "none"
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@contextmanager
def seen_as(browser: Any, width: int, motion: str = "no-preference") -> Iterator[None]:
    """The page at a width, for someone who would or would not rather have nothing move."""
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
    """Where a thing begins and ends, from the left edge of the window."""
    script = "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.left, r.right]"
    left, right = browser.execute_script(script, selector)
    return left, right


@pytest.fixture
def wide() -> BackpropSteps:
    """The steps of a neuron written out, whose graph is wider than a page of 760 pixels."""
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
        for name, around in (("steps.html", ".frames"), ("drawn.html", "body")):
            browser.get((tmp_path / name).as_uri())
            left, right = extent(browser, around)
            picture = extent(browser, f"{around} svg")
            assert left <= picture[0] < picture[1] <= right + 1.0
            sizes = "return [...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height)"
            assert min(size for size in browser.execute_script(sizes) if size) >= 9.0


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_on_a_narrow_page_the_player_scrolls_to_what_it_speaks_of(
    browser: Any, wide: BackpropSteps, motion: str, tmp_path: Path
) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    wide.save(tmp_path / "steps.html")

    def in_sight(_: Any) -> bool:
        left, right = extent(browser, ".frames")
        node = extent(browser, ".frame:not([hidden]) .looked-at")
        return left <= node[0] and node[1] <= right

    with seen_as(browser, 500, motion):
        browser.get((tmp_path / "steps.html").as_uri())
        assert extent(browser, ".frames svg")[0] < extent(browser, ".frames")[0]  # wider: it can be read no smaller
        assert in_sight(browser)
        player = browser.find_element("css selector", ".backprop")
        for _ in wide[1:-1]:
            player.send_keys(Keys.ARROW_RIGHT)
            if motion == "reduce":
                assert in_sight(browser)
            else:
                WebDriverWait(browser, 5.0, 0.05).until(in_sight)
        assert browser.execute_script("return window.scrollX") == 0


def test_two_players_on_one_page_step_by_themselves(browser: Any, steps: BackpropSteps, tmp_path: Path) -> None:
    other = backprop_steps(Value(3.0, label="y") * 2.0)
    (tmp_path / "two.html").write_text(f'<meta charset="utf-8">{steps.html()}{other.html()}', encoding="utf-8")
    browser.get((tmp_path / "two.html").as_uri())
    first, second = browser.find_elements("css selector", ".backprop")
    second.find_element("css selector", "[data-go=last]").click()
    assert first.find_element("css selector", "output").text == f"step 0 of {len(steps) - 1}"
    assert second.find_element("css selector", "output").text == "step 2 of 2"
