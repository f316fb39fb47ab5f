"""Frame the pictures that notebooks draw: words for readers who do not see them, and the way to their full size."""

from __future__ import annotations

import html
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: The width of the column of text on a wide screen, in pixels: wider pictures are shrunk there, and scroll on phones.
COLUMN = 740
IMAGE = re.compile(r'<img (?P<before>[^>]*)src="(?P<source>[^"]*_images/(?P<name>[^"/]+))"(?P<after>[^>]*)>')
HEADING = re.compile(r"<h[1-6]>(.*?)<a class=\"headerlink\"", re.DOTALL)


def width(path: Path) -> float:
    """Return the width of a PNG, GIF or SVG in pixels, and 0 for other files."""
    start = path.read_bytes()[:2000]
    if start.startswith(b"\x89PNG"):
        return float(struct.unpack(">I", start[16:20])[0])
    if start.startswith(b"GIF8"):
        return float(struct.unpack("<H", start[6:8])[0])
    found = re.search(rb'<svg[^>]*? width="([\d.]+)(pt)?"', start)
    return float(found[1]) * (4 / 3 if found[2] else 1) if found else 0.0


def frame(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Describe the outputs of a page that are pictures, and link those that are shrunk to their full size."""
    body = context.get("body", "")
    files = {name: Path(app.srcdir) / source for source, name in getattr(app.builder, "images", {}).items()}

    def framed(match: re.Match[str]) -> str:
        tag = match[0]
        if match["name"] in re.findall(r'alt="[^"]*?([^"/]*)"', tag):  # the name of a file stands for no words
            headings = HEADING.findall(body, 0, match.start())
            words = re.sub(r"<[^>]+>", "", headings[-1]) if headings else "picture"
            tag = re.sub(r'alt="[^"]*"', f'alt="{html.escape(html.unescape(words))}: drawn by the code above"', tag)
        is_link = re.search(r"<a [^>]*>\s*$", body[: match.start()])
        if is_link or width(files[match["name"]]) <= COLUMN:
            return tag
        return f'<a class="wide" href="{match["source"]}" title="Open the picture at its full size">{tag}</a>'

    if "body" in context:
        context["body"] = IMAGE.sub(framed, body)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the above."""
    app.connect("html-page-context", frame)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
