"""The parameters of a model for pictures: their names, their filters and their layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..common.checks import instance
from ..engine import Value
from ..engine.vectors import check_parameters
from ..nn.layers import MLP, Layer, Neuron
from ..nn.module import Module, modules_of
from ..optim.optimizer import Optimizer


def parameters_of(where: str, source: Any) -> list[Value]:
    """Return the parameters of a Module or an optimizer, or those in a list, after a check.

    Args:
        where: the caller's name, for the message.
        source: a Module, an Optimizer, or an iterable of Values.

    Raises:
        TypeError, ValueError: for anything else.

    >>> parameters_of("Trajectory", 3.0)
    Traceback (most recent call last):
        ...
    TypeError: Trajectory: expected a list of Values, got an object of type float
    """
    return check_parameters(where, source.parameters() if isinstance(source, (Module, Optimizer)) else source)


def filters_of(source: Any, parameters: Sequence[Value]) -> list[list[int]]:
    """Return the indices of the parameters that belong to each filter.

    In a Module the weights of each neuron are a filter, and biases belong to none, as in the pictures of the method's
    authors. The parameters that another module holds itself are a filter as well, and so is a list of Values.
    """
    if not isinstance(source, Module):
        return [list(range(len(parameters)))]
    indices = {p: i for i, p in enumerate(parameters)}
    filters: list[list[int]] = []
    taken: set[Value] = set()
    for module in modules_of(source):
        own = _own(module)
        members = module.w if isinstance(module, Neuron) else own
        filters.append([indices[p] for p in members if p in indices and p not in taken])
        taken.update(own)
    return [members for members in filters if members]


def layers_of(where: str, model: Any) -> list[tuple[str, list[Value]]]:
    """Return the name and the parameters of each layer of a model, in order from the inputs.

    A layer is a `Layer`, a `Neuron` outside of a Layer, or the parameters that another module holds itself. The layers
    of an MLP are counted from 1, as in the pictures of `microgrud.draw`; others are named by their path, such as
    `encoder.layers.0`.

    Args:
        where: the caller's name, for the message.
        model: a Module.

    Raises:
        TypeError: for anything but a Module.
        ValueError: for a Module without parameters.

    >>> from microgrud.nn import MLP
    >>> [(name, len(parameters)) for name, parameters in layers_of("gradient_flow", MLP(2, [3, 1]))]
    [('layer 1', 9), ('layer 2', 4)]
    """
    instance(Module, "a Module")(f"{where}: model", model)
    names = {p: name for name, p in model.named_parameters()}
    numbered = {id(layer): f"layer {k}" for k, layer in enumerate(model.layers if isinstance(model, MLP) else (), 1)}
    found: list[tuple[str, list[Value]]] = []
    taken: set[Value] = set()
    for module in modules_of(model):
        own = module.parameters() if isinstance(module, (Layer, Neuron)) else _own(module)
        own = [p for p in own if p not in taken and p in names]
        taken.update(own)
        if own:
            found.append((numbered.get(id(module)) or _name(module, names), own))
    if not found:
        raise ValueError(f"{where}: model: expected a Module with parameters, got a {type(model).__name__} with none")
    return found


def _own(module: Module) -> list[Value]:
    """Return the parameters of a module that none of the modules in it holds."""
    below = {p for child in module.children() for p in child.parameters()}
    return [p for p in module.parameters() if p not in below]


def _name(module: Module, names: dict[Value, str]) -> str:
    """Return the path of a module: that of its first parameter, without the parameter's name inside of the module."""
    inner, parameter = module.named_parameters()[0]
    return names[parameter].removesuffix(inner).rstrip(".") or type(module).__name__
