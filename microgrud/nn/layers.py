"""Networks built from Values: the neuron, the layer and the multilayer perceptron.

A neuron is `activation(w . x + b)`: one `dot` node and one for the activation. A layer is a list of neurons with the
same inputs. An MLP is a list of layers; the outputs of one are the inputs of the next.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .. import functions
from ..common.arrays import is_array
from ..common.checks import whole
from ..common.numbers import Number, as_sequence, is_real_scalar
from ..engine import Value
from ..typing import Output
from .activations import Activation, get_activation
from .initializers import Initializer, draw_together, get_initializer, get_random_source
from .module import Module
from .rows import rows_of


class Neuron(Module):
    """Compute `activation(w[0]*x[0] + w[1]*x[1] + ... + b)`.

    Args:
        nin: the number of inputs.
        nonlin: whether the activation is applied.
        activation: by name (see `microgrud.nn.activations.ACTIVATIONS`), or a callable on a Value.
        init: the initialiser of the weights: by name (see `microgrud.nn.initializers.INITIALIZERS`), or a callable
            `init(nin, nout, rng)`; by default uniform from -1 to 1. The bias starts at 0.
        bias: whether there is a bias `b`; otherwise the attribute is None.
        rng: a `random.Random`, a seed, or None for the global generator that `random.seed` controls.
        nout: the number of neurons in the layer, for initialisers that depend on it.

    Attributes:
        w: the list of weights.
        b: the bias, or None.
        nonlin: as given; may be changed.
        activation: the `Activation`.

    Raises:
        TypeError, ValueError: for invalid arguments.

    >>> neuron = Neuron(2, activation="tanh", init="zeros")
    >>> neuron, neuron([1.0, 2.0])
    (TanhNeuron(2), Value(data=0.0, grad=0.0))
    """

    def __init__(
        self,
        nin: int,
        nonlin: bool = True,
        activation: str | Callable[[Value], Value] = "relu",
        init: str | Initializer = "uniform",
        bias: bool = True,
        rng: random.Random | int | None = None,
        *,
        nout: int = 1,
    ) -> None:
        nin, nout = _count(nin, "nin"), _count(nout, "nout")
        draw, source = get_initializer(init), get_random_source(rng)
        self.w = [Value(draw(nin, nout, source)) for _ in range(nin)]
        self.b: Value | Any = Value(0.0) if bias else None
        self.nonlin = nonlin
        self.activation: Activation = get_activation(activation)

    def __call__(self, x: Any) -> Output:
        """Compute the output for one sample, a Value; for a table, the list of the outputs for its rows.

        Args:
            x: a sequence of `nin` numbers or Values: a list, a tuple, a NumPy array; or one number if nin is 1; or a
                table of such rows.

        Raises:
            ValueError: for another number of inputs.
            TypeError: for inputs that are not real numbers.
        """
        rows = rows_of(x)
        if rows is not None:
            return [self(row) for row in rows]  # type: ignore[return-value]
        return self._output(_sample(x, len(self.w), self))  # type: ignore[return-value]

    def _output(self, xs: tuple[Number, ...]) -> Value:
        """Compute the output for inputs whose number has been checked."""
        try:
            out: Value = functions.dot(self.w, xs, 0.0 if self.b is None else self.b)
        except TypeError as error:
            raise _explained(error, xs) from None
        return self.activation(out) if self.nonlin else out

    def _arguments(self) -> dict[str, Any]:
        arguments = {"nin": len(self.w), "nonlin": bool(self.nonlin), "bias": self.b is not None}
        return {**arguments, "activation": _stored_name(self.activation)}

    def __repr__(self) -> str:
        return f"{self.activation.label if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(Module):
    """Compute the outputs of several neurons with the same inputs.

    Args:
        nin: the number of inputs.
        nout: the number of neurons.
        **kwargs: further arguments of each `Neuron`: nonlin, activation, init, bias, rng.

    Attributes:
        neurons: the list of neurons.

    >>> Layer(2, 2, activation="sigmoid")
    Layer of [SigmoidNeuron(2), SigmoidNeuron(2)]
    """

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        nout = _count(nout, "nout")
        rng = kwargs["rng"] = get_random_source(kwargs.get("rng"))  # one generator for all the neurons
        if "init" in kwargs:
            kwargs["init"] = draw_together(kwargs["init"], _count(nin, "nin"), nout, rng)
        self.neurons = [Neuron(nin, nout=nout, **kwargs) for _ in range(nout)]

    def __call__(self, x: Any) -> Output:
        """Compute the list of outputs for one sample, or the only output; for a table, the list of those for its rows.

        Args:
            x: a sequence of `nin` numbers or Values: a list, a tuple, a NumPy array; or one number if nin is 1; or a
                table of such rows.

        Raises:
            ValueError: for another number of inputs.
            TypeError: for inputs that are not real numbers.
        """
        rows = rows_of(x)
        if rows is not None:
            return [self(row) for row in rows]  # type: ignore[return-value]
        return self._outputs(x)

    def _outputs(self, x: Any) -> Output:
        """Compute the outputs for one sample."""
        xs = _sample(x, len(self.neurons[0].w), self)
        # The inputs are checked once, not by each neuron: that was half the time of a call on the C engine.
        out = [neuron._output(xs) if type(neuron) is Neuron else neuron(xs) for neuron in self.neurons]
        return out[0] if len(out) == 1 else out  # type: ignore[return-value]

    def _arguments(self) -> dict[str, Any]:
        return {**self.neurons[0]._arguments(), "nout": len(self.neurons)}

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(str(neuron) for neuron in self.neurons)}]"


class MLP(Module):
    """A multilayer perceptron: layers of neurons; the outputs of one layer are the inputs of the next.

    Args:
        nin: the number of inputs.
        nouts: the number of neurons in each layer; the last is the number of outputs.
        activation: the activation of all layers but the last; by name, or a callable on a Value.
        output: the activation of the last layer, or `"softmax"` or `"log_softmax"` over all its outputs.
        init, bias, rng: as for `Neuron`.

    Attributes:
        layers: the list of layers.
        output: `"softmax"` or `"log_softmax"` if that is applied to the outputs, otherwise None.

    Raises:
        TypeError, ValueError: for invalid arguments.

    >>> model = MLP(2, [3, 1], rng=0)
    >>> model
    MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2), ReLUNeuron(2)], Layer of [LinearNeuron(3)]]
    >>> model([1.0, -2.0]).backward()
    >>> len(model.parameters())
    13
    """

    def __init__(
        self,
        nin: int,
        nouts: Iterable[int],
        activation: str | Callable[[Value], Value] = "relu",
        output: str | Callable[..., Any] = "linear",
        init: str | Initializer = "uniform",
        bias: bool = True,
        rng: random.Random | int | None = None,
    ) -> None:
        if isinstance(nouts, str) or not isinstance(nouts, Iterable):
            raise TypeError(f"nouts: expected a list of layer sizes such as [16, 1], got {nouts!r}")
        sizes = [_count(nin, "nin"), *(_count(n, "nouts") for n in nouts)]
        if len(sizes) == 1:
            raise ValueError("nouts: expected at least one layer size, got an empty list")
        self.output = next((name for name, f in _OVER_OUTPUTS.items() if output is f or output == name), None)
        if self.output and sizes[-1] == 1:
            raise ValueError(f"output: {self.output} needs at least 2 outputs, got 1; use 'sigmoid' for a probability")
        hidden, last = get_activation(activation), get_activation("linear" if self.output else output)
        kwargs = {"init": init, "bias": bias, "rng": get_random_source(rng)}
        self.layers = [Layer(m, n, activation=hidden, **kwargs) for m, n in itertools.pairwise(sizes[:-1])]
        self.layers.append(Layer(sizes[-2], sizes[-1], nonlin=last.name != "linear", activation=last, **kwargs))

    def __call__(self, x: Any) -> Output:
        """Compute the list of outputs for one sample, or the only output; for a table, the list of those for its rows.

        Args:
            x: a sequence of `nin` numbers or Values: a list, a tuple, a NumPy array; or one number if nin is 1; or a
                table of such rows.

        Raises:
            ValueError: for another number of inputs.
            TypeError: for inputs that are not real numbers.
        """
        rows = rows_of(x)
        if rows is not None:
            return [self(row) for row in rows]  # type: ignore[return-value]
        x = _sample(x, len(self.layers[0].neurons[0].w), self)
        for layer in self.layers:
            x = layer._outputs(x) if type(layer) is Layer else layer(x)
        return _OVER_OUTPUTS[self.output](x) if self.output else x  # type: ignore[return-value]

    def _arguments(self) -> dict[str, Any]:
        first, last = (layer.neurons[0]._arguments() for layer in (self.layers[0], self.layers[-1]))
        return {
            "nin": first["nin"],
            "nouts": [len(layer.neurons) for layer in self.layers],
            "activation": first["activation"] if len(self.layers) > 1 else "relu",
            "output": self.output or (last["activation"] if last["nonlin"] else "linear"),
            "bias": first["bias"],
        }

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(str(layer) for layer in self.layers)}]"


#: Functions that an MLP may apply to all outputs of its last layer.
_OVER_OUTPUTS: dict[str, Callable[[Iterable[Number]], list[Number]]] = {
    "softmax": functions.softmax,
    "log_softmax": functions.log_softmax,
}
_at_least_1 = whole(1)


def _stored_name(activation: Activation) -> str:
    if activation.name is None:
        raise ValueError(
            f"activation {activation.label}: a model file cannot hold a function of your own; use one of microgrud's, "
            "or write a subclass of Module that makes the model, and save that"
        )
    return activation.name


def _sample(x: Any, nin: int, module: Module) -> tuple[Number, ...]:
    """Return the inputs of one sample as a tuple; a single number (such as the output of a neuron) is one input."""
    if type(x) is tuple or type(x) is list:
        xs = tuple(x)
    elif is_array(x) and x.ndim == 1:
        xs = tuple(x.tolist())  # Python's floats, not NumPy's
    else:
        xs = (x,) if isinstance(x, Value) or is_real_scalar(x) else as_sequence(x, "inputs")
    if len(xs) != nin:
        raise ValueError(
            f"{type(module).__name__}: expected {nin} inputs, the numbers of one sample, got {len(xs)}; call it once "
            "for each sample"
        )
    return xs


def _explained(error: TypeError, xs: Sequence[Any]) -> TypeError:
    """Return an error that names the input that is not a number: perhaps the network was given a whole batch."""
    for i, x in enumerate(xs):
        if not isinstance(x, Value) and not is_real_scalar(x):
            what = repr(x) if isinstance(x, str) else f"an object of type {type(x).__name__}"
            return TypeError(
                f"inputs: expected numbers, those of one sample, got {what} at index {i}; call the network once for "
                "each sample"
            )
    return error


def _count(n: Any, where: str) -> int:
    if type(n).__name__ in ("bool", "bool_"):  # operator.index of older NumPy accepts bool_, with a warning
        raise TypeError(f"{where}: expected an integer, got {n!r}")
    count: int = _at_least_1(where, n)
    return count
