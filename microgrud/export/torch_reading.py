"""Modules of torch as models of microgrud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..nn import MLP, Elementwise, Linear, Module, PReLU, Sequential
from ..nn.module import is_frozen
from ..nn.sequential import KINDS
from .steps import OVER_OUTPUTS, blocks_of
from .torch_models import COUNTER, import_torch, numbers_of


class _Reading(NamedTuple):
    """The part that a module of torch becomes, and the name of the activation or of the function of all outputs."""

    part: Module | Callable[..., Any]
    name: str | None = None


def from_torch(module: Any) -> MLP | Sequential:
    """Return a model that computes the same as a `torch.nn.Sequential`, in double precision.

    Linear layers with the same activation between them become an MLP, everything else a Sequential. Parameters in
    single or half precision come in exactly, as 0.10000000149011612 for 0.1 in torch.float32. Modules without
    `requires_grad` are frozen, each module is in the mode of the original, and one that occurs several times does so in
    the model, too.

    A LeakyReLU whose slope is not 0.01 becomes a frozen PReLU. A Softplus becomes `softplus` without a threshold, which
    is larger by up to 2.1e-9 beyond the threshold of torch, 20, from which on torch returns x itself. A Flatten at the
    beginning is left out, since a row of microgrud is flat. Dropout draws from Python's generator.

    Args:
        module: a `torch.nn.Sequential` (others may be in it) of Linear, Embedding, Dropout, PReLU, LayerNorm,
            BatchNorm1d, activations, and Softmax, LogSoftmax, Softmin and GLU over the last axis; or one of these.

    Raises:
        ImportError: without torch.
        TypeError: for any other module; the message names the first and its place.
        ValueError: for an option that microgrud lacks, for hooks, for modules that share a tensor, and for modules of
            which only some parameters are frozen.

    >>> import torch
    >>> from_torch(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1)))
    MLP of [Layer of [TanhNeuron(2), TanhNeuron(2)], Layer of [LinearNeuron(2)]]
    """
    torch = import_torch("from_torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch: expected a torch.nn.Module, got an object of type {type(module).__name__}")
    modules = _flattened(torch, module, "")
    if modules and type(modules[0][1]) is torch.nn.Flatten and modules[0][1].start_dim == 1:
        del modules[0]
    if not modules:
        raise ValueError("from_torch: expected at least one layer, got none")
    made: dict[int, _Reading] = {}
    for where, each in modules:
        if id(each) not in made:
            made[id(each)] = _read(each, f"from_torch: {where or 'module'}")
    tensors = [x for each in {id(each): each for _, each in modules}.values() for x in each.parameters()]
    readings = [made[id(each)] for _, each in modules]
    if len({id(x) for x in tensors}) < len(tensors):
        raise ValueError(
            "from_torch: expected modules with parameters of their own, got two that share one; put the same module at "
            "both places"
        )
    model = _as_mlp(readings) or Sequential(*(part for part, _ in readings))
    model.training = module.training
    return model


def _flattened(torch: Any, module: Any, where: str) -> list[tuple[str, Any]]:
    """Return the modules that are no Sequential, with their places."""
    hooks = [name for name, x in vars(module).items() if name.endswith("_hooks") and "state_dict" not in name and x]
    if hooks or "forward" in vars(module):
        raise ValueError(
            f"from_torch: {where or 'module'}: expected a {type(module).__name__} as torch makes it, got one with "
            f"{hooks[0].strip('_').replace('_', ' ') if hooks else 'a forward of its own'}, which may change what it "
            "computes; remove them (weight_norm, spectral_norm and pruning have functions for that)"
        )
    if type(module) is not torch.nn.Sequential:
        return [(where, module)]
    prefix = f"{where}." if where else ""
    # Not named_children, which leaves out a module that occurs again.
    return [pair for name, x in module._modules.items() for pair in _flattened(torch, x, f"{prefix}{name}")]


def _read(module: Any, place: str) -> _Reading:
    """Return the reading of one module; raise for what microgrud lacks."""
    from .torch_activations import CLASSES, Function

    name = type(module).__name__
    if type(module) is Function:
        return _Reading(Elementwise(module.name).train(module.training), module.name)
    if not type(module).__module__.startswith("torch.nn.modules."):
        raise TypeError(
            f"{place}: expected a torch.nn.Sequential of modules of torch.nn, got a {name}, whose forward microgrud "
            "cannot read; write the same network as a torch.nn.Sequential, and load its state_dict into that"
        )
    if name in _LAYERS:
        return _Reading(_layer(module, place, name))
    known = next((ours for ours, (theirs, _) in CLASSES.items() if theirs == name), None)
    if known is None:
        names = sorted([*_LAYERS, *(theirs for theirs, _ in CLASSES.values())])
        raise TypeError(f"{place}: expected one of {', '.join(names)}, got a {name}, which microgrud lacks")
    options = CLASSES[known][1]
    if name == "LeakyReLU" and module.negative_slope != options["negative_slope"]:
        return _Reading(PReLU(init=module.negative_slope).freeze().train(module.training))
    for option, wanted in options.items():
        given = getattr(module, option)
        words, fits = {
            "dim": ("-1, the last axis", given in (-1, 1)),
            "threshold": ("20 or more", given >= 20.0 if option == "threshold" else False),
        }.get(option, (repr(wanted), given == wanted))
        if not fits:
            raise ValueError(f"{place}: expected a {name} with {option} {words}, as in microgrud, got {given!r}")
    return _Reading(OVER_OUTPUTS[known] if known in OVER_OUTPUTS else Elementwise(known).train(module.training), known)


#: For each layer: the attributes in torch that become arguments, with their names here; and what others must be.
_LAYERS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "Linear": ({"in_features": "nin", "out_features": "nout", "bias": "bias"}, {}),
    "PReLU": ({"num_parameters": "count"}, {}),
    "Dropout": ({"p": "p"}, {}),
    "LayerNorm": ({"normalized_shape": "size", "eps": "eps", "elementwise_affine": "elementwise_affine"}, {}),
    "BatchNorm1d": (
        {"num_features": "size", "eps": "eps", "momentum": "momentum", "affine": "affine"},
        {"track_running_stats": True},
    ),
    "Embedding": (
        {"num_embeddings": "count", "embedding_dim": "size"},
        {"padding_idx": None, "max_norm": None, "scale_grad_by_freq": False},
    ),
}


def _layer(module: Any, place: str, name: str) -> Module:
    """Return the module of microgrud for one of `_LAYERS`, with the same numbers."""
    options, demanded = _LAYERS[name]
    for option, wanted in demanded.items():
        if getattr(module, option) != wanted:
            raise ValueError(
                f"{place}: expected a {name} with {option}={wanted}, as in microgrud, got {getattr(module, option)!r}"
            )
    arguments = {ours: getattr(module, theirs) for theirs, ours in options.items()}
    if name == "Linear":
        arguments["bias"] = module.bias is not None
    if name == "LayerNorm":
        if len(arguments["size"]) > 1:
            raise ValueError(f"{place}: expected a {name} of one axis, got the shape {arguments['size']}")
        (arguments["size"],) = arguments["size"]
    given = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    given.pop(COUNTER, None)
    try:
        part: Module = KINDS[name]._make(arguments)
        blocks = blocks_of(part, place, "from_torch")
        if given.keys() != blocks.keys():
            raise ValueError(f"expected the parameters {', '.join(blocks)}, got {', '.join(given)}")
        for ours, block in blocks.items():
            for value, number in zip(block.values, numbers_of(given[ours], block.shape)):
                value.data = number
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place}: {name}: {str(error).removeprefix(f'{name}: ')}") from None
    trained = {x.requires_grad for x in module.parameters()}
    if len(trained) > 1:
        raise ValueError(
            f"{place}: {name}: expected requires_grad of all its parameters or of none, since microgrud freezes whole "
            "modules; call requires_grad_(True) or requires_grad_(False) on it"
        )
    if trained == {False}:
        part.freeze()
    return part.train(module.training)


def _as_mlp(readings: list[_Reading]) -> MLP | None:
    """Return the same as an MLP; None if it is none."""
    layers: list[Linear] = []
    names: list[str] = []
    waiting = readings[::-1]
    while waiting:
        part, _ = waiting.pop()
        if not isinstance(part, Linear) or part in layers:
            return None
        layers.append(part)
        names.append(waiting.pop().name or "linear" if waiting and waiting[-1].name else "linear")
    *hidden, output = names
    given = [layer._arguments() for layer in layers]
    nouts = [arguments["nout"] for arguments in given]
    is_mlp = (
        len({*hidden}) < 2
        and len({arguments["bias"] for arguments in given}) == 1
        and [arguments["nin"] for arguments in given[1:]] == nouts[:-1]
        and not {*hidden} & OVER_OUTPUTS.keys()
        and output not in ("softmin", "glu")
    )
    if not is_mlp:
        return None
    first = {"nin": given[0]["nin"], "bias": given[0]["bias"]}
    mlp = MLP._make({**first, "nouts": nouts, "activation": (hidden or ["relu"])[0], "output": output})
    for layer, linear in zip(mlp.layers, layers):
        for new, old in zip(layer.neurons, linear.neurons):
            new.w, new.b = old.w, old.b
        layer.train(linear.training)
        _ = is_frozen(linear) and layer.freeze()
    return mlp
