"""The networks of an estimator: made, restored, compiled, and read as arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.vectors import Vector, write_data
from ..nn import MLP
from ..tape import compile
from .settings import Settings


class Network(MLP):
    """An MLP whose neurons have no mode: none behaves differently in evaluation.

    Setting the mode of each neuron before and after each validation took as long as an epoch of 100 rows.
    """

    def train(self, mode: bool = True) -> Network:
        """Set training mode, or evaluation mode, in this module alone."""
        self.training = mode
        return self


def make_network(inputs: int, outputs: int, settings: Settings, seed: int = 0) -> MLP:
    """Make a network for so many inputs and outputs, with the initial weights of a seed."""
    sizes = [*settings.hidden_layer_sizes, outputs]
    return Network(inputs, sizes, settings.activation, init=settings.init, rng=seed)


def restored_network(inputs: int, outputs: int, settings: Settings, parameters: Vector) -> MLP:
    """Make a network with given parameters."""
    network = make_network(inputs, outputs, settings)
    write_data(network.parameters(), parameters)
    return network


def compiled(network: MLP) -> Callable[[Vector], Any]:
    """Return a function that computes the outputs of a network for an array of rows, in IEEE arithmetic."""

    def outputs(row: Any) -> Any:
        return network(row)

    return compile(outputs, batched="row", errors="ignore", threads=None).map  # type: ignore[no-any-return]


def weights_of(network: MLP) -> list[Vector]:
    """Return the weights of each layer, as arrays (inputs, neurons)."""
    return [np.array([[w.data for w in neuron.w] for neuron in layer.neurons]).T for layer in network.layers]


def biases_of(network: MLP) -> list[Vector]:
    """Return the biases of each layer, as arrays."""
    return [np.array([neuron.b.data for neuron in layer.neurons]) for layer in network.layers]  # type: ignore[union-attr]
