"""Columns of the matrix: calls and methods of compiled functions."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from agreement_truth import Case, Finding, Numbers, Program, as_value, data, mapped, numbers_of, weighted_sum, weights
from agreement_ways import Run, differentiable, matrix, types_are, way, with_leaves
from inside import thresholds

from microgrud import Value, compile, grad, hessian, jvp, no_grad, value_and_grad
from microgrud.tape import executors


def names_of(program: Program) -> list[str]:
    """Return the names of the leading positional arguments that can be given by keyword."""
    try:
        parameters = inspect.signature(program.make(*program.leaves)).parameters.values()
    except ValueError:
        return []
    names = [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
    return names[: len(program.points[0])]


def named(program: Program) -> bool:
    """Return whether all arguments can be given by keyword."""
    return len(names_of(program)) == len(program.points[0]) > 0


def _batched(program: Program, kinds: tuple[type, ...]) -> bool:
    return named(program) and differentiable(program) and all(isinstance(x, kinds) for x in program.points[0])


def in_arrays(program: Program) -> bool:
    """Return whether a sample of arrays is what the function takes."""
    return _batched(program, (float, int, np.ndarray))


def in_lists(program: Program) -> bool:
    """Return whether a sample of lists is what the function takes."""
    return _batched(program, (float, int, list)) and all(
        all(isinstance(y, (float, int)) for y in x) for x in program.points[0] if isinstance(x, list)
    )


def several_in_arrays(program: Program) -> bool:
    """Return whether one of several arguments can be a batch."""
    return in_arrays(program) and len(program.points[0]) > 1 and isinstance(program.points[0][0], (float, np.ndarray))


# --- calls ----------------------------------------------------------------------------------------------------------


@way("compile, first call")
def first_call(case: Case) -> Iterator[Finding]:
    for k in range(len(case.program.points)):
        f, _ = case.made()
        found = numbers_of(compile(f)(*case.args(k), **case.program.keywords))
        yield f"at point {k}", found, case.truth(k).values
        yield types_are(float, found, "numbers in")


@way("compile, replay")
def replay(case: Case) -> Iterator[Finding]:
    f, leaves = case.made()
    c = compile(f)
    for k in (0, 0, 1, 2, 0, 1):
        yield f"at point {k}", numbers_of(c(*case.args(k), **case.program.keywords)), case.truth(k).values
    yield "grads of leaves", [x.grad for x in leaves], [0.0] * len(leaves)


@way("compile, errors ignored")
def replay_with_errors_ignored(case: Case) -> Iterator[Finding]:
    f, _ = case.made()
    c = compile(f, errors="ignore")
    for k in (0, 0, 1, 2, 0, 1):
        yield f"at point {k}", numbers_of(c(*case.args(k), **case.program.keywords)), case.truth(k).values


@way("compile, under no_grad")
def replay_under_no_grad(case: Case) -> Iterator[Finding]:
    with no_grad():
        yield from replay(case)
        if case.program.argnums:
            yield from by_value_and_grad(case)


@way("compile, replay by keyword", named)
def replay_by_keyword(case: Case) -> Iterator[Finding]:
    f, _ = case.made()
    c, names = compile(f), names_of(case.program)
    for k in (0, 0, 1, 2, 0):
        found = numbers_of(c(**dict(zip(names, case.args(k))), **case.program.keywords))
        yield f"at point {k}", found, case.truth(k).values


@way("compile, leaves updated between calls", with_leaves)
def with_updates(case: Case) -> Iterator[Finding]:
    f, leaves = case.made()
    c = compile(case.program.scalar(f))
    c(*case.args(), **case.program.keywords)
    case.move(leaves)
    truth = case.truth(moved=True)
    for label in ("replay", "second replay"):
        yield label, [c(*case.args(), **case.program.keywords)], [truth.value]
    c.backward(*case.args(), **case.program.keywords)
    yield "grad of leaves", [x.grad for x in leaves], truth.gradient[truth.count :]


@way("compile, pickled")
def pickled(case: Case) -> Iterator[Finding]:
    f, _ = case.scalar()
    c = compile(f)
    for k in range(3):
        c(*case.args(k), **case.program.keywords)
    twin = pickle.loads(pickle.dumps(c))
    for k in (0, 1, 2, 0):
        yield f"at point {k}", [twin(*case.args(k), **case.program.keywords)], [case.truth(k).value]
    if case.program.argnums:
        _, found = twin.value_and_grad(*case.args(1), argnums=case.program.argnums, **case.program.keywords)
        yield "gradient", numbers_of(found), case.truth(1).gradient[: case.truth().count]


@way("compile, a deep copy")
def deep_copied(case: Case) -> Iterator[Finding]:
    f, _ = case.made()
    c = compile(f)
    c(*case.args(), **case.program.keywords)
    twin = copy.deepcopy(c)
    for k in (0, 1, 2):
        yield f"at point {k}", numbers_of(twin(*case.args(k), **case.program.keywords)), case.truth(k).values


@way("compile, inside another compiled function")
def inside_compiled(case: Case) -> Iterator[Finding]:
    f, leaves = case.scalar()
    inner = compile(f)
    outer = compile(lambda *args, **keywords: 2.0 * inner(*args, **keywords))
    for k in (0, 0, 1, 2):
        yield f"at point {k}", [outer(*case.args(k), **case.program.keywords)], [2.0 * case.truth(k).value]
    outer.backward(*case.args(), **case.program.keywords)
    yield "grad of leaves", [x.grad for x in leaves], [2.0 * x for x in case.truth().gradient[case.truth().count :]]


# --- derivatives by methods of compiled functions -------------------------------------------------------------------


@way("compile, .value_and_grad", differentiable)
def by_value_and_grad(case: Case) -> Iterator[Finding]:
    f, _ = case.scalar()
    c = compile(f)
    for k in (0, 0, 1, 2, 0):
        value, found = c.value_and_grad(*case.args(k), argnums=case.program.argnums, **case.program.keywords)
        truth = case.truth(k)
        yield f"at point {k}", [value, *numbers_of(found)], [truth.value, *truth.gradient[: truth.count]]


@way("compile, .backward")
def by_backward(case: Case) -> Iterator[Finding]:
    f, leaves = case.scalar()
    c = compile(f)
    for k in (0, 0, 1, 2):
        for leaf in leaves:
            leaf.grad = 0.0
        truth, (args, inputs) = case.truth(k), case.values(k)
        yield f"at point {k}", [c.backward(*args, **case.program.keywords)], [truth.value]
        yield "grad", [x.grad for x in [*inputs, *leaves]], truth.gradient
        c.backward(*case.args(k), **case.program.keywords)
        yield "added to leaves", [x.grad for x in leaves], [2.0 * x for x in truth.gradient[truth.count :]]


@way("compile, .hvp", lambda program: differentiable(program) and not program.keywords)
def by_hvp(case: Case) -> Iterator[Finding]:
    f, _ = case.scalar()
    c = compile(f)
    direction = weights(case.truth().count)
    for k in (0, 0, 1):
        found = c.hvp(case.args(k), case.tangents(direction), argnums=case.program.argnums)
        yield f"at point {k}", numbers_of(found), case.truth(k).along(direction)[: case.truth().count]


def _by_matrices(most_operands: int) -> Run:
    """Make the way that has the Jacobian and the Hessian by recordings of at most so many operands."""

    def run(case: Case) -> Iterator[Finding]:
        (f, _), (scalar, _), argnums = case.made(), case.scalar(), case.program.argnums
        first, second = compile(f), compile(scalar)
        with thresholds(most_operands=most_operands):
            for k in (0, 0, 1):
                args, truth = case.args(k), case.truth(k)
                rows = matrix(first.jacobian(*args, argnums=argnums), case.program.result)
                expected = [x for row in truth.jacobian for x in row[: truth.count]]
                yield f"Jacobian at point {k}", [x for row in rows for x in row], expected
                rows = matrix(second.hessian(*args, argnums=argnums), tuple(args[i] for i in argnums))
                expected = [x for row in truth.hessian for x in row]
                yield f"Hessian at point {k}", [x for row in rows for x in row], expected

    return run


def _has_matrices(program: Program) -> bool:
    return differentiable(program) and not program.keywords


way("compile, .jacobian and .hessian", _has_matrices)(_by_matrices(10**9))
way("compile, .jacobian and .hessian by sweeps", _has_matrices)(_by_matrices(0))


@way("compile, .jacobian_entries", _has_matrices)
def by_entries(case: Case) -> Iterator[Finding]:
    f, _ = case.made()
    c = compile(f)
    for k in (0, 0, 1):
        truth = case.truth(k)
        rows, columns, numbers = c.jacobian_entries(*case.args(k), argnums=case.program.argnums)
        found = np.zeros((len(truth.values), truth.count))
        found[rows, columns] = numbers
        yield f"at point {k}", found.ravel().tolist(), [x for row in truth.jacobian for x in row[: truth.count]]


# --- as an operation ------------------------------------------------------------------------------------------------


@way("compile, called on Values")
def on_values(case: Case) -> Iterator[Finding]:
    f, leaves = case.scalar()
    c = compile(f)
    for k in (0, 0, 1, 2):
        for leaf in leaves:
            leaf.grad = 0.0
        args, inputs = case.values(k)
        result = as_value(c(*args, **case.program.keywords))
        (2.0 * result).backward()
        yield f"at point {k}", [result], [case.truth(k).value]
        yield "grad", [x.grad for x in [*inputs, *leaves]], [2.0 * x for x in case.truth(k).gradient]


@way("grad of .value_and_grad", differentiable)
def grad_of_own_gradient(case: Case) -> Iterator[Finding]:
    f, _ = case.scalar()
    c, argnums = compile(f), case.program.argnums

    def slope(*args: Any) -> Any:
        return weighted_sum(numbers_of(c.value_and_grad(*args, argnums=argnums, **case.program.keywords)[1]))

    for k in (0, 0, 1):
        truth = case.truth(k)
        found = numbers_of(grad(slope, argnums)(*case.args(k)))
        yield f"at point {k}", found, truth.along(weights(truth.count))[: truth.count]


@way("compile of grad", differentiable)
def compiled_grad(case: Case) -> Iterator[Finding]:
    f, _ = case.scalar()
    c = compile(grad(f, case.program.argnums))
    for k in (0, 0, 1, 2):
        truth = case.truth(k)
        found = numbers_of(c(*case.args(k), **case.program.keywords))
        yield f"at point {k}", found, truth.gradient[: truth.count]


@way("compile of value_and_grad and hessian", differentiable)
def compiled_hessian(case: Case) -> Iterator[Finding]:
    f, _ = case.scalar()
    argnums, keywords = case.program.argnums, case.program.keywords

    @compile
    def total(*args: Any) -> Any:
        first, second = value_and_grad(f, argnums)(*args, **keywords), hessian(f, argnums)(*args, **keywords)
        return [weighted_sum(numbers_of(first)), sum(numbers_of(second), start=0.0)]

    for k in (0, 0, 1):
        truth = case.truth(k)
        expected = weighted_sum([truth.value, *truth.gradient[: truth.count]])
        found = numbers_of(total(*case.args(k)))
        yield f"at point {k}", found, [expected, sum(x for row in truth.hessian for x in row)]


@way("leaves through a compiled grad", with_leaves)
def compiled_grad_to_leaves(case: Case) -> Iterator[Finding]:
    f, leaves = case.scalar()
    slopes = grad(f, case.program.argnums)
    c = compile(lambda *args: weighted_sum(numbers_of(slopes(*args, **case.program.keywords))))
    truth = case.truth()
    for _ in range(2):
        for leaf in leaves:
            leaf.grad = 0.0
        c.backward(*case.args())
        yield "grad of leaves", [x.grad for x in leaves], truth.along(weights(truth.count))[truth.count :]


# --- batches --------------------------------------------------------------------------------------------------------


def _mean(rows: Sequence[Sequence[float]]) -> Numbers:
    return [sum(column) / len(rows) for column in zip(*rows)]


def _stacked(case: Case, as_lists: bool) -> list[Any]:
    """Return the points of a program as one batch for each argument."""
    columns = [np.array(column) for column in zip(*[case.args(k) for k in range(3)])]
    return [column.tolist() if as_lists else column for column in columns]


def _per_sample(case: Case, columns: Sequence[Any]) -> Numbers:
    """Return derivatives with respect to batches as numbers, sample by sample, for the arguments that hold floats."""
    return [x for i in range(3) for column in columns for x in data(np.ravel(np.asarray(column, dtype=object)[i]))]


def _replayed_batches(as_lists: bool) -> Run:
    def run(case: Case) -> Iterator[Finding]:
        f, leaves = case.made()
        c = compile(f, batched=names_of(case.program))
        truths = [case.truth(k) for k in range(3)]
        columns, keywords = _stacked(case, as_lists), case.program.keywords
        for _ in range(2):
            yield "mean", numbers_of(c(*columns, **keywords)), _mean([t.values for t in truths])
        each = [np.reshape(x, (3, -1)) for x in _arrays(c.map(*columns, **keywords))]
        yield "map", np.hstack(each).ravel().tolist(), [x for t in truths for x in t.values]
        first = [column[:2] for column in columns]
        yield "other length", numbers_of(c(*first, **keywords)), _mean([t.values for t in truths[:2]])
        total = compile(f, batched=names_of(case.program), reduction="sum")
        yield "sum", numbers_of(total(*columns, **keywords)), [3.0 * x for x in _mean([t.values for t in truths])]
        scalar = compile(case.program.scalar(f), batched=names_of(case.program))
        for leaf in leaves:
            leaf.grad = 0.0
        scalar.backward(*columns, **keywords)
        yield "grad of leaves", [x.grad for x in leaves], _mean([t.gradient for t in truths])[truths[0].count :]
        _, found = scalar.value_and_grad(*columns, argnums=case.program.argnums, **keywords)
        expected = [x / 3.0 for t in truths for x in t.gradient[: t.count]]
        yield "gradient of samples", _per_sample(case, found), expected

    return run


def _arrays(tree: Any) -> list[Any]:
    """Return the arrays of a structure, each with one entry per sample."""
    if isinstance(tree, dict):
        return [x for item in tree.values() for x in _arrays(item)]
    if isinstance(tree, (list, tuple)):
        return [x for item in tree for x in _arrays(item)]
    return [tree]


way("compile, batched", in_arrays)(_replayed_batches(as_lists=False))
way("compile, batches in lists", in_lists)(_replayed_batches(as_lists=True))


@way("compile, .jacobian_entries of a batch", lambda program: in_arrays(program) and not program.keywords)
def entries_of_batches(case: Case) -> Iterator[Finding]:
    f, _ = case.made()
    c = compile(f, batched=names_of(case.program))
    args, argnums, count = _stacked(case, as_lists=False), case.program.argnums, len(case.truth().values)
    places = [np.arange(args[i].size).reshape(3, -1) for i in argnums]
    starts = np.cumsum([0, *(own.size for own in places)])
    for _ in range(2):
        rows, columns, numbers = c.jacobian_entries(*args, argnums=argnums)
        found = np.zeros((3 * count, starts[-1]))
        found[rows, columns] = numbers
        for k in range(3):
            block = found[
                count * k : count * (k + 1), np.hstack([own[k] + start for own, start in zip(places, starts)])
            ]
            expected = [x for row in case.truth(k).jacobian for x in row[: case.truth(k).count]]
            yield f"sample {k}", block.ravel().tolist(), expected
            found[count * k : count * (k + 1), np.hstack([own[k] + start for own, start in zip(places, starts)])] = 0.0
        yield "elsewhere", [float(np.abs(found).sum())], [0.0]


@way("compile, .hvp of a batch", lambda program: in_arrays(program) and not program.keywords)
def hvp_of_batches(case: Case) -> Iterator[Finding]:
    f, _ = case.scalar()
    c = compile(f, batched=names_of(case.program))
    columns, argnums = tuple(_stacked(case, as_lists=False)), case.program.argnums
    directions = tuple(np.cos(columns[i] + 1.0) for i in argnums)
    expected: Numbers = []
    for k in range(3):
        truth = case.truth(k)
        own = truth.along([x for direction in directions for x in np.ravel(direction[k]).tolist()])
        expected += [x / 3.0 for x in own[: truth.count]]
    for _ in range(2):
        yield "products", _per_sample(case, c.hvp(columns, directions, argnums=argnums)), expected


@way("compile, one argument batched", several_in_arrays)
def one_batched(case: Case) -> Iterator[Finding]:
    f, _ = case.scalar()
    c = compile(f, batched=names_of(case.program)[0])
    first, *others = case.args()
    batch = np.array([case.args(k)[0] for k in range(3)])
    truths = [case.truth_at((case.args(k)[0], *others)) for k in range(3)]
    for _ in range(2):
        found = c(batch, *others, **case.program.keywords)
        yield "mean", [found], [_mean([[t.value] for t in truths])[0]]
    _, slopes = c.value_and_grad(batch, *others, argnums=case.program.argnums, **case.program.keywords)
    size = len(numbers_of(first))
    by_others = _mean([t.gradient[size : t.count] for t in truths])
    by_batch = [x / 3.0 for t in truths for x in t.gradient[:size]]
    found = [*_per_sample(case, slopes[:1]), *numbers_of(slopes[1:])]
    yield "gradient", found, [*by_batch, *by_others]


def _per_sample_grads(batches: tuple[Any, ...], argnums: Sequence[int]) -> Numbers:
    """Return the `grad` of Values in batches, sample by sample."""
    return [
        x.grad for i in range(3) for k in argnums for x in np.ravel(np.asarray(batches[k], dtype=object)[i]).tolist()
    ]


def _batches_on_values(case: Case) -> Iterator[Finding]:
    f, leaves = case.scalar()
    c = compile(f, batched=names_of(case.program))
    truths = [case.truth(k) for k in range(3)]
    columns, keywords, argnums = _stacked(case, as_lists=False), case.program.keywords, case.program.argnums
    expected = [x / 3.0 for t in truths for x in t.gradient[: t.count]]
    for _ in range(2):
        found = grad(c, argnums)(*columns, **keywords)
        yield "grad", _per_sample(case, found), expected
    value, found = value_and_grad(c, argnums)(*columns, **keywords)
    yield "value", [value], [sum(t.value for t in truths) / 3.0]
    yield "value_and_grad", _per_sample(case, found), expected
    ones = tuple(np.ones_like(columns[i]) for i in argnums)
    bound = (lambda *args: c(*args, **keywords)) if keywords else c
    _, slope = jvp(bound, tuple(columns), ones, argnums=argnums)
    yield "jvp", [slope], [sum(expected)]
    given = mapped(Value, tuple(columns))
    as_value(c(*given, **keywords)).backward()
    yield "backward", _per_sample_grads(given, argnums), expected
    yield "grad of leaves", [x.grad for x in leaves], _mean([t.gradient for t in truths])[truths[0].count :]
    total = grad(lambda *args: weighted_sum([x for g in grad(c, argnums)(*args, **keywords) for x in np.ravel(g)]))
    if 0 in argnums:
        numbers = data(np.ravel(np.asarray(total(*columns), dtype=object)))
        yield "second derivatives", numbers, _second_by_first_batch(case)


def _second_by_first_batch(case: Case) -> Numbers:
    """Return the derivatives with respect to the first batch of all gradients, summed as in `_batches_on_values`."""
    truths = [case.truth(k) for k in range(3)]
    sizes = [len(numbers_of(case.args()[i])) for i in case.program.argnums]
    by = iter(weights(3 * sum(sizes)))
    of_columns = [[[next(by) for _ in range(size)] for _ in range(3)] for size in sizes]
    found: Numbers = []
    for i, truth in enumerate(truths):
        direction = [w for column in of_columns for w in column[i]]
        found += [x / 3.0 for x in truth.along(direction)[: sizes[0]]]
    return found


way("a batched compiled function inside transforms", in_arrays)(_batches_on_values)


# --- the interpreter in NumPy ---------------------------------------------------------------------------------------


def _in_numpy(run: Run) -> Run:
    """Run a way on the interpreter in NumPy, which replaces the interpreter in C if that is not built."""

    def in_numpy(case: Case) -> Iterator[Finding]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(executors, "native_tape", None)
            yield from run(case)

    return in_numpy


way("NumPy, replay")(_in_numpy(replay))
way("NumPy, .value_and_grad", differentiable)(_in_numpy(by_value_and_grad))
way("NumPy, .backward")(_in_numpy(by_backward))
way("NumPy, .hvp", lambda program: differentiable(program) and not program.keywords)(_in_numpy(by_hvp))
way("NumPy, .jacobian and .hessian", _has_matrices)(_in_numpy(_by_matrices(10**9)))
way("NumPy, batched", in_arrays)(_in_numpy(_replayed_batches(as_lists=False)))
way("NumPy, called on Values")(_in_numpy(on_values))
