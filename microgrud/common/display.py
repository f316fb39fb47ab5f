"""The notebook hook: the picture that a Value, a Module or a compiled function shows at the end of a cell.

The package registers the renderer of `microgrud.draw`, which these classes cannot import: it draws them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

#: Makes what a notebook shows of an object: text and pictures by their MIME types.
Renderer: TypeAlias = Callable[[Any], "dict[str, str]"]


class ShownInNotebooks:
    """A picture in a notebook, where the extra `draw` is installed, and text elsewhere."""

    __slots__ = ()

    _renderer: Renderer | None = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return the picture and the text, as IPython asks for them."""
        renderer = ShownInNotebooks._renderer
        try:
            return {"text/plain": repr(self)} if renderer is None else renderer(self)
        except ImportError:  # of graphviz, or of a program that draws
            return {"text/plain": repr(self)}


def register(renderer: Renderer) -> None:
    """Show in notebooks what this function makes of an object."""
    ShownInNotebooks._renderer = staticmethod(renderer)
