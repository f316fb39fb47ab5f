"""Notebook display of a Value, a Module or a compiled function at the end of a cell."""

from __future__ import annotations

from ..engine import Value
from ..nn.module import Module
from ..tape.compiled import Compiled
from .drawing import draw
from .folding import neurons_by_layer
from .rendering import fitting


def mimebundle(shown: Value | Module | Compiled) -> dict[str, str]:
    """Return the picture of a graph, a network or a recording, and its text, for the display in a notebook.

    Large graphs are drawn in part, with a box that counts the rest, and large layers without their middle. A leaf,
    which has no graph, a module without neurons and a function without recordings are shown as text.

    >>> list(mimebundle(Value(2.0) * 3.0))
    ['text/plain', 'image/svg+xml']
    """
    text = {"text/plain": repr(shown)}
    if not _has_picture(shown):
        return text
    picture = fitting(draw(shown).pipe("svg", encoding="utf-8"))
    return {**text, "image/svg+xml": picture}


def _has_picture(shown: Value | Module | Compiled) -> bool:
    if isinstance(shown, Value):
        return not shown.is_leaf
    return bool(shown._recordings.all() if isinstance(shown, Compiled) else neurons_by_layer(shown))
