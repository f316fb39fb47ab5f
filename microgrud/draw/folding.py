"""Which part of a graph is drawn: all of it, what lies near the root, or neurons and layers as one box each.

Folding assigns nodes to groups; a group is drawn as one box, and the nodes in it are not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..engine import Value
from ..nn.layers import MLP, Layer, Neuron
from ..nn.module import Module
from .graph import Graph, Kind, shown_operands


@dataclass(eq=False)
class Group:
    """Nodes that are drawn as one box.

    Attributes:
        title: what they are.
        lines: what the box says of them.
        place: the numbers of its layer and its neuron, from 0; of a layer that of its first neuron seen.
        nodes: the nodes in it, in topological order.
    """

    title: str
    lines: list[str]
    place: tuple[int, int]
    nodes: list[Value] = field(default_factory=list)


@dataclass
class View:
    """What is drawn of a graph.

    Attributes:
        graph: all of it.
        drawn: the nodes that have a box of their own, in topological order.
        groups: the groups, in topological order of their last nodes.
        group_of: the group that a node is in.
        cut: nodes among the drawn ones whose operands are not drawn, because they lie too deep.
        left_out: how many nodes are neither drawn nor in a group.
    """

    graph: Graph
    drawn: list[Value]
    groups: list[Group] = field(default_factory=list)
    group_of: dict[Value, Group] = field(default_factory=dict)
    cut: set[Value] = field(default_factory=set)
    left_out: int = 0


def view(graph: Graph, model: Module | None, fold: str | None, depth: int | None, max_nodes: int) -> View:
    """Choose what to draw, so that there are no more than `max_nodes` boxes.

    Args:
        graph: the graph.
        model: the module whose neurons and layers may be folded.
        fold: "neurons", "layers", "nothing", or None for the first of nothing, neurons, layers that fits.
        depth: how many operations below a root are drawn; None for as many as fit.
        max_nodes: how many boxes there may be.
    """
    folded: dict[Value, Group] = {}
    if model is not None and fold != "nothing":
        ways = [fold] if fold else [None, "neurons", "layers"]
        for way in ways:
            folded = {} if way is None else _groups(graph, model, way)
            if len(graph.order) - len(folded) + len(set(folded.values())) <= max_nodes:
                break
    distance = _distances(graph, folded)
    limit = depth if depth is not None else _deepest_that_fits(distance, folded, max_nodes)
    near = {node for node, d in distance.items() if d <= limit}
    whole = {group for node in near if (group := folded.get(node)) is not None}
    drawn = [node for node in graph.order if node in near and node not in folded]
    last = {group: k for k, node in enumerate(graph.order) if (group := folded.get(node)) in whole}
    groups = sorted(last, key=last.__getitem__)
    cut = {node for node in drawn if any(x not in near for x in _shown_parents(node))}
    shown = len(drawn) + sum(len(group.nodes) for group in groups)
    group_of = {node: group for node, group in folded.items() if group in whole}
    return View(graph, drawn, groups, group_of, cut, len(graph.order) - shown)


def _shown_parents(node: Value) -> list[Value]:
    operands = node._operands
    return [x for k in shown_operands(node) if isinstance(x := operands[k], Value)]


def _parents(node: Value) -> list[Value]:
    return [x for x in node._operands if isinstance(x, Value)]


def _distances(graph: Graph, folded: dict[Value, Group]) -> dict[Value, int]:
    """Return how many operations lie between each node and the nearest root; a group counts as one."""
    distance: dict[Value, int] = {}
    waiting = deque((root, 0) for root in graph.roots)
    while waiting:
        node, d = waiting.popleft()
        if node in distance:
            continue
        group = folded.get(node)
        members: Iterable[Value] = [node] if group is None else group.nodes
        for member in members:
            distance.setdefault(member, d)
        waiting.extend((x, d + 1) for member in members for x in _shown_parents(member) if x not in distance)
    return distance


def _deepest_that_fits(distance: dict[Value, int], folded: dict[Value, Group], max_nodes: int) -> int:
    """Return the largest distance within which there are no more than `max_nodes` boxes; at least 1."""
    boxes: dict[int, int] = {}
    counted: set[Group] = set()
    for node, d in distance.items():
        group = folded.get(node)
        if group is None or group not in counted:
            boxes[d] = boxes.get(d, 0) + 1
        if group is not None:
            counted.add(group)
    total, deepest = 0, 0
    for d in sorted(boxes):
        total += boxes[d]
        if total > max_nodes:
            return max(deepest, 1)
        deepest = d
    return deepest


# --- neurons and layers ---


def _groups(graph: Graph, model: Module, way: str) -> dict[Value, Group]:
    """Assign the nodes that a model's neurons, or layers, have made to a group each."""
    layers = neurons_by_layer(model)
    owner = _owners_of_parameters(layers)
    group_of: dict[Value, Group] = {}
    groups: dict[tuple[int, ...], Group] = {}
    for node, (k, n, _) in _owners(graph.order, owner).items():
        key = (k,) if way == "layers" else (k, n)
        if key not in groups:
            groups[key] = Group(*_words(layers, k, n, way), (k, n))
        groups[key].nodes.append(node)
        group_of[node] = groups[key]
    for parameter, (k, n, _) in owner.items():
        group = groups.get((k,) if way == "layers" else (k, n))
        if group is not None and graph.kinds.get(parameter) is Kind.PARAMETER:
            group.nodes.insert(0, parameter)
            group_of[parameter] = group
    return group_of


