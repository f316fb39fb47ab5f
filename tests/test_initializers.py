"""Initialisers draw from the distributions in their names, with the given source of random numbers."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import pytest

from microgrud.nn import MLP, Layer, Neuron
from microgrud.nn.initializers import (
    INITIALIZERS,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Normal,
    Uniform,
    Zeros,
    get_initializer,
    get_random_source,
)

NIN, NOUT, DRAWS = 30, 20, 20_000


def draws(init: Any) -> list[float]:
    rng = random.Random(0)
    return [init(NIN, NOUT, rng) for _ in range(DRAWS)]


@pytest.mark.parametrize(
    ("init", "bound"),
    [
        (Uniform(), 1.0),
        (Uniform(-0.25, 0.25), 0.25),
        (GlorotUniform(), math.sqrt(6 / (NIN + NOUT))),
        (GlorotUniform(gain=2.0), 2 * math.sqrt(6 / (NIN + NOUT))),
        (HeUniform(), math.sqrt(6 / NIN)),
    ],
)
def test_uniform_kinds_fill_their_interval_evenly(init: Any, bound: float) -> None:
    xs = draws(init)

    assert max(map(abs, xs)) <= bound
    assert max(xs) > 0.999 * bound
    assert min(xs) < -0.999 * bound
    assert statistics.fmean(xs) == pytest.approx(0.0, abs=5 * bound / math.sqrt(3 * DRAWS))
    assert statistics.pstdev(xs) == pytest.approx(bound / math.sqrt(3), rel=0.03)


@pytest.mark.parametrize(
    ("init", "mean", "std"),
    [
        (Normal(), 0.0, 1.0),
        (Normal(mean=3.0, std=0.5), 3.0, 0.5),
        (GlorotNormal(), 0.0, math.sqrt(2 / (NIN + NOUT))),
        (GlorotNormal(gain=5 / 3), 0.0, 5 / 3 * math.sqrt(2 / (NIN + NOUT))),
        (HeNormal(), 0.0, math.sqrt(2 / NIN)),
    ],
)
def test_normal_kinds_have_their_mean_and_deviation(init: Any, mean: float, std: float) -> None:
    xs = draws(init)
    within_one_deviation = sum(abs(x - mean) < std for x in xs) / DRAWS

    assert statistics.fmean(xs) == pytest.approx(mean, abs=5 * std / math.sqrt(DRAWS))
    assert statistics.pstdev(xs) == pytest.approx(std, rel=0.03)
    assert within_one_deviation == pytest.approx(0.6827, abs=0.02)


def test_zeros_draws_nothing() -> None:
    rng = random.Random(0)
    before = rng.getstate()

    assert Zeros()(NIN, NOUT, rng) == 0.0
    assert rng.getstate() == before


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_every_initialiser_works_by_name_and_is_reproducible(name: str) -> None:
    by_name, by_object = MLP(3, [4, 2], init=name, rng=9), MLP(3, [4, 2], init=INITIALIZERS[name], rng=9)

    assert by_name.state_dict() == by_object.state_dict()
    assert get_initializer(name) is INITIALIZERS[name]


def test_layers_tell_their_initialiser_both_sizes_and_neurons_start_with_bias_zero() -> None:
    sizes = []

    def recording(nin: int, nout: int, rng: random.Random) -> float:
        sizes.append((nin, nout))
        return 1.0

    model = MLP(3, [4, 2], init=recording)
    Neuron(5, init=recording)

    assert sizes == [(3, 4)] * 12 + [(4, 2)] * 8 + [(5, 1)] * 5
    assert {p.data for name, p in model.named_parameters() if name.endswith(".b")} == {0.0}


def test_without_a_generator_the_global_one_is_drawn_from() -> None:
    random.seed(21)
    expected = [random.uniform(-1, 1) for _ in range(6)]
    random.seed(21)
    layer = Layer(3, 2)

    assert [p.data for neuron in layer.neurons for p in neuron.w] == expected
    assert get_random_source(None) is get_random_source(random)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Uniform(1.0, -1.0), ValueError, "Uniform: expected low <= high, got low 1.0 and high -1.0"),
        (lambda: Uniform(-math.inf, 0.0), ValueError, "low: expected a finite number, got -inf"),
        (lambda: Normal(std=-1.0), ValueError, "Normal: expected std >= 0, got -1.0"),
        (lambda: Normal(mean=math.nan), ValueError, "mean: expected a finite number, got nan"),
        (lambda: GlorotUniform(gain="2"), TypeError, "gain: expected a real number, got the string '2'"),
        (lambda: GlorotNormal(gain=math.inf), ValueError, "gain: expected a finite number"),
        (lambda: get_initializer(HeNormal), TypeError, "got the class HeNormal; make one of it"),
        (lambda: get_initializer(1.0), TypeError, r"expected a name or a function init\(nin, nout, rng\), got 1.0"),
        (lambda: get_random_source(True), TypeError, "rng: expected a random.Random"),
        (lambda: Neuron(1, init=lambda nin, nout, rng: "w"), TypeError, "the string 'w'"),
    ],
)
def test_bad_settings_are_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
