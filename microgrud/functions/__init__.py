"""The operations as functions: on Values they record, on floats they compute, on mpmath numbers they are exact.

Every function of one number takes a `Value`, any real number, or an mpmath number, and gives back a Value, a float or
an mpmath number; mixed with a Value, plain numbers are constants. Errors are those of Python's `math`, with a message
that names the operation and its operands: ValueError outside the domain, ZeroDivisionError, OverflowError.
Gradients at kinks and singular points are documented in `docs/conventions.md`.

The functions named `abs`, `max`, `min`, `pow` and `sum` are meant to be used as `microgrud.sum(...)`.
"""

from .elementwise import (
    abs as abs,
    acos as acos,
    acosh as acosh,
    asin as asin,
    asinh as asinh,
    atan as atan,
    atan2 as atan2,
    atanh as atanh,
    cbrt as cbrt,
    ceil as ceil,
    clip as clip,
    cos as cos,
    cosh as cosh,
    elu as elu,
    erf as erf,
    erfc as erfc,
    exp as exp,
    expm1 as expm1,
    floor as floor,
    gelu as gelu,
    hypot as hypot,
    leaky_relu as leaky_relu,
    log as log,
    log1p as log1p,
    log2 as log2,
    log10 as log10,
    logsigmoid as logsigmoid,
    maximum as maximum,
    minimum as minimum,
    pow as pow,
    reciprocal as reciprocal,
    relu as relu,
    sigmoid as sigmoid,
    sign as sign,
    silu as silu,
    sin as sin,
    sinh as sinh,
    softplus as softplus,
    sqrt as sqrt,
    square as square,
    tan as tan,
    tanh as tanh,
    trunc as trunc,
    where as where,
)
from .sequences import (
    dot as dot,
    log_softmax as log_softmax,
    logsumexp as logsumexp,
    max as max,
    mean as mean,
    min as min,
    norm as norm,
    prod as prod,
    softmax as softmax,
    sum as sum,
)
