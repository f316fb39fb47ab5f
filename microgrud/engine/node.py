"""The protocol of a node: the parts of a Value that the files below `value.py` rely on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, TypeVar

from ..common.numbers import Number, Real

NodeT = TypeVar("NodeT", bound="Node")
RecordedT_co = TypeVar("RecordedT_co", covariant=True)


class Node(Protocol):
    """One number in a graph; `Value` documents its attributes."""

    _data: float
    _grad: float
    _operation: Any  # an Operation, or a string for a leaf or a node built by hand
    _operands: Any  # the parents, and the plain numbers among the operands
    _closure: Callable[[], None] | None
    label: str

    @property
    def _prev(self) -> tuple[Any, ...]:
        """The parents."""

    @property
    def _op(self) -> str:
        """The symbol of the operation."""


class RecordsOperations(Protocol[RecordedT_co]):
    """The `self` of an operator or a method: its class records operations as nodes."""

    @staticmethod
    def _record(operation: Any, *operands: Number) -> RecordedT_co:
        """Compute the result of an operation, and return it as a node."""


#: The other operand of an operator.
Operand: TypeAlias = "RecordsOperations[Any] | Real"
