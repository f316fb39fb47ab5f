"""`checkpoint`: compute without keeping the graph, and compute again when derivatives are needed.

A call becomes one node for each number of its result. The operands are the Values among the arguments, and those that
the function reaches otherwise, such as the parameters of a model. Reference counts find the latter, as in `outside.py`:
in the graph of the first evaluation they are the nodes that something else refers to, too.
"""

from __future__ import annotations

import functools
import gc
import sys
from array import array
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from types import MethodType
from typing import Any, TypeVar

from ..common.numbers import Number
from ..common.words import name_of
from ..engine import Value, ops, topological_order, tracing
from ..engine.copying import differentiating, is_differentiating
from ..engine.grad_mode import enable_grad, is_recording
from ..engine.operation import Operation
from .frames import framed
from .gradients import as_value
from .outside import held_outside
from .subgraph import Subgraph
from .trees import Structure, flatten

Function = TypeVar("Function", bound=Callable[..., Any])

_again: ContextVar[bool] = ContextVar("microgrud_evaluated_again", default=False)


def is_evaluated_again() -> bool:
    """Return whether a function is evaluated again for derivatives: what counts calls has counted this one."""
    return _again.get()


def checkpoint(f: Function) -> Function:
    """Make the function that computes `f` without keeping its graph; derivatives evaluate `f` again.

    Value and derivatives are those of `f`, to any order and to rounding: dy_k/dx_i = df_k/dx_i at the same numbers. The
    memory of a call is one node for each number of the result, with a reference to each Value that `f` is given or
    closes over (parameters of models get their gradients); the graph exists during the call and during its part of the
    backward pass, which evaluates `f` once, and passes through that graph once for each number of the result. So give
    it long computations with few results: a row of T steps in sqrt(T) pieces takes memory for 2 sqrt(T).

    Inside `no_grad`, and in a recording of `compile`, whose memory is one number for each operation, it is `f` itself.

    Args:
        f: a function that returns the same whenever it is called with the same arguments. Pass Values with a long
            history as arguments: what `f` closes over is searched at each call.

    Returns:
        A function of the same arguments, which may be anything; results are numbers, arrays, or structures of them.

    Raises:
        RuntimeError: (by the returned function) if `f` keeps a Value that depends on its arguments other than by
            returning it; (when derivatives are computed) if `f` gives another number than in the call.

    Source: `jax.checkpoint`, `torch.utils.checkpoint` with `use_reentrant=False`; Griewank and Walther (2000),
    Algorithm 799: revolve.

    >>> from microgrud import tanh
    >>> w, x = Value(0.5), Value(2.0)
    >>> @checkpoint
    ... def step(x):
    ...     return tanh(w * x)
    >>> y = step(step(x))
    >>> [node._op for node in y._prev]
    ['step', '']
    >>> y.backward()
    >>> print(f"{w.grad:.6f}")
    1.025532
    """
    if not callable(f):
        raise TypeError(f"checkpoint: expected a function, got an object of type {type(f).__name__}")

    return Checkpointed(f)  # type: ignore[return-value]


class Checkpointed:
    """A function that keeps no graph.

    An object, so that the copy of a model that has one calls the copied model.
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(self, f, updated=())
        self.function = f

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result of the function, as nodes that evaluate it again."""
        if tracing.current() is not None or not is_recording():
            return self.function(*args, **kwargs)
        values, frame = framed((args, kwargs))
        return _Call(self.function, frame.fill).nodes(values)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> str | tuple[Any, ...]:
        name, home = getattr(self, "__qualname__", ""), sys.modules.get(self.__module__)
        found = getattr(home, name, None) if "." not in name else None
        return name if found is self else (checkpoint, (self.function,))

    def __repr__(self) -> str:
        return f"<checkpoint of {self.function!r}>"


