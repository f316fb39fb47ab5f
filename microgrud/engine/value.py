"""The engine: a node class that records how each number was made, and a backward pass that applies the chain rule.

Every operation on a `Value` makes a new Value that remembers its operands. The result of a program is thus the root
of a graph whose leaves are the inputs. `backward()` visits that graph from the root to the leaves, each node after
everything that was computed from it, and hands each operand its share of the gradient:

    operand.grad  +=  node.grad * (local derivative of node by operand)

That line is backpropagation; it stands in `Value._pass_on`. The rest of this file is bookkeeping around it.

An operation is a rule for its value and one for each local derivative, its `partials` (`operation.py`); `ops.py` holds
all of them. `x * y` reaches `Value._record` through `operators.py`, and `x.tanh()` through
`methods.py`: one line for each, and nothing else. Names that begin with an underscore and are not explained here,
`_prev`, `_op`, `_children` and `_backward`, are those of micrograd, whose programs run unchanged.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterable
from typing import Any

from ..common.numbers import Number, as_float, as_sequence
from . import anomaly, by_hand, copying, native, tracing
from .grad_mode import is_recording
from .methods import OperationMethods
from .operation import Operation
from .operators import Operators


class Value(Operators, OperationMethods):
    """One number in a computation graph, and the gradient of a later result with respect to it.

    In arithmetic and comparisons, `==` included, it behaves as its number does. Its hash is that of the node: a set or
    a dict tells nodes apart that hold the same number, and finds no Value among plain numbers; `is` asks whether two
    names are one node. (A list is searched by `==`: `x in [y]` asks for equal numbers.)

    Attributes of one's own take a subclass, `class Value(microgrud.Value): pass`. Inherited operators and methods give
    plain Values, and `-`, `/` and `sum` do not ask the `__add__` and `__mul__` of a subclass that overrides them.

    Args:
        data: the number; anything with `__float__` or `__index__` that is one real number.
        _children: the parents of a node built by hand, which then gets its `_backward` by assignment, if it has no
            local gradients. One with neither raises when it should pass a gradient on.
        _op: the short name of the operation that a node built by hand stands for; or its local gradients.
        label: a name to show in drawings and error messages.
        children: another name of `_children`, as in microgpt.
        local_grads: the derivatives by the children, one for each: numbers, or Values for derivatives of higher order.

    Raises:
        TypeError: if `data` is not one real number, a child is not a Value, or `_op` neither a string nor local
            gradients.
        ValueError: if there is not one local gradient for each child.

    >>> x, y = Value(2.0), Value(3.0)
    >>> z = x * y + x
    >>> z.backward()
    >>> z.data, x.grad, y.grad
    (8.0, 4.0, 2.0)
    >>> Value(x.data**2, (x,), (2 * x,))
    Value(data=4.0, grad=0.0)
    """

    __module__ = __package__  # where users import it from, and what pickles name
    __slots__ = ("__weakref__", "_closure", "_grad", "_number", "_operands", "_operation", "label")

    _number: float
    _grad: float
    _operands: tuple[Value | float, ...]  # parents, and the plain numbers that stood beside them
    _operation: Operation | str  # a string for nodes built by hand
    _closure: Callable[[], None] | None  # what a node built by hand does in the backward pass

    def __init__(
        self,
        data: Any,
        _children: Iterable[Value] = (),
        _op: str | Iterable[Number] = "",
        label: str = "",
        *,
        children: Iterable[Value] | None = None,
        local_grads: Iterable[Number] | None = None,
    ) -> None:
        self._number = as_float(data, "data")
        self._grad = 0.0
        given = _children if children is None else by_hand.keyword_children(_children, children)
        self._operands = given if type(given) is tuple else as_sequence(given, "_children", "Values")
        for child in self._operands:
            if not isinstance(child, Value):
                raise TypeError(f"_children: expected Values, got an object of type {type(child).__name__}")
        if type(_op) is str and local_grads is None:
            self._operation = _op
        else:
            self._operation, self._operands = by_hand.with_gradients(given, self._operands, _op, local_grads)
        self._closure = None
        self.label = label

    # --- recording -----------------------------------------------------------------------------------------------

    @staticmethod
    def _record(operation: Operation, *operands: Number) -> Value:
        """Compute the result of an operation, and make it a node that remembers its operands."""
        xs: list[Any] = [x if type(x) is float else x._number if isinstance(x, Value) else None for x in operands]
        if None in xs:  # integers, NumPy scalars, ... and what is no number at all: made floats, or refused
            operands = tuple([x if isinstance(x, Value) else as_float(x, operation.name) for x in operands])
            return Value._record(operation, *operands)
        node = Value.__new__(Value)
        node._number = operation.evaluate(xs, operands)
        node._grad = 0.0
        node._operation = operation
        node._operands = operands
        node._closure = None
        node.label = ""
        if node._number - node._number != 0.0:  # true for inf and NaN alone
            anomaly.check_forward(node)
        if tracing._watched and not operation.total:
            tracing.made(node)
        if not is_recording():
            node._operation, node._operands = "", ()
        return node

    @property
    def data(self) -> float:
        """The number."""
        if tracing._watched:
            tracing.looked_at(self, "data")
        return self._number

    @data.setter
    def data(self, number: Any) -> None:
        if tracing._watched:
            tracing.looked_at(self, "data =")
        self._number = as_float(number, "data")

    @property
    def _data(self) -> float:
        """The number, for the package's own use."""
        if tracing._watched:
            tracing.peeked(self, sys._getframe(1))
        return self._number

    @_data.setter
    def _data(self, number: float) -> None:
        if tracing._watched:
            tracing.peeked(self, sys._getframe(1))
        self._number = number

    @property
    def grad(self) -> float:
        """The derivative of the root of the last backward pass by this node; on a leaf it adds up over passes."""
        if tracing._watched:
            tracing.looked_at(self, "grad")
        return self._grad

    @grad.setter
    def grad(self, number: Any) -> None:
        if tracing._watched:
            tracing.looked_at(self, "grad =")
        self._grad = as_float(number, "grad")

    @property
    def is_leaf(self) -> bool:
        """Whether the node has no operands on record: made by the user, by `detach()`, or inside `no_grad()`."""
        return not self._operands

    @property
    def _prev(self) -> tuple[Value, ...]:
        """The parents in order, one entry per use: `(a, a)` for `a * a`."""
        return tuple([x for x in by_hand.children(self._operation, self._operands) if isinstance(x, Value)])

    @property
    def _op(self) -> str:
        """The short name of the operation that made the node, empty for a leaf."""
        return self._operation if isinstance(self._operation, str) else self._operation.symbol

    def item(self) -> float:
        """Return the number as a float, without its history."""
        return self.data

    def detach(self) -> Value:
        """Return a leaf with the same number and label, through which no gradient flows."""
        instead = tracing.detached(self) if tracing._watched else None
        return Value(self._number, label=self.label) if instead is None else instead

    # --- the backward pass ---------------------------------------------------------------------------------------

    def backward(self) -> None:
        """Compute the derivative of this node by every node it depends on, into their `grad`.

        Leaves add the new derivative to what their `grad` held (`zero_grad()` clears it before the next step); the
        nodes in between hold that of this pass, whatever they held before, so that a second pass counts nothing twice.
        Takes time linear in the number of operands. If a rule raises, or Ctrl-C ends the pass, the leaves keep the
        gradients they had.
        """
        order = topological_order(self)
        before = [(node, node._grad) for node in order if not node._operands]  # the leaves, with what they hold so far
        checking = anomaly.is_detecting()
        try:
            for node in order:
                node._grad = 0.0
            self._grad = 1.0  # the derivative of a number by itself
            for node in reversed(order):
                if node._grad != 0.0:  # a zero adjoint passes nothing on, not even through an infinite slope
                    pass_on = node._pass_on if node._closure is None else node._closure
                    if checking:
                        anomaly.pass_on_checked(node, pass_on)
                    else:
                        pass_on()
            for leaf, grad in before:
                leaf._grad += grad
        except BaseException:
            for leaf, grad in before:
                leaf._grad = grad
            raise

    def _pass_on(self) -> None:
        """Add to each parent's grad this node's grad times the local derivative: the chain rule."""
        operation, operands = self._operation, self._operands
        if isinstance(operation, str):  # a leaf, or a node built by hand without a rule
            if operands and self._grad != 0.0:
                raise by_hand.without_rule(self)
            return
        out, adjoint = self._number, self._grad
        xs = [x._number if isinstance(x, Value) else x for x in operands]
        if callable(operation.partials):
            for x, slope in zip(operands, operation.partials(out, *xs)):
                if isinstance(x, Value) and slope is not None:
                    x._grad += adjoint * slope
        else:
            for x, partial in zip(operands, operation.partials):
                if isinstance(x, Value):
                    slope = partial(out, *xs)
                    if slope is not None:  # where it is, the result does not depend on x
                        x._grad += adjoint * slope

    @property
    def _backward(self) -> Callable[[], None]:
        """What passes this node's grad on to its parents; assign a closure to a node built by hand."""
        return self._pass_on if self._closure is None else self._closure

    @_backward.setter
    def _backward(self, closure: Callable[[], None]) -> None:
        self._closure = closure

    def zero_grad(self) -> None:
        """Set the grad of this node and of everything it depends on to zero."""
        for node in topological_order(self):
            node._grad = 0.0

    def __repr__(self) -> str:
        if tracing._watched:
            tracing.peeked(self, sys._getframe(1), "format")
        return f"{type(self).__name__}(data={self._number}, grad={self._grad})"

    def __copy__(self) -> Value:
        return copying.copy_node(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        return copying.deepcopy_graph(topological_order(self, memo), memo)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return copying.reduce_graph(self, topological_order)


def topological_order(root: Value, known: Container[int] = ()) -> list[Value]:
    """Return every node that `root` depends on, each after its parents; `root` comes last.

    Nodes whose `id` is in `known` are left out, with what they alone depend on.

    A depth-first walk that keeps its own stack, so that the depth of the graph is bounded by memory alone. The order
    is the same in every run: it follows the order of the operands.

    >>> x = Value(2.0)
    >>> [node._op for node in topological_order(x * x + 1.0)]
    ['', '*', '+']
    """
    order: list[Value] = []
    expanded: set[Value] = set()  # nodes are hashed by identity: a set holds each of them once
    finished: set[Value] = set()
    stack = [root]
    while stack:
        node = stack[-1]
        if node not in expanded:
            expanded.add(node)
            parents = [x for x in reversed(node._operands) if isinstance(x, Value) and x not in expanded]
            stack.extend([x for x in parents if id(x) not in known] if known else parents)
        else:
            stack.pop()
            if node not in finished:
                finished.add(node)
                order.append(node)
    return order


if native.engine is not None:  # its twin in C, of the same name: this file stays the specification
    topological_order = native.engine.adopt(Value, topological_order)
    Value = native.engine.Value  # type: ignore[misc]
