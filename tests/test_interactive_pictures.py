"""Pictures without matplotlib: learning curves, axes and words of all pictures, and their player in a real browser."""

from __future__ import annotations

import math
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from chromium import chromium
from svgs import SVG, XS, YS, paths, trained

from microgrud.interactive import curves, regions, residuals
from microgrud.interactive.charts import Axis, axis_of
from microgrud.losses import squared_error
from microgrud.nn import MLP

# --- curves ---


def test_curves_differ_in_dashes_and_carry_their_names() -> None:
    picture = curves({f"run {k}": [3.0, 2.0 + k, 1.0 + k] for k in range(6)}).svg()
    root = ElementTree.fromstring(picture)
    dashes = [path.get("stroke-dasharray") for path in root.iter(f"{SVG}path") if path.get("stroke-width") == "2.2"]
    assert len(set(dashes)) == 6
    names = {text.text: float(text.attrib["y"]) for text in root.iter(f"{SVG}text") if str(text.text).startswith("run")}
    assert set(names) == {f"run {k}" for k in range(6)}
    assert all(b - a > 14.0 for a, b in pairwise(sorted(names.values())))


def test_the_lowest_validation_loss_is_marked_where_it_is() -> None:
    picture = curves({"train": [4.0, 2.0, 1.0, 0.5], "validation": [4.0, 2.0, None, 3.0]}, scale="linear")
    assert picture.lowest("validation") == (2, 2.0)
    assert str(picture) == "loss; train: 4 to 0.5; validation: 4 to 3, lowest 2 at epoch 2 of 4"
    (inside,) = ElementTree.fromstring(picture.svg()).findall(f"{SVG}svg")
    left, width = float(inside.attrib["x"]), float(inside.attrib["width"])
    ((x, _),) = re.findall(r'stroke-width="2" d="M(\S+) (\S+?)m', picture.svg().split('<g transform="')[0])
    assert float(x) == pytest.approx(left + width / 3, abs=0.1)
    assert "lowest validation: epoch 2" in picture.svg()
    gaps = [path.attrib["d"].count("M") for path in inside.iter(f"{SVG}path")]
    assert gaps == [1, 2]  # nothing was measured in the third epoch


def test_a_history_gives_its_epochs_or_else_its_steps() -> None:
    pytest.importorskip("numpy")
    from microgrud.train import History, fit

    X, y = [[x / 10] for x in range(20)], [x / 5 for x in range(20)]
    history = fit(MLP(1, [1], rng=0), X, y, loss=squared_error, lr=0.05, epochs=5, validation=0.5, progress=False)
    picture = curves(history)
    assert picture.series == {
        "train": [record.loss for record in history.epochs],
        "validation": [record.validation_loss for record in history.epochs],
    }
    assert picture.marked == "validation"
    begun = History()
    for loss in (1.0, 0.5):
        begun.add_step(epoch=1, loss=loss, metric=None, learning_rate=0.1, gradient_norm=2.0)
    assert curves(begun).series == {"train": [1.0, 0.5]}
    assert ">step</text>" in curves(begun).svg()


def test_the_scale_is_logarithmic_where_it_shows_more() -> None:
    for losses, log in (([1.0, 5.0], False), ([1.0, 0.05], True), ([1.0, 0.0], False), ([1.0, -5.0], False)):
        assert ("logarithmic" in curves(losses).svg()) == log
    words = str(curves([1.0, 0.0, math.inf], scale="log"))
    assert words == "loss; loss: 1 to inf (2 numbers not drawn)"


