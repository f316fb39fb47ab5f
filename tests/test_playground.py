"""The playground in a real browser, from the built site."""

from __future__ import annotations

import base64
import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chromium import SITE, chromium, needs, proxy, served

from microgrud import Value
from microgrud.draw import backprop_steps

pytestmark = [
    pytest.mark.slow("starts a browser and loads Python into it"),
    needs("playground/files.json"),
]

ARITHMETIC = """
from microgrud import Value
a = Value(0.1)
b = Value(-2.7)
c = Value(3.3)
d = a * b + c / 7.0
e = (d - b) * d ** 3 - a / c
loss = e * e + 0.3
loss.backward()
"""
FUNCTIONS = "atan cos erf exp lgamma log log1p sigmoid sin softplus sqrt tanh".split()


class Page:
    """The playground in a browser."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser, self.address = browser, address

    def open(self, fragment: str = "") -> None:
        self.browser.get("about:blank")
        self.browser.get(self.address + fragment)

    def find(self, css: str) -> Any:
        return self.browser.find_element("css selector", css)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def until(self, condition: Callable[[], Any], seconds: float = 90.0) -> Any:
        """Wait until a condition holds, and return what it returned."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > end:
                self.browser.switch_to.default_content()
                pytest.fail(" | ".join(self.text(f"#{id}") for id in ("status", "error", "verdict")))
            time.sleep(0.05)
        return found

    def text(self, css: str) -> str:
        return str(self.js("return document.querySelector(arguments[0]).textContent", css))

    @contextlib.contextmanager
    def graph(self) -> Iterator[None]:
        """Enter the frame that shows the graph."""
        self.browser.switch_to.frame(self.find("#graph"))
        try:
            yield
        finally:
            self.browser.switch_to.default_content()

    def run(self, program: str) -> None:
        """Type a program, run it, and wait until it has ended."""
        self.write(program)
        self.find("#run").click()
        self.finish()

    def write(self, program: str) -> None:
        self.js(
            "const s = document.getElementById('source'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))",
            program,
        )

    def finish(self) -> None:
        self.until(lambda: self.js("return document.getElementById('stop').disabled"))

    def table(self) -> dict[str, tuple[float, float]]:
        """Return value and gradient of each node, exactly."""
        rows = self.js(
            "return [...document.querySelectorAll('#table tbody tr')].map(row => [row.querySelector('th').textContent,"
            " ...[...row.querySelectorAll('[data-exact]')].map(cell => cell.dataset.exact)])"
        )
        return {name: (float(data), float(grad)) for name, data, grad in rows}

    def steps(self) -> int:
        return int(self.text("#counts").removeprefix("step "))

    def pause(self) -> int:
        """Pause the training; return the number of steps once the last answer has arrived."""
        self.find("#train").click()
        counts = [-1, self.steps()]
        while len({*counts[-4:]}) > 1:  # the last answer may take a second on a busy machine
            time.sleep(0.5)
            counts.append(self.steps())
        return counts[-1]

    def choose(self, **choices: str) -> None:
        for id, value in choices.items():
            script = "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
            script += " e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change'))"
            self.js(script, id, value)


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """Return the list of requests to other servers."""
    return []


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, asked: list[str]) -> Iterator[Page]:
    """Open the playground, and load Python."""
    with (
        served(SITE) as site,
        proxy(asked) as refusing,
        chromium(tmp_path_factory.mktemp("profile"), proxy=refusing) as browser,
    ):
        found = Page(browser, site + "playground/index.html")
        found.open()
        found.run(ARITHMETIC)
        yield found


