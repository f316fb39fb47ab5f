"""The masks of Dropout as inputs of a batch: drawn anew at each step, and given to recordings as numbers.

They are drawn from the generators of the modules in the order in which the model itself would draw them, sample by
sample. So a run with recordings draws the same numbers as one without, and leaves the generators in the same states,
which a checkpoint holds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..nn.dropout import Dropout, masks_from
from ..tape.recorder import CompileError


class Masks:
    """The masks that one call of a model takes, and their numbers for the samples of a batch.

    Attributes:
        draws: each Dropout that draws, and the number of its inputs, in the order of a call.
        first: the numbers of the masks in the first call.
    """

    def __init__(self) -> None:
        self.draws: list[tuple[Dropout, int]] = []
        self.first: list[float] = []

    @contextmanager
    def finding(self) -> Iterator[None]:
        """Note which masks the call inside the block takes; it gets 0 and 1, and draws from no generator."""
        rng = random.Random(0)

        def source(dropout: Dropout, count: int) -> list[float]:
            self.draws.append((dropout, count))
            mask = [float(rng.random() < 0.5) for _ in range(count)]
            self.first += mask
            return mask

        with masks_from(source):
            yield

    @contextmanager
    def given(self, numbers: Sequence[Any]) -> Iterator[None]:
        """Give these numbers, those of all masks of a call, to the call inside the block.

        Raises:
            CompileError: if it takes other masks than the first call.
        """
        waiting = iter(self.draws)
        place = 0

        def source(dropout: Dropout, count: int) -> Sequence[Any]:
            nonlocal place
            if next(waiting, None) != (dropout, count):
                raise CompileError("a sample draws other Dropout masks than the first one")
            place += count
            return numbers[place - count : place]

        with masks_from(source):
            yield
        if next(waiting, None) is not None:
            raise CompileError("a sample draws fewer Dropout masks than the first one")

    def draw(self, count: int) -> np.ndarray[Any, Any] | None:
        """Return new masks for so many samples, a row for each; None if there are none."""
        if not self.draws:
            return None
        return np.array([[x for each, size in self.draws for x in each.draw(size)] for _ in range(count)])

    def undo(self) -> Callable[[], object]:
        """Return a function that puts the generators of the masks back into their present states."""
        states = [(rng, rng.getstate()) for rng in self._generators()]
        return lambda: [rng.setstate(state) for rng, state in states]

    def _generators(self) -> list[Any]:
        return list({id(each.rng): random if each.rng is None else each.rng for each, _ in self.draws}.values())
