"""Check the cells of a table in one test: all are checked, and each that fails is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Cell = Callable[..., AbstractContextManager[None]]


@contextmanager
def every_cell() -> Iterator[Cell]:
    """Yield a context manager for one cell, given its name; fail at the end for all cells that have raised."""
    failed: list[tuple[tuple[object, ...], Exception]] = []

    @contextmanager
    def cell(*name: object) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            failed.append((name, error))

    yield cell
    if failed:
        lines = [f"{name}: {type(error).__name__}: {error}" for name, error in failed]
        raise AssertionError("\n".join([f"{len(failed)} cells fail", *lines])) from failed[0][1]
