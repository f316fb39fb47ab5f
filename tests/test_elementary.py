"""The functions of _native/src/ops/elementary.h: accurate, and the same bits in every variant and at every place.

A library of these functions alone is compiled for these tests. Run `pytest tests/test_elementary.py -s` to see the
worst case of each function.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from arrays import np
from mpmath import mp
from truth import TRUTH, any_size, exact, ulp_error

SOURCES = Path(__file__).resolve().parent.parent / "microgrud" / "_native" / "src"
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-trapping-math", "-fPIC", "-shared"]
SOURCE = """
#include <stdlib.h>

#include "ops/elementary_blocks.h"

static const ElementaryBlocks *find(const char *variant)
{
#define FOUND(set) if ((variant == NULL || strcmp(variant, #set) == 0) && runs_here(#set)) { return &elementary_##set; }
    INSTRUCTION_SETS(FOUND)
    return NULL;
}

const char *best_variant(void)
{
    return find(NULL)->name;
}

/* Return 1, or 0 if the variant does not run here, or -1 if there is no such function. */
int evaluate(const char *variant, const char *function, const double *x, double *y, size_t n)
{
    const ElementaryBlocks *blocks = find(variant);
    if (blocks == NULL) {
        return 0;
    }
#define CASE(name) if (strcmp(function, #name) == 0) { blocks->name(x, y, n); return 1; }
    ELEMENTARY_FUNCTIONS(CASE)
    if (strcmp(function, "tanh's slope") == 0) {
        double *values = malloc(n * sizeof *values + 1);
        blocks->tanh_and_slope(x, values, y, n);
        free(values);
        return 1;
    }
    return -1;
}
"""
VARIANTS = ["avx512", "avx2", "baseline"]
FUNCTIONS = ["exp", "log", "tanh", "tanh's slope", "sigmoid", "sin", "cos"]
SLOPE = "tanh's slope"
#: Measured over these arguments: exp 0.76 ulp, log 0.67, tanh 1.54 (its slope 1.50), sigmoid 1.29, sin 0.73, cos 0.71.
BOUND = {SLOPE: 4.0}
CIRCLE_LIMIT = 2.0**30

Evaluate = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or sys.platform == "win32":
        pytest.skip("no C compiler that takes the options of GCC")
    folder = tmp_path_factory.mktemp("elementary")
    source, library = folder / "elementary.c", folder / "elementary.so"
    source.write_text(SOURCE)
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # the sanitizers'
    units = [str(unit) for unit in sorted(SOURCES.glob("ops/*.c"))]
    command = [compiler, *FLAGS, f"-I{SOURCES}", str(source), *units, "-lm", "-o", str(library)]
    subprocess.run(command, check=True, env=environment)
    loaded = ctypes.CDLL(str(library))
    loaded.best_variant.restype = ctypes.c_char_p
    loaded.evaluate.argtypes = [ctypes.c_char_p] * 2 + [ctypes.c_void_p] * 2 + [ctypes.c_size_t]
    return loaded


@pytest.fixture(scope="module")
def evaluate(library: ctypes.CDLL) -> Evaluate:
    def evaluate(function: str, xs: np.ndarray, variant: str | None = None) -> np.ndarray:
        ys = np.full(len(xs) + 1, 12345.0)
        name = None if variant is None else variant.encode()
        done = library.evaluate(name, function.encode(), xs.ctypes.data, ys.ctypes.data, len(xs))
        assert done >= 0
        if not done:
            pytest.skip(f"{variant} does not run here")
        assert ys[-1] == 12345.0  # nothing is written beyond the end
        return ys[:-1]

    return evaluate


def neighbours(x: float, count: int = 2) -> list[float]:
    """Return x and some floats on both sides of it."""
    found, below, above = [x], x, x
    for _ in range(count):
        below, above = math.nextafter(below, -math.inf), math.nextafter(above, math.inf)
        found += [below, above]
    return found


def angle(eighths: int) -> float:
    """Return the float nearest to a number of eighths of the circle."""
    with mp.workdps(400):
        return float(eighths * mp.pi / 4)


def hard_places(function: str, rng: random.Random) -> list[float]:
    """Return the difficult arguments: the ends of the domain, roots, and the borders between reduced arguments."""
    halves_of_log_2 = [(rng.randrange(-2150, 2048) + 0.5) * math.log(2) for _ in range(150)]
    quarters = [angle(2 * rng.randrange(1, 2 ** rng.randint(1, 29))) for _ in range(200)]
    eighths = [angle(rng.randrange(1, 2 ** rng.randint(1, 30), 2)) for _ in range(200)]
    far = [angle(2 * rng.getrandbits(rng.randint(30, 900))) for _ in range(50)]
    nearest = [45.553093477052, 91.106186954104]  # 29 and 58 quarters of the circle to 2**-60
    borders = [k / 4 + 0.125 + skew for k in range(33) for skew in (-0.015625, 0.015625)]
    tails_of_tanh = [18.7, 19.0615, 20.0, 22.0, 354.2, 372.5, *borders, *(0.5 * x for x in halves_of_log_2)]
    circle = [math.pi / 4, math.pi / 2, math.pi, *nearest, *quarters, *eighths, *far, CIRCLE_LIMIT]
    return {
        "exp": [709.782712893384, -708.3964185322641, -745.1332191019411, -744.4400719213812, *halves_of_log_2],
        "log": [
            1.0,
            sys.float_info.min,
            sys.float_info.max,
            *(math.ldexp(0.5**0.5, k) for k in range(-1022, 1024, 14)),
        ],
        "tanh": tails_of_tanh,
        SLOPE: tails_of_tanh,
        "sigmoid": [36.7, 37.4, -708.3964185322641, -745.1332191019411, *borders, *halves_of_log_2],
        "sin": circle,
        "cos": circle,
    }[function]


RANGES = {
    "exp": (-746, 710),
    "log": (0, 4),
    "tanh": (-20, 20),
    SLOPE: (-374, 374),
    "sigmoid": (-746, 40),
    "sin": (-20, 20),
    "cos": (-20, 20),
}


@functools.cache
def arguments(function: str) -> np.ndarray:
    """Return finite arguments of all sizes, with more near difficult ones."""
    rng = random.Random(function)
    xs = [any_size(rng) for _ in range(1500)]
    xs += [rng.choice((-1, 1)) * 2.0 ** rng.uniform(-60, 10) for _ in range(1500)]
    xs += [rng.choice((-1, 1)) * rng.randrange(1, 2 ** rng.randint(1, 52)) * 5e-324 for _ in range(200)]
    xs += [1 + rng.choice((-1, 1)) * 2.0 ** -rng.uniform(1, 53) for _ in range(500)]
    xs += [rng.uniform(*RANGES[function]) for _ in range(1500)]
    for place in hard_places(function, rng):
        xs += neighbours(place) + neighbours(-place)
    xs = [x for x in xs if math.isfinite(x)]
    if function == "log":
        xs = [abs(x) for x in xs if x != 0.0]
    return np.array(xs)


def bits(ys: np.ndarray) -> list[int]:
    """Return the bits of numbers, with one pattern for all NaN."""
    return np.where(np.isnan(ys), np.nan, ys).view(np.uint64).tolist()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_stays_within_two_ulp_of_the_truth_and_slopes_within_four(evaluate: Evaluate, function: str) -> None:
    xs = arguments(function)
    assert len(xs) > 4000
    formula = TRUTH["tanh"][1] if function == SLOPE else TRUTH[function][0]
    errors = [(ulp_error(y, exact(formula, x)), x) for x, y in zip(xs.tolist(), evaluate(function, xs).tolist())]
    worst, where = max(errors)
    print(f"{function}: {worst:.3f} ulp at {where!r}")
    assert worst <= BOUND.get(function, 2.0), where


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        ("exp", 0.0, 1.0),
        ("exp", -0.0, 1.0),
        ("exp", 5e-324, 1.0),
        ("exp", math.inf, math.inf),
        ("exp", -math.inf, 0.0),
        ("exp", 709.7827128933841, math.inf),
        ("exp", 1.7e308, math.inf),
        ("exp", -745.1332191019411, 5e-324),
        ("exp", math.nextafter(-745.1332191019411, -1000), 0.0),
        ("exp", -1.7e308, 0.0),
        ("exp", math.nan, math.nan),
        ("log", 1.0, 0.0),
        ("log", 0.0, -math.inf),
        ("log", -0.0, -math.inf),
        ("log", math.inf, math.inf),
        ("log", -5e-324, math.nan),
        ("log", -1.0, math.nan),
        ("log", -math.inf, math.nan),
        ("log", 5e-324, -744.4400719213812),
        ("log", 1.7976931348623157e308, 709.782712893384),
        ("log", math.nan, math.nan),
        ("tanh", 0.0, 0.0),
        ("tanh", -0.0, -0.0),
        ("tanh", 5e-324, 5e-324),
        ("tanh", -5e-324, -5e-324),
        ("tanh", 1e-300, 1e-300),
        ("tanh", 19.07, 1.0),
        ("tanh", -1.7e308, -1.0),
        ("tanh", math.inf, 1.0),
        ("tanh", -math.inf, -1.0),
        ("tanh", math.nan, math.nan),
        (SLOPE, 0.0, 1.0),
        (SLOPE, -5e-324, 1.0),
        (SLOPE, 20.0, 1.6993417021166356e-17),
        (SLOPE, -372.5, 1e-323),
        (SLOPE, 374.0, 0.0),
        (SLOPE, 1.7e308, 0.0),
        (SLOPE, -math.inf, 0.0),
        (SLOPE, math.nan, math.nan),
        ("sigmoid", 0.0, 0.5),
        ("sigmoid", -0.0, 0.5),
        ("sigmoid", 5e-324, 0.5),
        ("sigmoid", 40.0, 1.0),
        ("sigmoid", math.inf, 1.0),
        ("sigmoid", -math.inf, 0.0),
        ("sigmoid", -745.1332191019411, 5e-324),
        ("sigmoid", -745.2, 0.0),
        ("sigmoid", 1.7e308, 1.0),
        ("sigmoid", -1.7e308, 0.0),
        ("sigmoid", math.nan, math.nan),
        ("sin", 0.0, 0.0),
        ("sin", -0.0, -0.0),
        ("sin", 5e-324, 5e-324),
        ("sin", -5e-324, -5e-324),
        ("sin", math.inf, math.nan),
        ("sin", -math.inf, math.nan),
        ("sin", math.nan, math.nan),
        ("cos", 0.0, 1.0),
        ("cos", -0.0, 1.0),
        ("cos", 5e-324, 1.0),
        ("cos", math.inf, math.nan),
        ("cos", -math.inf, math.nan),
        ("cos", math.nan, math.nan),
    ],
)
def test_is_right_at_the_ends_of_its_domain(evaluate: Evaluate, function: str, x: float, expected: float) -> None:
    for count in (1, 8):  # in the remainder of a block, and in a vector
        assert bits(evaluate(function, np.full(count, x))) == bits(np.full(count, expected))


def test_overflows_where_the_truth_does(evaluate: Evaluate) -> None:
    last = 709.782712893384  # log of the greatest float, rounded down
    ys = evaluate("exp", np.array([last, math.nextafter(last, math.inf)]))
    assert 1.797693134862e308 < ys[0] < math.inf == ys[1]


def ends() -> list[float]:
    return [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_gives_the_same_bits_in_every_variant(evaluate: Evaluate, function: str, variant: str) -> None:
    xs = np.concatenate([arguments(function), ends()])
    assert bits(evaluate(function, xs, variant)) == bits(evaluate(function, xs))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_gives_the_same_bits_at_every_place_of_a_block(evaluate: Evaluate, function: str, variant: str) -> None:
    rng = random.Random(function)
    xs = np.array(rng.sample(arguments(function).tolist(), 150) + ends() * 3)
    rng.shuffle(xs)
    alone = [bits(evaluate(function, xs[k : k + 1].copy(), variant))[0] for k in range(len(xs))]
    for offset in range(20):
        for count in (*range(20), 64, 100):
            block = xs[offset : offset + count]
            assert bits(evaluate(function, block, variant)) == alone[offset : offset + count]


@pytest.mark.parametrize(("function", "sign"), [("tanh", -1.0), (SLOPE, 1.0), ("sin", -1.0), ("cos", 1.0)])
def test_is_odd_or_even_to_the_bit(evaluate: Evaluate, function: str, sign: float) -> None:
    xs = arguments(function)
    assert bits(evaluate(function, -xs)) == bits(sign * evaluate(function, xs))


def test_the_best_variant_is_the_first_that_runs(library: ctypes.CDLL) -> None:
    x, y = np.zeros(1), np.zeros(1)

    def runs(variant: str) -> bool:
        return bool(library.evaluate(variant.encode(), b"exp", x.ctypes.data, y.ctypes.data, 1))

    running = [variant for variant in VARIANTS if runs(variant)]
    assert library.best_variant().decode() == running[0]
    assert running[-1] == "baseline"
    assert not runs("no such variant")
