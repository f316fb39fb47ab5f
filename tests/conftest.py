"""Shared fixtures: the engine under test, and quick reports."""

from __future__ import annotations

import fnmatch
import functools
import gc
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arrays import MISSING_NUMPY, np
from inside import thresholds

import microgrud

#: Tests of what is built on an engine and of tools, which do not tell one engine from the other.
ANY_ENGINE = """
    accusations benchmark_tables benchmarks charts check_gradients checker_is_checked checkpoint_files cli* cluster_page
    code_lines contributing draw* elementary evaluation exercises explain export* files history imports initializers
    interactive_edges interactive_javascript interactive_pictures interactive_states interactive_widgets lite modelfile
    notebooks package pictures player playground plot_* predicting preparation* pyodide reading* release report
    schedules site sklearn* stored strategies table* writing
""".split()


@functools.cache
def runs_on_any_engine(path: Path) -> bool:
    return any(fnmatch.fnmatchcase(path.stem, f"test_{pattern}") for pattern in ANY_ENGINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import files of which all tests are left out: with their libraries, they take seconds in each process."""
    is_left_out = "not any_engine" in config.option.markexpr.split(" and ")
    return True if is_left_out and runs_on_any_engine(collection_path) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of these files, and those whose parameters take NumPy if it is missing."""
    if runs_on_any_engine(item.path):
        item.add_marker("any_engine")
    if repr(np) == MISSING_NUMPY and MISSING_NUMPY in repr(getattr(item, "callspec", "")):
        item.add_marker(pytest.mark.skip("numpy is not installed"))


@pytest.fixture(scope="session", autouse=True)
def engine() -> type[microgrud.Value]:
    """The `Value` class under test: that of the engine that MICROGRUD_BACKEND selects, or of the available one."""
    built = importlib.util.find_spec("microgrud._native.engine") is not None
    assert microgrud.backend == (os.environ.get("MICROGRUD_BACKEND") or ("c" if built else "python"))
    return microgrud.Value


@pytest.fixture(scope="module", autouse=True)
def few_objects() -> None:
    """Leave what is there already out of the garbage collections that tests demand, which take 50 ms each with it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def coarse_reports() -> Iterator[None]:
    """Evaluate surfaces and regions of reports at few places: all of them take half a minute on the Python engine."""
    with thresholds(most_points=9, fewest_points=5, region_points=20):
        yield


@pytest.fixture
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a new folder, as commands do that read and write files by relative paths."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a file, given its content and name, and returns its path."""

    def write(content: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
