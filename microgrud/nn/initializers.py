"""Initialisers: they draw the weights of a network before training.

An initialiser is called once per weight, as `init(nin, nout, rng)`, with the numbers of inputs and outputs of the layer
and a source of random numbers, and returns the weight. A plain function of these three arguments works as well. An
initialiser that draws the weights of a layer together has a method `matrix(nin, nout, rng)`, too, which returns `nout`
lists of `nin` weights.
"""

from __future__ import annotations

import itertools
import math
import numbers
import operator
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..common.checks import ANY, POSITIVE, one_of, real


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


#: The squares of the gains that keep the variance from layer to layer, as in PyTorch.
_SQUARED_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 25.0 / 9.0, "relu": 2.0, "leaky_relu": 2.0, "selu": 9.0 / 16.0}
_nonlinearity, _mode = one_of(*_SQUARED_GAINS), one_of("fan_in", "fan_out")


def calculate_gain(nonlinearity: str, slope: float = 0.01) -> float:
    """Return the factor of weights that makes up for an activation: 1 for linear and sigmoid, 5/3 for tanh, ...

    It is sqrt(2) for relu, sqrt(2/(1 + slope**2)) for leaky_relu, and 3/4 for selu.

    Args:
        nonlinearity: the name of the activation.
        slope: that of a leaky_relu for negative numbers.

    Raises:
        ValueError: for another activation.

    >>> GlorotUniform(gain=calculate_gain("selu"))
    GlorotUniform(gain=0.75)
    """
    return math.sqrt(_squared_gain(nonlinearity, slope))


def _squared_gain(nonlinearity: str, slope: float) -> float:
    squared, slope = _SQUARED_GAINS[_nonlinearity("nonlinearity", nonlinearity)], _finite("slope", slope)
    return squared / (1.0 + slope**2) if nonlinearity == "leaky_relu" else squared


@dataclass(frozen=True)
class _He:
    """The settings of both He initialisers."""

    mode: str = "fan_in"
    nonlinearity: str = "relu"
    slope: float = 0.01

    def __post_init__(self) -> None:
        _mode("mode", self.mode)
        _squared_gain(self.nonlinearity, self.slope)

    def _variance(self, nin: int, nout: int, factor: float) -> float:
        fan = nin if self.mode == "fan_in" else nout
        return factor * _squared_gain(self.nonlinearity, self.slope) / fan


@dataclass(frozen=True)
class HeUniform(_He):
    """Draw from the uniform distribution between -a and a, a = sqrt(3 / n) * gain, by default sqrt(6 / nin) for ReLU.

    Source: He, Zhang, Ren and Sun (2015), Delving deep into rectifiers, arXiv:1502.01852.

    Args:
        mode: "fan_in", with which n is the number of inputs and the variance of outputs is kept, or "fan_out", with
            which n is the number of outputs and the variance of gradients is kept.
        nonlinearity: the activation, for the gain: see `calculate_gain`.
        slope: that of a leaky_relu for negative numbers.

    Raises:
        ValueError: for another mode or activation.

    >>> abs(HeUniform()(6, 1, random.Random(0))) <= 1.0
    True
    """

    def __call__(self, nin: int, nout: int, rng: RandomSource) -> float:
        """Draw one weight."""
        bound = math.sqrt(self._variance(nin, nout, 3.0))
        return rng.uniform(-bound, bound)


@dataclass(frozen=True)
class HeNormal(_He):
    """Draw from the normal distribution with mean 0 and standard deviation gain / sqrt(n), by default sqrt(2 / nin).

    The arguments, the source and the errors are those of `HeUniform`.

    >>> HeNormal()(2, 1, random.Random(0)) == random.Random(0).gauss(0.0, 1.0)
    True
    """

    def __call__(self, nin: int, nout: int, rng: RandomSource) -> float:
        """Draw one weight."""
        return rng.gauss(0.0, math.sqrt(self._variance(nin, nout, 1.0)))


@dataclass(frozen=True)
class TruncatedNormal:
    """Draw from the normal distribution with this mean and standard deviation, without what is outside of low and high.

    Raises:
        ValueError: unless all are finite, std > 0, low < high, and the probability between these is above 0.

    >>> -0.5 <= TruncatedNormal(high=0.0, low=-0.5)(3, 4, random.Random(0)) <= 0.0
    True
    """

    mean: float = 0.0
    std: float = 1.0
    low: float = -2.0
    high: float = 2.0

    def __post_init__(self) -> None:
        _finite("mean", self.mean)
        real(POSITIVE)("TruncatedNormal: std", self.std)
        if not _finite("low", self.low) < _finite("high", self.high):
            raise ValueError(f"TruncatedNormal: expected low < high, got low {self.low} and high {self.high}")
        if len({*self._probabilities()[1:]}) == 1:
            raise ValueError(f"TruncatedNormal: expected a probability above 0 between low and high, got {self}")

    def _probabilities(self) -> tuple[float, ...]:
        """Return the side of the mean where the bounds are, and the small probabilities beyond these."""
        side = 1.0 if self.low + self.high <= 2.0 * self.mean else -1.0
        ends = sorted(side * (bound - self.mean) / self.std for bound in (self.low, self.high))
        return side, *(0.5 * math.erfc(-z / math.sqrt(2.0)) for z in ends)

    def __call__(self, nin: int, nout: int, rng: RandomSource) -> float:
        """Draw one weight."""
        from statistics import NormalDist  # its import takes 10 ms

        side, first, last = self._probabilities()
        probability = min(max(rng.uniform(first, last), 5e-324), 1.0 - 2.0**-53)
        z = side * NormalDist().inv_cdf(probability)
        return min(max(self.mean + self.std * z, self.low), self.high)


