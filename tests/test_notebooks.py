"""The notebooks run from top to bottom, without warnings, and show what their stored outputs show."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import microgrud

NOTEBOOKS = sorted(Path(__file__).parent.parent.joinpath("notebooks").glob("*.ipynb"))

#: Time limit per notebook, in seconds. Each takes a few, or five times as many on a busy machine; the limit ends one
#: that hangs.
LIMIT = 120.0


def time_left() -> Callable[[Any], float]:
    """Return a function that gives the seconds left for a cell, of the limit for the whole notebook."""
    end = time.monotonic() + LIMIT
    return lambda cell: max(1.0, end - time.monotonic())


def texts(cell: Any) -> str:
    """The outputs of a cell as text, without what differs between machines: times, and the last digits of numbers, by
    which files are some bytes longer or shorter."""
    outputs = cell.get("outputs", [])
    found = "\n".join(o.get("text", "").rstrip("\n") or o.get("data", {}).get("text/plain", "") for o in outputs)
    found = re.sub(r"\d+\.\d{9,}", lambda number: f"{float(number.group()):.8g}", found)
    return re.sub(r"engine: \w+|[\d.]+ ms|\d+ bytes", "", found)


@pytest.mark.skipif(microgrud.backend == "python", reason="takes minutes on the Python engine")
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, marks=pytest.mark.slow("2 to 10 s each; three are not slow") if p.stem[0] in "345" else ())
        for p in NOTEBOOKS
    ],
    ids=lambda path: path.stem,
)
def test_a_notebook_runs_and_shows_what_it_showed(path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    executed = nbformat.from_dict(stored)
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(
        executed, timeout_func=time_left(), kernel_name="python3", resources=resources, coalesce_streams=True
    )
    client.execute()
    # Other versions of Python come with other versions of pandas and scikit-learn, which print and round differently.
    as_stored = stored.metadata.language_info.version.startswith("{}.{}.".format(*sys.version_info))
    for before, after in zip(stored.cells, executed.cells):
        streams = {output.get("name") for output in after.get("outputs", [])}
        assert "stderr" not in streams, after.source
        assert texts(after) == texts(before) or not as_stored, after.source
        pictures = [[sorted(o.get("data", {})) for o in c.get("outputs", []) if "data" in o] for c in (before, after)]
        assert pictures[0] == pictures[1], after.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_opens_with_its_aims_and_was_run(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert re.match(r"# \d\. .+\n\nWhen you have read this notebook you can\n\n\* ", cells[0].source)
    assert all(cell.execution_count for cell in cells if cell.cell_type == "code")
    assert all(cell.source.strip() for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_an_exercise_is_followed_by_its_unfinished_answer_and_a_folded_solution(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    places = [k for k, cell in enumerate(cells) if "**Exercise " in cell.source]
    assert len(places) >= 3
    for k in places:
        (number,) = re.findall(r"\*\*Exercise (\d+)\.\*\*", cells[k].source)
        (unfinished,), (solved,) = cells[k + 1].outputs, cells[k + 2].outputs
        assert unfinished.text.startswith(f"exercise {number}: not yet: ")
        assert solved.text == f"exercise {number}: passed\n"
        assert cells[k + 2].metadata == {"jupyter": {"source_hidden": True}, "tags": ["solution", "hide-input"]}
    assert [k for k, cell in enumerate(cells) if "solution" in cell.metadata.get("tags", [])] == [k + 2 for k in places]


@pytest.mark.parametrize("path", NOTEBOOKS[:3], ids=lambda path: path.stem)
def test_the_first_notebooks_need_no_library_that_a_browser_lacks(path: Path) -> None:
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    imported = re.findall(r"^ *(?:from|import) (\w+)", code, re.MULTILINE)
    assert {*imported} <= {"checks", "microgrud", *sys.stdlib_module_names}


#: Run the cells of a notebook where only microgrud and the standard library are, and print what each printed.
BARE = """
import ast, contextlib, importlib.abc, io, json, os, sys

known = {"microgrud", "checks", "exercises", "first_exercises", "hints", "later_exercises", *sys.stdlib_module_names}

class Bare(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in known:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Bare())
sys.path.insert(0, os.getcwd())
space = {}
for source in json.load(sys.stdin):
    tree = ast.parse(source)
    last = [tree.body.pop()] if isinstance(tree.body[-1], ast.Expr) else []
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), space)
        for result in (eval(compile(ast.Expression(each.value), "cell", "eval"), space) for each in last):
            if type(result).__module__.startswith("microgrud.interactive"):
                result._repr_html_()
    print(json.dumps(printed.getvalue()))
"""


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=pytest.mark.slow("4 s") if p.stem[0] == "3" else ()) for p in NOTEBOOKS[:3]],
    ids=lambda path: path.stem,
)
def test_the_first_notebooks_run_where_only_microgrud_is(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    run = subprocess.run(
        [sys.executable, "-c", BARE],
        input=json.dumps([cell.source for cell in cells]),
        cwd=path.parent,
        env={**os.environ, "PYTHONPATH": str(path.parent.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert not run.stderr
    stored = ["".join(output.text for output in cell.outputs if output.output_type == "stream") for cell in cells]
    assert [*map(json.loads, run.stdout.splitlines())] == stored


def test_the_page_of_questions_links_to_sections_of_the_notebooks() -> None:
    page = Path(__file__).parent.parent.joinpath("docs", "questions.md").read_text(encoding="utf-8")
    links = re.findall(r"\[([^]]+)\]\(\.\./notebooks/([^)#]+)#([^)]+)\)", page)
    assert len(links) >= len(re.findall(r"^<details><summary>", page, re.MULTILINE)) > 5
    for title, name, anchor in links:
        cells = nbformat.read(NOTEBOOKS[0].parent / name, as_version=4).cells
        assert f"## {title}\n" in "".join(cell.source + "\n" for cell in cells if cell.cell_type == "markdown")
        assert anchor == re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