class _Call:
    """One call of a function.

    Args:
        f: the function.
        fill: makes its arguments of the numbers in them.

    Attributes:
        name: the name of the function.
        inside: whether a transform was in progress, as compiled functions return Values then.
        leaves: whether each number of the arguments is a leaf (which a copy of it cuts off, as it does without this).
        held: the Values that the function reaches otherwise than by its arguments.
        results: the numbers of the result.
        rows: the derivatives of those that were not asked for since the last evaluation, and the operands at that.
    """

    def __init__(self, f: Callable[..., Any], fill: Callable[[Sequence[Number]], Any]) -> None:
        self.f, self.fill = f, fill
        self.name = name_of(f)
        self.inside = is_differentiating()
        self.leaves: list[bool] = []
        self.held: list[Value] = []
        self.results: list[float] = []
        self.rows: tuple[bytes, dict[int, list[float]]] = b"", {}

    def evaluated(self, inputs: list[Number]) -> tuple[list[Number], Structure]:
        """Evaluate the function with these numbers in its arguments."""
        mode: AbstractContextManager[None] = nullcontext() if is_recording() else enable_grad()
        own = [x for x in inputs if isinstance(x, Value)]
        with mode, differentiating(own) if self.inside else nullcontext():
            given = [x if leaf else ops.IDENTITY(x) for x, leaf in zip(inputs, self.leaves)]
            args, kwargs = self.fill(given)
            del given
            return flatten(self.f(*args, **kwargs), f"the result of {self.name}")

    def nodes(self, values: list[Number]) -> Any:
        """Return the result, as nodes whose operands are these numbers of the arguments, and what else is reached."""
        self.leaves = [not isinstance(x, Value) or x.is_leaf for x in values]
        inputs = [Value(x._data, label=x.label) if isinstance(x, Value) else x for x in values]
        numbers, structure = self.evaluated(inputs)
        if _held(numbers, inputs, True) and (gc.collect() or True) and _held(numbers, inputs, True):
            raise RuntimeError(
                f"checkpoint: {self.name} keeps an argument, or a Value that it computed from one, which would be cut "
                "off from the graph; return it, or keep x.detach()"
            )
        self.held = _held(numbers, inputs, False)
        operands = [*values, *self.held]
        self.results = [x._data if isinstance(x, Value) else x for x in numbers]
        if any(isinstance(x, Value) for x in operands):
            for k, x in enumerate(numbers):
                if isinstance(x, Value):
                    numbers[k] = Value._record(_Rematerialized(self, k), *operands)
        return structure.rebuild(numbers)

    def evaluated_again(self, inputs: list[Number]) -> list[Value]:
        """Return the numbers of the result as nodes; raise if they differ from those of the call."""
        token = _again.set(True)
        try:
            numbers = list(map(as_value, self.evaluated(inputs)[0]))
        finally:
            _again.reset(token)
        found = [x._data for x in numbers]
        if len(found) != len(self.results) or any(x != y and (x == x or y == y) for x, y in zip(found, self.results)):
            raise RuntimeError(
                f"checkpoint: {self.name} gave {self.results} in its call, and gives {found} when it is evaluated "
                "again for derivatives: it draws random numbers, or something that it reads has changed since; draw "
                "before the call, pass what changes as an argument, and differentiate before parameters are updated"
            )
        return numbers

    def row(self, k: int, xs: Sequence[float]) -> list[float]:
        """Return the derivatives of the number at index k with respect to all operands, whose numbers are `xs`."""
        at, known = array("d", xs).tobytes(), self.rows
        found = known[1].pop(k, None) if known[0] == at else None  # another thread may take it
        if found is None:
            inputs: list[Number] = list(map(Value, xs[: len(xs) - len(self.held)]))
            graph = Subgraph(self.evaluated_again(inputs), [*inputs, *self.held], True)
            rows = {i: graph.pull_back(i, True) for i in range(len(self.results))}
            found = rows.pop(k)
            self.rows = at, rows
        return found

    def row_of_nodes(self, k: int, operands: Sequence[Number]) -> list[Number]:
        """Return the same as nodes that can be differentiated again."""
        given = operands[: len(operands) - len(self.held)]
        inputs: list[Number] = [ops.IDENTITY(x) if isinstance(x, Value) else Value(x) for x in given]
        return Subgraph(self.evaluated_again(inputs), [*inputs, *self.held], True).pull_back(k, False)


class _Rematerialized(Operation):
    """The operation of a node that stands for a number of the result of a call.

    Args:
        call: the call.
        index: the index of the number.
    """

    call: _Call
    index: int
    arity, definition, domain = None, None, ()

    def __init__(self, call: _Call, index: int) -> None:
        vars(self).update(name=call.name, symbol=call.name, call=call, index=index)

    def value(self, *xs: float) -> float:
        """Return the number, whose operands have the numbers of the call."""
        return self.call.results[self.index]

    def partials(self, out: Number, *operands: Number) -> Sequence[Number]:
        """Return the derivatives with respect to all operands."""
        if any(isinstance(x, Value) for x in operands):
            return self.call.row_of_nodes(self.index, operands)
        return self.call.row(self.index, operands)

    def expand(self, operands: Sequence[Number]) -> Value:
        """Return the root of the graph on these operands, for a copy or a pickle of the node."""
        given = list(operands[: len(operands) - len(self.call.held)])
        return self.call.evaluated_again(given)[self.index]


def _held(numbers: list[Number], inputs: list[Number], dependent: bool) -> list[Value]:
    """Return the nodes of a graph that something else refers to: those that depend on an input, or all others.

    Args:
        numbers: the numbers of a result; the only reference to it.
        inputs: the numbers that it was computed from; the only reference to them.
        dependent: True to search the nodes that depend on an input.
    """
    own = [x for x in inputs if isinstance(x, Value)]
    ends = [x for x in numbers if isinstance(x, Value)]
    order = topological_order(Value(0.0, tuple(ends)))
    ends += own
    return held_outside(order, ends, 2, own, dependent)
