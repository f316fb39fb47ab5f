"""The tests that an answer to an exercise of notebooks 4 to 6 has to pass; `checks.check` runs them."""

from __future__ import annotations

import math
from typing import Any

from microgrud import Value

from hints import NotYetError, anything, close, compare, exercise, number, result, shown

# --- notebook 4 ---


def _mean(xs: list[float]) -> float:
    return sum(xs) / len(xs)


def _deviation(xs: list[float], less: int = 0) -> float:
    return math.sqrt(sum((x - _mean(xs)) ** 2 for x in xs) / (len(xs) - less))


@exercise(14)
def _scaling(answer: Any) -> None:
    train, new = [2.0, 4.0, 6.0, 8.0], [5.0, 9.0, 1.0]
    centre, spread = _mean(train), _deviation(train)
    case = f"the training values {shown(train)} and the values {shown(new)}"
    got = _numbers(answer, case, len(new), train, new)

    def scaled(centre: float, spread: float) -> list[float]:
        return [(x - centre) / spread for x in new]

    _compare_lists(
        got,
        scaled(centre, spread),
        case,
        (scaled(_mean(new), _deviation(new)), "Whose mean and deviation did you take?"),
        (
            scaled(_mean(train + new), _deviation(train + new)),
            "The new values are unknown during training.",
        ),
        (scaled(centre, 1.0), "The mean is subtracted. What are the values divided by?"),
        (scaled(0.0, spread), "The values are divided. What is subtracted before?"),
        (scaled(centre, spread**2), "Take the square root of the mean square."),
        (
            scaled(centre, _deviation(train, 1)),
            "Divide the sum of the squares by their number, 4.",
        ),
    )


def _numbers(answer: Any, case: str, length: int, *args: Any) -> list[float]:
    """Return the list of numbers that an answer returns."""
    got = result(f"your function, for {case},", answer, *args)
    try:
        found = [float(x.data if isinstance(x, Value) else x) for x in got]
    except (TypeError, ValueError):
        found = []
    if len(found) != length:
        raise NotYetError(
            f"your function returned {shown(got)} for {case}; expected a list of {length} numbers."
        )
    return found


def _compare_lists(
    got: list[float], truth: list[float], case: str, *mistakes: tuple[list[float], str]
) -> None:
    """Raise a hint if a list of numbers is wrong: that of the first mistake that leads to the same list."""
    if all(map(close, got, truth)):
        return
    text = next((text for wrong, text in mistakes if all(map(close, got, wrong))), "")
    said = f"your function returned {shown(got)} for {case}; expected {shown(truth)}."
    raise NotYetError(f"{said} {text}".rstrip())


@exercise(15)
def _softmax(answer: Any) -> None:
    for scores in ([1.0, 0.0, -1.0], [0.0, 0.0], [2.0, 2.0, 5.0, -3.0]):
        case = f"the scores {shown(scores)}"
        powers = [math.exp(score) for score in scores]
        total = sum(powers)
        _compare_lists(
            _numbers(answer, case, len(scores), scores),
            [power / total for power in powers],
            case,
            (powers, "These are the exponentials. They add up to more than 1."),
            ([p / max(powers) for p in powers], "What do your numbers add up to?"),
            (
                [s / (sum(scores) or 1.0) for s in scores],
                "A share of a negative score is negative: take exp first.",
            ),
            (
                [p / (1.0 + p) for p in powers],
                "You divide each by 1 + itself: divide by the sum of all.",
            ),
            (
                [p / len(scores) for p in powers],
                "You divide by how many they are, not by their sum.",
            ),
            (
                [1.0 / p / sum(1.0 / q for q in powers) for p in powers],
                "The largest score gets the smallest share: is the sign right?",
            ),
        )


@exercise(16)
def _accuracy(answer: Any) -> None:
    rows = [
        [2.0, 1.0, 0.0],
        [-1.0, -3.0, -2.0],
        [0.0, 0.5, 4.0],
        [1.0, 3.0, 2.0],
        [0.1, 0.2, 0.3],
    ]
    for labels in ([1, 1, 2, 2, 0], [0, 0, 2, 2, 1]):
        best = [max(range(3), key=row.__getitem__) for row in rows]
        least = [min(range(3), key=row.__getitem__) for row in rows]
        right = sum(b == label for b, label in zip(best, labels))
        compare(
            (answer, rows, labels),
            f"5 rows whose largest scores are those of the classes {best}, and the labels {labels}; the accuracy is",
            right / 5,
            (right, "That is the number of right answers, not their share."),
            (1.0 - right / 5, "That is the share of wrong answers."),
            (
                sum(b == k for b, k in zip(least, labels)) / 5,
                "Is it the smallest score that wins?",
            ),
            (
                sum(max(row) == k for row, k in zip(rows, labels)) / 5,
                "Compare the class, not its score, with the label.",
            ),
            (
                sum(b + 1 == k for b, k in zip(best, labels)) / 5,
                "Classes are counted from 0.",
            ),
            (right * 20.0, "That is in percent. Return a share, from 0 to 1."),
        )


@exercise(17)
def _baseline(answer: Any) -> None:
    for train, new in (([1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 2]), ([2, 0, 2, 1], [2, 2, 1])):
        most, most_new = (max(labels, key=labels.count) for labels in (train, new))
        compare(
            (answer, train, new),
            f"the training labels {train} and the test labels {new}; the accuracy is",
            new.count(most) / len(new),
            (new.count(most_new) / len(new), "The test labels may not choose the answer."),
            (train.count(most) / len(train), "That is the accuracy on the training rows."),
            (most, "That is the answer. How often is it right on the test rows?"),
            (new.count(most), "That is the number of right answers, not their share."),
            (1.0 - new.count(most) / len(new), "That is the share of wrong answers."),
        )


