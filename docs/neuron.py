"""Draw docs/neuron.svg: the graph of a neuron and its loss, after a backward pass.

Run with `python docs/neuron.py`; needs the extra `draw`.
"""

from __future__ import annotations

from pathlib import Path

from microgrud import Value, tanh
from microgrud.draw import Drawing, draw


def neuron() -> Drawing:
    """Return the picture.

    >>> neuron().source.count("parameter")
    2
    """
    x, w, b = Value(2.0, label="x"), Value(-0.75, label="w"), Value(1.0, label="b")
    loss = tanh(w * x + b) ** 2
    loss.label = "loss"
    loss.backward()
    # Short numbers and small gaps keep letters 10 pixels high in the README, which is 830 pixels wide.
    picture = draw(loss, parameters=[w, b], inputs=[x], digits=3)
    picture.attr(ranksep="0.2")
    return picture


if __name__ == "__main__":
    neuron().render(Path(__file__).with_suffix(".svg"))
