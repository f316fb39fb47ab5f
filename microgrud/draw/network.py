"""The picture of a network: its neurons in layers, and its weights as lines between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from ..common.words import counted, shortened, width_of
from ..nn.layers import MLP, Neuron
from ..nn.module import Module, modules_of
from ..nn.parts import Elementwise, Linear
from ..nn.sequential import Sequential
from .folding import function_of, neurons_by_layer
from .rendering import Drawing, keep_in_order
from .style import BROKEN, FAINT, FONT, PORTS, hue, literal, plain, short
from .value_graph import shown_of

#: Maximum number of neurons drawn of a layer; a larger layer is drawn without its middle.
_MOST_NEURONS = 10
#: The diameter of a neuron, in inches.
_DIAMETER = "0.62"
#: The length of a picture with many layers, in inches: 900 pixels.
_LENGTH = 9.375
#: Maximum width of a name in a box, in narrow letters; hovering over it shows all of it.
_LONGEST_NAME = 30
_BROKEN_NEURON = {"style": "filled,dotted", "color": BROKEN, "penwidth": "2.5"}


def draw_network(
    model: Module, drawing: Drawing, digits: int, names: Sequence[str], outputs: Sequence[str], rankdir: str
) -> None:
    """Draw the neurons of a model in layers, and its weights as lines: thick for large ones, dashed for negative ones.

    Weights and biases that are NaN or infinite are dotted, and counted below the picture.

    Args:
        model: a model that holds neurons.
        drawing: the drawing to draw in.
        digits: the number of significant digits.
        names: the names of the inputs, by default x1, x2, ... as in decision regions.
        outputs: the names of the outputs, written after the last layer.
        rankdir: the direction in which the drawing grows.

    Raises:
        ValueError: for a model without neurons, or if the number of names does not match that of inputs or outputs.
    """
    layers = neurons_by_layer(model)
    if not layers:
        raise ValueError(
            f"draw: expected a Value, or a module that holds neurons, got {type(model).__name__} with none"
        )
    inputs = len(layers[0][0].w)
    if names and len(names) != inputs:
        raise ValueError(f"inputs: expected {inputs} names, one for each input, got {len(names)}")
    if outputs and len(outputs) != len(layers[-1]):
        raise ValueError(f"outputs: expected {len(layers[-1])} names, one for each output, got {len(outputs)}")
    columns = len(layers) + 1 + bool(outputs)
    between = (_LENGTH - columns * float(_DIAMETER)) / (columns - 1)
    ranksep = f"{min(max(between, 0.35), 1.5):.2f}"
    drawing.attr(ranksep=ranksep, nodesep="0.12", splines="line", outputorder="edgesfirst")
    drawing.attr("node", fontsize="10", style="filled", fillcolor="#ffffff")
    boxes = [_box(name) for name in names or [f"x{k}" for k in range(1, inputs + 1)]]
    function = _functions(model)
    previous = _column(drawing, "i", boxes, shape="note", height="0.25", margin="0.06,0.02")
    for number, neurons in enumerate(layers, 1):
        sizes = [abs(w.data) for neuron in neurons for w in neuron.w]
        largest = max((size for size in sizes if math.isfinite(size)), default=0.0) or 1.0
        circles = [
            _circle(f"layer {number}, neuron {k}", neuron, function(neuron), digits)
            for k, neuron in enumerate(neurons, 1)
        ]
        ids = _column(drawing, f"n{number}_", circles, shape="circle", fixedsize="true", width=_DIAMETER)
        for neuron, id in zip(neurons, ids):
            if id is not None and len(neuron.w) == len(previous):
                _weights(drawing, neuron, previous, id, largest, PORTS[rankdir][0])
        previous = ids
    if outputs:
        boxes = [_box(name) for name in outputs]
        after = _column(drawing, "o", boxes, shape="plaintext", height=_DIAMETER, margin="0.06,0.02")
        for neuron_id, label_id in zip(previous, after):
            if neuron_id is not None and label_id is not None:
                drawing.edge(neuron_id, label_id, arrowsize="0.5", minlen="1")
    over_outputs = model.output if isinstance(model, (MLP, Sequential)) else None
    lines = [f"outputs through {over_outputs}"] if over_outputs else []
    lines += _broken(layers)
    if lines:
        drawing.attr(label="\\n".join(map(literal, lines)), fontname=FONT, fontsize="11")


def _broken(layers: Sequence[Sequence[Neuron]]) -> list[str]:
    """Return a line that counts the weights and biases that are NaN or infinite, if there are any."""
    neurons = [neuron for layer in layers for neuron in layer]
    weights = sum(not math.isfinite(w.data) for neuron in neurons for w in neuron.w)
    biases = sum(neuron.b is not None and not math.isfinite(neuron.b.data) for neuron in neurons)
    words = [counted(weights, "weight")] if weights else []
    words += [f"{biases:,} bias{'es' * (biases > 1)}"] if biases else []
    return [f"dotted: {' and '.join(words)} NaN or infinite"] if words else []


def _box(name: str) -> dict[str, str]:
    """Return the attributes of a box with a name: wide enough for any common font, unlike Graphviz's own choice."""
    label = shortened(name, _LONGEST_NAME)
    return {"label": plain(label), "tooltip": literal(name), "width": f"{0.15 + 0.088 * width_of(label):.2f}"}


