"""The imports of the package: there is no cycle, and each package imports only from those below it.

The same holds for the files in C, where a file needs those that it includes and those whose functions it calls.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import microgrud

ROOT = Path(microgrud.__file__).parent
#: The packages and modules at the top level, from the ground floor up. (When `engine.native` loads the C engine, that
#: finds the rules in Python by name, `_native/src/engine/layout.h`; its stub takes types of the engine.)
FLOORS = ["version", "common", "engine", "_native", "copying", "typing", "functions", "special", "activations"]
FLOORS += ["autodiff", "losses", "nn", "optim", "tape", "testing", "distributed", "train", "draw", "interactive"]
FLOORS += ["plot", "tables"]
FLOORS += ["sklearn", "export", "cli", "__main__"]
#: Modules that may import by a name in a string: the extensions in C, functions named in a pickle, and what the package
#: root imports at its first use. The check of a cluster asks workers, which may lack the package.
BY_NAME = {"microgrud", "microgrud.engine.native", "microgrud.tape.native", "microgrud.tape.packing"}
BY_NAME |= {"microgrud.distributed.checking"}


def imports_of(root: Path) -> dict[str, set[str]]:
    """Return for each module the modules of the package that it imports, wherever in its text.

    Lazy imports and those for types count as all others. An import from another package is one of its `__init__` as
    well, which runs first. Stubs of extensions are modules too.
    """
    files = {}
    for path in [*root.rglob("*.pyi"), *root.rglob("*.py")]:
        parts = (root.name, *path.relative_to(root).with_suffix("").parts)
        files[".".join(parts).removesuffix(".__init__")] = path
    imports: dict[str, set[str]] = {}
    for module, path in files.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        found: set[str] = set()
        for name in names_imported(ast.parse(path.read_text(encoding="utf-8")), package):
            parent = name.rpartition(".")[0]
            found.add(name if name in files else parent)
            if name in files and not f"{package}.".startswith(f"{parent}."):
                found.add(parent)
        imports[module] = found & files.keys() - {module}
    return imports


def names_imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the full name of each module, and of each thing taken from one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{base}.{alias.name}" for alias in node.names)


#: A comment or a text of C; an included header; a definition of a function, its type and its name;
#: a declaration.
C_TEXT = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)
C_INCLUDE = re.compile(r'^ *# *include "(.+)\.h"', re.MULTILINE)
C_FUNCTION = re.compile(r"^([A-Za-z_][\w *]*?)\b(\w+)\([^;{}]*\)\s*\{", re.MULTILINE)
C_DECLARATION = re.compile(r"^(?:extern )?INTERNAL\b[^;{]*;", re.MULTILINE)


def includes_of(root: Path) -> dict[str, set[str]]:
    """Return for each file in C the others that it needs: those that it includes, or whose functions it calls.

    A `.c` file and the header of its name are one. A header that only declares a function does not need its file.
    """
    texts = {path: path.read_text(encoding="utf-8") for path in [*root.rglob("*.h"), *root.rglob("*.c")]}
    names = {path: path.relative_to(root).with_suffix("").as_posix() for path in texts}
    code = {path: C_DECLARATION.sub("", C_TEXT.sub("", text)) for path, text in texts.items()}
    homes = {
        name: names[path]
        for path in texts
        for kind, name in C_FUNCTION.findall(code[path])
        if path.suffix == ".h"
        or not {"static", "ALWAYS_INLINE"} & {*kind.split()}  # ALWAYS_INLINE functions are static
    }
    needed: dict[str, set[str]] = {name: set() for name in names.values()}
    for path, text in texts.items():
        found = {homes[name] for name in re.findall(r"\b(\w+)\(", code[path]) if name in homes}
        needed[names[path]] |= ({*C_INCLUDE.findall(text)} | found) & needed.keys() - {names[path]}
    return needed


def cycle(imports: dict[str, set[str]]) -> str:
    """Return a cycle of imports, or an empty string."""
    while ready := {module for module, imported in imports.items() if not imported & imports.keys()}:
        imports = {module: imported for module, imported in imports.items() if module not in ready}
    path = [min(imports)] if imports else []  # each of these leads to another one, until one comes again
    while path and path[-1] not in path[:-1]:
        path.append(min(imports[path[-1]] & imports.keys()))
    return " -> ".join(path[path.index(path[-1]) :]) if path else ""


def steps_up(imports: dict[str, set[str]]) -> list[str]:
    """Return the imports of a package by one below it."""
    wrong = []
    for module, imported in imports.items():
        for other in imported if "." in module else ():
            ours, theirs = (f"{name}.".split(".")[1] for name in (module, other))
            if ours != theirs and (theirs not in FLOORS or FLOORS.index(theirs) > FLOORS.index(ours)):
                wrong.append(f"{module} imports {other}")
    return wrong


def imports_by_name(root: Path) -> set[str]:
    """Return the modules that call `import_module`, or look a module of the package up in `sys.modules`."""
    found = set()
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "import_module(" in text or "__import__(" in text or "sys.modules.get(getattr" in text:
            parts = (root.name, *path.relative_to(root).with_suffix("").parts)
            found.add(".".join(parts).removesuffix(".__init__"))
        assert 'sys.modules["microgrud' not in text, path
    return found


def test_imports_make_no_cycle() -> None:
    assert cycle(imports_of(ROOT)) == ""


def test_packages_import_only_what_lies_below_them() -> None:
    assert steps_up(imports_of(ROOT)) == []
    assert {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()} == {
        "__init__",
        *FLOORS,
    }


def test_few_modules_import_by_name() -> None:
    assert imports_by_name(ROOT) == BY_NAME


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("common/files.py", "from ..engine import Value"),
        ("common/files.py", "def f():\n    from ..engine.value import Value"),
        ("common/files.py", "if TYPE_CHECKING:\n    from ..engine import value"),
        ("engine/value.py", "from . import Value"),
        ("engine/value.py", "import microgrud.nn.module"),
        ("engine/value.py", "from microgrud import nn"),
        ("engine/value.py", "from .. import Value"),
        ("nn/module.py", "from .. import Value"),
    ],
)
def test_a_planted_cycle_is_found(place: str, line: str, tmp_path: Path) -> None:
    root = tmp_path / "microgrud"
    house = {
        "__init__.py": "from .engine import Value\nfrom .nn.module import Module",
        "common/__init__.py": "",
        "common/files.py": "",
        "engine/__init__.py": "from .value import Value",
        "engine/value.py": "from ..common import files",
        "nn/__init__.py": "from .module import Module",
        "nn/module.py": "from ..engine import Value",
    }
    for name, text in house.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    assert cycle(imports_of(root)) == ""
    assert steps_up(imports_of(root)) == []
    (root / place).write_text(f"{house[place]}\n{line}", encoding="utf-8")
    assert cycle(imports_of(root)) or steps_up(imports_of(root))


def test_includes_make_no_cycle() -> None:
    needed = includes_of(ROOT / "_native" / "src")
    assert len(needed) > 50
    assert "replay/arguments" in needed["replay/tree"]
    assert cycle(needed) == ""


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("ops/ops.h", '#include "tape/run.h"'),
        ("tape/tape.h", '#  include "tape/run.h"'),
        ("tape/tape.h", "static inline int twice(void)\n{\n    return 2 * run();\n}"),
        ("tape/tape.c", "int go(Tape *tape)\n{\n    return run(tape);\n}"),
        ("tape/blocks.h", "static int first(void)\n{\n    return 1;\n}"),
    ],
)
def test_a_planted_cycle_of_includes_is_found(place: str, text: str, tmp_path: Path) -> None:
    files = {
        "ops/ops.h": "enum { ADD };",
        "tape/tape.h": '#include "ops/ops.h"\nINTERNAL int check(\n    Tape *tape);\nINTERNAL int run(void);',
        "tape/tape.c": '#include "tape/tape.h"',
        "tape/check.c": '#include "tape/tape.h"\n/* before run() */\nint check(Tape *tape)\n{\n    return ADD;\n}',
        "tape/run.h": '#include "tape/tape.h"',
        "tape/blocks.h": '#include "tape/sums.h"',
        "tape/sums.h": "TARGET static int sum(void)\n{\n    return first();\n}",
        "tape/run.c": '#include "tape/run.h"\nint run(void)\n{\n    return check(NULL);\n}',
    }
    for name, own in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(own, encoding="utf-8")
    assert cycle(includes_of(tmp_path)) == ""
    (tmp_path / place).write_text(f"{files[place]}\n{text}", encoding="utf-8")
    assert cycle(includes_of(tmp_path))
