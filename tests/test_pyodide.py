"""The package in Pyodide, Python as WebAssembly: in Node, without NumPy and without the C engine.

Runs where Node is installed and PYODIDE names the folder of the npm package `pyodide`, or the playground of the site
has been built, whose downloads are in build/playground.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from test_package import WITHOUT_NUMPY

ROOT = Path(__file__).resolve().parents[1]
NODE = shutil.which("node")
DOWNLOADS = sorted((ROOT / "build" / "playground").glob("pyodide-*.tgz"))

pytestmark = [
    pytest.mark.slow("10 s: starts Pyodide"),
    pytest.mark.skipif(not (NODE and ("PYODIDE" in os.environ or DOWNLOADS)), reason="takes Node and Pyodide"),
]

DEEP = """
import gc, sys, weakref
import microgrud
from microgrud import Value, asin, grad, log, sin
from microgrud.draw import explain

assert (sys.platform, microgrud.backend) == ("emscripten", "python")

def by_hand(y):
    node = Value(y.data, (y,))
    node._backward = lambda: setattr(y, "grad", y.grad + node.grad)
    return node

for link in (lambda y: y + 1.0, by_hand, lambda y: Value(y.data, (y,), local_grads=(1.0,))):
    x = Value(1.0)
    y, last = x, weakref.ref(x)
    for _ in range(100_000):
        y = link(y)
    y.backward()
    assert x.grad == 1.0
    del x, y
    gc.collect()
    assert last() is None
y = x = Value(1.0)
for _ in range(4_000):
    y = (y + y) * 0.5
assert explain(y, x).path_count == 2**4_000
assert grad(lambda x: sum([x] * 20_000))(2.0) == 20_000.0
for f, x, wanted in ((log, -1.0, "x > 0"), (asin, 2.0, "-1 <= x <= 1"), (sin, float("inf"), "a finite x")):
    try:
        f(Value(x))
    except ValueError as error:  # Python 3.14 has other texts
        assert str(error) == f"{f.__name__}({x}): expected {wanted}, got {x}", error
assert grad(grad(lambda x: x**3))(2.0) == 12.0
print("freed")
"""


@pytest.fixture(scope="module")
def pyodide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if "PYODIDE" in os.environ:
        return Path(os.environ["PYODIDE"])
    folder = tmp_path_factory.mktemp("pyodide")
    with tarfile.open(DOWNLOADS[-1]) as packed:
        packed.extractall(folder, filter="data")
    return folder / "package"


def printed(pyodide: Path, program: str, *arguments: str) -> str:
    command = [str(NODE), "tools/pyodide.mjs", str(pyodide), "-c", program, *arguments]
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_graphs_of_any_depth_are_differentiated_explained_and_freed(pyodide: Path) -> None:
    assert printed(pyodide, DEEP) == "freed\n"


def test_networks_are_trained_and_the_examples_of_the_readme_hold(pyodide: Path) -> None:
    *_, done = printed(pyodide, WITHOUT_NUMPY, "README.md").split("done ")
    assert int(done) >= 25, done
