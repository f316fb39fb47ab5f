"""Activations: the functions that a neuron may apply to its weighted sum, looked up by name or by function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import activations, functions
from ..engine import Value
from ..typing import AnyNumber


@dataclass(frozen=True)
class Activation:
    """A function of one number, with its names.

    Attributes:
        name: the name in `ACTIVATIONS` and in model files; None for a user-defined function.
        label: the name in the repr of a neuron, such as `"ReLU"`.
        function: from a Value to a Value.
    """

    name: str | None
    label: str
    function: Callable[[Value], Value]

    def __call__(self, x: Any) -> Any:
        """Apply the function; a float, as in a `functional_call` without Values, gives a float.

        Raises:
            TypeError: if a user-defined function returns anything but a Value, since the gradient would be lost.
        """
        if type(x) is float:
            return self(Value(x)).data  # a user-defined function may call methods
        result = self.function(x)
        if not isinstance(result, Value):
            raise TypeError(
                f"activation {self.label}: expected it to return a Value, got an object of type "
                f"{type(result).__name__}; compute it with operations on the Value that it is given"
            )
        return result


def linear(x: AnyNumber) -> AnyNumber:
    """Return the number unchanged.

    >>> linear(2.0)
    2.0
    """
    return x


#: The functions of one real number whose domain is all reals and whose slope is not 0 everywhere.
_NAMES = (
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "sigmoid",
    "logsigmoid",
    "softplus",
    "tanh",
    "sin",
    "cos",
    "tan",
    "atan",
    "sinh",
    "cosh",
    "asinh",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "square",
    "cbrt",
    "abs",
)
_COMPOSED = ("softsign", "mish", "selu", "celu", "relu6", "hardtanh", "hardsigmoid", "hardswish")  # fmt: skip
_LABELS = {
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "logsigmoid": "LogSigmoid",
    "selu": "SELU",
    "celu": "CELU",
    "relu6": "ReLU6",
}


def get_activation(activation: str | Callable[[Value], Value]) -> Activation:
    """Find an activation by its name or by its function; any other callable on a Value becomes a new activation.

    Args:
        activation: a name such as `"tanh"`, a function of microgrud such as `microgrud.tanh`, or a callable that
            takes a Value and returns one.

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
        TypeError: for anything that is neither a name nor callable.

    >>> get_activation("leaky_relu").label
    'LeakyReLU'
    >>> get_activation(functions.tanh).name
    'tanh'
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected one of {', '.join(sorted(ACTIVATIONS))}, got {activation!r}")
        return ACTIVATIONS[activation]
    if not callable(activation):
        raise TypeError(f"activation: expected a name or a function, got an object of type {type(activation).__name__}")
    for known in ACTIVATIONS.values():
        if known.function is activation:
            return known
    return Activation(None, _label(activation), activation)


def _label(function: Callable[..., Any]) -> str:
    """Return the label of a function, made from its name: `MySwish` for `my_swish`; `Custom` if it has no name."""
    name = getattr(function, "__name__", "")
    return "".join(word[0].upper() + word[1:] for word in name.split("_") if word) if name.isidentifier() else "Custom"


#: The activations that microgrud knows by name.
ACTIVATIONS = {
    f.__name__: Activation(f.__name__, _LABELS.get(f.__name__) or _label(f), f)
    for f in (
        linear,
        *(getattr(functions, name) for name in _NAMES),
        *(getattr(activations, name) for name in _COMPOSED),
    )
}
