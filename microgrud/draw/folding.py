"""Choose the part of a graph to draw: all of it, the nodes near the root, or one box for each neuron or layer.

Folding assigns nodes to groups. A group is drawn as one box, without the nodes in it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..common.words import counted
from ..engine import Value
from ..nn.layers import Layer, Neuron
from ..nn.module import Module, leaves_of
from .value_graph import MOST_OPERANDS, Kind, ValueGraph, is_dot, shown_of, shown_operands


@dataclass(eq=False)
class Group:
    """Nodes that are drawn as one box.

    Attributes:
        title: the name of the neuron or the layer.
        lines: the text in the box.
        place: the numbers of the layer and the neuron, from 0; a group for a layer has that of its first neuron.
        nodes: the nodes in the group, parameters first, and the others in topological order.
        made_by_model: True for a neuron or a layer, False for operations.
        rest: True if it holds nodes like those that are drawn, and does not open.
    """

    title: str
    lines: list[str]
    place: tuple[int, int]
    nodes: list[Value] = field(default_factory=list)
    made_by_model: bool = True
    rest: bool = False


@dataclass
class View:
    """The part of a graph that is drawn.

    Attributes:
        graph: the whole graph.
        drawn: the nodes that have a box of their own, in topological order.
        groups: the groups that are drawn, in topological order of their last nodes.
        group_of: the group that a node is in, drawn or not.
        cut: the drawn nodes whose operands all lie too deep to be drawn.
        too_deep: the nodes that lie too deep, in topological order.
        left_out: the number of nodes that are neither drawn nor in a group that is drawn.
        uses: for each group that was asked for, the operands outside of it.
    """

    graph: ValueGraph
    drawn: list[Value]
    groups: list[Group] = field(default_factory=list)
    group_of: dict[Value, Group] = field(default_factory=dict)
    cut: set[Value] = field(default_factory=set)
    too_deep: list[Value] = field(default_factory=list)
    left_out: int = 0
    uses: dict[Group, Counter[Value]] = field(default_factory=dict)

    def box_of(self, node: Value) -> Box:
        """Return the box that stands for a node as an operand: its group, or the node itself, as for every root."""
        return node if self.graph.kinds[node] is Kind.ROOT else self.group_of.get(node, node)

    def count_boxes(self) -> int:
        """Count the boxes of the whole graph."""
        return len({self.box_of(node) for node in self.graph.order}.union(self.group_of.values()))

    def makers(self, box: Box) -> list[Box]:
        """Return the boxes of a box's operands; if there are very many, the shown ones and all groups."""
        if isinstance(box, Group):
            return list(dict.fromkeys(self.box_of(x) for x in self.inputs_of(box)))
        if box in self.group_of:  # a root that a group has made
            return [self.group_of[box]]
        shown = set(shown_operands(box))
        operands = [(k in shown, x, self.box_of(x)) for k, x in enumerate(box._operands) if isinstance(x, Value)]
        return [maker for is_shown, x, maker in operands if is_shown or maker is not x]

    def _used_by(self, group: Group) -> Counter[Value]:
        """Count the uses of each operand of a group that lies outside of it."""
        if group not in self.uses:
            inside = set(group.nodes)
            self.uses[group] = Counter(x for node in group.nodes for x in _parents(node) if x not in inside)
        return self.uses[group]

    def inputs_of(self, group: Group) -> dict[Value, int]:
        """Return the operands of a group that lie outside of it, and how many times the group uses each.

        If very many of them have a box of their own, only the first and the last of these are returned.
        """
        used = self._used_by(group)
        ungrouped = [x for x in used if self.box_of(x) is x]
        shown = {ungrouped[k] for k in shown_of(len(ungrouped), MOST_OPERANDS)}
        return {x: count for x, count in used.items() if self.box_of(x) is not x or x in shown}

    def count_hidden(self, group: Group) -> int:
        """Count the operands of a group that `inputs_of` leaves out."""
        return len(self._used_by(group)) - len(self.inputs_of(group))


#: A value or a group, each drawn as one box.
Box = Value | Group


