"""The operations as functions: they record on Values, compute on floats, and are exact on mpmath numbers.

Every function of one number takes a `Value`, a real number or an mpmath number, and returns a Value, a float or an
mpmath number. Plain numbers next to a Value are constants. Errors are those of Python's `math`, with a message that
names the operation and its operands: ValueError outside the domain, ZeroDivisionError, OverflowError.
`docs/conventions.md` lists the gradients at kinks and singular points.

Call `abs`, `max`, `min`, `pow` and `sum` as `microgrud.sum(...)`: imported, they would hide Python's.

`elementwise.py` has the functions of a fixed number of operands, `sequences.py` those of a sequence.
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
