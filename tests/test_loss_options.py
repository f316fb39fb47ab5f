"""Reductions, weights, margins and smoothing of losses agree with the formulas of PyTorch, also in `fit`."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import mpmath
import pytest
from inside import thresholds

from microgrud import Value, compile
from microgrud.losses import (
    absolute_error,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    gaussian_nll,
    hinge,
    huber,
    kl_divergence,
    margin_ranking,
    multi_margin,
    negative_log_likelihood,
    poisson_nll,
    smooth_l1,
    squared_error,
)
from microgrud.nn import MLP
from microgrud.train import fit

mp = mpmath.mp
ROWS = [[0.3, -1.2, 2.0], [-0.7, 0.4, 0.1], [1.5, 1.4, -2.5], [0.2, 0.9, -0.6]]
OTHERS = [[0.5, 0.1, -0.4], [-0.2, 0.9, 2.3], [1.1, -1.6, 0.8], [0.7, -0.3, 1.2]]
SHARES = [[0.2, 0.5, 0.3], [1.0, 0.0, 0.0], [0.6, 0.3, 0.1], [0.25, 0.25, 0.5]]
SIGNS = [[1, -1, -1], [1, 1, -1], [-1, 1, 1], [1, -1, 1]]
COUNTS = [[0, 2, 5], [1, 0, 3], [4, 1, 1], [2, 7, 0]]
CLASSES = [2, 0, 1, 2]
WEIGHTS = [0.5, 2.0, 1.5]


def log_softmax(xs: Any) -> list[Any]:
    total = mp.log(mp.fsum(mp.exp(x) for x in xs))
    return [x - total for x in xs]


LOGS = [[float(x) for x in log_softmax(row)] for row in ROWS]

# --- losses of numbers: name -> (loss, its formula for one number, predictions, targets) ------------------------------


def textbook_gaussian(p: Any, t: float, v: float = 0.3) -> Any:
    return (mp.log(v) + (p - t) ** 2 / mp.mpf(v)) / 2


def textbook_poisson(p: Any, t: float) -> Any:
    stirling = t * mp.log(t) - t + mp.log(2 * mp.pi * t) / 2 if t > 1 else 0
    return mp.exp(p) - t * p + stirling


def textbook_logits(z: Any, t: float, weight: float = 1.0, positive: float = 1.0) -> Any:
    s = 1 / (1 + mp.exp(-z))
    return -weight * (positive * t * mp.log(s) + (1 - mp.mpf(t)) * mp.log(1 - s))


PROBABILITIES = [[0.1, 0.6, 0.9], [0.5, 0.2, 0.7], [0.3, 0.4, 0.8], [0.99, 0.01, 0.5]]
BY_NUMBER: dict[str, tuple[Callable[..., Any], Callable[..., Any], Any, Any]] = {
    "squared_error": (squared_error, lambda p, t: (p - t) ** 2, ROWS, OTHERS),
    "absolute_error": (absolute_error, lambda p, t: abs(p - t), ROWS, OTHERS),
    "huber": (
        partial(huber, delta=0.5),
        lambda p, t: (p - t) ** 2 / 2 if abs(p - t) < 0.5 else 0.5 * (abs(p - t) - 0.25),
        ROWS,
        OTHERS,
    ),
    "smooth_l1": (
        partial(smooth_l1, beta=2.0),
        lambda p, t: (p - t) ** 2 / 4 if abs(p - t) < 2 else abs(p - t) - 1,
        ROWS,
        OTHERS,
    ),
    "smooth_l1 for beta 0": (partial(smooth_l1, beta=0.0), lambda p, t: abs(p - t), ROWS, OTHERS),
    "gaussian_nll": (partial(gaussian_nll, variance=0.3), textbook_gaussian, ROWS, OTHERS),
    "gaussian_nll, full": (
        partial(gaussian_nll, variance=0.3, full=True),
        lambda p, t: textbook_gaussian(p, t) + mp.log(2 * mp.pi) / 2,
        ROWS,
        OTHERS,
    ),
    "gaussian_nll below eps": (
        partial(gaussian_nll, variance=0.0, eps=0.3),
        textbook_gaussian,
        ROWS,
        OTHERS,
    ),
    "poisson_nll": (poisson_nll, lambda p, t: mp.exp(p) - t * p, ROWS, COUNTS),
    "poisson_nll, full": (partial(poisson_nll, full=True), textbook_poisson, ROWS, COUNTS),
    "poisson_nll of rates": (
        partial(poisson_nll, log_input=False, eps=1e-3),
        lambda p, t: p - t * mp.log(p + mp.mpf(1e-3)),
        PROBABILITIES,
        COUNTS,
    ),
    "hinge with margin": (
        partial(hinge, margin=0.5),
        lambda p, t: max(0, 0.5 - t * p),
        ROWS,
        SIGNS,
    ),
    "hinge, squared": (partial(hinge, squared=True), lambda p, t: max(0, 1 - t * p) ** 2, ROWS, SIGNS),
    "binary_cross_entropy": (
        partial(binary_cross_entropy, weight=2.5),
        lambda p, t: -2.5 * (t * mp.log(p) + (1 - mp.mpf(t)) * mp.log(1 - p)),
        PROBABILITIES,
        SHARES,
    ),
    "binary_cross_entropy_with_logits": (
        partial(binary_cross_entropy_with_logits, weight=2.5, pos_weight=3.0),
        lambda z, t: textbook_logits(z, t, 2.5, 3.0),
        ROWS,
        SHARES,
    ),
}


def value_and_slopes(loss: Callable[..., Any], rows: Any, *targets: Any) -> tuple[float, list[float]]:
    leaves = [[Value(x) for x in row] for row in rows]
    result = loss(leaves, *targets)
    result.backward()
    return result.data, [x.grad for row in leaves for x in row]


@pytest.mark.parametrize("name", BY_NUMBER)
def test_losses_of_numbers_agree_with_their_formula_in_each_reduction(name: str) -> None:
    loss, formula, rows, targets = BY_NUMBER[name]
    with mp.workdps(50):
        terms = [[formula(mp.mpf(p), t) for p, t in zip(*pair)] for pair in zip(rows, targets)]
        slopes = [mp.diff(lambda p, t=t: formula(p, t), p) for ps, ts in zip(rows, targets) for p, t in zip(ps, ts)]
    total = sum(float(x) for row in terms for x in row)

    found = loss(rows, targets, reduction="none")
    assert [pytest.approx([float(x) for x in row], rel=1e-14, abs=1e-15) for row in terms] == found
    value, gradient = value_and_slopes(partial(loss, reduction="sum"), rows, targets)
    assert value == pytest.approx(total, rel=1e-14)
    assert gradient == pytest.approx([float(x) for x in slopes], rel=1e-13, abs=1e-15)
    value, gradient = value_and_slopes(loss, rows, targets)
    assert value == pytest.approx(total / 12, rel=1e-14)
    assert gradient == pytest.approx([float(x) / 12 for x in slopes], rel=1e-13, abs=1e-15)
    assert loss(rows[0][0], targets[0][0], reduction="none") == loss(rows[0][0], targets[0][0]) == found[0][0]


def test_losses_have_the_arrangement_of_their_predictions() -> None:
    prediction, target = [1.0, [2.0, [3.0]], (4.0, 5.0)], [0.0, [0.0, [1.0]], [2.0, 2.0]]
    assert squared_error(prediction, target, reduction="none") == [1.0, [4.0, [4.0]], [4.0, 9.0]]
    assert squared_error(prediction, target) == 4.4


def test_weights_are_broadcast_from_the_last_axis() -> None:
    each = [[2.0, 0.5, 1.0], [1.0, 3.0, 0.0], [0.1, 0.2, 0.3], [4.0, 5.0, 6.0]]
    for option in ("weight", "pos_weight"):
        for given, at in ((3.0, lambda i, j: 3.0), (WEIGHTS, lambda i, j: WEIGHTS[j]), (each, lambda i, j: each[i][j])):
            found = binary_cross_entropy_with_logits(ROWS, SHARES, reduction="none", **{option: given})
            for i in range(4):
                for j in range(3):
                    factors = (at(i, j), 1.0) if option == "weight" else (1.0, at(i, j))
                    truth = float(textbook_logits(mp.mpf(ROWS[i][j]), SHARES[i][j], *factors))
                    assert found[i][j] == pytest.approx(truth, rel=1e-13)
    assert gaussian_nll(ROWS, OTHERS, WEIGHTS) == gaussian_nll(ROWS, OTHERS, [WEIGHTS] * 4)


def test_margin_ranking_is_its_formula() -> None:
    terms = [
        max(0.0, 0.2 - y * (a - b)) for row in zip(ROWS, OTHERS, SIGNS) for a, b, y in zip(*row)
    ]  # fmt: skip
    assert margin_ranking(ROWS, OTHERS, SIGNS, margin=0.2) == pytest.approx(sum(terms) / 12, rel=1e-15)
    each = margin_ranking(ROWS, OTHERS, SIGNS, margin=0.2, reduction="none")
    assert [x for row in each for x in row] == pytest.approx(terms, rel=1e-15)


# --- losses of classes ------------------------------------------------------------------------------------------------


def textbook_cross_entropy(rows: Any, targets: Any, weight: Any, ignored: int | None, smoothing: float) -> Any:
    """PyTorch's: losses of samples, and the number by which the mean divides their sum."""
    terms, count = [], mp.mpf(0)
    w = [mp.mpf(x) for x in weight or [1.0] * 3]
    for row, t in zip(rows, targets):
        logs = log_softmax([mp.mpf(x) for x in row])
        if t == ignored:
            terms.append(mp.mpf(0))
            continue
        hard = isinstance(t, int)
        shares = [mp.mpf(i == t) for i in range(3)] if hard else [mp.mpf(x) for x in t]
        shares = [(1 - mp.mpf(smoothing)) * x + mp.mpf(smoothing) / 3 for x in shares]
        terms.append(-mp.fsum(a * b * c for a, b, c in zip(w, shares, logs)))
        count += w[t] if hard else 1
    return terms, count


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("ignored", [None, 1, -100])
@pytest.mark.parametrize("weight", [None, WEIGHTS])
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy_with_all_options_is_that_of_pytorch(
    soft: bool, weight: Any, ignored: int | None, smoothing: float
) -> None:
    targets: list[Any] = SHARES if soft else [2, 0, -100 if ignored == -100 else 1, 2]
    options: dict[str, Any] = {"weight": weight, "ignore_index": ignored, "label_smoothing": smoothing}
    terms, count = textbook_cross_entropy(ROWS, targets, weight, ignored, smoothing)
    truth = [float(x) for x in terms]

    assert cross_entropy(ROWS, targets, **options, reduction="none") == pytest.approx(truth, rel=1e-14)
    assert cross_entropy(ROWS, targets, **options, reduction="sum") == pytest.approx(math.fsum(truth), rel=1e-14)
    value, gradient = value_and_slopes(partial(cross_entropy, **options), ROWS, targets)
    assert value == pytest.approx(math.fsum(truth) / float(count), rel=1e-14)

    def moved(*place: Any) -> Any:
        rows = [[place[3 * i + j] for j in range(3)] for i in range(4)]
        return mp.fsum(textbook_cross_entropy(rows, targets, weight, ignored, smoothing)[0]) / count

    flat = [mp.mpf(x) for row in ROWS for x in row]
    with mp.workdps(40):
        slopes = [float(mp.diff(moved, flat, tuple(int(i == j) for j in range(12)))) for i in range(12)]
    assert gradient == pytest.approx(slopes, rel=1e-12, abs=1e-15)


