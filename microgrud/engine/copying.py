"""Copies and pickles of graphs, without recursion, so that a chain of a million nodes can be copied.

Shared nodes stay shared, also between several nodes in one list or module: each node is in the memo of the copy or the
pickler. `pickle` recurses into everything that an object's `__reduce__` returns. To keep that shallow, the first node
that it meets returns its ancestors in topological order, so that the pickler knows the parents of each node already.
In a list of many nodes of one chain, put the last node first: otherwise each node returns all its ancestors again.

Inside a transform (`grad`, `jacobian` and the like) the copy of a node that depends on the variable is a node that
passes its gradient on to the original: a copy of the number would silently cut the derivative.
"""

from __future__ import annotations

import copy
import copyreg
import functools
import pickle
import threading
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from . import tracing
from .by_hand import describe
from .node import Node, NodeT
from .operation import Operation
from .ops import IDENTITY, TABLE

#: The variables of all transforms in progress, in the present thread or task.
_variables: ContextVar[tuple[Node, ...]] = ContextVar("microgrud_variables", default=())
#: Non-empty while a transform is in progress in any thread. Testing it avoids a context look-up: 30 ns per replay.
_transforms: list[None] = []


class differentiating:  # noqa: N801 - it is used as a statement, not as a class
    """Let copies of nodes that depend on these variables pass their gradient on: a transform is in progress.

    A class rather than a generator with `contextmanager`, which would take a microsecond more.
    """

    def __init__(self, variables: Sequence[Node]) -> None:
        self._variables = variables

    def __enter__(self) -> None:
        self._token = _variables.set((*_variables.get(), *self._variables))
        _transforms.append(None)

    def __exit__(self, *error: object) -> None:
        _transforms.pop()
        _variables.reset(self._token)


def variables() -> tuple[Any, ...]:
    """Return the variables of all transforms in progress, in the present thread or task."""
    return _variables.get()


def is_differentiating() -> bool:
    """Return whether a transform is in progress, in the present thread or task."""
    return bool(_transforms and _variables.get())


def _depends_on_variable(node: Node) -> bool:
    variables = {id(x) for x in _variables.get()} if _transforms else set()
    seen: set[int] = set()
    waiting = [node] if variables else []
    while waiting:
        x = waiting.pop()
        if id(x) in variables:
            return True
        if id(x) not in seen:
            seen.add(id(x))
            waiting.extend([y for y in x._operands if not isinstance(y, float)])
    return False


class _Pickling(threading.local):
    """The lists of ancestors that picklers in this thread have received and not finished."""

    def __init__(self) -> None:
        self.lists: list[weakref.ref[_Ancestors]] = []

    def holds(self, node: Node) -> bool:
        """Return whether a node is in one of them; a pickler that fails drops its list."""
        return any(id(node) in own.nodes for own in [reference() for reference in self.lists] if own is not None)


_pickling = _Pickling()


class _Ancestors:
    """The end of a list of ancestors, which are in progress until the pickler reaches or drops this object.

    A weak reference notices the drop: `__del__` would be called where the stack may have no room for it.
    """

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = {id(node): node for node in nodes}
        _pickling.lists = [other for other in _pickling.lists if other() is not None]
        _pickling.lists.append(weakref.ref(self))

    def __reduce__(self) -> tuple[Any, ...]:
        self.nodes = {}
        _pickling.lists = [other for other in _pickling.lists if other() is not self]
        return str, ()


def copy_node(node: NodeT) -> NodeT:
    """Copy one node, with the same parents; the copy shares attributes of a subclass."""
    if any(node is variable for variable in _variables.get()):  # nodes that depend on one keep their parents below
        return _connected_copy(node)
    _refuse_what_cannot_be_copied(node, "copied")
    extra = _added_attributes(node)
    return restore(type(node), (), node._data, node._grad, node.label, node._operation, node._operands, extra)


def _connected_copy(node: NodeT) -> NodeT:
    """Return a node with the same number, whose gradient flows on to the original."""
    if tracing._tracers:
        tracing.report_read(node, "copy")
    connected: NodeT = IDENTITY(node)  # type: ignore[call-overload]
    return connected


def deepcopy_graph(order: list[NodeT], memo: dict[int, Any]) -> NodeT:
    """Copy nodes in topological order, except those with a copy in the memo, and return the copy of the last."""
    if _depends_on_variable(order[-1]):
        memo[id(order[-1])] = _connected_copy(order[-1])
        order = order[-1:]
    for node in order:
        if id(node) in memo:
            continue
        _refuse_what_cannot_be_copied(node, "copied")
        operation, operands = _expanded(node)
        operands = tuple(memo[id(x)] if id(x) in memo else copy.deepcopy(x, memo) for x in operands)
        extra = copy.deepcopy(_added_attributes(node), memo)
        memo[id(node)] = restore(type(node), (), node._data, node._grad, node.label, operation, operands, extra)
    result: NodeT = memo[id(order[-1])]
    return result


