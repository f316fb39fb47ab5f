"""First-order optimizers: each is one update formula on vectors, parameters `p`, gradients `g`.

Names, defaults and formulas are those that PyTorch publishes; `lr` is the learning rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from ..common.checks import Finite, Flag, Fraction, Fractions, NotNegative, declared
from ..engine import Value
from ..engine.vectors import Vector, at_least, square_root
from .optimizer import Constants, Optimizer, in_c

Parameters: TypeAlias = Iterable[Value] | Iterable[Mapping[str, Any]]


class SGD(Optimizer):
    """Stochastic gradient descent, optionally with momentum.

    Robbins & Monro, "A stochastic approximation method", 1951; momentum: Polyak 1964; Nesterov's: Nesterov 1983, in
    the form of Sutskever, Martens, Dahl & Hinton, "On the importance of initialization and momentum in deep
    learning", ICML 2013. With `d` for weight decay, `mu` for momentum, `tau` for dampening:

        g <- g + d p
        b <- g at the first step, mu b + (1 - tau) g later        (with momentum)
        p <- p - lr g                                             without momentum
        p <- p - lr b                                             with momentum
        p <- p - lr (g + mu b)                                    with Nesterov's

    Args:
        parameters: Values, or parameter groups.
        lr: the learning rate, 0 or more.
        momentum: the part of the last step's direction to keep, 0 or more.
        dampening: the part of the gradient to keep out of the momentum.
        weight_decay: the strength of an L2 penalty, 0 or more.
        nesterov: whether to use Nesterov's momentum; it needs momentum above 0 and dampening 0.
        maximize: whether to move up the gradient instead of down.

    Raises:
        TypeError, ValueError: for invalid settings or parameters.
    """

    vectors = ("momentum_buffer",)

    def __init__(
        self,
        parameters: Parameters,
        lr: NotNegative = 1e-3,
        momentum: NotNegative = 0.0,
        dampening: Finite = 0.0,
        weight_decay: NotNegative = 0.0,
        nesterov: Flag = False,
        *,
        maximize: Flag = False,
    ) -> None:
        super().__init__(parameters, **self._settings_among(locals()))

    settings = declared(__init__)

    def _checked(self, settings: Mapping[str, Any], where: str) -> dict[str, Any]:
        checked = super()._checked(settings, where)
        if checked["nesterov"] and (checked["momentum"] == 0.0 or checked["dampening"] != 0.0):
            raise ValueError(
                f"{where}: nesterov: expected momentum above 0 and dampening 0, got momentum "
                f"{checked['momentum']} and dampening {checked['dampening']}"
            )
        return checked

    @in_c("sgd")
    def _update(self, group: dict[str, Any], state: dict[str, Any], data: Vector, grad: Vector) -> Vector:
        momentum = group["momentum"]
        grad = decayed(group, data, grad)
        if momentum != 0.0:
            buffer = state.get("momentum_buffer")
            buffer = grad if buffer is None else momentum * buffer + (1.0 - group["dampening"]) * grad
            state["momentum_buffer"] = buffer
            grad = grad + momentum * buffer if group["nesterov"] else buffer
        new: Vector = data - group["lr"] * grad
        return new

    def _constants(self, group: dict[str, Any], state: dict[str, Any]) -> Constants:
        momentum, first = group["momentum"], "momentum_buffer" not in state
        constants = group["lr"], momentum, 1.0 - group["dampening"], group["weight_decay"], group["nesterov"], first
        return constants, {"momentum_buffer": 0.0} if momentum != 0.0 else {}


class Adagrad(Optimizer):
    """Adagrad: a separate rate for each parameter, which falls with the gradients it has seen.

    Duchi, Hazan & Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 2011.
    With `d` for weight decay, at step `t` = 1, 2, ...:

        g <- g + d p
        s <- s + g^2                          (from initial_accumulator_value)
        p <- p - lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)

    Args:
        parameters: Values, or parameter groups.
        lr: the learning rate, 0 or more.
        lr_decay: how fast the rate falls with the number of steps, 0 or more.
        weight_decay: the strength of an L2 penalty, 0 or more.
        initial_accumulator_value: the initial sum of squares, 0 or more.
        eps: keeps the quotient finite, 0 or more.
        maximize: whether to move up the gradient instead of down.

    Raises:
        TypeError, ValueError: for invalid settings or parameters.
    """

    vectors = ("sum",)

    def __init__(
        self,
        parameters: Parameters,
        lr: NotNegative = 1e-2,
        lr_decay: NotNegative = 0.0,
        weight_decay: NotNegative = 0.0,
        initial_accumulator_value: NotNegative = 0.0,
        eps: NotNegative = 1e-10,
        *,
        maximize: Flag = False,
    ) -> None:
        super().__init__(parameters, **self._settings_among(locals()))

    settings = declared(__init__)

    @in_c("adagrad")
    def _update(self, group: dict[str, Any], state: dict[str, Any], data: Vector, grad: Vector) -> Vector:
        grad = decayed(group, data, grad)
        state["sum"] = state.get("sum", group["initial_accumulator_value"]) + grad * grad
        rate = group["lr"] / (1.0 + (state["step"] - 1) * group["lr_decay"])
        new: Vector = data - rate * grad / (square_root(state["sum"]) + group["eps"])
        return new

    def _constants(self, group: dict[str, Any], state: dict[str, Any]) -> Constants:
        rate = group["lr"] / (1.0 + (state["step"] - 1) * group["lr_decay"])
        return (rate, group["eps"], group["weight_decay"]), {"sum": group["initial_accumulator_value"]}


class RMSprop(Optimizer):
    """RMSprop: divide the gradient by a running root mean square of itself.

    Tieleman & Hinton, "Lecture 6.5: RMSProp", COURSERA Neural Networks for Machine Learning, 2012; centered: Graves,
    "Generating sequences with recurrent neural networks", 2013. With `d` for weight decay, `mu` for momentum:

        g <- g + d p
        v <- alpha v + (1 - alpha) g^2
        m <- alpha m + (1 - alpha) g,  w = v - m^2        (centered; otherwise w = v)
        b <- mu b + g / (sqrt(w) + eps)
        p <- p - lr b

    `w` is a variance: where rounding makes it negative, it is taken as 0.

    Args:
        parameters: Values, or parameter groups.
        lr: the learning rate, 0 or more.
        alpha: the part of the running mean that a step keeps, in [0, 1).
        eps: keeps the quotient finite, 0 or more.
        weight_decay: the strength of an L2 penalty, 0 or more.
        momentum: the part of the last step's direction to keep, 0 or more.
        centered: whether to divide by an estimate of the standard deviation.
        maximize: whether to move up the gradient instead of down.

    Raises:
        TypeError, ValueError: for invalid settings or parameters.
    """

    vectors = ("square_avg", "grad_avg", "momentum_buffer")

    def __init__(
        self,
        parameters: Parameters,
        lr: NotNegative = 1e-2,
        alpha: Fraction = 0.99,
        eps: NotNegative = 1e-8,
        weight_decay: NotNegative = 0.0,
        momentum: NotNegative = 0.0,
        centered: Flag = False,
        *,
        maximize: Flag = False,
    ) -> None:
        super().__init__(parameters, **self._settings_among(locals()))

    settings = declared(__init__)

    @in_c("rmsprop")
    def _update(self, group: dict[str, Any], state: dict[str, Any], data: Vector, grad: Vector) -> Vector:
        alpha, momentum = group["alpha"], group["momentum"]
        grad = decayed(group, data, grad)
        variance = state["square_avg"] = alpha * state.get("square_avg", 0.0) + (1.0 - alpha) * grad * grad
        if group["centered"]:
            average = state["grad_avg"] = alpha * state.get("grad_avg", 0.0) + (1.0 - alpha) * grad
            variance = at_least(variance - average * average, 0.0)
        direction: Vector = grad / (square_root(variance) + group["eps"])
        if momentum != 0.0:
            direction = state["momentum_buffer"] = momentum * state.get("momentum_buffer", 0.0) + direction
        new: Vector = data - group["lr"] * direction
        return new

    def _constants(self, group: dict[str, Any], state: dict[str, Any]) -> Constants:
        alpha, momentum = group["alpha"], group["momentum"]
        used = {"square_avg": True, "grad_avg": group["centered"], "momentum_buffer": momentum != 0.0}
        constants = group["lr"], alpha, 1.0 - alpha, group["eps"], group["weight_decay"], momentum
        return constants, {name: 0.0 for name in used if used[name]}


class Adam(Optimizer):
    """Adam: running means of the gradient and of its square, corrected for their start at zero.

    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015; AMSGrad: Reddi, Kale & Kumar, "On the
    convergence of Adam and beyond", ICLR 2018. With `d` for weight decay, at step `t` = 1, 2, ...:

        g <- g + d p
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        w <- v, or the largest v so far with AMSGrad
        p <- p - lr m / (1 - beta1^t) / (sqrt(w / (1 - beta2^t)) + eps)

    Args:
        parameters: Values, or parameter groups.
        lr: the learning rate, 0 or more.
        betas: the part of each of the two running means that a step keeps, in [0, 1).
        eps: keeps the quotient finite, 0 or more.
        weight_decay: the strength of an L2 penalty, 0 or more.
        amsgrad: whether to divide by the largest mean square so far.
        maximize: whether to move up the gradient instead of down.

    Raises:
        TypeError, ValueError: for invalid settings or parameters.
    """

    vectors = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        parameters: Parameters,
        lr: NotNegative = 1e-3,
        betas: Fractions = (0.9, 0.999),
        eps: NotNegative = 1e-8,
        weight_decay: NotNegative = 0.0,
        amsgrad: Flag = False,
        *,
        maximize: Flag = False,
    ) -> None:
        super().__init__(parameters, **self._settings_among(locals()))

    settings = declared(__init__)

    @in_c("adam")
    def _update(self, group: dict[str, Any], state: dict[str, Any], data: Vector, grad: Vector) -> Vector:
        return data - _adaptive_step(group, state, decayed(group, data, grad))

    def _constants(self, group: dict[str, Any], state: dict[str, Any]) -> Constants:
        (beta1, beta2), t = group["betas"], state["step"]
        rate, correction = group["lr"] / (1.0 - beta1**t), (1.0 - beta2**t) ** 0.5
        constants = beta1, 1.0 - beta1, beta2, 1.0 - beta2, rate, correction, group["eps"], *self._decay(group)
        return constants, dict.fromkeys(self.vectors if group["amsgrad"] else self.vectors[:2], 0.0)

    def _decay(self, group: dict[str, Any]) -> tuple[float, float]:
        """Return the weight decay that is added to the gradient, and the factor of the parameters."""
        return group["weight_decay"], 1.0


class AdamW(Adam):
    """AdamW: Adam with decoupled weight decay, which stays out of the running means.

    Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019. As `Adam`, except that weight decay does
    not change the gradient, and

        p <- p (1 - lr d) - (the step of Adam without weight decay)

    Args:
        parameters: Values, or parameter groups.
        lr: the learning rate, 0 or more.
        betas: the part of each of the two running means that a step keeps, in [0, 1).
        eps: keeps the quotient finite, 0 or more.
        weight_decay: each step subtracts `lr * weight_decay` times each parameter; 0 or more.
        amsgrad: whether to divide by the largest mean square so far.
        maximize: whether to move up the gradient instead of down.

    Raises:
        TypeError, ValueError: for invalid settings or parameters.
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: NotNegative = 1e-3,
        betas: Fractions = (0.9, 0.999),
        eps: NotNegative = 1e-8,
        weight_decay: NotNegative = 1e-2,
        amsgrad: Flag = False,
        *,
        maximize: Flag = False,
    ) -> None:
        super().__init__(parameters, **self._settings_among(locals()))

    @in_c("adam")
    def _update(self, group: dict[str, Any], state: dict[str, Any], data: Vector, grad: Vector) -> Vector:
        kept: Vector = data * (1.0 - group["lr"] * group["weight_decay"])
        return kept - _adaptive_step(group, state, grad)

    def _decay(self, group: dict[str, Any]) -> tuple[float, float]:
        return 0.0, 1.0 - group["lr"] * group["weight_decay"]


