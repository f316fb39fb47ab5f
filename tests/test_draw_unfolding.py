"""Folded boxes open in place by a click or by a key, in a saved page, and texts fit their boxes in any font."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import random
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_player import browser  # noqa: F401

import microgrud as mg
from microgrud import Value, mean
from microgrud.draw import Drawing, backprop_steps, draw
from microgrud.nn import MLP


def network() -> tuple[Value, MLP]:
    model = MLP(2, [8, 1], activation="tanh", rng=random.Random(0))
    points = [(0.0, 0.0, -1.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, -1.0)]
    loss = mean([(model([x, y]) - target) ** 2 for x, y, target in points])
    loss.backward()
    return loss, model


def states(drawing: Drawing) -> list[dict[str, Any]]:
    packed = re.search(r'data-states="([^"]*)"', drawing.html())
    assert packed is not None
    found: list[dict[str, Any]] = json.loads(zlib.decompress(base64.b64decode(packed[1])))
    return found


def test_each_box_opens_into_its_parts_and_those_into_nodes() -> None:
    loss, _ = network()
    found = states(draw(loss))
    assert [each["name"] for each in found[:3]] == ["all folded", "32 dot, 32 tanh", "4 dot, 4 -, 4 **, 1 mean"]
    assert found[1]["parent"] == 0
    assert "32 dot: 56 nodes" in found[1]["svg"]
    assert "32 tanh: 32 nodes" in found[1]["svg"]
    assert "4 dot, 4 -, 4 **, 1 mean: " in found[1]["svg"]
    (tanh,) = [each for each in found if each["name"] == "32 tanh"]
    assert "29 more tanh" in tanh["svg"]
    first = [x for x in mg.engine.topological_order(loss) if x._op == "tanh"][:3]
    assert all(f"data={x.data!r}" in tanh["svg"] for x in first)


def test_layers_open_into_neurons() -> None:
    model = MLP(30, [16, 16, 3], rng=0)
    loss = mg.sum(model([0.1 * k for k in range(30)]))
    found = states(draw(loss, model=model))
    assert [each["name"] for each in found[:4]] == ["all folded", "layer 1", "layer 2", "layer 3"]
    assert found[1]["svg"].count("layer 1, neuron ") == 2 * 16  # titles and tooltips


def test_all_states_have_all_numbers_once() -> None:
    loss, _ = network()
    count = len(mg.engine.topological_order(loss))
    for state in states(draw(loss)):
        inside = sum(
            int(n.replace(",", "")) for n in re.findall(r"<title>[^<]*: ([\d,]+) nodes?</title>", state["svg"])
        )
        single = len(re.findall(r"<title>[^<]*: data=", state["svg"]))
        assert inside + single in (count, count + 1)  # the root is in the box that made it as well


def test_the_html_is_a_picture_without_scripts_and_asks_for_nothing_outside() -> None:
    page = draw(network()[0]).html()
    assert page.index("<svg") < page.index("<script>")
    assert "http" not in page
    assert len(page) < 200_000


def test_a_whole_graph_has_nothing_to_open_and_a_changed_drawing_is_shown_as_it_is() -> None:
    small = draw(Value(2.0) * 3.0)
    assert "data-states" not in small.html()
    assert "<script" not in small._repr_mimebundle_()["text/html"]
    folded = draw(network()[0])
    assert "data-states" in folded._repr_mimebundle_()["text/html"]
    folded.attr(bgcolor="white")
    assert "data-states" not in folded.html()
    assert "data-states" in network()[0]._repr_mimebundle_()["text/html"]


def test_a_pickled_drawing_opens_as_well() -> None:
    drawing = draw(network()[0])
    assert states(pickle.loads(pickle.dumps(drawing))) == states(copy.deepcopy(drawing)) == states(drawing)


def test_a_page_is_written_like_a_picture(tmp_path: Path) -> None:
    drawing = draw(network()[0])
    for path in (drawing.render(tmp_path / "deep" / "a.html"), drawing.render(outfile=tmp_path / "b.html")):
        page = Path(path).read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>")
        assert "data-states" in page


def test_a_large_graph_has_few_states() -> None:
    y = Value(1.0)
    for _ in range(60_000):
        y = y * 1.0
    assert len(states(draw(y))) == 3


# --- in a browser ---

#: Returns the texts that do not fit into the box or cell around them, with the number of texts.
OUTSIDE = """
const outside = [];
let count = 0;
document.querySelectorAll("svg g, svg a").forEach(group => {
  const box = [...group.children].find(e => e.tagName === "polygon" || e.tagName === "path" || e.tagName === "ellipse");
  const texts = [...group.children].filter(e => e.tagName === "text");
  if (!box || !texts.length || group.querySelector("path[d*=C][fill=none]")) { return; }
  const around = box.getBoundingClientRect();
  let end = -1e9, line = 0;
  texts.forEach(text => {
    const place = text.getBoundingClientRect();
    count += 1;
    if (place.left < around.left || place.right > around.right + 0.5) { outside.push(text.textContent); }
    if (Math.abs(place.top - line) < 4 && place.left < end) { outside.push("over others: " + text.textContent); }
    end = place.right; line = place.top;
  });
});
return [outside, count];
"""


def opened(browser: Any, drawing: Drawing, path: Path) -> Any:  # noqa: F811
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get(Path(drawing.render(path)).as_uri())
    WebDriverWait(browser, 10).until(lambda page: page.find_elements("css selector", "[role=button]"))
    return browser


def crumbs(page: Any) -> list[str]:
    return [button.text for button in page.find_elements("css selector", "nav button")]


@pytest.mark.slow("starts a browser")
def test_a_box_opens_by_a_click_and_by_keys_and_folds_again(browser: Any, tmp_path: Path) -> None:  # noqa: F811
    from selenium.webdriver.common.keys import Keys

    page = opened(browser, draw(network()[0]), tmp_path / "graph.html")
    box: Callable[[str], Any] = lambda name: page.find_element("css selector", f'[aria-label="open {name}"]')  # noqa: E731
    assert crumbs(page) == ["all folded"]
    assert "operations folded" in page.find_element("css selector", ".picture").text
    box("32 dot, 32 tanh").click()
    assert crumbs(page) == ["all folded", "32 dot, 32 tanh"]
    assert page.switch_to.active_element.text == "32 dot, 32 tanh"
    page.execute_script("arguments[0].focus()", box("32 tanh"))
    box("32 tanh").send_keys(Keys.ENTER)
    assert crumbs(page) == ["all folded", "32 dot, 32 tanh", "32 tanh"]
    assert "29 more tanh" in page.find_element("css selector", ".picture").text
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert crumbs(page) == ["all folded", "32 dot, 32 tanh"]
    page.find_element("css selector", "nav button").click()
    assert crumbs(page) == ["all folded"]
    assert browser.get_log("browser") == []


@pytest.mark.slow("starts a browser")
@pytest.mark.parametrize("font", ["Liberation Sans", "DejaVu Sans", "DejaVu Sans Mono", "DejaVu Serif", "monospace"])
def test_texts_fit_their_boxes_in_any_font(font: str, browser: Any, tmp_path: Path) -> None:  # noqa: F811
    loss, model = network()
    x = Value(-1234.5678, label="Wide WWW names, \u4e2d\u6587 and \u00e9\u00e0")
    for k, drawing in enumerate((draw(loss), draw(loss, model=model, fold="neurons"), draw((x * x).tanh()))):
        browser.get(Path(drawing.render(tmp_path / f"{k}.html")).as_uri())
        style = f"const s = document.createElement('style'); s.textContent = 'text {{ font-family: \"{font}\" }}';"
        browser.execute_script(style + "document.head.append(s);")
        outside, count = browser.execute_script(OUTSIDE)
        assert count >= 8
        assert outside == []


@pytest.mark.slow("starts a browser")
def test_pictures_and_players_follow_the_theme_of_the_page(browser: Any, tmp_path: Path) -> None:  # noqa: F811
    loss, _ = network()
    pictures = [draw(loss), draw(Value(2.0) * 3.0), draw(network()[1]), backprop_steps(loss)]
    (tmp_path / "all.html").write_text("".join(each.html() for each in pictures), encoding="utf-8")
    browser.get((tmp_path / "all.html").as_uri())
    read = """return [...document.querySelectorAll("section")].map(section => {
        const picture = section.querySelector("svg");
        return [getComputedStyle(section).backgroundColor, getComputedStyle(picture).filter === "none"];
    });"""
    for theme, expected in (("light", ["rgb(255, 255, 255)", True]), ("dark", ["rgb(20, 24, 29)", False])):
        browser.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
        assert browser.execute_script(read) == [expected] * 4
