from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine import Value as Value
from ..engine.operation import Operation

#: Byte offsets of data and grad in a Value.
NUMBER_OFFSETS: tuple[int, int]

class Function:
    """A function of microgrud as a callable of C; it has the signature and the docstring of the one it stands for."""

    __wrapped__: Callable[..., Any]
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

def adopt(python_value: type, topological_order: Callable[..., Any], /) -> Function: ...
def accelerate(function: Callable[..., Any], operation: Operation, /) -> Function: ...
def read_numbers(parameters: Sequence[Value], of_gradients: bool, vector: npt.NDArray[Any], /) -> None: ...
def add_to_numbers(parameters: Sequence[Value], of_gradients: bool, vector: npt.NDArray[Any], /) -> None: ...
def write_numbers(parameters: Sequence[Value], of_gradients: bool, vector: npt.NDArray[Any], /) -> None: ...
def find_parameters(
    module: object, kind: type, leaves_and: Callable[..., Any], named: Callable[..., Any], /
) -> list[Value]: ...
def clear_gradients(parameters: Iterable[Value], /) -> None: ...
def held_outside(
    order: list[Value], holding: list[Value], weight: int, inputs: list[Value], dependent: bool, /
) -> Value | None: ...
def all_identical(containers: list[Any], contents: list[tuple[Any, ...]], /) -> bool: ...
def flatten(ends: tuple[Value | float, ...], known: tuple[Operation, ...], /) -> tuple[Any, ...]: ...
def build(
    codes: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int32],
    operands: npt.NDArray[np.int32],
    numbers: npt.NDArray[np.float64],
    data: npt.NDArray[np.float64],
    leaf_slots: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    roles: npt.NDArray[np.int8],
    outputs: int,
    linear: int,
    /,
) -> tuple[Any, ...]: ...
def lower(
    codes: npt.NDArray[np.int32],
    outs: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int32],
    operands: npt.NDArray[np.int32],
    plains: npt.NDArray[np.int32],
    varies: npt.NDArray[np.uint8],
    indices: npt.NDArray[np.int32],
    native_codes: npt.NDArray[np.int32],
    /,
) -> tuple[Any, ...]: ...
def reuse(
    numbers: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int32],
    inputs: npt.NDArray[np.int32],
    pinned: npt.NDArray[np.uint8],
    uniform: int,
    /,
) -> tuple[Any, ...]: ...
