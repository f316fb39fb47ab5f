"""Special functions, which take what those of `microgrud.functions` take; no names of Python are among them."""

from __future__ import annotations

from .engine import native, ops, special as entries
from .typing import AnyNumber

# --- angles ---


def degrees(x: AnyNumber) -> AnyNumber:
    """Convert an angle from radians to degrees: x 180/pi.

    d degrees(x)/dx = 180/pi.

    >>> degrees(1.0)
    57.29577951308232
    """
    return entries.DEGREES(x)


def radians(x: AnyNumber) -> AnyNumber:
    """Convert an angle from degrees to radians: x pi/180.

    d radians(x)/dx = pi/180.

    >>> radians(180.0)
    3.141592653589793
    """
    return entries.RADIANS(x)


native.accelerate(globals(), ops.TABLE)
