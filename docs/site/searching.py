"""Finish the index of the search, and write the texts of pages for its excerpts where no server runs.

Sphinx's search asks the server for each page that it found, to show where the words stand. A page that was opened as a
file may not ask for others, so it loads `searchtexts.js` instead, which holds the texts of all pages.
"""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: Contents of elements that are not text to read.
UNREAD = {"script", "style", "svg"}
#: The texts of the pages that this build wrote; `make docs` always writes all.
TEXTS: dict[str, str] = {}


class Text(HTMLParser):
    """The text of a page: its only elements are the sections that have anchors."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._unread = 0
        self.feed(body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a section, or an element without text."""
        self._unread += tag in UNREAD
        if tag == "section":
            self.pieces.append(f'<div id="{html.escape(dict(attrs).get("id") or "")}">')

    def handle_endtag(self, tag: str) -> None:
        """Close a section, or an element without text."""
        self._unread -= tag in UNREAD
        if tag == "section":
            self.pieces.append("</div>")

    def handle_data(self, data: str) -> None:
        """Keep the text, with its white space shortened; `¶` is a link to a heading."""
        if not self._unread and data != "¶":
            self.pieces.append(html.escape(re.sub(r"\s+", " ", data), quote=False))


def collect(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Keep the text of a page that the search may find."""
    if doctree is not None and "nosearch" not in app.env.metadata[page]:
        TEXTS[page] = "".join(Text(context["body"]).pieces)


def finish(app: Sphinx, error: Exception | None) -> None:
    """Write the texts; take entries of the general index, which repeat names of the reference, out of the search."""
    if error is not None or app.builder.name != "html":
        return
    script = f"var SEARCH_TEXTS = {json.dumps(TEXTS, ensure_ascii=False)};"
    (Path(app.outdir) / "searchtexts.js").write_text(script, encoding="utf-8")
    path = Path(app.outdir) / "searchindex.js"
    before, _, rest = path.read_text(encoding="utf-8").partition("(")
    index = json.loads(rest[: rest.rindex(")")])
    index["indexentries"] = {}
    path.write_text(f"{before}({json.dumps(index, separators=(',', ':'))})", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the above."""
    app.connect("html-page-context", collect)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
