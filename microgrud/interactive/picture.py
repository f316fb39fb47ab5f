"""The common part of the pictures: SVG, a page, the words, and a player if there are several states."""

from __future__ import annotations

import html
import json
import os
from pathlib import Path
from typing import Any

from ..common.files import write_atomically
from ..common.pages import page, section
from .charts import escaped

#: The most frames of a player; of more states, evenly spaced ones are shown, with the first and the last.
MOST_FRAMES = 100


class Picture:
    """A picture of one or of several states; a notebook shows the SVG, or a player of the states.

    A subclass draws a state (`_svg`), lists what changes from state to state (`_frame` or `_frames`), and describes a
    state (`_words`).
    """

    #: The name of the picture, for those who do not see it and for the title of a page.
    _label = "A picture"

    def __len__(self) -> int:
        """Return the number of states."""
        return 1

    def svg(self, state: int = -1) -> str:
        """Return the picture of one state as SVG, which follows the light or dark theme of its page.

        Args:
            state: the index of the state, as in a list; the last one by default.

        Raises:
            IndexError: if there is no such state.
        """
        return self._svg(self._index(state), True)

    def html(self) -> str:
        """Return the picture as HTML: the SVG, and a player with a slider if there are several states.

        The player shows the last state where scripts do not run.
        """
        count = len(self)
        if count == 1:
            return self.svg()
        shown = sorted({round(k * (count - 1) / (MOST_FRAMES - 1)) for k in range(MOST_FRAMES)})
        shown = list(range(count)) if count <= MOST_FRAMES else shown
        return section(
            __package__,
            "steps.html",
            "microgrud-steps",
            label=html.escape(self._label),
            last=len(shown) - 1,
            sentence=escaped(self._words(count - 1)),
            picture=self._svg(count - 1, False),
            steps="\n".join(
                f'<li data-frame="{html.escape(json.dumps(frame, separators=(",", ":")))}">'
                f"{escaped(self._words(k))}</li>"
                for k, frame in zip(shown, self._frames(shown))
            ),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture of the last state as SVG, or all states as a page of their own.

        Args:
            path: the file to write; its name ends in .svg, .html or .htm.

        Raises:
            ValueError: for another extension.
            OSError: if the file cannot be written.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in (".svg", ".html", ".htm"):
            raise ValueError(f"save: path: expected a name that ends in .svg, .html or .htm, got {os.fspath(path)!r}")
        text = self.svg() if suffix == ".svg" else page(self._label, self.html())
        write_atomically(path, text.encode())

    def __repr__(self) -> str:
        count = len(self)
        if count == 1:
            return f"{type(self).__name__}({self._words(0)})"
        return f"{type(self).__name__}({count} states; {self._words(0)}; {self._words(count - 1)})"

    def __str__(self) -> str:
        return "\n".join(self._words(k) for k in range(len(self)))

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def _index(self, state: int) -> int:
        return range(len(self))[state]

    def _svg(self, state: int, titled: bool) -> str:
        """Draw a state; `titled` adds its words, which a player shows itself."""
        raise NotImplementedError

    def _frames(self, states: list[int]) -> list[list[str]]:
        """Return for each state the attributes of the elements with `data-slot`, in the order of the picture.

        Those of an element with `data-grows` are joined up to the state that is shown.
        """
        return [self._frame(state) for state in states]

    def _frame(self, state: int) -> list[str]:
        raise NotImplementedError

    def _words(self, state: int) -> str:
        """Describe a state in words."""
        raise NotImplementedError