def view(graph: ValueGraph, model: Module | None, fold: str | None, depth: int | None, max_nodes: int) -> View:
    """Choose the nodes and groups to draw, at most `max_nodes` boxes.

    Args:
        graph: the graph.
        model: the module whose neurons and layers may be folded.
        fold: "neurons", "layers", "nothing", or None for the first of nothing, neurons, layers that fits.
        depth: the number of operations below a root to draw; None for as many as fit.
        max_nodes: the most boxes.
    """
    group_of: dict[Value, Group] = {}
    if model is not None and fold != "nothing":
        for unit in [fold] if fold else [None, "neurons", "layers"]:
            group_of = {} if unit is None else groups_of(graph, model, unit)
            if View(graph, [], group_of=group_of).count_boxes() <= max_nodes:
                break
    return view_of(graph, group_of, depth, max_nodes)


def view_of(graph: ValueGraph, group_of: dict[Value, Group], depth: int | None, max_nodes: int) -> View:
    """Choose the boxes to draw of a graph with these groups: see `view`."""
    chosen = View(graph, [], group_of=group_of)
    distance = _distances(chosen)
    near = {box for box, d in distance.items() if d <= depth} if depth is not None else _nearest(distance, max_nodes)
    chosen.drawn = [node for node in graph.order if node in near]
    groups = [(k, chosen.group_of.get(node)) for k, node in enumerate(graph.order)]
    last = {group: k for k, group in groups if group is not None and group in near}
    chosen.groups = sorted(last, key=last.__getitem__)
    makers = {node: chosen.makers(node) for node in chosen.drawn}
    chosen.cut = {node for node, boxes in makers.items() if boxes and near.isdisjoint(boxes)}
    chosen.too_deep = _too_deep(chosen, near) if len(near) < len(distance) else []
    shown = {*chosen.drawn, *(node for group in chosen.groups for node in group.nodes)}
    chosen.left_out = len(graph.order) - len(shown)
    return chosen


def _parents(node: Value) -> list[Value]:
    return [x for x in node._operands if isinstance(x, Value)]


def _distances(chosen: View) -> dict[Box, int]:
    """Return the number of operations from each box to the nearest root, nearest first; a group counts as one."""
    distance: dict[Box, int] = dict.fromkeys(chosen.graph.roots, 0)
    waiting = deque(distance)
    while waiting:
        box = waiting.popleft()
        for maker in chosen.makers(box):
            if maker not in distance:
                distance[maker] = distance[box] + 1
                waiting.append(maker)
    return distance


def _nearest(distance: dict[Box, int], max_nodes: int) -> set[Box]:
    """Return the boxes up to the largest distance within which there are at most `max_nodes`.

    If only roots, or not even all roots, lie within such a distance, return the first `max_nodes` boxes found: roots
    alone do not make a picture of a graph.
    """
    nearest = list(distance)
    if len(nearest) <= max_nodes:
        return set(nearest)
    limit = distance[nearest[int(max_nodes)]] - 1
    if limit < 1:
        return set(nearest[: int(max_nodes)])
    return {box for box, d in distance.items() if d <= limit}


def _too_deep(chosen: View, near: set[Box]) -> list[Value]:
    """Return the nodes that the drawn ones depend on but that are not drawn themselves."""
    waiting = [maker for box in near for maker in chosen.makers(box) if maker not in near]
    seen = {*near, *waiting}
    found: set[Value] = set()
    while waiting:
        box = waiting.pop()
        nodes = box.nodes if isinstance(box, Group) else [box]
        found.update(nodes)
        makers = {chosen.box_of(x) for node in nodes for x in _parents(node)} - seen
        seen |= makers
        waiting += makers
    return [node for node in chosen.graph.order if node in found and node not in near]


# --- neurons and layers ---


