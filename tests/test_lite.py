"""Notebooks in the browser: JupyterLite of the built site runs notebooks 1 to 3, and asks no other server."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chromium import ROOT, SITE, chromium, needs, proxy, served

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[123]_*.ipynb"))
pytestmark = [
    pytest.mark.slow("a minute: starts a browser, and JupyterLite in it"),
    needs("lite/packages/pyodide-lock.json"),
]
STATUS = "const e = document.querySelector('.jp-Notebook-ExecutionIndicator'); return e ? e.textContent : ''"
TEXTS = """
const kind = arguments[0];
return [...document.querySelectorAll(`.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.${kind}"]`)]
  .map(output => output.textContent);
"""


def until(condition: Callable[[], Any], seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def outputs(notebook: Path) -> tuple[list[str], int]:
    """Return what the cells of a notebook print when they run here, and the number of their pictures."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    shown = [output for cell in cells for output in cell.get("outputs", [])]
    printed = ["".join(output["text"]) for output in shown if output["output_type"] == "stream"]
    return printed, sum(any("<svg" in "".join(data) for data in output.get("data", {}).values()) for output in shown)


def test_the_folder_carries_the_licences_of_its_parts() -> None:
    words = (SITE / "lite" / "LICENCES.txt").read_text(encoding="utf-8")
    for holder in ("JupyterLite Contributors", "Project Jupyter Contributors"):
        assert re.search(rf"Copyright \(c\) \d{{4}}-?,? {holder}", words)
    for package in ("jupyterlite-core", "jupyterlite-pyodide-kernel", "jupyterlab_pygments"):
        assert re.search(rf"^{package} [\d.]+$", words, re.MULTILINE)
    for wheel in (SITE / "lite" / "packages").glob("*.whl"):
        assert f"\n{wheel.name}: {wheel.name.partition('-')[0]}-" in words
    for path in (SITE / "lite").rglob("third-party-licenses.json"):
        assert f"\n{path.relative_to(SITE / 'lite')}: " in words
    beside = (SITE / "playground" / "LICENCES.txt").read_text(encoding="utf-8")
    assert "pyodide 314" in beside
    assert re.search(r"@viz-js/viz: Copyright \(c\) Michael Daines\s+Permission is hereby granted", beside)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem[:1])
def test_a_notebook_runs_and_prints_and_draws_what_it_does_here(notebook: Path, tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    asked: list[str] = []
    with served(SITE) as site, proxy(asked) as refusing, chromium(tmp_path / "profile", proxy=refusing) as browser:
        browser.get(f"{site}lite/notebooks/index.html?path={notebook.name}")
        until(lambda: browser.find_elements("css selector", ".jp-CodeCell .jp-InputPrompt"))
        until(lambda: "Kernel status" in browser.execute_script(STATUS))
        browser.find_element("css selector", ".jp-InputPrompt").click()
        keys = ActionChains(browser).send_keys(Keys.ESCAPE).key_down(Keys.CONTROL).send_keys("a", Keys.ENTER)
        keys.key_up(Keys.CONTROL).perform()
        until(lambda: "Idle Executed" in browser.execute_script(STATUS))
        assert browser.execute_script(TEXTS, "error") == []
        printed, pictures = outputs(notebook)
        assert browser.execute_script(TEXTS, "stdout") == printed
        drawn = "o => o.querySelector('svg, img')"
        drawn = f"return [...document.querySelectorAll('.jp-OutputArea-output')].filter({drawn}).length"
        assert browser.execute_script(drawn) == pictures
        assert asked == []
