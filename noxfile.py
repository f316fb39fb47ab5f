"""Run all but the slow tests on other Pythons than that of nox: `nox`, or `nox -s tests-3.12` for one.

On the oldest Python NumPy is as old as pyproject.toml allows, on the others as new as can be. Versions between the
oldest and the newest that is here run the tests that depend on the engine. nox says which versions are not here.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import nox

ENGINE_TESTS = [
    f"tests/test_{name}.py"
    for name in (
        "engine",
        "operators",
        "functions",
        "sequences",
        "conventions",
        "gradient",
        "copying",
        "transforms_closures",
    )
]

#: Pictures depend on matplotlib and Chromium rather than on Python: these tests run on the oldest Python, and are left
#: out elsewhere. So are two files about digits, which depend on the C library; test_accuracy runs everywhere, because
#: `math.hypot` is an algorithm of CPython.
LEFT_OUT = [
    f"--ignore-glob=tests/test_{name}.py"
    for name in [
        "plot_*",
        "player",
        "notebooks",
        "pictures",
        "charts",
        "report",
        "elementary",
        "second_order_accuracy",
    ]
]

#: The tests that use PyTorch where it is installed.
EXPORT_TESTS = ["tests/test_export_torch.py", "tests/test_export_missing.py", "tests/test_cli_export.py"]
EXPORT_TESTS += ["microgrud/export"]

VERSIONS = nox.project.python_versions(nox.project.load_toml())
NEWEST = next((version for version in reversed(VERSIONS) if shutil.which(f"python{version}")), VERSIONS[-1])

nox.options.sessions = [f"tests-{version}" for version in VERSIONS if version != "{}.{}".format(*sys.version_info)]


def oldest_numpy() -> str:
    """Return the requirement of the oldest NumPy that pyproject.toml allows."""
    text = Path("pyproject.toml").read_text(encoding="utf-8")
    return re.search(r"numpy>=[\d.]+", text)[0].replace(">=", "==")  # type: ignore[index]


@nox.session
def torch(session: nox.Session) -> None:
    """Test exports to PyTorch, which takes gigabytes, so that no other environment has it."""
    session.install("--editable", ".[train,onnx,safetensors,testing,torch]", "pytest", "pytest-xdist")
    session.run("pytest", "-q", "-n", "auto", "-m", "not slow", *EXPORT_TESTS, env={"HYPOTHESIS_PROFILE": "quick"})


@nox.session(python=VERSIONS)
def tests(session: nox.Session) -> None:
    # pip reads dependency groups from version 25.1 on.
    session.install("--upgrade", "pip>=25.1")
    is_oldest, is_newest = session.python == VERSIONS[0], session.python == NEWEST
    pinned = [oldest_numpy()] if is_oldest else []
    session.install("--editable", ".", "--group", "test", *pinned)
    left_out = [] if is_oldest else LEFT_OUT
    selected = "not slow" if is_oldest or is_newest else "not slow and not any_engine"
    options = ["-n", "auto", "--dist", "worksteal", "-m", selected, *left_out]
    session.run("pytest", *options, *session.posargs, env={"MICROGRUD_BACKEND": "c", "HYPOTHESIS_PROFILE": "quick"})
    # The run above covers the C engine and what it delegates to Python; this one runs the Python engine alone.
    options += ["-q", *ENGINE_TESTS]
    session.run("pytest", *options, env={"MICROGRUD_BACKEND": "python", "HYPOTHESIS_PROFILE": "quick"})
