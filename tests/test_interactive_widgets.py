"""`tangent` and `descent`: the numbers are the engine's, in the picture without scripts and in a real browser."""

from __future__ import annotations

import html
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_interactive_edges import picky
from test_player import browser as browser, extent, seen_as

from microgrud import Value, log, silu, sqrt, xlogy
from microgrud.interactive import ProgramError, descent, tangent
from microgrud.interactive.heatmap import contour
from microgrud.interactive.page import source
from microgrud.interactive.program import javascript
from microgrud.losses import squared_error
from microgrud.optim import SGD

XS, YS = [-2.0, -1.0, 0.0, 1.0, 2.0], [-2.1, -0.4, 0.9, 2.6, 4.1]


def line_loss(w: Any, b: Any) -> Any:
    return squared_error([w * x + b for x in XS], YS)


def valley(w: Any) -> Any:
    return w * w * w * w / 4.0 - w * w * w / 3.0 - w * w + 2.0


def by_sgd(f: Any, start: tuple[float, ...], lr: float, momentum: float, steps: int) -> list[tuple[float, ...]]:
    """Return the walk by the loop that a reader writes."""
    parameters = [Value(x) for x in start]
    optimizer = SGD(parameters, lr=lr, momentum=momentum)
    positions = [start]
    for _ in range(steps):
        optimizer.zero_grad()
        f(*parameters).backward()
        optimizer.step()
        positions.append(tuple([p.data for p in parameters]))
    return positions


WALKS = [
    (valley, (2.9,), 0.05, 0.0),
    (valley, (2.9,), 0.02, 0.9),
    (line_loss, (-2.0, -3.0), 0.1, 0.0),
    (line_loss, (-2.0, -3.0), 0.03, 0.8),
    (lambda x, y: (x * x + y - 11.0) ** 2 + (x + y * y - 7.0) ** 2, (0.5, -1.0), 0.01, 0.5),
]


@pytest.mark.parametrize(("f", "start", "lr", "momentum"), WALKS)
def test_the_walk_is_that_of_sgd_to_the_bit(f: Any, start: tuple[float, ...], lr: float, momentum: float) -> None:
    (found,) = descent(f, start, lr=lr, momentum=momentum, steps=40).walks
    assert found.positions == by_sgd(f, start, lr, momentum, 40)
    assert found.losses == [f(*map(Value, place)).data for place in found.positions]


def test_a_list_of_starts_and_of_rates_gives_a_walk_for_each_pair() -> None:
    found = descent(valley, start=[-1.9, 2.9], lr=[0.01, 0.05], steps=5).walks
    assert [(w.start, w.lr) for w in found] == [((-1.9,), 0.01), ((2.9,), 0.01), ((-1.9,), 0.05), ((2.9,), 0.05)]


def test_words_say_where_walks_end() -> None:
    # The exact powers of two make the numbers exact: each step multiplies x by 1 - 2 lr.
    words = str(descent(lambda x: x * x, 1.0, lr=[0.25, 1.0, 1.5, 1e200], steps=4)).splitlines()
    assert words == [
        "rate 0.25: step 4, at 0.0625, loss 0.003906, down from 1.",
        "rate 1: step 4, at 1, loss 1, as at the start.",
        "rate 1.5: step 4, at 16, loss 256, outside of the picture, up from 1. The walk diverges.",
        "rate 1e+200: at step 1 the loss is too large for a number. The walk diverges.",
    ]
    assert str(descent(lambda x: x + log(x), 1.0, lr=1.0, steps=4, low=0.1, high=2.0)) == (
        "rate 1: at step 1 the loss has no value. The walk ends."
    )


def test_a_walk_to_a_place_without_a_finite_slope_says_so() -> None:
    assert str(descent(lambda x: x**0.5, 1.0, lr=2.0, steps=3)) == (
        "rate 2: at step 1 the loss has no finite slope. The walk ends."
    )
    with pytest.raises(ValueError, match=r"start: expected a point where f has a finite gradient, got \(0.0,\)"):
        descent(lambda x: x**0.5, 0.0)


