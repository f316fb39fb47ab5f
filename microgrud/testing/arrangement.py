"""The arrangement of derivatives: match the numbers in the result of a gradient to outputs and inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..autodiff.trees import Structure

Shape = tuple[int, ...]


def arranged(
    slopes: Sequence[float], structure: Structure, outputs: Structure, arguments: Sequence[Structure]
) -> list[list[float]]:
    """Put derivatives into one row for each output, in the order of the inputs.

    A gradient has the structure of the outputs, with derivatives in the place of each leaf (a number, an array): one
    structure like that of the argument, or a tuple of such structures for several arguments. Keys of dicts may be in
    another order. Lists in the place of arrays, one flat list of all numbers and the like are accepted if the number of
    numbers is right.

    Args:
        slopes: the numbers of the gradient.
        structure: the structure of the gradient.
        outputs: the structure of the function's result.
        arguments: the structures of the arguments to differentiate with respect to.

    Raises:
        ValueError: if the number of numbers, the keys or the shapes do not match.
    """
    places = [
        (output + (f"[{i}]" if len(arguments) > 1 else "") + path, output_shape or (), shape or ())
        for output, output_shape in zip(outputs.paths, outputs.shapes)
        for i, argument in enumerate(arguments)
        for path, shape in zip(argument.paths, argument.shapes)
    ]
    blocks = dict(zip(structure.paths, zip(structure.shapes, structure.split(slopes))))
    _check_keys([place for place, _, _ in places], list(blocks))
    by_place = all(place in blocks for place, _, _ in places) and len(blocks) == len(places)
    expected = sum(math.prod(output_shape) * math.prod(shape) for _, output_shape, shape in places)
    if len(slopes) != expected:
        raise ValueError(_wrong_number(len(slopes), expected, outputs, arguments))
    if not by_place:
        width = expected // outputs.size if outputs.size else 0
        return [list(slopes[start : start + width]) for start in range(0, len(slopes), width or 1)]
    for place, output_shape, shape in places:
        _check_shape(place, blocks[place][0], output_shape + shape, blocks[place][1])
    rows = []
    per_output = sum(len(argument.paths) for argument in arguments)
    for start in range(0, len(places), per_output or 1):
        own = [(blocks[place][1], math.prod(shape)) for place, _, shape in places[start : start + per_output]]
        count = len(own[0][0]) // own[0][1] if own and own[0][1] else 0
        rows += [[x for block, n in own for x in block[k * n : (k + 1) * n]] for k in range(count)]
    return rows


def _check_keys(expected: Sequence[str], got: Sequence[str]) -> None:
    """Raise if there are keys that differ from those of the arguments."""
    missing, unknown = [p for p in expected if p not in got], [p for p in got if p not in expected]
    keyed = [place for place in (*missing, *unknown) if "['" in place]
    if keyed and missing and unknown:
        raise ValueError(
            "check_gradients: grad: expected the keys of the argument, got "
            f"{', '.join(unknown[:3])} in place of {', '.join(missing[:3])}"
        )


def _check_shape(place: str, got: Shape | None, expected: Shape, block: Sequence[float]) -> None:
    """Raise for an array of another shape, unless only axes of length 1 differ."""
    if len(block) != math.prod(expected) or [n for n in got or () if n != 1] != [n for n in expected if n != 1]:
        where = f" at {place}" if place else ""
        raise ValueError(f"check_gradients: grad: expected the shape {expected}{where}, got {got or ()}")


def _wrong_number(got: int, expected: int, outputs: Structure, arguments: Sequence[Structure]) -> str:
    inputs = sum(argument.size for argument in arguments)
    of = "" if outputs.size == 1 else f" ({inputs} for each of the {outputs.size} that the function returns)"
    text = f"check_gradients: grad: expected {expected} number{'s' * (expected != 1)}{of}, got {got}"
    if len(arguments) > 1:
        sizes = " + ".join(str(argument.size) for argument in arguments)
        text += f"; there are {len(arguments)} arguments ({sizes} numbers): return a tuple, or choose some with argnums"
    return text
