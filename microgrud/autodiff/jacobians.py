"""Jacobians by name of the mode: `jacfwd`, and `jacrev`, which is `jacobian`."""

from __future__ import annotations

import functools
from typing import Any

from ..typing import jacobian_transform
from .calls import RecordedCall
from .transforms import jacobian


@jacobian_transform
def jacfwd(f: Any, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any:
    """Make the function that computes all partial derivatives of all outputs of `f`, in forward mode.

    Column i of the Jacobian is J e_i, the derivative in the direction of input i: one sweep for each input, where
    `jacrev` takes one for each output. Arguments and result as for `jacobian`.

    Source: `jax.jacfwd`.

    >>> jacfwd(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 3.0])
    [[3.0, 2.0], [1.0, 1.0]]
    """

    @functools.wraps(f)
    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        call = RecordedCall(f, args, kwargs, argnums, has_aux=has_aux)
        places = range(len(call.inputs))
        columns = [
            call.results(call.graph.push_forward([float(i == k) for i in places], call.as_numbers)) for k in places
        ]
        rows = [[column[k] for column in columns] for k in range(call.structure.size)]
        return call.with_aux(call.structure.jacobian(rows, call.arguments))

    return jacobian_of_f


@jacobian_transform
def jacrev(f: Any, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any:
    """Make the function that computes all partial derivatives of all outputs of `f`, in reverse mode: `jacobian`.

    Row k of the Jacobian is the gradient of output k: one sweep for each output, where `jacfwd` takes one for each
    input.

    Source: `jax.jacrev`.

    >>> jacrev(jacfwd(lambda x: x[0] ** 2 * x[1]))([2.0, 3.0])
    [[6.0, 4.0], [4.0, 0.0]]
    """
    return jacobian(f, argnums, has_aux=has_aux)