def groups_of(graph: ValueGraph, model: Module, unit: str) -> dict[Value, Group]:
    """Return the group of each node that a neuron of the model made: one group for each neuron, or for each layer."""
    layers = neurons_by_layer(model)
    owner = _owners_of_parameters(layers)
    made = _owners(graph.order, owner)
    drawn = {(k, n if unit == "neurons" else 0) for k, n, _ in made.values()}
    parameters = {p: found for p, found in owner.items() if graph.kinds.get(p) is Kind.PARAMETER}
    group_of: dict[Value, Group] = {}
    groups: dict[tuple[int, int], Group] = {}
    for node, (k, n, _) in (parameters | made).items():
        place = (k, n if unit == "neurons" else 0)
        if place in drawn:
            if place not in groups:
                groups[place] = Group(*_title_and_lines(layers, *place, unit), place)
            groups[place].nodes.append(node)
            group_of[node] = groups[place]
    return group_of


def neuron_of_each(order: Sequence[Value], model: Module) -> dict[Value, tuple[int, int]]:
    """Return the numbers of the layer and the neuron, from 1, for each node that a neuron of the model made."""
    owners = _owners(order, _owners_of_parameters(neurons_by_layer(model)))
    return {node: (k + 1, n + 1) for node, (k, n, _) in owners.items()}


def _owners_of_parameters(layers: Sequence[Sequence[Neuron]]) -> dict[Value, tuple[int, int, Neuron]]:
    return {p: (k, n, neuron) for k, ns in enumerate(layers) for n, neuron in enumerate(ns) for p in leaves_of(neuron)}


def _owners(
    order: Sequence[Value], of_parameter: dict[Value, tuple[int, int, Neuron]]
) -> dict[Value, tuple[int, int, Neuron]]:
    """Return the neuron that made each node, in topological order: its weighted sum, and the activation of the sum.

    Other nodes that use parameters, such as a penalty on them, belong to no neuron.
    """
    owners: dict[Value, tuple[int, int, Neuron]] = {}
    sums: set[Value] = set()
    for node in order:
        found = _summed(node, of_parameter)
        if found is not None:
            owners[node] = found
            sums.add(node)
            continue
        parents = _parents(node)
        if len(parents) == 1 and parents[0] in sums:
            neuron = owners[parents[0]][2]
            name = getattr(node._operation, "name", node._operation)
            if neuron.nonlin and name == neuron.activation.name:
                owners[node] = owners[parents[0]]
    return owners


def _summed(node: Value, of_parameter: dict[Value, tuple[int, int, Neuron]]) -> tuple[int, int, Neuron] | None:
    """Return the neuron whose weighted sum a node is: a dot of all its weights with operands other than parameters."""
    if not is_dot(node):
        return None
    bias, *factors = node._operands
    width = len(factors) // 2
    if not width:
        return None
    found = of_parameter.get(factors[0]) if isinstance(factors[0], Value) else None
    if found is None:
        return None
    neuron = found[2]
    if len(neuron.w) != width or any(w is not x for w, x in zip(neuron.w, factors)):
        return None
    own_bias = bias is neuron.b if neuron.b is not None else not isinstance(bias, Value)
    return found if own_bias and not any(x in of_parameter for x in factors[width:]) else None


def neurons_by_layer(model: Module) -> list[list[Neuron]]:
    """Return the neurons of a model by the layers found in it."""
    if isinstance(model, Neuron):
        return [[model]]
    if isinstance(model, Layer):
        return [model.neurons]
    return [neurons for child in model.children() for neurons in neurons_by_layer(child)]


def function_of(neuron: Neuron) -> str:
    """Return the name of a neuron's activation, "linear" if it has none."""
    return (neuron.activation.name or neuron.activation.label) if neuron.nonlin else "linear"


def _title_and_lines(layers: Sequence[Sequence[Neuron]], k: int, n: int, unit: str) -> tuple[str, list[str]]:
    """Return the title of the box of a neuron or a layer, and the lines below it."""
    neuron = layers[k][n]
    function = function_of(neuron)
    if unit == "layers":
        parameters = sum(len(leaves_of(each)) for each in layers[k])
        return f"layer {k + 1}", [f"{counted(len(layers[k]), 'neuron')}, {function}", f"{parameters:,} parameters"]
    bias = ", a bias" if neuron.b is not None else ""
    return f"layer {k + 1}, neuron {n + 1}", [f"{counted(len(neuron.w), 'weight')}{bias}", function]