def test_negative_log_likelihood_takes_weights_and_leaves_samples_out() -> None:
    options: dict[str, Any] = {"weight": WEIGHTS, "ignore_index": 1}
    for reduction in ("mean", "sum", "none"):
        assert negative_log_likelihood(LOGS, CLASSES, **options, reduction=reduction) == pytest.approx(
            cross_entropy(ROWS, CLASSES, **options, reduction=reduction), rel=1e-14
        )


def test_kl_divergence_is_a_sum_over_classes_and_a_mean_over_samples() -> None:
    terms = [math.fsum(t * (math.log(t) - x) for t, x in zip(*row) if t) for row in zip(SHARES, LOGS)]
    assert kl_divergence(LOGS, SHARES, reduction="none") == pytest.approx(terms, rel=1e-14)
    assert kl_divergence(LOGS, SHARES) == pytest.approx(math.fsum(terms) / 4, rel=1e-14)
    log_targets = [[float(x) for x in log_softmax(row)] for row in OTHERS]
    targets = [[math.exp(x) for x in row] for row in log_targets]
    assert kl_divergence(LOGS, log_targets, log_target=True) == pytest.approx(kl_divergence(LOGS, targets), rel=1e-14)
    half = -0.6931471805599453
    assert kl_divergence([half, half], [0.5, 0.5]) == 0.0
    nothing, everything = Value(0.0), Value(1.0)
    kl_divergence([-1.0, -0.5], [nothing, everything]).backward()
    assert (nothing.grad, everything.grad) == (-math.inf, 1.5)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weight", [None, WEIGHTS])
