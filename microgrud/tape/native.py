"""The extension of the interpreter in C, or None where it was not built or the Python engine runs."""

from __future__ import annotations

import importlib
from typing import Any

from ..engine import native

native_tape: Any = None
if native.engine is not None:
    try:
        native_tape = importlib.import_module("microgrud._native.tape")
    except ImportError:
        native_tape = None
