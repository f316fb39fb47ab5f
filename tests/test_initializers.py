"""Initialisers draw from the distributions in their names, with the given source of random numbers."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import mpmath
import pytest

from microgrud.nn import MLP, Layer, Neuron
from microgrud.nn.initializers import (
    INITIALIZERS,
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    Zeros,
    calculate_gain,
    get_initializer,
    get_random_source,
)


class Square(Orthogonal):
    """An initialiser that returns a matrix of another shape."""

    def matrix(self, nin: int, nout: int, rng: Any) -> list[list[float]]:
        return super().matrix(nin, nin, rng)


NIN, NOUT, DRAWS = 30, 20, 20_000


def draws(init: Any) -> list[float]:
    rng = random.Random(0)
    return [init(NIN, NOUT, rng) for _ in range(DRAWS)]


@pytest.mark.parametrize(
    ("init", "bound"),
    [
        (Uniform(), 1.0),
        (Uniform(-0.25, 0.25), 0.25),
        (HeUniform("fan_out"), math.sqrt(6 / NOUT)),
        (HeUniform(nonlinearity="tanh"), 5 / 3 * math.sqrt(3 / NIN)),
        (HeUniform("fan_out", "leaky_relu", slope=0.2), math.sqrt(6 / 1.04 / NOUT)),
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
        (HeNormal("fan_out", "selu"), 0.0, 0.75 / math.sqrt(NOUT)),
        (HeNormal(nonlinearity="linear"), 0.0, 1 / math.sqrt(NIN)),
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


@pytest.mark.parametrize(
    ("init", "low", "high"),
    [
        (TruncatedNormal(), -2.0, 2.0),
        (TruncatedNormal(mean=1.0, std=0.5, low=0.9, high=3.0), 0.9, 3.0),
        (TruncatedNormal(low=30.0, high=45.0), 30.0, 45.0),
        (TruncatedNormal(low=-9.0, high=-6.0), -9.0, -6.0),
        (TruncatedNormal(low=-1e9, high=0.5), -1e9, 0.5),
    ],
)
def test_truncated_normal_has_the_distribution_between_its_bounds(init: Any, low: float, high: float) -> None:
    xs = sorted(draws(init))
    assert low <= xs[0]
    assert xs[-1] <= high
    with mpmath.workdps(500):  # the probabilities of a tail are differences of numbers close to 1
        ends = [mpmath.ncdf((mpmath.mpf(x) - init.mean) / init.std) for x in (low, high)]
        for share in (0.1, 0.5, 0.9):
            below = mpmath.ncdf((mpmath.mpf(xs[int(share * DRAWS)]) - init.mean) / init.std)
            assert float((below - ends[0]) / (ends[1] - ends[0])) == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize(("nin", "nout"), [(5, 5), (7, 3), (3, 8), (4, 1), (1, 4), (60, 60)])
def test_orthogonal_layers_have_orthonormal_rows_or_columns(nin: int, nout: int) -> None:
    layer = Layer(nin, nout, init=Orthogonal(gain=2.0), rng=1)
    rows = [[w.data for w in neuron.w] for neuron in layer.neurons]
    short = rows if nout <= nin else list(zip(*rows))
    for i, row in enumerate(short):
        for j, other in enumerate(short):
            assert math.fsum(a * b for a, b in zip(row, other)) == pytest.approx(4.0 * (i == j), abs=1e-14)


def test_orthogonal_matrices_have_the_same_bits_on_all_versions_of_python() -> None:
    class Uniform(random.Random):  # gauss() takes logarithms and sines of the C library, which differ
        def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
            return self.uniform(mu - sigma, mu + sigma)

    rows = Orthogonal().matrix(8, 3, Uniform(0))
    assert [x.hex() for x in rows[2][4:]] == [  # with the sums of Python 3.11, the last three differ
        "-0x1.e1ef467a84143p-5", "0x1.f94707bd0a37ep-4", "0x1.d7eb102fd4114p-3", "0x1.133c363a2e8adp-1",
    ]  # fmt: skip


def test_orthogonal_matrices_have_no_preferred_direction() -> None:
    rng = random.Random(2)
    corners = [Orthogonal().matrix(2, 2, rng) for _ in range(2000)]
    angles = sorted(math.atan2(a[1], a[0]) / math.pi for a, _ in corners)
    assert [angles[250 * k + 125] for k in range(8)] == pytest.approx([(k - 3.5) / 4 for k in range(8)], abs=0.05)
    turned = sum(a[0] * b[1] - a[1] * b[0] > 0.0 for a, b in corners)
    assert abs(turned - 1000) < 100  # rotations and reflections are equally likely


def test_each_layer_of_a_network_draws_its_own_matrix() -> None:
    model = MLP(4, [4, 4, 2], init="orthogonal", rng=5)
    rng = random.Random(5)
    expected = [Orthogonal().matrix(4, nout, rng) for nout in (4, 4, 2)]
    assert [[[w.data for w in neuron.w] for neuron in layer.neurons] for layer in model.layers] == expected


def test_constant_is_its_number_and_gains_are_those_of_pytorch() -> None:
    assert {p.data for p in Layer(2, 3, init=Constant(0.5), bias=False).parameters()} == {0.5}
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    assert {name: calculate_gain(name) for name in gains} == pytest.approx(gains, rel=1e-15)
    assert calculate_gain("leaky_relu") == pytest.approx(1.4141428569978354, rel=1e-15)
    assert calculate_gain("leaky_relu", 1.0) == 1.0


def test_weights_of_a_seed_are_those_of_earlier_versions() -> None:
    layers = {init: Layer(2, 1, init=init, rng=3) for init in ("he_uniform", "he_normal", "glorot_uniform")}
    rng = random.Random(3)
    bound, normal = math.sqrt(6.0 / 2), random.Random(3)
    assert [w.data for w in layers["he_uniform"].neurons[0].w] == [rng.uniform(-bound, bound) for _ in range(2)]
    assert [w.data for w in layers["he_normal"].neurons[0].w] == [normal.gauss(0.0, 1.0) for _ in range(2)]


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
        (lambda: HeNormal("fan_avg"), ValueError, "mode: expected one of 'fan_in', 'fan_out', got 'fan_avg'"),
        (lambda: HeUniform(nonlinearity="gelu"), ValueError, "nonlinearity: expected one of 'linear', 'sigmoid', 't"),
        (lambda: HeUniform(slope=math.nan), ValueError, "slope: expected a finite number"),
        (lambda: TruncatedNormal(std=0.0), ValueError, "TruncatedNormal: std: expected a finite number x > 0, got 0.0"),
        (lambda: TruncatedNormal(low=1.0, high=1.0), ValueError, "expected low < high, got low 1.0 and high 1.0"),
        (lambda: TruncatedNormal(low=50.0, high=60.0), ValueError, "expected a probability above 0 between low and hi"),
        (lambda: Orthogonal(math.inf), ValueError, "gain: expected a finite number"),
        (lambda: Neuron(3, init="orthogonal"), TypeError, r"together, got a call for one weight; write Layer\(nin"),
        (lambda: Layer(0, 2, init="orthogonal"), ValueError, "nin: expected an integer of at least 1, got 0"),
        (lambda: Layer(3, 2, init=Square()), ValueError, "its matrix to return 2 lists of 3 weights, got "),
        (lambda: Constant(math.nan), ValueError, "value: expected a finite number"),
        (lambda: get_initializer(HeNormal), TypeError, "got the class HeNormal; make one of it"),
        (lambda: get_initializer(1.0), TypeError, r"expected a name or a function init\(nin, nout, rng\), got 1.0"),
        (lambda: get_random_source(True), TypeError, "rng: expected a random.Random"),
        (lambda: Neuron(1, init=lambda nin, nout, rng: "w"), TypeError, "the string 'w'"),
    ],
)
def test_bad_settings_are_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
