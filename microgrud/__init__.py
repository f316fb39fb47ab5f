"""microgrud: a readable scalar autograd engine, with pictures of graphs and property tests of gradients.

`Value` records a graph and `backward()` differentiates it. The functions (`exp`, `tanh`, `dot`, ...) take Values,
floats and mpmath numbers. `grad`, `jacobian` and the like differentiate functions. `compile` records a function once
and replays it.

These packages build on that: `microgrud.nn` (neurons, layers, MLPs), `microgrud.losses`, `microgrud.optim`,
`microgrud.train` (`fit`), `microgrud.draw` (graphs, step by step), `microgrud.plot` (loss surfaces, learning curves)
and `microgrud.testing` (checks of gradients).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .activations import (
    celu,
    glu,
    hardsigmoid,
    hardswish,
    hardtanh,
    mish,
    prelu,
    relu6,
    selu,
    softmin,
    softsign,
)
from .autodiff.custom import custom_op
from .autodiff.gradients import backward, gradient
from .autodiff.jacobians import jacfwd, jacrev
from .autodiff.rematerialization import checkpoint
from .autodiff.stopping import stop_gradient
from .autodiff.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad
from .autodiff.vjp import vjp
from .autodiff.vmap import vmap
from .common import display, prediction
from .engine import Value
from .engine.anomaly import AnomalyError, detect_anomaly
from .engine.grad_mode import enable_grad, no_grad
from .engine.integers import take
from .engine.native import backend
from .functions import (
    abs as abs,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    ceil,
    clip,
    cos,
    cosh,
    dot,
    elu,
    erf,
    erfc,
    exp,
    expm1,
    floor,
    gelu,
    hypot,
    leaky_relu,
    log,
    log1p,
    log2,
    log10,
    log_softmax,
    logsigmoid,
    logsumexp,
    max as max,
    maximum,
    mean,
    min as min,
    minimum,
    norm,
    pow as pow,
    prod,
    reciprocal,
    relu,
    sigmoid,
    sign,
    silu,
    sin,
    sinh,
    softmax,
    softplus,
    sqrt,
    square,
    sum as sum,
    tan,
    tanh,
    trunc,
    where,
)
from .special import (
    beta,
    betaln,
    copysign,
    degrees,
    digamma,
    entr,
    erfinv,
    exp2,
    fmod,
    gamma,
    i0,
    i1,
    lgamma,
    log_ndtr,
    logaddexp,
    logit,
    ndtr,
    ndtri,
    polygamma,
    radians,
    remainder,
    sinc,
    xlog1py,
    xlogy,
)
from .version import __version__

if TYPE_CHECKING:
    from . import draw as draw, losses, nn, optim, plot as plot, tape as tape, train as train
    from .tape import CompileError as CompileError, compile as compile

#: Without names of Python's builtins: `from microgrud import *` leaves out abs, compile, max, min, pow and sum. It also
#: leaves out what needs NumPy or an extra, which it would import: CompileError, draw, plot, tape and train.
__all__ = [
    "AnomalyError",
    "Value",
    "__version__",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "backend",
    "backward",
    "beta",
    "betaln",
    "cbrt",
    "ceil",
    "celu",
    "checkpoint",
    "clip",
    "copysign",
    "cos",
    "cosh",
    "custom_op",
    "degrees",
    "detect_anomaly",
    "digamma",
    "dot",
    "elu",
    "enable_grad",
    "entr",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "fmod",
    "gamma",
    "gelu",
    "glu",
    "grad",
    "gradient",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hessian",
    "hvp",
    "hypot",
    "i0",
    "i1",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "leaky_relu",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_ndtr",
    "log_softmax",
    "logaddexp",
    "logit",
    "logsigmoid",
    "logsumexp",
    "losses",
    "maximum",
    "mean",
    "minimum",
    "mish",
    "ndtr",
    "ndtri",
    "nn",
    "no_grad",
    "norm",
    "optim",
    "polygamma",
    "prelu",
    "prod",
    "radians",
    "reciprocal",
    "relu",
    "relu6",
    "remainder",
    "selu",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinc",
    "sinh",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "stop_gradient",
    "take",
    "tan",
    "tanh",
    "trunc",
    "value_and_grad",
    "vjp",
    "vmap",
    "where",
    "xlog1py",
    "xlogy",
]


def _mimebundle(shown: Any) -> dict[str, str]:
    """Return the representations of an object for a notebook; the first call imports the package that draws it."""
    bundle: dict[str, str] = importlib.import_module(f"{__name__}.{shown._drawn_by}.notebook").mimebundle(shown)
    return bundle


def _predict(model: Any, X: Any) -> Any:
    return importlib.import_module(f"{__name__}.train.predicting").predict(model, X)


display.register(_mimebundle)
prediction.register(_predict)


if not TYPE_CHECKING:  # type checkers refuse a name that does not exist

    def __getattr__(name: str) -> Any:
        """Import `microgrud.nn` and the like at their first use; `import microgrud` takes a third of the time."""
        if name in ("draw", "losses", "nn", "optim", "plot", "tape", "train"):
            return importlib.import_module(f"{__name__}.{name}")
        if name in ("CompileError", "compile"):
            return getattr(importlib.import_module(f"{__name__}.tape"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
