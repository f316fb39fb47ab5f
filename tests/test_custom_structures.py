"""`custom_op` with `vjp` and `jvp`: structures of arguments and results, and forward rules."""

from __future__ import annotations

import copy
import math
import pickle
import threading
from typing import Any

import pytest
from arrays import np
from mpmath import mp, mpf

import microgrud as mg
from microgrud import (
    Value,
    checkpoint,
    custom_op,
    exp,
    grad,
    gradient,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    no_grad,
    sin,
    vjp,
)
from microgrud.testing import check_gradients

# A solution of a system of two equations, by Cramer's rule: x = A**-1 b. With y = A**-T v, the derivatives of v x are y
# by b and -y x^T by A; in forward mode dx = A**-1 (db - dA x) (Giles 2008, "An extended collection of matrix derivative
# results"). At the top level, so that it can be pickled.


def solve_value(A: Any, b: Any) -> Any:
    (p, q), (r, s) = A
    det = p * s - q * r
    return [(s * b[0] - q * b[1]) / det, (p * b[1] - r * b[0]) / det]


def solve_vjp(x: Any, v: Any, A: Any, b: Any) -> Any:
    y = solve([[A[0][0], A[1][0]], [A[0][1], A[1][1]]], v)
    return [[-y[0] * x[0], -y[0] * x[1]], [-y[1] * x[0], -y[1] * x[1]]], [y[0], y[1]]


def solve_jvp(x: Any, t: Any, A: Any, b: Any) -> Any:
    dA, db = t
    return solve(A, [db[i] - dA[i][0] * x[0] - dA[i][1] * x[1] for i in range(2)])


solve = custom_op("solve", solve_value, vjp=solve_vjp)
solve_forward = custom_op("solve", solve_value, jvp=solve_jvp)
solve_both = custom_op("solve", solve_value, vjp=solve_vjp, jvp=solve_jvp, symbol="A\\b")
KINDS = {"vjp": solve, "jvp": solve_forward, "both": solve_both}

A, B = [[2.0, 1.0], [0.5, 3.0]], [1.0, -2.0]


def close(got: Any, want: Any) -> bool:
    return bool(np.allclose(np.array(got, float), np.array(want, float), rtol=1e-12, atol=1e-14))


def flat(tree: Any) -> list[Any]:
    return [x for item in tree for x in flat(item)] if isinstance(tree, (list, tuple, np.ndarray)) else [tree]


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_every_mode_and_order_are_those_of_the_formula(kind: str) -> None:
    op = KINDS[kind]

    def f(x: Any) -> Any:
        return op([[x[0], x[1]], [0.5, x[2] * x[0]]], [x[1], sin(x[2])])

    def plain(x: Any) -> Any:
        return solve_value([[x[0], x[1]], [0.5, x[2] * x[0]]], [x[1], sin(x[2])])

    at, v = [2.0, 0.7, 1.5], [1.0, -0.5, 2.0]
    assert f(at) == plain(at)
    for transform in (jacobian, jacfwd, jacrev):
        assert close(flat(transform(f)(at)), flat(transform(plain)(at)))
        assert close(flat(mg.compile(transform(f))(at)), flat(transform(plain)(at)))
    assert close(flat(jvp(f, (at,), (v,))), flat(jvp(plain, (at,), (v,))))
    assert close(flat(vjp(f, at)[1]([3.0, -1.0])), flat(vjp(plain, at)[1]([3.0, -1.0])))

    def square(x: Any) -> Any:
        y = f(x)
        return y[0] ** 2 * y[1]

    def plain_square(x: Any) -> Any:
        y = plain(x)
        return y[0] ** 2 * y[1]

    assert close(grad(square)(at), grad(plain_square)(at))
    assert close(flat(hessian(square)(at)), flat(hessian(plain_square)(at)))
    assert close(flat(jacfwd(jacfwd(square))(at)), flat(hessian(plain_square)(at)))
    assert close(hvp(square, (at,), (v,)), hvp(plain_square, (at,), (v,)))
    assert close(flat(jacrev(hessian(square))(at)), flat(jacrev(hessian(plain_square))(at)))
    assert close(grad(checkpoint(square))(at), grad(plain_square)(at))
    compiled = mg.compile(square)
    for x in (at, [1.5, 0.2, -0.7]):
        assert close(compiled(x), plain_square(x))
        assert close(compiled.value_and_grad(x)[1], grad(plain_square)(x))
        assert close(flat(compiled.hessian(x)), flat(hessian(plain_square)(x)))
        assert close(compiled.hvp((x,), (v,)), hvp(plain_square, (x,), (v,)))
    batch = mg.compile(lambda x: square([x, 0.7, 1.5]), batched="x", reduction="sum")
    want = [grad(lambda x: plain_square([x, 0.7, 1.5]))(x) for x in (2.0, 1.0, 3.0)]
    assert close(batch.value_and_grad(np.array([2.0, 1.0, 3.0]))[1], want)


