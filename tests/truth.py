"""The truth for the test suite: textbook derivatives in mpmath, and the points at which operations are sampled.

No formula is shared with the package: values come from mpmath's own functions, derivatives from a table of derivatives,
both at 60 digits.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

from mpmath import mp, mpf

DIGITS = 60

Formula = Callable[..., Any]


def _step(*_: Any) -> Any:
    return mpf(0)


def _sech(x: Any) -> Any:
    return 1 / mp.cosh(x)


def _gauss(x: Any) -> Any:
    return mp.exp(-x * x)


def _logistic_density(x: Any) -> Any:
    return _sech(x / 2) ** 2 / 4


def _logistic(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _floor_of_quotient(x: Any, y: Any) -> Any:
    with mp.workdps(700):  # the quotient of two floats may have this many digits before the point
        return mp.floor(x / y)


def _truncated_quotient(x: Any, y: Any) -> Any:
    return mp.sign(x) * mp.sign(y) * _floor_of_quotient(abs(x), abs(y))


def _truncated_remainder(x: Any, y: Any) -> Any:
    with mp.workdps(1500):
        return x - y * _truncated_quotient(x, y)


def _hazard(x: Any) -> Any:
    """The normal density divided by the distribution function."""
    return mp.npdf(x) / mp.ncdf(x)


def _quantile(p: Any) -> Any:
    """The normal quantile: Newton's method for log(Phi), which is concave, from below."""
    if p >= 0.5:
        return -_quantile(1 - p) if p > 0.5 else mpf(0)
    z, step = -mp.sqrt(-2 * mp.log(p)), mpf(1)
    while abs(step) > mpf(10) ** (10 - mp.dps):
        step = (mp.log(p) - mp.log(mp.ncdf(z))) / _hazard(z)
        z += step
    return z


def _sinc(x: Any) -> Any:
    return mpf(0) if x == mp.floor(x) != 0 else mp.sinc(mp.pi * x)


def _sinc_slope(x: Any) -> Any:
    with mp.workdps(DIGITS + 700):
        return (mp.cos(mp.pi * x) - mp.sinc(mp.pi * x)) / x if x else mpf(0)


def _sinc_curvature(x: Any) -> Any:
    with mp.workdps(DIGITS + 1400):
        return (-mp.pi * mp.sin(mp.pi * x) - 2 * _sinc_slope(x)) / x if x else -(mp.pi**2) / 3


def _remainder(x: Any, y: Any) -> Any:
    with mp.workdps(1500):
        return x - y * mp.floor(x / y)


def _digamma(x: Any) -> Any:
    return mp.digamma(x) if x < 1e20 else mp.log(x) - 1 / (2 * x) - 1 / (12 * x**2)  # mp.digamma takes 30 ms there


def _trigamma(x: Any) -> Any:
    return mp.psi(1, x) if x > 0 else mp.pi**2 / mp.sinpi(x) ** 2 - mp.psi(1, 1 - x)


def _tetragamma(x: Any) -> Any:
    return mp.psi(2, x) if x > 0 else mp.psi(2, 1 - x) - 2 * mp.pi**3 * mp.cospi(x) / mp.sinpi(x) ** 3


