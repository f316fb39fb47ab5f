"""Build the site: stage its pages, execute notebooks, run Sphinx, add the playground, check the result.

Run with `make docs`. The site is the folder build/site: open its index.html, or put it on any server.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build"
#: The files that the outputs of notebooks depend on, beside the notebooks.
PROGRAMS = [f"microgrud/**/*.{ending}" for ending in ("py", "c", "h", "html", "css", "js")]
PROGRAMS += ["notebooks/*.py", "setup.py"]
#: Seconds between two lines of what Sphinx reads and writes.
PAUSE = 3.0


#: Notebooks whose outputs the site takes from their files where the C engine is not there to compute them in time.
SLOW = ["6_a_language_model_scalar_by_scalar.ipynb"]
LACKS_C = """\
The C engine is not there: it was not built, or MICROGRUD_BACKEND=python is set. With the Python engine the notebooks
take two to three times as long, about a minute on two cores, without notebook 6, which takes five minutes more. Its
page will show the outputs that are saved in the notebook. To compute all: install a C compiler, then make clean docs"""


def cache(name: str, patterns: list[str]) -> Path:
    """Return a folder for what was computed from the present state of some files, and delete those of other states."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    folder = BUILD / name / digest.hexdigest()[:16]
    for old in folder.parent.glob("*"):
        if old != folder:
            shutil.rmtree(old)
    return folder


def run(title: str, *command: str | Path, is_thinned: bool = False, **environment: str) -> None:
    """Run a part of the build, and end the build with it if it fails."""
    print(f"== {title} ...", flush=True)
    started, used = time.monotonic(), sum(os.times()[2:4])  # the time that processors spent on children
    words = [str(part) for part in command]
    pipe: dict[str, Any] = {"stdout": subprocess.PIPE, "encoding": "utf-8", "errors": "replace"} if is_thinned else {}
    with subprocess.Popen(words, cwd=ROOT, env={**os.environ, **environment}, **pipe) as process:
        thin(process.stdout or ())
    status = process.returncode
    used = sum(os.times()[2:4]) - used
    print(f"== {title}: {time.monotonic() - started:.0f} s, {used:.0f} s of a processor", flush=True)
    if status:
        sys.exit(f"make docs: {title} failed")


def thin(lines: Iterable[str]) -> None:
    """Print the lines on the progress of Sphinx that come some time after the one before."""
    said = time.monotonic()
    for line in lines:
        if time.monotonic() - said > PAUSE:
            said = time.monotonic()
            print(f"  {line.strip()}", flush=True)


def saved() -> list[str]:
    """Return the notebooks that are not executed, after saying why."""
    import microgrud

    if microgrud.backend == "c":
        return []
    print(LACKS_C, flush=True)
    return SLOW


def build(options: list[str]) -> None:
    """Build the site; further options are Sphinx's."""
    here, site, source = ROOT / "docs" / "site", BUILD / "site", BUILD / "site-source"
    notebooks, doctrees = cache("site-notebooks", PROGRAMS), cache("site-doctrees", ["docs/conf.py", "docs/site/*.py"])
    kept = saved()
    shutil.rmtree(site, ignore_errors=True)  # it may hold pages that are no longer made
    # The pages of the API show the Python engine, which has sources and annotations; both have the same docstrings.
    run("pages", sys.executable, here / "stage.py", source, *kept, MICROGRUD_BACKEND="python")
    run("notebooks", sys.executable, here / "execute.py", source, notebooks)
    strict = ["-n", "-W", "--keep-going", "-D", f"nb_execution_cache_path={notebooks}"]
    command = [sys.executable, "-m", "sphinx", "-c", ROOT / "docs", "-d", doctrees, *strict, *options]
    run("Sphinx", *command, source, site, is_thinned=True)
    playground = ROOT / "docs" / "playground" / "build.py"
    if playground.exists() and shutil.which("npm"):
        run("playground", sys.executable, playground, site)
    elif playground.exists():
        print("== npm is not installed: the site has no playground")
    run("checks", sys.executable, here / "check.py", site, MICROGRUD_BACKEND="python")
    print(f"the site is in {site.relative_to(ROOT)}: open index.html there")


if __name__ == "__main__":
    build(sys.argv[1:])
