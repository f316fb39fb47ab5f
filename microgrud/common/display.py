"""What a Value, a Module and a compiled function show at the end of a notebook's cell."""

from __future__ import annotations

from typing import Any


class ShownInNotebooks:
    """A picture in a notebook, where the extra `draw` is installed, and text elsewhere."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return the picture and the text, as IPython asks for them."""
        try:
            from ..draw.notebook import mimebundle

            return mimebundle(self)  # type: ignore[arg-type]
        except ImportError:  # of graphviz, or of a program that draws
            return {"text/plain": repr(self)}
