"""Heat maps without NumPy: an image with a palette as a PNG in a data address, and the lines where numbers cross 0."""

from __future__ import annotations

import base64
import itertools
import math
import struct
import zlib
from collections.abc import Iterator, Sequence

#: Numbers on a grid, from the lowest row to the highest one.
Grid = Sequence[Sequence[float]]


def png(rows: Sequence[bytes], palette: Sequence[tuple[int, int, int, int]]) -> str:
    """Return an image as a data address.

    Args:
        rows: the pixels from the top row on: for each its index in the palette.
        palette: at most 256 colours: red, green, blue and opacity, each from 0 to 255.

    >>> png([bytes([0])], [(0, 0, 0, 0)]).startswith("data:image/png;base64,iVBOR")
    True
    """
    colours = b"".join(bytes(colour[:3]) for colour in palette)
    opacities = bytes(colour[3] for colour in palette)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", colours), (b"tRNS", opacities), (b"IDAT", pixels), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def crossings(grid: Grid) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """Yield the pieces of the line on which numbers on a grid cross 0, by marching squares.

    A place is (column, row), in cells from the first number on. A cell with a number that is not finite has no pieces.

    >>> list(crossings([[-1.0, 1.0], [-1.0, 3.0]]))
    [((0.5, 0.0), (0.25, 1.0))]
    """
    for j, (below, above) in enumerate(itertools.pairwise(grid)):
        for i in range(len(below) - 1):
            corners = ((i, j, below[i]), (i + 1, j, below[i + 1]), (i + 1, j + 1, above[i + 1]), (i, j + 1, above[i]))
            signs = [number > 0.0 for _, _, number in corners]
            if all(signs) or not any(signs) or not all(math.isfinite(number) for _, _, number in corners):
                continue
            found = []
            for (x, y, a), (u, v, b) in zip(corners, (*corners[1:], corners[0])):
                if (a > 0.0) != (b > 0.0):
                    share = a / (a - b)
                    found.append((x + share * (u - x), y + share * (v - y)))
            middle = sum(number / 4.0 for _, _, number in corners) > 0.0
            if len(found) == 4 and signs[0] != middle:  # a saddle: the corners of the sign of the middle are joined
                found = [found[3], *found[:3]]
            yield from zip(found[::2], found[1::2])
