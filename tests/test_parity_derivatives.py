"""Derivatives of functions in C against their twins in Python: the same bits, types and errors, to the third order."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from cells import every_cell
from hypothesis import given
from test_parity import BOTH, C_MODULES, PYTHON, C, count_constants, operand_lists, outcome, renamed, same

from microgrud.testing import Expression, expressions


def derivatives(mg: ModuleType, f: Callable[..., Any], xs: list[float]) -> Any:
    """Everything that a transform computes of a function of a list, with the error where there is one."""
    ones = [1.0 + k for k in range(len(xs))]
    halves = [0.0 if k % 2 else 0.5 for k in range(len(xs))]
    calls: list[Callable[[], Any]] = [
        lambda: mg.value_and_grad(f)(xs),
        lambda: mg.jacobian(lambda x: [f(x), x[0] * f(x), 2.0, x[-1]])(xs),
        lambda: mg.jvp(f, (xs,), (ones,)),
        lambda: mg.jvp(f, (xs,), (halves,)),
        lambda: mg.hvp(f, (xs,), (ones,)),
        lambda: mg.hessian(f)(xs),
        lambda: mg.hvp(lambda x: mg.sum(mg.hvp(f, (x,), (ones,))), (xs,), (halves,)),
    ]
    return [outcome(call) for call in calls]


@pytest.mark.parametrize("name", PYTHON.engine.ops.TABLE)
def test_the_derivatives_of_every_operation_have_the_same_bits(name: str) -> None:
    operation = PYTHON.engine.ops.TABLE[name]

    def run(mg: ModuleType, xs: list[float]) -> Any:
        constants = count_constants(name, len(xs))

        def f(x: Any) -> Any:  # once with all operands, and once with a number in the place of the last one
            own = mg.engine.ops.TABLE[name]
            return own(*xs[:constants], *x) + (own(*xs[:constants], *x[:-1], xs[-1]) if len(x) > 1 else 0.0)

        return derivatives(mg, f, xs[constants:])

    with every_cell() as cell:
        for xs in operand_lists(name, operation.arity, 12):
            if len(xs) <= 6:
                with cell(xs):
                    same(lambda mg, xs=xs: run(mg, xs))


@given(expressions(max_nodes=12))
def test_the_derivatives_of_random_programs_have_the_same_bits(program: Expression) -> None:
    def run(mg: ModuleType) -> Any:
        own = renamed(program, mg)
        return derivatives(mg, lambda x: own(*x), list(program.inputs))

    same(run)


@given(expressions(max_nodes=12))
def test_the_derivatives_of_nodes_have_the_same_bits(program: Expression) -> None:
    def run(mg: ModuleType) -> Any:
        xs = [mg.Value(x) for x in program.inputs]
        output = renamed(program, mg)(*xs)
        if isinstance(output, float):
            return output
        nodes = mg.engine.topological_order(output)
        slopes = mg.gradient(output, nodes)  # some depend on others
        return [slopes, mg.gradient(sum(slopes, mg.Value(0.0)), [*xs, nodes[len(nodes) // 2]]), xs, nodes]

    same(run)


def nested(mg: ModuleType, depth: int) -> Callable[[Any], Any]:
    """Steps of gradient descent on a function of the argument and of what it closes over."""

    def descend(x: Any) -> Any:
        t = x
        for _ in range(depth):
            t = t - 0.1 * mg.grad(lambda u: mg.tanh(u * u) * x + u**3 / 3.0)(t)
        return t

    return descend


def test_nested_derivatives_have_the_same_bits() -> None:
    for depth in (1, 2, 5, 20):
        same(lambda mg, depth=depth: derivatives(mg, lambda x: nested(mg, depth)(x[0]), [0.7]))
        same(lambda mg, depth=depth: mg.compile(nested(mg, depth)).value_and_grad(0.7))
        same(lambda mg, depth=depth: mg.compile(mg.grad(mg.grad(nested(mg, depth))))(0.7))


def test_a_derivative_of_what_it_closes_over_has_the_same_bits() -> None:
    def descend(mg: ModuleType, x: Any, w: Any) -> Any:
        for _ in range(200):  # so many nodes that a walk in C ends at the pages of older ones
            x = x - 0.01 * mg.grad(lambda t, x=x: mg.sin(t * x) * w)(0.5)
        return x

    same(lambda mg: mg.value_and_grad(lambda x, w: descend(mg, x, w), (0, 1))(0.3, 0.7))
    same(lambda mg: mg.grad(lambda x: descend(mg, x, mg.Value(0.7)))(0.3))
    assert same(lambda mg: (lambda w: mg.grad(lambda x: descend(mg, x, w))(0.3))(mg.Value(0.7)))[0] == "Value"


def given_operands(mg: ModuleType, x: Any) -> Any:
    """A node that is older than the transform, and is given the variable as an operand inside of it."""
    OLD[mg][500]._operands = (x, 3.0)
    return OLD[mg][500] * x


def given_operands_below(mg: ModuleType, x: Any) -> Any:
    """A node that is older than the transform, of which an operand is given the variable."""
    OLD[mg][501]._operands = (x, 3.0)
    return ABOVE[mg] * x


#: So many nodes that no new one is in the page of the one in the middle.
OLD = {mg: [mg.Value(2.0) * 3.0 for _ in range(1000)] for mg in BOTH}
ABOVE = {mg: OLD[mg][501] * 0.5 for mg in BOTH}
KEPT = {mg: [mg.Value(2.0) for _ in range(1000)] for mg in BOTH}

#: Functions with nodes that no kernel has rules for.
ODD: dict[str, Callable[[ModuleType, Any], Any]] = {
    "custom_op": lambda mg, x: mg.custom_op("cube", lambda x: x**3, lambda z, x: 3.0 * x * x)(x) * x,
    "custom_op with integers": lambda mg, x: mg.custom_op("same", lambda x: x, lambda z, x: 1)(x) * x,
    "custom_op that raises": lambda mg, x: mg.custom_op("bad", lambda x: x, lambda z, x: {}["no slope"])(x),
    "compiled": lambda mg, x: mg.compile(lambda x: mg.sin(x) * x)(x) * x,
    "by hand, with numbers": lambda mg, x: mg.Value(2.0 * x.data, (x,), (2.0,)) * x,
    "by hand, with nodes": lambda mg, x: mg.Value(x.data**2, (x,), (2.0 * x,)) * x,
    "by hand, without": lambda mg, x: mg.Value(2.0 * x.data, (x,), "x2") * x,
    "subclass": lambda mg, x: type("Sub", (mg.Value,), {})(3.0) * x * x,
    "detached": lambda mg, x: x.detach() * x,
    "infinite slope": lambda mg, x: mg.sqrt(x - x) + x,
    "infinite slope that does not matter": lambda mg, x: mg.where(x > 0.0, x, mg.sqrt(x - x)),
    "given operands": given_operands,
    "given operands below": given_operands_below,
    "overflow": lambda mg, x: mg.exp(x * 1e3) * 1e300,
    "the argument itself": lambda mg, x: x,
    "a constant": lambda mg, x: mg.Value(3.0),
}


@pytest.mark.parametrize("name", ODD)
def test_nodes_without_kernels_agree(name: str) -> None:
    for x in (0.5, -0.5):
        same(lambda mg, x=x: derivatives(mg, lambda xs: ODD[name](mg, xs[0]), [x]))


def test_results_reach_the_same_values_from_outside() -> None:
    def run(mg: ModuleType) -> Any:
        w, t = mg.Value(3.0), 0.5
        constant = mg.grad(lambda x, y: 3.0 * x + 5.0 * y, (0, 1))  # its result depends on neither argument
        return [
            mg.grad(lambda t: t * constant(t, w)[0])(t),
            mg.grad(lambda t: t * constant(2.0 * t, 2.0 * w)[1])(t),
            mg.grad(lambda t: t * constant(2.0 * t, t)[1])(t),
            mg.grad(lambda t: mg.grad(lambda x: w + x**2)(t))(t),
            mg.grad(lambda t: mg.grad(lambda x: mg.grad(lambda y: y * w)(x))(t * t))(t),
        ]

    kinds = [kind for kind, *_ in same(run)[1]]
    assert kinds == ["Value", "Value", "float", "Value", "Value"]


def test_operands_that_are_replaced_in_the_middle_of_a_pass_are_an_error() -> None:
    def replacing(z: float, x: float) -> float:
        middle._operands = (middle, middle, middle)
        return 1.0

    def f(x: Any) -> Any:
        nonlocal middle
        middle = x * 2.0
        return C.custom_op("replacing", lambda x: x, replacing)(middle)

    middle: Any = None
    with pytest.raises(RuntimeError, match="the operands of a node were replaced while it was differentiated"):
        C.grad(f)(0.5)
    middle._operands = ()


def test_passes_in_c_check_their_arguments() -> None:
    graph = C.engine.native.engine.Subgraph
    x = C.Value(2.0)
    for wrong in (([x],), ([x], [x]), ((x,), [x], True), ([1.0], [x], True), ([x], [None], True)):
        with pytest.raises(TypeError):
            graph(*wrong)
    made = graph([x * x], [x], True)
    for wrong_call in ((), (0,), (1, True), (-1, True), ("0", True)):
        with pytest.raises(TypeError):
            made.pull_back(*wrong_call)
    for wrong_call in ((), ([1.0],), ([1.0, 2.0], True), ((1.0,), True), (["a"], True)):
        with pytest.raises(TypeError):
            made.push_forward(*wrong_call)
    assert (made.pull_back(0, True), made.push_forward([3.0], True)) == ([4.0], [12.0])


def test_no_memory_leaves_no_mark_on_a_graph() -> None:
    testcapi = pytest.importorskip("_testcapi")
    x = C.Value(0.5)
    xs = [C.Value(float(k)) for k in range(70)]
    y = C.dot([*xs, x], [x, *xs]) * x + C.tanh(x) / x

    def work() -> Any:
        graph = C.engine.native.engine.Subgraph([y, x], [x, *xs], True)
        tangents = [1.0] * 71
        slopes = graph.pull_back(0, False)
        return graph.pull_back(0, True), slopes, graph.push_forward(tangents, True), graph.push_forward(tangents, False)

    expected = work()[0]
    failures = 0
    for position in range(400):
        testcapi.set_nomemory(position, position + 1)
        try:
            work()
        except MemoryError:
            failures += 1
        finally:
            testcapi.remove_mem_hooks()
    assert failures > 20
    assert work()[0] == expected
    y.backward()
    assert x.grad == expected[0]


def test_a_graph_is_freed_with_its_subgraph() -> None:
    def counts() -> int:
        return sys.getrefcount(C.Value)  # each node has a reference to its type

    def work() -> None:
        C.hessian(lambda x: C.exp(x[0] * x[1]) / x[0])([0.5, 0.7])

    work()
    before = counts()
    for _ in range(10):
        work()
    assert counts() - before < 10
    assert BOTH == (PYTHON, C)
    assert "microgrud.autodiff.subgraph" in C_MODULES
