"""Networks built out of Values: `Module`, and the neuron, the layer and the multilayer perceptron.

A neuron is `activation(w . x + b)`, one `dot` node and one for the activation; a layer is a list of neurons that see
the same inputs; an MLP is a list of layers, each fed with the outputs of the one before.
"""

from __future__ import annotations

import itertools
import operator
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from . import functions
from .activations import Activation, get_activation
from .engine import Value
from .initializers import Initializer, get_initializer, get_random_source
from .operation import Number, as_float, is_real_scalar

Self = TypeVar("Self", bound="Module")


class Module:
    """A part of a network that holds parameters, and modules that hold more of them.

    The parameters are the leaf Values among the attributes, and in the lists, tuples, dicts and NumPy object arrays
    among them, and those of the modules found there; in the order in which the attributes were set, each once. A
    subclass needs no call to `__init__` and no registration; one that overrides `parameters()` alone decides by that
    what its parameters are. (Sets have no fixed order, and are not searched.)

    Attributes:
        training: True in training mode, False after `eval()`; for modules that behave differently in the two.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope, self.offset = Value(2.0), Value(1.0)
    ...
    ...     def __call__(self, x):
    ...         return self.slope * x + self.offset
    >>> Line().state_dict()
    {'slope': 2.0, 'offset': 1.0}
    """

    training: bool = True

    def parameters(self) -> list[Value]:
        """Return the parameters, in a fixed order, each once."""
        overridden = type(self).parameters is not Module.parameters
        named = _found_in(self, "", set()) if overridden else self.named_parameters()
        return list({id(p): p for _, p in named}.values())

    def named_parameters(self) -> list[tuple[str, Value]]:
        """Return the parameters with their names, such as `layers.0.neurons.1.w.2`; a shared one by its first name."""
        return _each_once(_named(self, "", set()))

    def children(self) -> list[Module]:
        """Return the modules among the attributes and in the containers there, each once."""
        return list({id(x): x for _, x in _members(self) if isinstance(x, Module)}.values())

    def zero_grad(self) -> None:
        """Set the grad of every parameter to zero."""
        for p in self.parameters():
            p.grad = 0.0

    def train(self: Self, mode: bool = True) -> Self:
        """Set training mode (or, with False, evaluation mode) on this module and all below it; return the module."""
        reached: dict[int, Module] = {}
        waiting: list[Module] = [self]
        while waiting:
            module = waiting.pop()
            if id(module) not in reached:
                reached[id(module)] = module
                module.training = mode
                waiting.extend(module.children())
        return self

    def eval(self: Self) -> Self:
        """Set evaluation mode on this module and all below it; return the module."""
        return self.train(False)

    def state_dict(self) -> dict[str, float]:
        """Return the number that each parameter holds, by name.

        Raises:
            ValueError: if two parameters go by one name, as in `{"a.b": p, "a": {"b": q}}`.
        """
        named = self.named_parameters()
        state = {name: p.data for name, p in named}
        if len(state) < len(named):
            names = [name for name, _ in named]
            repeated = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{type(self).__name__}: two parameters are named {repeated!r}; rename one of them")
        return state

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Set the parameters to the numbers in `state`; all of them, or on an error none.

        Args:
            state: a number for each parameter, by name, as `state_dict()` gives it.
            strict: whether a missing or an unexpected name is an error; what does not fit is otherwise passed over.

        Raises:
            TypeError: if `state` is not a mapping.
            ValueError: if entries are missing, unexpected or not one real number; the message lists them.

        >>> MLP(2, [1]).load_state_dict({"layers.0.neurons.0.w.0": 1.0, "layers.0.neurons.0.b": [2.0]})
        Traceback (most recent call last):
            ...
        ValueError: MLP.load_state_dict: missing: layers.0.neurons.0.w.1; misshapen: layers.0.neurons.0.b (expected a \
real number, got an object of type list)
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict: expected a dict of numbers by name, got {type(state).__name__}")
        self.state_dict()  # raises if names are ambiguous
        parameters = dict(self.named_parameters())
        missing = [name for name in parameters if name not in state]
        unexpected = [str(name) for name in state if name not in parameters]
        misshapen = []
        numbers = {}
        for name in parameters:
            if name in state:
                try:
                    numbers[name] = as_float(state[name], name)
                except (TypeError, OverflowError) as error:
                    reason = str(error).removeprefix(f"{name}: ").split(";")[0]
                    misshapen.append(f"{name} ({reason})")
        problems = {"missing": missing, "unexpected": unexpected} if strict else {}
        problems["misshapen"] = misshapen
        if any(problems.values()):
            listed = "; ".join(f"{kind}: {_shortened(names)}" for kind, names in problems.items() if names)
            raise ValueError(f"{type(self).__name__}.load_state_dict: {listed}")
        for name, number in numbers.items():
            parameters[name].data = number