@pytest.mark.parametrize("kind", KINDS)
def test_backward_and_gradient_reach_all_numbers(kind: str) -> None:
    op = KINDS[kind]
    matrix, b = [[Value(x) for x in row] for row in A], [Value(x) for x in B]
    x = op(matrix, b)
    assert [node._prev for node in x] == [(*matrix[0], *matrix[1], *b)] * 2
    mg.backward(x, [1.0, 10.0])
    want = solve_vjp(solve(A, B), [1.0, 10.0], A, B)
    assert close([v.grad for v in (*matrix[0], *matrix[1], *b)], flat(want))
    assert close([g.data for g in gradient(x, b, [1.0, 10.0])], want[1])


def test_on_floats_and_mpmath_numbers_it_computes() -> None:
    assert solve([[2, 1], [0.5, 3]], (1, -2)) == solve_value(A, B)
    assert type(solve(A, B)[0]) is float
    with mp.workdps(50):
        third = solve([[mpf(3), 0.0], [0.0, 1.0]], [mpf(1), 2.0])[0]
        assert abs(third - mpf(1) / 3) < mpf(10) ** -45
    bend = custom_op(
        "bend", lambda x: [math.sin(x[0])], vjp=lambda z, v, x: (v,), definition=lambda mp, x: [mp.sin(x[0])]
    )
    with mp.workdps(50):
        assert bend([mpf(1)])[0] == mp.sin(1)


def test_arguments_and_results_may_be_arrays_and_dicts_and_a_number() -> None:
    total = custom_op(
        "total",
        lambda p, x: float(np.sum(p["w"] * x)),
        vjp=lambda z, v, p, x: ({"w": v * x}, v * p["w"]),
    )
    w, x = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    assert total({"w": w}, x) == 11.0
    by_p, by_x = grad(total, (0, 1))({"w": w}, x)
    assert (by_p["w"].tolist(), by_x.tolist()) == ([3.0, 4.0], [1.0, 2.0])
    assert mg.compile(total).value_and_grad({"w": w}, x)[1]["w"].tolist() == [3.0, 4.0]
    fields = custom_op("fields", lambda x: {"a": x, "b": np.array([x, x * x])}, jvp=_fields_jvp)
    assert jacfwd(fields)(3.0)["b"].tolist() == [1.0, 6.0]
    assert jacrev(fields)(3.0)["b"].tolist() == [1.0, 6.0]


def _fields_jvp(z: Any, t: Any, x: Any) -> Any:
    return {"b": np.array([t[0], 2.0 * x * t[0]]), "a": t[0]}


def test_any_number_of_arguments_and_lists_of_any_length() -> None:
    product = custom_op("product", lambda *xs: math.prod(xs), vjp=lambda z, v, *xs: tuple(v * z / x for x in xs))
    assert grad(product, (0, 2))(2.0, 3.0, 5.0) == (15.0, 6.0)
    assert grad(product)(2.0) == 1.0
    norms = custom_op(
        "norms", lambda xs: [x * x for x in xs], vjp=lambda z, v, xs: ([2.0 * a * x for a, x in zip(v, xs)],)
    )
    for n in (1, 3, 2):
        assert jacobian(norms)([float(n)] * n) == [[2.0 * n * (i == k) for i in range(n)] for k in range(n)]
    assert norms([]) == []