@dataclass(frozen=True)
class Orthogonal:
    """Draw the weights of a layer together: gain times a matrix with orthonormal rows, or columns if these are shorter.

    The Gram-Schmidt process on normal numbers makes all such matrices equally likely. Use it in a `Layer` or an `MLP`:
    a single `Neuron` draws its weights one by one. It takes 1 s for 784 inputs and 128 outputs.

    Source: Saxe, McClelland and Ganguli (2014), Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks, arXiv:1312.6120.

    >>> rows = Orthogonal().matrix(3, 2, random.Random(0))
    >>> abs(sum(x * y for x, y in zip(*rows))) < 1e-15
    True
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        _finite("gain", self.gain)

    def matrix(self, nin: int, nout: int, rng: RandomSource) -> list[list[float]]:
        """Draw the weights of a layer: a list of `nin` weights for each of `nout` outputs."""
        rows: list[list[float]] = []
        for _ in range(min(nin, nout)):
            row = [rng.gauss(0.0, 1.0) for _ in range(max(nin, nout))]
            for other in (*rows, *rows):  # twice: what the first pass leaves by rounding may be large beside the rest
                share = math.fsum(map(operator.mul, row, other))  # sum() rounds as the version of Python does
                row = [x - share * y for x, y in zip(row, other)]
            size = math.hypot(*row)
            rows.append([x / size for x in row])
        return [[self.gain * x for x in row] for row in (rows if nout <= nin else zip(*rows))]

    def __call__(self, nin: int, nout: int, rng: RandomSource) -> float:
        """Raise an error: one weight is not enough."""
        raise TypeError(
            "Orthogonal: expected to draw the weights of a layer together, got a call for one weight; write "
            "Layer(nin, nout, init='orthogonal'), or use its matrix(nin, nout, rng)"
        )


@dataclass(frozen=True)
class Constant:
    """Set every weight to one number, without drawing random numbers.

    >>> Constant(0.5)(2, 1, random.Random(0))
    0.5
    """

    value: float

    def __post_init__(self) -> None:
        _finite("value", self.value)

    def __call__(self, nin: int, nout: int, rng: RandomSource) -> float:
        """Return the number."""
        return float(self.value)


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
    "truncated_normal": TruncatedNormal(),
    "orthogonal": Orthogonal(),
    "zeros": Zeros(),
}


def get_initializer(init: str | Initializer) -> Initializer:
    """Find an initialiser by name; a callable is returned unchanged.

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
        TypeError: for anything that is neither a name nor callable.

    >>> get_initializer("orthogonal")
    Orthogonal(gain=1.0)
    """
    if isinstance(init, str):
        if init not in INITIALIZERS:
            raise ValueError(f"init: expected one of {', '.join(sorted(INITIALIZERS))}, got {init!r}")
        return INITIALIZERS[init]
    if isinstance(init, type) or not callable(init):
        got = f"the class {init.__name__}; make one of it" if isinstance(init, type) else f"{init!r}"
        raise TypeError(f"init: expected a name or a function init(nin, nout, rng), got {got}")
    return init


def draw_together(init: str | Initializer, nin: int, nout: int, rng: RandomSource) -> Initializer:
    """Return an initialiser of the weights of one layer, to be called for each of them, neuron by neuron.

    It is the one given, unless that draws all weights together: then it returns those one after the other.

    Raises:
        ValueError: if `matrix` returns other than `nout` lists of `nin` weights.

    >>> draw = draw_together("orthogonal", 1, 1, random.Random(0))
    >>> draw(1, 1, random.Random(0))
    1.0
    """
    found = get_initializer(init)
    if not hasattr(found, "matrix"):
        return found
    rows = found.matrix(nin, nout, rng)
    if [len(row) for row in rows] != [nin] * nout:
        raise ValueError(f"init: expected its matrix to return {nout} lists of {nin} weights, got {rows!r:.60}")
    weights = itertools.chain.from_iterable(rows)
    return lambda nin, nout, rng: next(weights)


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
