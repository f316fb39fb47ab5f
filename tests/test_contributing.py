"""CONTRIBUTING's recipe for a new operation, followed to the letter in a copy of the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow("30 s: it builds both extensions in C, and runs tests of a copy")

ROOT = Path(__file__).resolve().parent.parent
#: Test files that check the operations named in the recipe.
TESTS = ["functions", "operations", "accuracy", "parity", "orders", "conventions", "gradient", "compile_listing"]
TESTS += ["strategies", "checker_is_checked", "variants", "interactive_program"]
BLOCK = re.compile(r"^ *```\w+\n(.*?)^ *```$", re.M | re.S)


def recipe() -> str:
    """Return the section of CONTRIBUTING with the recipe."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition("## Add an operation")[2].partition("\n## ")[0]


def insert(path: Path, block: str, before: str = "", after: str = "") -> None:
    """Put a block of lines before or after the only line that starts with these words, or at the end of a file."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    places = (
        [i for i, line in enumerate(lines) if line.startswith(before or after)] if before or after else [len(lines)]
    )
    assert len(places) == 1, f"{path}: {before or after}: {len(places)} lines"
    lines.insert(places[0] + bool(after), block)
    path.write_text("".join(lines), encoding="utf-8")


def follow(copy: Path) -> None:
    """Do what the recipe says."""
    package = copy / "microgrud"
    entry, function, method, line, formulas, script = map(textwrap.dedent, BLOCK.findall(recipe()))
    value, second, places = (f"    {formula}\n" for formula in formulas.splitlines())
    insert(package / "engine" / "ops.py", f"\n{entry}")
    insert(package / "functions.py", f"{function}\n\n", before="native.accelerate(")
    insert(package / "__init__.py", "    haversine,\n", after="    gelu,")
    insert(package / "__init__.py", '    "haversine",\n', after='    "gradient",')
    insert(package / "engine" / "methods.py", f"    {method}", after="    abs = ")
    insert(package / "_native" / "src" / "ops" / "ops.h", line, after="#define UNARY_METHODS(X)")
    insert(package / "interactive" / "operations.js", script, before="// The evaluator")
    insert(copy / "tests" / "truth.py", value, after="TRUTH: ")
    insert(copy / "tests" / "truth.py", second, after="SECOND: ")
    insert(copy / "tests" / "truth.py", places, after="SPECIAL_PLACES: ")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with the operation of the recipe, without extensions in C."""
    folder: Path = tmp_path_factory.mktemp("repository")
    for name in ("microgrud", "tests", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.pyd"))
    for name in ("conftest.py", "pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    follow(folder)
    return folder


def run(copy: Path, *command: str, backend: str) -> None:
    """Run Python in the copy."""
    environment = {**os.environ, "MICROGRUD_BACKEND": backend, "PYTHONPATH": str(copy)}
    done = subprocess.run(
        [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def run_tests(copy: Path, backend: str) -> None:
    """Run the tests of the operation in the copy, those of all operations among them."""
    paths = [f"tests/test_{name}.py" for name in TESTS] + ["microgrud/functions.py"]
    options = ["-q", "-k", "haversine or public or table", "-p", "no:cacheprovider", "--doctest-modules"]
    run(copy, "-m", "pytest", *options, *paths, backend=backend)


def test_the_recipe_names_files_that_exist(copy: Path) -> None:
    named = re.findall(r"`([\w/]+\.\w+)`", BLOCK.sub("", recipe()))
    assert len(named) > 5
    assert [name for name in named if not (copy / name).is_file()] == []


def test_a_new_operation_works_on_the_engine_in_python(copy: Path) -> None:
    run_tests(copy, "python")


@pytest.mark.skipif(sys.platform == "win32" or shutil.which("cc") is None, reason="takes a C compiler")
def test_a_new_operation_works_on_the_engine_and_the_tape_in_c(copy: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    run(copy, "setup.py", "-q", "build_ext", "--inplace", backend="")
    run_tests(copy, "c")
    program = """
        import microgrud as mg

        f = mg.compile(lambda x: mg.haversine(x) * x, batched="x")
        loss, slopes = f.value_and_grad([0.5, -1.5])
        values = [mg.haversine(x) * x for x in (0.5, -1.5)]
        assert abs(loss - sum(values) / 2) < 1e-15 and f.stats["block_size"] > 0
        assert abs(slopes[1] - mg.grad(lambda x: mg.haversine(x) * x)(-1.5) / 2) < 1e-15
    """
    run(copy, "-c", textwrap.dedent(program), backend="c")
