"""Models as flat lists of steps, whose parameters are blocks that become one tensor each.

This is what several formats share: each is a list of layers with a tensor for all weights of a layer, where microgrud
has nested modules with a Value for each weight.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .. import activations, functions
from ..engine import Value
from ..nn import MLP, Elementwise, Layer, Module, Neuron, Sequential
from ..nn.activations import get_activation
from ..nn.contents import leaves_and
from ..nn.module import is_frozen
from ..nn.sequential import KINDS

#: Functions of all outputs of a layer, by name.
OVER_OUTPUTS: dict[str, Callable[..., Any]] = {
    "softmax": functions.softmax,
    "log_softmax": functions.log_softmax,
    "softmin": activations.softmin,
    "glu": activations.glu,
}


class Block(NamedTuple):
    """Parameters that become one tensor: the Values in the order of its rows, and its shape."""

    values: list[Value]
    shape: tuple[int, ...]


class Step(NamedTuple):
    """A part of a model that is applied as a whole.

    Attributes:
        where: its place in the model, such as `layers.0`.
        part: a Layer, a Neuron, a LayerNorm, ...; or the name of a function of all outputs.
        training: whether it is in training mode.
    """

    where: str
    part: Module | str
    training: bool


def steps_of(model: Any, caller: str, where: str = "") -> list[Step]:
    """Return the steps of a model, with those of the MLPs and Sequentials in it.

    Raises:
        TypeError: if it is no Module, or a part is of a user-defined class or a user-defined function.

    >>> from microgrud.nn import Linear
    >>> [step.where for step in steps_of(Sequential(MLP(2, [4, 3], output="softmax"), Linear(3, 1)), "to_x")]
    ['layers.0.layers.0', 'layers.0.layers.1', 'layers.0.output', 'layers.1']
    """
    if not isinstance(model, Module):
        raise TypeError(f"{caller}: expected a Module of microgrud.nn, got an object of type {type(model).__name__}")
    kind, prefix = kind_of(model), f"{where}." if where else ""
    if kind is None:
        raise TypeError(
            f"{caller}: {where or 'model'}: expected a module of microgrud.nn, got a {type(model).__name__}, whose "
            "forward is a program of its own; convert the modules that it holds one by one, and write the program there"
        )
    if not isinstance(model, (MLP, Sequential)):
        return [Step(where, model, model.training)]
    steps: list[Step] = []
    for k, layer in enumerate(model.layers):
        at, name = f"{prefix}layers.{k}", next((name for name, f in OVER_OUTPUTS.items() if f is layer), None)
        if name is None and not isinstance(layer, Module):
            raise TypeError(
                f"{caller}: {at}: expected a module or one of {', '.join(OVER_OUTPUTS)}, got a function of your own, "
                f"{getattr(layer, '__name__', layer)}; convert the modules before and after it one by one"
            )
        steps += steps_of(layer, caller, at) if name is None else [Step(at, name, model.training)]
    if isinstance(model, MLP) and model.output is not None:
        steps.append(Step(f"{prefix}output", model.output, model.training))
    return steps


def kind_of(module: Module) -> Any:
    """Return the class of a module of `microgrud.nn`; None if its behaviour is user-defined."""
    own = type(module).__module__.partition(".")[0] == __name__.partition(".")[0] and "forward" not in vars(module)
    return next((kind for kind in type(module).__mro__ if own and KINDS.get(kind.__name__) is kind), None)


def activation_of(step: Step, caller: str) -> str:
    """Return the name of the activation of a Layer, a Neuron or an Elementwise.

    Raises:
        TypeError: if it is a function of the user's own.
        ValueError: if the neurons of a layer have different ones.
    """
    parts: list[Any] = [step.part] if isinstance(step.part, Elementwise) else neurons_of(step.part)
    found = {get_activation(x.activation if getattr(x, "nonlin", True) else "linear") for x in parts}
    labels = sorted(activation.label for activation in found)
    if len(found) > 1:
        raise ValueError(
            f"{caller}: {step.where or 'model'}: expected one activation for the whole layer, got {', '.join(labels)}; "
            "make a layer for each of them"
        )
    name = found.pop().name
    if name is None:
        raise TypeError(
            f"{caller}: {step.where or 'model'}: expected one of microgrud.nn.ACTIVATIONS, got {labels[0]}, a function "
            "of your own; convert the modules before and after it one by one"
        )
    return name


def neurons_of(part: Any) -> list[Neuron]:
    """Return the neurons of a Layer, or the one that is given."""
    return part.neurons if isinstance(part, Layer) else [part]


def blocks_of(part: Any, where: str, caller: str) -> dict[str, Block]:
    """Return the parameters and running statistics of a module that is neither an MLP nor a Sequential, by name.

    Raises:
        ValueError: if a place holds something else than a leaf Value, or neurons of a layer have different sizes.

    >>> from microgrud.nn import Linear
    >>> {name: block.shape for name, block in blocks_of(Linear(2, 3), "layers.0", "to_x").items()}
    {'weight': (3, 2), 'bias': (3,)}
    """
    found: dict[str, Any] = {}
    if isinstance(part, (Layer, Neuron)):
        neurons = neurons_of(part)
        found = {"weight": [neuron.w for neuron in neurons]}
        if any(neuron.b is not None for neuron in neurons):
            found["bias"] = [neuron.b for neuron in neurons]
    elif not isinstance(part, Elementwise):
        names = {"weight": "weight", "slopes": "weight", "bias": "bias"}
        found = {name: vars(part)[own] for own, name in names.items() if vars(part).get(own) is not None}
        found |= {name: vars(part)[name].values for name in ("running_mean", "running_var") if name in vars(part)}
    blocks = {}
    for name, rows in found.items():
        nested = isinstance(rows[0], (list, tuple))
        values = [x for row in rows for x in row] if nested else list(rows)
        shape = (len(rows), len(rows[0])) if nested else (len(rows),)
        if math.prod(shape) != len(values) or not all(isinstance(x, Value) and x.is_leaf for x in values):
            raise ValueError(
                f"{caller}: {where or 'model'}: {name}: expected {shape} parameters, each a Value that no operation "
                "has produced, got others; assign such Values"
            )
        blocks[name] = Block(values, shape)
    if isinstance(part, Layer) and any(type(neuron) is not Neuron for neuron in part.neurons):
        raise ValueError(f"{caller}: {where or 'model'}: expected neurons of class Neuron, got those of a subclass")
    return blocks


def blocks_below(module: Module, caller: str, where: str = "") -> dict[str, Block]:
    """Return the blocks of all modules of a model by name, such as `layers.0.weight`.

    A parameter that a user-defined module holds itself is a block of its own, of shape (). A module at several places
    is named by the first.
    """
    found: dict[str, Block] = {}
    reached: set[int] = set()
    waiting: list[tuple[str, Any]] = [(where, module)]
    while waiting:
        place, item = waiting.pop()
        prefix = f"{place}." if place else ""
        if isinstance(item, Value):
            found[place] = Block([item], ())
        elif id(item) in reached:
            continue
        elif kind_of(item) in (None, MLP, Sequential):
            waiting += reversed(leaves_and(Module, item, prefix))
        else:
            found |= {f"{prefix}{name}": block for name, block in blocks_of(item, place, caller).items()}
        reached.add(id(item))
    return found


def conflicts(blocks: Mapping[str, Block], numbers: Mapping[str, list[float]]) -> list[str]:
    """Return the names of blocks that would set a shared parameter to another number than a block before does."""
    first: dict[int, tuple[str, float]] = {}
    found: dict[str, str] = {}
    for name in [name for name in blocks if name in numbers]:
        for value, number in zip(blocks[name].values, numbers[name]):
            before, known = first.setdefault(id(value), (name, number))
            if known != number and not (math.isnan(known) and math.isnan(number)):
                found[name] = (
                    f"{name} (expected the numbers of {before}, since the model holds the same parameters there)"
                )
    return list(found.values())


def check_sharing(steps: list[Step], caller: str) -> None:
    """Raise a ValueError if two modules share some parameters; a module at two places is no such case."""
    parts = {id(step.part): step for step in steps if isinstance(step.part, Module)}
    holders = Counter(
        id(x)
        for step in parts.values()
        for block in blocks_of(step.part, step.where, caller).values()
        for x in block.values
    )
    for step in parts.values():
        for name, block in blocks_of(step.part, step.where, caller).items():
            if any(holders[id(x)] > 1 for x in block.values):
                raise ValueError(
                    f"{caller}: {step.where or 'model'}: {name}: expected parameters of this module alone, got one "
                    "that is at several places; put the same module there, so that they share all parameters"
                )


def is_trained(step: Step, caller: str) -> bool:
    """Return whether the parameters of a step are trained, and not frozen.

    Raises:
        ValueError: if only some of them are frozen.
    """
    parts: list[Any] = neurons_of(step.part) if isinstance(step.part, (Layer, Neuron)) else [step.part]
    frozen = {is_frozen(part) for part in parts}
    if len(frozen) > 1:
        raise ValueError(
            f"{caller}: {step.where or 'model'}: expected a layer that is frozen or not, got one with some frozen "
            "neurons; write .freeze() or .unfreeze() for the layer"
        )
    return not frozen.pop()
