"""Graphs to draw: their nodes in topological order, the kind of each node, and the local derivatives."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..common.checks import instance, optional
from ..common.forking import CachedAttribute
from ..common.words import counted
from ..engine import Value, topological_order
from ..engine.ops import TABLE
from ..nn.module import Module, named_leaves


class Kind(enum.Enum):
    """The kind of a value in a graph."""

    ROOT = "root"
    PARAMETER = "parameter"
    INPUT = "input"
    LEAF = "leaf"
    RESULT = "result"


@dataclass(eq=False)
class ValueGraph:
    """A graph to be drawn, with the numbers that it had when it was read.

    A picture may be finished later, such as the states of a folded one, when a step of training has changed them.

    Attributes:
        roots: the nodes that the graph was read from.
        order: the roots and every node that they depend on, each after its parents.
        kinds: the kind of each node.
        names: the names of the nodes that have one.
        data: the number of each node.
        grads: the grads of the nodes that a backward pass has visited: those with a grad other than 0, and every node
            that these depend on. The grad of other nodes is drawn as a dash.
        parameters: the leaves that are parameters, a root among them too.
    """

    roots: list[Value]
    order: list[Value]
    kinds: dict[Value, Kind] = field(default_factory=dict)
    names: dict[Value, str] = field(default_factory=dict)
    data: dict[Value, float] = field(default_factory=dict)
    grads: dict[Value, float] = field(default_factory=dict)
    parameters: list[Value] = field(default_factory=list)

    def slopes(self, node: Value) -> list[float | None]:
        """Return the local derivatives of a node: None where there is none, it is unknown, or it is outdated."""
        return [None] * len(node._operands) if node in self.outdated else _slopes(node, self.data)

    @CachedAttribute
    def outdated(self) -> set[Value]:
        """The nodes whose numbers do not follow from those of their operands: `.data` was set after they were computed.

        A rule of a local derivative would get new operands with an old result, and its number would belong to neither
        the grads nor the new numbers.
        """
        return {node for node in self.order if _is_outdated(node, self.data)}

    def check_numbers(self, where: str) -> None:
        """Raise a ValueError if numbers are outdated."""
        if self.outdated:
            node = next(x for x in self.order if x in self.outdated)
            operands = [self.names.get(x) or x._op or "a leaf" for x in node._operands if isinstance(x, Value)]
            raise ValueError(
                f"{where}: expected a graph whose numbers follow from its leaves, but .data was set after "
                f"{self.names.get(node) or node._op} was computed from {' and '.join(operands[:4])}; compute the root "
                "again"
            )


def read_graph(
    root: Value | Sequence[Value], parameters: Any = None, inputs: Any = None, names: Mapping[Value, str] | None = None
) -> ValueGraph:
    """Collect the nodes that one root or several depend on, with the kind and the name of each.

    Args:
        root: a Value, or several.
        parameters: a Module, or Values: the leaves among them are parameters, named as in the module.
        inputs: a Value, or Values in lists nested as you like: the leaves among them are inputs.
        names: more names.

    Raises:
        TypeError: if `root` is neither a Value nor a sequence of them, or `names` is not a mapping from Values.
        ValueError: if `root` is an empty sequence.
    """
    roots, order = roots_and_nodes(root)
    graph = ValueGraph(roots, order, data={x: x.data for x in order}, grads=_grads(order))
    own_names: dict[Value, str] = {}
    if isinstance(parameters, Module):
        own_names.update({p: name for name, p in named_leaves(parameters)})
        parameters = parameters.parameters()
    known_parameters = set(_values(parameters, "parameters")) if parameters is not None else set()
    names = optional(instance(Mapping, "a mapping from Values to names"))("names", names) or {}
    for node in names:
        instance(Value, "Values as keys")("names", node)
    own_names.update(names)  # names given explicitly override those of the module
    known_inputs = set(_values(inputs, "inputs")) if inputs is not None else set()
    for node in graph.order:
        leaf = Kind.INPUT if node in known_inputs else Kind.PARAMETER if node in known_parameters else Kind.LEAF
        graph.kinds[node] = leaf if node.is_leaf else Kind.RESULT
        name = node.label if node.label != "" else own_names.get(node, "")
        if name != "":
            graph.names[node] = str(name)
    graph.parameters = [x for x in order if x.is_leaf and x in known_parameters]
    graph.kinds.update(dict.fromkeys(roots, Kind.ROOT))
    return graph


def roots_and_nodes(root: Value | Sequence[Value]) -> tuple[list[Value], list[Value]]:
    """Return the different roots, and every node of their graph, each after its parents: see `read_graph`."""
    roots = list(dict.fromkeys(_values(root, "root")))
    if not roots:
        raise ValueError("root: expected at least one Value, got none")
    order: list[Value] = []
    known: set[int] = set()
    for each in roots:
        if id(each) not in known:
            found = topological_order(each, known)
            order += found
            known.update(map(id, found))
    return roots, order


def _grads(order: Sequence[Value]) -> dict[Value, float]:
    """Return the grads of the nodes with one other than 0 and of all nodes below them, which a pass has visited."""
    found: set[Value] = set()
    for node in reversed(order):
        if node.grad != 0.0:
            found.add(node)
        if node in found:
            found.update(x for x in node._operands if isinstance(x, Value))
    return {x: x.grad for x in order if x in found}


def _values(nested: Any, argument: str) -> list[Value]:
    """Flatten Values and nested sequences of them; numbers among inputs have no node and are left out."""
    found: list[Value] = []
    waiting = [nested]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Value):
            found.append(item)
        elif isinstance(item, Iterable) and not isinstance(item, (str, bytes, Mapping)):
            waiting.extend(reversed(list(item)))
        elif argument != "inputs" or isinstance(item, (str, bytes)) or not hasattr(item, "__float__"):
            raise TypeError(f"{argument}: expected a Value or a sequence of them, got {type(item).__name__}")
    return found


class _Nothing(float):
    """A local derivative of 0 that passes nothing on, not even an infinite adjoint."""


#: The local derivative with respect to an operand that the result does not depend on. The rules of operations return
#: None for it, and 0 for a derivative that happens to be 0.
NOTHING = _Nothing(0.0)


def times(adjoint: float, slope: float) -> float:
    """Return the share that is passed on: the product, or NOTHING if either factor is, as in the engine.

    >>> times(float("inf"), 0.0), times(float("inf"), NOTHING)
    (nan, 0.0)
    """
    return NOTHING if adjoint is NOTHING or slope is NOTHING else adjoint * slope


def local_derivatives(node: Value) -> list[float | None]:
    """Return the derivative of a node with respect to each of its operands, at their present numbers.

    It is None for a constant, and where it is unknown because the node was built by hand or its rule raises.

    >>> x, y = Value(3.0), Value(4.0)
    >>> local_derivatives(x * y), local_derivatives(x * 2.0)
    ([4.0, 3.0], [2.0, None])
    """
    return _slopes(node, {x: x.data for x in (node, *node._operands) if isinstance(x, Value)})


def _slopes(node: Value, data: Mapping[Value, float]) -> list[float | None]:
    """Return the local derivatives of a node at given numbers: see `local_derivatives`."""
    operands = node._operands
    slopes: list[float | None] = [None] * len(operands)
    operation = node._operation
    if isinstance(operation, str) or node._closure is not None:
        return slopes
    xs = [data[x] if isinstance(x, Value) else x for x in operands]
    wanted = [k for k, x in enumerate(operands) if isinstance(x, Value)]
    try:
        found = operation.local_derivatives(data[node], xs, wanted)
    except Exception:  # the rule may be user-defined; a picture is drawn even if it fails
        return slopes
    for k, slope in zip(wanted, found):
        slopes[k] = NOTHING if slope is None else float(slope)
    return slopes


def _is_outdated(node: Value, data: Mapping[Value, float]) -> bool:
    """Return whether an operation, from the numbers of its operands, would not compute that of its node again."""
    operation = node._operation
    if node._closure is not None or TABLE.get(getattr(operation, "name", "")) is not operation:
        return False  # a user's function, which may be slow or random, is not called
    try:
        found = operation.value(*[data[x] if isinstance(x, Value) else x for x in node._operands])
    except (ArithmeticError, ValueError):  # not defined at the new numbers
        return True
    return found != data[node] and (found == found or data[node] == data[node])


#: Maximum number of operands drawn; longer lists are drawn without their middle.
MOST_OPERANDS = 24


def is_dot(node: Value) -> bool:
    """Return whether a node is a sum of products; its operands are a bias, all first factors and all second ones."""
    return getattr(node._operation, "name", "") == "dot"


def shown_of(count: int, most: int) -> list[int]:
    """Return all indices below `count` if there are at most `most`, or else the first and the last ones.

    >>> shown_of(5, 6), shown_of(100, 6)
    ([0, 1, 2, 3, 4], [0, 1, 2, 97, 98, 99])
    """
    if count <= most:
        return list(range(count))
    return [*range(most // 2), *range(count - most // 2, count)]


def shown_operands(node: Value) -> list[int]:
    """Return the indices of the operands that a picture shows: all, or the first and the last of very many.

    For a dot these are the first and the last pairs of factors.

    >>> from microgrud import dot, sum
    >>> xs = [Value(1.0)] * 1000
    >>> len(shown_operands(sum(xs))), shown_operands(dot(xs, xs))[:8]
    (24, [0, 1, 2, 3, 4, 5, 6, 995])
    """
    count = len(node._operands)
    if not is_dot(node):
        return shown_of(count, MOST_OPERANDS)
    width = count // 2
    pairs = shown_of(width, MOST_OPERANDS // 2)
    return [0, *(1 + k for k in pairs), *(1 + width + k for k in pairs)]


@dataclass
class Summary:
    """The size of a graph in figures.

    Attributes:
        nodes: the number of nodes.
        leaves: the number of leaves among them.
        operations: the number of nodes that each operation made, the most frequent first.
        depth: the number of operations on the longest path from a leaf to a root.
        widest: the number of nodes on the widest level; the level of a node is the length of the longest path to it
            from a leaf.
        widest_level: the number of that level.
    """

    nodes: int
    leaves: int
    operations: dict[str, int]
    depth: int
    widest: int
    widest_level: int

    def lines(self) -> list[str]:
        """Return the figures as lines of text."""
        most = list(self.operations.items())
        shown = ", ".join(f"{count:,} {symbol or 'built by hand'}" for symbol, count in most[:8])
        more = f", {sum(count for _, count in most[8:]):,} others" if len(most) > 8 else ""
        return [
            f"{counted(self.nodes, 'node')}: {counted(self.leaves, 'leaf')}" + (f", {shown}{more}" if most else ""),
            f"depth {self.depth:,}, widest at level {self.widest_level:,} with {counted(self.widest, 'node')}",
        ]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def summary(root: Value | Sequence[Value]) -> Summary:
    """Count the nodes of a graph by operation, its depth and its widest level.

    Args:
        root: a Value, or several.

    Raises:
        TypeError: if `root` is neither a Value nor a sequence of them.
        ValueError: if `root` is an empty sequence.

    >>> x = Value(2.0)
    >>> print(summary(x * x + x * 3.0))
    4 nodes: 1 leaf, 2 *, 1 +
    depth 2, widest at level 1 with 2 nodes
    """
    return summarise(roots_and_nodes(root)[1])


def summarise(order: Sequence[Value]) -> Summary:
    """Count nodes in topological order, by operation and by level; operands that are not among them do not count."""
    levels: dict[Value, int] = {}
    for node in order:
        levels[node] = max((levels[x] + 1 for x in node._operands if isinstance(x, Value) and x in levels), default=0)
    operations = Counter(node._op for node in order if not node.is_leaf)
    widths = Counter(levels.values())
    widest_level, widest = max(widths.items(), key=lambda item: (item[1], -item[0]))
    leaves = sum(node.is_leaf for node in order)
    return Summary(len(order), leaves, dict(operations.most_common()), max(widths), widest, widest_level)
