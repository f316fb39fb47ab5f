from collections.abc import Callable
from typing import Any

import numpy.typing as npt

OPERATION_CODES: dict[str, int]
VARIANTS: list[str]
BLOCK: int
ARGUMENT_KINDS: tuple[str, ...]
MOST_AXES: int
MOST_REPLAYS: int
CODE_LINEAR: int
CODE_MATRIX: int
CODE_TAKE: int
CODE_DETACH: int
CODE_DOT: int
CODE_SOFTMAX: int
CODE_LOG_SOFTMAX: int
CODE_TANH: int

def total(numbers: npt.NDArray[Any], /) -> float: ...

class Tape:
    """A program for the interpreter."""

    def __init__(
        self,
        uniform_count: int,
        varying_count: int,
        code: npt.NDArray[Any],
        starts: npt.NDArray[Any],
        inputs: npt.NDArray[Any],
        outputs: npt.NDArray[Any],
        guards: npt.NDArray[Any],
        constants: npt.NDArray[Any],
        variant: str | None = None,
        forward_only: bool = False,
        movable: bool = False,
        /,
    ) -> None: ...
    def run(
        self,
        samples: int,
        inputs: npt.NDArray[Any],
        uniform: npt.NDArray[Any],
        seeds: npt.NDArray[Any] | None,
        outputs: npt.NDArray[Any],
        gradients: npt.NDArray[Any] | None,
        uniform_gradients: npt.NDArray[Any] | None,
        status: npt.NDArray[Any],
        ignore: bool,
        threads: int,
        /,
    ) -> None: ...
    def run_alone(self, uniform: npt.NDArray[Any], gradients: npt.NDArray[Any] | None, /) -> bool: ...

class Replay:
    """A recording with all that a call does; see `microgrud/tape/replays.py`."""

    def __init__(
        self,
        uniform: Tape,
        batch: Tape,
        forward: Tape,
        constants: npt.NDArray[Any],
        leaves: tuple[Any, ...],
        leaf_slots: npt.NDArray[Any],
        parts: list[tuple[int, int, int, tuple[int, ...]]],
        argument_count: int,
        number_slots: npt.NDArray[Any],
        integers: npt.NDArray[Any],
        outputs: npt.NDArray[Any],
        guards: npt.NDArray[Any],
        guard_numbers: npt.NDArray[Any],
        outcomes: bytes,
        mean: bool,
        ignore: bool,
        threads: int,
        engine: Any,
        array_type: type,
        zeros: Callable[..., Any],
        /,
    ) -> None: ...
    def values(self, args: tuple[Any, ...], /) -> Any: ...
    def backward(self, args: tuple[Any, ...], /) -> Any: ...
    def gradients(
        self, args: tuple[Any, ...], positions: tuple[int, ...], weights: npt.NDArray[Any] | None, /
    ) -> Any: ...

class Tree:
    """Recordings for arguments of one structure: each sample is replayed by the one whose branches it takes."""

    def __init__(self, replays: tuple[Replay, ...], /) -> None: ...
    def values(self, args: tuple[Any, ...], /) -> Any: ...
    def backward(self, args: tuple[Any, ...], /) -> Any: ...
    def gradients(
        self, args: tuple[Any, ...], positions: tuple[int, ...], weights: npt.NDArray[Any] | None, /
    ) -> Any: ...