@pytest.fixture(autouse=True)
def no_errors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check after each test that the console has no message, and that no other server was asked."""
    yield
    if "page" in request.fixturenames:
        assert request.getfixturevalue("asked") == []
        assert request.getfixturevalue("page").browser.get_log("browser") == []


def here(program: str) -> dict[str, tuple[float, float]]:
    """Return value and gradient of the variables of a program that runs here."""
    names: dict[str, Any] = {}
    exec(program, names)
    return {name: (x.data, x.grad) for name, x in names.items() if isinstance(x, Value)}


def test_arithmetic_has_the_same_bits_as_here(page: Page) -> None:
    page.run(ARITHMETIC)
    there = page.table()
    assert {name: there[name] for name in here(ARITHMETIC)} == here(ARITHMETIC)
    assert len(there) == 13  # 3 leaves and 10 operations


def test_functions_and_their_derivatives_agree_with_the_engine_here_to_4_ulp(page: Page) -> None:
    lines = [f"from microgrud import Value, {', '.join(FUNCTIONS)}"]
    lines += [f"{name}_x = Value(0.7)\n{name}_z = {name}({name}_x)" for name in FUNCTIONS]
    program = "\n".join([*lines, f"loss = {' + '.join(f'{name}_z' for name in FUNCTIONS)}", "loss.backward()"])
    page.run(program)
    there, expected = page.table(), here(program)
    for name in FUNCTIONS:
        (x, slope), (z, one) = there[f"{name}_x"], there[f"{name}_z"]
        assert (x, one) == (0.7, 1.0)
        assert abs(slope - expected[f"{name}_x"][1]) <= 4 * math.ulp(slope), name
        assert abs(z - expected[f"{name}_z"][0]) <= 4 * math.ulp(z), name


def test_the_steps_are_those_of_the_engine_here(page: Page) -> None:
    program = "from microgrud import Value\nx = Value(3.0)\nw = Value(-0.5)\np = w * x\nloss = p * p + x"
    page.run(program)
    names: dict[str, Any] = {}
    exec(program, names)
    for name in ("x", "w", "p", "loss"):
        names[name].label = name
    (square,) = (node for node in names["loss"]._prev if node.label == "")
    square.label = "v1"
    expected = [frame.sentence for frame in backprop_steps(names["loss"])]
    with page.graph():
        page.until(lambda: page.text(".sentence") == expected[-1])
        page.find("button[data-go=first]").click()
        for sentence in expected:
            assert page.text(".sentence") == sentence
            page.find("button[data-go=on]").click()


def test_the_numbers_follow_a_slider_and_return(page: Page) -> None:
    page.run(ARITHMETIC)
    with page.graph():
        page.until(lambda: page.text("output") == "step 11 of 11")  # the picture of this program has arrived
        page.find("button[data-go=first]").click()
        page.find("button[data-go=on]").click()
    page.js(
        "const r = document.querySelector('#sliders input[aria-label=\"b, slider\"]');"
        "r.value = 1.375; r.dispatchEvent(new Event('input'))"
    )
    page.finish()
    moved = float(page.js("return document.querySelector('#sliders input[aria-label=\"b, number\"]').value"))
    assert abs(moved - 1.375) < 0.03  # a slider has 200 places
    changed = ARITHMETIC.replace("-2.7", repr(moved))
    there = page.table()
    assert {name: there[name] for name in here(changed)} == here(changed)
    with page.graph():
        page.until(lambda: f"b: data={moved!r}" in page.js("return document.body.innerHTML"))
        assert page.text("output").startswith("step 1 of ")  # the step stays
    page.find("#restore").click()
    page.finish()
    assert page.table()["b"] == here(ARITHMETIC)["b"]


def test_a_slider_that_causes_an_error_can_be_moved_back(page: Page) -> None:
    page.run("from microgrud import Value, log\nx = Value(1.0)\nloss = log(x)")
    move = "const n = document.querySelector('#sliders input[type=number]'); n.value = arguments[0];"
    move += "n.dispatchEvent(new Event('input'))"
    page.js(move, "-1")
    page.finish()
    assert page.text("#error").startswith("Line 3: ValueError: ")
    page.js(move, "4")
    page.finish()
    assert (page.text("#error"), page.table()["x"]) == ("", (4.0, 0.25))


def test_a_link_restores_its_program_and_does_not_run_it(page: Page) -> None:
    program = 'from microgrud import Value\nx = Value(2.0, label="gr\u00f6\u00dfe \u2207 \U0001f642")\nx * x\n'
    page.write(program)
    page.find("#copy-link").click()
    address = page.until(lambda: page.js("return document.getElementById('link').value"))
    fragment = address.partition("#")[2]
    assert fragment.removeprefix("program=").replace("-", "").replace("_", "").isalnum()
    page.open("#" + fragment)
    page.until(lambda: page.js("return document.getElementById('source').value") == program)
    assert page.table() == {}
    page.find("#run").click()
    page.until(page.table)
    assert page.table()["gr\u00f6\u00dfe \u2207 \U0001f642"] == (2.0, 4.0)
    page.open("#program=%%%")
    assert "the link is damaged" in page.until(lambda: page.text("#error"))


HOSTILE = """
import json, js
from microgrud import Value

touch = "<img src=x onerror=\\"parent.document.title='touched'\\"><script>parent.document.title='touched'</script>"
x = Value(2.0, label=touch)
y = x * x

def reach(what, reached):
    try:
        print(what, "reached", reached())
    except Exception as error:
        print(what, "refused")

def fetched(address):
    request = js.XMLHttpRequest.new()
    request.open("GET", address, False)
    request.send()
    return request.status

