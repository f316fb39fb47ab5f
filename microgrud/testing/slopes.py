"""A partial derivative as far as it is known: its limits from either side, and their error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: Floats below this lose their digits one by one.
UNDERFLOW = 1e-310


@dataclass(frozen=True)
class Slope:
    """The derivative of a function with respect to one input at one point, found without differentiating its code.

    Attributes:
        left: the limit of the derivative from below; None if the function is not defined there.
        right: the limit from above, likewise.
        error: the absolute error that either limit may have.
        method: the method that found it: `"mpmath"`, `"graph in mpmath"`, `"complex step"` or `"differences"`.
        doubt: a function that returns the distance within which the slope does not refute a claim, even if the error is
            smaller: a part of the function that floats do not show may have a slope of this size.
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
        """The derivative: the middle of the two limits, or the one that exists; NaN if none exists."""
        if len(self.sides) < 2 or self.left == self.right:
            return self.sides[0] if self.sides else math.nan
        return self.left / 2 + self.right / 2  # the sum may overflow

    @property
    def is_kink(self) -> bool:
        """True if the limits differ by more than their errors."""
        if len(self.sides) < 2:
            return False
        left, right = self.sides
        if math.isinf(left) or math.isinf(right):
            return bool(left != right)
        return bool(abs(right - left) > 4 * self.error + 1e-9 * max(abs(left), abs(right)))

    def admits(self, claimed: float, tolerance: float) -> bool:
        """Return whether `claimed` lies between the limits, as any subgradient does, or within `tolerance` of them."""
        if not self.sides:
            return False
        low, high = min(self.sides), max(self.sides)
        if math.isinf(claimed):
            return bool(claimed in (low, high))
        return bool(low - tolerance <= claimed <= high + tolerance)
