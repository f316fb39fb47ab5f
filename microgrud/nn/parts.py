"""Parts of networks: a linear layer, activations as modules, an embedding."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from ..activations import prelu
from ..common.checks import ANY, real
from ..common.numbers import Number
from ..engine import Value
from ..engine.integers import take
from .activations import Activation, get_activation
from .initializers import Initializer, get_initializer, get_random_source
from .layers import Layer, _count, _stored_name
from .module import Module
from .rows import PerSample, numbers_of


class Linear(Layer):
    """Compute y[j] = weight[j][0]*x[0] + weight[j][1]*x[1] + ... + bias[j]: a layer without an activation.

    Args:
        nin: the number of inputs.
        nout: the number of outputs; a single output is returned without a list.
        bias: whether there is a bias, at first 0.
        init: the initialiser of the weights, as for `Neuron`; by default uniform within sqrt(6/(nin + nout)).
        rng: a `random.Random`, a seed, or None for the global generator that `random.seed` controls.

    Attributes:
        neurons: a `Neuron` for each output, with its weights `w` and its bias `b`.

    Raises:
        TypeError, ValueError: for invalid arguments.

    >>> Linear(2, 3), len(Linear(2, 3).parameters())
    (Linear(2, 3), 9)
    """

    def __init__(
        self,
        nin: int,
        nout: int,
        bias: bool = True,
        init: str | Initializer = "glorot_uniform",
        rng: random.Random | int | None = None,
    ) -> None:
        super().__init__(nin, nout, nonlin=False, activation="linear", bias=bias, init=init, rng=rng)

    def _arguments(self) -> dict[str, Any]:
        first = self.neurons[0]
        return {"nin": len(first.w), "nout": len(self.neurons), "bias": first.b is not None}

    def __repr__(self) -> str:
        return f"Linear({len(self.neurons[0].w)}, {len(self.neurons)})"


class Elementwise(PerSample):
    """Apply an activation to each input.

    Args:
        activation: by name (see `microgrud.nn.ACTIVATIONS`), or a callable on a number.

    Raises:
        TypeError, ValueError: for invalid arguments.

    >>> Elementwise("relu")([-1.0, 2.0])
    [0.0, 2.0]
    """

    def __init__(self, activation: str | Callable[[Number], Number]) -> None:
        self.activation: Activation = get_activation(activation)

    def forward(self, x: Any) -> Any:
        """Return the outputs for one sample, as a list, or a number for a number."""
        xs, is_number = numbers_of(x, "Elementwise")
        outputs = [self.activation.function(each) for each in xs]
        return outputs[0] if is_number else outputs

    def _arguments(self) -> dict[str, Any]:
        return {"activation": _stored_name(self.activation)}

    def __repr__(self) -> str:
        return self.activation.label


class PReLU(PerSample):
    """Apply x for x >= 0, otherwise slope*x, to each input, with a trained slope, one for all or one for each.

    Source: He, Zhang, Ren and Sun (2015), Delving deep into rectifiers, arXiv:1502.01852.

    Args:
        count: the number of slopes: 1, or that of the inputs.
        init: the slope at first.

    Raises:
        TypeError, ValueError: for invalid arguments.

    >>> [y.data for y in PReLU()([-2.0, 3.0])]
    [-0.5, 3.0]
    """

    def __init__(self, count: int = 1, init: float = 0.25) -> None:
        slope = real(ANY)("PReLU: init", init)
        self.slopes = [Value(slope) for _ in range(_count(count, "PReLU: count"))]

    def forward(self, x: Any) -> Any:
        """Return the outputs for one sample, as a list, or a number for a number.

        Raises:
            ValueError: if there are several slopes, but not one for each input.
        """
        xs, is_number = numbers_of(x, "PReLU")
        slopes = self.slopes * len(xs) if len(self.slopes) == 1 else self.slopes
        if len(slopes) != len(xs):
            raise ValueError(f"PReLU: expected {len(slopes)} inputs, one for each slope, got {len(xs)}")
        outputs = [prelu(each, slope) for each, slope in zip(xs, slopes)]
        return outputs[0] if is_number else outputs

    def _arguments(self) -> dict[str, Any]:
        return {"count": len(self.slopes)}

    def __repr__(self) -> str:
        return f"PReLU({len(self.slopes)})"


class Embedding(Module):
    """Look up a trained vector by an integer: `take(weight, index)`, with a single recording for all integers.

    Args:
        count: the number of vectors; indices are from 0 to count - 1.
        size: the length of a vector.
        init: the initialiser of the numbers, as for `Neuron`; by default the standard normal distribution.
        rng: a `random.Random`, a seed, or None for the global generator that `random.seed` controls.

    Attributes:
        weight: the vectors, a list of lists.

    Raises:
        TypeError, ValueError: for invalid arguments.
        IndexError: (from a call) for an index out of range.

    >>> embedding = Embedding(10, 3)
    >>> len(embedding(7)), len(embedding([7, 2]))
    (3, 2)
    """

    def __init__(
        self, count: int, size: int, init: str | Initializer = "normal", rng: random.Random | int | None = None
    ) -> None:
        count, size = _count(count, "Embedding: count"), _count(size, "Embedding: size")
        draw, source = get_initializer(init), get_random_source(rng)
        self.weight = [[Value(draw(count, size, source)) for _ in range(size)] for _ in range(count)]

    def forward(self, index: Any) -> list[Any]:
        """Return the vector of an index as a list; for a sequence of indices, a list of vectors."""
        found: list[Any] = take(self.weight, index)
        return found

    def _arguments(self) -> dict[str, Any]:
        return {"count": len(self.weight), "size": len(self.weight[0])}

    def __repr__(self) -> str:
        return f"Embedding({len(self.weight)}, {len(self.weight[0])})"