reach("the page", lambda: js.document.title)
reach("the storage", lambda: js.indexedDB.open("notebooks"))
reach("the site", lambda: fetched("SITE"))
reach("another server", lambda: fetched("http://example.org/"))
"""
#: HTML in place of the player, as a program can send it by itself. It runs in the frame, and nowhere else.
FORGED = """
player = "<div class=picture><svg viewBox='0 0 9 9'></svg></div><script>document.title = 'forged';"
player += "try { parent.document.title = 'touched' } catch { document.title += ', and refused' }</script>" + touch
answer = {"output": "", "error": None, "rows": [], "leaves": [], "others": [], "nodes": 0, "left_out": 0}
for id in range(9):
    js.postMessage(js.JSON.parse(json.dumps({"id": id, "answer": {**answer, "root": "y", "player": player}})))
"""


def link(program: str) -> str:
    return "#program=" + base64.urlsafe_b64encode(program.encode()).decode().rstrip("=")


def test_a_program_from_a_link_reaches_neither_the_page_nor_storage_nor_servers(page: Page, asked: list[str]) -> None:
    page.open(link(HOSTILE.replace("SITE", page.address)))
    page.until(lambda: "touched" in page.js("return document.getElementById('source').value"))
    page.find("#run").click()
    page.until(page.table)
    refused = [f"{what} refused\n" for what in ("the page", "the storage", "the site", "another server")]
    assert page.text("#output") == "".join(refused)
    with page.graph():
        page.until(lambda: "touched" in page.text("#shown"))  # the label, as text
        assert page.js("return [...document.querySelectorAll('img, script:not(body > *)')].length") == 1  # the player's
    page.open(link(HOSTILE + FORGED))
    page.find("#run").click()
    with page.graph():
        page.until(lambda: page.js("return document.title") == "forged, and refused")
    assert page.browser.title == "microgrud playground"
    assert asked == []
    page.browser.get_log("browser")  # the browser's words about what it refused


def test_a_wide_graph_fits_and_shows_its_root_or_scrolls_with_a_faded_edge(page: Page) -> None:
    widths = "const p = document.querySelector('.picture'), s = p.querySelector('svg').getBoundingClientRect();"
    widths += "return [s.width, p.clientWidth, p.scrollLeft + p.clientWidth, p.style.getPropertyValue('--before')]"
    page.run("from microgrud import Value\nx = y = Value(1.5)\nfor k in range(5):\n    y = y * 0.5\ny.backward()")
    with page.graph():
        page.until(lambda: page.text("#other") == "Natural size")
        width, room, _, before = page.js(widths)
        assert (round(width), before) == (room, "0px")
        page.find("#other").click()
        width, room, *_ = page.js(widths)
        assert width > room
        page.find("#other").click()
    page.run("from microgrud import Value\nx = y = Value(1.5)\nfor k in range(15):\n    y = y * 0.5\ny.backward()")
    with page.graph():
        page.until(lambda: page.text("#other") == "Whole graph")
        width, room, right, before = page.js(widths)
        assert width > room
        assert (round(width), before) == (right, "48px")  # the root is in sight
        assert page.find(".picture").get_attribute("tabindex") == "0"
        page.find("#other").click()
        width, room, *_ = page.js(widths)
        assert round(width) == room
        page.find("#other").click()


def test_an_error_names_its_line_and_leaves_no_stale_numbers_unmarked(page: Page) -> None:
    page.run(ARITHMETIC)
    page.run("from microgrud import Value\nx = Value(0.0)\n\nprint('so far')\ny = x.log()")
    assert page.text("#error").startswith("Line 5: ValueError: ")
    assert page.text("#output") == "so far\n"
    assert page.js("return document.getElementById('table').className") == "stale"
    assert not page.find("#leaves").is_displayed()  # they are another program's
    page.run("x = (1,\ny = 2")
    assert page.text("#error").startswith("Line 1: SyntaxError: ")
    page.run("y = 3")
    assert page.text("#error") == "the program makes no Value; begin with: from microgrud import Value"
    page.run(ARITHMETIC)
    assert page.text("#error") == ""
    assert page.js("return document.getElementById('table').className") == ""


def test_a_chain_of_100_000_nodes_is_differentiated_and_freed(page: Page) -> None:
    page.run("from microgrud import Value\nx = y = Value(1.0)\nfor k in range(100_000):\n    y = y + 1.0\n"
             "y.backward()\nprint(y.data, x.grad)\ndel y\nloss = x * 2.0")  # fmt: skip
    assert page.text("#error") == ""
    assert page.text("#output") == "100001.0 1.0\n"
    assert page.table() == {"x": (1.0, 2.0), "loss": (2.0, 1.0)}
    assert "The program ended with x.grad = 1;" in page.text("#graph-note")


def test_an_endless_program_can_be_stopped_and_another_run(page: Page) -> None:
    page.write("while True:\n    pass")
    page.find("#run").click()
    page.until(lambda: not page.js("return document.getElementById('stop').disabled"))
    time.sleep(0.3)
    page.find("#stop").click()
    page.until(lambda: page.text("#error") == "Stopped. Python starts anew.")
    page.run(ARITHMETIC)
    assert page.table()["loss"] == here(ARITHMETIC)["loss"]


def test_a_network_learns_exclusive_or(page: Page) -> None:
    page.choose(preset="xor", optimizer="adam", rate="-1.3", speed="1000000")
    page.find("#train").click()
    page.until(lambda: page.steps() > 100)
    before = page.pause()
    assert page.text("#verdict").startswith(f"After {before} steps the loss is ")
    assert "4 of 4 points" in page.text("#verdict")
    # The loss of the network in JavaScript is the one that Python computes in the next step.
    loss = page.text("#verdict").partition("the loss is ")[2].partition(";")[0]
    page.find("#step").click()
    page.until(lambda: page.steps() == before + 1)
    assert page.text("#curve-text").endswith(f" {loss} at last.")
    assert float(loss) < 0.1
    assert page.text("#surface-text").startswith("The line is the walk so far.")
    page.find("#reset").click()
    page.until(lambda: page.steps() == 0)


def test_steps_that_are_too_large_end_the_training_with_advice(page: Page) -> None:
    page.choose(preset="halves", optimizer="sgd", activation="relu", rate="1")
    page.js("document.getElementById('rate').max = 400; document.getElementById('rate').value = 300")
    page.find("#train").click()
    page.until(lambda: "Lower the learning rate" in page.text("#verdict"))
    assert page.text("#train") == "Start"
    steps = page.steps()
    words = f"After {steps} step{'s' * (steps != 1)} the loss is not a number: the learning rate was too high."
    assert page.text("#verdict").startswith(words)
    assert "nan" not in page.text("#curve-text").lower()
    assert page.text("#surface-text") == "is not drawn."
    page.find("#step").click()
    time.sleep(1)
    assert (page.steps(), page.text("#verdict").startswith(words)) == (steps, True)
    page.find("#reset").click()
    page.until(lambda: page.steps() == 0 and not page.text("#verdict").startswith(words))
    page.js("document.getElementById('rate').max = 1")
    page.choose(rate="-0.5", activation="tanh")


def test_points_can_be_set_by_keyboard_and_by_clicks(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.choose(preset="empty")
    plane = page.find("#plane")
    plane.send_keys(Keys.ARROW_RIGHT * 3, Keys.ARROW_UP, "1")
    assert page.text("#plane-says") == "Point of class 1, a circle, at 0.15, 0.05. 1 point."
    plane.send_keys(Keys.ARROW_LEFT * 5, "2")
    assert page.text("#plane-says") == "Point of class 2, a square, at -0.10, 0.05. 2 points."
    plane.send_keys(Keys.DELETE)
    assert page.text("#plane-says") == "Removed a point of class 2, a square. 1 point."
    plane.click()  # in the middle
    assert page.text("#plane-says") == "Point of class 1, a circle, at 0.00, 0.00. 2 points."
    page.find("#step").click()
    page.until(lambda: page.steps() == 1)


def test_the_page_fits_a_telephone_and_takes_the_theme_of_the_site(page: Page) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.js("localStorage.setItem('theme', 'dark')")
    page.open()
    page.run(ARITHMETIC)
    assert page.js("return document.documentElement.scrollWidth") <= 390
    with page.graph():
        page.until(lambda: page.text("#other") == "Whole graph")
        right = "const p = document.querySelector('.picture'); return p.scrollWidth - p.clientWidth - p.scrollLeft"
        page.until(lambda: abs(page.js(right)) <= 1)  # the root is in sight
    assert page.js("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"
    page.js("localStorage.removeItem('theme')")
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    unnamed = (
        "return [...document.querySelectorAll('input, select, textarea, button')].filter(e => !e.textContent.trim()"
    )
    unnamed += " && !e.getAttribute('aria-label') && !(e.labels && e.labels.length)).map(e => e.outerHTML)"
    assert page.js(unnamed) == []


def test_requests_to_other_servers_are_noticed(page: Page, asked: list[str]) -> None:
    script = "fetch('http://example.org/').catch(() => 0).finally(arguments[0])"
    page.browser.get(page.address.removesuffix("playground/index.html"))  # a page without a policy of its own
    page.browser.execute_async_script(script)
    assert asked == ["http://example.org/"]
    asked.clear()
    page.browser.get_log("browser")


def test_opened_as_a_file_the_page_says_that_it_needs_a_server(page: Page) -> None:
    page.browser.get((SITE / "playground" / "index.html").as_uri())
    assert "python -m http.server" in page.find("#needs-server").text
    assert not page.find("main").is_displayed()
    page.browser.get_log("browser")  # the browser's own words about modules in files
