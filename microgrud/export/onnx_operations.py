"""The operations of the engine on columns of a table, as ONNX."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from .onnx_activations import NATIVE, Composer, add_function
from .onnx_graph import Graph

#: A column (rows, 1), by the name of its tensor, or a number that is the same for all rows.
Operand = str | float

_BINARY = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "divide_ieee": "Div", "pow": "Pow",
}  # fmt: skip
_UNARY = {
    "negate": "Neg", "reciprocal": "Reciprocal", "sqrt": "Sqrt", "floor": "Floor", "ceil": "Ceil", "round": "Round",
    "log": "Log",
}  # fmt: skip
_COMPARISONS = {"less": "Less", "at_most": "LessOrEqual", "equal": "Equal", "unequal": "Equal"}
#: Those that `add_function` adds, under the same names.
_FUNCTIONS = frozenset([
    *NATIVE, "cos", "gelu", "silu", "sigmoid", "logsigmoid", "softplus", "tan", "atan", "sinh", "cosh", "asinh", "erf",
    "erfc", "exp", "expm1", "square", "cbrt",
])  # fmt: skip
_LOGARITHMS = {"log2": 1.0 / math.log(2.0), "log10": 1.0 / math.log(10.0)}


class Operations(Composer):
    """Adds the nodes of operations, and notes for which rows microgrud raises an error instead.

    Args:
        graph: gets the nodes.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self._joined: dict[tuple[Operand, ...], str] = {}
        self._bad: list[str] = []

    def has(self, name: str) -> bool:
        """Return whether there is an operation of this name."""
        known = {*_BINARY, *_UNARY, *_COMPARISONS, *_LOGARITHMS, *_FUNCTIONS, "dot"}
        return name in known or hasattr(self, f"_{name}_of")

    def add(self, name: str, xs: Sequence[Operand]) -> str:
        """Add an operation on columns and numbers, at least one of which is a column."""
        if name in _COMPARISONS:
            holds = self.op(_COMPARISONS[name], *xs)
            holds = self.op("Not", holds) if name == "unequal" else holds
            return self.graph.add("Cast", holds, to=TensorProto.DOUBLE)
        if hasattr(self, f"_{name}_of"):
            made: str = getattr(self, f"_{name}_of")(*xs)
            return made
        if name in _LOGARITHMS:
            return self.op("Mul", self.add("log", xs), _LOGARITHMS[name])
        if name in _FUNCTIONS:
            result = add_function(self.graph, name, str(xs[0]))
            self._refuse(self._turned("IsNaN", result, xs))
            return result
        return self._simple(name, xs)

    def _simple(self, name: str, xs: Sequence[Operand]) -> str:
        if name in ("divide", "reciprocal"):
            self._refuse(self.op("Equal", xs[-1], 0.0))
        elif name == "log":
            self._refuse(self.op("LessOrEqual", xs[0], 0.0))
        elif name == "sqrt":
            self._refuse(self.op("Less", xs[0], 0.0))
        elif name in ("floor", "ceil", "round"):
            self._refuse(self.op("Or", self.op("IsInf", xs[0]), self.op("IsNaN", xs[0])))
        result = self.op((_UNARY | _BINARY)[name], *xs)
        if name == "pow":
            self._refuse(self._turned("IsNaN", result, xs))
            self._refuse(self._turned("IsInf", result, xs))
        return result

    def _turned(self, kind: str, result: str, xs: Sequence[Operand]) -> str:
        """Add the condition that a result is NaN or infinite, and no operand is."""
        found = self.op(kind, result)
        for x in xs:
            found = self.op("And", found, self.op("Not", self.op(kind, x)))
        return found

    def _refuse(self, condition: str) -> None:
        self._bad.append(condition)

    def refused(self, tensor: str) -> str:
        """Return a tensor with NaN in the rows for which microgrud raises an error."""
        if not self._bad:
            return tensor
        bad = self._bad[0]
        for other in self._bad[1:]:
            bad = self.op("Or", bad, other)
        return self.op("Where", bad, math.nan, tensor)

    # --- columns ---

    def column(self, x: Operand, other: str) -> str:
        """Return a column; a number is repeated for the rows of another one."""
        return x if isinstance(x, str) else self.op("Where", self.op("IsNaN", other), x, x)

    def joined(self, xs: Sequence[Operand]) -> str:
        """Return columns as one tensor (rows, len(xs))."""
        key = tuple(xs)
        if key not in self._joined:
            some = next(x for x in xs if isinstance(x, str))
            columns = [self.column(x, some) for x in xs]
            self._joined[key] = columns[0] if len(xs) == 1 else self.graph.add("Concat", *columns, axis=1)
        return self._joined[key]

    def picked(self, tensor: str, place: int, width: int) -> str:
        """Return one column of a tensor."""
        if width == 1:
            return tensor
        return self.graph.add("Gather", tensor, self.graph.constant(np.array([place])), axis=1)

    def _over_row(self, operator: str, tensor: str) -> str:
        return self.graph.add(operator, tensor, self.graph.constant(np.array([1]), "axis"))

    def dot(self, operands: Sequence[Operand]) -> str:
        """Add bias + x1*y1 + x2*y2 + ...; the operands are the bias, then all x, then all y."""
        half = len(operands) // 2
        products = [
            x * y if isinstance(x, float) and isinstance(y, float) else self.op("Mul", x, y)
            for x, y in zip(operands[1 : 1 + half], operands[1 + half :])
        ]
        return self.op("Sum", operands[0], *products)

    # --- operations on one or two numbers ---

    def _identity_of(self, x: str) -> str:
        return x

    def _sign_of(self, x: str) -> str:
        return self.op("Where", self.op("IsNaN", x), x, self.op("Sign", x))

    def _trunc_of(self, x: str) -> str:
        return self.op("Mul", self.op("Sign", x), self.add("floor", [self.op("Abs", x)]))

    def _leaky_relu_of(self, x: Operand, slope: Operand) -> str:
        return self.where("Less", x, 0.0, self.op("Mul", x, slope), x)

    def _elu_of(self, x: Operand, alpha: Operand) -> str:
        return self.elu(x if isinstance(x, str) else self.column(x, str(alpha)), alpha)

    def _where_of(self, condition: Operand, x: Operand, y: Operand) -> str:
        return self.where("Equal", condition, 0.0, y, x)

    def _clip_of(self, x: Operand, low: Operand, high: Operand) -> str:
        self._refuse(self.op("Greater", low, high))
        return self.where("Less", x, low, low, self.where("Greater", x, high, high, x))

    def _log1p_of(self, x: str) -> str:
        self._refuse(self.op("LessOrEqual", x, -1.0))
        return self.op("Where", self.op("IsInf", x), x, self.log1p(x))

    def _asin_of(self, x: str) -> str:
        self._refuse(self.op("Greater", self.op("Abs", x), 1.0))
        root = self.op("Sqrt", self.op("Mul", self.op("Sub", 1.0, x), self.op("Add", 1.0, x)))
        return self.atan(self.op("Div", x, root))

    def _acos_of(self, x: str) -> str:
        self._refuse(self.op("Greater", self.op("Abs", x), 1.0))
        half = self.atan(self.op("Sqrt", self.op("Div", self.op("Sub", 1.0, x), self.op("Add", 1.0, x))))
        return self.op("Mul", half, 2.0)

    def _atanh_of(self, x: str) -> str:
        size = self.op("Abs", x)
        self._refuse(self.op("GreaterOrEqual", size, 1.0))
        half = self.op("Mul", self.log1p(self.op("Div", self.op("Mul", size, 2.0), self.op("Sub", 1.0, size))), 0.5)
        return self.where("Less", x, 0.0, self.op("Neg", half), half)

    def _acosh_of(self, x: str) -> str:
        self._refuse(self.op("Less", x, 1.0))
        above = self.op("Sub", x, 1.0)
        root = self.op("Mul", self.op("Sqrt", above), self.op("Sqrt", self.op("Add", x, 1.0)))
        return self._log1p_of(self.op("Add", above, root))

    def _degrees_of(self, x: str) -> str:
        return self.op("Mul", x, 180.0 / math.pi)

    def _radians_of(self, x: str) -> str:
        return self.op("Mul", x, math.pi / 180.0)

    def _ndtr_of(self, x: str) -> str:
        return self.op("Mul", self.erfc(self.op("Mul", x, -math.sqrt(0.5))), 0.5)

    def _logit_of(self, x: str) -> str:
        self._refuse(self.op("Or", self.op("LessOrEqual", x, 0.0), self.op("GreaterOrEqual", x, 1.0)))
        return self.op("Sub", self.op("Log", x), self.op("Log", self.op("Sub", 1.0, x)))

    def _xlogy_of(self, x: Operand, y: Operand) -> str:
        is_zero = self.op("And", self.op("Equal", x, 0.0), self.op("Not", self.op("IsNaN", y)))
        self._refuse(self.op("And", self.op("Not", is_zero), self.op("LessOrEqual", y, 0.0)))
        return self.op("Where", is_zero, 0.0, self.op("Mul", x, self.op("Log", y)))

    def _entr_of(self, x: str) -> str:
        return self.op("Neg", self._xlogy_of(x, x))

    def _is_negative(self, x: Operand) -> str:
        """Add the sign bit, which -0.0 has too."""
        is_zero = self.op("And", self.op("Equal", x, 0.0), self.op("Less", self.op("Div", 1.0, x), 0.0))
        return self.op("Or", self.op("Less", x, 0.0), is_zero)

    def _copysign_of(self, x: Operand, y: Operand) -> str:
        size = self.op("Abs", x)
        return self.op("Where", self._is_negative(y), self.op("Neg", size), size)

    def _atan2_of(self, y: Operand, x: Operand) -> str:
        high, wide = self.op("Abs", y), self.op("Abs", x)
        ratio = self.where("Equal", high, wide, 1.0, self.op("Div", high, wide))
        angle = self.atan(self.where("Equal", high, 0.0, self.op("Where", self.op("IsNaN", x), x, 0.0), ratio))
        turned = self.op("Where", self._is_negative(x), self.op("Sub", math.pi, angle), angle)
        return self._copysign_of(turned, y)

    def _remainder(self, x: Operand, y: Operand) -> str:
        """Add the remainder with the sign of x."""
        some = str(x if isinstance(x, str) else y)
        return self.graph.add("Mod", self.column(x, some), self.column(y, some), fmod=1)

    def _turns(self, rest: str, y: Operand) -> str:
        return self.op("Less", self.op("Mul", self.op("Sign", rest), self.op("Sign", y)), 0.0)

    def _fmod_of(self, x: Operand, y: Operand) -> str:
        rest = self._remainder(x, y)
        self._refuse(self._turned("IsNaN", rest, (x, y)))
        return rest

    def _modulo_of(self, x: Operand, y: Operand) -> str:
        """Add the remainder with the sign of the divisor."""
        self._refuse(self.op("Equal", y, 0.0))
        rest = self._remainder(x, y)
        return self.op("Where", self._turns(rest, y), self.op("Add", rest, y), rest)

    def _floor_divide_of(self, x: Operand, y: Operand) -> str:
        """Add the quotient of what the remainder leaves: that of the operands may be rounded up to an integer."""
        self._refuse(self.op("Equal", y, 0.0))
        rest = self._remainder(x, y)
        quotient = self.op("Div", self.op("Sub", x, rest), y)
        quotient = self.op("Where", self._turns(rest, y), self.op("Sub", quotient, 1.0), quotient)
        below = self.op("Floor", quotient)
        return self.where("Greater", self.op("Sub", quotient, below), 0.5, self.op("Add", below, 1.0), below)

    # --- operations on several numbers ---

    def _sum_of(self, *xs: Operand) -> str:
        return self._over_row("ReduceSum", self.joined(xs))

    def _mean_of(self, *xs: Operand) -> str:
        return self.mean(self.joined(xs), len(xs))

    def _prod_of(self, *xs: Operand) -> str:
        return str(functools.reduce(lambda x, y: self.op("Mul", x, y), xs))

    def _extreme(self, comparison: str, xs: Sequence[Operand]) -> str:
        """Add the number that compares as wanted with all others; NaN, if there is one."""
        result = xs[0]
        for x in xs[1:]:
            wins = self.op("Or", self.op(comparison, result, x), self.op("IsNaN", result))
            result = self.op("Where", wins, result, x)
        return str(result)

    def _max_of(self, *xs: Operand) -> str:
        return self._extreme("GreaterOrEqual", xs)

    def _min_of(self, *xs: Operand) -> str:
        return self._extreme("LessOrEqual", xs)

    _maximum_of, _minimum_of = _max_of, _min_of

    def _norm_of(self, *xs: Operand) -> str:
        sizes = self.op("Abs", self.joined(xs))
        top = self._over_row("ReduceMax", self.op("Where", self.op("IsNaN", sizes), 0.0, sizes))
        whole = self.op("Where", self.op("Equal", top, 0.0), 1.0, top)
        ratios = self.op("Div", sizes, whole)
        length = self.op("Mul", whole, self.op("Sqrt", self._over_row("ReduceSum", self.op("Mul", ratios, ratios))))
        return self.op("Where", self.op("IsInf", top), top, length)

    def _hypot_of(self, x: Operand, y: Operand) -> str:
        return self._norm_of(x, y)

    def _logsumexp_of(self, *xs: Operand) -> str:
        top = self._max_of(*xs)
        total = self._over_row("ReduceSum", self.op("Exp", self.op("Sub", self.joined(xs), top)))
        return self.op("Where", self.op("IsInf", top), top, self.op("Add", top, self.op("Log", total)))

    def _softmax_of(self, place: float, *xs: Operand) -> str:
        key = ("softmax", *xs)
        if key not in self._joined:
            self._joined[key] = self.graph.add("Softmax", self.joined(xs), axis=-1)
        return self.picked(self._joined[key], int(place), len(xs))

    def _log_softmax_of(self, place: float, *xs: Operand) -> str:
        key = ("log_softmax", *xs)
        if key not in self._joined:
            self._joined[key] = self.log_softmax(self.joined(xs))
        return self.picked(self._joined[key], int(place), len(xs))
