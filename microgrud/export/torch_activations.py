"""The activations as modules of torch: those that torch has, and one class for the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..common.missing import what_to_install

try:
    import torch
except ImportError as error:
    raise ImportError(what_to_install("to_torch needs", "torch"), name="torch") from error

#: For each activation that torch has: the class in `torch.nn`, and the arguments that give the same function.
#: `from_torch` reads all of these; `to_torch` makes those that are not in `FUNCTIONS`.
CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("Identity", {}),
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "elu": ("ELU", {"alpha": 1.0}),
    "gelu": ("GELU", {"approximate": "none"}),
    "silu": ("SiLU", {}),
    "sigmoid": ("Sigmoid", {}),
    "logsigmoid": ("LogSigmoid", {}),
    # Beyond the threshold torch returns x itself; at its default of 20, that would be an error of 2e-9.
    "softplus": ("Softplus", {"beta": 1.0, "threshold": 700.0}),
    "tanh": ("Tanh", {}),
    "softsign": ("Softsign", {}),
    "mish": ("Mish", {}),
    "selu": ("SELU", {}),
    "celu": ("CELU", {"alpha": 1.0}),
    "relu6": ("ReLU6", {}),
    "hardtanh": ("Hardtanh", {"min_val": -1.0, "max_val": 1.0}),
    "hardsigmoid": ("Hardsigmoid", {}),
    "hardswish": ("Hardswish", {}),
    "softmax": ("Softmax", {"dim": -1}),
    "log_softmax": ("LogSoftmax", {"dim": -1}),
    "softmin": ("Softmin", {"dim": -1}),
    "glu": ("GLU", {"dim": -1}),
}


def _cbrt(x: Any) -> Any:
    return torch.sign(x) * torch.abs(x) ** (1.0 / 3.0)


def _hardsigmoid(x: Any) -> Any:
    return torch.nn.functional.relu6(x + 3.0) / 6.0


#: Those for which torch has a function, but no module; it has no cube root, and the slope of its Hardsigmoid is 1/6 in
#: single precision, 0.1666666716, also for double precision.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "abs": torch.abs,
    "asinh": torch.asinh,
    "atan": torch.atan,
    "cbrt": _cbrt,
    "cos": torch.cos,
    "cosh": torch.cosh,
    "erf": torch.erf,
    "erfc": torch.erfc,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "hardsigmoid": _hardsigmoid,
    "sin": torch.sin,
    "sinh": torch.sinh,
    "square": torch.square,
    "tan": torch.tan,
}


class Function(torch.nn.Module):  # type: ignore[misc]
    """Apply a function to each number of a tensor: an activation for which torch has no module.

    Args:
        name: one of `FUNCTIONS`.

    >>> Function("square")(torch.tensor([1.0, -3.0]))
    tensor([1., 9.])
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Any) -> Any:
        """Return the tensor of the results."""
        return FUNCTIONS[self.name](x)

    def extra_repr(self) -> str:
        """Return the name, for the repr."""
        return self.name


def make_activation(name: str) -> Any:
    """Return the module of an activation.

    >>> make_activation("gelu"), make_activation("sin")
    (GELU(approximate='none'), Function(sin))
    """
    if name in FUNCTIONS:
        return Function(name)
    kind, arguments = CLASSES[name]
    return getattr(torch.nn, kind)(**arguments)
