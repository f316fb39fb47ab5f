"""`explain`: the paths along which a leaf influences a root, and the share of the gradient that each carries."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..autodiff.gradients import numbers_of_gradient
from ..common.checks import instance, optional, whole
from ..engine import Value
from ..nn.module import Module
from .folding import neuron_of_each
from .style import short
from .value_graph import NOTHING, ValueGraph, read_graph, times

#: Maximum number of steps or factors shown for a path; longer paths are shown without their middle.
_MOST_STEPS = 12


@dataclass(frozen=True, eq=False)
class GradientPath:
    """One path from a leaf to a root, public as `microgrud.draw.Path`.

    Attributes:
        nodes: the nodes from the leaf to the root.
        slopes: the local derivatives along the path, one fewer than nodes.
        product: the product of the slopes: the part of the gradient that the path contributes.
        share: the product divided by the gradient; NaN if the gradient is 0, infinite or NaN.
        steps: the path in words: the name of each node or, with a model, the neuron that made it.
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
    """The influence of a leaf on a root.

    Attributes:
        gradient: the derivative of the root with respect to the leaf: the sum over all paths.
        paths: the strongest paths, the strongest first.
        path_count: the number of all paths, without those through a node whose own gradient is 0, which carry nothing.
        depends: whether the root depends on the leaf, even if only along paths that carry nothing.
    """

    gradient: float
    paths: tuple[GradientPath, ...]
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
            return words
        one = len(self.paths) == 1
        strongest = "the strongest" if one else f"the strongest {len(self.paths)}"
        if self.gradient == 0.0 and self.paths[0].product != 0.0:
            return f"{words}, which cancel; {strongest}"
        if self.gradient == 0.0 or not math.isfinite(self.gradient):  # the paths have no shares then
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

    The derivative of the root with respect to the leaf is the sum, over all paths between them, of the product of the
    local derivatives along the path (the chain rule for many variables). An MLP has more paths than can be listed. The
    k strongest paths to a node extend the k strongest paths to its parents, so that one walk over the graph finds them.
    As in the backward pass, a node whose own gradient is 0 passes nothing on: no path leads through it.

    Args:
        root: the node to differentiate.
        leaf: the leaf, or a node in between.
        k: the number of paths to keep: an integer, at least 1.
        model: the Module that made the graph: paths name the neurons that they go through.
        names: names for nodes without a label.

    Returns:
        the gradient, the strongest paths, and the number of paths.

    Raises:
        TypeError: if the root or the leaf is not a Value, the model not a Module, or k not an integer.
        ValueError: if k is less than 1, if a node on a path was built by hand and has no known local derivatives, or if
            `.data` was set after the root was computed.

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
    for name, node in (("root", root), ("leaf", leaf)):
        instance(Value, "a Value")(name, node)
    optional(instance(Module, "a Module"))("model", model)
    whole(1)("k", k)
    graph = read_graph(root, model, None, names)
    graph.check_numbers("explain")
    slopes_of = _slopes_after(leaf, graph)
    if root is not leaf and root not in slopes_of:
        return Explanation(0.0, (), 0, depends=False)
    nodes = [leaf, *slopes_of]
    adjoints = dict(zip(nodes, numbers_of_gradient(root, nodes)))
    best, counts = _strongest(leaf, slopes_of, adjoints, k)
    gradient = 0.0 + adjoints[leaf]  # a grad is never -0.0, since backward() adds to 0.0
    neurons = {} if model is None else neuron_of_each(graph.order, model)
    paths = []
    for trails in (trail.from_the_leaf(best) for trail in best.get(root, ())):
        path, along, product = [x.node for x in trails], [x.slope for x in trails[1:]], trails[-1].product
        share = product / gradient if gradient and math.isfinite(gradient) else math.nan
        paths.append(GradientPath(tuple(path), tuple(along), product, share, _steps(path, graph.names, neurons)))
    return Explanation(gradient, tuple(paths), counts.get(root, 0))


