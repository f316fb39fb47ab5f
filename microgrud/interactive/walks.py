"""Walks of gradient descent, step by step as `microgrud.optim.SGD` takes them, and what they look like in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..engine import Value
from ..optim import SGD
from .charts import short
from .program import Program


@dataclass
class Walk:
    """A walk of gradient descent.

    Attributes:
        start: where it starts.
        lr: the learning rate.
        positions: the place before the first step and after each, as far as the loss is a finite number there.
        losses: the loss at each of these places.
        end: empty for a walk of all its steps, otherwise why it ends after the last of its places: `"overflow"` where
            numbers become too large, `"undefined"` where the loss has no value, `"steep"` where its slope is infinite.
        beyond: the finite place at which it ends then.
    """

    start: tuple[float, ...]
    lr: float
    positions: list[tuple[float, ...]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    end: str = ""
    beyond: tuple[float, ...] | None = field(default=None, repr=False)

    def words(self, step: int, name: str, inside: bool) -> str:
        """Return what the walk has come to after some steps.

        Args:
            step: the number of steps.
            name: the name of the walk.
            inside: whether its place then is within the picture.
        """
        last = len(self.losses) - 1
        if self.end and step > last:
            where = f"{name}: at step {last + 1} the loss "
            if self.end == "overflow":
                return f"{where}is too large for a number. The walk diverges."
            return f"{where}has no {'finite slope' if self.end == 'steep' else 'value'}. The walk ends."
        loss, first = self.losses[step], self.losses[0]
        text = f"{name}: step {step}, at {point_in_words(self.positions[step])}, loss {short(loss, 4)}"
        if not inside:
            text += ", outside of the picture"
        if step == 0 or step < last:
            return f"{text}."
        if loss < first:
            return f"{text}, down from {short(first, 4)}."
        if loss == first:
            return f"{text}, as at the start."
        verdict = "The walk diverges." if loss == max(self.losses) else "Its steps are too large."
        return f"{text}, up from {short(first, 4)}. {verdict}"


def point_in_words(point: Sequence[float]) -> str:
    """Return a point as text.

    >>> point_in_words([1.0]), point_in_words([1.0, 2.5])
    ('1', '(1, 2.5)')
    """
    numbers = ", ".join(short(x, 4) for x in point)
    return numbers if len(point) == 1 else f"({numbers})"


def walk(program: Program, start: Sequence[float], lr: float, momentum: float, steps: int) -> Walk:
    """Walk downhill by `microgrud.optim.SGD`.

    >>> walk(Program(lambda x: x * x, 1), [1.0], 0.25, 0.0, 2)
    Walk(start=(1.0,), lr=0.25, positions=[(1.0,), (0.5,), (0.25,)], losses=[1.0, 0.25, 0.0625], end='')
    """
    result = Walk(tuple(start), lr)
    parameters = [Value(x) for x in start]
    optimizer = SGD(parameters, lr=lr, momentum=momentum)
    for step in range(steps + 1):
        place = tuple([p.data for p in parameters])
        if not all(map(math.isfinite, place)):
            result.end = "overflow"
            break
        result.beyond = place
        try:
            loss, gradient = program.value_and_gradient(place)
        except (ValueError, ArithmeticError) as error:
            result.end = "overflow" if isinstance(error, OverflowError) else "undefined"
            break
        if not all(map(math.isfinite, (loss, *gradient))):
            result.end = "steep" if math.isfinite(loss) else "overflow"
            break
        result.beyond = None
        result.positions.append(place)
        result.losses.append(loss)
        if step < steps:
            for parameter, slope in zip(parameters, gradient):
                parameter.grad = slope
            optimizer.step()
    return result