def _shortened(names: Sequence[str], most: int = 10) -> str:
    text = ", ".join(names[:most])
    return f"{text}, and {len(names) - most} more" if len(names) > most else text


# --- finding parameters -----------------------------------------------------------------------------------------------


def _members(module: Module) -> Iterator[tuple[str, Value | Module]]:
    """Yield the leaf Values and the modules among a module's attributes and in the containers there, with names."""
    seen: set[int] = set()
    for name, item in vars(module).items():
        yield from _search(name, item, seen)


def _search(name: str, item: object, seen: set[int]) -> Iterator[tuple[str, Value | Module]]:
    inside: Iterable[tuple[object, object]]
    if isinstance(item, Value):
        if item.is_leaf:
            yield name, item
        return
    if isinstance(item, Module):
        yield name, item
        return
    if isinstance(item, dict):
        inside = item.items()
    elif isinstance(item, (list, tuple)):
        inside = enumerate(item)
    elif isinstance(item, np.ndarray) and item.dtype == object:
        inside = ((".".join(map(str, index)), x) for index, x in np.ndenumerate(item))
    else:
        return
    if id(item) not in seen:  # a container may contain itself
        seen.add(id(item))
        for key, x in inside:
            yield from _search(f"{name}.{key}", x, seen)


def _found_in(module: Module, prefix: str, seen: set[int]) -> Iterator[tuple[str, Value]]:
    """Yield the parameters found among the attributes; `seen` holds the modules (by id) that are being searched."""
    seen.add(id(module))
    for name, member in _members(module):
        if isinstance(member, Value):
            yield prefix + name, member
        elif id(member) not in seen:
            yield from _named(member, f"{prefix}{name}.", seen)


def _named(module: Module, prefix: str, seen: set[int]) -> Iterator[tuple[str, Value]]:
    """Yield a module's named parameters, by whichever of its two methods the class has overridden."""
    kind = type(module)
    if prefix and kind.named_parameters is not Module.named_parameters:
        seen.add(id(module))
        for name, p in module.named_parameters():
            yield prefix + name, p
    elif kind.parameters is not Module.parameters:
        # A class that overrides parameters() decides what they are; the attributes only tell their names.
        names = {id(p): name for name, p in reversed(list(_found_in(module, prefix, set(seen))))}
        seen.add(id(module))
        for i, p in enumerate(module.parameters()):
            yield names.get(id(p), f"{prefix}parameters.{i}"), p
    else:
        yield from _found_in(module, prefix, seen)


def _each_once(named: Iterable[tuple[str, Value]]) -> list[tuple[str, Value]]:
    first: dict[int, tuple[str, Value]] = {}
    for name, p in named:
        first.setdefault(id(p), (name, p))
    return list(first.values())


# --- neuron, layer, network -------------------------------------------------------------------------------------------


