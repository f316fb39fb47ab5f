"""Sparse Jacobians of compiled functions: rows, columns and numbers, and the CSR matrix of SciPy."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from inside import derivatives_of, recordings, thresholds

import microgrud as mg
from microgrud import Value, compile, grad, hessian, jacobian

RNG = np.random.default_rng(5)


def dense(compiled: Any, *args: Any, **options: Any) -> Any:
    """Return a sparse Jacobian as an array; check that its entries are in order, and that none occurs twice."""
    rows, columns, numbers = compiled.jacobian_entries(*args, **options)
    places = list(zip(rows.tolist(), columns.tolist()))
    assert places == sorted(set(places))
    made = compiled.jacobian(*args, sparse=True, **options)
    assert made.has_canonical_format
    assert made.nnz == len(numbers)
    assert np.array_equal(made.toarray()[rows, columns], numbers, equal_nan=True)
    return made.toarray()


def tridiagonal(x: Any) -> Any:
    return [mg.sin(x[k]) * x[k - 1] * x[k + 1] for k in range(1, len(x) - 1)]


def test_a_tridiagonal_jacobian_takes_three_sweeps() -> None:
    x = RNG.normal(size=40).tolist()
    compiled = compile(tridiagonal)
    for _ in range(3):
        assert dense(compiled, x) == pytest.approx(np.array(jacobian(tridiagonal)(x)), rel=1e-12)
    assert len(compiled.jacobian_entries(x)[0]) == 3 * 38
    assert derivatives_of(compiled) == ["column of jacobian"]
    (pattern,) = recordings(compiled)[0].patterns.values()
    assert pattern.count == 3


def test_a_large_jacobian_takes_the_same_sweeps() -> None:
    x = RNG.normal(size=40).tolist()
    with thresholds(most_operands=0):
        compiled = compile(tridiagonal)
        for point in (x, x, x[::-1]):
            assert np.array(compiled.jacobian(point)) == pytest.approx(
                np.array(jacobian(tridiagonal)(point)), rel=1e-12
            )
            assert dense(compiled, point) == pytest.approx(np.array(compiled.jacobian(point)), rel=1e-15)
        assert derivatives_of(compiled) == ["column of jacobian"]
        squared = compile(lambda x: mg.sum([y * y for y in tridiagonal(x)]))
        for point in (x, x, x[::-1]):
            assert np.array(squared.hessian(point)) == pytest.approx(
                np.array(hessian(squared.function)(point)), rel=1e-9
            )
        assert derivatives_of(squared) == ["gradient", "hessian, one of columns"]
    with thresholds(most_operands=0, most_for_batch=0):
        dense_too = compile(lambda x: [mg.sum(x) * y for y in x] * 2)
        for _ in range(3):
            assert np.array(dense_too.jacobian(x)) == pytest.approx(
                np.array(jacobian(dense_too.function)(x)), rel=1e-12
            )
        assert derivatives_of(dense_too) == ["column of jacobian"]


def test_comparisons_connect_nothing() -> None:
    f = lambda x: [mg.where(x[0] < x[1], x[2], 2.0 * x[3]), mg.floor(x[0]) * x[1], x[0].detach() * x[3], mg.sign(x[2])]  # noqa: E731
    compiled = compile(f)
    for point in ([0.5, 1.5, 2.5, 3.5], [1.5, 0.5, 2.5, 3.5]):
        rows, columns, numbers = compiled.jacobian_entries(point)
        assert list(zip(rows.tolist(), columns.tolist())) == [(0, 2), (0, 3), (1, 1), (2, 3)]
        first = [1.0, 0.0] if point[0] < point[1] else [0.0, 2.0]
        assert numbers.tolist() == [*first, float(int(point[0])), point[0]]


def test_few_rows_go_in_reverse_mode() -> None:
    f = lambda x: [mg.sum([a * a for a in x]), mg.prod(x[:3]), x[0]]  # noqa: E731
    x = RNG.normal(size=20)
    compiled = compile(f)
    assert dense(compiled, x) == pytest.approx(np.array(jacobian(f)(x)), rel=1e-12)
    assert derivatives_of(compiled) == ["row of jacobian"]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=9),
    st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6),
)
def test_any_pattern_gives_the_jacobian(terms: list[tuple[int, int, bool]], x: list[float]) -> None:
    def f(x: Any) -> Any:
        return [mg.sin(x[i]) * x[j] if x[0] > 0.0 or smooth else x[j] ** 2 for i, j, smooth in terms]

    compiled = compile(f)
    for point in (x, [-a for a in x], x):
        expected = np.array(jacobian(f)(point)).reshape(len(terms), 6)
        assert dense(compiled, point) == pytest.approx(expected, rel=1e-12, abs=1e-14)
    batch = compile(f, batched="x")
    rows = np.array([x, [-a for a in x], [a + 1.0 for a in x]])
    for _ in range(2):
        found = dense(batch, rows)
        assert found.shape == (3 * len(terms), 18)
        for k, row in enumerate(rows.tolist()):
            own = np.zeros((len(terms), 18))
            own[:, 6 * k : 6 * k + 6] = np.array(jacobian(f)(row)).reshape(len(terms), 6)
            assert found[len(terms) * k : len(terms) * (k + 1)] == pytest.approx(own, rel=1e-12, abs=1e-14)


def residuals(camera: Any, point: Any, weight: Any, seen: Any) -> Any:
    """Return how far a point is from where a camera (rotation, centre, focal length, distortion, offset) saw it."""
    rotation, centre, focal, offset, radial = camera[:3], camera[3:6], camera[6], camera[7:9], camera[9:11]
    moved = [a - b for a, b in zip(point, centre)]
    angle = mg.sqrt(mg.dot(list(rotation), list(rotation)))
    axis = [r / angle for r in rotation]
    crossed = [axis[1] * moved[2] - axis[2] * moved[1], axis[2] * moved[0] - axis[0] * moved[2]]
    crossed.append(axis[0] * moved[1] - axis[1] * moved[0])
    along = mg.dot(list(axis), moved) * (1.0 - mg.cos(angle))
    x, y, z = (mg.cos(angle) * m + mg.sin(angle) * c + a * along for m, c, a in zip(moved, crossed, axis))
    x, y = x / z, y / z
    square = x * x + y * y
    bent = 1.0 + square * (radial[0] + square * radial[1])
    return [weight * (focal * bent * own + o - s) for own, o, s in zip((x, y), offset, seen)]


def test_bundle_adjustment_has_blocks_of_2_by_15() -> None:
    cameras, points = RNG.normal(size=(4, 11)), RNG.normal(size=(9, 3)) + np.array([0.0, 0.0, 8.0])
    weights, seen = RNG.uniform(0.5, 1.0, size=20), RNG.normal(size=(20, 2))
    of_camera, of_point = RNG.integers(0, 4, size=20), RNG.integers(0, 9, size=20)
    compiled = compile(residuals, batched=("camera", "point", "weight", "seen"))
    args = cameras[of_camera], points[of_point], weights, seen
    blocks = compile(jacobian(residuals, (0, 1, 2)), batched=compiled.batched).map(*args)
    own = [np.arange(44).reshape(4, 11)[of_camera], 44 + np.arange(27).reshape(9, 3)[of_point], 71 + np.arange(20)]
    table_columns = np.concatenate([columns.ravel() for columns in own])
    for _ in range(2):
        rows, columns, numbers = compiled.jacobian_entries(*args, argnums=(0, 1, 2))
        assert len(numbers) == 20 * 2 * 14  # an offset moves one of the two only
        found = np.zeros((40, 91))
        np.add.at(found, (rows, table_columns[columns]), numbers)
        for k in range(20):
            for row in (0, 1):
                block = np.concatenate([np.ravel(part[k] if np.ndim(part) else part) for part in blocks[row]])
                place = np.concatenate([np.ravel(columns[k]) for columns in own])
                assert found[2 * k + row][place] == pytest.approx(block, rel=1e-12)
    one = jacobian(residuals, (0, 1, 2))(*[x[7] for x in args])
    assert found[14, 11 * of_camera[7] : 11 * of_camera[7] + 11] == pytest.approx(one[0][0], rel=1e-10)


def test_arguments_that_samples_share_have_one_column() -> None:
    f = compile(lambda w, x, y: [w[0] * x[0] * y, w[1] + x[1] ** 2], batched=("x", "y"))
    w, x, y = [2.0, 3.0], np.array([[1.0, 5.0], [4.0, 6.0]]), np.array([7.0, 8.0])
    for _ in range(2):
        assert dense(f, w, x, y, argnums=(1, 0)).tolist() == [
            [14.0, 0.0, 0.0, 0.0, 7.0, 0.0],
            [0.0, 10.0, 0.0, 0.0, 0.0, 1.0],
            [0.0, 0.0, 16.0, 0.0, 32.0, 0.0],
            [0.0, 0.0, 0.0, 12.0, 0.0, 1.0],
        ]
    assert dense(f, w, x.tolist(), y, argnums=2).tolist() == [[2.0, 0.0], [0.0, 0.0], [0.0, 8.0], [0.0, 0.0]]


def test_structures_of_arguments_and_results_are_flat() -> None:
    f = compile(lambda p: {"a": p["w"] * p["b"], "c": [p["w"][0], (p["b"],)]})
    p = {"w": np.array([2.0, 3.0]), "b": 5.0}
    for _ in range(2):
        expected = [[5.0, 0.0, 2.0], [0.0, 5.0, 3.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
        assert dense(f, p).tolist() == expected
    assert dense(compile(lambda x: []), [1.0]).shape == (0, 1)
    assert dense(compile(lambda x: [1.0, 2.0]), [1.0]).tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("options", [{}, {"batched": "x"}])
def test_infinite_slopes_and_numbers_that_are_not_finite(options: Any) -> None:
    f = lambda x: [mg.sqrt(x[0]) + x[1], x[1] * x[2], x[0].detach() * x[2] if isinstance(x[0], Value) else 0.0]  # noqa: E731
    compiled = compile(f, **options)
    for point in ([4.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [4.0, 1.0, 2.0]):
        argument = [point] if options else point
        expected = [[0.5 / np.sqrt(point[0]) if point[0] else np.inf, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, point[0]]]
        for _ in range(2):
            assert dense(compiled, argument).tolist() == expected
    with pytest.raises(ValueError, match="sqrt"):
        compiled.jacobian_entries([[-1.0, 1.0, 2.0]] if options else [-1.0, 1.0, 2.0])


def test_leaves_are_read_anew_and_pickles_keep_the_recordings() -> None:
    w = Value(2.0)
    f = compile(lambda x: [w * x[0], x[1] * x[0]])
    x = [3.0, 5.0]
    assert dense(f, x).tolist() == [[2.0, 0.0], [5.0, 3.0]]
    w.data = 4.0
    assert dense(f, x).tolist() == [[4.0, 0.0], [5.0, 3.0]]
    twin = pickle.loads(pickle.dumps(f))
    assert dense(twin, x).tolist() == dense(twin, x).tolist() == [[4.0, 0.0], [5.0, 3.0]]


def test_what_it_cannot_do_is_an_error() -> None:
    f = compile(tridiagonal)
    for x in ([Value(1.0), 2.0, 3.0], [1.0, 2, 3.0]):
        for _ in range(2):
            with pytest.raises(TypeError, match=r"expected (plain numbers|floats)"):
                f.jacobian_entries(x)
    with pytest.raises(TypeError, match="expected plain numbers outside of any transform, got a call inside"):
        grad(lambda x: f.jacobian_entries([x, 2.0, 3.0]))(1.0)
    with pytest.raises(ValueError, match="expected an argument at position 1, got 1 arguments"):
        f.jacobian([1.0, 2.0, 3.0], argnums=1, sparse=True)


@pytest.mark.parametrize("sparse", [False, True])
def test_scipy_takes_it_for_least_squares(sparse: bool) -> None:
    from scipy.optimize import least_squares

    f = compile(lambda x: [x[0] - 3.0, *(x[k] - mg.sin(x[k - 1]) for k in range(1, 6))])
    found = least_squares(f, np.zeros(6), jac=lambda x: f.jacobian(x, sparse=sparse))
    assert f(found.x) == pytest.approx([0.0] * 6, abs=1e-8)
    assert found.x[0] == pytest.approx(3.0)


def test_without_scipy_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    f = compile(tridiagonal)
    with pytest.raises(ImportError, match="pip install scipy"):
        f.jacobian([1.0, 2.0, 3.0], sparse=True)
    assert len(f.jacobian_entries([1.0, 2.0, 3.0])[2]) == 3