def decayed(group: dict[str, Any], data: Vector, grad: Vector) -> Vector:
    """Add the gradient of the L2 penalty (weight_decay / 2) ||p||^2."""
    return grad + group["weight_decay"] * data if group["weight_decay"] != 0.0 else grad


def running_means(group: dict[str, Any], state: dict[str, Any], grad: Vector) -> tuple[Vector, Vector]:
    """Return the running means of the gradient and of its square."""
    beta1, beta2 = group["betas"]
    mean = state["exp_avg"] = beta1 * state.get("exp_avg", 0.0) + (1.0 - beta1) * grad
    square = state["exp_avg_sq"] = beta2 * state.get("exp_avg_sq", 0.0) + (1.0 - beta2) * grad * grad
    return mean, square


def _adaptive_step(group: dict[str, Any], state: dict[str, Any], grad: Vector) -> Vector:
    """Return the step of Adam, without weight decay."""
    (beta1, beta2), t = group["betas"], state["step"]
    mean, square = running_means(group, state, grad)
    if group["amsgrad"]:
        square = state["max_exp_avg_sq"] = at_least(square, state.get("max_exp_avg_sq", 0.0))
    root = square_root(square) / (1.0 - beta2**t) ** 0.5
    step: Vector = group["lr"] / (1.0 - beta1**t) * mean / (root + group["eps"])
    return step
