"""Initialisers: they draw the weights of a network before training.

An initialiser is called once per weight, as `init(nin, nout, rng)`, with the numbers of inputs and outputs of the layer
and a source of random numbers, and returns the weight. A plain function of these three arguments works as well.
"""

from __future__ import annotations

import math
import numbers
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..common.checks import ANY, real


class RandomSource(Protocol):
    """The source of random numbers of an initialiser: a `random.Random`, or the `random` module itself."""

    def uniform(self, a: float, b: float) -> float:
        """Return a number between a and b."""

    def gauss(self, mu: float, sigma: float) -> float:
        """Return a number from the normal distribution with this mean and standard deviation."""


Initializer = Callable[[int, int, Any], float]

_finite = real(ANY)


@dataclass(frozen=True)
class Uniform:
    """Draw from the uniform distribution between `low` and `high`.

    Raises:
        ValueError: unless low <= high, both finite.

    >>> -0.1 <= Uniform(-0.1, 0.1)(3, 4, random.Random(0)) <= 0.1
    True
    """

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not _finite("low", self.low) <= _finite("high", self.high):
            raise ValueError(f"Uniform: expected low <= high, got low {self.low} and high {self.high}")

    def __call__(self, nin: int, nout: int, rng: RandomSource) -> float:
        """Draw one weight."""
        return rng.uniform(self.low, self.high)


@dataclass(frozen=True)
class Normal:
    """Draw from the normal distribution with this mean and standard deviation.

    Raises:
        ValueError: unless both are finite and std >= 0.

    >>> Normal(mean=2.0, std=0.0)(3, 4, random.Random(0))
    2.0
    """

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        _finite("mean", self.mean)
        if _finite("std", self.std) < 0.0:
            raise ValueError(f"Normal: expected std >= 0, got {self.std}")

    def __call__(self, nin: int, nout: int, rng: RandomSource) -> float:
        """Draw one weight."""
        return rng.gauss(self.mean, self.std)


@dataclass(frozen=True)
class GlorotUniform:
    """Draw from the uniform distribution between -a and a, a = gain * sqrt(6 / (nin + nout)).

    Source: Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks.

    >>> abs(GlorotUniform()(2, 4, random.Random(0))) <= 1.0
    True
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        _finite("gain", self.gain)

    def __call__(self, nin: int, nout: int, rng: RandomSource) -> float:
        """Draw one weight."""
        bound = self.gain * math.sqrt(6.0 / (nin + nout))
        return rng.uniform(-bound, bound)


@dataclass(frozen=True)
class GlorotNormal:
    """Draw from the normal distribution with mean 0 and standard deviation gain * sqrt(2 / (nin + nout)).

    Source: Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks.

    >>> GlorotNormal(gain=0.0)(2, 4, random.Random(0))
    0.0
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        _finite("gain", self.gain)

    def __call__(self, nin: int, nout: int, rng: RandomSource) -> float:
        """Draw one weight."""
        return rng.gauss(0.0, self.gain * math.sqrt(2.0 / (nin + nout)))


@dataclass(frozen=True)
class HeUniform:
    """Draw from the uniform distribution between -a and a, a = sqrt(6 / nin): for layers with ReLU.

    Source: He, Zhang, Ren and Sun (2015), Delving deep into rectifiers, arXiv:1502.01852.

    >>> abs(HeUniform()(6, 1, random.Random(0))) <= 1.0
    True
    """

    def __call__(self, nin: int, nout: int, rng: RandomSource) -> float:
        """Draw one weight."""
        bound = math.sqrt(6.0 / nin)
        return rng.uniform(-bound, bound)


@dataclass(frozen=True)
class HeNormal:
    """Draw from the normal distribution with mean 0 and standard deviation sqrt(2 / nin): for layers with ReLU.

    Source: He, Zhang, Ren and Sun (2015), Delving deep into rectifiers, arXiv:1502.01852.

    >>> HeNormal()(2, 1, random.Random(0)) == random.Random(0).gauss(0.0, 1.0)
    True
    """

    def __call__(self, nin: int, nout: int, rng: RandomSource) -> float:
        """Draw one weight."""
        return rng.gauss(0.0, math.sqrt(2.0 / nin))


@dataclass(frozen=True)
class Zeros:
    """Set every weight to 0, without drawing random numbers.

    >>> Zeros()(2, 1, random.Random(0))
    0.0
    """

    def __call__(self, nin: int, nout: int, rng: RandomSource) -> float:
        """Return 0."""
        return 0.0


#: The initialisers by name, each with its default settings.
INITIALIZERS: dict[str, Initializer] = {
    "uniform": Uniform(),
    "normal": Normal(),
    "glorot_uniform": GlorotUniform(),
    "glorot_normal": GlorotNormal(),
    "he_uniform": HeUniform(),
    "he_normal": HeNormal(),
    "zeros": Zeros(),
}


def get_initializer(init: str | Initializer) -> Initializer:
    """Find an initialiser by name; a callable is returned unchanged.

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
        TypeError: for anything that is neither a name nor callable.

    >>> get_initializer("he_normal")
    HeNormal()
    """
    if isinstance(init, str):
        if init not in INITIALIZERS:
            raise ValueError(f"init: expected one of {', '.join(sorted(INITIALIZERS))}, got {init!r}")
        return INITIALIZERS[init]
    if isinstance(init, type) or not callable(init):
        got = f"the class {init.__name__}; make one of it" if isinstance(init, type) else f"{init!r}"
        raise TypeError(f"init: expected a name or a function init(nin, nout, rng), got {got}")
    return init


def get_random_source(rng: RandomSource | int | None) -> RandomSource:
    """Return the source of random numbers for weights.

    Args:
        rng: a `random.Random`, a seed for a new one, or None for the global generator of the `random` module, which
            `random.seed` controls.

    Raises:
        TypeError: for anything else.

    >>> get_random_source(7).uniform(0.0, 1.0) == random.Random(7).uniform(0.0, 1.0)
    True
    """
    if rng is None:
        return random
    if isinstance(rng, numbers.Integral) and not isinstance(rng, bool):  # an int, or an integer of NumPy
        return random.Random(int(rng))
    if isinstance(rng, random.Random) or rng is random:
        return rng
    raise TypeError(
        f"rng: expected a random.Random, an integer seed, or None for the global generator, "
        f"got an object of type {type(rng).__name__}"
    )