class Neuron(Module):
    """Compute `activation(w[0]*x[0] + w[1]*x[1] + ... + b)`.

    Args:
        nin: the number of inputs.
        nonlin: whether the activation is applied.
        activation: by name (see `microgrud.activations.ACTIVATIONS`), or a callable on a Value.
        init: how weights are drawn: by name (see `microgrud.initializers.INITIALIZERS`), or a callable
            `init(nin, nout, rng)`; by default uniformly from -1 to 1. The bias starts at 0.
        bias: whether there is a bias `b`; otherwise the attribute is None.
        rng: a `random.Random`, a seed, or None for the global generator that `random.seed` controls.
        nout: how many neurons stand in the layer, for initialisers that go by it.

    Attributes:
        w: the list of weights.
        b: the bias, or None.
        nonlin: as given; may be changed.
        activation: the `Activation`.

    Raises:
        TypeError, ValueError: for arguments other than these.

    >>> neuron = Neuron(2, activation="tanh", init="zeros")
    >>> neuron, neuron([1.0, 2.0])
    (TanhNeuron(2), Value(data=0.0, grad=0.0))
    """

    def __init__(
        self,
        nin: int,
        nonlin: bool = True,
        activation: str | Callable[[Number], Number] = "relu",
        init: str | Initializer = "uniform",
        bias: bool = True,
        rng: random.Random | int | None = None,
        *,
        nout: int = 1,
    ) -> None:
        nin, nout = _count(nin, "nin"), _count(nout, "nout")
        draw, source = get_initializer(init), get_random_source(rng)
        self.w = [Value(draw(nin, nout, source)) for _ in range(nin)]
        self.b = Value(0.0) if bias else None
        self.nonlin = nonlin
        self.activation: Activation = get_activation(activation)

    def __call__(self, x: Any) -> Value:
        """Compute the output for one sample.

        Args:
            x: a sequence of `nin` numbers or Values: a list, a tuple, a NumPy array; or one number if nin is 1.

        Raises:
            ValueError: for another number of inputs.
            TypeError: for inputs that are not real numbers.
        """
        xs = _inputs(x)
        if len(xs) != len(self.w):
            raise ValueError(f"{self!r}: expected {len(self.w)} inputs (one sample), got {len(xs)}")
        out: Value = functions.dot(self.w, xs, 0.0 if self.b is None else self.b)
        return self.activation(out) if self.nonlin else out

    def __repr__(self) -> str:
        return f"{self.activation.label if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(Module):
    """Compute the outputs of several neurons that see the same inputs.

    Args:
        nin: the number of inputs.
        nout: the number of neurons.
        **kwargs: what else each `Neuron` is made with: nonlin, activation, init, bias, rng.

    Attributes:
        neurons: the list of neurons.

    >>> Layer(2, 2, activation="sigmoid")
    Layer of [SigmoidNeuron(2), SigmoidNeuron(2)]
    """

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        nout = _count(nout, "nout")
        kwargs["rng"] = get_random_source(kwargs.get("rng"))  # one generator for all the neurons
        self.neurons = [Neuron(nin, nout=nout, **kwargs) for _ in range(nout)]

    def __call__(self, x: Any) -> Any:
        """Compute the list of outputs for one sample; for a single neuron its output alone."""
        xs = _inputs(x)
        out = [neuron(xs) for neuron in self.neurons]
        return out[0] if len(out) == 1 else out

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(str(neuron) for neuron in self.neurons)}]"


class MLP(Module):
    """A multilayer perceptron: layers of neurons, each fed with the outputs of the one before.

    Args:
        nin: the number of inputs.
        nouts: the number of neurons in each layer; the last is the number of outputs.
        activation: of all layers but the last; by name, or a callable on a Value.
        output: the activation of the last layer; also `"softmax"` or `"log_softmax"`, over all its outputs.
        init, bias, rng: as for `Neuron`.

    Attributes:
        layers: the list of layers.
        output: `"softmax"` or `"log_softmax"` if the outputs go through that, else None.

    Raises:
        TypeError, ValueError: for arguments other than these.

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
        activation: str | Callable[[Number], Number] = "relu",
        output: str | Callable[[Number], Number] = "linear",
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
        self.layers.append(
            Layer(sizes[-2], sizes[-1], nonlin=last.name != "linear", activation=last, **kwargs),
        )

    def __call__(self, x: Any) -> Any:
        """Compute the list of outputs for one sample; a single output alone.

        Args:
            x: a sequence of `nin` numbers or Values: a list, a tuple, a NumPy array.

        Raises:
            ValueError: for another number of inputs.
            TypeError: for inputs that are not real numbers.
        """
        for layer in self.layers:
            x = layer(x)
        return _OVER_OUTPUTS[self.output](x) if self.output else x

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(str(layer) for layer in self.layers)}]"


#: Outputs of an MLP that are functions of the whole last layer.
_OVER_OUTPUTS: dict[str, Callable[[Iterable[Number]], list[Number]]] = {
    "softmax": functions.softmax,
    "log_softmax": functions.log_softmax,
}


def _inputs(x: Any) -> tuple[Number, ...]:
    """Return the inputs of one sample as a tuple; a number alone (the output of a layer of one) is one input."""
    if isinstance(x, Value) or is_real_scalar(x):
        return (x,)
    try:
        return tuple(x)
    except TypeError:
        raise TypeError(f"inputs: expected a sequence of numbers, got an object of type {type(x).__name__}") from None


def _count(n: Any, where: str) -> int:
    try:
        count = operator.index(n)
    except TypeError:
        raise TypeError(f"{where}: expected an integer, got {n!r}") from None
    if count < 1:
        raise ValueError(f"{where}: expected at least 1, got {count}")
    return count
