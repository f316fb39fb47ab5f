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
        self._twister = np.random.RandomState(0)

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
        rngs = [_generator(each) for each, _ in self.draws]
        if not all(
            type(each).draw is Dropout.draw and type(rng) is random.Random for (each, _), rng in zip(self.draws, rngs)
        ):
            return np.array([[x for each, size in self.draws for x in each.draw(size)] for _ in range(count)])
        uniforms: dict[int, np.ndarray[Any, Any]] = {}
        for rng in rngs:
            if id(rng) not in uniforms:
                width = sum(size for (_, size), other in zip(self.draws, rngs) if other is rng)
                uniforms[id(rng)] = self._uniforms(rng, count * width).reshape(count, width)
        columns = []
        for (each, size), rng in zip(self.draws, rngs):
            own, uniforms[id(rng)] = np.split(uniforms[id(rng)], [size], axis=1)
            columns.append(np.where(own >= each.p, each.kept, 0.0))
        return np.concatenate(columns, axis=1)

    def _uniforms(self, rng: random.Random, count: int) -> np.ndarray[Any, Any]:
        """Return what so many calls of `rng.random()` return, and leave it in the same state.

        NumPy has the same generator, the Mersenne Twister, and makes floats of its words in the same way, in a
        twentieth of the time.
        """
        version, words, gauss = rng.getstate()
        state: dict[str, Any] = {"key": np.array(words[:-1], dtype=np.uint32), "pos": words[-1]}
        self._twister.set_state({"bit_generator": "MT19937", "state": state})
        numbers = self._twister.random_sample(count)
        state = self._twister.get_state(legacy=False)["state"]
        rng.setstate((version, (*state["key"].tolist(), int(state["pos"])), gauss))
        return numbers

    def undo(self) -> Callable[[], object]:
        """Return a function that puts the generators of the masks back into their present states."""
        rngs = {id(rng): rng for rng in map(_generator, [each for each, _ in self.draws])}
        states = [(rng, rng.getstate()) for rng in rngs.values()]

        def restore() -> None:
            for rng, state in states:
                rng.setstate(state)

        return restore


def _generator(dropout: Dropout) -> random.Random:
    global_one: Any = random.getstate.__self__  # type: ignore[attr-defined]
    rng: random.Random = global_one if dropout.rng is None else dropout.rng
    return rng