def test_no_coordinate_is_infinite_or_nan_where_a_walk_diverges() -> None:
    shown = descent(lambda x: x * x, 1.0, lr=[0.1, 40.0, 1e200], steps=300).html()
    drawing = "".join(re.findall(r"<svg.*?</svg>", shown, re.DOTALL)).lower()
    assert not re.findall("nan|inf|e[+]", re.sub(r">[^<]*<", "><", drawing))


def test_a_tangent_has_the_slope_of_backward_and_a_secant_that_of_the_nudge() -> None:
    x = Value(1.5)
    valley(x).backward()
    found = tangent(valley, at=1.5, nudge=0.25)
    assert (found.value, found.slope) == (valley(Value(1.5)).data, x.grad)
    assert found.secant == (valley(Value(1.75)).data - found.value) / 0.25
    assert (
        str(found).splitlines()[0] == "At w = 1.5, valley(w) = \u22120.109375. The tangent has the slope \u22121.875."
    )


def test_a_steep_tangent_passes_through_its_point() -> None:
    found = tangent(log, at=0.01, low=0.001, high=3.0)
    shown = found.html()
    (outline,) = re.findall(r'data-of="tangent" d="M([^"]*)"', shown)
    (a, b), (c, d) = (map(float, place.split()) for place in outline.split("L"))
    x, y = map(float, re.findall(r'data-of="point" transform="translate\(([^)]*)\)', shown)[0].split())
    assert abs((c - a) * (y - b) - (d - b) * (x - a)) / math.hypot(c - a, d - b) < 0.2


def test_a_graph_has_a_gap_where_the_function_has_no_value() -> None:
    shown = tangent(lambda x: log(x * x - 1.0), at=2.0, low=-3.0, high=3.0)._repr_html_()
    (curve,) = re.findall(r'class="curve" d="([^"]*)"', shown)
    assert curve.count("M") == 2


