"""The picture of a network: its neurons in layers, and its weights as lines between them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..nn.layers import MLP, Neuron
from ..nn.module import Module
from .folding import neurons_by_layer
from .style import FAINT, escaped, hue, short

if TYPE_CHECKING:
    from .rendering import Drawing

#: Of a layer with more neurons than this, those in the middle are left out.
_MOST_NEURONS = 10
#: Of a neuron, in inches.
_DIAMETER = "0.62"


def draw_network(
    model: Module, drawing: Drawing, digits: int, names: Sequence[str] = (), outputs: Sequence[str] = ()
) -> None:
    """Draw the neurons of a model in layers, and its weights as lines: the thicker the larger, dashed below 0.

    Args:
        model: a model that holds neurons.
        drawing: where to.
        digits: how many digits numbers have.
        names: names of the inputs, which are x1, x2, ... without any, as in decision regions.
        outputs: names of the outputs, which stand behind them.

    Raises:
        ValueError: for a model without neurons, or another number of names than inputs, or than outputs.
    """
    layers = neurons_by_layer(model)
    if not layers:
        raise ValueError(
            f"draw: expected a Value, or a module with neurons in it, got {type(model).__name__} without any"
        )
    inputs = len(layers[0][0].w)
    if names and len(names) != inputs:
        raise ValueError(f"inputs: expected {inputs} names, one for each input, got {len(names)}")
    if outputs and len(outputs) != len(layers[-1]):
        raise ValueError(f"outputs: expected {len(layers[-1])} names, one for each output, got {len(outputs)}")
    drawing.attr(rankdir="LR", ranksep="1.5", nodesep="0.12", splines="line", outputorder="edgesfirst")
    drawing.attr("node", fontsize="10", style="filled", fillcolor="#ffffff")
    labels = list(names) or [f"x{k}" for k in range(1, inputs + 1)]
    previous = _column(drawing, "i", labels, labels, shape="note", height="0.25", margin="0.06,0.02")
    for number, neurons in enumerate(layers, 1):
        largest = max((abs(w.data) for neuron in neurons for w in neuron.w), default=0.0) or 1.0
        ids = _neurons(drawing, number, neurons, digits)
        for neuron, id in zip(neurons, ids):
            if id is not None and len(neuron.w) == len(previous):
                _weights(drawing, neuron, previous, id, largest)
        previous = ids
    if outputs:
        _name_outputs(drawing, outputs, previous)
    if isinstance(model, MLP) and model.output:
        drawing.attr(label=f"outputs through {model.output}", fontname="Helvetica", fontsize="11")


def _shown(count: int) -> list[int]:
    if count <= _MOST_NEURONS:
        return list(range(count))
    half = _MOST_NEURONS // 2
    return [*range(half), *range(count - half, count)]


def _column(
    drawing: Drawing, prefix: str, labels: Sequence[str], tooltips: Sequence[str], **attributes: Any
) -> list[str | None]:
    """Draw a column of nodes from top to bottom, and return their ids; None for those that are left out."""
    shown = _shown(len(labels))
    ids = {k: f"{prefix}{k}" for k in shown}
    column = list(ids.values())
    with drawing.subgraph() as rank:
        rank.attr(rank="same")
        for k, id in ids.items():
            rank.node(id, escaped(labels[k]), tooltip=tooltips[k], **attributes)
        if len(shown) < len(labels):
            rest = f"{prefix}rest"
            rank.node(rest, f"{len(labels) - len(shown):,} more", shape="plaintext", fontcolor=FAINT, height="0.2")
            column.insert(len(shown) // 2, rest)
        for upper, lower in itertools.pairwise(column):  # they keep the order
            rank.edge(upper, lower, style="invis")
    return [ids.get(k) for k in range(len(labels))]


def _neurons(drawing: Drawing, number: int, neurons: Sequence[Neuron], digits: int) -> list[str | None]:
    """Draw a layer, and return the ids of its neurons."""
    functions, tooltips = [], []
    for k, neuron in enumerate(neurons, 1):
        function = (neuron.activation.name or neuron.activation.label) if neuron.nonlin else "linear"
        bias = "none" if neuron.b is None else short(neuron.b.data, digits)
        functions.append(function)
        tooltips.append(f"layer {number}, neuron {k}: bias {bias}, {function}")
    return _column(drawing, f"n{number}_", functions, tooltips, shape="circle", fixedsize="true", width=_DIAMETER)


def _weights(drawing: Drawing, neuron: Neuron, tails: Sequence[str | None], head: str, largest: float) -> None:
    for weight, tail in zip(neuron.w, tails):
        if tail is None:
            continue
        size = abs(weight.data) / largest
        style = "dashed" if weight.data < 0.0 else "solid"
        tooltip = f"weight {weight.data!r}, grad {weight.grad!r}"
        drawing.edge(
            tail,
            head,
            arrowhead="none",
            tailport="e",  # so that no line crosses the boxes of other inputs
            penwidth=f"{0.3 + 2.7 * size:.2f}",
            style=style,
            color=hue(weight.data, 0.35 + 0.65 * size),
            tooltip=tooltip,
        )


def _name_outputs(drawing: Drawing, names: Sequence[str], neurons: Sequence[str | None]) -> None:
    """Write the name of each output behind its neuron."""
    labels = _column(drawing, "o", names, names, shape="plaintext", height=_DIAMETER, margin="0.06,0.02")
    for neuron, label in zip(neurons, labels):
        if neuron is not None and label is not None:
            drawing.edge(neuron, label, arrowsize="0.5", minlen="1")
