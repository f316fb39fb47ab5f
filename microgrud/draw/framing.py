"""The frame of pictures of graphs in pages: light and dark colours, and a sign where a picture scrolls."""

from __future__ import annotations

import re

from ..common.pages import COLOURS, CONTROLS, theme

#: The style of all frames. Shadows mark the sides at which a picture that is wider than its place continues: patches of
#: paper that scroll with the picture cover them at its ends.
STYLE = (
    theme(".microgrud-drawing", {name: COLOURS[name] for name in ("paper", "ink", "faint", "grid")} | CONTROLS)
    + """\
.microgrud-drawing { color-scheme: var(--mg-scheme); font: 15px/1.45 system-ui, sans-serif; color: var(--mg-ink);
  background: var(--mg-paper); border: 1px solid var(--mg-grid); border-radius: 8px; padding: 8px 12px;
  max-width: 100%; box-sizing: border-box; }
.microgrud-drawing.plain { width: fit-content; }
.microgrud-drawing .picture { overflow: auto; --mg-shade: rgb(128 128 128 / 0.55); background:
  linear-gradient(to right, var(--mg-paper) 12px, transparent) left / 48px 100% no-repeat local,
  linear-gradient(to left, var(--mg-paper) 12px, transparent) right / 48px 100% no-repeat local,
  linear-gradient(to right, var(--mg-shade), transparent) left / 18px 100% no-repeat,
  linear-gradient(to left, var(--mg-shade), transparent) right / 18px 100% no-repeat; }
.microgrud-drawing .picture svg { display: block; filter: var(--mg-picture); }
.microgrud-drawing .picture svg a, .microgrud-drawing .picture svg a:hover { text-decoration: none; cursor: default; }
.microgrud-drawing button { font: inherit; color: inherit; background: var(--mg-button);
  border: 1px solid var(--mg-faint); border-radius: 6px; min-height: 36px; padding: 2px 10px; cursor: pointer; }
.microgrud-drawing:focus-visible, .microgrud-drawing :is(button, input, .picture):focus-visible {
  outline: 3px solid var(--mg-focus); outline-offset: 1px; }
"""
)


def framed(svg: str) -> str:
    """Return the SVG of a picture as HTML, in which it scrolls if it is wider than its place.

    >>> framed('<?xml version="1.0"?><svg id="a"></svg>').splitlines()[-2]
    '<div class="picture" role="region" aria-label="The picture" tabindex="0"><svg></svg></div>'
    """
    inline = svg[svg.index("<svg") :]
    if "url(#" not in inline:
        inline = re.sub(r' id="[^"]*"', "", inline)  # two pictures on a page have the same ones
    return (
        f'<section class="microgrud-drawing plain" role="group" aria-label="A graph">\n<style>\n{STYLE}</style>\n'
        f'<div class="picture" role="region" aria-label="The picture" tabindex="0">{inline}</div>\n</section>\n'
    )
