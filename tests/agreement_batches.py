"""Columns of the matrix: batches by `vmap`, weights of samples, and derivatives by directions and by parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from agreement_compiled import _mean, _per_sample, _stacked, in_arrays, names_of
from agreement_truth import Case, Finding, Numbers, Program, as_value, data, mapped, numbers_of, weights
from agreement_ways import Run, differentiable, way, with_leaves

import microgrud as mg
from microgrud import Value, compile, grad, gradient, jacobian, value_and_grad, vmap

#: Weights of the three samples of a batch.
WEIGHTS = [3.0, 0.5, 1.5]


def plain(program: Program) -> bool:
    """Return whether all arguments are numbers and arrays by position, which make batches."""
    return in_arrays(program) and not program.keywords


def _samples(found: Any) -> Numbers:
    """Return the numbers of results with samples first, sample by sample."""
    arrays = [np.reshape(np.asarray(x, dtype=object), (3, -1)) for x in _leaves(found)]
    return data(np.hstack(arrays).ravel())


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [x for item in tree.values() for x in _leaves(item)]
    if isinstance(tree, tuple):
        return [x for item in tree for x in _leaves(item)]
    return [x for item in tree for x in _leaves(item)] if isinstance(tree, list) and _holds_arrays(tree) else [tree]


def _holds_arrays(tree: list[Any]) -> bool:
    return any(isinstance(x, (np.ndarray, dict, tuple)) for x in tree)


def _by_vmap(made: Any) -> Run:
    """Make the way that maps a function, as it is or compiled, over the points of a program."""

    def run(case: Case) -> Iterator[Finding]:
        (f, _), (scalar, _), argnums = case.made(), case.scalar(), case.program.argnums
        columns, truths = _stacked(case, as_lists=False), [case.truth(k) for k in range(3)]
        own, gradients = made(f), made(value_and_grad(scalar, argnums))
        # Some programs use methods of Values, or find one by its identity.
        given = columns if own is not f else mapped(Value, tuple(columns))
        for _ in range(2):
            yield "values", _samples(vmap(own)(*given)), [x for t in truths for x in t.values]
            values, slopes = vmap(gradients)(*columns)
            yield "values of gradients", data(np.ravel(values)), [t.value for t in truths]
            yield "gradients", _per_sample(case, slopes), [x for t in truths for x in t.gradient[: t.count]]
        total = grad(lambda *args: mg.sum(vmap(made(scalar))(*args)), argnums)
        yield (
            "gradient of a sum",
            _per_sample(case, total(*columns)),
            [x for t in truths for x in t.gradient[: t.count]],
        )

    return run


way("vmap", plain)(_by_vmap(lambda f: f))
way("compile, vmap", plain)(_by_vmap(compile))


@way("compile, .jvp", lambda program: differentiable(program) and not program.keywords)
def by_jvp(case: Case) -> Iterator[Finding]:
    f, _ = case.made()
    c = compile(f)
    direction = weights(case.truth().count)
    for k in (0, 0, 1, 2, 0):
        value, slope = c.jvp(case.args(k), case.tangents(direction, k), argnums=case.program.argnums)
        yield f"value at point {k}", numbers_of(value), case.truth(k).values
        expected = [sum(s * d for s, d in zip(row, direction)) for row in case.truth(k).jacobian]
        yield f"slope at point {k}", numbers_of(slope), expected


@way("compile, .jvp and .jacobian of a batch", plain)
def directions_of_batches(case: Case) -> Iterator[Finding]:
    f, _ = case.made()
    c = compile(f, batched=names_of(case.program))
    columns, argnums = tuple(_stacked(case, as_lists=False)), case.program.argnums
    directions = tuple(np.cos(columns[i] + 1.0) for i in argnums)
    expected: list[Numbers] = []
    for k in range(3):
        along = [x for own in directions for x in np.ravel(own[k]).tolist()]
        expected.append([sum(s * d for s, d in zip(row, along)) for row in case.truth(k).jacobian])
    for _ in range(2):
        yield "slopes", numbers_of(c.jvp(columns, directions, argnums=argnums)[1]), _mean(expected)
        found = numbers_of(c.jacobian(*columns, argnums=argnums))
        yield "Jacobian", found, data(numbers_of(jacobian(lambda *args: c(*args), argnums)(*columns)))


@way("compile, weights of samples", plain)
def by_weights(case: Case) -> Iterator[Finding]:
    f, leaves = case.scalar()
    names, argnums = names_of(case.program), case.program.argnums

    def weighed(*args: Any) -> Any:
        return f(*args[:-1])

    text = ", ".join([*names, "weight_of_sample"])
    given = eval(f"lambda {text}: weighed({text})", {"weighed": weighed})
    truths, columns, total = [case.truth(k) for k in range(3)], _stacked(case, as_lists=False), sum(WEIGHTS)
    for reduction, divisor in (("mean", total), ("sum", 1.0)):
        c = compile(given, batched=[*names, "weight_of_sample"], weights="weight_of_sample", reduction=reduction)
        shares = [w / divisor for w in WEIGHTS]
        value = sum(s * t.value for s, t in zip(shares, truths))
        gradient_of_args = [s * x for s, t in zip(shares, truths) for x in t.gradient[: t.count]]
        for _ in range(2):
            found, slopes = c.value_and_grad(*columns, WEIGHTS, argnums=argnums)
            yield f"value of the {reduction}", [found], [value]
            yield f"gradient of the {reduction}", _per_sample(case, slopes), gradient_of_args
            yield "map", c.map(*columns, WEIGHTS).tolist(), [t.value for t in truths]
        for leaf in leaves:
            leaf.grad = 0.0
        c.backward(*columns, WEIGHTS)
        rows = [[s * x for x in t.gradient[t.count :]] for s, t in zip(shares, truths)]
        yield "grad of leaves", [x.grad for x in leaves], [sum(column) for column in zip(*rows)]
        slopes = grad(c, argnums)(*columns, np.array(WEIGHTS))
        yield f"grad of the {reduction}", _per_sample(case, slopes), gradient_of_args
        by_weight = [(t.value - (value if reduction == "mean" else 0.0)) / divisor for t in truths]
        found = c.value_and_grad(*columns, np.array(WEIGHTS), argnums=len(names))[1]
        yield f"slope of the {reduction} by the weights", found.tolist(), by_weight


@way("compile, by parameters", lambda program: with_leaves(program) and not program.keywords)
def by_parameters(case: Case) -> Iterator[Finding]:
    (f, leaves), (scalar, others) = case.made(), case.scalar()
    first, second = compile(f), compile(scalar)
    case.move(leaves)
    case.move(others)
    vector, direction = list(case.program.leaves), weights(len(leaves))
    for k in (0, 0, 1):
        args, truth = case.args(k), case.truth(k)
        found = first.jacobian_flat(vector, *args, parameters=leaves)
        yield (
            f"Jacobian at point {k}",
            found.ravel().tolist(),
            [x for row in truth.jacobian for x in row[truth.count :]],
        )
        moved = case.truth(k, moved=True)
        found = second.per_sample_gradients(*args, parameters=others)
        yield f"gradient at point {k}", found.ravel().tolist(), moved.gradient[truth.count :]
        product = second.hvp_flat(vector, direction, *args, parameters=others)
        yield f"product at point {k}", product.tolist(), _product(case, k, direction)
        hessian = second.hessian_flat(vector, *args, parameters=others)
        yield f"Hessian at point {k}", (hessian @ direction).tolist(), _product(case, k, direction)


def _product(case: Case, k: int, direction: Numbers) -> Numbers:
    """Return the Hessian by the leaves times a direction, as the engine computes it in reverse mode twice."""
    f, leaves = case.scalar()
    slopes = gradient(as_value(f(*case.values(k)[0])), leaves)
    return [x.data for x in gradient(mg.dot(slopes, direction), leaves)]


@way("compile, gradients of samples", plain)
def gradients_of_samples(case: Case) -> Iterator[Finding]:
    f, leaves = case.scalar()
    c = compile(f, batched=names_of(case.program))
    columns, truths = _stacked(case, as_lists=False), [case.truth(k) for k in range(3)]
    for _ in range(2):
        found = c.per_sample_gradients(*columns, argnums=case.program.argnums)
        yield "by arguments", _per_sample(case, found), [x for t in truths for x in t.gradient[: t.count]]
        if leaves:
            found = c.per_sample_gradients(*columns, parameters=leaves)
            yield "by leaves", found.ravel().tolist(), [x for t in truths for x in t.gradient[t.count :]]
