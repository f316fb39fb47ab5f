"""The tests that an answer to an exercise of notebook 2 or 3 has to pass; `checks.check` runs them."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from typing import Any

from hints import (
    NotYetError,
    anything,
    close,
    compare,
    exercise,
    number,
    result,
    shown,
)

# --- notebook 2 ---


@exercise(7)
def _mean_squared_error(answer: Any) -> None:
    cases = ([1.0, 2.0, 6.0], [2.0, 2.0, 3.0]), ([1.0, -1.0], [0.0, 0.0]), ([0.5], [2.5])
    for predictions, targets in cases:
        errors = [p - t for p, t in zip(predictions, targets)]
        n, truth = len(errors), sum(e * e for e in errors) / len(errors)
        case = f"the predictions {shown(predictions)} and the targets {shown(targets)}"
        compare(
            (answer, predictions, targets),
            f"{case}; the errors are {shown(errors)}, the mean of their squares",
            truth,
            (truth * n, "You have the sum of the squares."),
            (sum(errors) / n, "You have the mean of the errors themselves."),
            (sum(map(abs, errors)) / n, "You have the mean of their sizes."),
            ((sum(errors) / n) ** 2, "Square each error, not their mean."),
            (math.sqrt(truth), "You took a square root."),
            (truth / 2.0, "You have half of the mean."),
        )


def _slope_of_square(x: float) -> float:
    return 2.0 * x


def _end(
    x: float,
    rate: float,
    steps: int,
    momentum: float = 0.0,
    velocity_of: Callable[[float, float, float], float] = lambda keep, v, slope: (
        keep * v + slope
    ),
) -> float:
    """Return where a walk on x * x ends, by the right rule for the velocity or by another."""
    velocity = 0.0
    for _ in range(steps):
        velocity = velocity_of(momentum, velocity, _slope_of_square(x))
        x -= rate * velocity
    return x


@exercise(8)
def _walk(answer: Any) -> None:
    for start, rate, steps in ((4.0, 0.25, 3), (-1.0, 0.1, 20), (2.0, 0.5, 0)):
        case = f"slope(x) = 2 * x, start {start:g}, rate {rate:g}, steps {steps}"
        compare(
            (answer, _slope_of_square, start, rate, steps),
            f"{case}; the walk ends at",
            _end(start, rate, steps),
            (_end(start, -rate, steps), "Yours climbs."),
            (start - steps * rate * 2.0 * start, "Does the slope stay that of the start?"),
            (_end(start, rate, 1), "Yours takes one step."),
            (_end(start, rate, steps - 1), "Yours is a step short."),
            (_end(start, rate, steps + 1), "Yours takes a step too many."),
            (anything, f"The first step leads to {shown(_end(start, rate, 1))}."),
        )
    flat = number(
        "your function, for a slope of 0 everywhere,", answer, lambda x: 0.0, 4.0, 0.25, 3
    )
    if not close(flat, 4.0):
        raise NotYetError(
            f"where the slope is 0 everywhere, your walk leads from 4 to {shown(flat)}: call slope(x)."
        )


@exercise(9)
def _best_rate(answer: Any) -> None:
    for curvature in (4.0, 2.0, 50.0):
        rate = number(f"your function, for the curvature {curvature:g},", answer, curvature)
        end = 1.0 - rate * curvature
        if abs(end) > 1e-9:
            raise NotYetError(
                f"your rate for the curvature {curvature:g} is {shown(rate)}. From x = 1, where "
                f"the slope is {curvature:g}, one step leads to {shown(end)}; the bottom is at 0."
            )


@exercise(10)
def _momentum(answer: Any) -> None:
    for momentum, steps in ((0.9, 2), (0.5, 1), (0.5, 10), (0.0, 3)):
        case = f"slope(x) = 2 * x, start 4, rate 0.1, momentum {momentum:g}, steps {steps}"
        args = (_slope_of_square, 4.0, 0.1, momentum, steps)
        walk = 4.0, 0.1, steps, momentum
        compare(
            (answer, *args),
            f"{case}; the walk ends at",
            _end(*walk),
            (_end(4.0, 0.1, steps), "Yours is the walk without momentum."),
            (_end(4.0, -0.1, steps, momentum), "Yours climbs."),
            (
                _end(*walk, lambda keep, v, slope: keep * v + (1.0 - keep) * slope),
                "You add a share of the slope to the velocity: add the whole slope.",
            ),
            (
                _end(*walk, lambda keep, v, slope: v + keep * slope),
                "You keep the whole velocity and a share of the slope: it is the other way round.",
            ),
            (
                _end(*walk, lambda keep, v, slope: v + slope),
                "You keep the whole velocity: only the share `momentum` of it stays.",
            ),
            (
                _end(*walk, lambda keep, v, slope: keep * (v + slope)),
                "You take the share of the slope, too: the slope is added whole.",
            ),
            (
                _end(4.0, 0.1, steps - 1, momentum),
                "Yours is a step short: does each step take in the slope before it moves?",
            ),
            (_end(4.0, 0.1, steps + 1, momentum), "Yours takes a step too many."),
            (
                anything,
                "The first step leads to 3.2, with the velocity 8. There the slope is 6.4: "
                "what is the next velocity?",
            ),
        )


# --- notebook 3 ---


@exercise(11)
def _parameters(answer: Any) -> None:
    for inputs, sizes in ((2, [3]), (2, [4, 4, 1]), (30, [16, 16, 3])):
        case = f"{inputs} inputs and layers of {sizes}"
        pairs = list(zip([inputs, *sizes], sizes))
        compare(
            (answer, inputs, sizes),
            f"{case}; the number is",
            sum((n + 1) * m for n, m in pairs),
            (sum(n * m for n, m in pairs), "These are the weights alone."),
            (
                sum((inputs + 1) * m for m in sizes),
                "You give each layer the inputs of the network: the second gets the outputs of the first.",
            ),
            (
                sum(n * m for n, m in pairs) + len(sizes),
                "You count one bias for each layer: each neuron has its own.",
            ),
            (
                sum(n * m + n for n, m in pairs),
                "You count a bias for each input of a layer: each neuron has one.",
            ),
            (sum((n + 1) * m for n, m in pairs) + inputs, "Inputs have no parameters."),
            (sum(sizes), "You count the neurons, or their biases. What of the weights?"),
            (pairs[0][1] * (inputs + 1), "That is the first layer alone."),
            (
                pairs[-1][1] * (pairs[-1][0] + 1),
                "That is the last layer alone: is each layer added to those before it?",
            ),
            (
                anything,
                f"One neuron of the first layer has {inputs} weights and a bias. How many neurons has "
                "the layer, and how many inputs has the next?",
            ),
        )


@exercise(12)
def _batches(answer: Any) -> None:
    for count, size in ((10, 5), (7, 3), (2, 4)):
        samples, case = list(range(count)), f"for {count} samples and the size {size}"
        got = result(f"your function, {case},", answer, samples, size, random.Random(0))
        if samples != list(range(count)):
            raise NotYetError("your function changes the caller's list: shuffle a copy.")
        if not isinstance(got, list) or not all(isinstance(batch, list) for batch in got):
            raise NotYetError(
                f"your function returned {got!r} {case}; expected a list of lists."
            )
        flat, sizes = [sample for batch in got for sample in batch], [*map(len, got)]
        missing = sorted({*samples} - {*flat})
        if missing:
            raise NotYetError(
                f"{case} no batch has the samples {missing}: all have their turn."
            )
        if len(flat) > count:
            raise NotYetError(
                f"{case} the batches hold {len(flat)} samples: some come twice."
            )
        if sizes[:-1] != [size] * (len(sizes) - 1) or not 0 < sizes[-1] <= size:
            raise NotYetError(f"{case} your batches have {sizes} samples.")
        if count == 10 and flat == samples:
            raise NotYetError(f"{case} the order is the given one: shuffle by rng.")
    _shuffled(answer)


def _shuffled(answer: Any) -> None:
    """Check that the order comes from the generator, that any sample may be in any batch, and that equal ones stay."""
    samples = [0.5, 0.5, *range(2, 20)]

    def batches(seed: int) -> list[list[float]]:
        case = f"your function, for 20 samples, the size 5 and random.Random({seed}),"
        found: list[list[float]] = result(
            case, answer, list(samples), 5, random.Random(seed)
        )
        return found

    first, again, other = batches(1), batches(1), batches(2)
    if sorted(itertools.chain(*first)) != samples:
        raise NotYetError(
            "of two equal samples, your batches lack one, or have it more often."
        )
    if first != again or first == other:
        raise NotYetError(
            "the order has to come from rng: the same for equal generators, and another for others."
        )
    cuts = [sorted(samples[k : k + 5]) for k in range(0, 20, 5)]
    if sorted(map(sorted, first)) == cuts and sorted(map(sorted, other)) == cuts:
        raise NotYetError(
            "each batch holds neighbours of the given order: shuffle first, and cut then."
        )


def _kept(losses: list[float], patience: int) -> int:
    """Return the epoch whose parameters a training with this patience keeps."""
    best = 0
    for epoch, loss in enumerate(losses):
        best = epoch if loss < losses[best] else best
        if epoch - best == patience:
            break
    return best


@exercise(13)
def _early_stopping(answer: Any) -> None:
    losses = [5.0, 4.0, 2.9, 3.5, 3.6, 1.0, 2.0, 2.1, 2.2, 0.5]
    for values, patience, truth in (
        (losses, 2, 2),
        (losses, 3, 5),
        (losses, 5, 9),
        ([2.0, 1.0], 3, 1),
        ([3.0, 4.0, 3.5, 3.2, 1.0], 2, 0),
        ([3.0, 3.0, 3.0, 1.0], 2, 0),
    ):
        case = f"the losses {shown(values)} and the patience {patience}"
        compare(
            (answer, values, patience),
            f"{case}; expected",
            truth,
            (values[truth], "Return the number of the epoch, not its loss."),
            (truth + 1, "Count the epochs from 0."),
            (_kept(values, patience + 1), "You wait an epoch too long."),
            (_kept(values, patience - 1), "You stop an epoch too early."),
            (
                truth + patience,
                "Training stops there. Which epoch had the best parameters?",
            ),
            (values.index(min(values)), "Training stops before it sees the later losses."),
            (anything, "Go through the losses one by one, and remember the lowest so far."),
        )
