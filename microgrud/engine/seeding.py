"""Seeds: a node over several others, whose adjoints are given numbers or Values in a reverse pass from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..common.numbers import Number
from .copying import restore
from .node import NodeT
from .operation import Operation


def _seeds(out: Number, *operands: Number) -> list[Number]:
    count = len(operands) // 2
    return [*operands[count:], *[None] * count]


#: The operands are nodes, followed by the seed of each. Its number means nothing.
SEEDED = Operation("seeded", "seeded", None, lambda *xs: 0.0, _seeds, None, (), total=True)


def seeded(kind: type[NodeT], outputs: Sequence[Any], seeds: Sequence[Number]) -> NodeT:
    """Return a node whose derivative with respect to each output is the seed, in `no_grad` too.

    The derivatives of the seeds do not count, as those of an adjoint do not.
    """
    return restore(kind, (), 0.0, 0.0, "", SEEDED, (*outputs, *seeds), None)
