from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt

from ..engine import Value as Value
from ..operation import Operation

#: Of data and grad in a Value, in bytes.
NUMBER_OFFSETS: tuple[int, int]

class Function:
    """A function of microgrud as a callable of C; it has the signature and the docstring of the one it stands for."""

    __wrapped__: Callable[..., Any]
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

def adopt(python_value: type, topological_order: Callable[..., Any], /) -> Function: ...
def accelerate(function: Callable[..., Any], operation: Operation, /) -> Function: ...
def read_numbers(parameters: Sequence[Value], of_gradients: bool, vector: npt.NDArray[Any], /) -> None: ...
def write_numbers(parameters: Sequence[Value], of_gradients: bool, vector: npt.NDArray[Any], /) -> None: ...