def test_a_forward_rule_serves_forward_mode_and_is_called_once_for_a_sweep() -> None:
    calls: list[Any] = []

    def rule(z: Any, t: Any, x: Any) -> Any:
        calls.append(t)
        return [2.0 * x[0] * t[0][0], 3.0 * t[0][1]]

    f = custom_op("f", lambda x: [x[0] ** 2, 3.0 * x[1]], vjp=lambda z, v, x: None, jvp=rule)
    assert jvp(f, ([2.0, 5.0],), ([1.0, 10.0],))[1] == [4.0, 30.0]
    assert calls == [([1.0, 10.0],)]
    calls.clear()
    assert jacfwd(f)([2.0, 5.0]) == [[4.0, 0.0], [0.0, 3.0]]
    assert len(calls) == 2


def test_rules_that_take_only_floats_have_first_derivatives() -> None:
    f = custom_op(
        "bend",
        lambda x: [math.sin(x[0]), x[0] * x[1]],
        vjp=lambda z, v, x: ([v[0] * math.cos(x[0]) + v[1] * x[1], v[1] * x[0]],),
        jvp=lambda z, t, x: [math.cos(x[0]) * t[0][0], x[1] * t[0][0] + x[0] * t[0][1]],
    )
    want = [[math.cos(0.5), 0.0], [2.0, 0.5]]
    for transform in (jacfwd, jacrev):
        assert close(transform(f)([0.5, 2.0]), want)
        assert close(mg.compile(transform(f))([0.5, 2.0]), want)
        with pytest.raises(TypeError, match=r"the (vjp|jvp) of bend cannot be differentiated again"):
            transform(transform(f))([0.5, 2.0])
    x = [Value(0.5), Value(2.0)]
    y = f(x)
    assert close([g.data for g in gradient(y[0] + y[1], x)], [want[0][0] + 2.0, 0.5])


def test_a_result_of_another_structure_is_right_or_an_error() -> None:
    vary = custom_op(
        "vary",
        lambda x: [x] if x > 0.0 else [x, 2.0 * x],
        vjp=lambda z, v, x: (mg.sum([a * float(k + 1) for k, a in enumerate(v)]),),
    )
    assert [grad(lambda x: mg.sum(vary(x)))(x) for x in (1.0, -1.0, 1.0)] == [1.0, 3.0, 1.0]
    compiled = mg.compile(lambda x: mg.sum(vary(x)))
    assert compiled(1.0) == 1.0
    with pytest.raises(TypeError, match="vary: expected a result of one structure for arguments of one structure"):
        compiled(-1.0)


def test_a_recording_that_ignores_errors_goes_on_with_numbers_that_are_not() -> None:
    def root() -> Any:
        return custom_op("root", lambda x: [math.sqrt(x), x], vjp=lambda z, v, x: (0.5 * v[0] / z[0] + v[1],))

    op = root()
    compiled = mg.compile(lambda x: op(x)[0] if x > 0.0 else op(x)[0] + 1.0, errors="ignore")
    assert (compiled(4.0), math.isnan(compiled(-1.0)), compiled(4.0)) == (2.0, True, 2.0)
    op = root()
    with pytest.raises(ValueError, match=r"root\(-1.0\): "):
        mg.compile(lambda x: op(x)[0], errors="ignore")(-1.0)


def test_definitions_are_checked_against_values() -> None:
    def made(factor: float) -> Any:
        return custom_op(
            "bend",
            lambda x: [math.sin(x[0]), x[0] * x[1]],
            vjp=lambda z, v, x: ([v[0] * mg.cos(x[0]) + v[1] * x[1], v[1] * x[0]],),
            definition=lambda mp, x: [factor * mp.sin(x[0]), x[0] * x[1]],
        )

    right, wrong = made(1.0), made(1.5)
    check_gradients(lambda x, y: mg.sum(right([x, y])), 0.5, 2.0)
    with pytest.raises(ValueError, match="custom_op 'bend': its definition, .* expected the same function"):
        check_gradients(lambda x, y: mg.sum(wrong([x, y])), 0.5, 2.0)


