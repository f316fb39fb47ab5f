"""Columns of the matrix: backward passes and transforms, of plain functions and of compiled ones.

A way takes a `Case`, computes something, and yields findings: a label, the result, and the right result. To add a way,
write a function with `@way(name)`; `fits` selects the programs that it applies to.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from agreement_truth import (
    Case,
    Finding,
    Function,
    Numbers,
    Program,
    Truth,
    as_value,
    numbers_of,
    weighted_sum,
    weights,
)

import microgrud
from microgrud import (
    Value,
    detect_anomaly,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jvp,
    no_grad,
    value_and_grad,
    vjp,
)

Run = Callable[[Case], Iterator[Finding]]
Fits = Callable[[Program], bool]


@dataclass(frozen=True)
class Way:
    """A column of the matrix: a function that computes, and one that selects programs."""

    name: str
    run: Run
    fits: Fits


WAYS: dict[str, Way] = {}


def differentiable(program: Program) -> bool:
    """Return whether an argument can be differentiated."""
    return bool(program.argnums)


def with_leaves(program: Program) -> bool:
    """Return whether the function closes over leaves, and has arguments that can be differentiated."""
    return differentiable(program) and bool(program.leaves)


def anything(program: Program) -> bool:
    """Apply a way to every program."""
    return True


def way(name: str, fits: Fits = anything) -> Callable[[Run], Run]:
    """Register a way: a decorator."""

    def register(run: Run) -> Run:
        assert name not in WAYS, f"there are two ways of the name {name!r}"
        WAYS[name] = Way(name, run, fits)
        return run

    return register


def types_are(kind: type, numbers: Sequence[Any], label: str) -> Finding:
    """Check that all numbers have this type: 1.0 if they have."""
    return f"{label}: {kind.__name__}s", [float(all(isinstance(x, kind) for x in numbers))], [1.0]


# --- passes over the graph ------------------------------------------------------------------------------------------


@way("backward")
def backward(case: Case, subject: Callable[[Function], Function] = lambda f: f) -> Iterator[Finding]:
    for k in range(len(case.program.points)):
        f, leaves = case.scalar()
        f = subject(f)
        args, inputs = case.values(k)
        result = as_value(f(*args, **case.program.keywords))
        result.backward()
        yield "value", [result], [case.truth(k).value]
        yield "grad", [x.grad for x in [*inputs, *leaves]], case.truth(k).gradient


@way("backward, leaves updated between calls", with_leaves)
def backward_with_updates(case: Case) -> Iterator[Finding]:
    f, leaves = case.scalar()
    f(*case.values()[0], **case.program.keywords)
    case.move(leaves)
    result = as_value(f(*case.values()[0], **case.program.keywords))
    result.backward()
    yield "value", [result], [case.truth(moved=True).value]
    yield "grad of leaves", [x.grad for x in leaves], case.truth(moved=True).gradient[case.truth().count :]


@way("backward, detect_anomaly")
def backward_watched(case: Case) -> Iterator[Finding]:
    with detect_anomaly():
        yield from backward(case)


@way("backward of a checkpointed function")
def backward_of_checkpointed(case: Case) -> Iterator[Finding]:
    yield from backward(case, microgrud.checkpoint)


@way("values under no_grad")
def values_under_no_grad(case: Case) -> Iterator[Finding]:
    for k in range(len(case.program.points)):
        f, _ = case.made()
        with no_grad():
            yield f"at point {k}", numbers_of(f(*case.values(k)[0], **case.program.keywords)), case.truth(k).values


@way("gradient", differentiable)
def gradient(case: Case) -> Iterator[Finding]:
    f, leaves = case.scalar()
    args, inputs = case.values()
    truth = case.truth()
    slopes = microgrud.gradient(as_value(f(*args, **case.program.keywords)), [*inputs, *leaves])
    yield "gradient", slopes, truth.gradient
    direction = weights(truth.count)
    second = microgrud.gradient(as_value(weighted_sum(slopes[: truth.count], direction)), [*inputs, *leaves])
    yield "second derivatives", second, truth.along(direction)


# --- transforms -----------------------------------------------------------------------------------------------------


def matrix(result: Any, output: Any) -> list[list[Any]]:
    """Return the rows of a Jacobian, whose structure is that of `output` with arguments in its leaves."""
    if isinstance(output, dict):
        return [row for key in output for row in matrix(result[key], output[key])]
    if isinstance(output, (list, tuple)):
        return [row for own, part in zip(result, output) for row in matrix(own, part)]
    size = output.size if isinstance(output, np.ndarray) else 1
    columns = [np.asarray(leaf, dtype=object).reshape(size, -1) for leaf in _leaves(result)]
    rows: list[list[Any]] = np.hstack(columns).tolist()
    return rows


def _leaves(tree: Any) -> list[Any]:
    """Return the numbers and arrays of a structure."""
    if isinstance(tree, dict):
        return [leaf for x in tree.values() for leaf in _leaves(x)]
    if isinstance(tree, (list, tuple)):
        return [leaf for x in tree for leaf in _leaves(x)]
    return [tree]


@dataclass(frozen=True)
class Transform:
    """A transform of the public interface, its result, and the derivatives of a weighted sum of that result.

    Attributes:
        apply: a function that applies it to a function, and returns the resulting numbers in one list.
        expected: these numbers.
        weights: one for each of them.
        slopes: the derivatives of their weighted sum with respect to all inputs, including leaves.
    """

    apply: Callable[[Case, Function, tuple[Any, ...]], list[Any]]
    expected: Callable[[Truth], Numbers]
    weights: Callable[[Truth], Numbers]
    slopes: Callable[[Truth], Numbers]


def _bound(case: Case, f: Function) -> Function:
    """Return a function without keywords, for transforms that pass no keywords on."""
    return functools.partial(f, **case.program.keywords) if case.program.keywords else f


def _by_grad(case: Case, f: Function, args: tuple[Any, ...]) -> list[Any]:
    g = grad(case.program.scalar(f), case.program.argnums)
    return numbers_of(g(*args, **case.program.keywords))


def _by_value_and_grad(case: Case, f: Function, args: tuple[Any, ...]) -> list[Any]:
    g = value_and_grad(case.program.scalar(f), case.program.argnums)
    return numbers_of(g(*args, **case.program.keywords))


def _by_jvp(case: Case, f: Function, args: tuple[Any, ...]) -> list[Any]:
    direction = case.tangents(weights(case.truth().count))
    outputs = jvp(_bound(case, f), args, direction, argnums=case.program.argnums)
    return [x for own in outputs for x in numbers_of(own)]


def _by_jacobian(case: Case, f: Function, args: tuple[Any, ...]) -> list[Any]:
    result = jacobian(f, case.program.argnums)(*args, **case.program.keywords)
    return [x for row in matrix(result, case.program.result) for x in row]


def _by_jacfwd(case: Case, f: Function, args: tuple[Any, ...]) -> list[Any]:
    result = jacfwd(f, case.program.argnums)(*args, **case.program.keywords)
    return [x for row in matrix(result, case.program.result) for x in row]


def _by_vjp(case: Case, f: Function, args: tuple[Any, ...]) -> list[Any]:
    which = case.program.argnums
    g = _bound(case, f)

    def of_primals(*own: Any) -> Any:
        return g(*[own[which.index(i)] if i in which else x for i, x in enumerate(args)])

    value, pull = vjp(of_primals, *[args[i] for i in which])
    products = pull(_like(value, iter(_outputs(case.truth()))))
    return [*numbers_of(value), *numbers_of(products)]


def _like(tree: Any, numbers: Iterator[float]) -> Any:
    """Return the same structure with other numbers."""
    if isinstance(tree, dict):
        return {key: _like(x, numbers) for key, x in tree.items()}
    if isinstance(tree, (list, tuple)):
        items = [_like(x, numbers) for x in tree]
        return tree._make(items) if hasattr(tree, "_make") else type(tree)(items)
    if isinstance(tree, np.ndarray):
        return np.array([next(numbers) for _ in range(tree.size)]).reshape(tree.shape)
    return next(numbers)


def _by_hessian(case: Case, f: Function, args: tuple[Any, ...]) -> list[Any]:
    result = hessian(case.program.scalar(f), case.program.argnums)(*args, **case.program.keywords)
    return [x for row in matrix(result, tuple(args[i] for i in case.program.argnums)) for x in row]


def _by_hvp(case: Case, f: Function, args: tuple[Any, ...]) -> list[Any]:
    direction = case.tangents(weights(case.truth().count))
    g = _bound(case, case.program.scalar(f))
    return numbers_of(hvp(g, args, direction, argnums=case.program.argnums))


def _direction(truth: Truth) -> Numbers:
    return weights(truth.count)


def _of_arguments(truth: Truth, row: Sequence[float]) -> Numbers:
    return list(row[: truth.count])


def _pushed(truth: Truth) -> Numbers:
    return [sum(s * d for s, d in zip(row, _direction(truth))) for row in truth.jacobian]


def _outputs(truth: Truth) -> Numbers:
    return [1.0] if truth.program.is_scalar else weights(len(truth.values))


def _added(xs: Sequence[float], ys: Sequence[float]) -> Numbers:
    return [x + y for x, y in zip(xs, ys)]


TRANSFORMS: dict[str, Transform] = {
    "grad": Transform(
        _by_grad,
        lambda t: _of_arguments(t, t.gradient),
        _direction,
        lambda t: t.along(_direction(t)),
    ),
    "value_and_grad": Transform(
        _by_value_and_grad,
        lambda t: [t.value, *_of_arguments(t, t.gradient)],
        lambda t: [1.0, *_direction(t)],
        lambda t: _added(t.gradient, t.along(_direction(t))),
    ),
    "jvp": Transform(
        _by_jvp,
        lambda t: [*t.values, *_pushed(t)],
        lambda t: _outputs(t) * 2,
        lambda t: _added(t.gradient, t.along(_direction(t))),
    ),
    "jacobian": Transform(
        _by_jacobian,
        lambda t: [x for row in t.jacobian for x in _of_arguments(t, row)],
        lambda t: [w * d for w in _outputs(t) for d in _direction(t)],
        lambda t: t.along(_direction(t)),
    ),
    "jacfwd": Transform(
        _by_jacfwd,
        lambda t: [x for row in t.jacobian for x in _of_arguments(t, row)],
        lambda t: [w * d for w in _outputs(t) for d in _direction(t)],
        lambda t: t.along(_direction(t)),
    ),
    "vjp": Transform(
        _by_vjp,
        lambda t: [*t.values, *_of_arguments(t, t.gradient)],
        lambda t: [*_outputs(t), *_direction(t)],
        lambda t: _added(t.gradient, t.along(_direction(t))),
    ),
    "hessian": Transform(
        _by_hessian,
        lambda t: [x for row in t.hessian for x in row],
        lambda t: [v * w for v in _direction(t) for w in _direction(t)],
        lambda t: t.along(_direction(t), _direction(t)),
    ),
    "hvp": Transform(
        _by_hvp,
        lambda t: _of_arguments(t, t.along(_direction(t))),
        _direction,
        lambda t: t.along(_direction(t), _direction(t)),
    ),
}

#: Functions to apply a transform to, made from the plain one; each adds a column for each transform.
SUBJECTS: dict[str, Callable[[Function], Function]] = {
    "a function": lambda f: f,
    "a compiled function": lambda f: microgrud.compile(f),
    "a checkpointed function": lambda f: microgrud.checkpoint(f),
    "a function compiled inside": lambda f: functools.wraps(f)(lambda *a, **k: microgrud.compile(f)(*a, **k)),
}


def _apply(subject: Callable[[Function], Function], transform: Transform) -> Run:
    """Make the way that applies a transform to numbers: at one point twice, at another, and at the first again."""
    points = (0, 1) if subject is SUBJECTS["a function compiled inside"] else (0, 0, 1, 0)

    def run(case: Case) -> Iterator[Finding]:
        f, leaves = case.made()
        made = subject(f)
        for k in points:
            found = transform.apply(case, made, case.args(k))
            yield f"at point {k}", found, transform.expected(case.truth(k))
            if not case.program.leaves:
                yield types_are(float, found, "numbers in")
        yield "grads of leaves", [x.grad for x in leaves], [0.0] * len(leaves)

    return run


def _backward_through(subject: Callable[[Function], Function], transform: Transform) -> Run:
    """Make the way that differentiates the result of a transform, with respect to its arguments and leaves."""

    def run(case: Case) -> Iterator[Finding]:
        f, leaves = case.made()
        made = subject(f)
        for k in (0, 1):
            for leaf in leaves:
                leaf.grad = 0.0
            args, inputs = case.values(k)
            truth = case.truth(k)
            found = transform.apply(case, made, args)
            yield "numbers", found, transform.expected(truth)
            as_value(weighted_sum(found, transform.weights(truth))).backward()
            yield "grad", [x.grad for x in [*inputs, *leaves]], transform.slopes(truth)
            yield types_are(Value, found, "Values in")

    return run


def _backward_to_leaves(subject: Callable[[Function], Function], transform: Transform) -> Run:
    """Make the way that calls a transform with numbers, and differentiates with respect to leaves of the function."""

    def run(case: Case) -> Iterator[Finding]:
        f, leaves = case.made()
        found = transform.apply(case, subject(f), case.args())
        loss = as_value(weighted_sum(found, transform.weights(case.truth())))
        loss.backward()
        yield "grad of leaves", [x.grad for x in leaves], transform.slopes(case.truth())[case.truth().count :]
        yield types_are(Value, found, "leaves reached")

    return run


def _without_grad(subject: Callable[[Function], Function], transform: Transform) -> Run:
    """Make the way that calls a transform inside `no_grad()`: the results are floats."""

    def run(case: Case) -> Iterator[Finding]:
        f, _ = case.made()
        with no_grad():
            found = transform.apply(case, subject(f), case.args())
        yield "numbers", found, transform.expected(case.truth())
        yield types_are(float, found, "under no_grad")

    return run


def _inside_another(subject: Callable[[Function], Function], transform: Transform) -> Run:
    """Make the way that applies `grad` to a transform, at numbers."""

    def run(case: Case) -> Iterator[Finding]:
        f, _ = case.made()
        made, truth = subject(f), case.truth()
        by = transform.weights(truth)
        outer = grad(lambda *args: weighted_sum(transform.apply(case, made, args), by), case.program.argnums)
        yield "gradient", numbers_of(outer(*case.args())), transform.slopes(truth)[: truth.count]

    return run


def _register_transforms() -> None:
    for kind, subject in SUBJECTS.items():
        for name, transform in TRANSFORMS.items():
            way(f"{name} of {kind}", differentiable)(_apply(subject, transform))
            way(f"backward through {name} of {kind}", differentiable)(_backward_through(subject, transform))
            way(f"grad of {name} of {kind}", differentiable)(_inside_another(subject, transform))
            way(f"leaves through {name} of {kind}", with_leaves)(_backward_to_leaves(subject, transform))
            way(f"{name} of {kind}, no_grad", with_leaves)(_without_grad(subject, transform))


def _unit_directions(subject: Callable[[Function], Function]) -> Run:
    """Make the way that computes `jvp` and `hvp` along one input after another."""

    def run(case: Case) -> Iterator[Finding]:
        f, _ = case.made()
        made, scalar, truth = _bound(case, subject(f)), _bound(case, subject(case.program.scalar(f))), case.truth()
        for i, unit in enumerate(np.eye(truth.count).tolist()):
            tangents = case.tangents(unit)
            _, slopes = jvp(made, case.args(), tangents, argnums=case.program.argnums)
            yield f"jvp by input {i}", numbers_of(slopes), [row[i] for row in truth.jacobian]
            products = hvp(scalar, case.args(), tangents, argnums=case.program.argnums)
            yield f"hvp by input {i}", numbers_of(products), truth.hessian[i]

    return run


_register_transforms()
for _kind in ("a function", "a compiled function"):
    way(f"unit directions of {_kind}", differentiable)(_unit_directions(SUBJECTS[_kind]))