def test_multi_margin_is_its_formula(p: int, weight: Any) -> None:
    terms = [
        sum(max(0.0, 0.8 - row[t] + x) ** p for i, x in enumerate(row) if i != t) / 3 * (weight[t] if weight else 1.0)
        for row, t in zip(ROWS, CLASSES)
    ]
    found = multi_margin(ROWS, CLASSES, p=p, margin=0.8, weight=weight, reduction="none")
    assert found == pytest.approx(terms, rel=1e-14)
    assert multi_margin(ROWS, CLASSES, p=p, margin=0.8, weight=weight) == pytest.approx(sum(terms) / 4, rel=1e-14)


# --- recordings and fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss",
    [
        partial(cross_entropy, weight=WEIGHTS, reduction="sum"),
        partial(cross_entropy, label_smoothing=0.1),
        partial(cross_entropy, ignore_index=1, reduction="sum"),
        partial(cross_entropy, weight=WEIGHTS, ignore_index=0, label_smoothing=0.2, reduction="sum"),
        partial(multi_margin, weight=WEIGHTS, p=2),
    ],
)
def test_one_recording_serves_all_classes(loss: Any) -> None:
    recorded = compile(loss, batched=("prediction", "target"))
    found = recorded.map(prediction=ROWS, target=CLASSES)
    assert found.tolist() == pytest.approx([loss(row, t) for row, t in zip(ROWS, CLASSES)], rel=1e-14)
    assert (recorded.stats["paths"], recorded.stats["eager"]) == (1, 0)


