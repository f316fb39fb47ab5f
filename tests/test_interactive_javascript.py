"""The operations in JavaScript, in a real browser: arithmetic gives the engine's bits, functions are within 4 ulp."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

import pytest
from mpmath import mp
from test_player import browser as browser
from truth import sample

from microgrud import where
from microgrud.engine.ops import TABLE
from microgrud.interactive import program
from microgrud.interactive.program import javascript, javascript_of, known_operations
from microgrud.testing import MOVES
from microgrud.testing.expressions import Expression, Step

#: Operations that consist of additions, multiplications, divisions, roots and comparisons: equal to the bit.
ARITHMETIC = {
    "abs", "add", "at_most", "ceil", "chain", "clip", "copysign", "divide", "divide_ieee", "dot", "equal", "floor",
    "floor_divide", "fmod", "gate", "identity", "leaky_relu", "less", "max", "maximum", "mean", "min", "minimum",
    "modulo", "multiply", "negate", "prod", "radial", "reciprocal", "relu", "round", "same", "sign", "sqrt", "square",
    "subtract", "sum", "trunc", "unequal", "where",
}  # fmt: skip

CALL = """
function toNumber(text) { return new Float64Array(new BigUint64Array([BigInt(text)]).buffer)[0]; }
function toBits(x) { return String(new BigUint64Array(new Float64Array([x]).buffer)[0]); }
function outcome(f) {
  try { return f(); } catch (error) { if (error instanceof Failure) { return error.kind; } throw error; }
}
"""


def bits(x: float) -> str:
    return str(struct.unpack("<Q", struct.pack("<d", x))[0])


def from_bits(text: str) -> float | str:
    return struct.unpack("<d", struct.pack("<Q", int(text)))[0] if text.isdigit() else text


def ulps(x: float | str, y: float | str) -> float:
    """Return the number of floats between two, 0 for equal errors, and infinity for an error and a number."""
    if isinstance(x, str) or isinstance(y, str):
        return 0.0 if x == y else math.inf
    if x != x or y != y:
        return 0.0 if x != x and y != y else math.inf
    places = [int(bits(abs(z))) * (1 if math.copysign(1.0, z) > 0.0 else -1) for z in (x, y)]
    return float(abs(places[0] - places[1]))


def by_engine(name: str, xs: list[float]) -> float | str:
    try:
        return TABLE[name].evaluate(xs)
    except OverflowError:
        return "overflow"
    except (ValueError, ZeroDivisionError):
        return "undefined"


def operands(name: str, rng: random.Random) -> list[float]:
    """Draw operands: of all sizes, near special places, and zeros, infinities and NaN."""
    count = rng.randint(1, 5)
    size = rng.choice([1.0, 1.0, 1e-3, 30.0, 1e160, 1e-170])
    xs = [size * rng.gauss(0.0, 1.0) if rng.random() < 0.9 else rng.choice([0.0, -0.0, 5.0]) for _ in range(count)]
    if name == "mills":
        return [0.0, *sample("ndtr", 1, rng)]  # of higher orders, the engine's cancels
    if name == "power_log":
        at_special = [rng.choice([0.0, -0.0, 1.0, 2.0, -1.0]), float(rng.randint(-3, 4))]
        return [float(rng.randint(0, 4)), float(rng.randint(0, 3)), *rng.choice([sample("pow", 2, rng), at_special])]
    if name == "dot":
        return [rng.gauss(0.0, 1.0), *xs, *[rng.gauss(0.0, 1.0) for _ in xs]]
    if name in ("softmax", "log_softmax"):
        return [float(rng.randrange(count)), *[max(-700.0, min(700.0, x)) for x in xs]]
    if name == "radial":
        return [float(rng.randint(0, 5)), *[float(rng.randint(0, 3)) for _ in xs], *xs]
    arity = TABLE[name].arity
    if arity is None:
        return xs
    xs = sample(name, arity, rng)
    if name == "gaussian":
        xs[1] = rng.choice([0.25, 0.5, 1.0])
    elif name == "power_over":
        xs = [abs(xs[0]), rng.choice([xs[1], float(rng.randint(-4, 6))]), float(rng.randint(0, 3))]
    elif name == "clip":
        xs[1:] = sorted(xs[1:])
    elif name == "pow" and rng.random() < 0.4:
        xs = [rng.gauss(0.0, 3.0), float(rng.randint(-6, 9))]
    if rng.random() < 0.05:
        xs[rng.randrange(arity)] = rng.choice([math.inf, -math.inf, math.nan, 0.0, -0.0])
    return xs


def test_every_operation_alone_in_a_page_gives_what_it_gives_among_all(browser: Any) -> None:
    rng = random.Random(21)
    browser.get("about:blank")
    call = "return arguments[1].map(row => outcome(() => toBits(ops[arguments[0]].apply(null, row.map(toNumber)))))"
    for name in sorted(known_operations() & TABLE.keys()):
        rows = [list(map(bits, operands(name, rng))) for _ in range(20)]
        alone, all_of_them = (
            browser.execute_script(f"{script}{CALL}{call}", name, rows)
            for script in (javascript_of(frozenset([name])), javascript())
        )
        assert alone == all_of_them, name


def test_every_operation_gives_the_number_or_the_error_of_the_engine(browser: Any) -> None:
    rng = random.Random(20)
    browser.get("about:blank")
    cases = {name: [operands(name, rng) for _ in range(250)] for name in sorted(known_operations() & TABLE.keys())}
    script = (
        javascript() + CALL + "return Object.fromEntries(Object.entries(arguments[0]).map(([name, rows]) => [name, "
        "rows.map(row => outcome(() => toBits(ops[name].apply(null, row.map(toNumber)))))]))"
    )
    results = browser.execute_script(
        script, {name: [list(map(bits, row)) for row in rows] for name, rows in cases.items()}
    )
    wrong = []
    for name, rows in cases.items():
        for row, result in zip(rows, map(from_bits, results[name]), strict=True):
            wanted = by_engine(name, row)
            if ulps(result, wanted) > 4.0 and isinstance(wanted, float):
                with mp.workdps(60):  # the engine may have been 2 ulp from the truth on the other side
                    wanted = float(TABLE[name](*map(mp.mpf, row)))
            if repr(result) != repr(wanted) if name in ARITHMETIC else ulps(result, wanted) > 4.0:
                wrong.append((name, row, result, wanted))
    assert wrong == []


def random_expression(rng: random.Random, names: list[str]) -> Expression:
    steps = []
    for k in range(rng.randint(3, 12)):
        move = MOVES[rng.choice(names)]
        steps.append(Step(move, tuple(rng.randrange(max(0, k - 4), k + 2) for _ in range(move.arity))))
    return Expression((rng.uniform(0.5, 2.0), rng.uniform(-2.0, 2.0)), tuple(steps))


def test_programs_of_arithmetic_give_the_bits_of_the_engine_with_their_gradients(browser: Any) -> None:
    rng = random.Random(21)
    names = ["add", "multiply", "subtract", "divide", "negate", "square", "sum", "mean", "prod", "dot", "relu", "abs"]
    names += ["maximum", "where", "clip", "max", "sqrt", "reciprocal", "modulo"]
    cases = []
    while len(cases) < 150:
        f = random_expression(rng, names)
        try:
            found = program(f, [f.inputs])
        except Exception:  # an expression without a value at its point
            continue
        points = [f.inputs, *[(rng.uniform(-3.0, 3.0), rng.uniform(-3.0, 3.0)) for _ in range(5)]]
        cases.append((found, points))
    browser.get("about:blank")
    script = (
        javascript() + CALL + "return arguments[0].map(([paths, points]) => points.map(point => { const found = "
        "evaluate(paths, point); return found.failure ? found.kind : [found.value, ...found.gradient].map(toBits) }))"
    )
    results = browser.execute_script(script, [(found.data(), points) for found, points in cases])
    compared = 0
    for (found, points), outcomes in zip(cases, results, strict=True):
        for point, result in zip(points, outcomes, strict=True):
            try:
                wanted = found.evaluate(point)
            except (ValueError, ArithmeticError):
                assert result in ("undefined", "overflow")
                continue
            if wanted is None:
                assert result == "unknown"
                continue
            assert repr(list(map(from_bits, result))) == repr([wanted[0], *wanted[1]])
            compared += 1
    assert compared > 500


def test_a_direction_at_the_origin_is_undefined_and_ends(browser: Any) -> None:
    browser.get("about:blank")
    script = javascript() + CALL + "return [ops.radial(1, 0, 0, 0, 0), ops.radial(1, 1, 0, 0, 0)].map(toBits)"
    wanted = [TABLE["radial"].evaluate([1.0, 0.0, 0.0, 0.0, 0.0]), TABLE["radial"].evaluate([1.0, 1.0, 0.0, 0.0, 0.0])]
    assert repr(list(map(from_bits, browser.execute_script(script)))) == repr(wanted)


def test_sums_and_means_are_right_where_partial_sums_overflow(browser: Any) -> None:
    most, rng = 1.7976931348623157e308, random.Random(3)
    choices = [most, -most, 1e308, -1e308, 1e292, -1e292, 5e-324, 3.0]
    rows = [[rng.choice(choices) for _ in range(rng.randint(2, 7))] for _ in range(300)]
    rows += [[most, most, math.inf, -most], [-most, -most, math.inf], [math.inf, -math.inf, most, most]]
    browser.get("about:blank")
    call = "return arguments[1].map(row => toBits(ops[arguments[0]].apply(null, row.map(toNumber))))"
    for name in ("sum", "mean"):
        script = f"{javascript_of(frozenset([name]))}{CALL}{call}"
        found = map(from_bits, browser.execute_script(script, name, [list(map(bits, row)) for row in rows]))
        # Two more roundings than the engine's, where the sum of all overflows.
        assert [ulps(x, by_engine(name, row)) <= (name == "mean") for x, row in zip(found, rows)] == [True] * len(rows)


def test_infinite_and_undefined_constants_arrive(browser: Any) -> None:
    found = program(lambda x: where(x > math.inf, math.nan, -0.0 * x), [[1.0]])
    browser.get("about:blank")
    script = javascript() + CALL + "const found = evaluate(arguments[0], [2]); return toBits(found.value)"
    assert from_bits(browser.execute_script(script, found.data())) == 0.0


@pytest.mark.parametrize("x", [-1.0, 2.0])
def test_a_branch_is_taken_as_in_python(browser: Any, x: float) -> None:
    found = program(lambda x: x * x if x > 0.0 else -x, [[-2.0], [3.0]])
    browser.get("about:blank")
    script = javascript() + "const found = evaluate(arguments[0], [arguments[1]]); return [found.value, found.gradient]"
    value, gradient = browser.execute_script(script, found.data(), x)
    assert (value, gradient) == found.evaluate([x])
