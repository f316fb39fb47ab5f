"""Pictures in pages that are narrower than they are: they scroll, say so, and the keyboard reaches their ends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from test_player import browser, seen_as  # noqa: F401

from microgrud import Value, tanh
from microgrud.draw import backprop_steps, draw
from microgrud.nn import MLP


def chain(length: int) -> Value:
    y = Value(0.5, label="x")
    for _ in range(length):
        y = tanh(y)
    y.backward()
    return y


def test_every_picture_is_in_a_frame_that_needs_no_script_and_no_id() -> None:
    for drawing in (draw(chain(2)), draw(MLP(2, [2], rng=0))):
        bundle = drawing._repr_mimebundle_()
        assert list(bundle) == ["text/plain", "image/svg+xml", "text/html"]
        assert "<script" not in bundle["text/html"]
        assert "<?xml" not in bundle["text/html"]
        assert not re.findall(r"\bid=", bundle["text/html"])
        assert len(bundle["text/html"]) < len(bundle["image/svg+xml"]) + 4_000


def test_ids_stay_where_a_picture_refers_to_them() -> None:
    drawing = draw(chain(2))
    drawing.node("more", fillcolor="red:blue", style="filled")
    assert re.findall(r'id="(\w+)"', drawing.html())


#: Returns for each picture whether it is wider than its place, and its shadows; and whether the page is.
READ = """return [[...document.querySelectorAll(".picture")].map(e => [e.scrollWidth > e.clientWidth,
  (getComputedStyle(e).backgroundImage.match(/gradient/g) || []).length]),
  document.documentElement.scrollWidth > document.documentElement.clientWidth];"""


@pytest.mark.slow("starts a browser")
def test_a_wide_picture_scrolls_in_its_frame_and_by_keys(browser: Any, tmp_path: Path) -> None:  # noqa: F811
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    root = chain(12)
    pictures = [draw(root, rankdir="LR"), draw(root, rankdir="LR", fold="operations"), backprop_steps(root)]
    pictures.insert(1, draw(chain(1)))
    body = "".join(each.html() for each in pictures)
    (tmp_path / "all.html").write_text(
        f'<!doctype html><meta charset="utf-8"><style>a {{ text-decoration: underline }}</style>{body}',
        encoding="utf-8",
    )
    with seen_as(browser, 390, "reduce"):
        browser.get((tmp_path / "all.html").as_uri())
        underlined = "return [...document.querySelectorAll('a')].map(e => getComputedStyle(e).textDecorationLine)"
        assert {*browser.execute_script(underlined)} == {"none"}
        wide, page_is_wide = browser.execute_script(READ)
        assert [each for each, _ in wide][::3] == [True, True]
        assert [each for each, _ in wide][1] is False
        assert {shadows for _, shadows in wide} == {4}
        assert not page_is_wide
        places = browser.find_elements("css selector", ".picture[tabindex='0'][role=region][aria-label]")
        assert len(places) == 4
        output = browser.find_element("css selector", "output")
        last, player = output.text, places[3]
        browser.find_element("css selector", "[data-go=last]").click()
        last = output.text
        player.send_keys(Keys.HOME)
        assert output.text == last  # the picture has the key
        browser.execute_script("arguments[0].scrollTo(0, 0)", player)
        for place in (places[0], player):
            place.send_keys(Keys.ARROW_RIGHT * 3)
            WebDriverWait(browser, 10).until(lambda _, place=place: place.get_property("scrollLeft") > 0)
        assert output.text == last
        outline = "arguments[0].focus(); return getComputedStyle(arguments[0]).outlineWidth"
        assert browser.execute_script(outline, places[0]) == "3px"
    assert browser.get_log("browser") == []
