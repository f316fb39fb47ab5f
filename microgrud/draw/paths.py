"""`explain`: along which paths a leaf acts on a root, and how much of the gradient each carries."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..engine import Value
from ..nn.module import Module
from .drawing import check_numbers
from .folding import neuron_of_each
from .graph import NOTHING, local_derivatives, read_graph, times
from .style import short

#: Of a path with more steps, or more factors, than this, those in the middle are left out of its line.
_MOST_STEPS = 12


@dataclass(frozen=True, eq=False)
class Path:
    """One path from a leaf to a root.

    Attributes:
        nodes: from the leaf to the root.
        slopes: the local derivatives on the way, one fewer than nodes.
        product: their product: what the path adds to the gradient.
        share: the product as a part of the gradient; NaN where that is 0, infinite or NaN.
        steps: the way in words: what each node is called, or, of a model that is known, which neuron made it.
    """

    nodes: tuple[Value, ...]
    slopes: tuple[float, ...]
    product: float
    share: float
    steps: tuple[str, ...] = ()

    def __str__(self) -> str:
        walk = " \u2192 ".join(_shortened(self.steps or [_named(node, node.label) for node in self.nodes]))
        factors = " \u00d7 ".join(_shortened([short(slope, 4) for slope in self.slopes])) or "1"
        part = "" if math.isnan(self.share) else f" ({_percent(self.share)})"
        return f"{walk}: {factors} = {short(self.product, 4)}{part}"


@dataclass(frozen=True)
class Explanation:
    """How a leaf acts on a root.

    Attributes:
        gradient: the derivative of the root by the leaf: the sum over all paths.
        paths: the strongest of them, the strongest first.
        path_count: how many paths there are in all, but for those that nothing comes along: through a node whose own
            gradient is 0.
        depends: whether the root depends on the leaf, be it along such paths alone.
    """

    gradient: float
    paths: tuple[Path, ...]
    path_count: int
    depends: bool = True

    def __str__(self) -> str:
        if not self.depends:
            return "the root does not depend on the leaf"
        if not self.paths:
            return "gradient 0: every path leads through a node whose own gradient is 0, which passes nothing on"
        return "\n".join([f"{self._heading()}:", *(f"  {path}" for path in self.paths)])

    def _heading(self) -> str:
        words = f"gradient {short(self.gradient, 4)} over {_count(self.path_count)} path{'s' * (self.path_count != 1)}"
        if self.path_count == 1:
            return f"{words}; it is"
        one = len(self.paths) == 1
        strongest = "the strongest" if one else f"the strongest {len(self.paths)}"
        if self.gradient == 0.0 and self.paths[0].product != 0.0:
            return f"{words}, which cancel; {strongest}"
        if self.gradient == 0.0 or not math.isfinite(self.gradient):  # there is nothing that they could be a part of
            return f"{words}; {strongest}"
        carried = _percent(sum(path.share for path in self.paths))
        return f"{words}; {strongest} {'carries' if one else 'carry'} {carried}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def explain(
    root: Value,
    leaf: Value,
    k: int = 5,
    *,
    model: Module | None = None,
    names: Mapping[Value, str] | None = None,
) -> Explanation:
    """Find the strongest paths from a leaf to a root: those with the largest products of local derivatives.

    The derivative of the root by the leaf is the sum of the products of the local derivatives along all paths between
    them (the chain rule, for many variables). An MLP has more paths than can be listed; the k strongest of each node
    are those of its parents, prolonged, so that they are found in one walk over the graph. As in the backward pass, a
    node whose own gradient is 0 passes nothing on: there are no paths through it.

    Args:
        root: the node that is differentiated.
        leaf: the leaf, or a node in between.
        k: how many paths are kept: an integer, at least 1.
        model: the Module that made the graph: paths tell which of its neurons they go through.
        names: names for nodes without a label.

    Returns:
        the gradient, the strongest paths, and how many paths there are.

    Raises:
        TypeError: for a root, a leaf or a model that is none, or a k that is no integer.
        ValueError: if k is less than 1, or a node on the way was built by hand, and has no local derivatives on record.

    >>> x = Value(3.0, label="x")
    >>> print(explain(x * x + 2.0 * x, x))
    gradient 8 over 3 paths; the strongest 3 carry 100%:
      x \u2192 * \u2192 +: 3 \u00d7 1 = 3 (38%)
      x \u2192 * \u2192 +: 3 \u00d7 1 = 3 (38%)
      x \u2192 * \u2192 +: 2 \u00d7 1 = 2 (25%)

    >>> from microgrud.nn import MLP
    >>> model = MLP(1, [4, 1], activation="tanh", rng=0)
    >>> explain(model([x]), x, model=model).paths[0].steps
    ('x', 'layer 1, neuron 3 (dot, tanh)', 'layer 2, neuron 1 (dot)')
    """
    for name, given in (("root", root), ("leaf", leaf)):
        if not isinstance(given, Value):
            raise TypeError(f"{name}: expected a Value, got {type(given).__name__}")
    if model is not None and not isinstance(model, Module):
        raise TypeError(f"model: expected a Module, got {type(model).__name__}")
    check_numbers(k=k)
    graph = read_graph(root, model, None, names)
    order = graph.order
    slopes_of = _slopes_on_the_way(order, leaf)
    if root is not leaf and root not in slopes_of:
        return Explanation(0.0, (), 0, depends=False)
    adjoints = _adjoints(order, slopes_of)
    # A path to a node: its product, then the operand and the rank among that operand's paths that it prolongs.
    best: dict[Value, list[tuple[float, Value | None, int, float]]] = {leaf: [(1.0, None, 0, 1.0)]}
    counts: dict[Value, int] = {leaf: 1}
    for node, slopes in slopes_of.items():
        parents = [(i, x) for i, x in enumerate(node._operands) if isinstance(x, Value) and x in counts]
        if not parents or adjoints.get(node, 0.0) == 0.0:
            continue
        counts[node] = sum(counts[x] for _, x in parents)
        prolonged = (
            (_prolonged(product, slopes[i]), x, rank, slopes[i])
            for i, x in parents
            for rank, (product, *_) in enumerate(best[x])
        )
        best[node] = heapq.nlargest(k, prolonged, key=lambda path: _strength(path[0]))
    gradient = adjoints.get(leaf, 0.0)
    if root not in counts:
        return Explanation(gradient, (), 0)
    neurons = {} if model is None else neuron_of_each(order, model)
    paths = []
    for rank in range(len(best[root])):
        nodes, slopes, product = _walked_back(best, root, rank)
        share = product / gradient if gradient and math.isfinite(gradient) else math.nan
        paths.append(Path(nodes, slopes, product, share, _steps(nodes, graph.names, neurons)))
    return Explanation(gradient, tuple(paths), counts[root])


def _prolonged(product: float, slope: float) -> float:
    """Return the product along a path that goes on towards the root.

    A backward pass comes from there: behind a slope of 0 nothing is passed on, not even through an infinite one.
    """
    found = times(product, slope)
    return 0.0 if slope == 0.0 and found is not NOTHING else found


def _strength(product: float) -> float:
    """Return by what paths are ranked: one that makes the gradient NaN comes before all others."""
    return math.inf if math.isnan(product) else abs(product)


def _slopes_on_the_way(order: Sequence[Value], leaf: Value) -> dict[Value, Sequence[float]]:
    """Return the local derivatives of the nodes that depend on a leaf, in topological order."""
    slopes: dict[Value, Sequence[float]] = {}
    for node in order:
        if node is not leaf and any(x is leaf or x in slopes for x in node._operands if isinstance(x, Value)):
            slopes[node] = _slopes(node)
    return slopes


def _adjoints(order: Sequence[Value], slopes_of: Mapping[Value, Sequence[float]]) -> dict[Value, float]:
    """Return the derivative of the last node by each that something comes to, summed in the order of the engine.

    Nodes that do not depend on the leaf are left out: nothing comes through them to those that do.
    """
    adjoints = {order[-1]: 1.0}
    for node in reversed(order):
        adjoint = adjoints.get(node, 0.0)
        if node not in slopes_of or adjoint == 0.0:
            continue
        for slope, x in zip(slopes_of[node], node._operands):
            if isinstance(x, Value):
                adjoints[x] = adjoints.get(x, 0.0) + times(adjoint, slope)
    return adjoints


def _slopes(node: Value) -> Sequence[float]:
    slopes = local_derivatives(node)
    if any(slope is None and isinstance(x, Value) for slope, x in zip(slopes, node._operands)):
        raise ValueError(
            f"the node {node._op or 'built by hand'!r} has no local derivatives on record: it was built by hand, or "
            "its rule raises; make the operation with microgrud.custom_op"
        )
    return [0.0 if slope is None else slope for slope in slopes]


def _walked_back(
    best: dict[Value, list[tuple[float, Value | None, int, float]]], root: Value, rank: int
) -> tuple[tuple[Value, ...], tuple[float, ...], float]:
    """Follow a path back from the root; return its nodes and slopes, from the leaf on, and its product."""
    product = best[root][rank][0]
    nodes, slopes = [root], []
    node: Value | None = root
    while node is not None:
        _, parent, rank, slope = best[node][rank]
        if parent is not None:
            nodes.append(parent)
            slopes.append(slope)
        node = parent
    return tuple(reversed(nodes)), tuple(reversed(slopes)), product


# --- in words ---


def _steps(
    nodes: Sequence[Value], names: Mapping[Value, str], neurons: Mapping[Value, tuple[int, int]]
) -> tuple[str, ...]:
    """Say what a path goes through; the nodes that one neuron made are one step, with its operations behind it."""
    steps: list[str] = []
    for place, made in itertools.groupby(nodes, neurons.get):
        if place is None:
            steps += [_named(node, names.get(node, "")) for node in made]
        else:
            layer, neuron = place
            operations = ", ".join(names.get(node) or node._op for node in made)
            steps.append(f"layer {layer}, neuron {neuron} ({operations})")
    return tuple(steps)


def _named(node: Value, name: str) -> str:
    if node.is_leaf:
        return name or "leaf"
    operation = node._op or "by hand"
    return f"{name} ({operation})" if name else operation


def _shortened(words: Sequence[str]) -> list[str]:
    """Return words that fit into a line: of very many the first and the last, and between them how many there are."""
    if len(words) <= _MOST_STEPS:
        return list(words)
    half = _MOST_STEPS // 2
    return [*words[:half], f"\u2026 {len(words) - 2 * half:,} more \u2026", *words[-half:]]


def _count(paths: int) -> str:
    """Write a count, of very many its size alone; there may be more than a float can hold."""
    if paths < 10**15:
        return f"{paths:,}"
    size = math.log10(paths)
    digits = f"{10 ** (size % 1.0):.1f}"
    return f"about 10^{size:.0f}" if digits in ("1.0", "10.0") else f"about {digits} \u00d7 10^{int(size)}"


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("-", "\u2212")