# name: (value, derivative with respect to each operand)
TRUTH: dict[str, tuple[Formula, ...]] = {
    "lgamma": (lambda x: mp.re(mp.loggamma(x)), _digamma),
    "digamma": (_digamma, _trigamma),
    "gamma": (mp.gamma, lambda x: mp.gamma(x) * mp.digamma(x)),
    "i0": (lambda x: mp.besseli(0, x), lambda x: mp.besseli(1, x)),
    "i1": (lambda x: mp.besseli(1, x), lambda x: (mp.besseli(0, x) + mp.besseli(2, x)) / 2),
    "add": (lambda x, y: x + y, lambda x, y: mpf(1), lambda x, y: mpf(1)),
    "subtract": (lambda x, y: x - y, lambda x, y: mpf(1), lambda x, y: mpf(-1)),
    "multiply": (lambda x, y: x * y, lambda x, y: y, lambda x, y: x),
    "divide": (lambda x, y: x / y, lambda x, y: 1 / y, lambda x, y: -x / y**2),
    "floor_divide": (_floor_of_quotient, lambda x, y: mpf(0), lambda x, y: mpf(0)),
    "modulo": (_remainder, lambda x, y: mpf(1), lambda x, y: -_floor_of_quotient(x, y)),
    "pow": (lambda x, y: x**y, lambda x, y: y * x ** (y - 1), lambda x, y: x**y * mp.log(x)),
    "negate": (lambda x: -x, lambda x: mpf(-1)),
    "identity": (lambda x: x, lambda x: mpf(1)),
    "square": (lambda x: x**2, lambda x: 2 * x),
    "reciprocal": (lambda x: 1 / x, lambda x: -1 / x**2),
    "sqrt": (mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x))),
    "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), lambda x: mp.cbrt(abs(x)) / abs(x) / 3),
    "exp": (mp.exp, mp.exp),
    "expm1": (mp.expm1, mp.exp),
    "log": (mp.log, lambda x: 1 / x),
    "log1p": (mp.log1p, lambda x: 1 / (1 + x)),
    "log2": (lambda x: mp.log(x, 2), lambda x: 1 / (x * mp.log(2))),
    "log10": (mp.log10, lambda x: 1 / (x * mp.log(10))),
    "sin": (mp.sin, mp.cos),
    "cos": (mp.cos, lambda x: -mp.sin(x)),
    "tan": (mp.tan, lambda x: mp.sec(x) ** 2),
    "asin": (mp.asin, lambda x: 1 / mp.sqrt(1 - x**2)),
    "acos": (mp.acos, lambda x: -1 / mp.sqrt(1 - x**2)),
    "atan": (mp.atan, lambda x: 1 / (1 + x**2)),
    "atan2": (mp.atan2, lambda y, x: x / (x**2 + y**2), lambda y, x: -y / (x**2 + y**2)),
    "hypot": (mp.hypot, lambda x, y: x / mp.hypot(x, y), lambda x, y: y / mp.hypot(x, y)),
    "sinh": (mp.sinh, mp.cosh),
    "cosh": (mp.cosh, mp.sinh),
    "tanh": (mp.tanh, lambda x: _sech(x) ** 2),
    "sech_squared": (lambda x: _sech(x) ** 2, lambda x: -2 * _sech(x) ** 2 * mp.tanh(x)),
    "asinh": (mp.asinh, lambda x: 1 / mp.sqrt(x**2 + 1)),
    "acosh": (mp.acosh, lambda x: 1 / mp.sqrt(x**2 - 1)),
    "atanh": (mp.atanh, lambda x: 1 / (1 - x**2)),
    "erf": (mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * _gauss(x)),
    "erfc": (mp.erfc, lambda x: -2 / mp.sqrt(mp.pi) * _gauss(x)),
    "sigmoid": (_logistic, _logistic_density),
    "logsigmoid": (lambda x: -mp.log1p(mp.exp(-x)), lambda x: _logistic(-x)),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), _logistic),
    "relu": (lambda x: max(x, mpf(0)), lambda x: mpf(x > 0)),
    "leaky_relu": (
        lambda x, a: x if x > 0 else a * x,
        lambda x, a: mpf(1) if x > 0 else a,
        lambda x, a: mpf(0) if x > 0 else x,
    ),
    "elu": (
        lambda x, a: x if x > 0 else a * mp.expm1(x),
        lambda x, a: mpf(1) if x > 0 else a * mp.exp(x),
        lambda x, a: mpf(0) if x > 0 else mp.expm1(x),
    ),
    "gelu": (lambda x: x * mp.ncdf(x), lambda x: mp.ncdf(x) + x * mp.npdf(x)),
    "silu": (lambda x: x * _logistic(x), lambda x: _logistic(x) * (1 + x * _logistic(-x))),
    "gaussian": (lambda x: _gauss(x), lambda x: -2 * x * _gauss(x)),
    "gelu_slope": (lambda x: mp.ncdf(x) + x * mp.npdf(x), lambda x: (2 - x**2) * mp.npdf(x)),
    "sign": (mp.sign, _step),
    "floor": (mp.floor, _step),
    "ceil": (mp.ceil, _step),
    "trunc": (lambda x: mp.sign(x) * mp.floor(abs(x)), _step),
    "round": (mp.nint, _step),
    "abs": (abs, mp.sign),
    "minimum": (min, lambda x, y: mpf(x < y), lambda x, y: mpf(y < x)),
    "maximum": (max, lambda x, y: mpf(x > y), lambda x, y: mpf(y > x)),
    "clip": (
        lambda x, low, high: min(max(x, low), high),
        lambda x, low, high: mpf(low < x < high),
        lambda x, low, high: mpf(x < low),
        lambda x, low, high: mpf(x > high),
    ),
    "where": (
        lambda c, x, y: x if c else y,
        lambda c, x, y: mpf(0),
        lambda c, x, y: mpf(bool(c)),
        lambda c, x, y: mpf(not c),
    ),
    "degrees": (mp.degrees, lambda x: 180 / mp.pi),
    "radians": (mp.radians, lambda x: mp.pi / 180),
    "copysign": (lambda x, y: abs(x) if y >= 0 else -abs(x), lambda x, y: mp.sign(x) * (1 if y >= 0 else -1), _step),
    "fmod": (_truncated_remainder, lambda x, y: mpf(1), lambda x, y: -_truncated_quotient(x, y)),
    "logit": (lambda x: mp.log(x) - mp.log1p(-x), lambda x: 1 / (x * (1 - x))),
    "xlogy": (lambda x, y: x * mp.log(y), lambda x, y: mp.log(y), lambda x, y: x / y),
    "xlog1py": (lambda x, y: x * mp.log1p(y), lambda x, y: mp.log1p(y), lambda x, y: x / (1 + y)),
    "entr": (lambda x: -x * mp.log(x) if x else mpf(0), lambda x: -1 - mp.log(x)),
    "ndtr": (mp.ncdf, mp.npdf),
    "log_ndtr": (lambda x: mp.log1p(-mp.ncdf(-x)) if x > 0 else mp.log(mp.ncdf(x)), _hazard),
    "ndtri": (_quantile, lambda p: 1 / mp.npdf(_quantile(p))),
    "erfinv": (mp.erfinv, lambda y: mp.sqrt(mp.pi) / 2 * mp.exp(mp.erfinv(y) ** 2)),
    "sinc": (_sinc, _sinc_slope),
    "less": (lambda x, y: mpf(x < y), _step, _step),
    "at_most": (lambda x, y: mpf(x <= y), _step, _step),
    "equal": (lambda x, y: mpf(x == y), _step, _step),
    "unequal": (lambda x, y: mpf(x != y), _step, _step),
    "same": (lambda x, y: mpf(x == y), _step, _step),
    "gate": (lambda c, x: x if c else mpf(0), _step, lambda c, x: mpf(bool(c))),
}


