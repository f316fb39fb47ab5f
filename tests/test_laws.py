"""Laws of the engine on random programs: rules of calculus must hold for every program."""

from __future__ import annotations

import dataclasses
import math
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given, strategies as st
from programs import MPMATH_FLOORS, ROUNDING, Program, pairs_of_programs, points, programs, true_gradient

import microgrud as mg
from microgrud import Value
from microgrud.testing import MOVES
from microgrud.testing.expressions import Step

factors = st.floats(-4.0, 4.0)


def leaves(xs: tuple[float, ...]) -> list[Value]:
    return [Value(x) for x in xs]


def slopes(program: Program) -> list[float]:
    """The gradient of a program at its inputs, by a backward pass."""
    xs = leaves(program.inputs)
    output = program(xs)
    output.backward()
    return [x.grad for x in xs]


def close(numbers: float | list[float]) -> object:
    return pytest.approx(numbers, rel=1e-9, abs=ROUNDING)


# --- every way to differentiate is right ---


@given(programs())
def test_backward_gives_the_derivative(program: Program) -> None:
    assert slopes(program) == close([float(slope) for slope in true_gradient(program)])


@pytest.mark.parametrize("name", MOVES)
def test_backward_gives_the_derivative_of_every_single_step(name: str) -> None:
    if name == "floor_divide" and not MPMATH_FLOORS:
        pytest.skip("mpmath lacks //")
    rng, move = random.Random(name), MOVES[name]
    drawn = iter(lambda: [rng.uniform(-3.0, 3.0) for _ in range(move.arity)], None)
    program = Program(tuple(next(xs for xs in drawn if move.accepts(*xs))), (Step(move, tuple(range(move.arity))),))
    assert slopes(program) == pytest.approx([float(slope) for slope in true_gradient(program)], rel=1e-13, abs=1e-15)


@given(programs())
def test_data_have_the_bits_of_the_same_program_on_plain_floats(program: Program) -> None:
    on_values = [x.data.hex() for x in program.results(leaves(program.inputs))]
    assert on_values == [x.hex() for x in program.results(program.inputs)]


@given(programs())
def test_gradient_and_grad_give_the_same_numbers_as_backward(program: Program) -> None:
    xs = leaves(program.inputs)
    by_gradient = [slope.data for slope in mg.gradient(program(xs), xs)]
    assert by_gradient == slopes(program)
    assert mg.grad(program)(list(program.inputs)) == slopes(program)
    assert mg.value_and_grad(program)(list(program.inputs)) == (program(program.inputs), slopes(program))
    assert [x.grad for x in xs] == [0.0] * len(xs)


@given(programs(), st.lists(factors, min_size=3, max_size=3))
def test_jvp_is_the_gradient_times_the_direction(program: Program, direction: list[float]) -> None:
    v = direction[: len(program.inputs)]
    value, slope = mg.jvp(program, (list(program.inputs),), (v,))
    assert value == program(program.inputs)
    assert slope == close(sum(s * w for s, w in zip(slopes(program), v)))


def test_a_derivative_that_is_slightly_wrong_is_noticed() -> None:
    """The check is checked: a slope that is off by one part in 100,000 fails the comparison with the truth."""
    wrong = mg.custom_op("wrong sine", math.sin, lambda z, x: 1.00001 * mg.cos(x), definition=lambda mp, x: mp.sin(x))
    square, sine = MOVES["square"], MOVES["sin"]
    right = Program((0.5,), (Step(square, (0,)), Step(sine, (1,))))
    assert slopes(right) == close([float(slope) for slope in true_gradient(right)])
    program = Program((0.5,), (Step(square, (0,)), Step(dataclasses.replace(sine, function=wrong), (1,))))
    assert slopes(program) != close([float(slope) for slope in true_gradient(program)])


# --- the rules of differentiation ---


