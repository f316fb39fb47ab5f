"""Checkpoints: a training run in a file, from which it goes on, on one machine to the bit, as if never stopped.

A checkpoint holds the parameters, the state of optimizer, schedule, early stopping and random numbers (those of the
shuffling, and those of the global generators, which a model may draw from), the place in the epoch, and the history.
It is a JSON file of the kind that model files are: exact, checksummed, written whole or not at all. Nothing is ever
unpickled from it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..engine import Value
from ..jsonfile import ModelFileError, read_json, write_json_atomically
from ..optim.optimizer import plain
from ..optim.packing import read_data, write_data
from ..optim.settings import brief, numbers, whole
from .batches import Samples
from .divergence import DivergenceGuard
from .history import History, RunningMeans
from .randomness import as_state, global_state, set_global_state

if TYPE_CHECKING:
    from .loop import Training

FORMAT = "microgrud checkpoint"
VERSION = 1


def save_checkpoint(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write the state of a training run to a file; the file that was there stays until the new one is whole.

    Args:
        path: the file.
        state: what JSON can hold, all numbers finite.

    Raises:
        TypeError, ValueError: for what a file cannot hold; the message says where it stands.
        OSError: if the file cannot be written.
    """
    write_json_atomically(path, {"format": FORMAT, "format_version": VERSION, "state": state})


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the state that `save_checkpoint` wrote.

    Raises:
        ModelFileError: if the file is damaged, truncated, of another kind or newer.
        OSError: if it cannot be read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "run.json")
    ...     save_checkpoint(path, {"epoch": 3, "parameters": [0.1]})
    ...     load_checkpoint(path)
    {'epoch': 3, 'parameters': [0.1]}
    """
    state = read_json(path, FORMAT, VERSION).get("state")
    if not isinstance(state, dict):
        raise ModelFileError(f"{path}: damaged: expected the state of a training run, got {type(state).__name__}")
    return state


def state_of(training: Training) -> dict[str, Any]:
    """Return all that a training run needs to go on, as what JSON can hold."""
    return {
        "run": _run(training),
        "epoch": training.epoch,
        "batch": training.batch,
        "means": training.means.sums,
        "random": training.random_state,
        "global_random": global_state(),
        "parameters": read_data(training.parameters).tolist(),
        "optimizer": training.optimizer.state_dict(),
        "schedule": training.schedule and training.schedule.state_dict(),
        "early_stopping": training.stopping and training.stopping.state_dict(),
        "history": training.history.to_dict(),
    }


def resume_from(path: str | os.PathLike[str], training: Training) -> None:
    """Bring a training run that has not begun to where the checkpoint left off; on an error nothing is changed.

    Args:
        path: the checkpoint.
        training: a run with the same model, data and settings.

    Raises:
        ModelFileError: if the file is damaged, of another kind or newer, or the checkpoint of another run.
        OSError: if it cannot be read.
    """
    state = load_checkpoint(path)
    before = state_of(training)
    try:
        _check_run(state["run"], _run(training))
        _restore(training, state)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        _restore(training, before)
        raise ModelFileError(f"{path}: cannot resume from this checkpoint: {error}") from error


def _run(training: Training) -> dict[str, Any]:
    """Return what has to be the same in a run and in one that resumes it."""
    return {
        "parameters": _names(training.model, training.parameters),
        "samples": len(training.samples),
        "validation samples": len(training.held_out or ()),
        "data": _fingerprint(training.samples, training.held_out),
        "batch_size": training.batch_size,
        "shuffle": training.shuffle,
        "seed": training.seed,
        "clip_norm": training.clip_norm,
        "loss": getattr(training.loss, "__qualname__", type(training.loss).__name__),
        "optimizer": type(training.optimizer).__name__,
        **{f"{name} of the optimizer": plain(value) for name, value in training.optimizer.defaults.items()},
    }


def _check_run(saved: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    for name, value in present.items():
        before = saved.get(name)
        if before != value:
            raise ValueError(f"it is that of a run with {name} {brief(before)}, and this one has {brief(value)}")


def _restore(training: Training, state: Mapping[str, Any]) -> None:
    parameters = numbers(len(training.parameters))("parameters", state["parameters"])
    epoch, batch = whole(0)("epoch", state["epoch"]), whole(0)("batch", state["batch"])
    means = RunningMeans(numbers(4)("means", state["means"]).tolist())
    history = History.from_dict(state["history"])
    if len(history) != epoch * training.batches + batch or len(history.epochs) != epoch:
        raise ValueError(f"history: expected {epoch} epochs and {batch} batches, got {len(history)} steps")
    random_state = as_state(state["random"])
    training.rng.setstate(random_state)
    for name in ("schedule", "early_stopping"):
        part = training.schedule if name == "schedule" else training.stopping
        if (part is None) != (state[name] is None):
            raise ValueError(f"it is that of a run {'with' if part is None else 'without'} {name.replace('_', ' ')}")
    training.optimizer.load_state_dict(state["optimizer"])
    if training.schedule is not None:
        training.schedule.load_state_dict(state["schedule"])
    if training.stopping is not None:
        training.stopping.load_state_dict(state["early_stopping"], size=len(parameters))
    set_global_state(state["global_random"])
    training.epoch, training.batch, training.means = epoch, batch, means
    training.random_state, training.history = random_state, history
    training.objective.go_on(history.engine, history.eager_because)
    if history.stopped_by != "early stopping":
        history.stopped_by = None
    write_data(training.parameters, parameters)
    training.guard = DivergenceGuard(training.parameters, training.optimizer)


def _names(model: Any, parameters: Sequence[Value]) -> list[str]:
    named = {p: name for name, p in model.named_parameters()} if hasattr(model, "named_parameters") else {}
    return [named.get(p, str(i)) for i, p in enumerate(parameters)]


def _fingerprint(*data: Samples | None) -> str:
    """Return a checksum of the data, so that a run does not go on with others."""
    text = json.dumps(data, default=lambda x: type(x).__name__)
    return hashlib.sha256(text.encode()).hexdigest()
