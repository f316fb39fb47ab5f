"""Optimizers, schedules for their learning rate, and gradient clipping.

An optimizer reads its parameters and their gradients as two vectors (of NumPy, if it is installed), applies one update
formula to them, and writes the parameters back. Names, defaults and formulas are those that PyTorch publishes.

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

from .adaptive import Adadelta, Adamax, NAdam, RAdam
from .clipping import clip_grad_norm, clip_grad_value, gradient_norm
from .first_order import SGD, Adagrad, Adam, AdamW, RMSprop
from .hooks import StepHook
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .schedules import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LinearWarmup,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    Schedule,
    SequentialLR,
    StepLR,
)
from .signs import Lion, Rprop

#: The optimizers, by their names in `fit`.
OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    "sgd": SGD,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
    "rprop": Rprop,
    "adam": Adam,
    "adamw": AdamW,
    "adamax": Adamax,
    "nadam": NAdam,
    "radam": RAdam,
    "lion": Lion,
    "lbfgs": LBFGS,
}

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "LinearWarmup",
    "Lion",
    "MultiStepLR",
    "NAdam",
    "OneCycleLR",
    "Optimizer",
    "PolynomialLR",
    "RAdam",
    "RMSprop",
    "ReduceLROnPlateau",
    "Rprop",
    "Schedule",
    "SequentialLR",
    "StepHook",
    "StepLR",
    "clip_grad_norm",
    "clip_grad_value",
    "gradient_norm",
]
