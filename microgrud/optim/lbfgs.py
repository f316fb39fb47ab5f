"""L-BFGS: Newton's method with the curvature estimated from the last few steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from ..common.checks import Count, NotNegative, Positive, declared, numbers, one_of, optional, whole
from ..common.numbers import as_float
from ..engine import Value
from ..engine.kernels import divide
from ..engine.vectors import (
    Vector,
    all_finite,
    as_vector,
    dot,
    ieee_arithmetic,
    largest,
    read_data,
    read_gradients,
    sum_of_sizes,
    write_data,
)
from .linesearch import EPSILON, Point, strong_wolfe
from .optimizer import Optimizer


class LBFGS(Optimizer):
    """Limited-memory BFGS: quasi-Newton steps, for losses without noise (whole batches).

    Liu & Nocedal, "On the limited memory BFGS method for large scale optimization", 1989; Nocedal & Wright, "Numerical
    optimization", 2006, algorithms 7.4 and 7.5. The last `history_size` steps `s` and changes of the gradient `y` stand
    for an approximate inverse Hessian `H`, whose n^2 entries are never computed:

        d = -H g                                        the two-loop recursion, H0 = (s.y / y.y) I
        p <- p + t d                                    t from the strong Wolfe line search

    Each `step(closure)` makes up to `max_iter` such iterations, so it evaluates the loss many times. A loss that
    overflows, or leaves the domain of an operation, at a trial point counts as infinitely high.

    Args:
        parameters: Values, or one parameter group.
        lr: the first step to try along a direction; in the very first iteration, `min(1, 1/||g||_1)` times that.
        max_iter: the largest number of iterations in a step.
        max_eval: after this many evaluations a step begins no further iteration; `max_iter * 5 // 4` if None.
        tolerance_grad: stop when no partial derivative is larger than this.
        tolerance_change: stop when no parameter changes by more than this.
        history_size: the number of pairs to keep.
        line_search_fn: `"strong_wolfe"`, or None for the step `lr * d` without a search, PyTorch's default.

    Raises:
        TypeError, ValueError: for invalid settings or parameters.

    >>> x, y = Value(-1.2), Value(1.0)
    >>> optimizer = LBFGS([x, y], max_iter=100)
    >>> def rosenbrock():
    ...     optimizer.zero_grad()
    ...     loss = (1 - x) ** 2 + 100 * (y - x * x) ** 2
    ...     loss.backward()
    ...     return loss
    >>> _ = optimizer.step(rosenbrock)
    >>> abs(x.data - 1) < 1e-8 and abs(y.data - 1) < 1e-8
    True
    """

    needs_closure = True

    def __init__(
        self,
        parameters: Iterable[Value] | Iterable[Mapping[str, Any]],
        lr: Positive = 1.0,
        max_iter: Count = 20,
        max_eval: Annotated[int | None, optional(whole(1))] = None,
        tolerance_grad: NotNegative = 1e-7,
        tolerance_change: NotNegative = 1e-9,
        history_size: Count = 100,
        line_search_fn: Annotated[str | None, one_of("strong_wolfe", None)] = "strong_wolfe",
    ) -> None:
        super().__init__(parameters, **self._settings_among(locals()))

    settings = declared(__init__)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Set the only group: the curvature is estimated for all parameters together."""
        if self.param_groups:
            raise ValueError("LBFGS: expected one parameter group, got a second one; use one list of parameters")
        super().add_param_group(group)
        self.state[0].update(evaluations=0, steps=[], changes=[])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make up to `max_iter` iterations.

        Args:
            closure: clears the gradients, computes the loss, calls `backward()`, returns the loss.

        Returns:
            The result of the closure at the initial parameters.

        Raises:
            TypeError: without a closure.
            ArithmeticError: if loss or gradient are not finite at the initial parameters.

        After any error, the parameters are those of the last complete iteration.
        """
        if closure is None:
            raise TypeError("LBFGS.step: expected a closure that evaluates the loss and its gradient, got None")
        group, state = self.param_groups[0], self.state[0]
        self._check_size(0)
        run = _Run(group["params"], closure)
        here, loss = run.evaluate_start()
        try:
            with ieee_arithmetic():
                self._iterate(group, state, run, here)
        finally:
            write_data(run.parameters, run.position)
            state["evaluations"] += run.evaluations
        return loss

    def _iterate(self, group: dict[str, Any], state: dict[str, Any], run: _Run, here: Point) -> None:
        budget = group["max_eval"] or group["max_iter"] * 5 // 4
        for _ in range(group["max_iter"]):
            gradient = here.gradient
            if gradient is None or largest(gradient) <= group["tolerance_grad"]:
                return
            direction = -inverse_hessian_times(gradient, state["steps"], state["changes"])
            slope = dot(gradient, direction)
            if not -math.inf < slope < 0.0:  # rounding has spoiled the curvature: restart along the gradient
                state["steps"], state["changes"] = [], []
                direction, slope = -gradient, -dot(gradient, gradient)
            first = 1.0 if state["steps"] else min(1.0, 1.0 / sum_of_sizes(gradient))
            there = run.search(group, here._replace(step=0.0, slope=slope), direction, group["lr"] * first)
            if there is None or there.gradient is None:
                return
            moved = there.step * direction
            run.position = run.position + moved
            state["step"] += 1
            self._remember(state, group["history_size"], moved, there.gradient - gradient)
            if largest(moved) <= group["tolerance_change"] or run.evaluations >= budget:
                return
            here = there

    @staticmethod
    def _remember(state: dict[str, Any], most: int, moved: Vector, change: Vector) -> None:
        """Keep a pair only if its curvature is positive beyond rounding, so that H stays positive definite."""
        if dot(moved, change) > EPSILON * dot(change, change):
            state["steps"] = [*state["steps"], moved][-most:]
            state["changes"] = [*state["changes"], change][-most:]

    def _checked_group(self, where: str, saved: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        settings, state = super()._checked_group(where, saved)
        if set(state) != {"step", "evaluations", "steps", "changes"} or len(state["steps"]) != len(state["changes"]):
            raise ValueError(f"{where}: expected step, evaluations and as many steps as changes, got {sorted(state)}")
        return settings, state

    def _checked_entry(self, where: str, name: str, entry: Any, size: int) -> Any:
        if name in ("steps", "changes"):
            return [as_vector(numbers(size)(f"{where}: {name}", vector)) for vector in entry]
        if name == "evaluations":
            return whole(0)(f"{where}: {name}", entry)
        return super()._checked_entry(where, name, entry, size)

    def _kept_vectors(self, state: dict[str, Any]) -> list[Vector]:
        return list(state["steps"])


class _Run:
    """The evaluations of one `step`: the current position of the parameters, and the loss around it."""

    def __init__(self, parameters: list[Value], closure: Callable[[], Any]) -> None:
        self.parameters, self.closure = parameters, closure
        self.position = read_data(parameters)
        self.evaluations = 0

    def evaluate_start(self) -> tuple[Point, Any]:
        """Evaluate at the current position; an error of the closure is raised to the user."""
        loss = self.closure()
        self.evaluations += 1
        value, gradient = _number(loss), read_gradients(self.parameters)
        if not math.isfinite(value) or not all_finite(gradient):
            raise ArithmeticError(f"LBFGS.step: expected a finite loss and gradient to start from, got loss {value}")
        return Point(0.0, value, 0.0, gradient), loss

    def search(self, group: dict[str, Any], start: Point, direction: Vector, step: float) -> Point | None:
        """Return the next point along a direction, None if there is none."""

        def line(step: float) -> Point:
            write_data(self.parameters, self.position + step * direction)
            self.evaluations += 1
            try:
                value = _number(self.closure())
            except (ArithmeticError, ValueError):  # the step was too long: outside the domain, or overflow
                return Point(step, math.inf, math.nan)
            gradient = read_gradients(self.parameters)
            return Point(step, value, dot(gradient, direction), gradient)

        if group["line_search_fn"] is None:
            there = line(step)
            return there if there.finite else None
        return strong_wolfe(line, start, step)


def inverse_hessian_times(vector: Vector, steps: list[Vector], changes: list[Vector]) -> Vector:
    """Multiply a vector by the L-BFGS estimate of the inverse Hessian: the two-loop recursion.

    Nocedal & Wright, algorithm 7.4.

    Args:
        vector: n numbers.
        steps: the last changes of the parameters, oldest first, each n numbers.
        changes: the corresponding changes of the gradient.

    >>> inverse_hessian_times(as_vector([6.0]), [as_vector([1.0])], [as_vector([3.0])])  # f'' = 3
    array([2.])
    """
    if not steps:
        return vector
    result = vector
    weights = []
    for s, y in zip(reversed(steps), reversed(changes)):
        weight = divide(dot(s, result), dot(y, s))
        result = result - weight * y
        weights.append(weight)
    result = result * divide(dot(steps[-1], changes[-1]), dot(changes[-1], changes[-1]))
    for s, y, weight in zip(steps, changes, reversed(weights)):
        result = result + s * (weight - divide(dot(y, result), dot(y, s)))
    return result


def _number(loss: Any) -> float:
    return loss.data if isinstance(loss, Value) else as_float(loss, "LBFGS.step: the loss that closure returned")
