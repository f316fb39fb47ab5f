"""`draw`: a picture of the graph of a Value, of a network, or of a compiled function."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from ..common.checks import instance, one_of, optional, whole
from ..engine import Value
from ..nn.module import Module
from .fitting import MAX_NODES, DrawingSettings, fitting_drawing, new_drawing
from .folding import view
from .network import draw_network
from .rendering import Drawing, check_format
from .style import PORTS
from .value_graph import read_graph, roots_and_nodes

if TYPE_CHECKING:
    from ..tape.compiled import Compiled


def draw(
    root: Value | Sequence[Value] | Module | Compiled[..., Any],
    format: str = "svg",
    rankdir: str | None = None,
    *,
    model: Module | None = None,
    parameters: Any = None,
    inputs: Any = None,
    outputs: Iterable[str] = (),
    names: Mapping[Value, str] | None = None,
    fold: str | None = None,
    expand: Collection[str] = (),
    depth: int | None = None,
    max_nodes: int | None = None,
    slopes: bool = True,
    digits: int = 4,
    path: int | None = None,
) -> Drawing:
    """Draw the graph of a Value, a network, or the recordings of a compiled function.

    In the graph of a Value each box is a value, with its label, its number and its grad. The grad is a dash until a
    backward pass has computed it, and then tinted: blue above 0, orange below, the stronger the larger. A circle is an
    operation. The number on an edge is the local derivative of the operation with respect to that operand. Roots have
    a double outline, parameters a thick and round one, inputs a folded corner, other leaves a dashed outline; constants
    are numbers without a box.

    A Module is drawn as a network: its neurons in layers, its weights as lines. A line is the thicker the larger the
    weight, dashed and orange below 0, and dotted where the weight is NaN or infinite.

    A compiled function is drawn as its recordings: boxes for arguments, parameters and instructions, each with its
    formula, and a hexagon for each branch; several recordings side by side. In large recordings parameters move into
    the boxes that use them, and instructions of one kind at one level become one box.

    Args:
        root: a Value or several, a Module, or a compiled function.
        format: the format of the file that `render()` writes if the extension of its name does not select one: "svg",
            "png", or with Graphviz installed "pdf".
        rankdir: the direction in which the graph grows: "LR", "TB", "RL" or "BT"; by default "TB" if operations are
            folded, and "LR" otherwise.
        model: the Module that made the graph: its parameters are marked and named, and its neurons and layers can be
            folded.
        parameters: Values, or another Module, whose leaves are marked as parameters.
        inputs: Values, in lists nested as you like, that are marked as inputs; for a network the names of its inputs,
            by default x1, x2, ...
        outputs: for a network, the names of its outputs; by default they have none.
        names: names for nodes without a label.
        fold: "neurons" or "layers" draws each neuron or layer of the model as one box, "operations" draws operations
            that repeat or follow each other as one box, and "nothing" each node. The default is the first of nothing,
            neurons, layers and operations whose picture is at most about 900 pixels wide and high, or of at most
            `max_nodes` boxes, if given. The text below the picture says what was folded.
        expand: operations to draw in parts: `expand=["dot"]` draws each sum of products as products and a sum.
        depth: the number of operations below the root to draw; by default as many as fit into `max_nodes`.
        max_nodes: the most boxes to draw, by default 60. With `fold` or `depth`, one more box counts the nodes further
            from the root.
        slopes: whether to write the local derivatives on the edges.
        digits: the number of significant digits; hovering over a box shows all of them.
        path: for a compiled function, the number of the recording to draw, from 1; by default all, or the first four.

    Returns:
        a `graphviz.Digraph`, which shows itself in a notebook; `.render("graph.svg")` writes a file. In a notebook, and
        in the page that `.render("graph.html")` writes, a folded box opens in place by a click.

    Raises:
        TypeError, ValueError: for invalid arguments.

    >>> x = Value(3.0, label="x")
    >>> y = x * x
    >>> y.backward()
    >>> drawing = draw(y)
    >>> drawing.source.count("->")                # x into * twice, * into the result
    3
    """
    check_format(format)
    check_settings(rankdir, digits, max_nodes, depth)
    one_of("neurons", "layers", "operations", "nothing", None)("fold", fold)
    if is_compiled(root):
        from .compiled import draw_compiled

        unused = {"parameters": parameters, "inputs": inputs, "depth": depth}
        _refuse("a compiled function", unused, outputs=outputs, expand=_expands_dot(expand), slopes=not slopes)
        if fold in ("neurons", "operations"):
            raise ValueError(f"fold: expected 'layers', 'nothing' or None for a compiled function, got {fold!r}")
        return draw_compiled(root, format, digits, path, fold, max_nodes, model, names, rankdir)
    if path is not None:
        raise ValueError(f"path: expected None for anything but a compiled function, got {path!r}")
    if fold in ("neurons", "layers") and model is None:
        raise ValueError(f"fold={fold!r}: expected a model as well; write draw(root, model=model, fold={fold!r})")
    optional(instance(Module, "a Module"))("model", model)
    expand_dot = _expands_dot(expand)
    if isinstance(root, Module):
        unused = {"model": model, "parameters": parameters, "names": names, "fold": fold, "depth": depth}
        _refuse("a network", unused, expand=expand_dot, max_nodes=max_nodes is not None, slopes=not slopes)
        drawing = new_drawing(format, rankdir or "LR")
        draw_network(root, drawing, digits, _names(inputs, "inputs"), _names(outputs, "outputs"), rankdir or "LR")
        return drawing
    if _names(outputs, "outputs"):
        raise ValueError("outputs: expected names for a network only; to name the root of a graph, give it a label")
    root = cast("Value | Sequence[Value]", root)
    graph = read_graph(root, model if parameters is None else parameters, inputs, names)
    settings = DrawingSettings(format, rankdir, digits, expand_dot, slopes)
    if depth is not None or fold in ("neurons", "layers", "nothing"):
        return settings.folded(graph, view(graph, model, fold, depth, max_nodes or MAX_NODES), model)
    return fitting_drawing(graph, model, fold, max_nodes, settings)


def is_compiled(shown: Any) -> TypeGuard[Compiled[..., Any]]:
    """Return whether something is a compiled function, without an import of `microgrud.tape`, which needs NumPy."""
    tape = sys.modules.get("microgrud.tape.compiled")
    return tape is not None and isinstance(shown, tape.Compiled)


def _refuse(what: str, unused: Mapping[str, Any], **changed: Any) -> None:
    """Raise a ValueError if an argument that is for the graph of a Value only is not None, or was changed."""
    names = [name for name, value in unused.items() if value is not None]
    names += [name for name, value in changed.items() if value]
    if names:
        raise ValueError(f"{names[0]}: expected the default for {what}; it is for the graph of a Value only")


def _names(given: Any, argument: str) -> list[str]:
    """Return names from a list, or from the columns of a table or an array, which have no truth value."""
    if given is None:
        return []
    if isinstance(given, (str, Value)) or not isinstance(given, Iterable):
        raise TypeError(f"{argument}: expected a list of names, got {type(given).__name__}")
    return [str(name) for name in given]


def _expands_dot(expand: Any) -> bool:
    """Return whether sums of products are drawn in parts, after a check of the operations."""
    if isinstance(expand, str):
        expand = [expand]
    operations = list(instance(Iterable, "operations, as in expand=['dot']")("expand", expand))
    wrong = [operation for operation in operations if operation != "dot"]
    if wrong:
        raise ValueError(f"expand: expected 'dot', the only operation that can be drawn in parts, got {wrong}")
    return bool(operations)


def check_settings(rankdir: str | None, digits: int, max_nodes: float | None, depth: float | None = None) -> None:
    """Raise an error for an unknown direction and for numbers that are too small; nodes and depth may be infinite."""
    if rankdir is not None:
        one_of(*PORTS)("rankdir", rankdir)
    whole(1)("digits", digits)
    for name, number, least in (("max_nodes", max_nodes, 1), ("depth", depth, 0)):
        if number is not None and not instance(Real, "a number")(name, number) >= least:
            raise ValueError(f"{name}: expected at least {least}, got {number}")


def draw_dot(root: Value, format: str = "svg", rankdir: str = "LR") -> Drawing:
    """Draw the graph of a Value; the name is that of micrograd's notebook. See `draw`.

    >>> "tanh" in draw_dot(Value(0.5).tanh()).source
    True
    """
    return draw(root, format, rankdir)


def trace(root: Value) -> tuple[set[Value], set[tuple[Value, Value]]]:
    """Return the nodes that a root depends on and the edges between them, as in micrograd's notebook.

    Args:
        root: the Value.

    Returns:
        the nodes, and the pairs of an operand and a node that uses it.

    >>> x = Value(2.0)
    >>> nodes, edges = trace(x * x)
    >>> len(nodes), len(edges)
    (2, 1)
    """
    order = roots_and_nodes(root)[1]
    return set(order), {(x, node) for node in order for x in node._operands if isinstance(x, Value)}
