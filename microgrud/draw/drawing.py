"""`draw`: a picture of the graph of a Value."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from ..engine import Value
from ..nn.module import Module
from ..tape.compiled import Compiled
from .digraph import Picture
from .folding import view
from .graph import read_graph
from .network import draw_network
from .program import draw_program
from .rendering import Drawing, check_format

_DIRECTIONS = ("LR", "TB", "RL", "BT")
_MAX_NODES = 60
#: The least that arguments may be.
_LEAST = {"max_nodes": 1, "digits": 1, "depth": 0, "k": 1}
#: Those that may be infinite.
_BOUNDS = ("max_nodes", "depth")


def draw(
    root: Value | Sequence[Value] | Module | Compiled,
    format: str = "svg",
    rankdir: str = "LR",
    *,
    model: Module | None = None,
    parameters: Any = None,
    inputs: Any = None,
    outputs: Iterable[str] = (),
    names: Mapping[Value, str] | None = None,
    fold: str | None = None,
    expand: Collection[str] = (),
    depth: int | None = None,
    max_nodes: int = _MAX_NODES,
    slopes: bool = True,
    digits: int = 4,
    path: int | None = None,
) -> Drawing:
    """Draw the graph that a Value is the root of.

    A box is a value: its label, its number and its grad, which is a dash until a backward pass has been through the
    graph, and tinted then, blue above 0 and orange below, the stronger the larger. A circle is an operation, and what
    stands on an edge is the local derivative by that operand. Roots have a double outline, parameters a thick and
    round one, inputs a folded corner, other leaves a dashed one; constants are numbers without a box.

    A Module is drawn as a network: its neurons in layers, its weights as lines, the thicker the larger, dashed and
    orange below 0, dotted where they have become NaN or infinite.

    A compiled function is drawn as what it has recorded: boxes for its arguments, parameters and instructions, each
    with its formula, and a hexagon for each branch; several recordings side by side. Where there are many, parameters
    go into the boxes that use them, and instructions of one kind at one level become one box.

    Args:
        root: the Value, or several; or a Module; or a compiled function.
        format: of the file that `render()` writes where its name does not say it: "svg", "png", or with Graphviz
            installed "pdf".
        rankdir: where the graph grows to: "LR", "TB", "RL" or "BT".
        model: the Module that made it: its parameters are marked and named, and its neurons and layers can be folded.
        parameters: Values, or another Module, whose leaves are marked as parameters.
        inputs: Values, nested as you like, that are marked as inputs; for a network the names of its inputs,
            which are x1, x2, ... by default.
        outputs: for a network, the names of its outputs; by default they have none.
        names: names for nodes without a label.
        fold: "neurons" or "layers" draws each neuron or layer of the model as one box, "nothing" none of them; by
            default the first of nothing, neurons and layers that keeps to `max_nodes`.
        expand: operations drawn in their parts: `expand=["dot"]` draws each sum of products as products and a sum.
        depth: how many operations below the root are drawn; by default as many as `max_nodes` lets.
        max_nodes: how many boxes there may be; what is further from the root is one more box, which says what it holds.
        slopes: whether the local derivatives stand on the edges.
        digits: how many digits numbers have; hovering over a box shows all of them.
        path: of a compiled function, the number of the recording to draw, from 1; by default all, or the first four.

    Returns:
        a `graphviz.Digraph`, which shows itself in a notebook; `.render("graph.svg")` writes a file.

    Raises:
        ImportError: without the extra `draw`.
        TypeError, ValueError: for arguments other than these.

    >>> x = Value(3.0, label="x")
    >>> y = x * x
    >>> y.backward()
    >>> drawing = draw(y)
    >>> drawing.source.count("->")                # x into * twice, * into the result
    3
    """
    check_format(format)
    check_settings(rankdir, max_nodes=max_nodes, digits=digits, depth=depth)
    if fold not in (None, "neurons", "layers", "nothing"):
        raise ValueError(f"fold: expected 'neurons', 'layers', 'nothing' or None, got {fold!r}")
    if isinstance(root, Compiled):
        given = {"parameters": parameters, "inputs": inputs, "depth": depth}
        _refuse("a compiled function", given, outputs=outputs, expand=_operations(expand), slopes=not slopes)
        if fold == "neurons":
            raise ValueError("fold: expected 'layers', 'nothing' or None for a compiled function, got 'neurons'")
        drawing = new_drawing(format, rankdir)
        draw_program(root, drawing, digits, path, fold, max_nodes, model, names, rankdir)
        return drawing
    if path is not None:
        raise ValueError("path: expected none but for a compiled function")
    if fold in ("neurons", "layers") and model is None:
        raise ValueError(f"fold={fold!r}: expected the model too, as draw(root, model=model, fold={fold!r})")
    if model is not None and not isinstance(model, Module):
        raise TypeError(f"model: expected a Module, got {type(model).__name__}")
    parts = _operations(expand)
    if isinstance(root, Module):
        given = {"model": model, "parameters": parameters, "names": names, "fold": fold, "depth": depth}
        _refuse("a network", given, expand=parts, max_nodes=max_nodes != _MAX_NODES, slopes=not slopes)
        drawing = new_drawing(format, rankdir)
        draw_network(root, drawing, digits, _names(inputs, "inputs"), _names(outputs, "outputs"), rankdir)
        return drawing
    if _names(outputs, "outputs"):
        raise ValueError("outputs: expected none but for a network; give the root a label")
    graph = read_graph(root, model if parameters is None else parameters, inputs, names)
    drawing = new_drawing(format, rankdir)
    Picture(view(graph, model, fold, depth, max_nodes), drawing, digits, parts, slopes, rankdir).write()
    return drawing


def _refuse(what: str, given: Mapping[str, Any], **changed: Any) -> None:
    """Raise a ValueError for arguments that are given, or changed, though they are for the graph of a Value."""
    names = [name for name, value in given.items() if value is not None]
    names += [name for name, value in changed.items() if value]
    if names:
        raise ValueError(f"{names[0]}: expected none for {what}; it is for the graph of a Value")


def _names(given: Any, argument: str) -> list[str]:
    """Return names as they come: in a list, or as the columns of a table or an array, which have no truth value."""
    if given is None:
        return []
    if isinstance(given, (str, Value)) or not isinstance(given, Iterable):
        raise TypeError(f"{argument}: expected a list of names, got {type(given).__name__}")
    return [str(name) for name in given]


def _operations(expand: Any) -> set[str]:
    """Return the operations that are drawn in their parts."""
    if isinstance(expand, str):
        expand = [expand]
    if not isinstance(expand, Iterable):
        raise TypeError(f"expand: expected operations, as in expand=['dot'], got {type(expand).__name__}")
    operations = list(expand)
    wrong = [operation for operation in operations if operation != "dot"]
    if wrong:
        raise ValueError(f"expand: expected 'dot', which alone has parts to show, got {wrong}")
    return set(operations)


def check_settings(rankdir: str, **numbers: int | None) -> None:
    """Refuse a direction that there is not, and numbers that are none or too small; None is left to its default."""
    if rankdir not in _DIRECTIONS:
        raise ValueError(f"rankdir: expected one of {', '.join(_DIRECTIONS)}, got {rankdir!r}")
    check_numbers(**numbers)


def check_numbers(**numbers: int | None) -> None:
    """Refuse numbers that are none or too small; None is left to its default."""
    for name, number in numbers.items():
        if number is None:
            continue
        if not isinstance(number, Real):
            raise TypeError(f"{name}: expected a number, got {type(number).__name__}")
        if name not in _BOUNDS and not isinstance(number, Integral):
            raise TypeError(f"{name}: expected an integer, got {number!r}")
        if not number >= _LEAST[name]:
            raise ValueError(f"{name}: expected at least {_LEAST[name]}, got {number}")


def new_drawing(format: str, rankdir: str) -> Drawing:
    """Return an empty drawing with the fonts and distances that all have."""
    drawing = Drawing("graph", format=format)
    drawing.attr(rankdir=rankdir, ranksep="0.35", nodesep="0.18", bgcolor="transparent")
    drawing.attr("node", fontname="Helvetica", fontsize="11", margin="0.04")
    drawing.attr("edge", fontname="Helvetica", fontsize="10", arrowsize="0.6", penwidth="0.8")
    return drawing


def draw_dot(root: Value, format: str = "svg", rankdir: str = "LR") -> Drawing:
    """Draw the graph of a Value, under the name that micrograd's notebook gave it; see `draw`.

    >>> "tanh" in draw_dot(Value(0.5).tanh()).source
    True
    """
    return draw(root, format, rankdir)


def trace(root: Value) -> tuple[set[Value], set[tuple[Value, Value]]]:
    """Return the nodes that a root depends on and the edges between them, as micrograd's notebook has it.

    Args:
        root: the Value.

    Returns:
        the nodes, and pairs of a parent and what was computed from it.

    >>> x = Value(2.0)
    >>> nodes, edges = trace(x * x)
    >>> len(nodes), len(edges)
    (2, 1)
    """
    order = read_graph(root).order
    return set(order), {(x, node) for node in order for x in node._operands if isinstance(x, Value)}
