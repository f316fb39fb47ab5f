"""Numbers in few bytes, the same on any machine: what the pickles of programs are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["pack_floats", "pack_integers", "unpack_floats", "unpack_integers"]

#: The widths that integers are written with, by the letter that stands before them.
_WIDTHS = {"b": "<i1", "h": "<i2", "i": "<i4", "q": "<i8"}


def pack_integers(numbers: Iterable[int]) -> bytes:
    r"""Write integers with as many bytes as the largest takes: a letter that says how many, and then all of them.

    >>> pack_integers([1, -2, 3]), len(pack_integers([1, 1000]))
    (b'b\x01\xfe\x03', 5)
    """
    array = np.fromiter(numbers, dtype=np.int64)
    low, high = (int(array.min()), int(array.max())) if len(array) else (0, 0)
    fitting = (x for x, width in _WIDTHS.items() if np.iinfo(width).min <= low and high <= np.iinfo(width).max)
    letter = next(fitting)
    return letter.encode() + array.astype(_WIDTHS[letter]).tobytes()


def unpack_integers(packed: Any) -> list[int]:
    """Return the integers that `pack_integers` wrote.

    Raises:
        ValueError: for other bytes.

    >>> unpack_integers(pack_integers([1, -2, 300]))
    [1, -2, 300]
    """
    width = _WIDTHS.get(chr(packed[0])) if isinstance(packed, bytes) and packed else None
    if width is None:
        raise ValueError(f"expected integers in bytes, got {_shown(packed)}")
    return _read(packed[1:], width)


def pack_floats(numbers: Iterable[float]) -> bytes:
    """Write floats, bit for bit."""
    return np.fromiter(numbers, dtype="<f8").tobytes()


def unpack_floats(packed: Any) -> list[float]:
    """Return the floats that `pack_floats` wrote.

    Raises:
        ValueError: for what are no such bytes.

    >>> unpack_floats(pack_floats([0.1, -0.0]))
    [0.1, -0.0]
    """
    if not isinstance(packed, bytes):
        raise ValueError(f"expected floats in bytes, got {_shown(packed)}")
    return _read(packed, "<f8")


def _read(packed: bytes, width: str) -> list[Any]:
    size = np.dtype(width).itemsize
    if len(packed) % size:
        raise ValueError(f"expected numbers of {size} bytes, got {len(packed)} bytes")
    numbers: list[Any] = np.frombuffer(packed, dtype=width).tolist()
    return numbers


def _shown(x: Any) -> str:
    return f"{x[:8]!r}" if isinstance(x, bytes) else f"an object of type {type(x).__name__}"
