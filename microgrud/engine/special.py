"""Entries of the operation table for special functions; `ops.py` explains how to read an entry.

`methods.py` imports this module, so that the table is complete before anything reads it.
"""

from __future__ import annotations

import math

from .ops import define

_DEGREES, _RADIANS = 180.0 / math.pi, math.pi / 180.0

DEGREES = define("degrees", math.degrees, lambda z, x: _DEGREES, total=True)
RADIANS = define("radians", math.radians, lambda z, x: _RADIANS, total=True)
