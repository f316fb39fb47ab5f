"""What `fit` was given, checked, and in the form that its loop needs."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any, TypeVar

from ..common.checks import real
from ..common.numbers import Interval, as_sequence
from ..engine import Value
from ..engine.vectors import check_parameters
from ..optim import OPTIMIZERS
from ..optim.optimizer import Optimizer
from ..optim.schedules import Schedule
from .batches import Samples, check_samples, split
from .stopping import EarlyStopping

Function = TypeVar("Function", bound=Callable[..., Any])


def with_validation(samples: Samples, validation: Any, seed: int | None) -> tuple[Samples, Samples | None]:
    """Return the samples to train on and those to validate on: given as such, or as a fraction to set aside.

    Args:
        samples: all of them.
        validation: None, a pair (X, y), or a number between 0 and 1.
        seed: where the draw starts; the last samples are taken if None.
    """
    if validation is None:
        return samples, None
    if isinstance(validation, tuple) and len(validation) == 2:
        held_out = check_samples("fit: validation", *validation)
        columns, found = len(samples.rows[0]), len(held_out.rows[0])
        if found != columns:
            raise ValueError(
                f"fit: validation: expected rows of {columns} numbers as in the training data, got {found}"
            )
        return samples, held_out
    if isinstance(validation, (tuple, list)):
        raise TypeError(f"fit: validation: expected a pair (X, y) or a fraction, got a {kind_of(validation)}")
    fraction = real(Interval(0.0, 1.0, low_open=True, high_open=True))("fit: validation", validation)
    return split(samples, fraction, None if seed is None else random.Random(seed))


def chosen_optimizer(optimizer: Optimizer | str, model: Any, lr: float | None) -> Optimizer:
    """Return the optimizer of a model: the one given, or one made by name."""
    if not callable(model) or not callable(getattr(model, "parameters", None)):
        raise TypeError(f"fit: model: expected a function with parameters(), got an object of type {kind_of(model)}")
    if isinstance(optimizer, Optimizer):
        if lr is not None:
            raise ValueError("fit: lr: expected None with an optimizer that has its own, got a rate as well")
        if not set(optimizer.parameters()) & set(model.parameters()):
            raise ValueError("fit: optimizer: expected one of the model's parameters, got one of others")
        return optimizer
    kind = OPTIMIZERS.get(optimizer.lower()) if isinstance(optimizer, str) else None
    if kind is None:
        names = ", ".join(map(repr, OPTIMIZERS))
        raise ValueError(f"fit: optimizer: expected an Optimizer or one of {names}, got {optimizer!r}")
    return kind(model.parameters()) if lr is None else kind(model.parameters(), lr=lr)


def all_parameters(model: Any, optimizer: Optimizer) -> list[Value]:
    """Return the model's parameters, and those that the optimizer moves besides."""
    return list(dict.fromkeys([*check_parameters("fit", model.parameters()), *optimizer.parameters()]))


def chosen_schedule(schedule: Any, optimizer: Optimizer) -> Schedule | None:
    """Return the schedule of an optimizer: the one given, or what the function given makes."""
    if schedule is None:
        return None
    made = schedule if isinstance(schedule, Schedule) or not callable(schedule) else schedule(optimizer)
    if not isinstance(made, Schedule):
        raise TypeError(f"fit: schedule: expected a Schedule, or a function that makes one, got a {kind_of(made)}")
    if made.optimizer is not optimizer:
        raise ValueError("fit: schedule: expected one of the same optimizer; give a function: lambda o: StepLR(o, 10)")
    return made


def chosen_stopping(stopping: EarlyStopping | int | None) -> EarlyStopping | None:
    """Return early stopping, given as such or by its patience, that has seen nothing yet."""
    if stopping is None:
        return None
    made = stopping if isinstance(stopping, EarlyStopping) else EarlyStopping(stopping)
    made.reset()
    return made


def a_function(name: str, function: Function) -> Function:
    """Return what was given as the argument `name` if it is a function."""
    if not callable(function):
        raise TypeError(f"fit: {name}: expected a function, got a {kind_of(function)}")
    return function


def functions(name: str, given: Any) -> list[Callable[..., Any]]:
    """Return what was given as the argument `name`, a function or several, as a list of functions."""
    return [
        a_function(name, f) for f in ([given] if callable(given) else as_sequence(given, f"fit: {name}", "functions"))
    ]


def check_checkpoint(path: str | os.PathLike[str] | None, resume: bool) -> None:
    """Raise if there is nothing to resume from, or the checkpoint is no path."""
    if path is not None:
        if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
            raise TypeError(f"fit: checkpoint: expected the path of a file, got an object of type {kind_of(path)}")
    elif resume:
        raise ValueError("fit: resume: expected a checkpoint to resume from, got checkpoint=None")


def kind_of(x: object) -> str:
    """Return the name of a thing's type."""
    return type(x).__name__
