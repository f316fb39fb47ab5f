from collections.abc import Callable
from typing import Any

import numpy.typing as npt

OPERATION_CODES: dict[str, int]
VARIANTS: list[str]
BLOCK: int
ARGUMENT_KINDS: tuple[str, ...]
RESULT_KINDS: tuple[str, ...]
MOST_AXES: int
MOST_REPLAYS: int
#: The statuses of a sample that no guard has left: done, suspicious, left; see `microgrud/tape/numpy_executor.py`.
STATUSES: tuple[int, int, int]

def total(numbers: npt.NDArray[Any], /) -> float: ...

class Tapes:
    """A program as it runs, for arguments of which some vary; see `NativeExecutor`."""

    constants: bytes
    leaf_slots: bytes
    argument_slots: bytes
    inputs: int
    varying: int
    reused: int
    def __init__(
        self,
        codes: npt.NDArray[Any],
        outs: npt.NDArray[Any],
        starts: npt.NDArray[Any],
        operands: npt.NDArray[Any],
        plain: npt.NDArray[Any],
        native_codes: npt.NDArray[Any],
        slots: int,
        constant_slots: npt.NDArray[Any],
        constants: npt.NDArray[Any],
        leaves: npt.NDArray[Any],
        arguments: npt.NDArray[Any],
        numbers: int,
        varies: bytes,
        outputs: npt.NDArray[Any],
        guards: npt.NDArray[Any],
        fewest_to_reuse: int,
        variant: str | None = None,
        /,
    ) -> None: ...
    def run(
        self,
        uniform: npt.NDArray[Any],
        inputs: npt.NDArray[Any],
        seeds: npt.NDArray[Any] | None,
        outputs: npt.NDArray[Any],
        uniform_gradients: npt.NDArray[Any],
        gradients: npt.NDArray[Any],
        status: npt.NDArray[Any],
        threads: int,
        ignore: bool,
        /,
    ) -> None: ...

class Replay:
    """A recording with all that a call does; see `microgrud/tape/replays.py`."""

    def __init__(
        self,
        tapes: Tapes,
        leaves: tuple[Any, ...],
        parts: list[tuple[int, int, int, tuple[int, ...], tuple[str, ...]]],
        rules: bytes,
        result: Any,
        mean: bool,
        ignore: bool,
        threads: int,
        value_type: type,
        offsets: tuple[int, int],
        array_type: type,
        zeros: Callable[..., Any],
        /,
    ) -> None: ...
    def values(self, args: tuple[Any, ...], /) -> Any: ...
    def map(self, args: tuple[Any, ...], /) -> Any: ...
    def backward(self, args: tuple[Any, ...], /) -> Any: ...
    def gradients(
        self,
        args: tuple[Any, ...],
        positions: tuple[int, ...],
        weights: npt.NDArray[Any] | tuple[Any, ...] | None,
        /,
    ) -> Any: ...
    def flat(
        self,
        args: tuple[Any, ...],
        leaves: npt.NDArray[Any] | None,
        slopes: npt.NDArray[Any] | None,
        outputs: npt.NDArray[Any] | None,
        weights: npt.NDArray[Any] | None = None,
        numbers: npt.NDArray[Any] | None = None,
        places: npt.NDArray[Any] | None = None,
        /,
    ) -> Any: ...

class Tree:
    """Recordings for arguments of one structure: each sample is replayed by the one whose branches it takes."""

    def __init__(self, replays: tuple[Replay, ...], /) -> None: ...
    def values(self, args: tuple[Any, ...], /) -> Any: ...
    def map(self, args: tuple[Any, ...], /) -> Any: ...
    def backward(self, args: tuple[Any, ...], /) -> Any: ...
    def gradients(
        self,
        args: tuple[Any, ...],
        positions: tuple[int, ...],
        weights: npt.NDArray[Any] | tuple[Any, ...] | None,
        /,
    ) -> Any: ...
    def flat(
        self,
        args: tuple[Any, ...],
        leaves: npt.NDArray[Any] | None,
        slopes: npt.NDArray[Any] | None,
        outputs: npt.NDArray[Any] | None,
        weights: npt.NDArray[Any] | None = None,
        numbers: npt.NDArray[Any] | None = None,
        places: npt.NDArray[Any] | None = None,
        /,
    ) -> Any: ...
