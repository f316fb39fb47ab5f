"""Checks of the checker: it finds every wrong rule that is planted in the table, and raises no false alarm.

A mutation counts if it changes a derivative that microgrud computes; then the check must fail.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import math
import os
import random
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from truth import CONSTANTS, COUNTS

from microgrud import Value
from microgrud.engine import ops
from microgrud.engine.operation import Operation
from microgrud.testing import MOVES, Expression, GradientError, check_gradients, expressions, reals

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
POINTS = 12


def operands_of(operation: Operation) -> Iterator[list[float]]:
    """Yield points inside the domain of an operation, of different sizes, at which its value exists."""
    rng = random.Random(operation.name)
    count = COUNTS.get(operation.name, operation.arity or 3)
    intervals = operation.domain[-count:] if operation.arity else operation.domain * count
    found = 0
    while found < POINTS:
        xs = [rng.choice((-1.0, 1.0)) * 10.0 ** rng.uniform(-1.5, 1.2) for _ in range(count)]
        if operation.name == "clip":
            xs[1:] = sorted(xs[1:])
        if operation.name == "round_digits":
            xs[1] = 1.0
        if operation.name == "power_log":
            xs[0] = abs(xs[0])
        if not all(x in interval for x, interval in zip(xs, intervals)):
            continue
        try:
            operation.evaluate([*CONSTANTS.get(operation.name, ()), *xs])
        except (ValueError, ArithmeticError):
            continue
        found += 1
        yield xs


POINTS_OF = {name: list(operands_of(operation)) for name, operation in ops.TABLE.items()}


def applied(operation: Operation) -> Callable[..., Any]:
    """Return the operation as a function of the operands to differentiate with respect to."""
    constants = CONSTANTS.get(operation.name, ())
    return lambda *xs: operation(*constants, *xs)


def slopes(operation: Operation, xs: list[float]) -> list[float]:
    """Return the gradients that a backward pass through the operation computes."""
    leaves = [Value(x) for x in xs]
    applied(operation)(*leaves).backward()
    return [leaf.grad for leaf in leaves]


def changes(mutant: Operation, name: str) -> bool:
    """Return whether the mutant has another derivative at one of the points."""
    for xs in POINTS_OF[name]:
        try:
            mutated = slopes(mutant, xs)
        except Exception:  # a mutant may do anything
            return True
        pairs = zip(slopes(ops.TABLE[name], xs), mutated)
        if not all(math.isclose(a, b, rel_tol=1e-9) or (math.isnan(a) and math.isnan(b)) for a, b in pairs):
            return True
    return False


def is_caught(mutant: Operation, name: str) -> bool:
    return any(_fails(mutant, xs) for xs in POINTS_OF[name])


def _fails(mutant: Operation, xs: list[float]) -> bool:
    try:
        check_gradients(applied(mutant), *xs)
    except Exception:  # a GradientError, or any error of the mutant, which may do anything
        return True
    return False


# --- rules that are wrong as a whole ---

Mutation = Callable[[Operation], Operation | None]


def with_rules(operation: Operation, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Operation:
    rules = operation.partials
    return dataclasses.replace(operation, partials=change(rules) if callable(rules) else tuple(map(change, rules)))


def scaled(factor: float) -> Mutation:
    def change(rule: Callable[..., Any]) -> Callable[..., Any]:
        def times(z: Any, *xs: Any) -> Any:
            found = rule(z, *xs)
            if found is None:
                return None
            return [s and s * factor for s in found] if isinstance(found, (list, tuple)) else found * factor

        return times

    return lambda operation: with_rules(operation, change)


def rules_of_other_operands(operation: Operation) -> Operation | None:
    rules = operation.partials
    if callable(rules):
        return dataclasses.replace(operation, partials=lambda z, *xs: [*rules(z, *xs)[1:], rules(z, *xs)[0]])
    return dataclasses.replace(operation, partials=(*rules[1:], rules[0])) if len(rules) > 1 else None


def operands_in_another_order(operation: Operation) -> Operation | None:
    if operation.arity is not None and operation.arity < 2:
        return None
    return with_rules(operation, lambda rule: lambda z, *xs: rule(z, *xs[1:], xs[0]))


def result_for_operand(operation: Operation) -> Operation | None:
    return with_rules(operation, lambda rule: lambda z, x: rule(z, z)) if operation.arity == 1 else None


def operand_for_result(operation: Operation) -> Operation | None:
    return with_rules(operation, lambda rule: lambda z, x: rule(x, x)) if operation.arity == 1 else None


MUTATIONS: dict[str, Mutation] = {
    "times 1 + 1e-6": scaled(1.0 + 1e-6),
    "sign flipped": scaled(-1.0),
    "dropped": scaled(0.0),
    "rules of other operands": rules_of_other_operands,
    "operands in another order": operands_in_another_order,
    "result for operand": result_for_operand,
    "operand for result": operand_for_result,
}


WITHOUT_SLOPES = {"sign", "floor", "ceil", "trunc", "round", "round_digits", "floor_divide"}
WITHOUT_SLOPES |= {"less", "at_most", "equal", "unequal", "same"}


SLOW_RULES = {"lgamma", "digamma", "polygamma", "polygamma_difference", "beta", "betaln"}
seconds_each = pytest.mark.slow("2 to 6 s each: gamma functions at many digits")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=seconds_each if name in SLOW_RULES else ()) for name in ops.TABLE]
)
def test_a_wrong_rule_is_caught(name: str) -> None:
    mutants = {what: mutate(ops.TABLE[name]) for what, mutate in MUTATIONS.items()}
    wrong = {what: mutant for what, mutant in mutants.items() if mutant is not None and changes(mutant, name)}
    assert bool(wrong) is (name not in WITHOUT_SLOPES)
    assert [what for what, mutant in wrong.items() if not is_caught(mutant, name)] == []


# --- rules without one of their terms ---


def without_a_term() -> Iterator[tuple[str, ast.Module]]:
    """Yield the module of the table without one term of one sum or difference, and a description of the change."""
    tree = ast.parse(Path(ops.__file__).read_text(encoding="utf-8"))
    sums = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))]
    for k, node in enumerate(sums):
        for side in ("left", "right"):
            kept = getattr(node, side)
            if side == "right" and isinstance(node.op, ast.Sub):
                kept = ast.UnaryOp(ast.USub(), kept)
            mutated = copy.deepcopy(tree)
            again = [n for n in ast.walk(mutated) if isinstance(n, ast.BinOp) and isinstance(n.op, (ast.Add, ast.Sub))][
                k
            ]
            _replace(mutated, again, kept)
            yield f"line {node.lineno}: {ast.unparse(node)} -> {ast.unparse(kept)}", ast.fix_missing_locations(mutated)


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name, field in ast.iter_fields(parent):
            if field is old:
                setattr(parent, name, new)
            elif isinstance(field, list):
                field[:] = [new if item is old else item for item in field]


@pytest.mark.slow("5 s: each term of each rule of the table is left out in turn")
def test_a_dropped_term_is_caught() -> None:
    caught, missed = 0, []
    for where, tree in without_a_term():
        module = types.ModuleType("microgrud.engine.ops_without_a_term")
        module.__package__ = "microgrud.engine"
        exec(compile(tree, "ops_without_a_term", "exec"), module.__dict__)
        for name, mutant in module.TABLE.items():
            if changes(mutant, name):
                found = is_caught(mutant, name)
                caught += found
                missed += [] if found else [f"{name}, {where}"]
    print(f"{caught} operations without a term were caught")
    assert caught > 40
    assert not missed


# --- no false alarm ---


def raises_no_false_alarm(f: Callable[..., Any], point: Sequence[float], **options: Any) -> bool:
    """Return whether nothing is called wrong; a program that loses its digits may be called unstable."""
    try:
        return not check_gradients(f, *point, **options).failures
    except GradientError as error:
        report = error.report
    return report is not None and {v.kind for v in report.failures} == {"unstable"} and not report.blamed


@settings(max_examples=50_000 if NIGHTLY else 150)
@given(expressions(max_nodes=12))
def test_no_false_alarm_for_random_programs(program: Expression) -> None:
    assert raises_no_false_alarm(program, program.inputs)


@settings(max_examples=50_000 if NIGHTLY else 300)
@given(st.data(), st.sampled_from(sorted(MOVES)))
def test_no_false_alarm_for_an_operation_anywhere_in_its_domain(data: st.DataObject, name: str) -> None:
    operation = ops.TABLE.get(name)
    move = MOVES[name]
    domain = operation.domain[0] if operation is not None else None
    xs = [data.draw(reals(domain, moderate=move.arity > 1)) for _ in range(move.arity)]
    try:
        move.function(*xs)
    except (ValueError, ArithmeticError):
        return
    assert not check_gradients(move.function, *xs).failures


@settings(max_examples=20_000 if NIGHTLY else 100)
@given(expressions(max_nodes=12))
def test_no_false_alarm_for_programs_of_floats(program: Expression) -> None:
    def on_floats(*xs: float) -> float:
        return float(program(*map(float, xs)))

    def gradient(*xs: float) -> tuple[float, ...]:
        leaves = [Value(x) for x in xs]
        output = program(*leaves)
        if isinstance(output, Value):
            output.backward()
        return tuple(leaf.grad for leaf in leaves)

    assert raises_no_false_alarm(on_floats, program.inputs, grad=gradient, method="differences")
