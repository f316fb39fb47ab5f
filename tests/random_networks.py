"""Random networks of every module and activation, for exports to other formats."""

from __future__ import annotations

import random
from typing import TypeVar

from microgrud import nn
from microgrud.nn import (
    ACTIVATIONS,
    MLP,
    BatchNorm1d,
    Dropout,
    Elementwise,
    LayerNorm,
    Linear,
    Module,
    PReLU,
    Sequential,
)

Network = TypeVar("Network", bound=Module)

#: Activations that grow so fast that networks of several layers of them overflow, or oscillate between rounding errors.
STEEP = {"exp", "expm1", "sinh", "cosh", "tan", "square"}


def random_mlp(rng: random.Random, activation: str) -> MLP:
    """Return an MLP of 0 to 2 hidden layers of an activation, with biases that are not 0, some without."""
    hidden = [rng.randint(1, 6) for _ in range(rng.randint(0, 1 if activation in STEEP else 2))]
    nout, bias = rng.randint(1, 4), rng.random() < 0.8
    output = rng.choice(["linear", "sigmoid", activation, *(["softmax", "log_softmax"] if nout > 1 else [])])
    model = MLP(
        rng.randint(1, 5), [*hidden, nout], activation, output=output, init="glorot_uniform", bias=bias, rng=rng
    )
    return _with_biases(model, rng)


def random_sequential(rng: random.Random, activation: str) -> Sequential:
    """Return a Sequential of the same sizes throughout, in evaluation mode, some parts frozen."""
    size = rng.randint(2, 5)
    parts: list[Module | str] = [Linear(size, size, bias=rng.random() < 0.8, rng=rng), activation]
    others: list[Module | str] = [
        *(Dropout(rng.random()), LayerNorm(size, eps=1e-3), BatchNorm1d(size, momentum=rng.random())),
        *(BatchNorm1d(size, affine=False), PReLU(), PReLU(size), Elementwise("tanh"), "softmax"),
        MLP(size, [3, size], "relu", output="log_softmax", rng=rng),
        LayerNorm(size, elementwise_affine=False),
    ]
    parts += rng.sample(others, rng.randint(1, 4))
    model = _with_biases(Sequential(*parts), rng).eval()
    for layer in model.layers:
        if isinstance(layer, Module) and rng.random() < 0.2:
            layer.freeze()
    return model


def random_network(seed: int, activation: str | None = None) -> MLP | Sequential:
    """Return an MLP or a Sequential that a seed determines, with an activation that it determines if there is none."""
    rng = random.Random(seed)
    activation = activation or rng.choice(sorted(ACTIVATIONS))
    return rng.choice([random_mlp, random_sequential])(rng, activation)


def inputs_of(model: MLP | Sequential) -> int:
    """Return the number of inputs of a network."""
    first = model.layers[0]
    assert isinstance(first, nn.Layer)
    return len(first.neurons[0].w)


def _with_biases(model: Network, rng: random.Random) -> Network:
    """Change what begins as 0 or 1 in all networks: biases, weights of normalizations, and running statistics."""
    moved = {name: x + abs(rng.gauss(0.0, 0.3)) for name, x in model.state_dict().items() if not _is_weight(name)}
    model.load_state_dict(moved, strict=False)
    return model


def _is_weight(name: str) -> bool:
    """Return whether a parameter is a weight of a neuron, for which an initialiser draws."""
    return ".neurons." in name and not name.endswith(".b")
