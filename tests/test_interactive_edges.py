"""Interactive pictures at the edges: of the floats, of the domain of a function, and of what a function may return."""

from __future__ import annotations

import functools
import itertools
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import pytest

from microgrud import Value, log, sqrt
from microgrud.interactive import ProgramError, curves, descent, program, regions, residuals, tangent
from microgrud.interactive.charts import Axis, axis_of

TINY, HUGE = 5e-324, 1.7e308


def test_the_smallest_and_the_largest_floats_are_drawn() -> None:
    numbers = [0.0, -0.0, TINY, -TINY, 1e-310, 1.0, HUGE, -HUGE]
    for a, b in itertools.product(numbers, repeat=2):
        pictures: list[Any] = [residuals(lambda x: x, [a, b], [b, a]), curves([a, b])]
        pictures.append(regions(sum, [(a, b), (b, a)], [0, 1], resolution=3))
        if a > 0.0 or b > 0.0:
            pictures.append(curves([a, b], scale="log"))
        for picture in pictures:
            for element in ElementTree.fromstring(picture.svg()).iter():
                assert not re.search("nan|inf", element.get("d", ""))


def test_a_scale_far_from_0_has_round_numbers_that_can_be_told_apart() -> None:
    for low, width in ((1234567890120.0, 6.0), (1e15, 6.0), (-1e16, 20.0), (0.1, 1e-12), (1.0, 1e-15), (1e6, 1e-6)):
        axis = axis_of([low, low + width]).moved(0.0, 300.0)
        places, words = zip(*axis.ticks())
        assert len(set(words)) == len(words) >= 2
        for place, word in zip(places, words):  # the words are the number of their place
            assert axis(float(word.replace("\u2212", "-"))) == pytest.approx(place, abs=0.5)
    assert [words for _, words in Axis(0.0, 3e-323, 0.0, 1.0).ticks()][:2] == ["0", "4.94066e\u2212324"]


@pytest.mark.parametrize("f", [lambda x: TINY * x, lambda x: 1e-310 * x * x, lambda x: 1e200 * x, lambda x: -x])
def test_flat_and_steep_functions_are_drawn(f: Callable[..., Any]) -> None:
    assert "Nudged by 1" in str(tangent(f))
    assert tangent(f).html()
    for lr, momentum in itertools.product((0.0, 1e-320, 0.5, 1e10, 1e308), (0.0, 1.0, 10.0, 1e300)):
        picture = descent(f, 1.0, lr, momentum, steps=5)
        assert picture.html()
        assert picture.walks[0].losses[0] == f(1.0)


def test_a_point_far_from_0_is_drawn_or_refused() -> None:
    assert str(tangent(lambda x: x, at=1e15)).startswith("At x = 1e+15, f(x) = 1e+15. The tangent has the slope 1.")
    for at, nudge, low in ((1e16, 1.0, None), (1.0, 1e-300, None), (1e300, 1.0, None), (1.0, 1.0, -HUGE)):
        with pytest.raises(ValueError, match=r"^tangent: .*expected"):
            tangent(lambda x: x, at=at, nudge=nudge, low=low)
    for start, limits in ((HUGE, {}), (1.0, {"low": -HUGE, "high": HUGE})):
        with pytest.raises(ValueError, match=r"^descent: .*expected"):
            descent(lambda x: x, start, **limits)  # type: ignore[arg-type]
    for lr in (math.inf, math.nan, -1.0):
        with pytest.raises(ValueError, match=r"^tangent: lr: expected a finite number x >= 0"):
            tangent(lambda x: x, lr=lr)


def test_a_point_without_a_finite_value_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^tangent: at: expected a point where f has a finite value, .* inf$"):
        tangent(lambda x: 1e200 * x * 1e200)
    with pytest.raises(ValueError, match=r"finite value, got \(-1.0,\): log\(-1.0\): expected x > 0, got -1.0$"):
        descent(log, -1.0)


@pytest.mark.parametrize("result", [None, "1.5", (1.0, 2.0), 1j])
def test_a_function_must_return_one_number(result: Any) -> None:
    for picture in (tangent, descent):
        with pytest.raises(ProgramError, match="^expected a function that returns one number, got an object of type"):
            picture(lambda x: result, 1.0)


