"""Pictures and words of the site's pages: what its build makes of them, and what a search in the built site finds."""

from __future__ import annotations

import importlib.util
import json
import struct
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from chromium import SITE, chromium, needs
from test_player import seen_as

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.any_engine


def imported(name: str, folder: str = "site") -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{folder}_{name}", ROOT / "docs" / folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def png(width: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, 100)


CONTENTS = {
    "wide.png": png(1200),
    "narrow.png": png(600),
    "wide.gif": b"GIF89a" + struct.pack("<HH", 900, 100) + b"\0" * 20,
    "wide.svg": b'<?xml version="1.0"?>\n<svg xmlns="..." width="619.2pt" height="680pt" viewBox="0 0 1 1">',
    "narrow.svg": b'<svg width="520" height="720">',
}


@pytest.mark.parametrize("name", CONTENTS)
def test_pictures_wider_than_the_column_link_to_their_full_size(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(CONTENTS[name])
    app = SimpleNamespace(srcdir=tmp_path, builder=SimpleNamespace(images={name: name}))
    image = f'<img alt="../_images/{name}" src="../_images/{name}" />'
    heading = '<h2>A <em>race</em> &amp; more<a class="headerlink" href="#a">¶</a></h2>'
    context = {"body": f"{heading}<p>{image}</p><a href='x'> {image}</a>"}
    imported("pictures").frame(app, "page", "page.html", context, None)
    assert context["body"].count('alt="A race &amp; more: drawn by the code above"') == 2
    link = f'<p><a class="wide" href="../_images/{name}" title="Open the picture at its full size"><img '
    assert context["body"].count(link) == name.startswith("wide")
    assert context["body"].count("<a ") == 2 + name.startswith("wide")


def test_pictures_with_words_of_their_own_keep_them(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(600))
    app = SimpleNamespace(srcdir=tmp_path, builder=SimpleNamespace(images={"a.png": "a.png"}))
    context = {"body": '<img alt="A bowl" src="_images/a.png" />'}
    imported("pictures").frame(app, "page", "page.html", context, None)
    assert context["body"] == '<img alt="A bowl" src="_images/a.png" />'


def test_the_text_for_excerpts_has_sections_and_no_scripts() -> None:
    body = (
        '<section id="a"><h1>A<a href="#a">¶</a></h1>\n<p>x &lt; y</p><script>let z</script><svg><text>1</text></svg>'
    )
    text = imported("searching").Text(body + "<style>p {}</style></section>").pieces
    assert "".join(text) == '<div id="a">A x &lt; y</div>'


def staged(path: Path, folder: Path, saved: tuple[str, ...] = ()) -> Any:
    pages = imported("stage").Stage(folder, saved)
    pages.has_lite = True
    pages.notebook(path)
    return json.loads((folder / "tutorials" / path.name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem[:1])
def test_pages_of_the_notebooks_that_jupyterlite_has_link_to_it(path: Path, tmp_path: Path) -> None:
    first = staged(path, tmp_path)["cells"][0]["source"]
    has_lite = path.name[0] in imported("lite", "playground").NOTEBOOKS
    assert (f'href="../lite/notebooks/index.html?path={path.name}"' in first) == has_lite
    assert ("[serve the site](../playground.md#serve-it-yourself)" in first) == has_lite


def test_a_notebook_can_keep_its_outputs_and_then_says_so(tmp_path: Path) -> None:
    slow = imported("build").SLOW
    for name in slow:
        notebook = staged(ROOT / "notebooks" / name, tmp_path, tuple(slow))
        assert any(cell.get("outputs") for cell in notebook["cells"])
        assert notebook["metadata"]["mystnb"] == {"execution_mode": "off"}
        assert "computed when the notebook was last changed" in notebook["cells"][0]["source"]


def found(browser: Any, words: str, excerpts: int = 0) -> list[tuple[str, str]]:
    """Return the titles that a search finds in the site as a folder of files, with the excerpts of so many at least."""
    browser.get(f"{SITE.as_uri()}/search.html?q={words.replace(' ', '+')}")
    end, seen = time.monotonic() + 20.0, [""]
    while time.monotonic() < end:
        rows = browser.find_elements("css selector", "#search-results li")
        now = [row.text for row in rows]
        shown = browser.find_elements("css selector", f"#search-results li:nth-child(-n + {excerpts}) p.context")
        is_whole = now == seen and len(shown) == excerpts
        if now and is_whole and "found" in browser.find_element("css selector", ".search-summary").text:
            return [(text.partition("\n")[0], text.partition("\n")[2]) for text in now]
        seen = now
        time.sleep(0.3)
    raise AssertionError(f"the search for {words!r} did not end")


@pytest.mark.slow("starts a browser")
@needs("searchtexts.js")
def test_a_search_finds_what_explains_before_what_lists(tmp_path: Path) -> None:
    with chromium(tmp_path) as browser:
        for words in ("learning rate", "chain rule", "overfitting"):
            rows = found(browser, words, excerpts=2)
            lists = [k for k, (title, _) in enumerate(rows) if title.startswith("microgrud.")] or [len(rows)]
            tutorials = [k for k, (title, _) in enumerate(rows) if title[:1].isdigit()]
            assert tutorials[0] == 0
            assert max(tutorials) < min(lists)
            assert all(words in excerpt.lower() for title, excerpt in rows[:2])  # excerpts, without a server
        assert found(browser, "hessian")[0][0].startswith("microgrud.hessian")
        names = [title.split()[0] for title, _ in found(browser, "get_gradient_vector")]
        assert names[0] == "microgrud.nn.Module.get_gradient_vector"
        assert not any(name.endswith("get_gradient_vector") for name in names[1:])


@pytest.mark.slow("starts a browser, 30 s for all pages")
@needs("index.html")
def test_no_page_is_wider_than_a_telephone(tmp_path: Path) -> None:
    pages = [page for page in sorted(SITE.rglob("*.html")) if page.relative_to(SITE).parts[0] != "lite"]
    assert len(pages) > 100
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    with chromium(tmp_path) as browser, seen_as(browser, 390, "reduce"):
        found = {}
        for page in pages:
            browser.get(page.as_uri())
            found[page.relative_to(SITE).as_posix()] = browser.execute_script(wide)
    assert {page: pixels for page, pixels in found.items() if pixels > 0} == {}
