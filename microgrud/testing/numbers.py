"""Strategies for numbers, with many of those at which gradients often go wrong."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import TypeAlias

from hypothesis import strategies as st

from ..common.numbers import Interval
from ..engine import Value

#: A domain for `reals`: an interval, its two (closed) ends, or None for all reals.
Domain: TypeAlias = Interval | tuple[float, float] | None

_HARD = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 1e-9, -1e-9),
    *(5e-324, -5e-324, sys.float_info.min, -sys.float_info.min, 1e-160, -1e-160, 1e-300, -1e-300),
    *(1e16, -1e16, 1e154, -1e154, 1e300, -1e300, sys.float_info.max, -sys.float_info.max),
    *(math.pi / 2, math.pi, 709.0, -709.0, -745.0, 20.0, -20.0, 40.0, -40.0),
)


def reals(domain: Domain = None, near: Iterable[float] = (), moderate: bool = False) -> st.SearchStrategy[float]:
    """Draw finite floats, often from the hard places of a domain.

    Half of them come from hard places: zeros of both signs, ones, subnormal and nearly overflowing numbers, the ends of
    the domain, and the neighbours of kinks and poles. The others are of ordinary size, or of any size.

    Args:
        domain: an `Interval`, a pair of (closed) ends, or None for all reals.
        near: kinks, poles and other places to approach, from both sides and down to the next float.
        moderate: whether to leave out sizes above 1e3, and below 1e-3 except 0, for functions whose intermediate
            results overflow.

    Returns:
        A strategy for floats.

    Raises:
        TypeError: if the domain is of another kind.
        ValueError: if there is no float in the domain.

    >>> from hypothesis import given
    >>> @given(reals((0.5, 2.0)))
    ... def test_the_square_root_is_nearer_to_1(x):
    ...     assert abs(x**0.5 - 1.0) <= abs(x - 1.0)
    >>> test_the_square_root_is_nearer_to_1()
    """
    interval = _interval(domain)
    low, high = _closed_ends(interval)
    if low > high:
        raise ValueError(f"reals: expected a domain with numbers in it, got {interval!r}")
    places = [*near, *(end for end in (interval.low, interval.high) if math.isfinite(end))]
    hard = [x for x in (*_HARD, *(y for place in places for y in _neighbours(place))) if x in interval]
    size = 1e3 if moderate else math.inf
    within = [x for x in hard if _is_moderate(x)] if moderate else hard
    ordinary = [st.floats(max(low, -10.0), min(high, 10.0))] if max(low, -10.0) <= min(high, 10.0) else []
    anything = st.floats(max(low, -size), min(high, size), allow_nan=False, allow_infinity=False)
    drawn = st.one_of([*ordinary, *ordinary, anything, *([st.sampled_from(within)] * 3 if within else [])])
    return drawn.filter(_is_moderate) if moderate else drawn


def points(
    n: int, domain: Domain = None, near: Iterable[float] = (), moderate: bool = True
) -> st.SearchStrategy[list[float]]:
    """Draw points: lists of n numbers, as `reals` draws them, by default of moderate size.

    Args:
        n: the number of numbers in a point.
        domain: as for `reals`.
        near: as for `reals`.
        moderate: as for `reals`.

    Raises:
        TypeError, ValueError: as `reals` does.

    >>> from hypothesis import given
    >>> @given(points(3, (0.0, 1.0)))
    ... def test_the_mean_lies_between(point):
    ...     assert min(point) <= sum(point) / 3 * (1 + 1e-15) and sum(point) / 3 <= max(point) * (1 + 1e-15)
    >>> test_the_mean_lies_between()
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise TypeError(f"points: n: expected the number of numbers in a point, an integer of at least 0, got {n!r}")
    return st.lists(reals(domain, near, moderate), min_size=n, max_size=n)


def values(domain: Domain = None, near: Iterable[float] = (), moderate: bool = True) -> st.SearchStrategy[Value]:
    """Draw leaves of graphs: Values with numbers as `reals` draws them, by default of moderate size.

    Args:
        domain: as for `reals`.
        near: as for `reals`.
        moderate: as for `reals`.

    Raises:
        TypeError, ValueError: as `reals` does.

    >>> from hypothesis import given
    >>> @given(values((1.0, 2.0)))
    ... def test_the_derivative_of_a_square(x):
    ...     (x * x).backward()
    ...     assert x.grad == 2.0 * x.data
    >>> test_the_derivative_of_a_square()
    """
    return reals(domain, near, moderate).map(Value)


def _interval(domain: Domain) -> Interval:
    if domain is None:
        return Interval()
    if isinstance(domain, Interval):
        return domain
    is_pair = isinstance(domain, (tuple, list)) and len(domain) == 2
    if not is_pair or not all(isinstance(end, (int, float)) for end in domain):
        raise TypeError(f"reals: expected an Interval, a pair of numbers or None as the domain, got {domain!r}")
    return Interval(float(domain[0]), float(domain[1]))


def _closed_ends(interval: Interval) -> tuple[float, float]:
    """Return the least and the greatest finite float of an interval."""
    low = math.nextafter(interval.low, math.inf) if interval.low_open else interval.low
    high = math.nextafter(interval.high, -math.inf) if interval.high_open else interval.high
    return max(low, -sys.float_info.max), min(high, sys.float_info.max)


def _neighbours(place: float) -> list[float]:
    """Return a place, and numbers that approach it from both sides, down to the next float."""
    distances = [1e-2, 1e-5, 1e-9, 1e-12]
    around = [place + sign * d * (abs(place) or 1.0) for d in distances for sign in (1.0, -1.0)]
    return [place, *around, math.nextafter(place, math.inf), math.nextafter(place, -math.inf)]


def _is_moderate(x: float) -> bool:
    return x == 0.0 or 1e-3 <= abs(x) <= 1e3
