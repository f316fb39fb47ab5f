"""Parts of a page in HTML: tables, lists of terms, pictures. Every text is escaped."""

from __future__ import annotations

import html
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ..common.words import width_of
from .charts import Picture
from .scores import figures

#: The width of a text, in letters, from which on it is broken into lines.
_LONG = 14
_NUMBER = re.compile(r"(-?[\d.]+(e[-+]\d+)?( ±\u00a0[\d.]+)?)?")
#: The number of rows from which on a table scrolls inside the page.
_TALL = 40
#: The smallest scale to which a picture shrinks; it scrolls on a narrower page. Its letters are 9 pixels high then.
_SMALLEST = 0.72
#: The width in pixels from which on a picture has a row of the page for itself.
_COLUMN = 600.0


class Bar(NamedTuple):
    """A bar from 0 to `length`, and a line that is `spread` long on both sides of its end; in shares of the cell."""

    length: float
    spread: float

    def __str__(self) -> str:
        length, left, right = (min(1.0, max(0.0, self.length + way * self.spread)) for way in (0, -1, 1))
        return f'<span style="width:{length:.1%}"></span><i style="left:{left:.1%};width:{right - left:.1%}"></i>'


Cell: TypeAlias = str | float | int | Bar


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table; the first cell of a row is its heading, and numbers are aligned on the right."""
    texts = [[x if isinstance(x, Bar) else figures(x).replace("± ", "±\u00a0") for x in row] for row in rows]
    numeric = [all(isinstance(x, str) and _NUMBER.fullmatch(x) for x in column) for column in zip(*texts)]

    def cell(tag: str, text: str | Bar, number: bool, attributes: str = "") -> str:
        if isinstance(text, Bar):
            return f'<td class="bar">{text}</td>'
        kind = ' class="number"' if number else ' class="long"' if width_of(text) > _LONG else ""
        return f"<{tag}{attributes}{kind}>{html.escape(text)}</{tag}>"

    head = "".join(map(cell, ["th"] * len(header), header, numeric, [' scope="col"'] * len(header)))
    lines = [
        cell("th", row[0], numeric[0], ' scope="row"') + "".join(map(cell, ["td"] * len(row), row[1:], numeric[1:]))
        for row in texts
    ]
    return (
        f'<div class="scroll{" tall" * (len(lines) > _TALL)}"><table>\n<caption>{html.escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(f"<tr>{line}</tr>" for line in lines)
        + "\n</tbody></table></div>"
    )


def meanings(meanings: Mapping[str, str]) -> str:
    """Return a list of terms, each with its meaning."""
    items = (f"<dt>{html.escape(term)}</dt><dd>{html.escape(meaning)}</dd>" for term, meaning in meanings.items())
    return f"<dl>{''.join(items)}</dl>"


def side_by_side(*pictures: Picture) -> str:
    """Return pictures side by side, or below each other on a narrow page; an empty text for none."""
    return f'<div class="side">{"".join(map(_figure, pictures))}</div>' if pictures else ""


def _figure(picture: Picture) -> str:
    if not picture.files:
        return f'<p class="missing">{html.escape(picture.caption)}</p>'
    themes = ("light", "dark") if len(picture.files) == 2 else ("both",)
    alt = html.escape(picture.alt)
    inlined = (
        f'<img class="{theme}" src="data:image/svg+xml;base64,{b64encode(svg).decode()}" alt="{alt}" '
        f'style="min-width:{_SMALLEST * _width(svg):.0f}px">'
        for theme, svg in zip(themes, picture.files)
    )
    caption = f"<figcaption>{html.escape(picture.caption)}</figcaption>"
    wide = ' class="wide"' if _width(picture.files[0]) > _COLUMN else ""
    return f'<figure{wide}><div class="scroll">{"".join(inlined)}</div>{caption}</figure>'


def _width(svg: bytes) -> float:
    """Return the width of an SVG file in pixels."""
    found = re.search(rb'<svg[^>]*? width="([\d.]+)pt"', svg)
    return float(found[1]) * 4 / 3 if found else 0.0
