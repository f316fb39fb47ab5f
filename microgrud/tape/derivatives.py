"""Hessian-vector products, Jacobians and Hessians of a compiled function, from recordings of its derivatives.

A matrix of derivatives takes a sweep for each row (in reverse mode) or for each column (in forward mode), whichever are
fewer. If that is little work, one recording holds all sweeps: what they share is computed once, and derivatives that
are always 0 cost nothing. Otherwise one sweep is recorded, and replayed for a batch of directions: as many as the
pattern of the matrix needs.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..autodiff import transforms
from ..autodiff.calls import positions_of, tangents_of
from ..autodiff.jacobians import jacfwd
from ..autodiff.tables import is_table, table_as_array
from ..autodiff.trees import Structure, check_unmasked, flatten, joined, numbers_in
from ..engine.vectors import Vector
from ..functions import dot
from .absent import AbsentFunction
from .recordings import Recordings
from .results import matrix_in
from .sparsity import Pattern, pattern_of, places_of, sweeps_are_few

Function: TypeAlias = Callable[..., Any]
#: The position of one argument, or those of several.
Argnums: TypeAlias = "int | tuple[int, ...]"

#: One recording holds all sweeps if they pass at most this many operands in all: it takes up to a second to make.
_MOST_OPERANDS = 100_000
#: The greatest number of derivatives, of all samples, that a replay of all sweeps may write: 8 MB.
_MOST_RESULTS = 1 << 20
#: Sweeps are replayed one by one if they are at most so many, or if as a batch they need room for more numbers than
#: this (200 MB): one for each operand of the function, in each of the samples that run together. 3 sweeps of 600,000
#: instructions take 6.4 ms, as a batch 9.1; 4 of 64,000 take 1.0, as a batch 0.7.
_MOST_ONE_BY_ONE = 3
_MOST_FOR_BATCH = 25_000_000
_TOGETHER = 128


def hvp(compiled: Any, args: tuple[Any, ...], tangents: Any, argnums: Argnums) -> Any:
    """Return the product of the Hessian with a direction; see `Compiled.hvp`.

    It comes from a recording of the gradient, whose results have the numbers of the direction as weights. For a batch,
    these results would be one for each number and sample: there the product itself is recorded, in forward mode over
    reverse mode. (Where a direction of 0 meets an infinite slope, the recording of the gradient serves the call.)
    """
    positions, single = positions_of(argnums, len(args), "hvp", distinct=False)
    which = positions[0] if single else positions
    directions = tangents_of(tangents, len(positions))
    batches = [compiled._recordings.is_batch(k) for k in positions]
    found = [
        (_directions if batch else _direction)(args[k], direction)
        for k, direction, batch in zip(positions, directions, batches)
    ]
    absent = isinstance(compiled.function, AbsentFunction)
    if compiled.batched and not any(batches) and (not absent or compiled.has_derived("product", which)):
        compiled._recordings.refuse_other_than_floats(args, positions)
        parts = [flatten(args[k], "primals")[1] for k in positions]
        own = tuple([part.rebuild(list(map(float, numbers))) for part, numbers in zip(parts, found)])
        product = compiled.derived("product", which)(own, *args)
        if _is_finite(product):
            return product
    gradient = compiled.derived("gradient", which)._recordings
    seeds = [seed for each in found for seed in each] if any(batches) else np.concatenate(found)
    products = gradient.products(args, positions, seeds)
    return products[0] if single else products


def jvp(compiled: Any, args: tuple[Any, ...], tangents: Any, positions: tuple[int, ...]) -> tuple[Any, Any] | None:
    """Return the result and its derivative in a direction, by one recording of both; None if it is not finite.

    (A direction of 0 meets an infinite slope there, and has to be a constant, which stops it.)
    """
    compiled._recordings.refuse_other_than_floats(args, positions)
    own = []
    for k, direction in zip(positions, tangents_of(tangents, len(positions))):
        if compiled._recordings.is_batch(k):
            given = np.transpose(_directions(args[k], direction)).reshape(np.shape(args[k]))
            own.append(given.tolist() if type(args[k]) is list else given)
        else:
            own.append(flatten(args[k], "primals")[1].rebuild(_direction(args[k], direction).tolist()))
    value, slope = compiled.derived("jvp", positions)(*own, *args)
    return (value, slope) if _is_finite(slope) else None


def replayed_jvp(
    compiled: Any, args: tuple[Any, ...], tangents: Any, positions: tuple[int, ...]
) -> tuple[Any, Any] | None:
    """Return what `jvp` does, if a replay of an earlier call can; else None."""
    directions = tangents_of(tangents, len(positions))
    if not compiled.has_derived("jvp", positions):
        return None
    found = compiled.derived("jvp", positions)._recordings.replayed("values", (*directions, *args))
    return found[0] if found is not None and _is_finite(found[0][1]) else None


def replayed_hvp(compiled: Any, args: tuple[Any, ...], tangents: Any, argnums: Argnums) -> Any:
    """Return what `hvp` does, if a replay of an earlier call can; else None."""
    positions, single = positions_of(argnums, len(args), "hvp", distinct=False)
    which = positions[0] if single else positions
    directions = tangents_of(tangents, len(positions))
    if compiled.has_derived("product", which):
        found = compiled.derived("product", which)._recordings.replayed("values", (directions, *args))
        if found is not None and _is_finite(found[0]):
            return found[0]
    if not compiled.has_derived("gradient", which):
        return None
    found = compiled.derived("gradient", which)._recordings.replayed("gradients", args, positions, directions)
    if found is None:
        return None
    return found[0][1][0] if single else found[0][1]


def matrix(compiled: Any, args: tuple[Any, ...], argnums: Argnums, kind: str) -> Any:
    """Return the `"jacobian"` or the `"hessian"` of a compiled function; see its methods."""
    positions, single = positions_of(argnums, len(args), kind)
    which = positions[0] if single else positions
    recordings = compiled._recordings
    batches = any(map(recordings.is_batch, positions))
    if kind == "hessian":
        _refuse_batches(recordings, positions, kind)
    recordings.refuse_other_than_floats(args, positions)
    inputs, arguments = _inputs_of(args, positions, single, kind), recordings.read(args, {})
    # The Hessian is the Jacobian of the gradient.
    own = recordings if kind == "jacobian" else compiled.derived("gradient", which)._recordings
    result = own.evaluate(arguments, None)
    outputs, samples = result.structure, result.outputs.shape[1]
    if batches:
        return _by_samples(own, args, positions, single, outputs)
    n, m, batched = inputs.size, outputs.size, bool(recordings.settings.batched)
    by = "columns" if kind == "jacobian" and 0 < n < m else "rows"
    programs, places = [recording.program for recording in result.served], places_of(arguments, positions)
    few = n * m == 0 or (
        n * m * samples <= _MOST_RESULTS
        and sweeps_are_few(programs, places, kind == "jacobian" and by == "rows", _MOST_OPERANDS)
    )
    absent = isinstance(compiled.function, AbsentFunction)
    if not few or (absent and not compiled.has_derived(f"{kind} by {by}", which)):
        if batched or m == 1 or (absent and not any(compiled.has_derived(name, which) for name in SWEEPS[kind])):
            rows = [own.products(args, positions, seeds) for seeds in np.eye(m)]
            return matrix_in(outputs, inputs, np.array([flatten(row, kind)[0] for row in rows], dtype=np.float64))
        if result.by_recordings:
            (recording,) = result.served
            if positions not in recording.patterns:
                recording.patterns[positions] = pattern_of(recording.program, places, kind == "jacobian")
            found = _with_zeros(compiled, args, which, kind, recording.patterns[positions], (m, n))
            if found is not None:
                return matrix_in(outputs, inputs, found)
    return compiled.derived(f"{kind} by {by}", which)(*args)


def _by_samples(
    recordings: Recordings, args: tuple[Any, ...], positions: tuple[int, ...], single: bool, outputs: Structure
) -> Any:
    """Return the Jacobian with respect to batches, among others: a row for each sweep in reverse mode."""
    rows = [recordings.products(args, positions, seeds) for seeds in np.eye(outputs.size)]
    flat = [flatten(row[0] if single else row, "jacobian") for row in rows]
    if not flat:
        return outputs.assemble([])
    return matrix_in(outputs, flat[0][1], np.array([numbers for numbers, _ in flat], dtype=np.float64))


def replayed_matrix(compiled: Any, args: tuple[Any, ...], argnums: Argnums, kind: str) -> Any:
    """Return what `matrix` does, if replays of earlier calls can; else None."""
    if compiled.batched:
        return None
    positions, single = positions_of(argnums, len(args), kind)
    which = positions[0] if single else positions
    for name in (f"{kind} by rows", f"{kind} by columns"):
        if compiled.has_derived(name, which):
            found = compiled.derived(name, which)._recordings.replayed("values", args)
            if found is not None:
                return found[0]
    if not any(compiled.has_derived(name, which) for name in SWEEPS[kind]):
        return None
    own = compiled._recordings if kind == "jacobian" else compiled.derived("gradient", which)._recordings
    found = own.replayed("map", args)
    if found is None or positions not in found[1][0].patterns:
        return None
    inputs, outputs = _inputs_of(args, positions, single, kind), found[1][0].structure
    shape = outputs.size, inputs.size
    numbers = _with_zeros(compiled, args, which, kind, found[1][0].patterns[positions], shape)
    return None if numbers is None else matrix_in(outputs, inputs, numbers)


def _with_zeros(
    compiled: Any, args: tuple[Any, ...], which: Argnums, kind: str, pattern: Pattern, shape: tuple[int, int]
) -> Vector | None:
    """Return a matrix by sweeps; None if it is not finite."""
    values = swept(compiled, args, which, kind, pattern)
    if values is None:
        return None
    found = np.zeros(shape)
    found[pattern.rows, pattern.columns] = values[:, 0]
    return found


def swept(compiled: Any, args: tuple[Any, ...], which: Argnums, kind: str, pattern: Pattern) -> Vector | None:
    """Return the entries of a matrix by sweeps, in the order of the pattern, as a column; None if one is not finite.

    A direction is 0 for most inputs, and 0 times an infinite slope is NaN. In a recording of all sweeps these zeros are
    constants, which stop any slope.
    """
    if not pattern.count:
        return np.zeros((0, 1))
    line, directions = "row" if pattern.by_rows else "column", pattern.directions
    if pattern.count <= _MOST_ONE_BY_ONE or pattern.operands * min(pattern.count, _TOGETHER) > _MOST_FOR_BATCH:
        own = compiled.derived(f"{line} of {kind}", which)._recordings
        found = np.column_stack([outputs_of(own, (direction, *args)) for direction in directions])
    else:
        own = compiled.derived(f"{kind}, one of {line}s", which)._recordings
        found = outputs_of(own, (directions, *args))
    across, along = (pattern.columns, pattern.rows) if pattern.by_rows else (pattern.rows, pattern.columns)
    values = found[across, pattern.sweeps[along], None]
    return values if np.isfinite(values).all() else None


def outputs_of(recordings: Recordings, args: tuple[Any, ...]) -> Vector:
    """Return the numbers of the results of all samples: a row for each number."""
    found = recordings.replayed("map", args)
    outputs: Vector
    outputs = recordings.evaluate(recordings.read(args, {}), None).outputs if found is None else found[0]
    return outputs


def _inputs_of(args: tuple[Any, ...], positions: Sequence[int], single: bool, kind: str) -> Structure:
    return joined([flatten(args[k], f"{kind}: argument {k}")[1] for k in positions], single)


def _refuse_batches(recordings: Recordings, positions: Sequence[int], kind: str) -> None:
    for position in positions:
        if recordings.is_batch(position):
            raise ValueError(
                f"{kind}: {recordings.names[position]}: expected an argument that is the same for all samples, got a "
                "batch; compile the function without batched, and call it for each sample"
            )


# --- the functions that are recorded ---


def _column(f: Function, argnums: Argnums) -> Function:
    """Return a function that computes the Jacobian times a direction."""

    def column_of_jacobian(direction: Any, *args: Any) -> Any:
        return transforms.jvp(f, args, *_tangents(direction, args, argnums))[1]

    return column_of_jacobian


def _row(f: Function, argnums: Argnums) -> Function:
    """Return a function that computes a direction times the Jacobian."""

    def row_of_jacobian(direction: Any, *args: Any) -> Any:
        def weighted(*args: Any) -> Any:
            return dot(list(direction), flatten(f(*args), "the result of the function")[0])

        return transforms.grad(weighted, argnums)(*args)

    return row_of_jacobian


def _column_of_hessian(f: Function, argnums: Argnums) -> Function:
    """Return a function that computes the Hessian times a direction."""

    def column_of_hessian(direction: Any, *args: Any) -> Any:
        return transforms.hvp(f, args, *_tangents(direction, args, argnums))

    return column_of_hessian


def _product(f: Function, argnums: Argnums) -> Function:
    """Return a function that computes the Hessian times directions: a tuple, before the arguments."""

    def product_of_hessian(directions: Any, *args: Any) -> Any:
        return transforms.hvp(f, args, directions, argnums)

    signature = inspect.signature(f)
    name = "directions"
    while name in signature.parameters:
        name += "_"
    first = inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY)
    product_of_hessian.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[first, *signature.parameters.values()]
    )
    return product_of_hessian


def _along(f: Function, argnums: Argnums) -> Function:
    """Return a function that computes the result and its derivative in directions, which come before the arguments."""

    def along(*given: Any) -> Any:
        count = len(argnums)  # type: ignore[arg-type]
        return transforms.jvp(f, given[count:], given[:count], argnums)

    kind = inspect.Parameter.POSITIONAL_ONLY
    first = [inspect.Parameter(tangent_name(k), kind) for k in argnums]  # type: ignore[union-attr]
    along.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*first, *inspect.signature(f).parameters.values()]
    )
    return along


def tangent_name(position: int) -> str:
    """Return the name for the direction of an argument."""
    return f"_tangent_of_argument_{position}"


def _block(f: Function, argnums: Argnums, by_columns: bool) -> Function:
    """Return a function that computes the Jacobian as an array, with a row for each number of the result."""

    @functools.wraps(f)
    def block_of_f(*args: Any) -> Any:
        flat = functools.wraps(f)(lambda *given: flatten(f(*given), "the result of the function")[0])
        rows = (jacfwd if by_columns else transforms.jacobian)(flat, argnums)(*args)
        return [flatten(row, "jacobian")[0] for row in rows]

    return block_of_f


def _by_position(f: Function, argnums: Argnums) -> Function:
    """Return a function that computes the gradients with respect to several arguments as a dict."""

    @functools.wraps(f)
    def gradients_of_f(*args: Any) -> dict[str, Any]:
        return {str(k): x for k, x in enumerate(transforms.grad(f, argnums)(*args))}

    return gradients_of_f


def _tangents(direction: Any, args: tuple[Any, ...], argnums: Argnums) -> tuple[Any, tuple[int, ...]]:
    """Return the numbers of a direction in the structure of arguments, and the positions of these."""
    positions, _ = positions_of(argnums, len(args), "tangents")
    return joined([flatten(args[k], "tangents")[1] for k in positions]).rebuild(list(direction)), positions


#: The results of derived functions, and what makes each. A sweep has the direction as its first argument: a batch, if
#: it is one of several.
DERIVED: dict[str, Callable[[Function, Argnums], Function]] = {
    "gradient": transforms.grad,
    "gradients by position": _by_position,
    "product": _product,
    "jvp": _along,
    "jacobian by rows": transforms.jacobian,
    "jacobian by columns": jacfwd,
    "row of jacobian": _row,
    "column of jacobian": _column,
    "jacobian, one of rows": _row,
    "jacobian, one of columns": _column,
    "block by rows": functools.partial(_block, by_columns=False),
    "block by columns": functools.partial(_block, by_columns=True),
    "hessian by rows": transforms.hessian,
    "column of hessian": _column_of_hessian,
    "hessian, one of columns": _column_of_hessian,
}
#: The names of sweeps for each kind of matrix.
SWEEPS = {
    kind: [name for name in DERIVED if name.endswith(f" of {kind}") or name.startswith(f"{kind}, ")]
    for kind in ("jacobian", "hessian")
}


# --- directions ---


def _is_finite(product: Any) -> bool:
    numbers = product if isinstance(product, np.ndarray) else numbers_in(product, "the product")
    return bool(np.isfinite(numbers).all())


def _direction(primal: Any, tangent: Any) -> Vector:
    """Return the numbers of a direction; raise a ValueError unless it has the structure of the argument.

    Lists, tuples and arrays are taken for each other, and dicts may be in another order.
    """
    check_unmasked(tangent, "tangents")
    if isinstance(tangent, np.ndarray) and isinstance(primal, np.ndarray) and tangent.shape == primal.shape:
        return np.asarray(tangent, dtype=np.float64).ravel()
    if _is_list_of_floats(tangent) and _is_list_of_floats(primal) and len(tangent) == len(primal):
        return np.array(tangent)
    given, wanted = _by_place(tangent, "tangents"), _by_place(primal, "primals")
    different = sorted(wanted.keys() ^ given.keys())
    if different:
        got = "no number" if different[0] in wanted else "a number"
        raise ValueError(f"tangents: expected the structure of the argument, got {got} at tangent{different[0]}")
    return np.array([float(given[place]) for place in wanted])


def _by_place(tree: Any, where: str) -> dict[str, Any]:
    """Return each number by its place: `"['w'][0][1]"`, in an array too."""
    numbers, structure = flatten(tree, where)
    places = [
        path + "".join(f"[{k}]" for k in indices)
        for path, shape in zip(structure.paths, structure.shapes)
        for indices in itertools.product(*map(range, shape or ()))
    ]
    return dict(zip(places, numbers))


def _is_list_of_floats(x: Any) -> bool:
    return type(x) is list and set(map(type, x)) == {float}


def _directions(primal: Any, tangent: Any) -> list[Vector]:
    """Return the numbers of a direction for each sample of a batch: an array with one number per sample for each."""
    check_unmasked(tangent, "tangents")
    wanted = np.shape(table_as_array(primal, "primals") if is_table(primal) else primal)
    array = np.asarray(table_as_array(tangent, "tangents") if is_table(tangent) else tangent, dtype=np.float64)
    if array.shape != wanted:
        raise ValueError(f"tangents: expected an array of shape {wanted}, as the argument has, got {array.shape}")
    return list(array.reshape(len(array), -1).T)