@given(pairs_of_programs(), factors, factors)
def test_the_gradient_is_linear(pair: tuple[Program, Program], a: float, b: float) -> None:
    f, g = pair
    combined = mg.grad(lambda xs: a * f(xs) + b * g(xs))(list(f.inputs))
    assert combined == close([a * df + b * dg for df, dg in zip(slopes(f), slopes(g))])


@given(pairs_of_programs())
def test_sum_rule(pair: tuple[Program, Program]) -> None:
    f, g = pair
    assert mg.grad(lambda xs: f(xs) + g(xs))(list(f.inputs)) == close([df + dg for df, dg in zip(slopes(f), slopes(g))])


@given(pairs_of_programs())
def test_product_rule(pair: tuple[Program, Program]) -> None:
    f, g = pair
    f_value, g_value = f(f.inputs), g(g.inputs)
    assert mg.grad(lambda xs: f(xs) * g(xs))(list(f.inputs)) == close(
        [df * g_value + f_value * dg for df, dg in zip(slopes(f), slopes(g))]
    )


@given(pairs_of_programs())
def test_quotient_rule(pair: tuple[Program, Program]) -> None:
    f, g = pair
    f_value, divisor = f(f.inputs), 2.0 + g(g.inputs) ** 2
    dg = [2.0 * g(g.inputs) * slope for slope in slopes(g)]
    assert mg.grad(lambda xs: f(xs) / (2.0 + g(xs) ** 2))(list(f.inputs)) == close(
        [(df * divisor - f_value * d) / divisor**2 for df, d in zip(slopes(f), dg)]
    )


@given(st.data())
def test_chain_rule(data: st.DataObject) -> None:
    inner = data.draw(programs())
    outer = data.draw(programs((inner(inner.inputs),)))
    (outer_slope,) = slopes(outer)
    composed = mg.grad(lambda xs: outer([inner(xs)]))(list(inner.inputs))
    assert composed == close([outer_slope * slope for slope in slopes(inner)])


@given(programs())
def test_the_gradient_flows_through_any_cut_of_the_graph(program: Program) -> None:
    """d out/d x is the same in one go as through the result of the first step."""
    xs = leaves(program.inputs)
    numbers = program.results(xs)
    output, cut = numbers[-1], numbers[len(xs)]
    to_cut = mg.gradient(output, cut).data
    # The result of the first step becomes one more input, so that the other steps find their operands where they were.
    rest = Program((*program.inputs, cut.data), program.steps[1:])
    direct = slopes(rest)[:-1]
    through = [to_cut * slope.data for slope in mg.gradient(cut, xs)]
    assert slopes(program) == close([a + b for a, b in zip(through, direct)])


# --- invariances ---


@given(programs(), st.permutations(range(6)))
def test_the_order_of_evaluation_does_not_change_a_bit(program: Program, priorities: list[int]) -> None:
    other = program.in_order(priorities)
    assert other(other.inputs).hex() == program(program.inputs).hex()
    assert [x.hex() for x in slopes(other)] == [x.hex() for x in slopes(program)]


@given(programs())
def test_sharing_nodes_or_computing_them_again_gives_the_same(program: Program) -> None:
    xs = leaves(program.inputs)
    output = program.without_sharing(xs)
    output.backward()
    assert output.data == program(program.inputs)
    assert [x.grad for x in xs] == close(slopes(program))


@given(factors)
def test_one_node_used_twice_collects_what_two_nodes_of_equal_data_share(x: float) -> None:
    once, left, right = Value(x), Value(x), Value(x)
    (once * once).backward()
    (left * right).backward()
    assert once.grad == left.grad + right.grad == 2.0 * x


@given(programs())
def test_the_same_program_gives_the_same_bits_again(program: Program) -> None:
    assert [x.hex() for x in slopes(program)] == [x.hex() for x in slopes(program)]