def test_the_mean_of_a_recorded_batch_leaves_out_what_is_ignored_then() -> None:
    recorded = compile(lambda rows, targets: cross_entropy(rows, targets, weight=WEIGHTS, ignore_index=1))
    for targets in ([2, 0, 1, 2], [0, 1, 1, 2], [1, 2, 0, 0]):
        truth = cross_entropy(ROWS, targets, weight=WEIGHTS, ignore_index=1)
        assert recorded(ROWS, targets) == pytest.approx(truth, rel=1e-14)
    assert recorded.stats["paths"] == 1


def test_weights_of_samples_in_compile_are_class_weights_with_their_mean() -> None:
    mean = compile(lambda x, t, w: cross_entropy(x, t), batched=("x", "t", "w"), weights="w")
    weights = [WEIGHTS[t] for t in CLASSES]
    assert mean(ROWS, CLASSES, weights) == pytest.approx(cross_entropy(ROWS, CLASSES, weight=WEIGHTS), rel=1e-14)


@pytest.mark.parametrize("setting", ["auto", False])
def test_fit_minimises_the_weighted_sum_divided_by_the_samples(setting: Any) -> None:
    rows, classes = ROWS * 3, CLASSES * 3
    model = MLP(3, [3], rng=0)
    truth = MLP(3, [3], rng=0)
    loss = partial(cross_entropy, weight=WEIGHTS, label_smoothing=0.1, reduction="sum")
    with thresholds(least_work=0, least_samples=0):
        settings: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "batch_size": None, "progress": False}
        history = fit(model, rows, classes, loss=loss, epochs=1, compile=setting, **settings)
    assert history.engine == ("eager" if setting is False else "tape")
    total = cross_entropy([truth(row) for row in rows], classes, weight=WEIGHTS, label_smoothing=0.1)
    total = total * (math.fsum(WEIGHTS[t] for t in classes) / len(rows))
    total.backward()
    expected = [p.data - 0.1 * p.grad for p in truth.parameters()]
    assert [p.data for p in model.parameters()] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("setting", ["auto", True, False])
@pytest.mark.parametrize("ignored", [1, -100, 2])  # the last is the target of the first sample
def test_fit_leaves_ignored_samples_out_of_the_sum(ignored: int, setting: Any) -> None:
    classes = [2, 0, ignored, 2] if ignored != 2 else [2, 0, 1, 2]
    model = MLP(3, [3], rng=0)
    truth = MLP(3, [3], rng=0)
    loss = partial(cross_entropy, ignore_index=ignored, reduction="sum")
    with thresholds(least_work=0, least_samples=0):
        settings: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "batch_size": None, "progress": False}
        fit(model, ROWS, classes, loss=loss, epochs=1, compile=setting, **settings)
    kept = [(truth(row), t) for row, t in zip(ROWS, classes) if t != ignored]
    total = cross_entropy(*zip(*kept), reduction="sum")
    (total / 4).backward()
    expected = [p.data - 0.1 * p.grad for p in truth.parameters()]
    assert [p.data for p in model.parameters()] == pytest.approx(expected, rel=1e-12)


def test_a_first_sample_that_is_ignored_does_not_keep_fit_from_recording() -> None:
    loss = partial(cross_entropy, ignore_index=-100, reduction="sum")
    with thresholds(least_work=0, least_samples=0):
        history = fit(MLP(3, [3], rng=0), ROWS, [-100, 0, 2, 1], loss=loss, batch_size=None, epochs=2, progress=False)
    assert (history.engine, history.eager_because) == ("tape", None)


