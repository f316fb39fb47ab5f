"""Dropout: in training mode, some of the inputs are set to 0 at random.

`fit` gives its recordings the random numbers as inputs of the batch (see `microgrud.train.masks`); it draws them from
the generators of the modules in the order in which the modules themselves would draw.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..common.checks import real
from ..common.numbers import Interval, Number, as_sequence
from ..engine import tracing
from ..typing import Output
from .initializers import get_random_source
from .rows import PerSample, numbers_of, rows_of

#: A function from a Dropout and the number of its inputs to a mask.
MaskSource = Callable[["Dropout", int], Sequence[Number]]

_source: ContextVar[MaskSource | None] = ContextVar("microgrud_masks", default=None)
_probability = real(Interval(0.0, 1.0))


@contextmanager
def masks_from(source: MaskSource) -> Iterator[None]:
    """Take the masks of every Dropout in this thread or task from a function inside the block."""
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


class Dropout(PerSample):
    """Multiply each input by 0 with probability p, otherwise by 1/(1 - p), in training mode; change nothing after eval.

        y[i] = x[i] * m[i],    m[i] = 0 with probability p, 1/(1 - p) otherwise

    So the expectation of an output is its input. Each call draws a new mask, for a table one for each row. `fit`
    records models with Dropout: it draws the masks anew for each batch. A function of your own for `compile` is given
    the mask as an argument, or the module in evaluation mode.

    Source: Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting.

    Args:
        p: the probability of 0, from 0 to 1.
        rng: a `random.Random`, a seed, or None for the global generator that `random.seed` controls.

    Attributes:
        p: as given; may be changed.
        rng: the `random.Random`, or None.

    Raises:
        TypeError, ValueError: for invalid arguments.
        RuntimeError: (from a call in training mode) inside `compile`, whose recording would always have one mask.

    >>> dropout = Dropout(0.5, rng=1)
    >>> dropout([1.0, 2.0, 3.0, 4.0])
    [0.0, 4.0, 6.0, 0.0]
    >>> dropout.eval()([1.0, 2.0])
    [1.0, 2.0]
    """

    def __init__(self, p: float = 0.5, rng: random.Random | int | None = None) -> None:
        self.p: float = _probability("Dropout: p", p)
        source: Any = get_random_source(rng)
        self.rng: random.Random | None = None if source is random else source  # a module has no deep copy

    def __call__(self, x: Any, mask: Sequence[Number] | None = None) -> Output:
        """Return the outputs for one sample, as a list, or a number for a number; for a table, a list for each row.

        Args:
            x: the inputs.
            mask: the factors, one for each input, as `draw` returns them; drawn if None. In evaluation mode there is
                no mask.

        Raises:
            ValueError: if there are not as many factors as inputs; or a table with one mask.
        """
        if mask is not None and rows_of(x) is not None:
            raise ValueError("Dropout: mask: expected the inputs of one sample, got a table; call it for each row")
        output: Any = super().__call__(x) if mask is None else self.forward(x, mask)
        return output  # type: ignore[no-any-return]

    def forward(self, x: Any, mask: Sequence[Number] | None = None) -> Any:
        """Return the outputs for one sample."""
        xs, is_number = numbers_of(x, "Dropout")
        if self.training and (mask is not None or self.p > 0.0):
            factors = _mask_for(self, len(xs)) if mask is None else as_sequence(mask, "Dropout: mask")
            if len(factors) != len(xs):
                raise ValueError(f"Dropout: mask: expected {len(xs)} numbers, one for each input, got {len(factors)}")
            xs = tuple([x * factor for x, factor in zip(xs, factors)])
        return xs[0] if is_number else list(xs)

    def draw(self, count: int) -> list[float]:
        """Return a new mask for so many inputs: a list of 0 and 1/(1 - p)."""
        p, kept = self.p, self.kept
        uniform = random.random if self.rng is None else self.rng.random
        return [kept if uniform() >= p else 0.0 for _ in range(count)]

    @property
    def kept(self) -> float:
        """1/(1 - p), the factor of inputs that are kept."""
        return 1.0 / (1.0 - self.p) if self.p < 1.0 else 0.0

    def _arguments(self) -> dict[str, Any]:
        return {"p": float(self.p)}

    def __repr__(self) -> str:
        return f"Dropout({self.p})"


def _mask_for(dropout: Dropout, count: int) -> Sequence[Number]:
    """Return a mask from the present source.

    A function, not a method: `fit` compares all attributes that methods of this package use, and the generator changes
    at each draw.
    """
    source = _source.get()
    if source is not None:
        return source(dropout, count)
    if tracing.current() is not None:
        raise RuntimeError(
            "Dropout: expected evaluation mode inside a recording, got training mode, whose mask would be the same at "
            "every replay; call model.eval() first, or draw the mask outside and pass it as an argument of the "
            "compiled function: dropout(x, mask), with mask = dropout.draw(len(x))"
        )
    return dropout.draw(count)
