"""Test what is in C in an installed wheel: `python .ci/test_wheel.py ROOT`, with the tests' dependencies installed.

A wheel holds the engine, and the tape's interpreter too unless it was built by the compiler of Microsoft, which has no
vector extensions: there the one in NumPy runs. The tests are copied to where the package of the repository, which has
no extension, is not in the way.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(sys.argv[1]).resolve()
IN_C = ["engine"] if sys.platform == "win32" else ["engine", "tape"]
TESTS = ["test_parity.py", "test_native.py", "test_engine.py", "test_compile.py", "test_variants.py"]

os.environ["MICROGRUD_BACKEND"] = "c"
with tempfile.TemporaryDirectory() as folder:
    shutil.copytree(ROOT / "tests", Path(folder, "tests"))
    where = subprocess.run(
        [sys.executable, "-c", "import microgrud; print(microgrud.__file__)"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if Path(where.strip()).is_relative_to(ROOT / "microgrud"):
        sys.exit(f"expected the package of the wheel, got {where}")
    for name in IN_C:
        subprocess.run([sys.executable, "-c", f"import microgrud._native.{name}"], cwd=folder, check=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    sys.exit(subprocess.run([*command, *(f"tests/{name}" for name in TESTS)], cwd=folder, check=False).returncode)
