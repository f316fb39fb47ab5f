"""Models as modules of torch, and parameters as state dicts of torch, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.missing import what_to_install
from ..nn import BatchNorm1d, Dropout, Elementwise, Embedding, Layer, LayerNorm, Module, Neuron, PReLU
from .steps import Block, Step, activation_of, blocks_of, check_sharing, conflicts, is_trained, steps_of

#: The buffer of a BatchNorm1d of torch that microgrud lacks: it only matters without a momentum.
COUNTER = "num_batches_tracked"


def to_torch(model: Module) -> Any:
    """Return a `torch.nn.Sequential` that computes the same as a model, in double precision.

    It takes tensors of torch.float64, of shape (inputs,) or (rows, inputs); integers where the model begins with an
    Embedding. Its outputs have the shape (outputs,) or (rows, outputs), also for one output. Frozen modules get
    `requires_grad=False`, and each module is in the mode of the original. A module that the model holds at several
    places is one in torch, too.

    Values and gradients agree to rounding, except gradients at kinks and at infinite slopes. Where microgrud raises, as
    `exp(1000)` does, torch gives an infinity or NaN. Dropout draws from torch's generator. BatchNorm1d and a PReLU with
    several slopes take rows; if an Embedding comes before them, each row is one index.

    Args:
        model: a module of `microgrud.nn`: MLP, Layer, Neuron, or a Sequential of these and of Elementwise, PReLU,
            Dropout, LayerNorm, BatchNorm1d and Embedding.

    Raises:
        ImportError: without torch.
        TypeError: for modules and activations of the user's own; the message names the place.
        ValueError: for layers whose neurons differ in activation or size, or are partly frozen, and for modules that
            share some of their parameters.

    >>> from microgrud.nn import MLP
    >>> to_torch(MLP(2, [3, 1], activation="tanh", rng=0))
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Tanh()
      (2): Linear(in_features=3, out_features=1, bias=True)
    )
    """
    torch = import_torch("to_torch")
    from .torch_activations import make_activation

    plan = _planned(model, "to_torch")
    trained = {id(step.part): is_trained(step, "to_torch") for step, _, blocks in plan if blocks}
    made: dict[int, Any] = {}
    modules = []
    for step, kind, blocks in plan:
        if kind == "":
            each = make_activation(step.part if isinstance(step.part, str) else activation_of(step, "to_torch"))
        elif id(step.part) in made:
            each = made[id(step.part)]
        else:
            # On the device "meta", no numbers are drawn for initial weights, which are replaced at once.
            options = {"device": "meta", "dtype": torch.float64} if blocks else {}
            each = made[id(step.part)] = getattr(torch.nn, kind)(**_options(step.part, blocks), **options)
            _fill(torch, each, blocks, trained.get(id(step.part), True))
        each.training = step.training
        modules.append(each)
    whole = torch.nn.Sequential(*modules)
    whole.training = model.training
    return whole


def torch_state_dict(model: Module) -> dict[str, Any]:
    """Return the parameters and running statistics of a model with the names that they have in `to_torch(model)`.

    The tensors, of torch.float64, are new: `module.load_state_dict(torch_state_dict(model))` brings a module that
    `to_torch` has made from this model up to date.

    Raises:
        ImportError, TypeError, ValueError: as `to_torch`.

    >>> from microgrud.nn import MLP
    >>> {name: tuple(x.shape) for name, x in torch_state_dict(MLP(2, [3, 1])).items()}
    {'0.weight': (3, 2), '0.bias': (3,), '2.weight': (1, 3), '2.bias': (1,)}
    """
    torch = import_torch("torch_state_dict")
    state: dict[str, Any] = {}
    for k, (_, kind, blocks) in enumerate(_planned(model, "torch_state_dict")):
        state |= {f"{k}.{name}": _tensor(torch, block) for name, block in blocks.items()}
        if kind == "BatchNorm1d":
            state[f"{k}.{COUNTER}"] = torch.tensor(0, device="cpu")
    return state


def load_torch_state_dict(model: Module, state: Mapping[str, Any]) -> None:
    """Set the parameters and running statistics of a model to the numbers of a state dict of torch.

    Numbers in single or half precision come in exactly, as 0.10000000149011612 for 0.1 in torch.float32. On an error
    nothing is changed. Gradients, frozen modules and modes stay as they are.

    Args:
        model: a model that `to_torch` can convert.
        state: tensors by the names of `torch_state_dict(model)`; `torch.load(path, weights_only=True)` reads them from
            a file without unpickling objects.

    Raises:
        ImportError: without torch.
        TypeError: if `state` is no mapping, or for a model that torch cannot have.
        ValueError: if entries are missing, unexpected, or not of the shape and kind of the parameter; the message lists
            them.

    >>> import torch
    >>> from microgrud.nn import Linear
    >>> line = Linear(1, 1)
    >>> load_torch_state_dict(line, {"0.weight": torch.tensor([[0.5]]), "0.bias": torch.tensor([2.0])})
    >>> line.state_dict()
    {'neurons.0.w.0': 0.5, 'neurons.0.b': 2.0}
    """
    import_torch("load_torch_state_dict")
    if not isinstance(state, Mapping):
        raise TypeError(f"load_torch_state_dict: expected a dict of tensors, got {type(state).__name__}")
    plan = _planned(model, "load_torch_state_dict")
    wanted = {f"{k}.{name}": block for k, (_, _, blocks) in enumerate(plan) for name, block in blocks.items()}
    counters = {f"{k}.{COUNTER}" for k, (_, kind, _) in enumerate(plan) if kind == "BatchNorm1d"}
    numbers, wrong = {}, []
    for name in [name for name in wanted if name in state]:
        try:
            numbers[name] = numbers_of(state[name], wanted[name].shape)
        except (TypeError, ValueError) as error:  # noqa: PERF203 - a tensor a layer
            wrong.append(f"{name} ({error})")
    wrong += conflicts(wanted, numbers)
    missing = [name for name in wanted if name not in state]
    unexpected = [str(name) for name in state if name not in wanted and name not in counters]
    problems = {"missing": missing, "unexpected": unexpected, "wrong": wrong}
    if any(problems.values()):
        listed = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names)
        raise ValueError(f"load_torch_state_dict: {listed}; torch_state_dict(model) has the names and shapes")
    for name, block in wanted.items():
        for value, number in zip(block.values, numbers[name]):
            value.data = number


def numbers_of(tensor: Any, shape: tuple[int, ...]) -> list[float]:
    """Return the numbers of a tensor, row by row, exactly.

    Raises:
        TypeError: if it is no tensor of floating-point numbers in memory.
        ValueError: if it has another shape.
    """
    torch = import_torch("load_torch_state_dict")
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"expected a tensor, got an object of type {type(tensor).__name__}")
    if not tensor.is_floating_point() or tensor.is_meta:
        raise TypeError(f"expected floating-point numbers, got {tensor.dtype} on the device {tensor.device}")
    if tuple(tensor.shape) != shape:
        raise ValueError(f"expected the shape {shape}, got {tuple(tensor.shape)}")
    numbers: list[float] = tensor.detach().to("cpu", torch.float64).reshape(-1).tolist()
    return numbers


def import_torch(caller: str) -> Any:
    """Return torch; raise an ImportError that says what to install."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(what_to_install(f"{caller} needs", "torch"), name="torch") from error
    return torch


