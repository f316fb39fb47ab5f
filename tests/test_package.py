"""The package as a whole: what importing it loads, and which names are public."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import microgrud

ROOT = Path(microgrud.__file__).parent
OPTIONAL = {"matplotlib", "pandas", "sklearn", "tqdm", "typer", "graphviz", "hypothesis", "mpmath", "scipy"}


def test_importing_the_package_loads_none_of_the_optional_packages() -> None:
    program = "import sys, microgrud; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "numpy" in loaded.split()
    assert OPTIONAL.isdisjoint(loaded.split())


def test_public_names_are_sorted_distinct_and_there() -> None:
    assert len(set(microgrud.__all__)) == len(microgrud.__all__)
    for name in microgrud.__all__:
        assert getattr(microgrud, name) is not None


@pytest.mark.parametrize("name", [name for name in microgrud.__all__ if callable(getattr(microgrud, name))])
def test_public_functions_and_classes_are_documented_with_an_example(name: str) -> None:
    public = getattr(microgrud, name)
    documentation = inspect.getdoc(public)
    assert documentation, name
    if inspect.isfunction(public):
        assert ">>> " in documentation, f"{name} has no example"


def test_imports_make_no_circle() -> None:
    """Lazy imports and those for types count too; `from ..engine import Value` is an import of `engine/__init__.py`."""
    waiting = imports = _imports()
    while ready := {module for module, imported in waiting.items() if not imported & waiting.keys()}:
        waiting = {module: imported for module, imported in waiting.items() if module not in ready}
    assert not waiting, f"these modules import each other: {_circle(waiting)}"
    assert "microgrud.engine.value" in imports["microgrud.engine"]


def test_packages_import_only_what_lies_below_them() -> None:
    order = [  # from the ground floor up
        *("version", "common", "engine", "functions", "autodiff", "losses", "nn", "optim", "tape", "testing", "train"),
        *("draw", "plot", "cli", "__main__"),
    ]
    floor = {name: i for i, name in enumerate(order)}
    for module, imported in _imports().items():
        for other in imported if "." in module else ():
            ours, theirs = module.split(".")[1], other.partition("microgrud.")[2].partition(".")[0]
            assert ours == theirs or floor[theirs] < floor[ours], f"{module} imports {other}, which stands above it"


def _imports() -> dict[str, set[str]]:
    """Return for each module the modules of the package that it imports, wherever in its text."""
    files = {}
    for path in ROOT.rglob("*.py"):
        parts = ("microgrud", *path.relative_to(ROOT).with_suffix("").parts)
        files[".".join(parts).removesuffix(".__init__")] = path
    imports: dict[str, set[str]] = {}
    for module, path in files.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        found = imports[module] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
                names = [f"{base}.{alias.name}" for alias in node.names]
                found |= {name if name in files else base for name in names}
        found &= files.keys() - {module}
    return imports


def _circle(imports: dict[str, set[str]]) -> str:
    """Follow imports, each of which leads to a module that has some too, until one comes again."""
    path = [min(imports)]
    while path[-1] not in path[:-1]:
        path.append(min(imports[path[-1]] & imports.keys()))
    return " -> ".join(path[path.index(path[-1]) :])


@pytest.mark.skipif(sys.platform == "win32" or shutil.which("cc") is None, reason="takes a C compiler")
def test_a_compiler_without_vectors_is_told_that_the_interpreter_in_numpy_runs() -> None:
    command = ["cc", "-E", "-U__GNUC__", "-U__clang__", str(ROOT / "_native" / "tape.c")]
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # the sanitizers'
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode != 0
    assert "takes the vector extensions of GCC or Clang; where it is not built, the one in NumPy runs" in done.stderr
