"""Shapes and colours of boxes, distinguishable in greyscale and by colour-blind readers, and Graphviz labels."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..engine import Value
from .value_graph import Kind


@dataclass(frozen=True)
class BoxStyle:
    """The outline of a box and the colour of its title. The outlines alone distinguish the kinds of values."""

    title: str
    attributes: dict[str, str]


#: The colours are tints of the palette of Okabe and Ito, which colour-blind readers can distinguish.
BOX_STYLES = {
    Kind.ROOT: BoxStyle("#f6cfa3", {"shape": "box", "peripheries": "2", "penwidth": "1.4"}),
    Kind.PARAMETER: BoxStyle("#bfdcf2", {"shape": "box", "style": "rounded,filled", "penwidth": "2.2"}),
    Kind.INPUT: BoxStyle("#b9e3d2", {"shape": "note", "penwidth": "1.2"}),
    Kind.LEAF: BoxStyle("#e4e4e4", {"shape": "box", "style": "filled,dashed", "penwidth": "1.2"}),
    Kind.RESULT: BoxStyle("#ffffff", {"shape": "box", "penwidth": "0.8"}),
}
#: Written after a backslash, so that the backslash starts no escape sequence of Graphviz, such as that for a node name.
_ZERO_WIDTH_SPACE = "\u200b"
FONT = "Helvetica"
INK, FAINT = "#1f2328", "#6a737d"
#: The sides of a box at which edges leave and arrive, by the direction in which the graph grows.
PORTS = {"LR": ("e", "w"), "RL": ("w", "e"), "TB": ("s", "n"), "BT": ("n", "s")}
#: The colour of the node that a step of the backward pass visits; its outline is thick as well.
ACTIVE = "#a6004f"
#: The colour of NaN and infinite weights; their lines are dotted as well.
BROKEN = "#a6004f"
#: The colours of gradients above and below 0: blue and orange, from the same palette. The sign is written too.
RISING, FALLING = (0, 114, 178), (213, 94, 0)


def short(number: float, digits: int) -> str:
    """Write a number with `digits` significant digits, and with a minus sign as wide as a plus.

    >>> short(-0.5, 4), short(1234567.0, 4), short(2.0, 4)
    ('\u22120.5', '1.235e+06', '2')
    """
    return f"{number:.{digits}g}".replace("-", "\u2212", 1) if not math.isnan(number) else "nan"


def spread(numbers: Sequence[float], digits: int) -> str:
    """Write the range of numbers, or the number that all of them are.

    >>> spread([2.0, 0.5], 4), spread([1.0, 1.0], 4)
    ('0.5 to 2', '1')
    """
    return in_words(numbers, lambda x: short(x, digits))


def in_words(numbers: Sequence[float], written: Callable[[float], str]) -> str:
    """Write the range of numbers, each as a function writes it; NaN belongs to no range, and is named after it.

    >>> in_words([2.0, math.nan, 0.5], repr), in_words([math.nan], repr)
    ('0.5 to 2.0, nan', 'nan')
    """
    known = [x for x in numbers if not math.isnan(x)]
    ends = [written(min(known)), written(max(known))] if known else []
    words = " to ".join(dict.fromkeys(ends))
    return ", ".join([words] * bool(known) + ["nan"] * (len(known) < len(numbers)))


def grads_of(nodes: Sequence[Value], grads: Mapping[Value, float]) -> list[float]:
    """Return the grads of nodes: 0 for those that have received nothing, and an empty list if none has."""
    return [grads.get(x, 0.0) for x in nodes] if any(x in grads for x in nodes) else []


def strongest(grads: Sequence[float]) -> float:
    """Return the number furthest from 0, which colours the range of grads: 0 if there is none.

    >>> strongest([math.nan, -2.0, 1.0])
    -2.0
    """
    return max((x for x in grads if not math.isnan(x)), key=abs, default=0.0)


def tint(grad: float, largest: float) -> str:
    """Return a colour for a gradient: the hue shows its sign, the strength its size over four orders of magnitude.

    >>> tint(0.0, 1.0), tint(1.0, 1.0), tint(-1.0, 1.0)
    ('#ffffff', '#8cc0dc', '#ecb78c')
    """
    if grad == 0.0 or math.isnan(grad) or largest == 0.0:
        return "#ffffff"
    size = 1.0 if math.isinf(grad) or math.isinf(largest) else abs(grad) / largest
    return hue(grad, 0.45 * max(0.12, 1.0 + math.log10(max(size, 1e-300)) / 4.0))


def hue(number: float, strength: float) -> str:
    """Return the colour of a number's sign, mixed with white: strength 0 is white, 1 the full colour.

    >>> hue(1.0, 1.0), hue(-1.0, 0.5)
    ('#0072b2', '#eaae80')
    """
    colour = RISING if number > 0.0 else FALLING
    red, green, blue = (round(255 + (channel - 255) * strength) for channel in colour)
    return f"#{red:02x}{green:02x}{blue:02x}"


def caption(lines: Iterable[str]) -> dict[str, str]:
    """Return the attributes of a graph with lines of text below it."""
    label = "".join(f'{literal(line)}<BR ALIGN="LEFT"/>' for line in lines)
    return {"label": f"<{label}>", "labeljust": "l", "fontname": FONT, "fontsize": "11", "fontcolor": INK}


def table(rows: Iterable[str]) -> str:
    """Return the label of a box with rows of Graphviz's HTML."""
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3">{"".join(rows)}</TABLE>>'


def escaped(text: str) -> str:
    r"""Return text for a label in Graphviz's HTML, shortened to 40 characters.

    >>> escaped("<b>"), escaped("\t")
    ('&lt;b&gt;', ' ')
    """
    return html.escape(_readable(text), quote=True).replace("\\", "\\" + _ZERO_WIDTH_SPACE)


def plain(text: str) -> str:
    """Return text for a label that is not HTML, shortened to 40 characters."""
    return literal(_readable(text))


def literal(text: str) -> str:
    r"""Return text for an attribute of Graphviz, escaped so that Graphviz shows it literally.

    Graphviz would read a text between angle brackets as HTML, and a character that XML forbids breaks the picture.

    >>> literal("<<>>"), literal("\x1b[0m")
    ('&lt;&lt;&gt;&gt;', '␛[0m')
    """
    return html.escape(_FORBIDDEN.sub(_stand_in, text), quote=False).replace("\\", "\\\\" + _ZERO_WIDTH_SPACE)


#: The code points that XML forbids: control characters, halves of surrogate pairs, and two non-characters.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def _stand_in(match: re.Match[str]) -> str:
    """Return Unicode's symbol for a control character, and its replacement character for the others."""
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"


def _readable(text: str) -> str:
    """Return text on one line, shortened to 40 characters; text of white space only becomes one space."""
    one_line = _FORBIDDEN.sub(_stand_in, " ".join(text.split()) or " " * bool(text))
    return one_line if len(one_line) <= 40 else f"{one_line[:39]}\u2026"