# name: the second derivatives for each pair of operands: 11, or 11, 12, 22; those of all other operations are 0
SECOND: dict[str, tuple[Formula, ...]] = {
    "lgamma": (_trigamma,),
    "digamma": (_tetragamma,),
    "gamma": (lambda x: mp.gamma(x) * (mp.digamma(x) ** 2 + _trigamma(x)),),
    "i0": (lambda x: (mp.besseli(0, x) + mp.besseli(2, x)) / 2,),
    "i1": (lambda x: (3 * mp.besseli(1, x) + mp.besseli(3, x)) / 4,),
    "multiply": (_step, lambda x, y: mpf(1), _step),
    "divide": (_step, lambda x, y: -1 / y**2, lambda x, y: 2 * x / y**3),
    "pow": (
        lambda x, y: y * (y - 1) * x ** (y - 2),
        lambda x, y: x ** (y - 1) * (1 + y * mp.log(x)),
        lambda x, y: x**y * mp.log(x) ** 2,
    ),
    "square": (lambda x: mpf(2),),
    "reciprocal": (lambda x: 2 / x**3,),
    "sqrt": (lambda x: -1 / (4 * x * mp.sqrt(x)),),
    "cbrt": (lambda x: -2 * mp.cbrt(abs(x)) / (9 * x * abs(x)),),
    "exp": (mp.exp,),
    "expm1": (mp.exp,),
    "log": (lambda x: -1 / x**2,),
    "log1p": (lambda x: -1 / (1 + x) ** 2,),
    "log2": (lambda x: -1 / (x**2 * mp.log(2)),),
    "log10": (lambda x: -1 / (x**2 * mp.log(10)),),
    "sin": (lambda x: -mp.sin(x),),
    "cos": (lambda x: -mp.cos(x),),
    "tan": (lambda x: 2 * mp.tan(x) * mp.sec(x) ** 2,),
    "asin": (lambda x: x / mp.sqrt(1 - x**2) ** 3,),
    "acos": (lambda x: -x / mp.sqrt(1 - x**2) ** 3,),
    "atan": (lambda x: -2 * x / (1 + x**2) ** 2,),
    "atan2": (
        lambda y, x: -2 * x * y / (x**2 + y**2) ** 2,
        lambda y, x: (y - x) * (y + x) / (x**2 + y**2) ** 2,
        lambda y, x: 2 * x * y / (x**2 + y**2) ** 2,
    ),
    "hypot": (
        lambda x, y: y**2 / mp.hypot(x, y) ** 3,
        lambda x, y: -x * y / mp.hypot(x, y) ** 3,
        lambda x, y: x**2 / mp.hypot(x, y) ** 3,
    ),
    "sinh": (mp.sinh,),
    "cosh": (mp.cosh,),
    "tanh": (lambda x: -2 * mp.tanh(x) * _sech(x) ** 2,),
    "sech_squared": (lambda x: (4 - 6 * _sech(x) ** 2) * _sech(x) ** 2,),
    "asinh": (lambda x: -x / mp.sqrt(x**2 + 1) ** 3,),
    "acosh": (lambda x: -x / mp.sqrt(x**2 - 1) ** 3,),
    "atanh": (lambda x: 2 * x / (1 - x**2) ** 2,),
    "erf": (lambda x: -4 * x / mp.sqrt(mp.pi) * _gauss(x),),
    "erfc": (lambda x: 4 * x / mp.sqrt(mp.pi) * _gauss(x),),
    "sigmoid": (lambda x: -_logistic_density(x) * mp.tanh(x / 2),),
    "logsigmoid": (lambda x: -_logistic_density(x),),
    "softplus": (_logistic_density,),
    "leaky_relu": (_step, lambda x, a: mpf(x < 0), _step),
    "elu": (lambda x, a: a * mp.exp(x) if x < 0 else mpf(0), lambda x, a: mp.exp(x) if x < 0 else mpf(0), _step),
    "gelu": (lambda x: (2 - x**2) * mp.npdf(x),),
    "silu": (lambda x: _logistic_density(x) * (2 - x * mp.tanh(x / 2)),),
    "gaussian": (lambda x: (4 * x**2 - 2) * _gauss(x),),
    "gelu_slope": (lambda x: (x**2 - 4) * x * mp.npdf(x),),
    "logit": (lambda x: (2 * x - 1) / (x * (1 - x)) ** 2,),
    "xlogy": (_step, lambda x, y: 1 / y, lambda x, y: -x / y**2),
    "xlog1py": (_step, lambda x, y: 1 / (1 + y), lambda x, y: -x / (1 + y) ** 2),
    "entr": (lambda x: -1 / x,),
    "ndtr": (lambda x: -x * mp.npdf(x),),
    "log_ndtr": (lambda x: -_hazard(x) * (x + _hazard(x)),),
    "ndtri": (lambda p: _quantile(p) / mp.npdf(_quantile(p)) ** 2,),
    "erfinv": (lambda y: mp.pi / 2 * mp.erfinv(y) * mp.exp(2 * mp.erfinv(y) ** 2),),
    "sinc": (_sinc_curvature,),
}


