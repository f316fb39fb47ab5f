"""Deep copies and pickles of graphs, without recursion, so that a chain of a million nodes can be copied.

Both keep what is shared shared, also between several nodes in one list or module: each node goes through the memo
of the copy or the pickler. `pickle` recurses into what an object's `__reduce__` returns; to keep that shallow, the
first node that it meets hands over its ancestors in topological order, so that each one finds its parents done. Of a
list of many nodes of one chain, put the last node first: each one hands over its ancestors anew, known or not.

Inside a transform (`grad` and its kin) a copy of a node that depends on the variable is a node that passes its gradient
on: a copy of the number alone would cut the derivative in silence.
"""

from __future__ import annotations

import copy
import copyreg
import functools
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from . import tracing
from .node import Node, NodeT
from .operation import Operation
from .ops import IDENTITY, TABLE

#: The variables of all transforms in progress, in the present thread or task.
_variables: ContextVar[tuple[Node, ...]] = ContextVar("microgrud_variables", default=())
#: Non-empty while a transform is in progress in any thread: looking at the context takes 30 ns a call of a replay.
_in_progress_anywhere: list[None] = []


@contextmanager
def carrying(variables: Sequence[Node]) -> Iterator[None]:
    """Let copies of nodes that depend on these variables pass their gradient on."""
    token = _variables.set((*_variables.get(), *variables))
    _in_progress_anywhere.append(None)
    try:
        yield
    finally:
        _in_progress_anywhere.pop()
        _variables.reset(token)


def variables() -> tuple[Any, ...]:
    """Return the variables of all transforms in progress, in the present thread or task."""
    return _variables.get()


def is_differentiating() -> bool:
    """Tell whether a transform is in progress, in the present thread or task."""
    return bool(_in_progress_anywhere and _variables.get())


def _depends_on_variable(node: Node) -> bool:
    variables = {id(x) for x in _variables.get()} if _in_progress_anywhere else set()
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


class _InProgress(threading.local):
    """The lists of nodes that picklers in this thread have been handed, and have not been through yet."""

    def __init__(self) -> None:
        self.lists: list[weakref.ref[_Ancestors]] = []

    def holds(self, node: Node) -> bool:
        """Tell whether a node is in one of them; a pickler that failed has dropped its own."""
        return any(id(node) in own.nodes for own in [reference() for reference in self.lists] if own is not None)


_in_progress = _InProgress()


class _Ancestors:
    """Ends a list of nodes: they are in progress until the pickler reaches this object, or drops it on a failure.

    There is no `__del__`, which Python would have to call where the stack has no room for it.
    """

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = {id(node): node for node in nodes}
        _in_progress.lists = [other for other in _in_progress.lists if other() is not None]
        _in_progress.lists.append(weakref.ref(self))

    def __reduce__(self) -> tuple[Any, ...]:
        self.nodes = {}
        _in_progress.lists = [other for other in _in_progress.lists if other() is not self]
        return str, ()


def copy_node(node: NodeT) -> NodeT:
    """Copy one node, which keeps its parents; attributes of a subclass are shared."""
    if any(node is variable for variable in _variables.get()):  # what depends on one keeps its parents in any case
        return _carried(node)
    _refuse_what_cannot_be_copied(node, "copied")
    extra = _extra(node)
    return restore(type(node), (), node._data, node._grad, node.label, node._operation, node._operands, extra)


def _carried(node: NodeT) -> NodeT:
    """Return a node with the same number that passes its gradient on to the node."""
    if tracing._tracers:
        tracing.report_read(node, "copy")
    twin: NodeT = IDENTITY(node)
    return twin


