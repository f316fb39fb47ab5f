"""Optimizers that use the signs of gradients: Rprop and Lion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from ..common.checks import NOT_NEGATIVE, POSITIVE, Flag, Fractions, NotNegative, declared, pair, real
from ..engine.vectors import Vector, at_least, by_sign, clipped, sign
from .first_order import Parameters
from .optimizer import Optimizer


class Rprop(Optimizer):
    """Resilient backpropagation: each parameter has a step size of its own, which only signs change.

    Riedmiller & Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm", 1993, in
    the form without a return to the last point (iRprop-, Igel & Huesken 2000). For whole batches: the noise of small
    ones changes signs. With `etas` (eta-, eta+), for each parameter, from a step size of `lr`:

        s <- eta+ s    if g has the sign that it had at the last step
        s <- eta- s,  g <- 0    if it has the opposite one
        s <- min(max(s, smallest), largest)
        p <- p - s sign(g)

    Args:
        parameters: Values, or parameter groups.
        lr: the first step size, 0 or more. It has no effect after the first step: no schedule changes the rate.
        etas: the factors that shorten and lengthen a step, one below 1 and one above.
        step_sizes: the smallest and the largest step.
        maximize: whether to move up the gradient instead of down.

    Raises:
        TypeError, ValueError: for invalid settings or parameters.
    """

    vectors = ("prev", "step_size")

    def __init__(
        self,
        parameters: Parameters,
        lr: NotNegative = 1e-2,
        etas: Annotated[tuple[float, float], pair(real(POSITIVE))] = (0.5, 1.2),
        step_sizes: Annotated[tuple[float, float], pair(real(NOT_NEGATIVE))] = (1e-6, 50.0),
        *,
        maximize: Flag = False,
    ) -> None:
        super().__init__(parameters, **self._settings_among(locals()))

    settings = declared(__init__)

    def _checked(self, settings: Mapping[str, Any], where: str) -> dict[str, Any]:
        checked = super()._checked(settings, where)
        if not checked["etas"][0] < 1.0 < checked["etas"][1]:
            raise ValueError(f"{where}: etas: expected one factor below 1 and one above, got {checked['etas']}")
        if checked["step_sizes"][0] > checked["step_sizes"][1]:
            raise ValueError(f"{where}: step_sizes: expected the smaller one first, got {checked['step_sizes']}")
        return checked

    def _update(self, group: dict[str, Any], state: dict[str, Any], data: Vector, grad: Vector) -> Vector:
        (shorter, longer), (smallest, largest) = group["etas"], group["step_sizes"]
        direction = sign(grad)
        turn = direction * state.get("prev", 0.0)  # of signs: a product of small gradients would be 0
        size = state.get("step_size", group["lr"]) * by_sign(turn, shorter, 1.0, longer)
        state["step_size"] = size = at_least(clipped(size, largest), smallest)
        state["prev"] = direction = direction * by_sign(turn, 0.0, 1.0, 1.0)
        new: Vector = data - size * direction
        return new


class Lion(Optimizer):
    """Lion: a step of one length for all parameters, in the direction of the signs of a running mean.

    Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, algorithm 2. With `d` for weight decay:

        c <- beta1 m + (1 - beta1) g
        p <- p - lr (sign(c) + d p)
        m <- beta2 m + (1 - beta2) g

    Every parameter moves by `lr`, so that rates are 3 to 10 times smaller than those of `AdamW`, and weight decay as
    many times stronger.

    Args:
        parameters: Values, or parameter groups.
        lr: the learning rate, 0 or more.
        betas: the part of the running mean in the direction, and the part of it that a step keeps, in [0, 1).
        weight_decay: each step subtracts `lr * weight_decay` times each parameter; 0 or more.
        maximize: whether to move up the gradient instead of down.

    Raises:
        TypeError, ValueError: for invalid settings or parameters.
    """

    vectors = ("exp_avg",)

    def __init__(
        self,
        parameters: Parameters,
        lr: NotNegative = 1e-4,
        betas: Fractions = (0.9, 0.99),
        weight_decay: NotNegative = 0.0,
        *,
        maximize: Flag = False,
    ) -> None:
        super().__init__(parameters, **self._settings_among(locals()))

    settings = declared(__init__)

    def _update(self, group: dict[str, Any], state: dict[str, Any], data: Vector, grad: Vector) -> Vector:
        (beta1, beta2), lr, mean = group["betas"], group["lr"], state.get("exp_avg", 0.0)
        direction = sign(beta1 * mean + (1.0 - beta1) * grad)
        state["exp_avg"] = beta2 * mean + (1.0 - beta2) * grad
        new: Vector = data * (1.0 - lr * group["weight_decay"]) - lr * direction
        return new
