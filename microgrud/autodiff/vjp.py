"""`vjp`: a function and the product of its transposed Jacobian with vectors, in reverse mode."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, overload

from ..engine import Value
from ..engine.grad_mode import is_recording
from ..engine.seeding import seeded
from ..typing import Number, R
from .calls import RecordedCall, numbers_like
from .subgraph import Subgraph

#: Multiplies cotangents by a Jacobian.
Pull: TypeAlias = "Callable[[Any], tuple[Any, ...]]"


@overload
def vjp(f: Callable[..., Value], *primals: Any, has_aux: Literal[False] = False) -> tuple[Number, Pull]: ...
@overload
def vjp(f: Callable[..., R], *primals: Any, has_aux: Literal[False] = False) -> tuple[R, Pull]: ...
@overload
def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool) -> Any: ...
def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Compute `f`, and make the function that multiplies cotangents by its Jacobian: v -> v J, in reverse mode.

    For cotangents v_k of the numbers y_k of the result, the derivative with respect to x_i is the sum over k of
    v_k * dy_k / dx_i: one pass for all inputs and outputs.

    Args:
        f: a function of one or more arguments, whose result is a number, an array, or a structure of them.
        primals: its arguments.
        has_aux: True for a function that returns a pair (result, aux), as for `grad`.

    Returns:
        The result of `f`, and `pull(cotangents)`: a function of a structure like the result, which returns a tuple with
        a derivative in the structure of each argument. It can be called several times; Values as cotangents are
        differentiated too. With `has_aux`, aux is the third item.

    Raises:
        TypeError: if there is no primal, or one of them, the result or (by `pull`) the cotangents are not made of
            numbers.
        ValueError: (by `pull`) if the cotangents do not have the structure of the result.

    Source: `jax.vjp`.

    >>> value, pull = vjp(lambda x, y: [x * y, x + y], 2.0, 3.0)
    >>> value, pull([1.0, 0.0]), pull([1.0, 10.0])
    ([6.0, 5.0], (3.0, 2.0), (13.0, 12.0))
    """
    if not primals:
        raise TypeError("vjp: expected at least one primal after the function, got none")
    call = RecordedCall(f, primals, {}, tuple(range(len(primals))), has_aux=has_aux)

    def pull(cotangents: Any) -> tuple[Any, ...]:
        seeds = numbers_like(call.structure, cotangents, "cotangents", "result")
        own = copy.copy(call)
        given = [x for x in seeds if isinstance(x, Value)]
        own.connected = is_recording() and bool(call.connected or given)
        own.outputs = call.outputs + given  # all that the results depend on
        if own.as_numbers:
            seeds = [x._data if isinstance(x, Value) else x for x in seeds]
        root = [seeded(Value, call.outputs[: len(seeds)], seeds)]
        slopes = Subgraph(root, call.inputs, True, call.generation).pull_back(0, own.as_numbers)
        result: tuple[Any, ...] = call.arguments.rebuild(own.results(slopes))
        return result

    value = call.value()
    return (value, pull) if call.aux is None else (value, pull, call.with_aux(None)[1])
