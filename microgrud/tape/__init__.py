"""`compile`: a function recorded once, and replayed forward and backward, right also where it branches."""

from __future__ import annotations

from ..common import needs_numpy as needs_numpy
from .compiled import Compiled, compile
from .integers import take
from .recorder import CompileError

__all__ = ["CompileError", "Compiled", "compile", "take"]
