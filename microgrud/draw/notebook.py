"""What a notebook shows of a Value or a Module that ends a cell."""

from __future__ import annotations

from ..engine import Value
from ..nn.module import Module
from .drawing import draw
from .folding import neurons_by_layer
from .rendering import fitting


def mimebundle(shown: Value | Module) -> dict[str, str]:
    """Return the picture of a graph or of a network, and its text, for the display of a notebook.

    Large graphs are drawn in part, with a box that says what the rest holds, and large layers without their middle. A
    leaf, which has no graph, and a module without neurons are shown as text.

    >>> list(mimebundle(Value(2.0) * 3.0))
    ['text/plain', 'image/svg+xml']
    """
    text = {"text/plain": repr(shown)}
    if shown.is_leaf if isinstance(shown, Value) else not neurons_by_layer(shown):
        return text
    picture = fitting(draw(shown).pipe("svg", encoding="utf-8"))
    return {**text, "image/svg+xml": picture}
