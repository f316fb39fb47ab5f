"""Further optimizers with a separate rate for each parameter: Adadelta, Adamax, NAdam and RAdam.

Names, defaults and formulas are those that PyTorch publishes; parameters are `p`, gradients `g`, the learning rate
`lr`. At step `t` = 1, 2, ... with `d` for weight decay, each formula begins with

    g <- g + d p             or, where weight decay can be decoupled and is,   p <- p (1 - lr d)
"""

from __future__ import annotations

from typing import Any

from ..common.checks import Flag, Fraction, Fractions, NotNegative, declared
from ..engine.vectors import Vector, as_vector, at_least, square_root
from .first_order import Parameters, decayed, running_means
from .optimizer import Optimizer


class Adadelta(Optimizer):
    """Adadelta: divide the gradient by its running root mean square, and multiply by that of the last steps.

    Zeiler, "ADADELTA: an adaptive learning rate method", 2012, algorithm 1:

        g <- g + d p
        v <- rho v + (1 - rho) g^2
        s <- sqrt(u + eps) / sqrt(v + eps) g
        u <- rho u + (1 - rho) s^2
        p <- p - lr s

    Args:
        parameters: Values, or parameter groups.
        lr: the factor of the step, 0 or more.
        rho: the part of the running means that a step keeps, in [0, 1).
        eps: begins the steps and keeps the quotient finite, 0 or more.
        weight_decay: the strength of an L2 penalty, 0 or more.
        maximize: whether to move up the gradient instead of down.

    Raises:
        TypeError, ValueError: for invalid settings or parameters.
    """

    vectors = ("square_avg", "acc_delta")

    def __init__(
        self,
        parameters: Parameters,
        lr: NotNegative = 1.0,
        rho: Fraction = 0.9,
        eps: NotNegative = 1e-6,
        weight_decay: NotNegative = 0.0,
        *,
        maximize: Flag = False,
    ) -> None:
        super().__init__(parameters, **self._settings_among(locals()))

    settings = declared(__init__)

    def _update(self, group: dict[str, Any], state: dict[str, Any], data: Vector, grad: Vector) -> Vector:
        rho, eps = group["rho"], group["eps"]
        grad = decayed(group, data, grad)
        square = state["square_avg"] = rho * state.get("square_avg", 0.0) + (1.0 - rho) * grad * grad
        steps = state["acc_delta"] if "acc_delta" in state else as_vector([0.0] * len(grad))
        step = square_root(steps + eps) / square_root(square + eps) * grad
        state["acc_delta"] = rho * steps + (1.0 - rho) * step * step
        new: Vector = data - group["lr"] * step
        return new


class Adamax(Optimizer):
    """Adamax: Adam with the largest recent gradient, which fades, in place of the root mean square.

    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 2:

        g <- g + d p
        m <- beta1 m + (1 - beta1) g
        u <- max(beta2 u, |g| + eps)
        p <- p - lr / (1 - beta1^t) m / u

    Args:
        parameters: Values, or parameter groups.
        lr: the learning rate, 0 or more.
        betas: the part of the running mean, and of the largest gradient, that a step keeps, in [0, 1).
        eps: keeps the quotient finite, 0 or more.
        weight_decay: the strength of an L2 penalty, 0 or more.
        maximize: whether to move up the gradient instead of down.

    Raises:
        TypeError, ValueError: for invalid settings or parameters.
    """

    vectors = ("exp_avg", "exp_inf")

    def __init__(
        self,
        parameters: Parameters,
        lr: NotNegative = 2e-3,
        betas: Fractions = (0.9, 0.999),
        eps: NotNegative = 1e-8,
        weight_decay: NotNegative = 0.0,
        *,
        maximize: Flag = False,
    ) -> None:
        super().__init__(parameters, **self._settings_among(locals()))

    settings = declared(__init__)

    def _update(self, group: dict[str, Any], state: dict[str, Any], data: Vector, grad: Vector) -> Vector:
        beta1, beta2 = group["betas"]
        grad = decayed(group, data, grad)
        mean = state["exp_avg"] = beta1 * state.get("exp_avg", 0.0) + (1.0 - beta1) * grad
        largest = state["exp_inf"] = at_least(abs(grad) + group["eps"], beta2 * state.get("exp_inf", 0.0))
        new: Vector = data - group["lr"] / (1.0 - beta1 ** state["step"]) * mean / largest
        return new