class _Trail(NamedTuple):
    """A path from the leaf to a node: its product, its last slope, and the path to the operand before the node.

    The path to the operand is named by the operand and its rank there: nested paths would be freed recursively, for
    which the stack of WebAssembly is too small.
    """

    product: float
    node: Value
    slope: float
    before: tuple[Value, int] | None

    def from_the_leaf(self, best: Mapping[Value, Sequence[_Trail]]) -> list[_Trail]:
        """Return the trails to each node of the path, in order from the leaf; `best` has those to each node."""
        trails = [self]
        while (before := trails[-1].before) is not None:
            node, rank = before
            trails.append(best[node][rank])
        return trails[::-1]


def _strongest(
    leaf: Value, slopes_of: Mapping[Value, Sequence[float]], adjoints: Mapping[Value, float], k: int
) -> tuple[dict[Value, list[_Trail]], dict[Value, int]]:
    """Return the k strongest paths from a leaf to each node after it, and the number of all paths to the node."""
    best, counts = {leaf: [_Trail(1.0, leaf, 1.0, None)]}, {leaf: 1}
    for node, slopes in slopes_of.items():
        parents = [(i, x) for i, x in enumerate(node._operands) if isinstance(x, Value) and x in counts]
        if not parents or adjoints[node] == 0.0:
            continue
        counts[node] = sum(counts[x] for _, x in parents)
        extended = (
            _Trail(_extended(before.product, slopes[i]), node, slopes[i], (x, rank))
            for i, x in parents
            for rank, before in enumerate(best[x])
        )
        best[node] = heapq.nlargest(k, extended, key=lambda trail: _strength(trail.product))
    return best, counts


def _extended(product: float, slope: float) -> float:
    """Return the product along a path after one more step towards the root.

    The backward pass runs from the root: after a slope of 0 it passes nothing on, not even through an infinite slope.
    """
    found = times(product, slope)
    return 0.0 if slope == 0.0 and found is not NOTHING else found


def _strength(product: float) -> float:
    """Return the sort key of a path: a path that makes the gradient NaN comes first."""
    return math.inf if math.isnan(product) else abs(product)


def _slopes_after(leaf: Value, graph: ValueGraph) -> dict[Value, Sequence[float]]:
    """Return the local derivatives of the nodes that depend on a leaf, in topological order."""
    slopes: dict[Value, Sequence[float]] = {}
    for node in graph.order:
        if node is not leaf and any(x is leaf or x in slopes for x in node._operands if isinstance(x, Value)):
            slopes[node] = _known(node, graph.slopes(node))
    return slopes


def _known(node: Value, slopes: Sequence[float | None]) -> Sequence[float]:
    """Return the local derivatives of a node if all of them are known, or else raise a ValueError."""
    if any(slope is None and isinstance(x, Value) for slope, x in zip(slopes, node._operands)):
        raise ValueError(
            f"explain: expected operations with known local derivatives, got a node {node._op or 'without a name'!r} "
            "that was built by hand, or whose rule raises; make the operation with microgrud.custom_op"
        )
    return [0.0 if slope is None else slope for slope in slopes]


# --- in words ---


def _steps(
    nodes: Sequence[Value], names: Mapping[Value, str], neurons: Mapping[Value, tuple[int, int]]
) -> tuple[str, ...]:
    """Return the steps of a path in words; the nodes of one neuron are one step, with its operations in brackets."""
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
    """Return words that fit into a line: if there are very many, the first, a count of the middle, and the last."""
    if len(words) <= _MOST_STEPS:
        return list(words)
    half = _MOST_STEPS // 2
    return [*words[:half], f"\u2026 {len(words) - 2 * half:,} more \u2026", *words[-half:]]


def _count(paths: int) -> str:
    """Write a count, rounded to a power of ten if it is huge; it may be larger than any float."""
    if paths < 10**15:
        return f"{paths:,}"
    size = math.log10(paths)
    digits = f"{10 ** (size % 1.0):.1f}"
    return f"about 10^{size:.0f}" if digits in ("1.0", "10.0") else f"about {digits} \u00d7 10^{int(size)}"


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("-", "\u2212")
