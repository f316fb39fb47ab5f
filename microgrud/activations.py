"""Activations made of the operations: each is a function of one number, `glu` and `softmin` of a sequence.

Every function takes Values, real numbers and mpmath numbers, as the operations do. At kinks their slopes are the
subgradients of least norm, as `docs/conventions.md` says.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import functions
from .common.checks import POSITIVE, real
from .common.numbers import as_sequence
from .engine import ops
from .typing import AnyNumber, Number, binary

_positive = real(POSITIVE)


def softsign(x: AnyNumber) -> AnyNumber:
    """Compute x/(1 + |x|).

    d softsign(x)/dx = 1/(1 + |x|)**2.

    Source: Bergstra et al. (2009), Quadratic polynomials learn better image features.

    >>> softsign(-3.0)
    -0.75
    """
    size = functions.abs(x)
    # The two terms in the slope of a quotient would cancel for large x; in this form there is one.
    result: AnyNumber = ops.choose(
        size < 1.0, lambda: x / (1.0 + size), lambda: functions.sign(x) * (1.0 - 1.0 / (1.0 + size))
    )
    return result


def mish(x: AnyNumber) -> AnyNumber:
    """Compute x*tanh(softplus(x)).

    d mish(x)/dx = tanh(s) + x*sigmoid(x)/cosh(s)**2, s = softplus(x).

    Source: Misra (2019), Mish: a self regularized non-monotonic activation function, arXiv:1908.08681.

    >>> mish(0.0)
    0.0
    """
    # Beyond 800, mish is relu to the last bit, with all derivatives; at an infinity the product would be NaN.
    result: AnyNumber = ops.choose(
        (x > -800.0) & (x < 800.0), lambda: x * functions.tanh(functions.softplus(x)), lambda: functions.relu(x)
    )
    return result


def selu(x: AnyNumber) -> AnyNumber:
    """Compute scale*elu(x, alpha), whose outputs keep mean 0 and variance 1 through the layers of a network.

    scale = 1.0507009873554805, alpha = 1.6732632423543772; the slope at 0 is scale.

    Source: Klambauer et al. (2017), Self-normalizing neural networks, arXiv:1706.02515.

    >>> selu(1.0)
    1.0507009873554805
    """
    return 1.0507009873554805 * functions.elu(x, 1.6732632423543772)


def celu(x: AnyNumber, alpha: float = 1.0) -> AnyNumber:
    """Compute x for x >= 0, and alpha*(exp(x/alpha) - 1) below, an `elu` whose slope is continuous for every alpha.

    d celu(x)/dx = 1 for x >= 0, exp(x/alpha) below.

    Source: Barron (2017), Continuously differentiable exponential linear units, arXiv:1704.07483.

    Args:
        x: the number.
        alpha: minus the limit for x to -infinity; above 0.

    Raises:
        ValueError: for alpha <= 0.

    >>> celu(2.0, alpha=3.0)
    2.0
    """
    alpha = _positive("celu: alpha", alpha)
    below = ops.choose(x < 0.0, x, 0.0)  # a recording computes both alternatives, and exp may overflow
    result: AnyNumber = ops.choose(x < 0.0, lambda: alpha * functions.expm1(below / alpha), x)
    return result


def relu6(x: AnyNumber) -> AnyNumber:
    """Compute min(max(x, 0), 6).

    The slope is 1 inside (0, 6), otherwise 0.

    >>> relu6(7.0)
    6.0
    """
    return functions.clip(x, 0.0, 6.0)


def hardtanh(x: AnyNumber, low: float = -1.0, high: float = 1.0) -> AnyNumber:
    """Compute min(max(x, low), high), which is `clip` with bounds that suit an activation.

    The slope is 1 inside (low, high), otherwise 0.

    Raises:
        ValueError: unless low <= high.

    >>> hardtanh(-2.0)
    -1.0
    """
    return functions.clip(x, low, high)


def hardsigmoid(x: AnyNumber) -> AnyNumber:
    """Compute min(max(x + 3, 0), 6)/6.

    The slope is 1/6 inside (-3, 3), otherwise 0.

    >>> hardsigmoid(0.0)
    0.5
    """
    return (functions.clip(x, -3.0, 3.0) + 3.0) / 6.0


def hardswish(x: AnyNumber) -> AnyNumber:
    """Compute x*hardsigmoid(x).

    The slope is 0 below -3, (2*x + 3)/6 inside, 1 above 3; 0 at -3 and 1 at 3.

    Source: Howard et al. (2019), Searching for MobileNetV3, arXiv:1905.02244.

    >>> hardswish(-1.0), hardswish(4.0)
    (-0.3333333333333333, 4.0)
    """
    return functions.maximum(x, -3.0) * hardsigmoid(x)  # -infinity times 0 would be NaN


@binary
def prelu(x: Number, slope: Number) -> Number:
    """Compute x for x >= 0, and slope*x below, with a slope that may be a parameter: `leaky_relu` without a default.

    d prelu(x, slope)/dx = slope for x < 0, 1 above; d prelu(x, slope)/dslope = min(x, 0).

    Source: He, Zhang, Ren and Sun (2015), Delving deep into rectifiers, arXiv:1502.01852.

    >>> prelu(-2.0, 0.25)
    -0.5
    """
    return functions.leaky_relu(x, slope)


def glu(xs: Iterable[AnyNumber]) -> list[AnyNumber]:
    """Compute a[i]*sigmoid(b[i]) for the first half a and the second half b of a sequence.

    Source: Dauphin, Fan, Auli and Grangier (2017), Language modeling with gated convolutional networks,
    arXiv:1612.08083.

    Raises:
        ValueError: for an odd number of items, or none.

    >>> glu([3.0, 0.0])
    [1.5]
    """
    numbers = as_sequence(xs, "glu")
    half, rest = divmod(len(numbers), 2)
    if rest or not half:
        raise ValueError(f"glu: expected an even number of items, half of them gates, got {len(numbers)}")
    return [a * functions.sigmoid(b) for a, b in zip(numbers, numbers[half:])]


def softmin(xs: Iterable[AnyNumber]) -> list[AnyNumber]:
    """Compute exp(-x[i]) / (exp(-x[0]) + exp(-x[1]) + ...): the `softmax` of -x.

    Raises:
        ValueError: for an empty sequence.

    >>> softmin([1.0, 1.0])
    [0.5, 0.5]
    """
    return functions.softmax([-x for x in as_sequence(xs, "softmin")])