#: Operations without a function or an operator, for the rules of others and for round(x, digits).
PRIVATE = {"chain", "divide_ieee", "gaussian", "gelu_slope", "power_log", "power_over", "radial", "round_digits"}
PRIVATE |= {"bessel_i", "mills", "polygamma_difference", "sinc_derivative"}
PRIVATE |= {"sech_squared", "less", "at_most", "equal", "unequal", "same", "gate"}
#: Operations whose derivative has infinitely many roots and misses 4 ulp near them, where rounding the operand alone
#: changes many digits: the effect of one ulp of the operand is allowed, as for second derivatives.
OSCILLATING = {"sinc"}
#: Operations that have this effect on numbers below 0 only: around each pole, and at the roots between poles.
OSCILLATING_BELOW_ZERO = {"digamma", "gamma", "lgamma"}
#: Operations that test_gamma.py measures: constants or sizes decide how many digits the truth takes.
MEASURED_IN_TEST_GAMMA = {"beta", "betaln", "bessel_i", "polygamma", "polygamma_difference"}
#: Constant operands before the others: the index of the result, and the powers of private operations.
CONSTANTS: dict[str, tuple[float, ...]] = {
    "softmax": (1.0,),
    "log_softmax": (1.0,),
    "radial": (2.0, 1.0, 0.0),
    "power_log": (1.0, 1.0),
    "mills": (1.0,),
    "sinc_derivative": (1.0,),
    "polygamma": (2.0,),
    "polygamma_difference": (1.0,),
    "bessel_i": (2.0,),
}
#: The number of other operands of operations with constants, and for operations over sequences that need a certain one.
COUNTS = {"dot": 5, "radial": 2, "power_log": 2, "mills": 1, "sinc_derivative": 1}
COUNTS |= {"polygamma": 1, "polygamma_difference": 2, "bessel_i": 1}


