"""What a notebook shows of a Value or a Module that ends a cell."""

from __future__ import annotations

from ..engine import Value
from ..nn.module import Module
from .drawing import draw
from .rendering import fitting


def mimebundle(shown: Value | Module) -> dict[str, str]:
    """Return the picture of a graph or of a network, and its text, for the display of a notebook.

    Large graphs are cut and large layers folded, as `draw` does. A leaf, which has no graph, and a module without
    neurons are shown as text.

    >>> list(mimebundle(Value(2.0) * 3.0))
    ['text/plain', 'image/svg+xml']
    """
    text = {"text/plain": repr(shown)}
    if isinstance(shown, Value) and shown.is_leaf:
        return text
    try:
        picture = fitting(draw(shown).pipe("svg", encoding="utf-8"))
    except ValueError:  # a module that has no neurons to draw
        return text
    return {**text, "image/svg+xml": picture}
