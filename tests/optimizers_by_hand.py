"""The published formulas of optimizers, of one parameter, in floats: an independent reference.

Each formula is a generator: it takes a parameter with its gradient, and yields the new parameter.

>>> formula = FORMULAS["sgd"](lr=0.5)
>>> next(formula)
>>> formula.send((1.0, 0.5))
0.75
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any


def sgd(lr: float = 1e-3):
    p, g = yield
    while True:
        p, g = yield p - lr * g


def adadelta(lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0):
    squares = changes = 0.0
    p, g = yield
    while True:
        g += weight_decay * p
        squares = squares * rho + g**2 * (1 - rho)
        change = -math.sqrt(changes + eps) / math.sqrt(squares + eps) * g
        changes = changes * rho + change**2 * (1 - rho)
        p, g = yield p + lr * change


def adamax(lr: float = 2e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0):
    mean, norm, t = 0.0, 0.0, 0
    p, g = yield
    while True:
        t += 1
        g += weight_decay * p
        mean += (g - mean) * (1 - betas[0])
        norm = max(norm * betas[1], abs(g) + eps)
        p, g = yield p - lr * mean / (norm * (1 - math.pow(betas[0], t)))


def nadam(
    lr: float = 2e-3,
    betas: Any = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
):
    def mu(t: int) -> float:
        return betas[0] * (1 - math.pow(0.96, t * momentum_decay) / 2)

    mean, square, t = 0.0, 0.0, 0
    p, g = yield
    while True:
        t += 1
        if decoupled_weight_decay:
            p -= lr * weight_decay * p
        else:
            g += weight_decay * p
        mean += (g - mean) * (1 - betas[0])
        square += (g * g - square) * (1 - betas[1])
        root = math.sqrt(square / (1 - math.pow(betas[1], t))) + eps
        product = math.prod(mu(k) for k in range(1, t + 1))
        direction = (1 - mu(t)) * g / (1 - product) + mu(t + 1) * mean / (1 - product * mu(t + 1))
        p, g = yield p - lr * direction / root


def radam(
    lr: float = 1e-3,
    betas: Any = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
):
    mean, square, t = 0.0, 0.0, 0
    limit = 2 / (1 - betas[1]) - 1
    p, g = yield
    while True:
        t += 1
        if decoupled_weight_decay:
            p -= lr * weight_decay * p
        else:
            g += weight_decay * p
        mean += (g - mean) * (1 - betas[0])
        square += (g * g - square) * (1 - betas[1])
        power = math.pow(betas[1], t)
        length = limit - 2 * t * power / (1 - power)
        direction = mean / (1 - math.pow(betas[0], t))
        if length > 5:
            direction *= math.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
            direction *= math.sqrt(1 - power) / (math.sqrt(square) + eps)
        p, g = yield p - lr * direction


def rprop(lr: float = 1e-2, etas: Any = (0.5, 1.2), step_sizes: Any = (1e-6, 50.0)):
    size, last = lr, 0.0
    p, g = yield
    while True:
        if g * last > 0:
            size = min(size * etas[1], step_sizes[1])
        elif g * last < 0:
            size = max(size * etas[0], step_sizes[0])
            g = 0.0
        last = g
        p, g = yield p - math.copysign(size, g) if g else p


def lion(lr: float = 1e-4, betas: Any = (0.9, 0.99), weight_decay: float = 0.0):
    mean = 0.0
    p, g = yield
    while True:
        update = betas[0] * mean + (1 - betas[0]) * g
        mean = betas[1] * mean + (1 - betas[1]) * g
        p, g = yield p - lr * (math.copysign(1.0, update) + weight_decay * p)


FORMULAS: dict[str, Callable[..., Iterator[Any]]] = {
    "sgd": sgd, "adadelta": adadelta, "adamax": adamax, "nadam": nadam, "radam": radam, "rprop": rprop, "lion": lion,
}  # fmt: skip
