"""Which engine runs: the one in C where it was built, or the one in plain Python; MICROGRUD_BACKEND chooses.

`engine` is the extension module, or None. The modules that have a twin in C ask for it in their last lines.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

_CHOICES = ("", "python", "c")


def _chosen() -> ModuleType | None:
    """Import the extension as the environment variable asks for it: `python`, `c`, or whatever there is."""
    choice = os.environ.get("MICROGRUD_BACKEND", "")
    if choice not in _CHOICES:
        raise ImportError(f"MICROGRUD_BACKEND: expected python or c, got {choice!r}")
    if choice == "python":
        return None
    try:
        return importlib.import_module("._native.engine", __package__)
    except ModuleNotFoundError:
        if choice == "c":
            raise ImportError(
                "MICROGRUD_BACKEND=c asks for the engine in C, which was not built when microgrud was installed; "
                "install a C compiler and Python's headers (on Debian and Ubuntu: sudo apt-get install gcc "
                "python3-dev) and then microgrud anew: pip install --force-reinstall --no-cache-dir microgrud"
            ) from None
        return None


engine = _chosen()
#: "c" or "python".
backend = "python" if engine is None else "c"
