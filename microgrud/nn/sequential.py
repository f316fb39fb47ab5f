"""`Sequential`: modules one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..typing import Output
from .activations import get_activation
from .dropout import Dropout
from .layers import _OVER_OUTPUTS, MLP, Layer, Neuron
from .module import Module, modules_of
from .normalization import BatchNorm1d, LayerNorm
from .parts import Elementwise, Embedding, Linear, PReLU
from .rows import rows_of


class Sequential(Module):
    """Apply modules one after another: the output of one is the input of the next.

    A table gives a list with the prediction for each row; only modules that need the whole batch, as BatchNorm1d does
    in training mode, are given the table.

    Args:
        *layers: modules; names or functions of activations, applied to each number; `"softmax"`, `"log_softmax"`, or
            another callable, which are applied to the whole output of the layer before.

    Attributes:
        layers: the list of modules and callables.

    Raises:
        TypeError, ValueError: for invalid arguments.

    >>> model = Sequential(Linear(2, 8, rng=0), "tanh", Linear(8, 1, rng=1))
    >>> model
    Sequential(Linear(2, 8), Tanh, Linear(8, 1))
    >>> len(model([[1.0, 2.0], [3.0, 4.0]]))
    2
    """

    def __init__(self, *layers: Module | str | Callable[..., Any]) -> None:
        if not layers:
            raise ValueError("Sequential: expected at least one layer, got none")
        self.layers: list[Module | Callable[..., Any]] = [_layer(layer) for layer in layers]

    if TYPE_CHECKING:

        def __call__(self, x: Any) -> Output:
            """Return the output of `forward`."""
            raise NotImplementedError

    def forward(self, x: Any) -> Any:
        """Return the output for one sample; for a table, the list of the outputs for its rows."""
        rows = rows_of(x)
        for layer in self.layers:
            if rows is None:
                x = layer(x)
            elif isinstance(layer, Module) and trains_on_batches(layer):
                rows = list(layer(rows))
            else:
                rows = [layer(row) for row in rows]
        return x if rows is None else rows

    @property
    def output(self) -> str | None:
        """`"softmax"` or `"log_softmax"` if that is the last layer, otherwise None."""
        return _name_of(self.layers[-1])

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Module | Callable[..., Any]:
        return self.layers[index]

    def _arguments(self) -> dict[str, Any] | None:
        """Return the layers as a model file holds them; None if one is of a class or a function of its author's own."""
        stored: list[Any] = []
        for layer in self.layers:
            kind, name = type(layer).__name__, _name_of(layer)
            known: Any = layer if KINDS.get(kind) is type(layer) else None
            arguments = None if known is None else known._arguments()
            if name is None and arguments is None:
                return None
            stored.append(name or {"class": kind, "arguments": arguments})
        return {"layers": stored}

    @classmethod
    def _make(cls, arguments: Mapping[str, Any]) -> Sequential:
        return cls(*(x if isinstance(x, str) else KINDS[x["class"]]._make(x["arguments"]) for x in arguments["layers"]))

    def __repr__(self) -> str:
        return f"Sequential({', '.join(_name_of(layer) or repr(layer) for layer in self.layers)})"


def trains_on_batches(module: Module) -> bool:
    """Return whether a module, or one below it, is in training mode and then needs the whole batch."""
    return any(each.needs_batch and each.training for each in modules_of(module))


def _layer(layer: Any) -> Module | Callable[..., Any]:
    if isinstance(layer, Module):
        return layer
    if isinstance(layer, str) and layer in _OVER_OUTPUTS:
        return _OVER_OUTPUTS[layer]
    if not isinstance(layer, str) and (not callable(layer) or get_activation(layer).name is None):
        if not callable(layer):
            raise TypeError(
                f"Sequential: expected Modules, activations or functions, got an object of type {type(layer).__name__}"
            )
        return layer  # type: ignore[no-any-return]
    return Elementwise(layer)


def _name_of(layer: Any) -> str | None:
    return next((name for name, function in _OVER_OUTPUTS.items() if layer is function), None)


#: The classes that a model file can hold, by name.
KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(MLP, Layer, Neuron, Linear, Sequential, Elementwise),
        *(PReLU, Dropout, LayerNorm, BatchNorm1d, Embedding),
    )
}