def reduce_graph(node: NodeT, topological_order: Callable[[NodeT], list[NodeT]]) -> tuple[Any, ...]:
    """Return the result of `__reduce__`: a function and its arguments that restore the node, after its ancestors."""
    if _depends_on_variable(node):
        raise TypeError(
            f"pickle: a Value with the number {node._data} that depends on the variable of a derivative in progress "
            "cannot be pickled without losing its gradient; use it as it is, or copy it by copy.deepcopy or +x"
        )
    _refuse_what_cannot_be_copied(node, "pickled")
    ancestors: list[Any] = []
    if node._operands and not _pickling.holds(node):
        ancestors = [x for x in topological_order(node)[:-1] if x._operands]
        ancestors.append(_Ancestors(list(ancestors)))
    extra = _added_attributes(node)
    operation, operands = _expanded(node)
    if isinstance(operation, Operation) and TABLE.get(operation.name) is operation:
        operation = (operation.name,)  # type: ignore[assignment]
    state = (node._data, node._grad, node.label, operation, operands, extra)
    return unpickle, (type(node), ancestors, *state)


def _expanded(node: Node) -> tuple[Operation | str, tuple[Any, ...]]:
    """Return operation and operands for a copy; a node that stands for a whole graph is replaced by the root of it.

    The derivatives of such a node belong to the original operands, and would not follow the copied ones.
    """
    expand = getattr(node._operation, "expand", None)
    if expand is None:
        return node._operation, node._operands
    return IDENTITY, (expand(node._operands),)


def with_operands(root: NodeT, before: Sequence[Node], after: Sequence[Any]) -> NodeT:
    """Return a copy of a graph in which other nodes replace some of its leaves."""
    token = _variables.set(())  # copy nodes that depend on a variable too
    try:
        return copy.deepcopy(root, {id(x): y for x, y in zip(before, after)})
    finally:
        _variables.reset(token)


def restore(
    kind: type[NodeT],
    ancestors: object,
    data: float,
    grad: float,
    label: str,
    operation: Operation | str | tuple[str],
    operands: tuple[Any, ...],
    extra: dict[str, Any] | None,
) -> NodeT:
    """Make a node from its parts; an operation of the table is given by its name, in a tuple.

    The `ancestors` are not used: they are an argument so that pickle restores them before the node.
    """
    node = kind.__new__(kind)
    node._data, node._grad, node.label = data, grad, label
    node._operation = TABLE[operation[0]] if isinstance(operation, tuple) else operation
    node._operands, node._closure = operands, None
    for name, attribute in (extra or {}).items():
        setattr(node, name, attribute)
    return node


def unpickle(*parts: Any) -> Any:
    """Restore a node from a pickle.

    Raises:
        pickle.UnpicklingError: if the parts do not make a node.
    """
    try:
        return restore(*parts)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise pickle.UnpicklingError(
            f"a Value that cannot be restored: its pickle is damaged, or its class needs arguments: {error}"
        ) from None


#: The slots of Value in Python; Value in C has none.
_OWN_SLOTS = frozenset({"_closure", "_number", "_grad", "_operands", "_operation", "label"})


@functools.lru_cache(maxsize=256)
def _added_slots(kind: type[Node]) -> tuple[str, ...]:
    names: list[str] = copyreg._slotnames(kind)  # type: ignore[attr-defined]
    return tuple(name for name in names if name not in _OWN_SLOTS)


def _added_attributes(node: Node) -> dict[str, Any] | None:
    """Return the attributes that a subclass has added, in its dictionary and in its slots."""
    kind: Any = type(node)
    slots = {name: getattr(node, name) for name in _added_slots(kind) if hasattr(node, name)}
    own: dict[str, Any] | None = getattr(node, "__dict__", None)
    return {**(own or {}), **slots} if slots else own


def _refuse_what_cannot_be_copied(node: Node, done: str) -> None:
    if tracing._tracers:
        tracing.report_read(node, "copy")
    if node._closure is not None:
        raise TypeError(
            f"{describe(node._op)} cannot be {done}: its _backward refers to the nodes it was made for; make the "
            "operation with microgrud.custom_op instead"
        )