SUM_OF_MANY_PATHS = """
import random
from microgrud import Value
rng = random.Random(0)
leaves = [Value(rng.gauss(0, 1)) for _ in range(20)]
nodes = list(leaves)
for _ in range(400):
    a, b = rng.choice(nodes), rng.choice(nodes)
    nodes.append(rng.choice([a + b, a * b, a - b]).tanh())
sum(nodes[-100:], Value(0.0)).backward()
print(*[leaf.grad.hex() for leaf in leaves])
"""


def test_two_processes_with_different_hash_seeds_give_the_same_bits() -> None:
    root = os.path.dirname(os.path.dirname(mg.__file__))
    runs = [
        subprocess.run(
            [sys.executable, "-c", SUM_OF_MANY_PATHS],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert len(runs[0].split()) == 20


# --- gradients after backward() ---


@given(programs())
def test_backward_twice_doubles_the_leaves_and_changes_nothing_else(program: Program) -> None:
    xs = leaves(program.inputs)
    numbers = program.results(xs)
    inner = numbers[len(xs) :]
    numbers[-1].backward()
    leaf_grads, inner_grads = [x.grad for x in xs], [node.grad for node in inner]
    parents, data = [node._prev for node in numbers], [node.data for node in numbers]
    numbers[-1].backward()
    assert [x.grad for x in xs] == [2.0 * grad for grad in leaf_grads]
    assert [node.grad for node in inner] == inner_grads
    assert [node._prev for node in numbers] == parents
    assert [node.data for node in numbers] == data


@given(pairs_of_programs())
def test_a_leaf_used_by_two_roots_accumulates(pair: tuple[Program, Program]) -> None:
    f, g = pair
    xs = leaves(f.inputs)
    f(xs).backward()
    g(xs).backward()
    assert [x.grad for x in xs] == [df + dg for df, dg in zip(slopes(f), slopes(g))]


@given(programs())
def test_inner_nodes_hold_the_gradient_of_the_last_pass(program: Program) -> None:
    xs = leaves(program.inputs)
    inner = program.results(xs)[len(xs) :]
    for root in reversed(inner):
        root.backward()
    last_root = inner[0]
    assert last_root.grad == 1.0
    if len(inner) > 1:
        inner[-1].backward()
        expected = mg.gradient(inner[-1], inner)
        reached = set(mg.engine.topological_order(inner[-1]))
        for node, slope in zip(inner, expected):
            if node in reached:
                assert node.grad == slope.data


@given(programs())
def test_zero_grad_clears_every_node_and_the_next_pass_starts_from_zero(program: Program) -> None:
    xs = leaves(program.inputs)
    numbers = program.results(xs)
    output = numbers[-1]
    output.backward()
    first = [x.grad for x in xs]
    output.zero_grad()
    assert all(node.grad == 0.0 for node in mg.engine.topological_order(output))
    output.backward()
    assert [x.grad for x in xs] == first


@given(programs())
def test_detach_lets_no_gradient_through(program: Program) -> None:
    xs = leaves(program.inputs)
    output = program(xs)
    (output.detach() * 3.0).backward()
    assert [x.grad for x in xs] == [0.0] * len(xs)
    (output.detach() * output).backward()  # the product rule without one of its terms
    assert [x.grad for x in xs] == close([output.data * slope for slope in slopes(program)])


@given(programs())
def test_no_grad_computes_the_same_numbers_without_a_graph(program: Program) -> None:
    xs = leaves(program.inputs)
    with mg.no_grad():
        numbers = program.results(xs)
    assert [x.data for x in numbers] == program.results(program.inputs)
    assert all(node.is_leaf for node in numbers)
    numbers[-1].backward()
    assert all(x.grad == 0.0 for x in xs if x is not numbers[-1])


@given(points(least=2), factors)
def test_constants_next_to_values_are_no_nodes(xs: tuple[float, ...], c: float) -> None:
    values = leaves(xs)
    total = mg.dot(values, [c] * len(xs), bias=c)
    assert total._prev == tuple(values)
    total.backward()
    assert [x.grad for x in values] == [c] * len(xs)
