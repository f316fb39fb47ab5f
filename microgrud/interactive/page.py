"""The frame of the widgets: HTML with a picture, words, a style and a script, in a notebook or as a page of its own."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib import resources
from string import Template
from typing import Any, ClassVar

from ..common.pages import CONTROLS, LIGHT, ShownAsPage, theme
from .charts import STYLE
from .program import Program, javascript_of


def source(name: str) -> str:
    """Return the text of a script or a style of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def compact(text: str) -> str:
    """Return a script or a style without indentation and without lines that are comments."""
    return re.sub(r"^\s*(?://.*\n)?", "", text, flags=re.MULTILINE)


def style() -> str:
    """Return the style of all widgets, with the colours of light and dark pages in the places where each holds."""
    return STYLE + theme(".microgrud-live", CONTROLS) + Template(compact(source("live.css"))).substitute(light=LIGHT)


class Widget(ShownAsPage):
    """A picture that shows itself in notebooks and pages: static where no scripts run, otherwise with controls.

    A subclass sets `_scripts`, and defines `_words`, `_body`, `_settings` and `_title`. Its `repr` is in words.
    """

    #: The scripts of the widget, by file name; the last defines `start(root, settings)`.
    _scripts: ClassVar[tuple[str, ...]] = ()
    #: The program that they evaluate.
    _program: Program

    def _words(self) -> list[str]:
        """Return the sentences that say what the picture shows."""
        raise NotImplementedError

    def _body(self) -> str:
        """Return the HTML of pictures, controls and words."""
        raise NotImplementedError

    def _settings(self) -> Mapping[str, Any]:
        """Return the numbers that the script starts from, without infinity and NaN."""
        return {}

    def html(self) -> str:
        """Return the widget as HTML that needs nothing else: picture, words, style and script."""
        script, mark = "", ""
        if self._scripts:
            code = compact("".join([javascript_of(self._program.operations()), *map(source, self._scripts)]))
            mark = hashlib.sha256(code.encode()).hexdigest()[:12]
            # A notebook may run the script outside of its section, or twice, and a page may hold several widgets.
            script = (
                f"<script>\n(function () {{\n{code}"
                f"document.querySelectorAll('.microgrud-live[data-script=\"{mark}\"]').forEach(function (root) {{\n"
                "if (root.microgrudReady) { return; }\nroot.microgrudReady = true;\n"
                "keepKeys(root);\nstart(root, JSON.parse(root.dataset.settings));\n});\n})();\n</script>\n"
            )
        settings = html.escape(json.dumps(self._settings(), allow_nan=False, separators=(",", ":")))
        return (
            f'<section class="microgrud microgrud-live" role="group" aria-label="{html.escape(self._title())}" '
            f'data-script="{mark}" data-settings="{settings}">\n<style>\n{style()}</style>\n'
            f"{self._body()}\n{script}</section>\n"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.html()}

    def __repr__(self) -> str:
        return "\n".join(self._words())