# --- notebook 5 ---


@exercise(18)
def _logistic_slope(answer: Any) -> None:
    for s in (0.0, 2.0, -3.0, 40.0, -40.0, 1000.0, -1000.0):
        truth = -1.0 / (1.0 + math.exp(s)) if s < 700.0 else 0.0
        case = f"s = {s:g}"
        got = number(f"your function, for {case},", answer, s)
        if abs(got - truth) <= 1e-12 * abs(truth):
            continue
        hint = "Try a nudge at this place."
        if close(got, truth):
            hint = "Two numbers that agree in nearly all digits are subtracted: avoid the difference."
        elif close(got, -truth):
            hint = "The size is right: does log(1 + exp(-s)) grow or fall?"
        raise NotYetError(
            f"your function returned {shown(got)} for {case}; expected {shown(truth)}. {hint}"
        )


@exercise(19)
def _power(answer: Any) -> None:
    for x in (1.5, 0.5, 3.0):
        by_base, by_exponent = x * x ** (x - 1.0), x**x * math.log(x)
        compare(
            (answer, x),
            f"x = {x:g}; the derivative of x**x is",
            by_base + by_exponent,
            (by_base, "That is the share of the base. The exponent changes, too."),
            (by_exponent, "That is the share of the exponent. The base changes, too."),
            (anything, "Two paths lead from x to x**x: their shares add up."),
        )


@exercise(20)
def _whole_gradient(answer: Any) -> None:
    for numbers in ([1.0, 3.0], [2.0, 0.5, 1.5]):
        xs = [Value(x) for x in numbers]
        total, case = sum(numbers), f"your function, for Values of {shown(numbers)},"
        share = result(case, answer, xs)
        if not isinstance(share, Value):
            raise NotYetError(f"{case} returned {share!r}; expected a Value.")
        if not close(share.data, numbers[0] / total):
            raise NotYetError(
                f"{case} returned {shown(share)}; expected {shown(numbers[0] / total)}."
            )
        share.backward()
        truth = [(total - numbers[0]) / total**2, *[-numbers[0] / total**2] * (len(xs) - 1)]
        grads = [x.grad for x in xs]
        if not all(map(close, grads, truth)):
            cut = not any(grads[1:])
            why = (
                "The other numbers have no gradient: where does the graph end?"
                if cut
                else ""
            )
            raise NotYetError(
                f"{case} has the right value, and the gradient {shown(grads)}; expected "
                f"{shown(truth)}. {why}".rstrip()
            )


# --- notebook 6 ---


@exercise(21)
def _surprise(answer: Any) -> None:
    for chances in ([0.5, 0.25, 1.0], [0.1], [0.2, 0.2, 0.2, 0.2]):
        n, logs = len(chances), [-math.log(p) for p in chances]
        compare(
            (answer, chances),
            f"the probabilities {shown(chances)}; the mean surprise is",
            sum(logs) / n,
            (-sum(logs) / n, "Surprises are not negative."),
            (sum(logs), "That is the sum of the surprises."),
            (-math.log(sum(chances) / n), "Take the logarithm of each, then the mean."),
            (
                sum(logs) / n / math.log(2.0),
                "That is in bits: take the natural logarithm, math.log.",
            ),
            (1.0 - sum(chances) / n, "The surprise at p is -log(p), not 1 - p."),
        )


@exercise(22)
def _attention(answer: Any) -> None:
    query = [1.0, -2.0, 0.5, 1.0]
    keys = [[1.0, 0.0, 2.0, 1.0], [0.0, -1.0, 0.0, 1.0], [2.0, 1.0, 0.0, -1.0]]
    values = [[1.0, 0.0], [0.0, 1.0], [5.0, -3.0]]
    for n in (3, 2, 1):
        products = [sum(map(float.__mul__, query, key)) for key in keys[:n]]

        def average(products: list[float], n: int = n) -> list[float]:
            powers = [math.exp(product) for product in products]
            return [
                sum(p * v[k] for p, v in zip(powers, values[:n])) / sum(powers)
                for k in (0, 1)
            ]

        scaled = [product / 2.0 for product in products]
        case = f"a query of 4 numbers, {n} keys and {n} values"
        _compare_lists(
            _numbers(answer, case, 2, query, keys[:n], values[:n]),
            average(scaled),
            case,
            (average(products), "Are the products divided by the square root of 4?"),
            (
                [sum(p * v[k] for p, v in zip(scaled, values[:n])) for k in (0, 1)],
                "What turns products into shares?",
            ),
            (
                [_mean([v[k] for v in values[:n]]) for k in (0, 1)],
                "All values have the same share: use the query.",
            ),
        )


@exercise(23)
def _products(answer: Any) -> None:
    for positions, width in ((4, 12), (6, 12), (100, 64)):
        pairs = positions * (positions + 1) // 2
        compare(
            (answer, positions, width),
            f"{positions} positions and the width {width}; the number is",
            pairs * width,
            (positions**2 * width, "Does the first position see the last one?"),
            (pairs, "How many multiplications has the product of one query and one key?"),
            ((pairs - positions) * width, "Does a position see itself?"),
            (
                pairs * width * 3,
                "Each head has its own part of the numbers, not all of them.",
            ),
            (
                anything,
                "How many keys does the first position meet, the second, the third?",
            ),
        )
