"""Losses agree with their textbook formulas in many digits, even at the extremes, and refuse invalid targets.

The truth is the textbook formula on mpmath numbers, with so many digits that overflow and cancellation do no harm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import pytest
from arrays import np
from hypothesis import given, strategies as st

from microgrud import Value, log_softmax
from microgrud.losses import (
    absolute_error,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge,
    huber,
    l1_penalty,
    l2_penalty,
    negative_log_likelihood,
    squared_error,
)

mp = mpmath.mp
logits = st.floats(-40.0, 40.0)
numbers = st.floats(-100.0, 100.0)

# --- textbook formulas for one sample ---------------------------------------------------------------------------------


def textbook_binary_cross_entropy(p: Any, t: float) -> Any:
    return -((t * mp.log(p) if t > 0 else 0) + ((1 - mp.mpf(t)) * mp.log(1 - p) if t < 1 else 0))


def textbook_with_logits(z: Any, t: float) -> Any:
    return textbook_binary_cross_entropy(1 / (1 + mp.exp(-z)), t)


def textbook_cross_entropy(zs: Sequence[Any], target: int | Sequence[float]) -> Any:
    weights = [float(i == target) for i in range(len(zs))] if isinstance(target, int) else target
    total = mp.fsum(mp.exp(z) for z in zs)
    return -mp.fsum(t * mp.log(mp.exp(z) / total) for z, t in zip(zs, weights))


def textbook_huber(p: Any, t: float, delta: float = 1.0) -> Any:
    r = abs(p - t)
    return r * r / 2 if r <= delta else delta * (r - delta / 2)


ELEMENTWISE: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (squared_error, lambda p, t: (p - t) ** 2),
    (absolute_error, lambda p, t: abs(p - t)),
    (huber, textbook_huber),
]


def value_and_gradient(loss: Callable[..., Any], xs: Sequence[float], target: Any) -> tuple[float, list[float]]:
    """Evaluate a loss of one sample; a single number is passed as it is."""
    values = [Value(x) for x in xs]
    out = loss(values if len(values) > 1 else values[0], target)
    assert isinstance(out, Value)
    out.backward()
    return out.data, [v.grad for v in values]


def truth(formula: Callable[..., Any], xs: Sequence[float], target: Any, digits: int) -> tuple[float, list[float]]:
    """Evaluate a textbook formula, and its derivatives by central differences, with that many digits."""
    with mp.workdps(digits):
        points = [mp.mpf(x) for x in xs]
        step = mp.mpf(10) ** -(digits // 4)

        def at(moved: list[Any]) -> Any:
            return formula(moved if len(moved) > 1 else moved[0], target)

        slopes = []
        for i, x in enumerate(points):
            up, down = ([*points[:i], y, *points[i + 1 :]] for y in (x + step, x - step))
            slopes.append(float((at(up) - at(down)) / (2 * step)))
        return float(at(points)), slopes


def assert_agree(
    loss: Callable[..., Any], formula: Callable[..., Any], xs: Sequence[float], target: Any, digits: int = 120
) -> None:
    value, gradient = value_and_gradient(loss, xs, target)
    true_value, true_gradient = truth(formula, xs, target, digits)

    assert value == pytest.approx(true_value, rel=1e-13, abs=1e-300)
    assert gradient == pytest.approx(true_gradient, rel=1e-12, abs=1e-15)


# --- against the textbook ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "formula"), ELEMENTWISE)
@given(p=numbers, t=numbers.map(lambda t: t + 0.3))
def test_regression_losses_agree_with_the_textbook(loss: Any, formula: Any, p: float, t: float) -> None:
    difference = abs(p - t)
    if difference < 1e-20 or abs(difference - 1.0) < 1e-9:
        return  # the central difference would straddle a kink
    assert_agree(loss, formula, [p], t)


@given(p=numbers, t=st.sampled_from([-1, 1]))
def test_hinge_agrees_with_the_textbook(p: float, t: int) -> None:
    if abs(1 - t * p) > 1e-12:
        assert_agree(hinge, lambda x, y: max(mp.zero, 1 - y * x), [p], t)


@given(p=st.floats(1e-12, 1.0 - 1e-12), t=st.one_of(st.sampled_from([0, 1]), st.floats(0.0, 1.0)))
def test_binary_cross_entropy_agrees_with_the_textbook(p: float, t: float) -> None:
    assert_agree(binary_cross_entropy, textbook_binary_cross_entropy, [p], t)


@given(z=logits, t=st.sampled_from([0, 1]))
def test_binary_cross_entropy_with_logits_keeps_all_digits_in_the_tails(z: float, t: int) -> None:
    value, (slope,) = value_and_gradient(binary_cross_entropy_with_logits, [z], t)
    true_value, (true_slope,) = truth(textbook_with_logits, [z], t, digits=200)

    assert value == pytest.approx(true_value, rel=1e-14, abs=0.0)
    assert slope == pytest.approx(true_slope, rel=1e-14, abs=0.0)


@given(z=logits, t=st.floats(0.0, 1.0))
def test_binary_cross_entropy_with_logits_takes_soft_targets(z: float, t: float) -> None:
    assert_agree(binary_cross_entropy_with_logits, textbook_with_logits, [z], t)


@given(zs=st.lists(logits, min_size=2, max_size=5), data=st.data())
def test_cross_entropy_keeps_all_digits_in_the_tails(zs: list[float], data: st.DataObject) -> None:
    target = data.draw(st.integers(0, len(zs) - 1))
    value, gradient = value_and_gradient(cross_entropy, zs, target)
    true_value, true_gradient = truth(textbook_cross_entropy, zs, target, digits=200)

    assert value == pytest.approx(true_value, rel=1e-14, abs=0.0)
    assert gradient == pytest.approx(true_gradient, rel=1e-14, abs=0.0)


@given(zs=st.lists(logits, min_size=3, max_size=3), counts=st.lists(st.integers(1, 9), min_size=3, max_size=3))
def test_cross_entropy_takes_soft_targets(zs: list[float], counts: list[int]) -> None:
    soft = [n / sum(counts) for n in counts]

    assert_agree(cross_entropy, textbook_cross_entropy, zs, soft)


@pytest.mark.parametrize("zs", [[40.0, 0.0], [1000.0, -1000.0], [0.0, 36.0, 3.0], [-1000.0, 1000.0, 1000.0]])
def test_soft_targets_that_choose_one_class_are_as_good_as_its_index(zs: list[float]) -> None:
    for i in range(len(zs)):
        by_index, by_share = [Value(z) for z in zs], [Value(z) for z in zs]
        one, other = cross_entropy(by_index, i), cross_entropy(by_share, [float(j == i) for j in range(len(zs))])
        one.backward()
        other.backward()
        assert other.data == one.data
        assert [z.grad for z in by_share] == [z.grad for z in by_index]


@given(zs=st.lists(logits, min_size=2, max_size=5))
def test_cross_entropy_is_the_negative_log_likelihood_of_log_softmax(zs: list[float]) -> None:
    assert negative_log_likelihood(log_softmax(zs), 0) == cross_entropy(zs, 0)


@pytest.mark.parametrize("z", [-1000.0, 1000.0])
@pytest.mark.parametrize("t", [0, 1, 0.25])
def test_a_logit_of_a_thousand_is_no_trouble(z: float, t: float) -> None:
    assert_agree(binary_cross_entropy_with_logits, textbook_with_logits, [z], t, digits=1200)


@pytest.mark.parametrize("target", [0, 1, 2, [1.0, 0.0, 0.0], [0.5, 0.25, 0.25]])
@pytest.mark.parametrize("zs", [[1000.0, -1000.0, 0.0], [-1000.0, -1000.0, -1000.0], [1000.0, 1000.0, 999.0]])
def test_logits_of_a_thousand_are_no_trouble(zs: list[float], target: Any) -> None:
    assert_agree(cross_entropy, textbook_cross_entropy, zs, target, digits=1200)


def test_small_losses_of_confident_predictions_do_not_vanish() -> None:
    assert cross_entropy([50.0, 0.0], 0) == pytest.approx(math.exp(-50.0), rel=1e-14, abs=0.0)
    assert binary_cross_entropy_with_logits(50.0, 1) == pytest.approx(math.exp(-50.0), rel=1e-14, abs=0.0)
    assert binary_cross_entropy(1e-300, 0) == pytest.approx(1e-300, rel=1e-14, abs=0.0)


def test_a_perfect_loss_is_zero_without_a_sign() -> None:
    perfect = [cross_entropy([2000.0, 0.0], 0), binary_cross_entropy(1.0, 1), negative_log_likelihood([0.0, -800.0], 0)]

    assert [str(loss) for loss in perfect] == ["0.0"] * 3


def test_known_numbers() -> None:
    assert squared_error([3.0, -1.0], [1.0, 1.0]) == 4.0
    assert absolute_error([3.0, -1.0], [1.0, 1.0]) == 2.0
    assert huber([2.0, 0.1], [0.0, 0.0], delta=0.5) == (0.5 * (2.0 - 0.25) + 0.5 * 0.1**2) / 2
    assert hinge([0.5, 2.0, -1.0], [1, 1, 1]) == (0.5 + 0.0 + 2.0) / 3
    assert cross_entropy([0.0] * 4, 2) == pytest.approx(math.log(4.0), rel=1e-15, abs=0.0)


def test_huber_is_smooth_where_the_parabola_meets_the_lines() -> None:
    assert value_and_gradient(lambda p, t: huber(p, t, delta=2.0), [2.0], 0.0) == (2.0, [2.0])
    assert value_and_gradient(lambda p, t: huber(p, t, delta=2.0), [-3.0], 0.0) == (4.0, [-2.0])


def test_at_a_kink_the_gradient_is_zero() -> None:
    assert value_and_gradient(hinge, [1.0], 1) == (0.0, [0.0])
    assert value_and_gradient(absolute_error, [3.0], 3.0) == (0.0, [0.0])


# --- batches and kinds of numbers -------------------------------------------------------------------------------------

SAMPLES: list[tuple[Callable[..., Any], list[Any], list[Any]]] = [
    (squared_error, [[1.0, 2.0], [3.0, 5.0]], [[0.0, 2.0], [1.0, 1.0]]),
    (absolute_error, [[1.0, 2.0], [3.0, 5.0]], [[0.0, 2.0], [1.0, 1.0]]),
    (huber, [[1.0, 2.0], [3.0, 5.0]], [[0.5, 2.0], [1.0, 1.0]]),
    (hinge, [0.5, -0.5, 3.0], [1, 1, -1]),
    (binary_cross_entropy, [0.5, 0.25, 0.125], [1, 0, 0.5]),
    (binary_cross_entropy_with_logits, [0.5, -0.5, 3.0], [1, 0, 0.5]),
    (cross_entropy, [[0.5, -0.5, 3.0], [1.0, 2.0, 3.0]], [2, 0]),
    (cross_entropy, [[0.5, -0.5, 3.0], [1.0, 2.0, 3.0]], [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]),
    (negative_log_likelihood, [[-0.5, -1.5], [-2.0, -0.25]], [1, 0]),
]


@pytest.mark.parametrize(("loss", "predictions", "targets"), SAMPLES)
def test_a_batch_gives_the_mean_over_its_samples(loss: Any, predictions: list[Any], targets: list[Any]) -> None:
    one_by_one = [loss(p, t) for p, t in zip(predictions, targets)]

    assert loss(predictions, targets) == pytest.approx(sum(one_by_one) / len(one_by_one), rel=1e-15, abs=0.0)


def as_values(item: Any) -> Any:
    return [as_values(x) for x in item] if isinstance(item, list) else Value(item)


def as_mpmath(item: Any) -> Any:
    return [as_mpmath(x) for x in item] if isinstance(item, list) else mp.mpf(item)


@pytest.mark.parametrize(("loss", "predictions", "targets"), SAMPLES)
def test_values_floats_arrays_and_mpmath_numbers_give_one_result(
    loss: Any, predictions: list[Any], targets: list[Any]
) -> None:
    expected = loss(predictions, targets)
    from_values = loss(as_values(predictions), targets)
    from_arrays = loss(np.array(predictions), np.array(targets))
    from_mpmath = loss(as_mpmath(predictions), targets)

    assert isinstance(from_values, Value)
    assert isinstance(from_mpmath, mpmath.mpf)
    assert (from_values.data, from_arrays) == (expected, expected)
    assert float(from_mpmath) == pytest.approx(expected, rel=1e-14, abs=0.0)


@given(predictions=st.lists(numbers, min_size=1, max_size=5), target=st.sampled_from([-1, 1]))
def test_gradients_are_central_differences_of_the_batch(predictions: list[float], target: int) -> None:
    targets = [target] * len(predictions)
    values = [Value(p) for p in predictions]
    total = binary_cross_entropy_with_logits(values, [0.5 + 0.5 * t for t in targets]) + squared_error(values, targets)
    total.backward()

    def at(i: int, moved: float) -> float:
        xs = [*predictions[:i], moved, *predictions[i + 1 :]]
        return float(
            binary_cross_entropy_with_logits(xs, [0.5 + 0.5 * t for t in targets]) + squared_error(xs, targets)
        )

    for i, p in enumerate(predictions):
        assert values[i].grad == pytest.approx((at(i, p + 1e-4) - at(i, p - 1e-4)) / 2e-4, rel=1e-5, abs=1e-5)


def test_targets_may_be_values_and_get_gradients_too() -> None:
    prediction, target = Value(3.0), Value(1.0)
    squared_error(prediction, target).backward()
    soft = [Value(0.25), Value(0.75)]
    cross_entropy([1.0, 2.0], soft).backward()

    assert (prediction.grad, target.grad) == (4.0, -4.0)
    assert [t.grad for t in soft] == pytest.approx([-x for x in log_softmax([1.0, 2.0])], rel=1e-14, abs=0.0)
    assert hinge(Value(0.5), Value(1.0)).data == 0.5
    assert binary_cross_entropy_with_logits(0.0, Value(0.5)).data == pytest.approx(math.log(2.0), rel=1e-15, abs=0.0)


@pytest.mark.parametrize("target", [1, True, 1.0, np.int64(1), np.float32(1)])
def test_a_class_index_is_any_kind_of_integer(target: Any) -> None:
    assert cross_entropy([0.0, 1.0], target) == cross_entropy([0.0, 1.0], 1)


def test_cross_entropy_takes_two_nodes_a_sample() -> None:
    out = cross_entropy([Value(float(i)) for i in range(10)], 3)

    assert (out._op, out._prev[0]._op, len(out._prev[0]._prev)) == ("-", "log_softmax", 10)


# --- penalties --------------------------------------------------------------------------------------------------------


@given(ps=st.lists(numbers, max_size=5), strength=st.floats(0.0, 10.0))
def test_penalties_add_up_sizes_and_squares(ps: list[float], strength: float) -> None:
    assert l1_penalty(ps, strength) == pytest.approx(strength * sum(abs(p) for p in ps), rel=1e-14, abs=0.0)
    assert l2_penalty(ps, strength) == pytest.approx(strength * sum(p * p for p in ps), rel=1e-14, abs=0.0)


def test_penalties_pull_parameters_to_zero() -> None:
    ps = [Value(3.0), Value(-2.0), Value(0.0)]
    l1_penalty(ps, 0.5).backward()
    assert [p.grad for p in ps] == [0.5, -0.5, 0.0]
    l2_penalty(iter(ps), 0.5).backward()
    assert [p.grad for p in ps] == [0.5 + 3.0, -0.5 - 2.0, 0.0]


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: squared_error([1.0, 2.0], [1.0]), ValueError, "expected as many targets as predictions, got 2 and 1"),
        (lambda: squared_error([], []), ValueError, "expected at least one prediction"),
        (lambda: squared_error(1.0, [1.0, 2.0]), ValueError, "a target for each prediction, got one .* and 2 targets"),
        (
            lambda: squared_error([1.0], 1.0),
            ValueError,
            "a prediction for each target, got one target and 1",
        ),
        (lambda: squared_error("ab", "ab"), TypeError, "prediction: expected a sequence of numbers, got 'ab'"),
        (lambda: squared_error(None, 1.0), TypeError, "prediction: expected a sequence of numbers, got .* NoneType"),
        (lambda: squared_error([1.0], ["1"]), TypeError, "target: expected a sequence of numbers, got '1'"),
        (lambda: huber(1.0, 0.0, delta=0.0), ValueError, "huber: expected delta > 0, got 0.0"),
        (lambda: huber(1.0, 0.0, delta="1"), TypeError, "huber: delta: expected a real number"),
        (lambda: hinge([0.5, 0.5], [1, 0]), ValueError, "hinge: expected targets -1 or 1, got 0"),
        (lambda: hinge(0.5, math.nan), ValueError, "hinge: expected targets -1 or 1, got nan"),
        (lambda: binary_cross_entropy(1.5, 1), ValueError, "expected probabilities between 0 and 1, got 1.5"),
        (lambda: binary_cross_entropy(0.5, -1), ValueError, "expected targets between 0 and 1, got -1"),
        (
            lambda: binary_cross_entropy(0.0, 1),
            ValueError,
            "infinite: probability 0.0 for the target 1; give",
        ),
        (lambda: binary_cross_entropy(1.0, 0.5), ValueError, "the loss is infinite"),
        (lambda: binary_cross_entropy_with_logits(0.0, 2), ValueError, "expected targets between 0 and 1, got 2"),
        (lambda: cross_entropy([0.0, 1.0], 2), ValueError, "expected a class index from 0 to 1, got 2"),
        (lambda: cross_entropy([0.0, 1.0], -1), ValueError, "expected a class index from 0 to 1, got -1"),
        (lambda: cross_entropy([0.0, 1.0], 0.5), ValueError, "expected an integer as class index, got 0.5"),
        (lambda: cross_entropy([0.0, 1.0], math.nan), ValueError, "expected an integer as class index, got nan"),
        (
            lambda: cross_entropy([0.0, 1.0], "a"),
            TypeError,
            "expected a class index or soft targets, got 'a'; number the classes from 0",
        ),
        (lambda: cross_entropy([0.0, 1.0], [0.5, 0.6]), ValueError, "soft targets that sum to 1, got a sum of 1.1"),
        (lambda: cross_entropy([0.0, 1.0], [-0.5, 1.5]), ValueError, "soft targets between 0 and 1, got -0.5"),
        (lambda: cross_entropy([0.0, 1.0], [1.0]), ValueError, "expected 2 soft targets, one per logit, got 1"),
        (lambda: cross_entropy([[0.0, 1.0]], [0, 1]), ValueError, "as many targets as predictions, got 1 and 2"),
        (lambda: cross_entropy([[]], [0]), ValueError, "expected a number for each of at least 2 classes, got 0"),
        (
            lambda: cross_entropy([1.0], 0),
            ValueError,
            "at least 2 classes, got one; .* binary_cross_entropy_with_logits",
        ),
        (lambda: cross_entropy([[1.0], [2.0]], [0, 0]), ValueError, "at least 2 classes, got 1; .* binary_cross"),
        (lambda: cross_entropy([0.1, 0.2], [0, 0]), ValueError, "sum of 0.0; a list of numbers is one sample"),
        (lambda: cross_entropy([], []), ValueError, "expected at least one prediction"),
        (lambda: cross_entropy(0.5, 1), ValueError, "use binary_cross_entropy_with_logits"),
        (lambda: negative_log_likelihood([-1.0, 0.5], 0), ValueError, "log-probabilities, .* at most 0, got 0.5"),
        (lambda: negative_log_likelihood([-1.0, -0.5], 2), ValueError, "expected a class index from 0 to 1, got 2"),
        (lambda: negative_log_likelihood([-1.0, -0.5], None), TypeError, "class index: expected a real number"),
        (
            lambda: l1_penalty([1.0], -0.1),
            ValueError,
            "l1_penalty: strength: expected a finite number x >= 0, got -0.1",
        ),
        (
            lambda: l2_penalty([1.0], math.nan),
            ValueError,
            "l2_penalty: strength: expected a finite number x >= 0, got nan",
        ),
        (lambda: l2_penalty(3.0, 0.1), TypeError, "l2_penalty: parameters: expected a sequence of numbers"),
    ],
)
def test_invalid_arguments_are_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
