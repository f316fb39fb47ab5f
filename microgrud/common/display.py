"""The notebook hook: the picture that a Value, a Module or a compiled function shows at the end of a cell.

`microgrud/__init__.py` registers the renderer of `microgrud.draw`. This file cannot import it: `draw` imports Values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

#: A function from an object to its representations, text and pictures, by MIME type.
Renderer: TypeAlias = Callable[[Any], "dict[str, str]"]


class ShownInNotebooks:
    """A base class of objects that a notebook shows as pictures, or as text if the extra `draw` is not installed."""

    __slots__ = ()

    _renderer: Renderer | None = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return the picture and the text, for IPython."""
        renderer = ShownInNotebooks._renderer
        try:
            return {"text/plain": repr(self)} if renderer is None else renderer(self)
        except ImportError:  # graphviz, or the program that renders, is missing
            return {"text/plain": repr(self)}


def register(renderer: Renderer) -> None:
    """Set the function that makes the representations of objects in notebooks."""
    ShownInNotebooks._renderer = staticmethod(renderer)
