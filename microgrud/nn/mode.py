"""The mode of a model: training or evaluation, for as long as a block of code runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .module import Module, modules_of


@contextmanager
def mode(model: Any, training: bool) -> Iterator[None]:
    """Set a module to training or evaluation mode; restore it and all below it at the end."""
    if not hasattr(model, "train") or not hasattr(model, "training"):
        yield
        return
    before = model.training
    below = [(module, module.training) for module in modules_of(model)] if isinstance(model, Module) else []
    model.train(training)
    try:
        yield
    finally:
        model.train(before)
        for module, flag in below:
            if module.training != flag:  # setting it may run code of the class
                module.training = flag