def _functions(model: Module) -> Callable[[Neuron], str]:
    """Return a function that names the activation of a neuron: its own, or the next layer in a Sequential."""
    pairs = [pair for each in modules_of(model) if isinstance(each, Sequential) for pair in pairwise(each.layers)]
    following = {
        id(neuron): after.activation.name or after.activation.label
        for layer, after in pairs
        if isinstance(layer, Linear) and isinstance(after, Elementwise)
        for neuron in layer.neurons
    }
    return lambda neuron: following.get(id(neuron)) or function_of(neuron)


def _circle(name: str, neuron: Neuron, function: str, digits: int) -> dict[str, str]:
    bias = "none" if neuron.b is None else short(neuron.b.data, digits)
    style = {} if neuron.b is None or math.isfinite(neuron.b.data) else _BROKEN_NEURON
    return {"label": plain(function), "tooltip": literal(f"{name}: bias {bias}, {function}"), **style}


def _column(drawing: Drawing, prefix: str, nodes: Sequence[dict[str, str]], **attributes: str) -> list[str | None]:
    """Draw a column of nodes in their order, and return their ids; None for those that are left out."""
    shown = shown_of(len(nodes), _MOST_NEURONS)
    ids = {k: f"{prefix}{k}" for k in shown}
    column = list(ids.values())
    for k, id in ids.items():
        drawing.node(id, **(attributes | nodes[k]))
    if len(shown) < len(nodes):
        rest = f"{prefix}rest"
        drawing.node(rest, f"{len(nodes) - len(shown):,} more", shape="plaintext", fontcolor=FAINT, height="0.2")
        column.insert(len(shown) // 2, rest)
    keep_in_order(drawing, column)
    return [ids.get(k) for k in range(len(nodes))]


def _weights(
    drawing: Drawing, neuron: Neuron, tails: Sequence[str | None], head: str, largest: float, port: str
) -> None:
    for weight, tail in zip(neuron.w, tails):
        if tail is None:
            continue
        style = {"penwidth": "2.5", "style": "dotted", "color": BROKEN}
        if math.isfinite(weight.data):
            size = abs(weight.data) / largest
            style = {
                "penwidth": f"{0.3 + 2.7 * size:.2f}",
                "style": "dashed" if weight.data < 0.0 else "solid",
                "color": hue(weight.data, 0.35 + 0.65 * size),
            }
        tooltip = f"weight {weight.data!r}, grad {weight.grad!r}"
        # All lines leave from one port, so that none crosses the boxes of other inputs.
        drawing.edge(tail, head, arrowhead="none", tailport=port, tooltip=tooltip, **style)
