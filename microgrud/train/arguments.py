"""The checks of the arguments of `fit`, which convert them to the form that its loop needs."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from types import NoneType
from typing import Any

from ..common.checks import instance, real
from ..common.numbers import Interval, as_sequence
from ..engine import Value
from ..engine.vectors import check_parameters
from ..optim import OPTIMIZERS
from ..optim.optimizer import Optimizer
from ..optim.schedules import Schedule
from .batches import Samples, check_samples, split
from .stopping import EarlyStopping
from .streams import Stream

check_function = instance(Callable, "a function")


def with_validation(
    samples: Samples, validation: Any, seed: int | None, stream: Stream | None = None
) -> tuple[Samples, Samples | None]:
    """Return the samples to train on and those to validate on: separate data, or a fraction of the samples.

    Args:
        samples: all of them.
        validation: None, a pair (X, y) or a triple (X, y, weights), or a number between 0 and 1.
        seed: the seed of the random choice of the fraction; None takes the last samples.
        stream: the stream that the samples are the first batch of, if they are one.

    Raises:
        TypeError, ValueError: for invalid data, and if all weights of either are 0.
    """
    if stream is not None and not isinstance(validation, (tuple, list, NoneType)):
        raise ValueError(f"fit: validation: expected a pair (X, y) with batches, got {validation!r}")
    training, held_out = _divided(samples, validation, seed)
    for part, name in ((None if stream else training, "sample_weight"), (held_out, "validation: sample_weight")):
        if part is not None and not part.total(range(len(part))):
            raise ValueError(f"fit: {name}: expected a weight above 0, got only zeros")
    return training, held_out


def _divided(samples: Samples, validation: Any, seed: int | None) -> tuple[Samples, Samples | None]:
    if validation is None:
        return samples, None
    if isinstance(validation, tuple) and len(validation) in (2, 3):
        held_out = check_samples("fit: validation", *validation)
        columns, found = samples.rows.width, held_out.rows.width
        if found != columns:
            raise ValueError(
                f"fit: validation: expected rows of {columns} numbers as in the training data, got {found}"
            )
        return samples, held_out
    if isinstance(validation, (tuple, list)):
        raise TypeError(f"fit: validation: expected a pair (X, y) or a fraction, got a {type(validation).__name__}")
    fraction = real(Interval(0.0, 1.0, low_open=True, high_open=True))("fit: validation", validation)
    return split(samples, fraction, None if seed is None else random.Random(seed))


def chosen_optimizer(optimizer: Optimizer | str, model: Any, lr: float | None) -> Optimizer:
    """Return the optimizer of a model: the given one, or a new one by its name."""
    if not callable(model) or not callable(getattr(model, "parameters", None)):
        got = f"an object of type {type(model).__name__}"
        raise TypeError(f"fit: model: expected a function with parameters(), got {got}")
    if isinstance(optimizer, Optimizer):
        if lr is not None:
            raise ValueError(f"fit: lr: expected None with an optimizer that has its own rate, got {lr!r}")
        if not set(optimizer.parameters()) & set(model.parameters()):
            raise ValueError("fit: optimizer: expected one for the model's parameters, got one for other parameters")
        return optimizer
    kind = OPTIMIZERS.get(optimizer.lower()) if isinstance(optimizer, str) else None
    if kind is None:
        names = ", ".join(map(repr, OPTIMIZERS))
        raise ValueError(f"fit: optimizer: expected an Optimizer or one of {names}, got {optimizer!r}")
    return kind(model.parameters()) if lr is None else kind(model.parameters(), lr=lr)


def all_parameters(model: Any, optimizer: Optimizer) -> list[Value]:
    """Return the model's parameters, and other parameters of the optimizer."""
    return list(dict.fromkeys([*check_parameters("fit", model.parameters()), *optimizer.parameters()]))


def chosen_schedule(schedule: Any, optimizer: Optimizer) -> Schedule | None:
    """Return the schedule of an optimizer: the given one, or the one that the given function makes."""
    if schedule is None:
        return None
    given = schedule if isinstance(schedule, Schedule) or not callable(schedule) else schedule(optimizer)
    made: Schedule = instance(Schedule, "a Schedule, or a function that makes one")("fit: schedule", given)
    if made.optimizer is not optimizer:
        raise ValueError(
            "fit: schedule: expected a schedule of the same optimizer, got one of another; give a function instead: "
            "lambda o: StepLR(o, 10)"
        )
    return made


def chosen_stopping(stopping: EarlyStopping | int | None) -> EarlyStopping | None:
    """Return early stopping, given as such or by its patience, in its initial state."""
    if stopping is None:
        return None
    made = stopping if isinstance(stopping, EarlyStopping) else EarlyStopping(stopping)
    made.reset()
    return made


def check_functions(name: str, given: Any) -> list[Callable[..., Any]]:
    """Return the argument `name`, a function or several, as a list of functions."""
    several = [given] if callable(given) else as_sequence(given, f"fit: {name}", "functions")
    return [check_function(f"fit: {name}", f) for f in several]


def check_checkpoint(path: str | os.PathLike[str] | None, resume: bool) -> None:
    """Raise if the checkpoint is not a path, or if there is none to resume from."""
    if path is not None:
        name = os.fspath(path) if isinstance(path, os.PathLike) else path
        instance(str, "the path of a file")("fit: checkpoint", name)
    elif resume:
        raise ValueError("fit: resume: expected a checkpoint to resume from, got checkpoint=None")