def _planned(model: Any, caller: str) -> list[tuple[Step, str, dict[str, Block]]]:
    """Return the modules of torch for a model: of each the step, the name of the class, and the blocks.

    The name is empty for an activation.
    """
    steps = steps_of(model, caller)
    check_sharing(steps, caller)
    plan: list[tuple[Step, str, dict[str, Block]]] = []
    for step in steps:
        if isinstance(step.part, (str, Elementwise)):
            plan.append((step, "", {}))
            _ = isinstance(step.part, str) or activation_of(step, caller)
        elif isinstance(step.part, (Layer, Neuron)):
            plan.append((step, "Linear", blocks_of(step.part, step.where, caller)))
            if activation_of(step, caller) != "linear":
                plan.append((step, "", {}))
        else:
            kind = next(
                kind for kind in (PReLU, Dropout, LayerNorm, BatchNorm1d, Embedding) if isinstance(step.part, kind)
            )
            plan.append((step, kind.__name__, blocks_of(step.part, step.where, caller)))
    return plan


def _options(part: Any, blocks: Mapping[str, Block]) -> dict[str, Any]:
    """Return the arguments with which torch makes such a module."""
    if isinstance(part, (Layer, Neuron)):
        nout, nin = blocks["weight"].shape
        return {"in_features": nin, "out_features": nout, "bias": "bias" in blocks}
    arguments = part._arguments()
    names = {"PReLU": {"count": "num_parameters"}, "LayerNorm": {"size": "normalized_shape"}}
    names |= {
        "BatchNorm1d": {"size": "num_features"},
        "Embedding": {"count": "num_embeddings", "size": "embedding_dim"},
    }
    return {names.get(type(part).__name__, {}).get(name, name): x for name, x in arguments.items()}


def _fill(torch: Any, module: Any, blocks: Mapping[str, Block], is_trained: bool) -> None:
    """Give a module of torch its parameters and running statistics."""
    for name, block in blocks.items():
        tensor = _tensor(torch, block)
        is_buffer = name.startswith("running")
        setattr(module, name, tensor if is_buffer else torch.nn.Parameter(tensor, requires_grad=is_trained))
    if hasattr(module, COUNTER):
        setattr(module, COUNTER, torch.tensor(0, device="cpu"))


def _tensor(torch: Any, block: Block) -> Any:
    numbers = [x.data for x in block.values]
    return torch.tensor(numbers, dtype=torch.float64, device="cpu").reshape(block.shape)
