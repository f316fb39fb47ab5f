"""The public names of the package: those of `from microgrud import *`, and those that Python's builtins have too."""

from __future__ import annotations

from types import ModuleType

#: Public names that `from microgrud import *` leaves out.
ALSO_BUILTINS = ["abs", "compile", "max", "min", "pow", "sum"]


def public_names(mg: ModuleType) -> list[str]:
    """Return all public names of a package."""
    return [*mg.__all__, *ALSO_BUILTINS]
