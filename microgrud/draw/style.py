"""How values look: shapes and colours that tell them apart in grey and to the colour-blind, and numbers in short."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

from .graph import Kind


@dataclass(frozen=True)
class Look:
    """The outline of a box, and the colour of its title; the outlines alone tell the kinds apart."""

    title: str
    attributes: dict[str, str]


#: Tints of the palette of Okabe and Ito, which the colour-blind can tell apart; outlines differ as well.
LOOKS = {
    Kind.ROOT: Look("#f6cfa3", {"shape": "box", "peripheries": "2", "penwidth": "1.4"}),
    Kind.PARAMETER: Look("#bfdcf2", {"shape": "box", "style": "rounded,filled", "penwidth": "2.2"}),
    Kind.INPUT: Look("#b9e3d2", {"shape": "note", "penwidth": "1.2"}),
    Kind.LEAF: Look("#e4e4e4", {"shape": "box", "style": "filled,dashed", "penwidth": "1.2"}),
    Kind.RESULT: Look("#ffffff", {"shape": "box", "penwidth": "0.8"}),
}
#: Written behind a backslash, that it begins no escape of Graphviz's, such as that for the name of a node.
_NO_WIDTH = "\u200b"
INK, FAINT = "#1f2328", "#6a737d"
#: Of the node whose turn it is; its outline is thick as well.
ACTIVE = "#a6004f"
#: Of a gradient above and below 0: blue and orange, from the same palette; the sign is written too.
RISING, FALLING = (0, 114, 178), (213, 94, 0)


def short(number: float, digits: int) -> str:
    """Write a number with so many significant digits, with a minus sign that is as wide as a plus.

    >>> short(-0.5, 4), short(1234567.0, 4), short(2.0, 4)
    ('\u22120.5', '1.235e+06', '2')
    """
    return f"{number:.{digits}g}".replace("-", "\u2212", 1) if not math.isnan(number) else "nan"


def tint(grad: float, largest: float) -> str:
    """Return a colour for a gradient: its hue is the sign, its strength the size, over four powers of ten.

    >>> tint(0.0, 1.0), tint(1.0, 1.0), tint(-1.0, 1.0)
    ('#ffffff', '#8cc0dc', '#ecb78c')
    """
    if grad == 0.0 or math.isnan(grad) or largest == 0.0:
        return "#ffffff"
    size = 1.0 if math.isinf(grad) or math.isinf(largest) else abs(grad) / largest
    return hue(grad, 0.45 * max(0.12, 1.0 + math.log10(max(size, 1e-300)) / 4.0))


def hue(number: float, strength: float) -> str:
    """Return the colour of a number's sign, mixed with white: 0 is white, 1 the full colour.

    >>> hue(1.0, 1.0), hue(-1.0, 0.5)
    ('#0072b2', '#eaae80')
    """
    colour = RISING if number > 0.0 else FALLING
    red, green, blue = (round(255 + (channel - 255) * strength) for channel in colour)
    return f"#{red:02x}{green:02x}{blue:02x}"


def escaped(text: str) -> str:
    """Return text for a label in Graphviz's HTML, short enough to be read."""
    shown = text if len(text) <= 40 else f"{text[:39]}\u2026"
    return html.escape(" ".join(shown.split()) or shown, quote=True).replace("\\", "\\" + _NO_WIDTH)


def literal(text: str) -> str:
    """Return text for an attribute of Graphviz, in which nothing stands for something else."""
    return text.replace("&", "&amp;").replace("\\", "\\\\" + _NO_WIDTH)
