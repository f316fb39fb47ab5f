"""The package as a whole: what importing it loads, and which names are public."""

from __future__ import annotations

import builtins
import importlib
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from public_names import ALSO_BUILTINS, public_names

import microgrud

ROOT = Path(microgrud.__file__).parent
OPTIONAL = {"matplotlib", "pandas", "sklearn", "tqdm", "typer", "graphviz", "hypothesis", "mpmath", "scipy"}


def test_importing_the_package_loads_neither_numpy_nor_optional_packages() -> None:
    program = "import sys, microgrud; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert {"numpy", *OPTIONAL}.isdisjoint(loaded.split())


#: Runs in a process of its own: the examples of the README, and networks trained step by step, without NumPy.
WITHOUT_NUMPY = """
import ast, doctest, pathlib, sys

sys.modules["numpy"] = None  # which makes `import numpy` an ImportError

import microgrud
from microgrud import losses, nn, optim

runner, report = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), []
scope, missing, done = {}, set(), 0
NEED_NUMPY = "import pandas", "from sklearn"
for example in doctest.DocTestParser().get_examples(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")):
    nodes = list(ast.walk(ast.parse(example.source)))
    made = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    made |= {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
    if missing & {node.id for node in nodes if isinstance(node, ast.Name)} or example.source.startswith(NEED_NUMPY):
        missing |= made  # it uses the result of an example that takes NumPy, or another package
        continue
    start, test = len(report), doctest.DocTest([example], scope, "README", None, 0, None)
    if not runner.run(test, out=report.append, clear_globs=False).failed:
        done += 1
    elif "not installed: pip install " in "".join(report[start:]):
        missing |= made
        del report[start:]
    scope = test.globs

x, y = microgrud.Value(-1.2), microgrud.Value(1.0)
optimizer = optim.LBFGS([x, y], max_iter=100)
def closure():
    optimizer.zero_grad()
    loss = (1 - x) ** 2 + 100 * (y - x * x) ** 2
    loss.backward()
    return loss
for _ in range(2):
    optimizer.step(closure)
    optimizer.load_state_dict(optimizer.state_dict())
print(f"{x.data:.9f} {y.data:.9f}", len(optimizer.state[0]["steps"]) > 10)

for kind in [kind for kind in optim.OPTIMIZERS.values() if kind is not optim.LBFGS]:
    model = nn.MLP(2, [4, 1], activation="tanh", rng=0)
    optimizer = kind(model.parameters(), lr=0.05)
    history = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = microgrud.mean([losses.squared_error(model(x), y) for x, y in (([0, 1], 1), ([1, 1], 0), ([1, 0], 1))])
        loss.backward()
        optim.clip_grad_norm(model.parameters(), 10.0)
        optim.clip_grad_value(model.parameters(), 10.0)
        optimizer.step()
        history.append(loss.data)
    optimizer.load_state_dict(optimizer.state_dict())
    print(kind.__name__, repr(history[-1]), repr(model([0.5, -1.0]).data))
    climbing = kind([microgrud.Value(x) for x in (1.5, 0.0, 1e-3)], maximize=True)
    for gradient in (0.3, -1e-200, 0.0, 1e200, float("inf")):
        for parameter, factor in zip(climbing.parameters(), (1.0, -0.0, 2.0)):
            parameter.grad = gradient * factor
        climbing.step()
    print([parameter.data for parameter in climbing.parameters()], climbing.state_dict())
vector = model.get_vector()
try:
    print(vector - vector[1:])
except ValueError:  # no vector is cut to the length of another
    pass
assert microgrud.grad(lambda p: p["w"][0] * p["b"])({"w": [2.0], "b": 3.0}) == {"w": [3.0], "b": 2.0}
print("done", done, *report)
"""