def exact(formula: Formula, *operands: float) -> Any:
    """Evaluate a formula of TRUTH at 60 digits."""
    with mp.workdps(DIGITS):
        return formula(*[mpf(x) for x in operands])


def ulp_error(computed: float, true: Any) -> float:
    """Return the distance of a float from the truth in units of the truth's last place; 0 if both overflow."""
    with mp.workdps(DIGITS):
        nearest = float(true)
        if math.isinf(nearest) or math.isinf(computed):
            # The greatest float and infinity are neighbours if the truth lies close to them.
            same_side = computed * nearest > 0 and abs(computed) >= 1.79769313486231e308 <= abs(nearest)
            return 0.0 if same_side else math.inf
        return float(abs(mpf(computed) - true) / mpf(math.ulp(nearest)))


def error_beyond_operands(computed: float, formula: Formula, xs: Sequence[float], ulps: float = 1.0) -> float:
    """Return the error minus the effect of `ulps` ulp of each operand, in units of the truth's last place."""
    true = exact(formula, *xs)
    with mp.workdps(DIGITS):
        nearest = float(true)
        allowed = ulps * sum((abs(_change(formula, xs, k)) for k in range(len(xs))), mpf(0))
        if math.isinf(nearest) or not math.isfinite(computed):
            return 0.0 if abs(true) + allowed >= LARGEST and not abs(computed) < LARGEST else math.inf
        return float(max(abs(mpf(computed) - true) - allowed, mpf(0)) / mpf(math.ulp(nearest)))


#: A derivative above this may come out as infinite.
LARGEST = mpf(2) ** 1022


def _change(formula: Formula, xs: Sequence[float], k: int) -> Any:
    """Return the change of the truth for one ulp of operand k: the derivative times the ulp."""
    part = mpf(2) ** -20
    moved = list(map(mpf, xs))
    moved[k] += part * mpf(math.ulp(xs[k]))
    return (formula(*moved) - formula(*map(mpf, xs))) / part


# --- points -----------------------------------------------------------------------------------------------------------

_HARD = [0.5, 1.0, 2.0, 3.0, 0.1, 1e-5, 1e5, 5e-324, 2.2250738585072014e-308, 1e-300, 1e-160, 1e154, 1.4e154, 1e300]


def any_size(rng: random.Random) -> float:
    """Draw a number of either sign whose exponent is spread over the whole range of a float."""
    return rng.choice((-1.0, 1.0)) * math.ldexp(rng.uniform(0.5, 1.0), rng.randint(-1073, 1024))


def ordinary_size(rng: random.Random) -> float:
    """Draw a number of either sign of a size common in programs: from about 1e-6 to 1e3."""
    return rng.choice((-1.0, 1.0)) * math.ldexp(rng.uniform(0.5, 1.0), rng.randint(-20, 10))


def near(rng: random.Random, *places: float) -> float:
    """Draw a number within a few thousand floats, or within a small distance, of one of the places."""
    place = rng.choice(places)
    if rng.random() < 0.5:
        return place + rng.choice((-1.0, 1.0)) * math.ldexp(rng.random(), -rng.randint(1, 60))
    for _ in range(rng.randint(1, 8)):
        place = math.nextafter(place, rng.choice((-math.inf, math.inf)))
    return place


