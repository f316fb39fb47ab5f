"""Notebook display of a Value, a Module or a compiled function at the end of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..engine import Value
from ..nn.module import Module
from .drawing import draw
from .folding import neurons_by_layer

if TYPE_CHECKING:
    from ..tape.compiled import Compiled


def mimebundle(shown: Value | Module | Compiled[..., Any]) -> dict[str, str]:
    """Return the picture of a graph, a network or a recording, and its text, for the display in a notebook.

    Large graphs are folded, with boxes that open by a click in the HTML, and large layers are drawn without their
    middle. A leaf, which has no graph, a module without neurons and a function without recordings are shown as text.

    >>> list(mimebundle(Value(2.0) * 3.0))
    ['text/plain', 'image/svg+xml', 'text/html']
    """
    text = {"text/plain": repr(shown)}
    if isinstance(shown, Value):
        has_picture = not shown.is_leaf
    else:
        has_picture = bool(neurons_by_layer(shown) if isinstance(shown, Module) else shown._recordings.all())
    return {**draw(shown)._repr_mimebundle_(), **text} if has_picture else text
