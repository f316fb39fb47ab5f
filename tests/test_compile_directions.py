"""`.jvp` of compiled functions, and `.jacobian` with respect to batches, against the transforms of the function."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import microgrud as mg
from microgrud import CompileError, Value, compile, grad, jacobian, jvp

RNG = np.random.default_rng(0)


def f(p: Any, x: Any, scale: float) -> Any:
    return {"a": [mg.tanh(p["w"][0] * x[0]) * scale, p["w"][1] * x[1] ** 3], "b": p["b"] * x[0] if x[0] > 0.0 else x[1]}


def point(seed: int) -> tuple[Any, Any, float]:
    rng = np.random.default_rng(seed)
    return {"w": rng.normal(size=2), "b": float(rng.normal())}, rng.normal(size=2).tolist(), float(rng.normal())


def flat(tree: Any) -> list[float]:
    return mg.tape.differentiable.numbers_in(tree, "tree")


@pytest.mark.parametrize("argnums", [None, 0, (1,), (2, 0)])
def test_results_and_slopes_are_those_of_the_transform(argnums: Any) -> None:
    compiled = compile(f)
    for seed in (0, 1, 2, 0):
        args, others = point(seed), point(seed + 10)
        positions = (0, 1, 2) if argnums is None else (argnums,) if isinstance(argnums, int) else argnums
        tangents = tuple(others[k] for k in positions)
        found, expected = compiled.jvp(args, tangents, argnums), jvp(f, args, tangents, argnums)
        assert [type(x) for x in found] == [dict, dict]
        assert flat(found[0]) == pytest.approx(flat(expected[0]), rel=1e-14)
        assert flat(found[1]) == pytest.approx(flat(expected[1]), rel=1e-13)


@pytest.mark.parametrize("kind", [np.array, list])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_batch_has_the_mean_of_the_slopes_along_its_own_directions(kind: Any, reduction: str) -> None:
    g = lambda w, x, y: [mg.sin(w * x[0]) * y, w * x[1]]  # noqa: E731
    compiled = compile(g, batched=("x", "y"), reduction=reduction)
    total = np.mean if reduction == "mean" else np.sum
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x, dx, y, dy = rng.normal(size=(2, 7, 2)).tolist() + rng.normal(size=(2, 7)).tolist()
        each = [jvp(g, (0.5, a, b), (2.0, da, db)) for a, da, b, db in zip(x, dx, y, dy)]
        value, slope = compiled.jvp((0.5, kind(x), kind(y)), (2.0, kind(dx), kind(dy)))
        assert value == pytest.approx(total([own[0] for own in each], axis=0), rel=1e-13)
        assert slope == pytest.approx(total([own[1] for own in each], axis=0), rel=1e-13)
        _, slope = compiled.jvp((0.5, kind(x), kind(y)), kind(dy), argnums=2)
        expected = [jvp(g, (0.5, a, b), (db,), (2,))[1] for a, b, db in zip(x, y, dy)]
        assert slope == pytest.approx(total(expected, axis=0), rel=1e-13)


def test_a_direction_of_zero_passes_nothing_through_an_infinite_slope() -> None:
    g = lambda x, y: mg.sqrt(x) + y * y  # noqa: E731
    shift = Value(0.0)
    compiled = compile(lambda x, y: g(x + shift, y))
    for _ in range(2):
        assert compiled.jvp((0.0, 3.0), (0.0, 1.0)) == jvp(g, (0.0, 3.0), (0.0, 1.0)) == (9.0, 6.0)
        assert compiled.jvp((0.0, 3.0), (1.0, 1.0))[1] == float("inf")


def test_slopes_can_be_differentiated_again_and_weighted() -> None:
    w = Value(2.0)
    compiled = compile(lambda x: w * x**3)
    assert grad(lambda x: compiled.jvp(x, 1.0)[1])(3.0) == 36.0
    compiled.jvp(Value(3.0), 1.0)[1].backward()
    assert w.grad == 27.0
    assert grad(lambda v: compiled.jvp(3.0, v)[1])(1.0) == 54.0
    weighted = compile(lambda x, w: x * x, batched=("x", "w"), weights="w")
    assert weighted.jvp(([1.0, 2.0], [3.0, 1.0]), [1.0, 1.0], argnums=0) == (1.75, 2.5)
    value, slope = weighted.jvp((np.array([1.0, 2.0]), np.array([3.0, 1.0])), np.array([1.0, 0.0]), argnums=1)
    assert (value, slope) == (1.75, (1.0 - 1.75) / 4.0)


def test_a_pickle_replays_it() -> None:
    compiled = compile(lambda x: x * x)
    with pytest.raises(CompileError, match="there is no recording of the derivatives"):
        pickle.loads(pickle.dumps(compiled)).jvp(3.0, 1.0)
    compiled.jvp(3.0, 1.0)
    assert pickle.loads(pickle.dumps(compiled)).jvp(4.0, 0.5) == (16.0, 4.0)


def test_tangents_that_do_not_fit_are_errors() -> None:
    compiled = compile(lambda x, y: x[0] * y)
    with pytest.raises(ValueError, match="tangents: expected 2, one for each argument"):
        compiled.jvp(([1.0], 2.0), ([1.0],))
    with pytest.raises(ValueError, match="tangents: expected the structure of the argument"):
        compiled.jvp(([1.0], 2.0), ([1.0, 2.0], 1.0))
    with pytest.raises(TypeError, match="expected floats to differentiate with respect to, got the integer 2"):
        compiled.jvp(([1.0], 2), ([1.0], 1.0))
    batch = compile(lambda x: x, batched="x")
    with pytest.raises(
        ValueError, match=r"tangents: expected an array of shape \(2,\), as the argument has, got \(3,\)"
    ):
        batch.jvp(([1.0, 2.0],), ([1.0, 2.0, 3.0],))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_jacobian_by_a_batch_is_that_of_the_function_of_the_batch(reduction: str) -> None:
    g = lambda w, x, y: {"r": w * x[0] * y, "s": [mg.tanh(x[1]), w]}  # noqa: E731
    compiled = compile(g, batched=("x", "y"), reduction=reduction)
    x, y = RNG.normal(size=(5, 2)), RNG.normal(size=5)
    for argnums in (1, 2, (0, 2), (2, 1)):
        for _ in range(2):
            found = compiled.jacobian(0.5, x, y, argnums=argnums)
            expected = jacobian(compiled, argnums)(0.5, x, y)
            assert set(found) == {"r", "s"}
            for own, right in zip([found["r"], *found["s"]], [expected["r"], *expected["s"]]):
                parts = zip([own], [right]) if isinstance(argnums, int) else zip(own, right)
                for part, wanted in parts:
                    assert np.shape(part) == np.shape(wanted)
                    assert np.asarray(part) == pytest.approx(np.asarray(wanted), rel=1e-13)
    in_lists = compiled.jacobian(0.5, x.tolist(), y.tolist(), argnums=1)["r"]
    assert in_lists.tolist() == compiled.jacobian(0.5, x, y, argnums=1)["r"].tolist()
