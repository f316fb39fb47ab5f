"""A function of two numbers as a heat map with contour lines, computed in pure Python."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence

from .charts import Axis, line

#: The points of the grid along each axis, and the number of contour lines.
_POINTS = 45
_LEVELS = 11
#: An edge of the grid, by the column and the row of both ends.
Edge = tuple[tuple[int, int], tuple[int, int]]
#: Colours from low to high: the lower, the darker, as in all pictures of losses.
_COLOURS = ((49, 104, 142), (96, 158, 170), (158, 202, 190), (219, 234, 208), (252, 246, 227))


def grid(x: Axis, y: Axis) -> list[tuple[float, float]]:
    """Return the points of the heat map, row by row from below."""
    xs, ys = ([s.low + (s.high - s.low) * k / (_POINTS - 1) for k in range(_POINTS)] for s in (x, y))
    return [(a, b) for b in ys for a in xs]


def heat_map(heights: Sequence[float], x: Axis, y: Axis) -> str:
    """Return the heat map and its contour lines as SVG.

    Levels are such that the areas between neighbouring lines are equal: a valley shows as well as a cliff.

    Args:
        heights: the number at each point of the grid; where it is not finite, the map is transparent.
        x: the horizontal scale.
        y: the vertical scale.
    """
    finite = sorted(h for h in heights if math.isfinite(h)) or [0.0]
    quantiles = [finite[(len(finite) - 1) * k // 64] for k in range(65)]
    rows = [heights[k : k + _POINTS] for k in range(0, len(heights), _POINTS)]
    half_x, half_y = (abs(s.end - s.start) / (_POINTS - 1) / 2.0 for s in (x, y))
    image = (
        f'<image x="{x.start - half_x:.2f}" y="{y.end - half_y:.2f}" width="{x.end - x.start + 2 * half_x:.2f}" '
        f'height="{y.start - y.end + 2 * half_y:.2f}" preserveAspectRatio="none" '
        f'href="{png([[_colour(h, quantiles) for h in row] for row in reversed(rows)])}"/>'
    )
    levels = sorted({quantiles[64 * k // (_LEVELS + 1)] for k in range(1, _LEVELS + 1)})
    column, row = (x.end - x.start) / (_POINTS - 1), (y.end - y.start) / (_POINTS - 1)
    lines = [[(x.start + column * u, y.start + row * v) for u, v in path]
             for level in levels for path in contour(rows, level)]  # fmt: skip
    outline = "".join(map(line, lines))
    return f'{image}<path class="contour" d="{outline}"/>'


def _colour(height: float, quantiles: Sequence[float]) -> bytes:
    """Return red, green, blue and opacity of a height, by the part of the map that is lower."""
    if not math.isfinite(height):
        return bytes(4)
    below = sum(q < height for q in quantiles)
    inside = 0.0
    if 0 < below < len(quantiles):
        low, high = quantiles[below - 1], quantiles[below]
        inside = (height - low) / (high - low) if high > low else 0.0
    position = min(1.0, max(0.0, (below - 1 + inside) / (len(quantiles) - 1))) * (len(_COLOURS) - 1)
    k = min(int(position), len(_COLOURS) - 2)
    mixed = [round(a + (b - a) * (position - k)) for a, b in zip(_COLOURS[k], _COLOURS[k + 1])]
    return bytes([*mixed, 255])


def png(rows: Sequence[Sequence[bytes]]) -> str:
    """Return an image of pixels in red, green, blue and opacity, from the top row on, as the address of a PNG file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 6, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + b"".join(row) for row in rows), 9)
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(file).decode("ascii")


def contour(rows: Sequence[Sequence[float]], level: float) -> list[list[tuple[float, float]]]:
    """Return the lines along which a function on a grid has a level, in columns and rows of the grid.

    By marching squares: a line crosses those edges of a cell whose ends lie on both sides of the level.

    >>> contour([[0.0, 1.0], [0.0, 1.0]], 0.25)
    [[(0.25, 0.0), (0.25, 1.0)]]
    """
    neighbours: dict[Edge, list[Edge]] = {}
    for j in range(len(rows) - 1):
        for i in range(len(rows[0]) - 1):
            corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
            heights = [rows[b][a] for a, b in corners]
            if not all(map(math.isfinite, heights)):
                continue
            edges = [
                (min(corners[k - 1], corners[k]), max(corners[k - 1], corners[k]))
                for k in range(4)
                if (heights[k - 1] < level) != (heights[k] < level)
            ]
            if len(edges) == 4 and (sum(heights) / 4.0 < level) == (heights[0] < level):
                edges = edges[1:] + edges[:1]  # a saddle: the middle decides which corners belong together
            for start, end in zip(edges[::2], edges[1::2]):
                neighbours.setdefault(start, []).append(end)
                neighbours.setdefault(end, []).append(start)
    return [[_crossing(rows, edge, level) for edge in path] for path in _joined(neighbours)]


def _crossing(rows: Sequence[Sequence[float]], edge: Edge, level: float) -> tuple[float, float]:
    """Return the point of an edge at which a line has the level."""
    (i, j), (k, m) = edge
    part = (level - rows[j][i]) / (rows[m][k] - rows[j][i])
    return i + part * (k - i), j + part * (m - j)


def _joined(neighbours: dict[Edge, list[Edge]]) -> list[list[Edge]]:
    """Return the pieces between neighbouring edges as lines, those with ends first."""
    paths = []
    for first in sorted(neighbours, key=lambda edge: len(neighbours[edge]) != 1):
        while neighbours[first]:
            path = [first]
            while neighbours[path[-1]]:
                there = neighbours[path[-1]].pop()
                neighbours[there].remove(path[-1])
                path.append(there)
            paths.append(path)
    return paths
