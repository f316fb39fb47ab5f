"""The networks of an estimator: made, restored, evaluated, and read as arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from ..engine.vectors import Vector, read_data, write_data
from ..nn import MLP
from ..nn.activations import Activation
from ..tape import compile
from .linear import product
from .settings import Settings


class Network(MLP):
    """An MLP whose neurons have no mode: none behaves differently in evaluation.

    Setting the mode of each neuron before and after each validation took as long as an epoch of 100 rows.
    """

    def train(self, mode: bool = True) -> Network:
        """Set training mode, or evaluation mode, in this module alone."""
        self.training = mode
        return self


def make_network(inputs: int, outputs: int, settings: Settings, seed: int = 0, init: str | None = None) -> MLP:
    """Make a network for so many inputs and outputs, with the initial weights of a seed or of an initialiser."""
    sizes = [*settings.hidden_layer_sizes, outputs]
    return Network(inputs, sizes, settings.activation, init=init or settings.init, rng=seed)


def restored_network(inputs: int, outputs: int, settings: Settings, parameters: Vector) -> MLP:
    """Make a network with given parameters."""
    network = make_network(inputs, outputs, settings, init="zeros")
    write_data(network.parameters(), parameters)
    return network


class LayerArrays(NamedTuple):
    """A layer of a network: its weights as an array (inputs, neurons), its biases, and its activation."""

    weights: Vector
    biases: Vector
    activation: Activation


def arrays_of(network: MLP) -> list[LayerArrays]:
    """Return the layers of a network with their present parameters."""
    found = []
    for layer in network.layers:
        numbers = read_data(layer.parameters()).reshape(len(layer.neurons), -1)  # a neuron's weights, then its bias
        found.append(LayerArrays(numbers[:, :-1].T, numbers[:, -1], layer.neurons[0].activation))
    return found


def outputs_of(layers: list[LayerArrays], rows: Vector) -> Vector:
    """Return the outputs of a network for an array of rows, in IEEE arithmetic: an array (rows, outputs).

    They are those of `network(row)` up to rounding. Products of matrices take half of the time of a recording.
    """
    with np.errstate(all="ignore"):
        for layer in layers:
            rows = product(rows, layer.weights)
            rows += layer.biases
            rows = _activated(layer.activation, rows)
    return rows


#: Activations of arrays. The others are compiled, and computed number by number.
_OF_ARRAYS: dict[str | None, Callable[[Vector], Vector]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "sigmoid": expit,
    "silu": lambda x: x * expit(x),
    "tanh": np.tanh,
}


def _activated(activation: Activation, x: Vector) -> Vector:
    if activation.name in _OF_ARRAYS:
        return _OF_ARRAYS[activation.name](x)
    result: Vector = _compiled(activation).map(x.ravel()).reshape(x.shape)
    return result


@functools.lru_cache(maxsize=16)
def _compiled(activation: Activation) -> Any:
    def value(x: Any) -> Any:
        return activation(x)

    return compile(value, batched="x", errors="ignore", threads=None)