def deepcopy_graph(order: list[NodeT], memo: dict[int, Any]) -> NodeT:
    """Copy nodes in topological order, but for those that the memo has copies of, and return the copy of the last."""
    if _depends_on_variable(order[-1]):
        memo[id(order[-1])] = _carried(order[-1])
        order = order[-1:]
    for node in order:
        if id(node) in memo:
            continue
        _refuse_what_cannot_be_copied(node, "copied")
        operation, operands = _in_full(node)
        operands = tuple(memo[id(x)] if id(x) in memo else copy.deepcopy(x, memo) for x in operands)
        extra = copy.deepcopy(_extra(node), memo)
        memo[id(node)] = restore(type(node), (), node._data, node._grad, node.label, operation, operands, extra)
    result: NodeT = memo[id(order[-1])]
    return result


def reduce_graph(node: NodeT, topological_order: Callable[[NodeT], list[NodeT]]) -> tuple[Any, ...]:
    """Return what `__reduce__` should: how to restore the node, after its ancestors."""
    if _depends_on_variable(node):
        raise TypeError(
            f"pickle: a Value with the number {node._data} that depends on the variable of a derivative in progress "
            "cannot be pickled without losing its gradient; use it as it is, or copy it by copy.deepcopy or +x"
        )
    _refuse_what_cannot_be_copied(node, "pickled")
    ancestors: list[Any] = []
    if node._operands and not _in_progress.holds(node):
        ancestors = [x for x in topological_order(node)[:-1] if x._operands]
        ancestors.append(_Ancestors(list(ancestors)))
    extra = _extra(node)
    operation, operands = _in_full(node)
    if isinstance(operation, Operation) and TABLE.get(operation.name) is operation:
        operation = (operation.name,)  # type: ignore[assignment]
    state = (node._data, node._grad, node.label, operation, operands, extra)
    return unpickle, (type(node), ancestors, *state)


def _in_full(node: Node) -> tuple[Operation | str, tuple[Any, ...]]:
    """Return operation and operands for a copy: for a node that stands for a whole graph the root of that graph.

    The derivatives of such a node are bound to its own operands, and would not follow the copy of these.
    """
    expand = getattr(node._operation, "expand", None)
    if expand is None:
        return node._operation, node._operands
    return IDENTITY, (expand(node._operands),)


def with_operands(root: NodeT, before: Sequence[Node], after: Sequence[Any]) -> NodeT:
    """Return a copy of a graph in which other nodes stand in the place of some of its leaves."""
    token = _variables.set(())  # the copy is one, whatever depends on a variable
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
    """Make a node from its parts; an operation of the table comes by name, in a tuple.

    The `ancestors` were restored before the node, and need no more than that.
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
        pickle.UnpicklingError: if the parts are none of a node.
    """
    try:
        return restore(*parts)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise pickle.UnpicklingError(
            f"a Value that cannot be restored: its pickle is damaged, or its class needs arguments: {error}"
        ) from None


#: The slots of the engine in Python; that in C has none.
_OWN_SLOTS = frozenset({"_closure", "_number", "_grad", "_operands", "_operation", "label"})


@functools.lru_cache(maxsize=256)
def _added_slots(kind: type[Node]) -> tuple[str, ...]:
    names: list[str] = copyreg._slotnames(kind)  # type: ignore[attr-defined]
    return tuple(name for name in names if name not in _OWN_SLOTS)


def _extra(node: Node) -> dict[str, Any] | None:
    """Return the attributes that a subclass has added, in its dictionary and in slots of its own."""
    kind: Any = type(node)
    slots = {name: getattr(node, name) for name in _added_slots(kind) if hasattr(node, name)}
    own: dict[str, Any] | None = getattr(node, "__dict__", None)
    return {**(own or {}), **slots} if slots else own


def _refuse_what_cannot_be_copied(node: Node, done: str) -> None:
    if tracing._tracers:
        tracing.report_read(node, "copy")
    if node._closure is not None:
        raise TypeError(
            f"a node built by hand ({node._op or 'without an _op'}) cannot be {done}: its _backward refers to the "
            "nodes it was made for; make the operation with microgrud.custom_op instead"
        )
