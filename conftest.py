"""Shared pytest configuration for tests, docstrings and documents."""

from __future__ import annotations

import doctest
import importlib.util
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

#: Packages without which tests are skipped: those of the extras, and what the tests themselves use.
OPTIONAL = [
    "graphviz",
    "hypothesis",
    "ipykernel",
    "joblib",
    "matplotlib",
    "micrograd",
    "mpmath",
    "nbclient",
    "nbformat",
]
OPTIONAL += ["numpy", "onnx", "onnxruntime", "openpyxl", "pandas", "safetensors", "scipy", "selenium", "sklearn"]
OPTIONAL += ["cloudpickle", "dask", "distributed", "torch", "tqdm", "typer"]
MISSING = [name for name in OPTIONAL if importlib.util.find_spec(name) is None]

if not {"hypothesis", "mpmath"} & set(MISSING):
    from hypothesis import settings
    from hypothesis.internal.conjecture import providers

    from microgrud.testing.properties import PROFILES

    # CI runs the same examples every time; `HYPOTHESIS_PROFILE=nightly` looks for new ones. `make test` runs fewer.
    settings.register_profile("ci", PROFILES["microgrud-ci"])
    settings.register_profile("quick", PROFILES["microgrud-ci"], max_examples=30)
    settings.register_profile("nightly", PROFILES["microgrud-nightly"])
    PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
    settings.load_profile(PROFILE)
    # Hypothesis draws constants from the sources of all modules that are loaded, too. The examples of a test would
    # depend on the tests that ran before it, and change with each literal of the project.
    if PROFILE != "nightly" and hasattr(providers, "_local_constants") and hasattr(providers, "_get_local_constants"):
        no_constants = type(providers._local_constants)()
        providers._get_local_constants = lambda: no_constants

# A shell starts what it runs in the background with Ctrl-C ignored; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


#: Programs of the site: Sphinx imports some, with its packages, and the browser others.
collect_ignore = ["docs/conf.py", "docs/playground", "docs/site"]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Demand a reason of whatever is marked as slow."""
    for mark in item.iter_markers("slow"):
        if not mark.args or not isinstance(mark.args[0], str):
            raise pytest.UsageError(f"{item.nodeid}: pytest.mark.slow takes a reason")


def skip_what_needs_a_missing_package(report: Any, error: BaseException | None) -> None:
    """Turn a failure to import a package that is not installed into a skip; other errors after it are failures."""
    if isinstance(error, doctest.UnexpectedException):
        error = error.exc_info[1]
    if isinstance(error, pytest.Collector.CollectError):
        error = error.__cause__
    while isinstance(error, ImportError):  # one that says what to install has the one of the import as its cause
        name = (error.name or "").partition(".")[0]
        if name in MISSING:
            report.outcome = "skipped"
            report.longrepr = (report.nodeid, None, f"Skipped: {name} is not installed")
            return
        error = error.__cause__ or error.__context__


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """Skip modules that need a missing package."""
    report = (yield).get_result()  # type: ignore[misc]
    if report.failed:
        skip_what_needs_a_missing_package(report, report.call.excinfo.value)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[None]:
    """Skip tests that turn out to need a missing package."""
    report = (yield).get_result()  # type: ignore[misc]
    if report.failed and call.excinfo is not None:
        skip_what_needs_a_missing_package(report, call.excinfo.value)