def test_what_numpy_chooses_is_a_number() -> None:
    np = pytest.importorskip("numpy")
    picture = tangent(lambda x: np.where(x > 0.0, x * x, -x), 1.0)
    assert (picture.value, picture.slope, picture.secant) == (1.0, 2.0, 3.0)


def test_a_function_that_catches_an_error_is_refused_even_if_it_happens_at_few_points() -> None:
    def root(x: Any) -> Any:
        try:
            return sqrt(x)
        except ValueError:
            return 0.0 * x

    points = [[2.0 - k / 100.0] for k in range(202)]  # the last one is negative
    with pytest.raises(ProgramError, match=r"has the value -0.0 at .* sqrt\(-0.0099.* choose by where\(condition"):
        program(root, points)
    assert program(sqrt, points).evaluate([4.0]) == (2.0, [0.25])


def picky(x: Any) -> Any:
    """Return a square, where it is large enough."""
    if x < 0.5:
        raise ValueError("expected <0.5")
    if x > 10.0:
        raise OverflowError
    return log(x) if x < 0.75 else x * x


def test_a_function_raises_an_error_of_its_own_as_a_program_too() -> None:
    found = program(picky, [[1.0], [0.2], [11.0], [0.6]])
    assert len(found.paths) == 4
    assert found.evaluate([3.0]) == (9.0, [6.0])
    assert found.evaluate([0.7]) == (math.log(0.7), [1.0 / 0.7])
    with pytest.raises(ValueError, match=r"^expected <0\.5$"):
        found.evaluate([-3.0])
    with pytest.raises(OverflowError, match=r"^OverflowError$"):
        found.evaluate([12.0])
    with pytest.raises(ProgramError, match=r"no value at any of 2 points: expected <0\.5$"):
        program(picky, [[0.1], [0.2]])
    # log fails at -1, but not at every place where x < 0.75: the way through that branch stays unknown.
    assert program(lambda x: log(x) if x < 0.75 else x * x, [[1.0], [-1.0]]).evaluate([0.7]) is None


def test_a_function_in_c_without_a_signature_has_the_names_x_and_y() -> None:
    assert str(descent(max, (1.0, 2.0), steps=2)) == "rate 0.1: step 2, at (1, 1.8), loss 1.8, down from 2."
    assert ">y</text>" in descent(max, (1.0, 2.0)).html()


def test_a_model_without_a_value_beyond_the_data_leaves_a_gap_there() -> None:
    picture = residuals(log, [0.01, 2.0], [0.0, 0.0])  # the axis begins below 0
    assert picture.errors() == [math.log(0.01), math.log(2.0)]
    shown = regions(lambda row: log(row[0]), [(0.5, 0.0), (1.5, 1.0)], [0, 1], resolution=5)
    assert str(shown) == "2 of 2 points in the region of their class"
    shown = regions(lambda row: [1.0 / row[0], 0.0], [(-1.0, 0.0), (1.0, 1.0)], [0, 1], resolution=5)
    assert str(shown) == "0 of 2 points in the region of their class; 5 of 25 places without a finite output"
    with pytest.raises(ValueError, match=r"^log\(-1.0\)"):
        residuals(log, [-1.0, 2.0], [0.0, 0.0])


class Line:
    """A line through the origin."""

    def __init__(self, slope: Any) -> None:
        self.slope = slope

    def __call__(self, x: float) -> Any:
        return self.slope * x


def test_models_that_share_their_parameters_are_one_state_however_they_are_called() -> None:
    w = Value(1.0)

    def times(slope: Any, x: Any) -> Any:
        return slope * x

    def closure(slope: Any) -> Any:
        return lambda x: slope * x

    for make in (Line, closure, functools.partial(functools.partial, times), lambda slope: Line(slope).__call__):
        assert len(residuals([make(Value(1.0)), make(Value(1.0))], [1.0], [2.0])) == 2
        with pytest.raises(ValueError, match=r"^residuals: states 0 and 1 are one function of the same variables"):
            residuals([make(w), make(w)], [1.0], [2.0])
    assert len(residuals([Line(2.0), Line(2.0), closure(2.0), closure(2.0)], [1.0], [2.0])) == 4
