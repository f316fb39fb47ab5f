"""What is known of one partial derivative: its limits from either side, and how far they may be off."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Slope:
    """The derivative of a function by one input at one point, as found without differentiating its code.

    Attributes:
        left: the limit of the derivative from below; None where the function is not defined there.
        right: the limit from above, likewise.
        error: by how much either may be off, in the units of the derivative.
        method: how it was found: `"mpmath"`, `"graph in mpmath"`, `"complex step"` or `"differences"`.
        doubt: finds the distance within which a claim is not refuted, however small the error seems: a part of the
            function that floats do not show may have a slope of this size.
    """

    left: Any
    right: Any
    error: float
    method: str
    doubt: Callable[[], float] = float

    @property
    def sides(self) -> list[Any]:
        """The limits that exist."""
        return [side for side in (self.left, self.right) if side is not None]

    @property
    def value(self) -> Any:
        """The derivative: the middle of the two limits, or the one that exists; NaN where none does."""
        if len(self.sides) < 2 or self.left == self.right:
            return self.sides[0] if self.sides else math.nan
        return self.left / 2 + self.right / 2  # the sum may overflow

    @property
    def is_kink(self) -> bool:
        """Whether the limits differ by more than they may be off."""
        if len(self.sides) < 2:
            return False
        left, right = self.sides
        if math.isinf(left) or math.isinf(right):
            return bool(left != right)
        return bool(abs(right - left) > 4 * self.error + 1e-9 * max(abs(left), abs(right)))

    def admits(self, claimed: float, tolerance: float) -> bool:
        """Tell whether `claimed` lies between the limits, as any subgradient does, or within `tolerance` of them."""
        if not self.sides:
            return False
        low, high = min(self.sides), max(self.sides)
        if math.isinf(claimed):
            return bool(claimed in (low, high))
        return bool(low - tolerance <= claimed <= high + tolerance)