def test_the_core_works_without_numpy_and_the_rest_asks_for_it() -> None:
    readme = ROOT.parent / "README.md"
    if not readme.exists():
        pytest.skip("the README is not part of an installed package")
    with_numpy = WITHOUT_NUMPY.replace('sys.modules["numpy"] = None', "")
    done = _printed(WITHOUT_NUMPY, str(readme))
    trained, examples = done.split("done")
    assert trained == _printed(with_numpy, os.devnull).split("done")[0]  # to the last bit
    assert int(examples) >= 25  # and nothing is reported


def _printed(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("numpy", [None, ModuleType("numpy")], ids=["blocked", "being imported"])
def test_numbers_and_lists_work_while_numpy_has_no_arrays(numpy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, slope = microgrud.nn.MLP(1, [1], rng=0), microgrud.grad(lambda p: p["w"][0] * p["b"])
    output = model([0.5]).data  # everything has been imported before NumPy is taken away
    assert slope({"w": [2.0], "b": 3.0}) == {"w": [3.0], "b": 2.0}
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    assert slope({"w": [2.0], "b": 3.0}) == {"w": [3.0], "b": 2.0}
    assert model([0.5]).data == output


@pytest.mark.parametrize("name", ["compile", "train", "plot", "tables", "sklearn"])
def test_without_numpy_an_error_says_what_to_install(name: str) -> None:
    program = f"import sys; sys.modules['numpy'] = None; from microgrud import {name}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: " in done.stderr
    assert "pip install numpy" in done.stderr


def test_no_message_takes_microgrud_to_be_installed_from_an_index() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}
    assert [name for name, text in texts.items() if "pip install 'microgrud" in text] == ["missing.py"]


def test_public_names_are_sorted_distinct_and_there() -> None:
    assert len(set(microgrud.__all__)) == len(microgrud.__all__)
    for name in public_names(microgrud):
        assert getattr(microgrud, name) is not None


def test_an_import_of_all_names_hides_no_builtin() -> None:
    assert set(dir(builtins)) & set(microgrud.__all__) == set()
    space: dict[str, Any] = {}
    exec("from microgrud import *; total = sum([1.5, 2.5], 1)", space)
    assert space["total"] == 5.0
    assert space["exp"] is microgrud.exp
    assert [
        name for name in ALSO_BUILTINS if name in space or getattr(microgrud, name) is getattr(builtins, name)
    ] == []


def test_an_import_of_all_names_needs_neither_numpy_nor_an_extra() -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(['numpy', 'graphviz', 'matplotlib']))"
    assert _printed(f"{blocked}; from microgrud import *; print(nn.MLP(1, [1]), exp(0.0))").endswith(" 1.0\n")


@pytest.mark.parametrize("name", [name for name in public_names(microgrud) if callable(getattr(microgrud, name))])
def test_public_functions_and_classes_are_documented_with_an_example(name: str) -> None:
    public = getattr(microgrud, name)
    documentation = inspect.getdoc(public)
    assert documentation, name
    if inspect.isfunction(public):
        assert ">>> " in documentation, f"{name} has no example"


@pytest.mark.parametrize(
    ("package", "names"),
    [
        ("sklearn", ["MLPClassifier", "MLPRegressor", "TablePreparation", "load"]),
        ("tables", ["Table", "TableError", "TablePreparation", "read_table", "write_table"]),
    ],
)
def test_packages_for_tables_have_these_public_names(package: str, names: list[str]) -> None:
    module = importlib.import_module(f"microgrud.{package}")
    assert module.__all__ == names
    for name in names:
        assert inspect.getdoc(getattr(module, name))
        assert f"`{name}`" in module.__doc__


@pytest.mark.skipif(sys.platform == "win32" or shutil.which("cc") is None, reason="takes a C compiler")
def test_a_compiler_without_vectors_gets_an_error_that_names_numpy() -> None:
    command = ["cc", "-E", "-U__GNUC__", "-U__clang__", str(ROOT / "_native" / "src" / "tape" / "module.c")]
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # the sanitizers'
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode != 0
    assert "needs the vector extensions of GCC or Clang; without it, programs run in NumPy" in done.stderr