def test_an_ignored_sample_passes_nothing_on_even_if_its_logits_are_not_finite() -> None:
    xs = [Value(math.nan), Value(math.inf)]
    loss = cross_entropy([xs, [0.0, 1.0]], [0, 1], ignore_index=0)
    loss.backward()
    assert loss.data == pytest.approx(math.log1p(math.exp(-1.0)), rel=1e-15)
    assert [x.grad for x in xs] == [0.0, 0.0]


def test_pickles_that_name_the_module_of_earlier_versions_are_read() -> None:
    assert pickle.loads(b"cmicrogrud.losses\nsquared_error\n.") is squared_error
    assert pickle.loads(pickle.dumps(partial(huber, delta=2.0)))(0.0, 1.0) == 0.5


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: cross_entropy([0.0, 1.0], 1, weight=[1.0, 2.0]),
            ValueError,
            "expected reduction='sum' for one sample with class weights, got 'mean'",
        ),
        (lambda: cross_entropy([0.0, 1.0], 1, ignore_index=1), ValueError, "expected a sample that counts"),
        (lambda: cross_entropy([[0.0, 1.0]], [1], weight=[1.0, 0.0]), ValueError, "or have the weight 0"),
        (lambda: cross_entropy([[0.0, 1.0]], [1], weight=[1.0]), ValueError, "weight: expected 2 numbers, one per"),
        (
            lambda: cross_entropy([[0.0, 1.0]], [1], weight={0: 1.0, 1: 2.0}),
            TypeError,
            "weight for each class, got a d",
        ),
        (lambda: cross_entropy([[0.0, 1.0]], [1], weight=["1", 2.0]), TypeError, "weight: expected a real number"),
        (lambda: cross_entropy([0.0, 1.0], 1, ignore_index=1.5), TypeError, "ignore_index: expected an integer"),
        (lambda: cross_entropy([0.0, 1.0], -1), ValueError, "expected a class index from 0 to 1, got -1"),
        (lambda: cross_entropy([0.0, 1.0], 1, label_smoothing=1.5), ValueError, "label_smoothing: expected a finite"),
        (lambda: cross_entropy([0.0, 1.0], 1, reduction="avg"), ValueError, "reduction: expected 'mean', 'sum' or"),
        (lambda: squared_error(0.0, 1.0, reduction="batchmean"), ValueError, "squared_error: reduction: expected"),
        (lambda: smooth_l1(0.0, 1.0, beta=-1.0), ValueError, "smooth_l1: beta: expected a finite number x >= 0"),
        (lambda: gaussian_nll(0.0, 1.0, -1.0), ValueError, "expected variances of at least 0, got -1.0; take exp"),
        (lambda: gaussian_nll(0.0, 1.0, math.nan), ValueError, "expected variances of at least 0, got nan"),
        (lambda: gaussian_nll([0.0, 1.0], [1.0, 1.0], [1.0, 1.0, 1.0]), ValueError, "expected 2 numbers, one per pred"),
        (lambda: gaussian_nll(0.0, 1.0, [1.0]), ValueError, "expected one variance for one prediction, got a list"),
        (lambda: poisson_nll(0.0, -1.0), ValueError, "expected counts of at least 0 as targets, got -1.0"),
        (lambda: poisson_nll(-0.5, 1.0, log_input=False), ValueError, "rates of at least 0, got -0.5; log_input=True"),
        (lambda: poisson_nll(1000.0, 1.0), OverflowError, r"exp\(1000.0\): the result is too large"),
        (lambda: hinge(0.0, 1, margin=math.inf), ValueError, "hinge: margin: expected a finite number"),
        (lambda: margin_ranking(0.0, 1.0, 0.5), ValueError, "margin_ranking: expected targets -1 or 1, got 0.5"),
        (lambda: multi_margin([0.0, 1.0], 1, p=3), ValueError, "multi_margin: p: expected 1 or 2, got 3"),
        (lambda: kl_divergence([-0.5, -1.0], [0.5, 0.4]), ValueError, "soft targets that sum to 1"),
        (lambda: kl_divergence([0.5, -1.0], [0.5, 0.5]), ValueError, "log-probabilities, which are at most 0"),
        (
            lambda: binary_cross_entropy_with_logits([0.0, 1.0], [0, 1], pos_weight=[[1.0], [2.0]]),
            ValueError,
            "expected one pos_weight for one prediction, got a list",
        ),
    ],
)
def test_invalid_options_are_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