def test_contour_lines_of_a_cone_are_circles_and_end_at_the_border() -> None:
    rows = [[math.hypot(i - 10.0, j - 10.0) for i in range(21)] for j in range(21)]
    (circle,) = contour(rows, 5.0)
    assert circle[0] == circle[-1]
    assert len(circle) > 30
    assert all(abs(math.hypot(x - 10.0, y - 10.0) - 5.0) < 0.05 for x, y in circle)
    assert len(contour(rows, 11.0)) == 4  # an arc in each corner
    rows[10][10] = math.nan
    assert len(contour(rows, 5.0)) == 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tangent(3.0), TypeError, "f: expected a function"),
        (lambda: tangent(valley, nudge=0.0), ValueError, "nudge: expected a number other than 0"),
        (lambda: tangent(valley, at=math.nan), ValueError, "tangent: at: expected a finite number .*, got nan"),
        (lambda: tangent(valley, at=5.0, low=0.0, high=1.0), ValueError, "expected low <= at <= high"),
        (lambda: tangent(lambda x: x.data), ProgramError, r"\.data of a Value"),
        (lambda: tangent(log, at=-1.0), ValueError, "log"),
        (lambda: descent(valley, (1.0, 2.0)), TypeError, "a tuple is one start, and a list is several"),
        (lambda: descent(valley, [1.0] * 7), ValueError, "expected 1 to 6 walks"),
        (lambda: descent(valley, 1.0, lr=-0.1), ValueError, "lr: expected a finite number x >= 0"),
        (lambda: descent(valley, 1.0, momentum=-1.0), ValueError, "momentum: expected a finite number"),
        (lambda: descent(valley, 1.0, steps=0), ValueError, "steps: expected an integer of at least 1"),
        (lambda: descent(valley, 1.0, steps=5000), ValueError, "steps: expected at most 1,000"),
        (lambda: descent(valley, 1.0, low=0.0), ValueError, "expected both low and high, or neither"),
        (lambda: descent(line_loss, (1.0, 1.0), low=(0.0, 0.0), high=(1.0, 0.0)), ValueError, "expected low < high"),
        (lambda: descent(lambda x, y, z: x, (1.0, 2.0, 3.0)), ValueError, "expected a number, a pair of numbers"),
        (lambda: descent(log, -1.0), ValueError, "expected a point where f has a finite value, got"),
        (lambda: tangent(valley).save("slope.svg"), ValueError, r"expected a name that ends in \.html or \.htm"),
    ],
)
def test_invalid_arguments_are_errors_that_say_what_to_write(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_notebooks_get_html_and_words_and_pages_need_nothing_else(tmp_path: Path) -> None:
    shown = descent(line_loss, (-2.0, -3.0))
    bundle = shown._repr_mimebundle_()
    assert bundle == {"text/plain": repr(shown), "text/html": shown.html()}
    shown.save(tmp_path / "descent.html")
    page = (tmp_path / "descent.html").read_text(encoding="utf-8")
    assert shown.html() in page
    assert not re.findall(r'(?:src|href)="(?!data:)|http', page)


def test_widgets_need_no_numpy() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from microgrud.interactive import descent, tangent\n"
        "print(len(descent(lambda x, y: x * x + y, (1.0, 2.0)).html()) > 1000, tangent(lambda x: x * x))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.startswith("True At x = 1"), result.stderr


# --- in a browser ---


def words_of(widget: Any) -> list[str]:
    return [line.text for line in widget.find_elements("css selector", ".words span")]


def press(widget: Any, name: str, key: str, times: int) -> None:
    from selenium.webdriver.common.keys import Keys

    widget.find_element("css selector", f"input[data-of={name}]").send_keys(getattr(Keys, key) * times)


#: The outlines and places of everything that moves.
MOVING = """
    return [...document.querySelectorAll(".plot [data-line], .plot [data-dots], .plot [data-ball], .plot [data-of]")]
        .map(path => [path.getAttribute("d"), path.getAttribute("transform")])
"""


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Return a function that opens widgets in one page of the browser; there must be no error in its console."""

    def open_page(*widgets: Any) -> Any:
        (tmp_path / "page.html").write_text(
            '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">' + "".join(w.html() for w in widgets),
            encoding="utf-8",
        )
        browser.get((tmp_path / "page.html").as_uri())
        return browser

    yield open_page
    assert browser.get_log("browser") == []


@pytest.mark.parametrize(
    "shown",
    [
        tangent(valley, at=1.5, nudge=0.3, low=-2.0, high=3.0),
        tangent(lambda x: log(x), at=0.5, nudge=-0.7, low=0.1, high=2.0),
        tangent(lambda x: log(x), at=0.01, low=0.001, high=3.0),
        descent(valley, [-1.9, 0.1, 2.9], lr=0.05),
        descent(valley, 2.9, lr=[0.01, 0.1, 0.4], momentum=0.3, steps=25),
        descent(line_loss, [(-2.0, -3.0), (3.0, 4.0)], lr=[0.1, 0.51]),
        descent(lambda x: x * x, 1.0, lr=[0.1, 40.0, 1e200], steps=300),
        tangent(lambda x: 0.0 * x, at=0.0, nudge=-0.001),  # a change of 0, divided by a negative nudge
        tangent(lambda x: 1e249 * x * x, at=1.0),
        tangent(sqrt, at=0.0),
        descent(lambda x: x, [1e10, 1e240], momentum=1e300, steps=5),
        descent(lambda x: 1e-310 * x * x, 1.0, lr=1e308, momentum=1.0, steps=5),
        descent(lambda x: xlogy(silu(x), silu(x)), 1.1, lr=1e10, steps=6),  # its slope branches, and is infinite there
        descent(picky, [1.5, 4.0], lr=[0.4, 3.0], steps=5),
        tangent(picky, at=0.8, low=0.2),
    ],
)
def test_the_page_begins_with_the_picture_and_the_words_without_scripts(opened: Any, shown: Any) -> None:
    page = opened(shown)
    assert words_of(page) == repr(shown).splitlines()
    drawn = re.findall(r'<path (?=[^>]*data-(?:line|dots|ball|of)=)[^>]* d="([^"]*)"', shown.html())
    places = re.findall(r'<path (?=[^>]*data-(?:ball|of)=)[^>]*transform="([^"]*)"', shown.html())
    moving = page.execute_script(MOVING)
    assert [d for d, _ in moving] == drawn
    assert [place for _, place in moving if place] == places
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize(("f", "start", "lr", "momentum"), WALKS[:4])
def test_a_walk_in_the_page_is_that_of_sgd_to_the_bit(
    browser: Any, f: Any, start: tuple[float, ...], lr: float, momentum: float
) -> None:
    settings = descent(f, start, lr=0.01, steps=40)._settings()
    browser.get("about:blank")
    script = javascript() + source("live.js") + source("descent.js") + "return walk(...arguments).positions.map(String)"
    found = browser.execute_script(script, settings["paths"], start, lr, momentum, 40)
    assert [tuple(map(float, place.split(","))) for place in found] == by_sgd(f, start, lr, momentum, 40)


def test_sliders_change_rate_and_momentum_and_the_walk_follows(opened: Any) -> None:
    page = opened(descent(valley, 2.9, lr=0.05, steps=40))
    press(page, "rate0", "ARROW_LEFT", 3)
    press(page, "momentum", "ARROW_RIGHT", 10)
    outputs = [output.text for output in page.find_elements("css selector", "output")]
    assert outputs == ["40 of 40", "0.025", "0.5"]
    assert words_of(page) == repr(descent(valley, 2.9, lr=0.025, momentum=0.5, steps=40)).splitlines()
    slider = page.find_element("css selector", "input[data-of=rate0]")
    assert slider.get_attribute("aria-valuetext") == "0.025"


def test_play_walks_to_the_end_by_itself_pauses_and_nothing_moves_unasked(opened: Any) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    page = opened(descent(valley, 2.9, lr=0.05, steps=100))
    button, output = page.find_element("css selector", "button"), page.find_element("css selector", "output")
    assert (button.text, output.text) == ("play", "100 of 100")
    button.click()
    WebDriverWait(page, 5.0, 0.05).until(lambda _: 3 <= int(output.text.split()[0]) < 100)
    button.click()
    assert button.text == "play"
    stopped = output.text
    page.execute_async_script("setTimeout(arguments[0], 200)")
    assert output.text == stopped
    press(page, "step", "HOME", 1)
    assert words_of(page)[0].startswith("rate 0.05: step 0, at 2.9, loss")
    press(page, "step", "END", 1)
    press(page, "step", "ARROW_LEFT", 2)
    button.click()
    WebDriverWait(page, 5.0, 0.05).until(lambda _: output.text == "100 of 100" and button.text == "play")


def test_the_secant_becomes_the_tangent_and_a_step_goes_downhill(opened: Any) -> None:
    page = opened(tangent(valley, at=1.5, nudge=1.0, low=-2.0, high=3.0))
    press(page, "nudge", "HOME", 1)
    slope, secant = (re.findall(r"(\S+) is the slope of the secant|slope (\S+)\.$", line) for line in words_of(page))
    tangent_slope, secant_slope = slope[0][1], secant[0][0]
    number = float(secant_slope.replace("\u2212", "-"))
    assert float(tangent_slope.replace("\u2212", "-")) == -1.875
    assert abs(number + 1.875) < 1e-4
    lines = {d for (d, _), name in zip(page.execute_script(MOVING), ("secant", "tangent", "", ""), strict=True) if name}
    assert len(lines) == 1  # on the screen they are the same
    page.find_element("css selector", "button").click()
    assert words_of(page)[0].startswith("At w = 1.6875, valley(w) =")
    press(page, "x", "HOME", 1)
    page.find_element("css selector", "button").click()
    assert words_of(page)[0].startswith("At w = \u22121.2, valley(w) =")


def test_a_point_is_dragged_along_the_curve(opened: Any) -> None:
    from selenium.webdriver import ActionChains

    page = opened(tangent(valley, at=1.5, low=-2.0, high=3.0))
    plot = page.find_element("css selector", ".plot")
    ActionChains(page).move_to_element(plot).click_and_hold().move_by_offset(-60, 5).release().perform()
    place = float(re.findall(r"At w = (\S+),", words_of(page)[0])[0].replace("\u2212", "-"))
    assert -1.0 < place < 0.5
    ActionChains(page).move_by_offset(90, 0).perform()
    assert f"At w = {place}".replace("-", "\u2212") in words_of(page)[0]


def test_a_point_without_a_value_is_said_and_not_drawn(opened: Any) -> None:
    page = opened(tangent(lambda x: log(x), at=0.5, nudge=0.1, low=-1.0, high=2.0))
    press(page, "x", "HOME", 1)
    assert words_of(page) == ["At x = \u22121, f has no value: log(-1) is not defined.", ""]
    hidden = "return [...document.querySelectorAll('.ball')].map(ball => ball.getAttribute('display'))"
    assert page.execute_script(hidden) == ["none", "none"]


def test_widgets_on_one_page_move_by_themselves_also_twins(opened: Any) -> None:
    page = opened(*[descent(valley, 2.9, steps=20)] * 2, tangent(valley), tangent(lambda x: x * x))
    widgets = page.find_elements("css selector", ".microgrud-live")
    before = list(map(words_of, widgets))
    press(widgets[1], "step", "HOME", 1)
    press(widgets[3], "x", "HOME", 1)
    after = list(map(words_of, widgets))
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True, False]


def test_a_notebook_that_runs_the_script_elsewhere_and_twice_starts_the_widget_once(browser: Any) -> None:
    browser.get("about:blank")
    again = """
        document.body.innerHTML = arguments[0];
        for (let k = 0; k < 2; k++) {
          const script = document.createElement("script");
          script.text = document.querySelector("section script").textContent;
          document.head.appendChild(script);
        }
    """
    browser.execute_script(again, tangent(valley, at=1.0, low=-2.0, high=3.0).html())
    browser.find_element("css selector", "button").click()
    assert words_of(browser)[0].startswith("At w = 1.2, valley(w) =")


def test_a_notebook_does_not_see_the_keys_of_sliders_but_its_own(opened: Any) -> None:
    page = opened(tangent(valley))
    page.execute_script("window.seen = []; document.addEventListener('keydown', event => seen.push(event.key))")
    press(page, "nudge", "ARROW_LEFT", 1)
    press(page, "nudge", "ESCAPE", 1)
    assert page.execute_script("return window.seen") == ["Escape"]


@pytest.mark.parametrize("theme", ["", 'data-theme="dark"', 'data-jp-theme-light="false"', 'class="vscode-dark"'])
def test_colours_follow_the_theme_and_a_narrow_page_does_not_scroll_sideways(
    browser: Any, theme: str, tmp_path: Path
) -> None:
    shown = descent(line_loss, (-2.0, -3.0), lr=[0.005, 0.1, 0.55])
    page = f'<!doctype html><meta charset="utf-8"><body {theme}>{shown.html()}{tangent(valley).html()}</body>'
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    with seen_as(browser, 390):
        browser.get((tmp_path / "page.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert extent(browser, ".plot")[1] <= 390
        colour = browser.execute_script(
            "return getComputedStyle(document.querySelector('.microgrud-live')).backgroundColor"
        )
        assert colour == ("rgb(20, 24, 29)" if theme else "rgb(255, 255, 255)")
        sizes = "return [...document.querySelectorAll('.plot text')].map(t => t.getBoundingClientRect().height)"
        assert min(size for size in browser.execute_script(sizes) if size) >= 11.0


def test_without_scripts_controls_are_hidden_and_the_words_remain(tmp_path: Path) -> None:
    for shown in (tangent(valley), descent(valley, 2.9)):
        page = re.sub(r"<script>.*</script>", "", shown.html(), flags=re.DOTALL)
        assert '<div class="controls" hidden>' in page
        assert all(html.escape(line) in page for line in repr(shown).splitlines())
