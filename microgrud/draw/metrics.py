"""Sizes: the width of a text in Helvetica, and the size that a drawing will have, estimated without a layout.

Graphviz reserves the width of Helvetica for a text, and a reader's font may be wider: `fitted` fixes the width of each
text. `size_of` places boxes in ranks, as Graphviz does, to choose how much of a graph to draw.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

#: The widths of the characters from the space to the tilde in Helvetica and Arial, in thousandths of the font size.
# fmt: off
_WIDTHS = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778,
    722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278,
    278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
]
# fmt: on
#: The width that Graphviz reserves for each byte of any other character, and the width that these take at most.
_PER_BYTE, _OTHER = 278, 1000
_MINUS = "\u2212\u00d7"
#: The number of points between two ranks if no distance is set, and between two boxes of a rank.
_BETWEEN = 13.0


def width(text: str, size: float = 11.0) -> float:
    """Return the width of a text in Helvetica that Graphviz leaves room for, in points.

    Args:
        text: the text.
        size: the size of the font, in points.

    >>> round(width("W" * 10), 2), width("\u2212") < width("--")
    (103.84, True)
    """
    return sum(map(_width, text)) * size / 1000.0


def _width(letter: str) -> int:
    if " " <= letter <= "~":
        return _WIDTHS[ord(letter) - 32]
    if letter in _MINUS:
        return 584
    return min(_OTHER, _PER_BYTE * len(letter.encode(errors="replace")))


_TEXT = re.compile(r'<text ([^>]*font-size="([\d.]+)"[^>]*)>([^<]*)</text>')


def fitted(svg: str) -> str:
    """Give each text of a picture the width that its box has room for, whatever font the reader's browser takes.

    >>> fitted('<text x="0" y="0" font-size="10.00">WWWW</text>')
    '<text x="0" y="0" font-size="10.00" textLength="37.8" lengthAdjust="spacingAndGlyphs">WWWW</text>'
    """

    def fixed(match: re.Match[str]) -> str:
        text = html.unescape(match[3]).replace("\u200b", "")
        if len(text.strip()) < 2 or "textLength" in match[1]:
            return match[0]
        length = width(text, float(match[2]))
        if 'font-weight="bold"' in match[1]:
            length = min(1.07 * length, length + 3.0)  # half the padding of a cell
        return f'<text {match[1]} textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs">{match[3]}</text>'

    return _TEXT.sub(fixed, svg)


# --- the size of a drawing ---


class Size(NamedTuple):
    """A width and a height in points."""

    width: float
    height: float


class _Edge(NamedTuple):
    tail: str
    head: str
    label: float  # the width of its label


_NODE = re.compile(r"^\t+(\w+) \[(label=.*)\]\n", re.DOTALL)
_EDGE = re.compile(r"^\t+(\w+) -> (\w+)(?: \[(.*)\])?\n", re.DOTALL)
_CAPTION = re.compile(r"label=<(.*)> labeljust=l", re.DOTALL)
_LABEL = re.compile(r'label=(?:"([^"]*)"|<(.*)>(?= |$)|(\S+))', re.DOTALL)


def size_of(body: Iterable[str], rankdir: str, ranksep: float) -> Size:
    """Estimate the size of the picture of a graph, from the lines of its source.

    Args:
        body: the lines of nodes and edges.
        rankdir: the direction in which the graph grows.
        ranksep: the distance of two ranks, in inches.
    """
    boxes: dict[str, Size] = {}
    edges: list[_Edge] = []
    below: list[str] = []
    for line in body:
        if match := _EDGE.match(line):
            if "style=invis" not in line and "constraint=false" not in line:
                label = _LABEL.search(match[3] or "")
                edges.append(_Edge(match[1], match[2], width(label[1] or label[3] or "", 10.0) if label else 0.0))
        elif match := _NODE.match(line):
            boxes[match[1]] = _size_of_box(match[2])
        elif match := _CAPTION.search(line):
            below = html.unescape(match[1]).split('<BR ALIGN="LEFT"/>')[:-1]
    horizontal = rankdir in ("LR", "RL")
    along, across = (0, 1) if horizontal else (1, 0)
    ranks = _ranks(boxes, edges)
    rows: defaultdict[int, list[Size]] = defaultdict(list)
    for name, rank in ranks.items():
        rows[rank].append(boxes[name])
    labels: defaultdict[int, float] = defaultdict(float)
    passing: defaultdict[int, float] = defaultdict(float)
    for tail, head, text in edges:
        if tail in ranks and head in ranks:
            labels[ranks[head]] = max(labels[ranks[head]], text if horizontal else 14.0 if text else 0.0)
            for rank in range(ranks[tail] + 1, ranks[head]):
                passing[rank] += 0.6 * _BETWEEN
    length = sum(max(size[along] for size in row) for row in rows.values()) + sum(labels.values())
    length += 72.0 * ranksep * max(0, len(rows) - 1)
    breadth = max(sum(size[across] + _BETWEEN for size in row) + passing[rank] for rank, row in rows.items())
    wide, high = (length, breadth) if horizontal else (breadth, length)
    return Size(max(wide, 16.0 + max(map(width, below), default=0.0)), high + 15.0 * len(below))


def _ranks(boxes: dict[str, Size], edges: list[_Edge]) -> dict[str, int]:
    """Return the rank of each box: one more than that of the boxes before it; and leaves directly before their user."""
    after: defaultdict[str, list[str]] = defaultdict(list)
    waiting = dict.fromkeys(boxes, 0)
    for tail, head, _ in edges:
        if tail in boxes and head in boxes:
            after[tail].append(head)
            waiting[head] += 1
    sources = [name for name, count in waiting.items() if not count]
    ranks = dict.fromkeys(sources, 0)
    ready = list(sources)
    while ready:
        tail = ready.pop()
        for head in after[tail]:
            ranks[head] = max(ranks.get(head, 0), ranks[tail] + 1)
            waiting[head] -= 1
            if not waiting[head]:
                ready.append(head)
    for name in sources:
        ranks[name] = min((ranks[head] for head in after[name]), default=1) - 1
    return {name: ranks.get(name, 0) for name in boxes}


def _size_of_box(attributes: str) -> Size:
    label = _LABEL.search(attributes)
    if label is None:
        return Size(36.0, 36.0)
    if label[2] is None:
        text = label[1] or label[3] or ""
        return Size(max(26.0, width(text) + 8.0), 26.0)
    rows = [list(_cells(row)) for row in label[2].split("</TR>")[:-1]]
    tall = 1.0 if "box3d" not in attributes else 1.1
    return Size(max((sum(row) for row in rows), default=20.0) + 8.0, (19.0 * len(rows) + 8.0) * tall)


def _cells(row: str) -> Iterator[float]:
    for cell in row.split("</TD>")[:-1]:
        least = re.search(r'WIDTH="(\d+)"', cell)
        text = html.unescape(re.sub(r"<[^>]*>", "", cell))
        yield max(width(text) + 6.0, float(least[1]) if least else 0.0)
