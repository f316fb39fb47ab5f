"""Check an installation without extras: the library works with NumPy alone, and importing it is quick.

The time is the least of several fresh processes, and starts when NumPy has been imported.
"""

import importlib.metadata
import subprocess
import sys

MOST_MILLISECONDS = 50
TIMED = "import numpy, time; t = time.perf_counter(); import microgrud; print((time.perf_counter() - t) * 1e3)"
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

installed = {distribution.metadata["Name"].lower() for distribution in importlib.metadata.distributions()}
print("installed:", ", ".join(sorted(installed)))
if not installed <= {"microgrud", "numpy", "pip", "setuptools", "wheel"}:
    sys.exit("more than NumPy is installed: this check proves nothing")

subprocess.run([sys.executable, "-c", WORKS], check=True)

times = [float(subprocess.check_output([sys.executable, "-c", TIMED])) for _ in range(9)]
print(f"import microgrud: {min(times):.1f} ms beyond NumPy (least of {len(times)}, at most {MOST_MILLISECONDS} wanted)")
if min(times) > MOST_MILLISECONDS:
    sys.exit("importing takes too long")

job = subprocess.run([sys.executable, "-m", "microgrud", "train"], capture_output=True, text=True)
print("microgrud train:", job.stderr.strip())
if job.returncode != 2 or "pip install 'microgrud[train]'" not in job.stderr or job.stderr.count("\n") != 1:
    sys.exit("the command line should say in one line which extra to install")
