"""Notebook display of the History of a training run at the end of a cell."""

from __future__ import annotations

import base64

from ..train.history import History
from .axes import png
from .curves import learning_curve


def mimebundle(history: History) -> dict[str, str]:
    """Return the curve of the loss, and a line of text, for the display in a notebook; without a step the text alone.

    >>> list(mimebundle(History()))
    ['text/plain']
    """
    text = {"text/plain": repr(history)}
    if not history.loss:
        return text
    return {**text, "image/png": base64.b64encode(png(learning_curve(history).figure)).decode("ascii")}
