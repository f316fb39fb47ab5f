"""Parts that tests of pictures share: the outlines in a chart, and a picture of three states."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from microgrud import Value
from microgrud.interactive import Residuals, residuals

SVG = "{http://www.w3.org/2000/svg}"
XS, YS = [-1.0, 0.0, 2.0], [3.0, 1.0, -3.0]


def paths(picture: str, kind: str) -> list[str]:
    """Return the outlines of a class between the axes of a chart."""
    (inside,) = ElementTree.fromstring(picture).findall(f"{SVG}svg")
    return [path.attrib["d"] for path in inside.iter(f"{SVG}path") if path.get("class") == kind]


def trained() -> Residuals:
    """Return the residuals of a line at the start and after each of two steps; the last one fits."""
    w, b = Value(0.0), Value(0.0)
    picture = residuals(lambda x: w * x + b, XS, YS)
    for w.data, b.data in ((-1.0, 0.5), (-2.0, 1.0)):
        picture.record()
    return picture