def test_a_value_rule_that_refuses_mpmath_numbers_needs_a_definition() -> None:
    doubled = custom_op("doubled", lambda x: [float.__mul__(x[0], 2.0)], vjp=lambda z, v, x: ([2.0 * v[0]],))
    assert doubled([3.0]) == [6.0]
    with pytest.raises(TypeError, match=r"doubled: expected floats, got mpmath numbers, which .* give custom_op a def"):
        doubled([mpf(3)])


def test_an_operation_forgets_old_structures() -> None:
    total = custom_op("total", lambda xs: math.fsum(xs), vjp=lambda z, v, xs: ([v] * len(xs),))
    x = Value(1.0)
    sums = [total([x] * n) for n in range(1, 300)]
    mg.backward(sums)
    assert x.grad == 299 * 300 / 2


def test_a_rule_may_detach_a_number() -> None:
    op = custom_op(
        "op", lambda x: x * x, vjp=lambda z, v, x: (2.0 * v * x.detach() if isinstance(x, Value) else 2.0 * v * x,)
    )
    assert (grad(op)(3.0), hessian(op)(3.0)) == (6.0, 0.0)


def test_none_is_a_derivative_of_zero() -> None:
    f = custom_op("first", lambda x, y: x * x, vjp=lambda z, v, x, y: (2.0 * v * x, None))
    assert grad(f, (0, 1))(3.0, [1.0, 2.0]) == (6.0, [0.0, 0.0])
    assert hessian(f)(3.0, [1.0]) == 2.0


