"""Which engine runs: the one in C where it was built, or the one in plain Python; MICROGRUD_BACKEND chooses.

`engine` is the extension module, or None. The modules that have a twin in C ask for it in their last lines.

`microgrud.backend`, "c" or "python", speaks of the engine. Compiled functions are replayed in C by a second extension,
`microgrud._native.tape`, if the engine in C runs and that extension is there. It takes the vector extensions of GCC or
Clang; where another compiler built the engine alone, or there was none, the interpreter in NumPy replays them, and
`stats["block_size"]` of a compiled function is 0. A wheel without extensions is tagged `py3-none-any`.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any

_CHOICES = ("", "python", "c")


def _chosen() -> ModuleType | None:
    """Import the extension as the environment variable asks for it: `python`, `c`, or whatever there is."""
    choice = os.environ.get("MICROGRUD_BACKEND", "")
    if choice not in _CHOICES:
        raise ImportError(f"MICROGRUD_BACKEND: expected python or c, got {choice!r}")
    if choice == "python":
        return None
    name = "microgrud._native.engine"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        folder = os.path.dirname(os.path.dirname(__file__))
        reason = (
            f"is not in {folder}: in a clone of the repository type pip install -e . there; elsewhere install a C "
            "compiler and Python's headers (on Debian and Ubuntu: sudo apt-get install gcc python3-dev), and then "
            "microgrud anew, from where you had it, with the options --force-reinstall --no-cache-dir of pip"
        )
    except (ImportError, AttributeError, LookupError) as error:
        # Built for another Python or for an older microgrud, say, or this is an interpreter with a lock of its own.
        reason = f"does not load here: {error!r}"
        if not choice:
            warnings.warn(f"the engine in C {reason}; the one in Python runs", RuntimeWarning, stacklevel=2)
    if choice == "c":
        raise ImportError(f"MICROGRUD_BACKEND=c asks for the engine in C, which {reason}")
    return None


engine = _chosen()
#: "c" or "python".
backend = "python" if engine is None else "c"


def accelerate(namespace: dict[str, Any], table: Mapping[str, Any]) -> None:
    """Put callables of C in the place of a module's functions, where the engine in C runs.

    Each does at once what is usual, and asks the function it stands for in all other cases.

    Args:
        namespace: the globals of the module.
        table: the operations by the names of their functions.
    """
    for name, operation in table.items() if engine is not None else ():
        function = namespace.get(name)
        if function is not None and function.__module__ == namespace["__name__"]:
            namespace[name] = engine.accelerate(function, operation)  # type: ignore[union-attr]