# --- all of them ---


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: residuals(3.0, XS, YS), TypeError, "^residuals: the model: expected a sequence of functions, or one"),
        (lambda: residuals([], XS, YS), ValueError, "^residuals: expected at least one state of a model"),
        (lambda: residuals(abs, XS, YS[:2]), ValueError, "^residuals: expected as many ys .* got 3 xs and 2 ys$"),
        (lambda: residuals(abs, [math.nan], [0.0]), ValueError, "^residuals: xs: expected a finite number, got nan$"),
        (lambda: residuals(lambda x: [x, x], [1.0], [0.0]), ValueError, "model of one output, got 2 outputs at x = 1$"),
        (lambda: residuals(str, [1.0], [0.0]), TypeError, "^residuals: the result of the model: expected"),
        (lambda: residuals([abs], XS, YS).record(), TypeError, "^residuals: record: expected a picture of one model"),
        (lambda: trained().record(1), ValueError, "^residuals: record: step: expected a number above the last one, 2"),
        (lambda: trained().svg(3), IndexError, "range"),
        (lambda: trained().save("residuals.png"), ValueError, "^save: path: expected a name that ends in .svg, .html"),
        (lambda: curves({}), ValueError, "^curves: series: expected at least one curve"),
        (lambda: curves([math.nan]), ValueError, "^curves: expected at least one finite number"),
        (lambda: curves([1.0], scale="loud"), ValueError, "^curves: scale: expected one of 'auto', 'linear', 'log'"),
        (lambda: curves([-1.0], scale="log"), ValueError, "^curves: scale: .* no number is positive, got 'log'$"),
        (lambda: curves([1.0], marked="test"), ValueError, "^curves: marked: expected one of 'loss', got 'test'$"),
        (lambda: curves({"train": "abc"}), TypeError, "^curves: train: expected a sequence of numbers, got 'abc'$"),
        (lambda: regions(sum, [(1.0,)], [0]), ValueError, "^regions: points: expected pairs of numbers, got one of 1"),
        (lambda: regions(sum, [(1.0, 2.0)], [0.5]), ValueError, "^regions: labels: expected whole numbers"),
        (lambda: regions(sum, [(1.0, 2.0)], ["b"]), TypeError, r"labels: expected whole .* names.index\(label"),
        (lambda: regions(sum, [(1.0, 2.0)] * 2, [-1, 0]), ValueError, "classes 0 and 1, or -1 and 1, .* got -1, 0;"),
        (lambda: regions(sum, [(1.0, 2.0)], [2]), ValueError, "^regions: labels: expected the classes 0 and 1"),
        (lambda: regions(sum, [(1.0, 2.0)], [0, 1]), ValueError, "got 1 point and 2 labels$"),
        (lambda: regions(list, [(1.0, 2.0)], [2]), ValueError, "^regions: labels: expected classes from 0 to 1, got 2"),
        (lambda: regions(sum, [(1.0, 2.0)], [0], resolution=1), ValueError, "^regions: resolution: expected"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(call: Callable[[], object], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_ticks_are_round_and_within_the_axis() -> None:
    rng = random.Random(0)
    for _ in range(300):
        low = rng.choice([0.0, -1.0, 1.0]) * 10 ** rng.uniform(-6, 6)
        axis = axis_of([low, low + 10 ** rng.uniform(-6, 6)]).moved(0.0, 300.0)
        places = [place for place, _ in axis.ticks()]
        assert 2 <= len(places) <= 9
        assert all(-0.01 <= place <= 300.01 for place in places)
        assert len({words for _, words in axis.ticks()}) == len(places) or axis.high - axis.low < 1e-4 * abs(low)
    assert [words for _, words in Axis(1.0, 3.0, 0.0, 1.0, whole=True).ticks()] == ["1", "2", "3"]
    assert [words for _, words in Axis(2.0, 9.0, 0.0, 1.0, log=True).ticks()] == ["2", "3", "5"]


def test_pictures_need_no_numpy_and_no_matplotlib(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(numpy=None, matplotlib=None)\n"
        "from microgrud.interactive import curves, regions, residuals; from microgrud.nn import MLP\n"
        "residuals(MLP(1, [2, 1]), [1.0, 2.0], [0.0, 1.0]).save('a.html')\n"
        "curves({'train': [2.0, 1.0]}).save('b.svg'); regions(MLP(2, [1]), [(0, 1), (1, 0)], [0, 1]).save('c.svg')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env={"PYTHONPATH": ":".join(sys.path)})
    for name in ("b.svg", "c.svg"):
        ElementTree.parse(tmp_path / name)


def test_words_are_escaped_and_no_other_file_is_asked_for() -> None:
    pictures = [
        residuals(abs, XS, YS, xlabel="<b>&"),
        curves({"<b>&": [1.0, 2.0]}, ylabel="<i>"),
        regions(sum, [(0, 1), (1, 0)], [0, 1], xlabel="<b>&"),
    ]
    for picture in pictures:
        assert "<b>" not in picture.svg()
        assert "&lt;b&gt;&amp;" in picture.svg()
        assert set(re.findall(r'https?://[^"\s<]+', picture.html())) == {"http://www.w3.org/2000/svg"}
        assert not re.findall(r"\bid=", picture.html())
        assert picture._repr_html_() == picture.html()
    assert "<script" not in pictures[1].html()


# --- the browser ---


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile"), 500, 700) as found:
        yield found


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Any:
    """Open the player of three states in the browser."""
    trained().save(tmp_path / "residuals.html")
    browser.get((tmp_path / "residuals.html").as_uri())
    yield browser
    assert browser.get_log("browser") == []


def shown(page: Any) -> tuple[str, list[str]]:
    """Return the sentence, and the outlines that the player has set."""
    slots = page.execute_script("return [...document.querySelectorAll('[data-slot]')].map(e => e.getAttribute('d'))")
    return page.find_element("css selector", ".sentence").text, slots


def test_the_player_shows_each_state_by_keys_buttons_and_slider(page: Any) -> None:
    picture, lines = trained(), str(trained()).splitlines()
    expected = [(lines[k], [*paths(picture.svg(k), "c1"), *paths(picture.svg(k), "c0")]) for k in range(3)]
    places = [  # the outlines of a state without a title are higher up by its height
        [[float(y) for y in re.findall(r" ([\d.]+)", "".join(outlines))] for _, outlines in (state,)]
        for state in expected
    ]

    def check(state: int) -> None:
        sentence, outlines = shown(page)
        found = [float(y) for y in re.findall(r" ([\d.]+)", "".join(outlines))]
        assert sentence == lines[state]
        assert {round(a - b, 1) for a, b in zip(places[state][0], found)} == {24.0}
        assert page.find_element("css selector", "svg").get_attribute("aria-label") == sentence

    section = page.find_element("css selector", "section")
    check(0)
    for key, state in (("\ue014", 1), ("\ue014", 2), ("\ue014", 2), ("\ue012", 1), ("\ue011", 0), ("\ue010", 2)):
        section.send_keys(key)
        check(state)
    back = page.find_element("css selector", "[data-go=back]")
    back.click()
    back.click()
    back.click()  # the button keeps the keyboard at the end
    check(0)
    assert page.execute_script("return document.activeElement === arguments[0]", back)
    page.find_element("css selector", "input").send_keys("\ue014")
    check(1)
    page.execute_script("window.was = []; new MutationObserver(() => was.push(1)).observe(arguments[0], "
                        "{childList: true})", page.find_element("css selector", ".sentence"))  # fmt: skip
    section.send_keys("\ue011 ")
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page, 10).until(lambda _: shown(page)[0] == lines[2])
    assert page.execute_script("return was.length") == 3
    assert page.find_element("css selector", "[data-go=play]").text == "play"


def test_lines_grow_and_shrink_as_the_player_of_a_race_goes_forth_and_back(browser: Any, tmp_path: Path) -> None:
    plot, optim = pytest.importorskip("microgrud.plot"), pytest.importorskip("microgrud.optim")
    rates = {name: (lambda p, lr=lr: optim.SGD(p, lr=lr)) for name, lr in (("slow", 0.01), ("fast", 0.04))}
    player = plot.race(plot.ravine, (2.0, 1.0), rates, steps=3, points=5).animate()
    player.save(tmp_path / "race.html")
    browser.get((tmp_path / "race.html").as_uri())
    section, lines = browser.find_element("css selector", "section"), str(player).splitlines()
    for key, step in (("\ue014", 1), ("\ue014", 2), ("\ue012", 1), ("\ue010", 3)):
        section.send_keys(key)
        sentence, outlines = shown(browser)
        assert sentence == lines[step]
        assert [outline.count("L") for outline in outlines[::2]] == [step] * 4
    assert browser.get_log("browser") == []


def test_the_names_of_curves_end_inside_the_picture(browser: Any, tmp_path: Path) -> None:
    names = ["plain", "momentum", "Adam"]
    curves({name: [3.0, 2.0, k] for k, name in enumerate(names)}).save(tmp_path / "curves.html")
    browser.get((tmp_path / "curves.html").as_uri())
    *ends, edge = browser.execute_script(
        "return [...[...document.querySelectorAll('svg text')].filter(t => arguments[0].includes(t.textContent)), "
        "document.querySelector('svg')].map(x => x.getBoundingClientRect().right)", names
    )  # fmt: skip
    assert len(ends) == 3
    assert max(ends) <= edge


def test_colours_follow_the_system_and_the_switch_of_the_page_and_nothing_is_wider_than_a_phone(page: Any) -> None:
    read = "return getComputedStyle(document.querySelector('section')).backgroundColor"
    ink = "return getComputedStyle(document.querySelector('svg text')).fill"
    light, dark = ("rgb(255, 255, 255)", "rgb(31, 35, 40)"), ("rgb(20, 24, 29)", "rgb(230, 237, 243)")

    def colours() -> tuple[str, str]:
        return page.execute_script(read), page.execute_script(ink)

    for scheme, own, other in (("light", light, "dark"), ("dark", dark, "light")):
        page.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        assert colours() == own
        for attribute, value in (("data-theme", other), ("data-jp-theme-light", str(other == "light").lower())):
            page.execute_script("document.body.setAttribute(arguments[0], arguments[1])", attribute, value)
            assert colours() == (light if other == "light" else dark)
            page.execute_script("document.body.removeAttribute(arguments[0])", attribute)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    )
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    heights = page.execute_script("return [...document.querySelectorAll('svg text')].map(t => "
                                  "t.getBoundingClientRect().height)")  # fmt: skip
    assert min(heights) > 12.0
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
