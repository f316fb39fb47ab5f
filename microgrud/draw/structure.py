"""Fold a graph by its operations: parts that repeat become one box, and so do operations that follow each other.

Two nodes are of one class if the same operation made them from operands of the same classes. So a network that was
evaluated at four points has the classes of one evaluation, and the heads and positions of a transformer fall together.
The classes in topological order are cut into parts, each a box, preferably where few classes are used later on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import accumulate

from ..engine import Value
from .folding import Group
from .value_graph import Kind, ValueGraph

#: Maximum number of classes whose boundaries are compared; more are joined in runs of equal length first.
_MOST_CLASSES = 400
#: Maximum number of operations named in the title of a box.
_MOST_NAMED = 4
#: Maximum number of classes in a part that is preferred to others because each follows the last one.
_SMALL = 6


class Structure:
    """The classes of a graph's nodes.

    Attributes:
        classes: the nodes of each class other than leaves, in topological order of the classes.
    """

    def __init__(self, graph: ValueGraph, nodes: Iterable[Value]) -> None:
        """Find the classes of some nodes, in topological order, of a graph."""
        self.graph = graph
        class_of: dict[Value, int] = {}
        known: dict[Hashable, int] = {}
        for node in nodes:
            if node.is_leaf:
                continue
            operands = {class_of.get(x, -1) for x in node._operands if isinstance(x, Value)}
            root = node if graph.kinds[node] is Kind.ROOT else None
            key = (node._op, frozenset(operands), root)
            class_of[node] = known.setdefault(key, len(known))
        self.class_of = class_of
        self.classes: list[list[Value]] = [[] for _ in known]
        for node, k in class_of.items():
            self.classes[k].append(node)
        self.cuts = self._cuts()

    def natural(self) -> int:
        """Return the number of parts if each class that follows the last one is joined to it, within limits."""
        parts = size = 0
        for follows in self.cuts[1]:
            joined = follows and 0 < size < _SMALL
            parts, size = (parts, size + 1) if joined else (parts + 1, 1)
        return parts

    def parts(self, most: int) -> list[list[Value]]:
        """Cut the classes into at most `most` parts, and return the nodes of each."""
        count = len(self.classes)
        if not count:
            return []
        run = -(-count // _MOST_CLASSES)
        starts = list(range(0, count, run))
        widths, follows = self.cuts
        while len(starts) > max(1, most):
            starts.pop(self._weakest(starts, widths, follows))
        return [
            [node for members in self.classes[start:end] for node in members]
            for start, end in zip(starts, [*starts[1:], count])
        ]

    def _cuts(self) -> tuple[list[int], list[bool]]:
        """Return for each class how many earlier classes it or a later one uses, and whether it follows the last one.

        A class follows the last one if it uses nothing else, such as an activation, or if both are single nodes.
        """
        count = len(self.classes)
        last = [0] * count  # the last class that uses a class
        follows = [False] * count
        for node, k in self.class_of.items():
            used = {self.class_of.get(x, -1) for x in node._operands if isinstance(x, Value)}
            for j in used - {-1}:
                last[j] = max(last[j], k)
            single = len(self.classes[k]) == len(self.classes[k - 1]) == 1
            follows[k] = used == {k - 1} or (single and k - 1 in used)
        changes = [0] * (count + 1)
        for k, end in enumerate(last):
            if end > k:
                changes[k + 1] += 1
                changes[end + 1] -= 1
        return list(accumulate(changes[:-1])), follows

    @staticmethod
    def _weakest(starts: Sequence[int], widths: Sequence[int], follows: Sequence[bool]) -> int:
        """Return which start of a part to remove: it is joined to the part before it."""
        ends = [*starts[1:], len(widths)]

        def strength(k: int) -> tuple[bool, int, int]:
            size = ends[k] - starts[k - 1]
            return not (follows[starts[k]] and size <= _SMALL), -widths[starts[k]], size

        return min(range(1, len(starts)), key=strength)

    def groups(self, most: int, outside: Mapping[Value, Group]) -> dict[Value, Group]:
        """Return the group of each node, for at most `most` parts and the groups of nodes outside of them.

        A leaf belongs to the part that uses it. Leaves that several parts use are a group of their own, and so are
        inputs. A root that is a part alone is drawn with its operation.
        """
        first = 1 + max((group.place[0] for group in outside.values()), default=-1)
        own = [Group("", [], (first + k, 0), nodes, made_by_model=False) for k, nodes in enumerate(self.parts(most))]
        own = [each for each in own if len(each.nodes) > 1 or self.graph.kinds[each.nodes[0]] is not Kind.ROOT]
        group_of = {**outside, **{node: group for group in own for node in group.nodes}}
        users: defaultdict[Value, dict[Group | Value, None]] = defaultdict(dict)
        for node in self.graph.order:
            for x in node._operands:
                if isinstance(x, Value) and x.is_leaf and x not in group_of and self.graph.kinds[x] is not Kind.ROOT:
                    users[x][group_of.get(node, node)] = None
        shared: dict[tuple[Kind, frozenset[Group | Value]], list[Value]] = {}
        inside: defaultdict[Group, list[Value]] = defaultdict(list)
        for x, using in users.items():
            kind, only = self.graph.kinds[x], next(iter(using))
            if len(using) == 1 and isinstance(only, Group) and only in own and kind is not Kind.INPUT:
                inside[only].append(x)
            else:
                shared.setdefault((kind, frozenset(using)), []).append(x)
        for group in own:
            group.title = operations(group.nodes)
            group.lines = self._names(inside[group]) + self._names(group.nodes)
            if leaves := inside[group]:
                group.nodes[:0] = leaves
                group_of.update(dict.fromkeys(leaves, group))
        for k, ((kind, _), leaves) in enumerate(shared.items(), first + len(own)):
            if len(leaves) > 1:
                group = Group(
                    f"{len(leaves):,} {PLURALS[kind]}", self._names(leaves), (k, 0), leaves, made_by_model=False
                )
                group_of.update(dict.fromkeys(leaves, group))
        return group_of

    def _names(self, nodes: Sequence[Value]) -> list[str]:
        """Return a line that names nodes: what their names have in common, all of them, or the first and the last."""
        names = [self.graph.names[x] for x in nodes if x in self.graph.names]
        if not names:
            return []
        first, last = min(names), max(names)  # what these have in common, all names have
        same = next((k for k, (x, y) in enumerate(zip(first, last)) if x != y), len(first))
        common = first[:same].rpartition(".")[0]
        return [common or (", ".join(names) if len(names) <= 4 else f"{names[0]} to {names[-1]}")]


def operations(nodes: Sequence[Value]) -> str:
    """Return the operations that made nodes, with their numbers."""
    counts = Counter(node._op or "by hand" for node in nodes)
    if len(counts) > _MOST_NAMED:
        counts = Counter(dict(counts.most_common(_MOST_NAMED - 1)))
    others = len(nodes) - counts.total()
    return ", ".join(f"{count:,} {name}" for name, count in [*counts.items(), *([("more", others)] if others else [])])


#: The words for leaves in a box that counts them.
PLURALS = {Kind.PARAMETER: "parameters", Kind.INPUT: "inputs", Kind.LEAF: "leaves"}
