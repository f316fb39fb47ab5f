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


def named_parameters(source: Any, parameters: Sequence[Value]) -> list[str]:
    """Return the name of each parameter: its label, its name in the Module, or its index."""
    names = {id(p): name for name, p in source.named_parameters()} if isinstance(source, Module) else {}
    return [p.label or names.get(id(p)) or f"parameter {i}" for i, p in enumerate(parameters)]


def filters_of(source: Any, parameters: Sequence[Value]) -> list[list[int]]:
    """Return the indices of the parameters that belong to each filter.

    In a Module the weights of each neuron are a filter, and biases belong to none, as in the pictures of the method's
    authors. The parameters that another module holds itself are a filter as well, and so is a list of Values.
    """
    if not isinstance(source, Module):
        return [list(range(len(parameters)))]
    indices = {id(p): i for i, p in enumerate(parameters)}
    filters: list[list[int]] = []
    taken: set[int] = set()
    for module in modules_of(source):
        if isinstance(module, Neuron):
            own = module.w
            taken.update(id(p) for p in (module.b,) if p is not None)
        else:
            below = {id(p) for child in module.children() for p in child.parameters()}
            own = [p for p in module.parameters() if id(p) not in below]
        members = [indices[id(p)] for p in own if id(p) in indices and id(p) not in taken]
        taken.update(id(p) for p in own)
        if members:
            filters.append(members)
    return filters


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
    names = {id(p): name for name, p in model.named_parameters()}
    numbered = {id(layer): f"layer {k}" for k, layer in enumerate(model.layers if isinstance(model, MLP) else (), 1)}
    found: list[tuple[str, list[Value]]] = []
    taken: set[int] = set()
    for module in modules_of(model):
        whole = isinstance(module, (Layer, Neuron)) or not module.children()
        below = set() if whole else {id(p) for child in module.children() for p in child.parameters()}
        own = [p for p in module.parameters() if id(p) not in below and id(p) not in taken and id(p) in names]
        taken.update(id(p) for p in own)
        if own:
            found.append((numbered.get(id(module)) or _name(module, names), own))
    if not found:
        raise ValueError(f"{where}: model: expected a Module with parameters, got a {type(model).__name__} with none")
    return found


def _name(module: Module, names: dict[int, str]) -> str:
    """Return the path of a module: that of its first parameter, without the parameter's name inside of the module."""
    inner, parameter = module.named_parameters()[0]
    return names[id(parameter)].removesuffix(inner).rstrip(".") or type(module).__name__
