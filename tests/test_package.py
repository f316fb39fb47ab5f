"""The package as a whole: what importing it loads, and which names are public."""

from __future__ import annotations

import ast
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


def test_imports_point_one_way() -> None:
    """No module imports, at its top level, one that imports it in turn."""
    imports: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        module = ".".join(("microgrud", *path.relative_to(ROOT).with_suffix("").parts))
        imports[module] = {
            name
            for node in _runtime_nodes(ast.parse(path.read_text(encoding="utf-8")))
            for name in _imported(node, module)
        }
    finished: set[str] = set()
    for module in imports:
        _visit(module, imports, finished, [])


def _runtime_nodes(tree: ast.Module) -> list[ast.stmt]:
    return [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]


def _imported(node: ast.stmt, module: str) -> list[str]:
    if isinstance(node, ast.ImportFrom) and node.level:
        base = ".".join(module.split(".")[: -node.level])
        return [f"{base}.{node.module}"] if node.module else [f"{base}.{alias.name}" for alias in node.names]
    return []


def _visit(module: str, imports: dict[str, set[str]], finished: set[str], path: list[str]) -> None:
    assert module not in path, f"circular import: {' -> '.join([*path, module])}"
    if module in finished or module not in imports:
        return
    for other in sorted(imports[module]):
        _visit(other, imports, finished, [*path, module])
    finished.add(module)


@pytest.mark.skipif(sys.platform == "win32" or shutil.which("cc") is None, reason="takes a C compiler")
def test_a_compiler_without_vectors_is_told_that_the_interpreter_in_numpy_runs() -> None:
    command = ["cc", "-E", "-U__GNUC__", "-U__clang__", str(ROOT / "_native" / "tape.c")]
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # the sanitizers'
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode != 0
    assert "takes the vector extensions of GCC or Clang; where it is not built, the one in NumPy runs" in done.stderr
