"""The engine: a node class that records how each number was computed, and a backward pass by the chain rule.

Every operation on a `Value` makes a new Value that remembers its operands. The result of a program is thus the root
of a graph whose leaves are the inputs. `backward()` visits that graph from the root to the leaves, each node after
everything that was computed from it, and adds to the gradient of each operand:

    operand.grad  +=  node.grad * (local derivative of the node with respect to the operand)

That line is backpropagation; it is in `Value._pass_on`. The rest of this file is bookkeeping around it.

An operation has a rule for its value and one for each local derivative, its `partials` (`operation.py`); `ops.py` is
the table of all operations. `x * y` reaches `Value._record` through one line of `operators.py`, and `x.tanh()` through
one line of `methods.py`. The names `_prev`, `_op`, `_children` and `_backward` are those of micrograd, whose programs
run unchanged.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterable
from typing import Any

from ..common.numbers import Number, Real, as_float, as_sequence
from . import anomaly, by_hand, copying, freeing, native, tracing
from .grad_mode import is_recording
from .methods import OperationMethods
from .operation import Operation
from .operators import Operators
from .seeding import seeded
from .truth import as_operand


class Value(Operators, OperationMethods):
    """One number in a computation graph, and the gradient of a later result with respect to it.

    In arithmetic and comparisons, `==` included, a Value behaves as its number does. Its hash is that of the node: a
    set or a dict distinguishes nodes that hold equal numbers, and never matches a Value with a plain number. `x is y`
    compares nodes. (A list is searched with `==`: `x in [y]` compares numbers.)

    To add attributes, derive a class: `class Value(microgrud.Value): pass`. Inherited operators and methods return
    plain Values, and `-`, `/` and `sum` do not call the `__add__` and `__mul__` that a subclass overrides.

    Args:
        data: the number: one real number of any type with `__float__` or `__index__`.
        label: a name to show in drawings and error messages.
        children: the parents of a node that is built by hand, by this call instead of an operation. Such a node needs
            `local_grads`, or a `_backward` that is assigned to it later; without both it cannot pass a gradient on.
        local_grads: the derivative of `data` with respect to each child: numbers, or Values for higher derivatives.
        _children: another name of `children`, which micrograd and microgpt pass as the second argument.
        _op: their third argument: a short name for the operation behind a node built by hand, or its local gradients.

    Raises:
        TypeError: if `data` is not one real number, if a child is not a Value, or if `_op` is neither a string nor
            local gradients.
        ValueError: if the number of local gradients differs from the number of children.

    >>> x, y = Value(2.0), Value(3.0)
    >>> z = x * y + x
    >>> z.backward()
    >>> z.data, x.grad, y.grad
    (8.0, 4.0, 2.0)
    >>> Value(x.data**2, (x,), (2 * x,))
    Value(data=4.0, grad=0.0)
    """

    __module__ = __package__  # the module that users import it from, and that pickles name
    __slots__ = ("__weakref__", "_closure", "_grad", "_number", "_operands", "_operation", "label")

    #: The name of the node in drawings and error messages, which may be set at any time.
    label: str
    _number: float
    _grad: float
    _operands: tuple[Value | float, ...]  # the parents, and the plain numbers among the operands
    _operation: Operation | str  # a string, the `_op`, for a leaf or a node built by hand
    _closure: Callable[[], None] | None  # the `_backward` that was assigned to a node built by hand

    def __init__(
        self,
        data: Real,
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
        operands = given if type(given) is tuple else as_sequence(given, "_children", "Values")
        for child in operands:
            if not isinstance(child, Value):
                raise TypeError(f"_children: expected Values, got an object of type {type(child).__name__}")
        if type(_op) is str and local_grads is None:
            self._operation, self._operands = _op, operands
        else:
            self._operation, self._operands = by_hand.with_gradients(given, operands, _op, local_grads)
        self._closure = None
        self.label = label

    # --- recording -----------------------------------------------------------------------------------------------

    @staticmethod
    def _record(operation: Operation, *operands: Number) -> Value:
        """Compute the result of an operation, and return it as a node that remembers its operands."""
        xs: list[Any] = [x if type(x) is float else x._number if isinstance(x, Value) else None for x in operands]
        if None in xs:  # an operand is an integer, a NumPy scalar, ...: convert it to a float, or raise
            operands = tuple([x if isinstance(x, Value) else as_operand(x, operation.name) for x in operands])
            return Value._record(operation, *operands)
        node = Value.__new__(Value)
        node._number = operation.evaluate(xs, operands)
        node._grad = 0.0
        node._operation = operation
        node._operands = operands
        node._closure = None
        node.label = ""
        if node._number - node._number != 0.0:  # true only for infinity and NaN
            anomaly.check_forward(node)
        if tracing._tracers and not operation.total:
            tracing.report_result(node)
        if not is_recording():
            node._operation, node._operands = "", ()
        return node

    @property
    def data(self) -> float:
        """The number."""
        if tracing._tracers:
            tracing.report_read(self, "data")
        return self._number

    @data.setter
    def data(self, number: Real) -> None:
        if tracing._tracers:
            tracing.report_read(self, "data =")
        self._number = as_float(number, "data")

    @property
    def _data(self) -> float:
        """The number, as read by code inside the package."""
        if tracing._tracers:
            tracing.report_raw_read(self, "_data", sys._getframe(1))
        return self._number

    @_data.setter
    def _data(self, number: float) -> None:
        if tracing._tracers:
            tracing.report_raw_read(self, "_data", sys._getframe(1))
        self._number = number

    @property
    def grad(self) -> float:
        """Derivative of the last backward pass's root with respect to this node; a leaf accumulates it over passes."""
        if tracing._tracers:
            tracing.report_read(self, "grad")
        return self._grad

    @grad.setter
    def grad(self, number: Real) -> None:
        if tracing._tracers:
            tracing.report_read(self, "grad =")
        self._grad = as_float(number, "grad")

    @property
    def is_leaf(self) -> bool:
        """True for a node without operands on record, made by the user, by `detach()` or inside `no_grad()`."""
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
        traced = tracing.report_detach(self) if tracing._tracers else None
        return Value(self._number, label=self.label) if traced is None else traced

    # --- the backward pass ---------------------------------------------------------------------------------------

    def backward(self, seed: float | None = None) -> None:
        """Compute the derivative of this node with respect to every node it depends on, and store it in their `grad`.

        A leaf adds the new derivative to its `grad` (`zero_grad()` clears it before the next step). The nodes in
        between replace theirs, so that a second pass counts nothing twice. The pass takes time linear in the number of
        operands. If a rule raises, or Ctrl-C ends the pass, the leaves keep the gradients that they had before.

        Args:
            seed: a number that all derivatives are multiplied by, 1 by default: the derivative of a later result with
                respect to this node. `microgrud.backward` takes several nodes with their seeds.
        """
        if seed is not None:
            seeded(Value, [self], [as_float(seed, "backward: seed")]).backward()
            return
        order = topological_order(self)
        before = [(node, node._grad) for node in order if not node._operands]  # the leaves, with their gradients so far
        checking = anomaly.is_detecting()
        try:
            for node in order:
                node._grad = 0.0
            self._grad = 1.0  # the derivative of a number with respect to itself
            for node in reversed(order):
                if node._grad != 0.0:  # a zero passes nothing on, not even through an infinite local derivative
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
        if isinstance(operation, str):  # a leaf, or a node built by hand without local gradients
            if operands and self._grad != 0.0:
                raise by_hand.without_rule(self)
            return
        out, grad = self._number, self._grad
        xs = [x._number if isinstance(x, Value) else x for x in operands]
        if callable(operation.partials):
            for x, slope in zip(operands, operation.partials(out, *xs)):
                if isinstance(x, Value) and slope is not None:
                    x._grad += grad * slope
        else:
            for x, partial in zip(operands, operation.partials):
                if isinstance(x, Value):
                    slope = partial(out, *xs)
                    if slope is not None:  # None says that the result does not depend on x here
                        x._grad += grad * slope

    @property
    def _backward(self) -> Callable[[], None]:
        """The function that passes this node's grad on to its parents; assign one to a node built by hand."""
        return self._pass_on if self._closure is None else self._closure

    @_backward.setter
    def _backward(self, closure: Callable[[], None]) -> None:
        self._closure = closure

    def zero_grad(self) -> None:
        """Set the grad of this node and of everything it depends on to zero."""
        for node in topological_order(self):
            node._grad = 0.0

    def __repr__(self) -> str:
        if tracing._tracers:
            tracing.report_raw_read(self, "format", sys._getframe(1))
        return f"{type(self).__name__}(data={self._number}, grad={self._grad})"

    def __copy__(self) -> Value:
        return copying.copy_node(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        return copying.deepcopy_graph(topological_order(self, memo), memo)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return copying.reduce_graph(self, topological_order)


def topological_order(root: Value, known: Container[int] = ()) -> list[Value]:
    """Return every node that `root` depends on, each after its parents; `root` comes last.

    Nodes whose `id` is in `known` are left out, together with the nodes that only they depend on.

    The walk is depth-first and keeps its own stack, so that only memory limits the depth of the graph. It follows the
    order of the operands, so that the result is the same in every run.

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


if native.engine is not None:  # the C engine takes the place of both; this file is its specification
    topological_order = native.engine.accelerate(topological_order, "topological_order")
    Value = native.adopted(Value)  # type: ignore[misc]
elif freeing.IS_NEEDED:
    freeing.free_one_by_one(Value)
