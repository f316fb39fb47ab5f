"""Learning-rate schedules: each is a closed formula for the rate after `t` steps of the schedule.

A schedule takes an optimizer, remembers each parameter group's rate as its base, sets the rate for t = 0, and with
each `step()` the rate for the next t. Names, settings and values are PyTorch's, except where a class says otherwise.

>>> from microgrud import Value
>>> from microgrud.optim import SGD
>>> optimizer = SGD([Value(0.0)], lr=0.8)
>>> schedule = ExponentialLR(optimizer, gamma=0.5)
>>> for _ in range(3):
...     schedule.step()
>>> schedule.rates
[0.1]
"""

from __future__ import annotations

from .base import Schedule
from .combined import ChainedScheduler, LinearWarmup, SequentialLR
from .cycles import CyclicLR, OneCycleLR
from .formulas import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from .plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "LinearWarmup",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "Schedule",
    "SequentialLR",
    "StepLR",
]