def neuron_of_each(order: Sequence[Value], model: Module) -> dict[Value, tuple[int, int]]:
    """Tell which neuron of a model made each node that one of them made: the layer and the neuron, counted from 1."""
    owners = _owners(order, _owners_of_parameters(neurons_by_layer(model)))
    return {node: (k + 1, n + 1) for node, (k, n, _) in owners.items()}


def _owners_of_parameters(layers: Sequence[Sequence[Neuron]]) -> dict[Value, tuple[int, int, Neuron]]:
    return {
        p: (k, n, neuron) for k, ns in enumerate(layers) for n, neuron in enumerate(ns) for p in neuron.parameters()
    }


def _owners(
    order: Sequence[Value], of_parameter: dict[Value, tuple[int, int, Neuron]]
) -> dict[Value, tuple[int, int, Neuron]]:
    """Tell which neuron made each node, in topological order; the nodes that none made are left out."""
    owners: dict[Value, tuple[int, int, Neuron]] = {}
    for node in order:
        found = _owner(node, of_parameter, owners)
        if found is not None:
            owners[node] = found
    return owners


def _owner(
    node: Value, of_parameter: dict[Value, tuple[int, int, Neuron]], of_node: dict[Value, tuple[int, int, Neuron]]
) -> tuple[int, int, Neuron] | None:
    """Return the neuron that has made a node: from its own parameters, or as its activation of that."""
    parents = _parents(node)
    found = {of_parameter[x][:2]: of_parameter[x] for x in parents if x in of_parameter}
    if len(found) == 1:
        return next(iter(found.values()))
    if len(parents) != 1 or parents[0] not in of_node:
        return None
    made = of_node[parents[0]]
    neuron = made[2]
    is_sum = any(x in of_parameter for x in _parents(parents[0]))
    name = getattr(node._operation, "name", node._operation)
    return made if is_sum and neuron.nonlin and name == neuron.activation.name else None


def neurons_by_layer(model: Module) -> list[list[Neuron]]:
    """Return the neurons of a model by layers: of an MLP its own, of another module those found in it."""
    if isinstance(model, MLP):
        return [layer.neurons for layer in model.layers]
    if isinstance(model, Layer):
        return [model.neurons]
    if isinstance(model, Neuron):
        return [[model]]
    found: list[list[Neuron]] = []
    for child in model.children():
        found.extend(neurons_by_layer(child))
    return found


def _words(layers: Sequence[Sequence[Neuron]], k: int, n: int, way: str) -> tuple[str, list[str]]:
    """Return the title of a neuron's or a layer's box, and what it holds."""
    neuron = layers[k][n]
    activation = neuron.activation.name or neuron.activation.label
    function = activation if neuron.nonlin else "linear"
    if way == "layers":
        parameters = sum(len(each.parameters()) for each in layers[k])
        many = len(layers[k])
        return f"layer {k + 1}", [f"{many} neuron{'s' * (many > 1)}, {function}", f"{parameters:,} parameters"]
    bias = ", a bias" if neuron.b is not None else ""
    many = len(neuron.w)
    return f"layer {k + 1}, neuron {n + 1}", [f"{many} weight{'s' * (many > 1)}{bias}", function]
