"""The choice of the engine: the C engine if it was built, else the Python engine; MICROGRUD_BACKEND overrides it.

`engine` is the extension module, or None. Modules with a twin in C replace their functions in their last lines.

`microgrud.backend` is "c" or "python". With the C engine, a second extension, `microgrud._native.tape`, replays
compiled functions. It needs the vector extensions of GCC or Clang to build. Without it, the interpreter in NumPy
replays them, and `stats["block_size"]` of a compiled function is 0. A wheel without extensions is tagged
`py3-none-any`.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Any

_CHOICES = ("", "python", "c")


def _chosen() -> ModuleType | None:
    """Return the extension, or None, as MICROGRUD_BACKEND demands: `python`, `c`, or whichever is available."""
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
            "install microgrud again from the same source, with pip's options --force-reinstall --no-cache-dir"
        )
    except (ImportError, AttributeError, LookupError) as error:
        # Built for another Python or for an older microgrud, or this is a subinterpreter with a lock of its own.
        reason = f"does not load here: {error!r}"
        if not choice:
            warnings.warn(f"the C engine {reason}; using the Python engine", RuntimeWarning, stacklevel=2)
    if choice == "c":
        raise ImportError(f"MICROGRUD_BACKEND=c asks for the C engine, which {reason}")
    return None


engine = _chosen()
#: The engine that runs: "c" or "python".
backend = "python" if engine is None else "c"


def accelerate(namespace: dict[str, Any], table: Mapping[str, Any]) -> None:
    """Replace a module's functions by callables in C, if the C engine runs.

    Each callable handles the common arguments itself, and calls the function that it replaces for all others.

    Args:
        namespace: the globals of the module.
        table: a dict from the names of functions to their operations.
    """
    for name, operation in table.items() if engine is not None else ():
        function = namespace.get(name)
        if function is not None and function.__module__ == namespace["__name__"]:
            namespace[name] = engine.accelerate(function, operation)  # type: ignore[union-attr]


def adopted(value: type[Any]) -> type[Any]:
    """Return Value in C, after it has taken over from the Python class what it does not have itself."""
    engine.adopt(value)  # type: ignore[union-attr]
    native: type[Any] = engine.Value  # type: ignore[union-attr]
    native.__name__, native.__doc__ = value.__name__, value.__doc__
    for name, attribute in vars(value).items():
        if isinstance(attribute, (FunctionType, property)) and name not in vars(native):
            setattr(native, name, engine.accelerate(attribute, name))  # type: ignore[union-attr]
    return native
