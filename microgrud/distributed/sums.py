"""Sums over shards in one tree, whichever worker holds which shard: the result has the same bits for any of them.

The shards are the leaves of a binary tree. Node (level, k) is the sum of nodes (level - 1, 2 k) and
(level - 1, 2 k + 1), and a node without a sibling goes up alone. A worker adds what it can of the tree, and hands on
what is left.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ..engine.vectors import Vector

#: Sums by the level and the number of their nodes; None for a shard that takes no part.
Sums: TypeAlias = dict[tuple[int, int], Vector | None]


def add_up(sums: Sums, shards: int) -> Sums:
    """Return sums in which each two siblings are replaced by their parent; only the root is left if none is lacking.

    Args:
        sums: the known nodes of the tree; a shard k is the node (0, k).
        shards: the number of shards.

    >>> import numpy as np
    >>> add_up({(0, 2): np.array([1.0]), (0, 3): np.array([2.0]), (0, 4): np.array([4.0])}, 5)
    {(1, 1): array([3.]), (2, 1): array([4.])}
    """
    found = dict(sums)
    for level in range(shards.bit_length()):
        size = (shards + (1 << level) - 1) >> level  # nodes of this level
        for _, k in sorted(key for key in found if key[0] == level):
            left, right, parent = (level, k & ~1), (level, k | 1), (level + 1, k >> 1)
            if size > 1 and right[1] >= size:
                found[parent] = found.pop(left)
            elif left in found and right in found:
                found[parent] = _plus(found.pop(left), found.pop(right))
    return found


def _plus(left: Vector | None, right: Vector | None) -> Vector | None:
    if left is None or right is None:
        return right if left is None else left
    with np.errstate(invalid="ignore", over="ignore"):  # training diverges, which `fit` says
        return left + right
