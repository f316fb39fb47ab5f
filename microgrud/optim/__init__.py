"""Optimizers, schedules for their learning rate, and gradient clipping.

An optimizer reads its parameters and their gradients as two NumPy vectors, applies one update formula to them, and
writes the parameters back. Names, defaults and formulas are those that PyTorch publishes.

>>> from microgrud import Value
>>> x = Value(1.0)
>>> optimizer = SGD([x], lr=0.1, momentum=0.9)
>>> for _ in range(200):
...     optimizer.zero_grad()
...     loss = (x - 3) ** 2
...     loss.backward()
...     _ = optimizer.step()
>>> round(x.data, 3)
3.0
"""

from __future__ import annotations

from collections.abc import Mapping

from .clipping import clip_grad_norm, clip_grad_value, gradient_norm
from .first_order import SGD, Adagrad, Adam, AdamW, RMSprop
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .schedules import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearWarmup,
    OneCycleLR,
    ReduceLROnPlateau,
    Schedule,
    StepLR,
)

#: The optimizers, by their names in `fit` and on the command line.
OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    "sgd": SGD,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "lbfgs": LBFGS,
}

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LinearWarmup",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "Schedule",
    "StepLR",
    "clip_grad_norm",
    "clip_grad_value",
    "gradient_norm",
]
