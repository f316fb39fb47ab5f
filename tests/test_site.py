"""The pages of the site, and the check of the built site, which `make docs` runs: no test here needs Sphinx."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import zlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.fixture
def site_tool(monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a function that imports a file of docs/site, and forgets it afterwards."""
    monkeypatch.syspath_prepend(str(DOCS / "site"))

    def imported(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return imported


def cells_of_the_gallery() -> str:
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```\{code-cell\}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("package", ["draw", "interactive", "plot"])
def test_the_gallery_calls_every_public_function_that_makes_pictures(package: str) -> None:
    pytest.importorskip("numpy")
    module = importlib.import_module(f"microgrud.{package}")
    functions = {name for name in module.__all__ if inspect.isfunction(getattr(module, name))}
    functions -= {"use_renderer"}  # it draws nothing: it chooses who does
    calls = [node for node in ast.walk(ast.parse(cells_of_the_gallery())) if isinstance(node, ast.Call)]
    called = {ast.unparse(call.func) for call in calls}
    passed = {ast.unparse(argument) for call in calls for argument in call.args}  # race(rosenbrock, ...)
    listed = set(re.findall(r'": (\w+)\b', cells_of_the_gallery()))  # {"beale": beale, ...}
    assert functions <= called | passed | listed, functions - called - passed - listed


def test_every_page_is_in_the_table_of_contents() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    entries = [line for block in re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL) for line in block.split("\n")]
    pages = {path for entry in entries if entry and entry[0] != ":" for path in DOCS.glob(f"{entry}.md")}
    pages |= {DOCS / "index.md", *(DOCS / "tutorials").glob("*.md")}
    assert set(DOCS.rglob("*.md")) == pages


def test_links_lead_to_the_pages_of_the_site(site_tool, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    stage = site_tool("stage")
    pages = stage.Stage(tmp_path)

    def rewritten(text: str, origin: str = "docs/howto/page.md", place: str = "howto/page.md") -> str:
        return str(pages.rewrite(text, origin, place))

    assert rewritten("[a](../recording.md#saving)") == "[a](../recording.md#saving)"
    assert rewritten("[a](../../README.md#compile-a-loss)") == "[a](../guide/compile-a-loss.md)"
    assert rewritten("[a](../../README.md)") == "[a](../index.md)"
    assert rewritten("[a](../../CHANGELOG.md)") == "[a](../changelog.md)"
    assert rewritten("[a](docs/types.md)", "README.md", "_start.md") == "[a](types.md)"
    assert rewritten("[a](https://example.org/x)") == "[a](https://example.org/x)"
    assert rewritten("![a](../neuron.svg)") == "![a](../neuron.svg)"
    assert (tmp_path / "neuron.svg").read_bytes() == (DOCS / "neuron.svg").read_bytes()
    assert rewritten("[a](../neuron.py)") == "[a](../source/docs/neuron.py.md)"
    assert pages.sources == {"docs/neuron.py"}
    assert rewritten("```\n[a](nowhere.md)\n```\n") == "```\n[a](nowhere.md)\n```\n"
    with pytest.raises(FileNotFoundError, match=r"docs/howto/page\.md: the link nowhere\.md leads to no file"):
        rewritten("[a](nowhere.md)")


def test_every_link_of_every_page_leads_somewhere(site_tool, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    stage = site_tool("stage")
    pages = stage.Stage(tmp_path)
    stage.stage_pages(pages)
    pages.finish()
    assert {"index.md", "_start.md", "guide/index.md", "benchmarks/index.md", "gallery.md", "changelog.md"} <= {
        path.relative_to(tmp_path).as_posix() for path in pages.written
    }
    for name in pages.sources:
        assert (tmp_path / "source" / f"{name}.md").exists()


def test_solutions_are_folded_and_outputs_left_to_the_build(site_tool, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    import json

    pages = site_tool("stage").Stage(tmp_path)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        pages.notebook(path)
        cells = json.loads((tmp_path / "tutorials" / path.name).read_text(encoding="utf-8"))["cells"]
        solutions = [cell for cell in cells if "solution" in cell["metadata"].get("tags", [])]
        assert solutions
        assert all("hide-cell" in cell["metadata"]["tags"] for cell in solutions)
        assert not any(cell.get("outputs") for cell in cells)


@pytest.fixture
def small_site(tmp_path: Path) -> Path:
    (tmp_path.parent / "outside.html").write_text("")
    (tmp_path / "a.html").write_text('<a href="playground/index.html">built where npm is</a>')
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.html").write_text('<a href="../a.html">a</a>')
    (tmp_path / "a2.html").write_text('<p id="here"><a href="b.html#there">b</a> <a href="#here">a</a></p>')
    (tmp_path / "b.html").write_text('<h1 id="there"><img src="b.png"><a href="https://example.org">e</a></h1>')
    (tmp_path / "b.png").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ('<a href="c.html">', "c.html leads to no file"),
        ('<a href="../outside.html">', "../outside.html leads to no file"),
        ('<a href="b.html#nowhere">', "b.html#nowhere leads to no anchor"),
        ('<a href="#nowhere">', "#nowhere leads to no anchor"),
        ('<img src="c.png">', "c.png leads to no file"),
        ('<script src="https://example.org/x.js"></script>', "loads https://example.org/x.js from elsewhere"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "loads //example.org/x.css from elsewhere"),
        ('<img srcset="b.png 1x, http://example.org/b.png 2x">', "loads http://example.org/b.png from elsewhere"),
        ("<style>@import 'https://example.org/x.css';</style>", "loads https://example.org/x.css from elsewhere"),
        ('<p style="background: url(https://example.org/x.png)">', "loads https://example.org/x.png from elsewhere"),
    ],
)
def test_the_check_of_the_site_finds_faults(site_tool, small_site: Path, fault: str, said: str) -> None:  # type: ignore[no-untyped-def]
    check = site_tool("check")
    assert list(check.faults(small_site)) == []
    (small_site / "fault.html").write_text(fault)
    assert list(check.faults(small_site)) == [f"fault.html: {said}"]


def test_the_check_of_the_site_reads_names_and_words(site_tool, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    check = site_tool("check")
    header = b"# Sphinx inventory version 2\n# Project: p\n# Version: 1\n# compressed\n"
    lines = b"microgrud.exp py:function 1 api.html#$ -\nlabel std:label -1 api.html label\n"
    (tmp_path / "objects.inv").write_bytes(header + zlib.compress(lines))
    assert check.inventory(tmp_path / "objects.inv") == {"microgrud.exp"}
    (tmp_path / "searchindex.js").write_text('Search.setIndex({"terms": {"hessian": 0}, "titleterms": {"huber": [1]}})')
    assert check.not_found_by_search(tmp_path / "searchindex.js") == check.WORDS[1:2] + check.WORDS[3:]
