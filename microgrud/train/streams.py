"""Streams: training data that are read batch by batch in each epoch, so that they may be larger than memory.

A stream can be resumed from a checkpoint if its batches are the same in each epoch, or a function of the number of the
epoch. So with a checkpoint the first batch is read twice and compared, and so are the epochs, by their SHA-256.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np

from ..autodiff.tables import is_table
from .batches import Rows, Samples, check_samples

_RESUMABLE = (
    "to resume a run, its batches have to be the same in each epoch, or given by a function of the number of the "
    "epoch: fit(model, lambda epoch: ...), whose random choices depend on nothing but that number"
)


class Stream:
    """The batches of a run.

    Args:
        source: an iterable of batches (X, y) or (X, y, sample_weight), or a function that returns one; it is given the
            number of the epoch, from 1, if it has a parameter.
        epochs: the number of epochs.
        compared: whether batches are compared, as a checkpoint needs.
        weights: the argument `sample_weight`, which has to be None.

    Attributes:
        first: the first batch of the first epoch.

    Raises:
        TypeError: if the source is neither, or a batch is neither a pair nor a triple.
        ValueError: if there are no batches, if they can be read once only, or if those to compare differ.
    """

    def __init__(self, source: Any, epochs: int, compared: bool, weights: Any = None) -> None:
        if weights is not None:
            raise ValueError("fit: sample_weight: expected None with batches, got weights; give (X, y, sample_weight)")
        if hasattr(source, "dtype") or is_table(source) or isinstance(source, (str, bytes, dict)):
            raise TypeError("fit: y: expected targets, got None; without y, X has to be batches (X, y)")
        if hasattr(source, "loaders"):
            raise TypeError("fit: client: expected a dask.distributed.Client with shards, got None; write client=...")
        if not callable(source) and not isinstance(source, Iterable):
            got = f"an object of type {type(source).__name__}"
            raise TypeError(
                f"fit: X: expected batches (X, y), or a function that returns an iterator of them, got {got}"
            )
        if isinstance(source, Iterator) and (epochs > 1 or compared):
            raise ValueError(
                f"fit: X: expected batches that can be read anew in each of {epochs} epochs"
                f"{' and by a run that resumes this one' if compared else ''}, got a {type(source).__name__}, which "
                "can be read once; give a function that returns a new one: fit(model, lambda: batches(...))"
            )
        self.source, self.compared = source, compared
        self.by_epoch = callable(source) and _takes_epoch(source)
        self.length: int | None = len(source) if hasattr(source, "__len__") else None
        self._digest = hashlib.sha256()
        self._saved: str | None = None  # the digest of the batches that a resumed run has to skip
        self._first_epoch: str | None = None
        self._opened = self._open(1)
        self.first = self._check(next(self._opened, None), 1, 1)
        if compared and fingerprint(self._check(next(self._open(1), None), 1, 1)) != fingerprint(self.first):
            raise ValueError(f"fit: checkpoint: the first batch is another one if it is read again; {_RESUMABLE}")
        if not isinstance(source, Iterator):
            self._opened = iter(())

    def batches(self, epoch: int, skip: int) -> Iterator[Samples]:
        """Yield the batches of an epoch, without the first ones, which are those of the run that this one resumes."""
        self._digest = hashlib.sha256()
        given = chain([self.first], self._opened) if isinstance(self.source, Iterator) else self._open(epoch)
        number = 0
        for number, batch in enumerate(given, start=1):
            samples = batch if batch is self.first else self._check(batch, epoch, number)
            if self.compared:
                self._digest.update(fingerprint(samples))
            if number == skip and self._digest.hexdigest() != self._saved:
                break
            if number > skip:
                yield samples
        if number < max(skip, 1) or (number == skip and self._digest.hexdigest() != self._saved):
            if skip:
                raise ValueError(f"fit: resume: epoch {epoch} has other batches than in the stopped run; {_RESUMABLE}")
            self._check(None, epoch, 1)

    def end_epoch(self, epoch: int) -> None:
        """Compare the epoch with the first one."""
        if self.compared and not self.by_epoch:
            digest = self._digest.hexdigest()
            if self._first_epoch not in (None, digest):
                raise ValueError(f"fit: checkpoint: epoch {epoch} has other batches than the first one; {_RESUMABLE}")
            self._first_epoch = digest

    def state(self) -> list[str | None]:
        """Return what a checkpoint holds: the digests of the batches of this epoch so far, and of the first epoch."""
        return [self._digest.hexdigest(), self._first_epoch]

    def restore(self, state: list[str | None]) -> None:
        """Continue from a state that `state` returned."""
        self._saved, self._first_epoch = state

    def _open(self, epoch: int) -> Iterator[Any]:
        if not callable(self.source):
            return iter(self.source)
        return iter(self.source(epoch) if self.by_epoch else self.source())

    def _check(self, batch: Any, epoch: int, number: int) -> Samples:
        """Return a batch with the columns of the first one."""
        if batch is None:
            raise ValueError(
                f"fit: X: expected at least one batch in epoch {epoch}, got none; if X is a function, it has to return "
                "a new iterator at each call"
            )
        where = f"fit: epoch {epoch}, batch {number}"
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise TypeError(
                f"{where}: expected a pair (X, y) or a triple (X, y, sample_weight), got "
                f"{f'{len(batch)} items' if isinstance(batch, (tuple, list)) else f'a {type(batch).__name__}'}"
            )
        samples, first = check_samples(where, *batch), getattr(self, "first", None)
        if first is None:
            return samples
        width, expected = samples.rows.array.shape[1], first.rows.array.shape[1]
        if width != expected:
            raise ValueError(f"{where}: expected rows of {expected} numbers as in the first batch, got {width}")
        floats = [k for k in first.rows.integers if k not in samples.rows.integers]
        if floats:
            raise ValueError(
                f"{where}: expected integers in column {floats[0]} as in the first batch, got floats; give floats, "
                "such as 1.0, in all batches"
            )
        if (samples.weights is None) != (first.weights is None):
            raise ValueError(f"{where}: expected sample weights in all batches or in none, got them in some")
        return samples.with_integers(first.rows.integers)


def fingerprint(samples: Samples) -> bytes:
    """Return the SHA-256 of the numbers of a batch."""
    digest = hashlib.sha256(repr((samples.rows.array.shape, samples.rows.integers)).encode())
    for part in samples:
        if isinstance(part, (Rows, np.ndarray)):
            array = np.ascontiguousarray(part.array if isinstance(part, Rows) else part)
            digest.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.digest()


def _takes_epoch(source: Callable[..., Any]) -> bool:
    """Return whether a function has a positional parameter without a default."""
    try:
        parameters = inspect.signature(source).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
