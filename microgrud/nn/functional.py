"""A module as a pure function of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.numbers import Number
from ..engine import Value
from ..engine.truth import as_operand
from .module import Module, replaced_in


def functional_call(module: Module, parameters: Mapping[str, Number], *args: Any, **kwargs: Any) -> Any:
    """Call a module with other numbers or Values in place of its parameters, which stay as they are.

    It makes the module a function of its parameters, for `grad`, `hessian`, `vmap` and `compile`, as
    `torch.func.functional_call` does; the call is that of a deep copy. For numbers alone the result is of numbers.

    Args:
        module: the module.
        parameters: numbers or Values by the names of parameters, as in `module.state_dict()`; other parameters are
            those of the module.
        args: the arguments of the call.
        kwargs: its keyword arguments.

    Raises:
        TypeError: if a number is none.
        ValueError: for a name that no parameter has.

    >>> from microgrud import grad
    >>> from microgrud.nn import Neuron
    >>> neuron = Neuron(1, nonlin=False, init="zeros")
    >>> grad(lambda p: functional_call(neuron, p, [3.0]) ** 2)({"w.0": 2.0, "b": 1.0})
    {'w.0': 42.0, 'b': 14.0}
    >>> neuron.state_dict()
    {'w.0': 0.0, 'b': 0.0}
    """
    given = {
        name: x if isinstance(x, Value) or hasattr(x, "context") else as_operand(x, f"functional_call: {name}")
        for name, x in parameters.items()  # a number of mpmath, which has a context, keeps its digits
    }
    return replaced_in(module, given)(*args, **kwargs)
