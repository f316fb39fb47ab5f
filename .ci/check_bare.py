"""Check an installation without extras: the library works alone or with NumPy, and importing it is quick.

The time is that of the processor, the least of several fresh processes that have loaded the standard library's modules.
"""

import importlib.metadata
import subprocess
import sys

MOST_MILLISECONDS = 50
LOADED = """
import sys, microgrud
print(*(name for name in sys.modules if name.split('.')[0] in sys.stdlib_module_names))
"""
TIMED = """
import importlib, sys, time
for name in sys.argv[1:]:
    importlib.import_module(name)
start = time.process_time()
import microgrud
print((time.process_time() - start) * 1e3)
"""
WORKS = """
import sys
from microgrud import Value
x = Value(3.0)
y = x * x
y.backward()
assert (y.data, x.grad) == (9.0, 6.0)
third_party = {"matplotlib", "pandas", "scipy", "sklearn", "tqdm", "typer", "hypothesis", "mpmath", "graphviz"}
assert not third_party & set(sys.modules), third_party & set(sys.modules)
"""

WITH_NUMPY = """
import numpy as np
from microgrud import compile, grad, losses, nn, train
assert compile(lambda x: x * x).value_and_grad(3.0) == (9.0, 6.0)
assert grad(lambda x: x @ x)(np.ones(2)).tolist() == [2.0, 2.0]
X, y = np.linspace(-1.0, 1.0, 20)[:, None], np.linspace(0.0, 1.0, 20)
train.fit(nn.MLP(1, [1]), X, y, loss=losses.squared_error, epochs=2)
"""
ASKS = "import microgrud; microgrud.compile"

installed = {distribution.metadata["Name"].lower() for distribution in importlib.metadata.distributions()}
print("installed:", ", ".join(sorted(installed)))
if not installed <= {"microgrud", "numpy", "pip", "setuptools", "wheel"}:
    sys.exit("more than NumPy is installed: this check proves nothing")

subprocess.run([sys.executable, "-c", WORKS], check=True)
if "numpy" in installed:
    subprocess.run([sys.executable, "-c", WITH_NUMPY], check=True)
else:
    asked = subprocess.run([sys.executable, "-c", ASKS], capture_output=True, text=True)
    print("compile:", asked.stderr.strip().rpartition("\n")[2])
    if not asked.stderr.endswith("need numpy, which is not installed: pip install numpy\n"):
        sys.exit("an error should say that NumPy has to be installed")

loaded = subprocess.check_output([sys.executable, "-c", LOADED], text=True).split()
times = [float(subprocess.check_output([sys.executable, "-c", TIMED, *loaded])) for _ in range(9)]
print(f"import microgrud: {min(times):.1f} ms (least of {len(times)}, at most {MOST_MILLISECONDS} wanted)")
if min(times) > MOST_MILLISECONDS:
    sys.exit("importing takes too long")

job = subprocess.run([sys.executable, "-m", "microgrud", "train"], capture_output=True, text=True)
print("microgrud train:", job.stderr.strip())
if job.returncode != 2 or ": pip install typer openpyxl pandas " not in job.stderr or job.stderr.count("\n") != 1:
    sys.exit("the command line should say in one line what to install")
