"""How values look: shapes and colours that tell them apart in grey and to the colour-blind, and numbers in short."""

from __future__ import annotations

import html
import math
import re
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
#: On which sides edges leave a box and come to one, by where the graph grows to.
PORTS = {"LR": ("e", "w"), "RL": ("w", "e"), "TB": ("s", "n"), "BT": ("n", "s")}
#: Of the node whose turn it is; its outline is thick as well.
ACTIVE = "#a6004f"
#: Of what is neither a number nor finite; it is dotted as well.
BROKEN = "#a6004f"
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
    r"""Return text for a label in Graphviz's HTML, short enough to be read.

    >>> escaped("<b>"), escaped("\t")
    ('&lt;b&gt;', ' ')
    """
    return html.escape(_readable(text), quote=True).replace("\\", "\\" + _NO_WIDTH)


def plain(text: str) -> str:
    """Return text for a label that is not HTML, short enough to be read."""
    return literal(_readable(text))


def literal(text: str) -> str:
    r"""Return text for an attribute of Graphviz, in which nothing stands for something else.

    A text between angle brackets would be taken for HTML, and one with what XML forbids makes no picture at all.

    >>> literal("<<>>"), literal("\x1b[0m")
    ('&lt;&lt;&gt;&gt;', '␛[0m')
    """
    return html.escape(_FORBIDDEN.sub(_stand_in, text), quote=False).replace("\\", "\\\\" + _NO_WIDTH)


#: What may not stand in XML: control characters, halves of surrogate pairs, and two that are no characters.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def _stand_in(match: re.Match[str]) -> str:
    """Return the picture that Unicode has of a control character, and for the rest its mark for what is unreadable."""
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"


def _readable(text: str) -> str:
    """Return text in one line, and the beginning of a long one; of white space alone one space."""
    one_line = _FORBIDDEN.sub(_stand_in, " ".join(text.split()) or " " * bool(text))
    return one_line if len(one_line) <= 40 else f"{one_line[:39]}\u2026"
