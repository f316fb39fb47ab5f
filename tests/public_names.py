"""The public names of the package: those of `from microgrud import *`, and those that it leaves out."""

from __future__ import annotations

from types import ModuleType

#: Public names that `from microgrud import *` leaves out: those of Python's builtins, and what needs NumPy or an extra.
ALSO_BUILTINS = ["abs", "compile", "max", "min", "pow", "sum"]
NEED_EXTRAS = ["CompileError", "draw", "plot", "tape", "train"]


def public_names(mg: ModuleType) -> list[str]:
    """Return all public names of a package."""
    return [*mg.__all__, *ALSO_BUILTINS, *NEED_EXTRAS]
