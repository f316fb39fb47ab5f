"""The frame of all HTML that pictures, players and widgets write: pages of their own, and light and dark colours."""

from __future__ import annotations

import html
import os
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from .files import write_atomically

#: The colours on a light and on a dark ground; those of the curves and classes are from the palette of Okabe and Ito.
COLOURS = {
    "paper": ("#ffffff", "#14181d"), "ink": ("#1f2328", "#e6edf3"), "faint": ("#59636e", "#a3adb8"),
    "grid": ("#dfe3e8", "#30363d"), "c0": ("#0072b2", "#56b4e9"), "c1": ("#c04f00", "#f0903f"),
    "c2": ("#007a5a", "#2fc79a"), "c3": ("#a3457a", "#e29bc4"), "c4": ("#6b5200", "#d6b84c"),
    "c5": ("#3a3f45", "#c4ccd4"),
}  # fmt: skip
#: The style of a map, whose ground is light in both themes: the light colours.
LIGHT = "".join(f"--mg-{name}:{light};" for name, (light, _) in COLOURS.items())
#: The colours of what surrounds a picture, and the filter that turns a drawing in black on white dark.
CONTROLS = {
    "button": ("#f6f8fa", "#262c36"), "focus": ("#0b62c4", "#6cb6ff"),
    "scheme": ("light", "dark"), "picture": ("none", "invert(0.9) hue-rotate(180deg)"),
}  # fmt: skip
#: Elements by which Sphinx, JupyterLab, VS Code and Colab say which theme was chosen; it precedes that of the system.
_CHOSEN = "[data-theme={0}],[data-jp-theme-light={1}],.vscode-{0},[theme={0}]"


def theme(selector: str, colours: dict[str, tuple[str, str]]) -> str:
    """Return the style that sets the colours of a light or dark page as variables, with the prefix `--mg-`.

    >>> theme(".graph", {"ink": ("black", "white")}).splitlines()[0]
    '.graph{--mg-ink:black;}'
    """
    light, dark = ("".join(f"--mg-{name}:{pair[k]};" for name, pair in colours.items()) for k in (0, 1))
    return (
        f"{selector}{{{light}}}\n"
        f"@media(prefers-color-scheme:dark){{{selector}:not(:is({_CHOSEN.format('light', 'true')}) *){{{dark}}}}}\n"
        f":is({_CHOSEN.format('dark', 'false')}) {selector}{{{dark}}}\n"
    )


#: A notebook may run a script outside of its section, or twice, and a page may hold the same section twice.
_BEGIN = """\
(function () {
  document.querySelectorAll(".%s").forEach(function (section) {
    if (!section.microgrudReady) { section.microgrudReady = true; start(section); }
  });
"""


def section(package: str | None, name: str, kind: str, **slots: Any) -> str:
    """Return a template as HTML: a section whose script defines `start(root)`.

    Args:
        package: the package with the template.
        name: the file of the template. In it, `$begin` begins the script, and `$player` is the function
            `player(root, last, pause, draw)`, which plays steps.
        kind: the class of the section.
        slots: the other parts.
    """
    text = resources.files(package or "").joinpath(name).read_text(encoding="utf-8")
    player = resources.files(__package__).joinpath("player.js").read_text(encoding="utf-8")
    return Template(text).substitute(slots, begin=_BEGIN % kind, player=player)


class ShownAsPage:
    """A base class of what shows itself as HTML in notebooks, and can be saved as a page of its own."""

    def _title(self) -> str:
        """Return the title of the page."""
        raise NotImplementedError

    def html(self) -> str:
        """Return the HTML, which needs nothing else."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the HTML as a page of its own.

        Args:
            path: the file to write; its name ends in .html or .htm.

        Raises:
            ValueError: for another extension, since a browser would not show the page.
            OSError: if the file cannot be written.
        """
        save_page(path, self._title(), self.html())

    def _repr_html_(self) -> str:
        return self.html()


def page(title: str, body: str) -> str:
    """Return an HTML page."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<title>{html.escape(title)}</title>\n<link rel="icon" href="data:,"></head>\n<body>\n{body}</body></html>\n'
    )


def save_page(path: str | os.PathLike[str], title: str, body: str) -> None:
    """Write an HTML page to a file.

    Raises:
        ValueError: for a name that does not end in .html or .htm, since a browser would not show the page.
        OSError: if the file cannot be written.
    """
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"path: expected a name that ends in .html or .htm, got {os.fspath(path)!r}")
    write_atomically(path, page(title, body).encode())
