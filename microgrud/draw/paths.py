"""`explain`: along which paths a leaf acts on a root, and how much of the gradient each carries."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..engine import Value
from .graph import local_derivatives, read_graph
from .style import short


@dataclass(frozen=True)
class Path:
    """One path from a leaf to a root.

    Attributes:
        nodes: from the leaf to the root.
        slopes: the local derivatives on the way, one fewer than nodes.
        product: their product: what the path adds to the gradient.
        share: the product as a part of the gradient; NaN where that is 0.
    """

    nodes: tuple[Value, ...]
    slopes: tuple[float, ...]
    product: float
    share: float

    def __str__(self) -> str:
        name = _named(self.nodes[0])
        steps = [name, *(node._op if node is not self.nodes[-1] else _named(node) for node in self.nodes[1:])]
        factors = " \u00d7 ".join(short(slope, 4) for slope in self.slopes) or "1"
        walk = " \u2192 ".join(steps)
        return f"{walk}: {factors} = {short(self.product, 4)} ({_percent(self.share)})"


@dataclass(frozen=True)
class Explanation:
    """How a leaf acts on a root.

    Attributes:
        gradient: the derivative of the root by the leaf: the sum over all paths.
        paths: the strongest of them, the strongest first.
        path_count: how many paths there are in all.
    """

    gradient: float
    paths: tuple[Path, ...]
    path_count: int

    def __str__(self) -> str:
        if not self.paths:
            return "the root does not depend on the leaf"
        carried = sum(path.share for path in self.paths)
        many = f"{self.path_count:,}" if self.path_count < 10**15 else f"about {self.path_count:.1e}"
        head = f"gradient {short(self.gradient, 4)} over {many} path{'s' * (self.path_count != 1)}; "
        head += f"the strongest {len(self.paths)} carry {_percent(carried)}:" if len(self.paths) > 1 else "it is:"
        return "\n".join([head, *(f"  {path}" for path in self.paths)])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def explain(root: Value, leaf: Value, k: int = 5) -> Explanation:
    """Find the strongest paths from a leaf to a root: those with the largest products of local derivatives.

    The derivative of the root by the leaf is the sum of the products of the local derivatives along all paths between
    them (the chain rule, for many variables). An MLP has more paths than can be listed; the k strongest of each node
    are those of its parents, prolonged, so that they are found in one walk over the graph.

    Args:
        root: the node that is differentiated.
        leaf: the leaf, or a node in between.
        k: how many paths are kept.

    Returns:
        the gradient, the strongest paths, and how many paths there are.

    Raises:
        ValueError: if a node on the way was built by hand, and has no local derivatives on record.

    >>> x = Value(3.0, label="x")
    >>> print(explain(x * x + 2.0 * x, x))
    gradient 8 over 3 paths; the strongest 3 carry 100%:
      x \u2192 * \u2192 +: 3 \u00d7 1 = 3 (38%)
      x \u2192 * \u2192 +: 3 \u00d7 1 = 3 (38%)
      x \u2192 * \u2192 +: 2 \u00d7 1 = 2 (25%)
    """
    if k < 1:
        raise ValueError(f"k: expected at least 1, got {k}")
    order = read_graph(root).order
    # A path to a node: its product, then the operand and the rank among that operand's paths that it prolongs.
    best: dict[Value, list[tuple[float, Value | None, int, float]]] = {leaf: [(1.0, None, 0, 1.0)]}
    counts: dict[Value, int] = {leaf: 1}
    gradients: dict[Value, float] = {leaf: 1.0}
    for node in order:
        if node is leaf:
            continue
        parents = [(k, x) for k, x in enumerate(node._operands) if isinstance(x, Value) and x in counts]
        if not parents:
            continue
        slopes = _slopes(node)
        counts[node] = sum(counts[x] for _, x in parents)
        gradients[node] = sum(slopes[i] * gradients[x] for i, x in parents)
        prolonged = (
            (product * slopes[i], x, rank, slopes[i]) for i, x in parents for rank, (product, *_) in enumerate(best[x])
        )
        best[node] = heapq.nlargest(k, prolonged, key=lambda path: abs(path[0]))
    if root not in counts:
        return Explanation(0.0, (), 0)
    gradient = gradients[root]
    paths = tuple(_path(best, root, rank, gradient) for rank in range(len(best[root])))
    return Explanation(gradient, paths, counts[root])


def _slopes(node: Value) -> Sequence[float]:
    slopes = local_derivatives(node)
    if any(slope is None and isinstance(x, Value) for slope, x in zip(slopes, node._operands)):
        raise ValueError(
            f"the node {node._op or 'built by hand'!r} has no local derivatives on record: it was built by hand, or "
            "its rule raises; make the operation with microgrud.custom_op"
        )
    return [0.0 if slope is None else slope for slope in slopes]


def _path(
    best: dict[Value, list[tuple[float, Value | None, int, float]]], root: Value, rank: int, total: float
) -> Path:
    """Follow a path back from the root."""
    product = best[root][rank][0]
    nodes, slopes = [root], []
    node: Value | None = root
    while node is not None:
        _, parent, rank, slope = best[node][rank]
        if parent is not None:
            nodes.append(parent)
            slopes.append(slope)
        node = parent
    share = product / total if total else float("nan")
    return Path(tuple(reversed(nodes)), tuple(reversed(slopes)), product, share)


def _named(node: Value) -> str:
    return node.label or node._op or "leaf"


def _percent(share: float) -> str:
    return "of a gradient of 0" if share != share else f"{share:.0%}".replace("-", "\u2212")
