"""The notebook hook: the picture that a Value, a Module, a compiled function or a History shows at the end of a cell.

`microgrud/__init__.py` registers the renderers of `microgrud.draw` and `microgrud.plot`. This file cannot import them:
they import Values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

#: A function from an object to its representations, text and pictures, by MIME type.
Renderer: TypeAlias = Callable[[Any], "dict[str, str]"]


class ShownInNotebooks:
    """A base class of objects that a notebook shows as pictures, or as text without the extra that draws them."""

    __slots__ = ()

    #: The package whose `notebook.mimebundle` makes the picture.
    _drawn_by: ClassVar[str] = "draw"
    _renderer: Renderer | None = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return the picture and the text, for IPython."""
        renderer = ShownInNotebooks._renderer
        try:
            return {"text/plain": repr(self)} if renderer is None else renderer(self)
        except ImportError:  # graphviz, or the program that renders, or matplotlib is missing
            return {"text/plain": repr(self)}


def register(renderer: Renderer) -> None:
    """Set the function that makes the representations of objects in notebooks."""
    ShownInNotebooks._renderer = staticmethod(renderer)
