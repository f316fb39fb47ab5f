"""The activations in ONNX: its operators where onnxruntime has them in double precision, otherwise made of those.

onnxruntime computes Relu, Tanh, Sin, Exp, Log, Abs, Softmax and the arithmetic in double precision. It has no kernel
for doubles of Softplus, Elu, Selu, Celu, Gelu, Erf, Tan, Atan, Sinh, Cosh, Asinh, Softsign, Mish, HardSigmoid,
HardSwish and LeakyRelu, and in version 1.18 none of Cos; Sigmoid loses its digits below -30 (it is 0 at -37), Max and
Min of version 1.18 lose NaN, and LogSoftmax differs at infinity. What these compute is composed here of the former.
Errors are a few units in the last place, below 1e-13 in the tails.

Where microgrud raises an error, as exp does for overflow and sin at infinity, a graph cannot: the result is NaN, which
no layer turns into a number again. Other infinite and NaN inputs give what they give in microgrud.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..nn.activations import Activation
from .onnx_graph import Graph

#: erfc(a) = exp(-a**2) * p(t) for a >= 0, with t = (a - 3.75)/(a + 3.75): p by Chebyshev's approximation.
_ERFC_SCALED = (
    0.14558972127503855, -0.273421931495426, 0.22600806691661973, -0.16357189552396872,
    0.10260431203227918, -0.054802326693802396, 0.024143223970933457, -0.008220621168414745,
    0.0018029624313094014, -2.5535234541937367e-05, -0.0001524627475820394, 4.7898382291324235e-05,
    3.584014010590506e-06, -6.182369412025389e-06, 7.478318387865305e-07, 6.575826497632767e-07,
    -1.822566990119842e-07, -7.044008675829455e-08, 3.026554596791847e-08, 7.5325863985325e-09,
    -4.0661093769818416e-09, -5.71874948225464e-10, 3.328147723390981e-10,
)  # fmt: skip
#: erf(x) = x * p(x**2) for |x| <= 1/2: Taylor's series.
_ERF_SERIES = (
    1.1283791670955126, -0.37612638903183754, 0.11283791670955126, -0.026866170645131252,
    0.005223977625442188, -0.0008548327023450853, 0.00012055332981789664, -1.492565035840625e-05,
    1.6462114365889248e-06, -1.6365844691234924e-07, 1.4807192815879218e-08, -1.2290555301717928e-09,
    9.422759064650411e-11,
)  # fmt: skip


class Composer:
    """Adds the nodes of functions of each number of a tensor; a float is a constant.

    >>> graph = Graph()
    >>> x = graph.input("x", np.float64, 2)
    >>> Composer(graph).square(x), [node.op_type for node in graph.finish().graph.node]
    ('Mul', ['Mul'])
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def op(self, operator: str, *operands: str | float) -> str:
        """Add one node."""
        return self.graph.add(operator, *[self.graph.constant(x) if isinstance(x, float) else x for x in operands])

    def where(self, comparison: str, x: str | float, y: str | float, then: str | float, other: str | float) -> str:
        """Add the choice by a comparison, one of Less, LessOrEqual, Equal, Greater and GreaterOrEqual."""
        return self.op("Where", self.op(comparison, x, y), then, other)

    def horner(self, coefficients: Sequence[float], x: str) -> str:
        """Add a polynomial, given by its coefficients from that of degree 0 on."""
        *rest, total = coefficients
        result: str | float = total
        for coefficient in reversed(rest):
            result = self.op("Add", self.op("Mul", result, x), coefficient)
        return str(result)

    def at_least(self, low: float, x: str) -> str:
        """Add the larger of x and a constant; Max of older versions of onnxruntime loses NaN."""
        return self.where("Less", x, low, low, x)

    def clip(self, x: str, low: float, high: float) -> str:
        """Add min(max(x, low), high)."""
        return self.where("Greater", x, high, high, self.at_least(low, x))

    def checked(self, x: str, result: str) -> str:
        """Add NaN in the place of an infinite result of a finite number, where microgrud raises an OverflowError."""
        overflows = self.op("And", self.op("IsInf", result), self.op("Not", self.op("IsInf", x)))
        return self.op("Where", overflows, math.nan, result)

    # --- exponentials and logarithms ---

    def log1p(self, x: str) -> str:
        """Add log(1 + x) for x >= 0: the logarithm of the rounded sum, corrected for its rounding."""
        whole = self.op("Add", x, 1.0)
        lost = self.op("Sub", x, self.op("Sub", whole, 1.0))
        return self.op("Add", self.op("Log", whole), self.op("Div", lost, whole))

    def expm1_of_any(self, x: str) -> str:
        """Add exp(x) - 1 = tanh(x/2) * (exp(x) + 1), in which nothing cancels; infinite for overflow."""
        return self.op("Mul", self.op("Tanh", self.op("Mul", x, 0.5)), self.op("Add", self.op("Exp", x), 1.0))

    def expm1(self, x: str) -> str:
        """Add exp(x) - 1."""
        return self.checked(x, self.expm1_of_any(x))

    def exp(self, x: str) -> str:
        """Add exp(x)."""
        return self.checked(x, self.op("Exp", x))

    def sigmoid(self, x: str) -> str:
        """Add 1/(1 + exp(-x)), below 0 as exp(x)/(1 + exp(x))."""
        e = self.op("Exp", self.op("Neg", self.op("Abs", x)))
        return self.op("Div", self.where("Less", x, 0.0, e, 1.0), self.op("Add", e, 1.0))

    def softplus(self, x: str) -> str:
        """Add log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))."""
        small = self.log1p(self.op("Exp", self.op("Neg", self.op("Abs", x))))
        return self.op("Add", self.op("Relu", x), small)

    def logsigmoid(self, x: str) -> str:
        """Add -softplus(-x)."""
        return self.op("Neg", self.softplus(self.op("Neg", x)))

    # --- units with a kink ---

    def leaky_relu(self, x: str, slope: str | float = 0.01) -> str:
        """Add x above 0, slope*x below."""
        return self.where("Less", x, 0.0, self.op("Mul", x, slope), x)

    def elu(self, x: str, alpha: str | float = 1.0) -> str:
        """Add x above 0, alpha*(exp(x) - 1) below."""
        below = self.expm1_of_any(self.op("Min", x, 0.0))
        return self.where("Less", x, 0.0, self.op("Mul", below, alpha), x)

    def selu(self, x: str) -> str:
        """Add the scaled `elu`."""
        return self.op("Mul", self.elu(x, 1.6732632423543772), 1.0507009873554805)

    def relu6(self, x: str) -> str:
        """Add min(max(x, 0), 6)."""
        return self.clip(x, 0.0, 6.0)

    def hardtanh(self, x: str) -> str:
        """Add min(max(x, -1), 1)."""
        return self.clip(x, -1.0, 1.0)

    def hardsigmoid(self, x: str) -> str:
        """Add min(max(x + 3, 0), 6)/6."""
        return self.op("Div", self.op("Add", self.clip(x, -3.0, 3.0), 3.0), 6.0)

    def hardswish(self, x: str) -> str:
        """Add x*hardsigmoid(x), with x at least -3: minus infinity times 0 would be NaN."""
        return self.op("Mul", self.at_least(-3.0, x), self.hardsigmoid(x))

    # --- products with a sigmoid; far below 0 they are 0, also at minus infinity ---

    def silu(self, x: str) -> str:
        """Add x*sigmoid(x)."""
        x = self.at_least(-800.0, x)
        return self.op("Mul", x, self.sigmoid(x))

    def mish(self, x: str) -> str:
        """Add x*tanh(softplus(x))."""
        x = self.at_least(-800.0, x)
        return self.op("Mul", x, self.op("Tanh", self.softplus(x)))

    def gelu(self, x: str) -> str:
        """Add x*erfc(-x/sqrt(2))/2."""
        x = self.at_least(-60.0, x)
        square = self.op("Mul", self.op("Mul", x, x), 0.5)
        doubled = self._erfc(self.op("Mul", x, -math.sqrt(0.5)), square)
        return self.op("Mul", x, self.op("Mul", doubled, 0.5))

    def softsign(self, x: str) -> str:
        """Add x/(1 + |x|), which is the sign at infinity."""
        size = self.op("Abs", x)
        far = self.op("Mul", self.op("Sign", x), self.op("Sub", 1.0, self.op("Div", 1.0, self.op("Add", size, 1.0))))
        return self.where("Greater", size, 1.0, far, self.op("Div", x, self.op("Add", size, 1.0)))

    # --- error functions ---

    def _erfc(self, x: str, square: str) -> str:
        """Add erfc(x), given x**2: exp(-x**2)*p for x > 0, and 2 - erfc(-x) below."""
        size = self.op("Min", self.op("Abs", x), 1e3)
        t = self.op("Div", self.op("Sub", size, 3.75), self.op("Add", size, 3.75))
        upper = self.op("Mul", self.op("Exp", self.op("Neg", square)), self.horner(_ERFC_SCALED, t))
        return self.where("Less", x, 0.0, self.op("Sub", 2.0, upper), upper)

    def erfc(self, x: str) -> str:
        """Add erfc(x)."""
        return self._erfc(x, self.op("Mul", x, x))

    def erf(self, x: str) -> str:
        """Add erf(x): its series near 0, where 1 - erfc(x) cancels."""
        low = self.clip(x, -0.5, 0.5)
        series = self.op("Mul", low, self.horner(_ERF_SERIES, self.op("Mul", low, low)))
        return self.where("LessOrEqual", self.op("Abs", x), 0.5, series, self.op("Sub", 1.0, self.erfc(x)))

    # --- angles and hyperbolic functions ---

    def cos(self, x: str) -> str:
        """Add cos(x) = 1 - 2*sin(x/2)**2, since Cos has a kernel for doubles only in recent versions."""
        sine = self.op("Sin", self.op("Mul", x, 0.5))
        return self.op("Sub", 1.0, self.op("Mul", self.op("Mul", sine, sine), 2.0))

    def tan(self, x: str) -> str:
        """Add sin(x)/cos(x)."""
        return self.op("Div", self.op("Sin", x), self.cos(x))

    def atan(self, x: str) -> str:
        """Add atan(x): a rough angle, and the angle that is left, by its series; by 1/x beyond 1."""
        size = self.op("Abs", x)
        is_far = self.op("Greater", size, 1.0)
        t = self.op("Where", is_far, self.op("Div", 1.0, size), size)
        rough = self.op("Div", t, self.op("Add", self.op("Mul", self.op("Mul", t, t), 0.28), 1.0))
        sine, cosine = self.op("Sin", rough), self.cos(rough)
        across = self.op("Sub", self.op("Mul", t, cosine), sine)
        left = self.op("Div", across, self.op("Add", self.op("Mul", t, sine), cosine))
        square = self.op("Mul", left, left)
        angle = self.op("Add", rough, self.op("Mul", left, self.horner((1.0, -1.0 / 3.0, 0.2, -1.0 / 7.0), square)))
        angle = self.op("Where", is_far, self.op("Sub", 0.5 * math.pi, angle), angle)
        return self.where("Less", x, 0.0, self.op("Neg", angle), angle)

    def _cosh_of_any(self, x: str) -> str:
        """Add cosh(x), with a square root of each exponential, so that it overflows no sooner."""
        root = self.op("Exp", self.op("Mul", self.op("Abs", x), 0.5))
        grown = self.op("Mul", self.op("Mul", root, 0.5), root)
        return self.op("Add", grown, self.op("Div", self.op("Div", 0.5, root), root))

    def cosh(self, x: str) -> str:
        """Add cosh(x)."""
        return self.checked(x, self._cosh_of_any(x))

    def sinh(self, x: str) -> str:
        """Add sinh(x) = tanh(x/2)*(cosh(x) + 1)."""
        half = self.op("Tanh", self.op("Mul", x, 0.5))
        return self.checked(x, self.op("Mul", half, self.op("Add", self._cosh_of_any(x), 1.0)))

    def asinh(self, x: str) -> str:
        """Add asinh(x): with a = |x|, log1p(a + a**2/(1 + sqrt(1 + a**2))), and log(a) + log(2) far out."""
        size = self.op("Abs", x)
        near = self.where("Greater", size, 1e8, 1e8, size)
        square = self.op("Mul", near, near)
        root = self.op("Sqrt", self.op("Add", square, 1.0))
        angle = self.log1p(self.op("Add", near, self.op("Div", square, self.op("Add", root, 1.0))))
        far = self.op("Add", self.op("Log", self.op("Max", size, 1.0)), math.log(2.0))
        result = self.where("Greater", size, 1e8, far, angle)
        return self.where("Less", x, 0.0, self.op("Neg", result), result)

    def cbrt(self, x: str) -> str:
        """Add the real cube root."""
        root = self.op("Pow", self.op("Abs", x), 1.0 / 3.0)
        return self.where("Less", x, 0.0, self.op("Neg", root), root)

    def log_softmax(self, x: str) -> str:
        """Add the logarithm of the softmax of each row of a tensor (rows, numbers)."""
        axis = self.graph.constant(np.array([1]), "axis")
        below = self.op("Sub", x, self.graph.add("ReduceMax", x, axis))
        return self.op("Sub", below, self.op("Log", self.graph.add("ReduceSum", self.op("Exp", below), axis)))

    def mean(self, x: str, count: int) -> str:
        """Add the mean of each row of a tensor (rows, count), corrected by the mean of what is left.

        Without the correction, equal numbers would differ from their mean by its rounding, which a normalization
        divides by nearly 0; and the sum of large numbers would overflow.
        """
        axis = self.graph.constant(np.array([1]), "axis")
        rough = self.graph.add("ReduceSum", self.op("Div", x, float(count)), axis)
        left = self.graph.add("ReduceSum", self.op("Div", self.op("Sub", x, rough), float(count)), axis)
        return self.op("Where", self.op("IsInf", rough), rough, self.op("Add", rough, left))

    def square(self, x: str) -> str:
        """Add x**2."""
        return self.op("Mul", x, x)

    def linear(self, x: str) -> str:
        """Return x itself."""
        return x


#: The activations that are one operator of ONNX, by name; all others of `ACTIVATIONS` are composed.
NATIVE = {"relu": "Relu", "tanh": "Tanh", "sin": "Sin", "abs": "Abs"}
#: Other names of composed functions.
_SAME = {"celu": "elu"}


def add_function(graph: Graph, name: str, x: str) -> str:
    """Add the nodes of an activation, given by its name in `ACTIVATIONS`."""
    if name in NATIVE:
        return graph.add(NATIVE[name], x)
    composed: Callable[[str], str] = getattr(Composer(graph), _SAME.get(name, name))
    return composed(x)


def add_activation(graph: Graph, activation: Activation, x: str) -> str:
    """Add the nodes of an activation of each number of a tensor, and return the name of the result.

    Raises:
        ValueError: for a user-defined function.
    """
    if activation.name is None:
        raise ValueError(
            f"to_onnx: activation: expected one of microgrud.nn.ACTIVATIONS, got {activation.label}, a function of "
            "your own; train with one of these"
        )
    return add_function(graph, activation.name, x)