def test_errors_name_the_operation_and_what_its_rule_returned() -> None:
    root = custom_op("root", lambda x: [math.sqrt(x[0])], vjp=lambda z, v, x: ([0.5 * v[0] / z[0]],))
    for x in ([-1.0], [Value(-1.0, label="s")]):
        with pytest.raises(ValueError, match=r"root\((s=)?-1.0\): "):
            root(x)
    assert close(mg.compile(root, errors="ignore")([4.0])[0], 2.0)
    single = custom_op("single", lambda x: x, vjp=lambda z, v, x: v)
    with pytest.raises(TypeError, match=r"the vjp of single: expected a tuple with an item for each of 1 argument"):
        grad(single)(1.0)
    short = custom_op("short", lambda x: x[0], vjp=lambda z, v, x: ([v],))
    with pytest.raises(
        ValueError, match=r"the vjp of short: item 0: expected the structure of the argument, with \[0\]"
    ):
        grad(short)([1.0, 2.0])
    as_array = custom_op("as_array", lambda x: x[0], vjp=lambda z, v, x: (np.ones(2),))
    with pytest.raises(ValueError, match=r"with \[0\]: number, \[1\]: number; got an array of shape \(2,\)$"):
        grad(as_array)([1.0, 2.0])
    wrong = custom_op("wrong", lambda x: [x, x], jvp=lambda z, t, x: t[0])
    with pytest.raises(ValueError, match=r"the jvp of wrong: expected the structure of the result, with \[0\]: number"):
        jvp(wrong, 1.0, 1.0)
    text = custom_op("text", lambda x: "a", vjp=lambda z, v, x: (v,))
    with pytest.raises(TypeError, match="the value of text: expected a number"):
        text(1.0)
    with pytest.raises(TypeError, match="solve: argument 1: expected a number, a NumPy array"):
        solve(A, "b")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: custom_op("f", len), TypeError, r"expected a function as partials\[0\], got NoneType"),
        (lambda: custom_op("f", len, len, vjp=len), TypeError, "expected either partials, or vjp and jvp, got both"),
        (lambda: custom_op("f", 3.0, vjp=len), TypeError, "expected a function as value, got float"),
        (lambda: custom_op("f", len, jvp=3.0), TypeError, "expected a function as jvp, got float"),
        (lambda: custom_op("exp", len, vjp=len), ValueError, "'exp' is an operation of microgrud"),
    ],
)
def test_wrong_definitions_are_errors(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_graphs_and_compiled_functions_of_it_can_be_copied_and_pickled() -> None:
    b = [Value(x) for x in B]
    x = solve_both(A, b)
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        mg.backward(twin, [1.0, 10.0])
        leaves = {node for y in twin for node in y._prev}
        assert sorted(leaf.grad for leaf in leaves) == pytest.approx(
            sorted(solve([[2.0, 0.5], [1.0, 3.0]], [1.0, 10.0]))
        )
    assert (repr(solve), x[0]._op, b[0].grad) == ("<operation solve>", "A\\b", 0.0)
    assert pickle.loads(pickle.dumps(solve)) is solve
    unnamed = custom_op("solve", solve_value, vjp=solve_vjp)
    assert jacobian(pickle.loads(pickle.dumps(unnamed)), 1)(A, B) == jacobian(solve, 1)(A, B)
    compiled = mg.compile(lambda b: solve_both(A, [exp(x) for x in b])[0])
    value, slope = compiled.value_and_grad(B)
    assert pickle.loads(pickle.dumps(compiled)).value_and_grad(B) == (value, slope)


def test_under_no_grad_results_are_leaves() -> None:
    with no_grad():
        assert all(x.is_leaf for x in solve(A, [Value(1.0), 2.0]))


def test_minus_zero_is_another_number_than_zero() -> None:
    sign = custom_op("sign_of", lambda x: [math.copysign(1.0, x), x], vjp=lambda z, v, x: (v[1],))
    assert [sign(x)[0] for x in (0.0, -0.0, 0.0)] == [1.0, -1.0, 1.0]


def test_threads_may_share_an_operation() -> None:
    found: dict[int, Any] = {}

    def work(k: int) -> None:
        found[k] = [jacobian(solve_both, 1)(A, [float(k), 1.0]) for _ in range(30)]
        found[-k] = [solve_both(A, [float(k), 1.0]) for _ in range(30)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(1, 5):
        assert found[k] == [jacobian(solve_both, 1)(A, [float(k), 1.0])] * 30
        assert found[-k] == [solve_value(A, [float(k), 1.0])] * 30


def test_tables_of_another_length_are_another_structure() -> None:
    pd = pytest.importorskip("pandas")
    squares = custom_op("squares", lambda x: [float((x * x).sum())], vjp=lambda z, c, x: (2.0 * c[0] * x,))
    for numbers in ([1.0, 2.0], [1.0, 2.0, 3.0]):
        column = pd.Series(numbers)
        assert squares(column) == [sum(x * x for x in numbers)]
        assert jacobian(squares)(column)[0].tolist() == [2.0 * x for x in numbers]


def test_a_result_that_is_a_column_is_no_number() -> None:
    pandas = pytest.importorskip("pandas")
    f = custom_op("f", lambda x: pandas.Series([x, x]) if x > 0.0 else x, jvp=lambda z, t, x: z)
    x = Value(1.0)
    y = f(x)[0]
    x.data = -1.0
    with pytest.raises(TypeError, match="expected a result of one structure"):
        y.backward()


@pytest.mark.parametrize(
    "rule",
    [
        lambda z, g, x: (min(max(g, -1.0), 1.0),),
        lambda z, g, x: (g / abs(g),),
        lambda z, g, x: (g + 1.0,),
    ],
    ids=["clipped", "normalised", "moved"],
)
def test_a_rule_must_be_linear_in_the_cotangent(rule: Any) -> None:
    f = custom_op("f", lambda x: x, vjp=rule)
    for _ in range(2):
        for derivative in (grad(lambda x: 10.0 * f(x)), mg.compile(grad(lambda x: 10.0 * f(x)))):
            with pytest.raises(ValueError, match=r"the vjp of f: expected a rule that is linear in the cotangent"):
                derivative(1.0)
        with pytest.raises(ValueError, match="linear in the cotangent"):
            f(Value(1.0)).backward()
