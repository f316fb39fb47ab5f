"""Draw docs/neuron.svg: the graph of a neuron and its loss, as in the README's first program, after a backward pass.

Run with `python docs/neuron.py`; needs the extra `draw`.
"""

from __future__ import annotations

from pathlib import Path

from microgrud import Value, tanh
from microgrud.draw import Drawing, draw
from microgrud.losses import squared_error


def neuron() -> Drawing:
    """Return the picture.

    >>> neuron().source.count("parameter")
    2
    """
    x, w, b = Value(0.5, label="x"), Value(-1.5, label="w"), Value(2.0, label="b")
    expected = Value(1.0, label="expected")
    output = tanh(w * x + b)
    loss = squared_error(output, expected)
    output.label, loss.label = "output", "loss"
    loss.backward()
    # From top to bottom, and 7.5 inches high: letters are 10 pixels high on pages of 830 and of 390 pixels.
    picture = draw(loss, parameters=[w, b], inputs=[x, expected], rankdir="TB", digits=3)
    picture.attr(ranksep="0.1", size="9,7.5", bgcolor="white")  # dark pages too
    return picture


if __name__ == "__main__":
    neuron().render(Path(__file__).with_suffix(".svg"))
