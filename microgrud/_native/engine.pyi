from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy.typing as npt

from ..common.numbers import Number
from ..engine import Value as Value
from ..engine.operation import Operation

#: Byte offsets of data and grad in a Value.
NUMBER_OFFSETS: tuple[int, int]
#: The names of the roles of operations in a program, by their numbers.
ROLES: tuple[str, ...]
#: The symbols of comparisons, by their numbers in guards of the tape.
COMPARISONS: tuple[str, ...]

class Function:
    """A function of microgrud as a callable of C; it has the signature and the docstring of the one it stands for."""

    __wrapped__: Callable[..., Any]
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

class Subgraph:
    """The twin of microgrud.autodiff.subgraph.Subgraph."""

    outside: Value | None
    def __init__(
        self, outputs: list[Value], inputs: list[Value], ends_at_inputs: bool, generation: int = 0, /
    ) -> None: ...
    def pull_back(self, output: int, as_numbers: bool, /) -> list[Number]: ...
    def push_forward(self, tangents: list[Number], as_numbers: bool, /) -> list[Number]: ...

def next_generation() -> int: ...
def adopt(python_value: type, /) -> None: ...
def accelerate(function: Any, key: Operation | str, /) -> Any: ...
def new_leaves(numbers: npt.NDArray[Any], /) -> list[Value]: ...
def read_numbers(parameters: Sequence[Value], of_gradients: bool, vector: npt.NDArray[Any], /) -> None: ...
def add_to_numbers(parameters: Sequence[Value], of_gradients: bool, vector: npt.NDArray[Any], /) -> None: ...
def write_numbers(parameters: Sequence[Value], of_gradients: bool, vector: npt.NDArray[Any], /) -> None: ...
def norm(vector: npt.NDArray[Any], /) -> float | None: ...
def update(
    parameters: Sequence[Value],
    formula: str,
    constants: tuple[float, ...],
    vectors: tuple[npt.NDArray[Any] | None, ...],
    /,
) -> bool: ...
def find_parameters(
    module: object,
    kind: type,
    leaves_and: Callable[..., Any],
    named: Callable[..., Any],
    libraries: frozenset[str],
    /,
) -> list[Value]: ...
def has_parameters(
    module: object,
    kind: type,
    leaves_and: Callable[..., Any],
    named: Callable[..., Any],
    libraries: frozenset[str],
    known: tuple[Value, ...],
    /,
) -> bool: ...
def clear_parameters(
    module: object,
    kind: type,
    leaves_and: Callable[..., Any],
    named: Callable[..., Any],
    libraries: frozenset[str],
    /,
) -> None: ...
def clear_gradients(parameters: Iterable[Value], /) -> None: ...
def are_distinct_leaves(parameters: list[Any], /) -> bool: ...
def held_outside(
    order: list[Value], holding: list[Value], weight: int, inputs: list[Value], dependent: bool, /
) -> list[Value]: ...
def all_identical(containers: list[Any], contents: list[tuple[Any, ...]], /) -> bool: ...
def build(
    known: tuple[Operation, ...],
    roles: bytes,
    ends: tuple[Value | float, ...],
    inputs: tuple[Value, ...],
    ends_again: tuple[Value | float, ...],
    inputs_again: tuple[Value, ...],
    outputs: int,
    /,
) -> tuple[Any, ...] | None: ...