class NAdam(Optimizer):
    """NAdam: Adam with Nesterov's momentum, which grows from step to step.

    Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop, with a schedule of the momentum `mu`:

        mu_t <- beta1 (1 - 0.96^(t psi) / 2)              psi: momentum_decay
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        r <- sqrt(v / (1 - beta2^t)) + eps
        p <- p - lr (1 - mu_t) / (1 - mu_1 ... mu_t) g / r - lr mu_(t+1) / (1 - mu_1 ... mu_(t+1)) m / r

    Args:
        parameters: Values, or parameter groups.
        lr: the learning rate, 0 or more.
        betas: the part of each of the two running means that a step keeps, in [0, 1).
        eps: keeps the quotient finite, 0 or more.
        weight_decay: the strength of an L2 penalty, 0 or more; see `decoupled_weight_decay`.
        momentum_decay: how fast the momentum approaches beta1, 0 or more.
        decoupled_weight_decay: whether a step subtracts `lr * weight_decay` times each parameter, as `AdamW` does.
        maximize: whether to move up the gradient instead of down.

    Raises:
        TypeError, ValueError: for invalid settings or parameters.
    """

    vectors = ("exp_avg", "exp_avg_sq")
    scalars = ("mu_product",)

    def __init__(
        self,
        parameters: Parameters,
        lr: NotNegative = 2e-3,
        betas: Fractions = (0.9, 0.999),
        eps: NotNegative = 1e-8,
        weight_decay: NotNegative = 0.0,
        momentum_decay: NotNegative = 4e-3,
        decoupled_weight_decay: Flag = False,
        *,
        maximize: Flag = False,
    ) -> None:
        super().__init__(parameters, **self._settings_among(locals()))

    settings = declared(__init__)

    def _update(self, group: dict[str, Any], state: dict[str, Any], data: Vector, grad: Vector) -> Vector:
        (beta1, beta2), t, lr = group["betas"], state["step"], group["lr"]
        data, grad = _decayed_or_shrunk(group, data, grad)
        mean, square = running_means(group, state, grad)
        mu, following = (beta1 * (1.0 - 0.5 * 0.96 ** (k * group["momentum_decay"])) for k in (t, t + 1))
        product = state["mu_product"] = state.get("mu_product", 1.0) * mu
        root = square_root(square / (1.0 - beta2**t)) + group["eps"]
        here, ahead = lr * (1.0 - mu) / (1.0 - product), lr * following / (1.0 - product * following)
        new: Vector = data - here * grad / root - ahead * mean / root
        return new


class RAdam(Optimizer):
    """RAdam: Adam that moves by the running mean alone until the root mean square has settled.

    Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020, algorithm 2. The length of the
    running mean of squares is `rho_t`, in the limit `rho`:

        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        rho = 2 / (1 - beta2) - 1,  rho_t = rho - 2 t beta2^t / (1 - beta2^t)
        p <- p - lr m / (1 - beta1^t)                                                 while rho_t <= 5, later
        p <- p - lr m / (1 - beta1^t) r sqrt(1 - beta2^t) / (sqrt(v) + eps)
        r = sqrt((rho_t - 4) (rho_t - 2) rho / ((rho - 4) (rho - 2) rho_t))

    Args:
        parameters: Values, or parameter groups.
        lr: the learning rate, 0 or more.
        betas: the part of each of the two running means that a step keeps, in [0, 1).
        eps: keeps the quotient finite, 0 or more.
        weight_decay: the strength of an L2 penalty, 0 or more; see `decoupled_weight_decay`.
        decoupled_weight_decay: whether a step subtracts `lr * weight_decay` times each parameter, as `AdamW` does.
        maximize: whether to move up the gradient instead of down.

    Raises:
        TypeError, ValueError: for invalid settings or parameters.
    """

    vectors = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        parameters: Parameters,
        lr: NotNegative = 1e-3,
        betas: Fractions = (0.9, 0.999),
        eps: NotNegative = 1e-8,
        weight_decay: NotNegative = 0.0,
        decoupled_weight_decay: Flag = False,
        *,
        maximize: Flag = False,
    ) -> None:
        super().__init__(parameters, **self._settings_among(locals()))

    settings = declared(__init__)

    def _update(self, group: dict[str, Any], state: dict[str, Any], data: Vector, grad: Vector) -> Vector:
        (beta1, beta2), t = group["betas"], state["step"]
        data, grad = _decayed_or_shrunk(group, data, grad)
        mean, square = running_means(group, state, grad)
        limit, rest = 2.0 / (1.0 - beta2) - 1.0, 1.0 - beta2**t
        length = limit - 2.0 * t * beta2**t / rest
        step = group["lr"] / (1.0 - beta1**t) * mean
        if length > 5.0:
            ratio = (length - 4.0) * (length - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * length)
            step = (ratio * rest) ** 0.5 * step / (square_root(square) + group["eps"])
        new: Vector = data - step
        return new


def _decayed_or_shrunk(group: dict[str, Any], data: Vector, grad: Vector) -> tuple[Vector, Vector]:
    """Return data and gradient with weight decay in one of them."""
    if group["decoupled_weight_decay"]:
        return data * (1.0 - group["lr"] * group["weight_decay"]), grad
    return data, decayed(group, data, grad)