SPECIAL_PLACES: dict[str, tuple[float, ...]] = {
    "lgamma": (1.0, 2.0, 2.25, 10.0, 0.5, -1e-20),
    "digamma": (1.4616321449683622, 1.0, 2.0, 10.0, 0.5),
    "gamma": (1.4616321449683622, 1.0, 2.25, 10.0, 23.0, 140.0, 171.6),
    "i0": (0.0, 20.0, 713.9),
    "i1": (0.0, 21.0, 713.9),
    "asin": (-1.0, 1.0),
    "acos": (-1.0, 1.0),
    "acosh": (1.0,),
    "atanh": (-1.0, 1.0),
    "log1p": (-1.0, 0.0),
    "log": (1.0,),
    "log2": (1.0,),
    "log10": (1.0,),
    "sin": (math.pi, 2 * math.pi),
    "cos": (math.pi / 2,),
    "tan": (math.pi / 2, math.pi),
    "exp": (709.78, -745.1, -708.4),
    "expm1": (709.78, -37.0),
    "sinh": (710.47, -710.47),
    "cosh": (710.47, -710.47),
    "sech_squared": (0.0, 0.6584789484624084, 19.06, 372.0, -354.0),
    "tanh": (19.06, -19.06, 372.0, -354.0),
    "sigmoid": (-745.0, -708.0, 36.7, 708.0, 745.0),
    "logsigmoid": (-745.0, 36.7, 708.0, 745.0),
    "softplus": (-745.0, -708.0, 36.7),
    "erf": (5.9, 26.5, -26.5),
    "erfc": (5.9, 26.5, -5.9),
    "gelu": (-0.7517915246935645, -1.4142135623730951, -38.0, -37.5, -30.0, 8.3),
    "gelu_slope": (-0.7517915246935645, -1.5, 0.0, 2.0, -38.0, -30.0, 8.3),
    "silu": (-1.2784645427610738, 2.399357280515468, -700.0, -740.0, 36.7),
    "gaussian": (0.7071067811865476, 26.5, -26.5),
    "pow": (1.0, 2.0, 0.0),
    "elu": (-37.0, -745.0),
    "logit": (0.0, 0.25, 0.5, 0.75, 1.0),
    "entr": (0.0, 0.25, 0.36787944117144233, 0.5, 1.0),
    "xlogy": (0.0, 1.0),
    "xlog1py": (0.0, -1.0),
    "ndtr": (-38.0, -37.5, -30.0, 8.3),
    "log_ndtr": (-30.0, -20.0, -1.0, 0.0, 8.3, 37.6),
    "ndtri": (0.0, 0.125, 0.15865525393145707, 0.5, 0.8413447460685429, 1.0),
    "erfinv": (-1.0, -0.6826894921370859, -0.75, 0.0, 0.75, 0.6826894921370859, 1.0),
    "sinc": (0.0, 0.3183098861837907, 0.4774648292756860, 1.0, 1.4302966531242027, 2.0, 0.6626),
}


def sample(name: str, arity: int, rng: random.Random) -> list[float]:
    """Draw operands for an operation: of any size, of ordinary size, near special places, and difficult ones."""
    draws = [any_size, ordinary_size, lambda r: near(r, *SPECIAL_PLACES.get(name, (0.0,)))]
    draws += [lambda r: r.choice(_HARD) * r.choice((-1.0, 1.0)), lambda r: r.uniform(-50.0, 50.0)]
    operands = [rng.choice(draws)(rng) for _ in range(arity)]
    if arity == 2 and rng.random() < 0.3:  # operands of one size, at which quotients and squares under- or overflow
        operands[1] = operands[0] * rng.uniform(-4.0, 4.0)
    if name == "pow":
        operands = _power_operands(rng)
    return operands


def _power_operands(rng: random.Random) -> list[float]:
    """Draw a positive base of any size, and an exponent with which the power is about in the range of floats."""
    base = abs(rng.choice((any_size, ordinary_size))(rng))
    widest = min(1e300, 800.0 / max(abs(math.log(base)), 1e-300)) if base > 0 else 10.0
    return [base, rng.choice((rng.uniform(-widest, widest), float(rng.randint(-5, 5)), ordinary_size(rng)))]
