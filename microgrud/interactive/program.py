"""A function of a few numbers as a program for JavaScript: a straight line of operations for each way it branches."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from typing import Any

from ..autodiff.gradients import numbers_of_gradient
from ..engine import Value
from ..engine.grad_mode import enable_grad, without_graph
from ..engine.kernels import GELU_SLOPE_ROOT, GELU_SLOPE_SERIES
from .recording import Path, ProgramError, number_of, record

#: The most ways through the branches of a function that a program may have.
_MOST_PATHS = 32
#: The points at which a program is compared with its function.
_MOST_CHECKED = 12
#: The points at which it is tried whether a program without branches has a value.
_MOST_TRIED = 300
#: The instructions that are evaluated for it, which takes a fifth of a second.
_MOST_WORK = 200_000
#: The scripts that evaluate a program.
_SCRIPTS = ("kernels.js", "operations.js")
#: Operations that the page does not compute: their algorithms need integers of any size, or tables of numbers.
REFUSED = frozenset({
    "round_digits", "polygamma", "digamma", "lgamma", "gamma", "polygamma_difference", "betaln", "beta", "bessel_i",
    "i0", "i1", "ndtri", "erfinv", "sinc", "sinc_derivative",
})  # fmt: skip


@functools.cache
def javascript() -> str:
    """Return the operations and the evaluator in JavaScript, which define `ops` and `evaluate`."""
    constants = f"var GELU_SLOPE_ROOT = {[*GELU_SLOPE_ROOT]};\nvar GELU_SLOPE_SERIES = {[*GELU_SLOPE_SERIES]};\n"
    return constants + "".join(
        resources.files(__package__).joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS
    )


@functools.cache
def javascript_of(operations: frozenset[str]) -> str:
    """Return the evaluator with some operations, and with what these need.

    >>> "ops.exp = " in javascript_of(frozenset(["exp"])), "ops.sin = " in javascript_of(frozenset(["exp"]))
    (True, False)
    """
    text, mark, evaluator = javascript().partition("// The evaluator of programs.\n")
    pieces = {}
    for piece in re.split(r"^(?=function |var |ops\.)", text, flags=re.MULTILINE):
        if found := re.match(r"(?:function |var )?([\w.]+)", piece):
            pieces[found[1]] = piece
    needed = {"ops", *(f"ops.{name}" for name in operations), *re.findall(r"\w+", evaluator)} & pieces.keys()
    waiting = list(needed)
    while waiting:
        more = {*re.findall(r"ops\.\w+|\w+", pieces[waiting.pop()])} & pieces.keys() - needed
        needed |= more
        waiting += more
    return "".join(piece for name, piece in pieces.items() if name in needed) + mark + evaluator


@functools.cache
def known_operations() -> frozenset[str]:
    """Return the names of the operations that the page computes."""
    return frozenset(re.findall(r"^ops\.(\w+) = ", javascript(), re.MULTILINE))


class Program:
    """The value and the gradient of a function, as straight-line programs that Python and JavaScript evaluate.

    Args:
        f: a function of one or more numbers that returns one number.
        arity: how many.

    Attributes:
        paths: a program for each way through the branches of the function that was met.

    >>> square = Program(lambda x: x * x if x > 0.0 else -x, 1)
    >>> square.cover([[-2.0], [3.0]])
    >>> square.evaluate([-5.0]), square.evaluate([5.0]), len(square.paths)
    ((5.0, [-1.0]), (25.0, [10.0]), 2)
    """

    def __init__(self, f: Callable[..., Any], arity: int) -> None:
        self.f, self.arity = f, arity
        self.paths: list[Path] = []
        self._branches = False

    def value(self, point: Sequence[float]) -> float:
        """Return what the function itself gives at a point: NaN where it raises an arithmetic error."""
        try:
            result = without_graph(lambda: number_of(self.f(*map(Value, point))))
        except (ValueError, ArithmeticError):
            return math.nan
        return result._data if isinstance(result, Value) else result

    def value_and_gradient(self, point: Sequence[float]) -> tuple[float, list[float]]:
        """Return the value and the gradient that the function itself gives at a point.

        Raises:
            ValueError, ArithmeticError: as the function does.
        """
        inputs = list(map(Value, point))
        with enable_grad():
            result = number_of(self.f(*inputs))
            if not isinstance(result, Value):
                return result, [0.0] * len(inputs)
            return result._data, [x + 0.0 for x in numbers_of_gradient(result, inputs)]

    def evaluate(self, point: Sequence[float]) -> tuple[float, list[float]] | None:
        """Return the value and the gradient that the program gives at a point; None if no path serves it.

        Raises:
            ValueError, ArithmeticError: as the function does.
        """
        found = (path.evaluate(point) for path in self.paths)
        return next((result for result in found if result is not None), None)

    def cover(self, points: Iterable[Sequence[float]]) -> None:
        """Record the paths of the function through these points, and compare program and function at some of them.

        Points at which the function raises an arithmetic error are left out.

        Raises:
            ProgramError: if the function takes too many ways, if its results do not depend on its inputs alone, if an
                operation exists only in Python, or if it raises at all points.
        """
        points = list(points)
        failure: Exception | None = None
        every = self._stride(len(points))
        for k, point in enumerate(points):
            if k % every:
                continue
            try:
                if self.evaluate(point) is None:
                    self._add(record(self.f, point))
                    every = self._stride(len(points))
            except (ValueError, ArithmeticError) as error:
                failure = error
                self._fail_as_well(point, error)
        errors = [path.failure for path in self.paths if path.failure is not None]
        if len(errors) == len(self.paths):
            reason = failure or errors[0][1]
            raise ProgramError(f"the function has no value at any of {len(points):,} points: {reason}") from failure
        for point in points[:: every * max(1, len(points) // every // _MOST_CHECKED)]:
            self._check(point)

    def _stride(self, count: int) -> int:
        """Return the distance between the points, among so many, at which a program is tried: 1 if it branches."""
        if not self.paths or self._branches:
            return 1
        tried = _MOST_WORK // max(1, len(self.paths[0].forward) + len(self.paths[0].backward))
        return max(1, count // max(_MOST_CHECKED, min(_MOST_TRIED, tried)))

    def _add(self, path: Path) -> None:
        unknown = {step.name for step in (*path.forward, *path.backward) if step.outcome is None} - known_operations()
        if unknown:
            raise ProgramError(
                f"{', '.join(sorted(unknown))}: this operation, or a derivative that consists of it, exists in Python "
                "only and not in a page; write the function with other operations"
            )
        self.paths.append(path)
        self._branches = self._branches or any(step.outcome is not None for step in (*path.forward, *path.backward))
        if len(self.paths) > _MOST_PATHS:
            raise ProgramError(
                f"the function takes more than {_MOST_PATHS} ways through its branches; choose by "
                "where(condition, x, y) in the place of `if`"
            )

    def _fail_as_well(self, point: Sequence[float], error: Exception) -> None:
        """Raise an error if the function has a value at a point at which a recording of it has none."""
        try:
            value, _ = self.value_and_gradient(point)
        except (ValueError, ArithmeticError):
            return
        raise ProgramError(
            f"the function has the value {value} at {tuple(point)}, where its operations raise an error: {error}; "
            "choose by where(condition, x, y) instead of catching errors"
        ) from error

    def _check(self, point: Sequence[float]) -> None:
        try:
            wanted = self.value_and_gradient(point)
        except (ValueError, ArithmeticError):
            return
        found = self.evaluate(point)
        # A replay of a compiled function inside f adds in another order than a program: last digits may differ.
        if found is None or not all(map(_near, (found[0], *found[1]), (wanted[0], *wanted[1]))):
            raise ProgramError(
                f"expected a function of its inputs alone, without random numbers or state; at {tuple(point)} it gives "
                f"{wanted}, and a recording of it {found}"
            )

    def operations(self) -> frozenset[str]:
        """Return the names of the operations of all paths."""
        return frozenset(step.name for path in self.paths for step in (*path.forward, *path.backward))

    def data(self) -> list[dict[str, Any]]:
        """Return the program for JSON, in which infinity and NaN are strings."""

        def number(x: float) -> float | str:
            return x if math.isfinite(x) else str(x).replace("inf", "Infinity").replace("nan", "NaN")

        def code(path: Path) -> list[list[Any]]:
            steps = itertools.chain(path.forward, path.backward)
            return [[s.name, *s.operands] + ([] if s.outcome is None else [int(s.outcome)]) for s in steps]

        return [
            {
                "constants": list(map(number, path.constants)),
                "code": code(path),
                "value": path.value,
                "gradient": path.gradient,
                "failure": path.failure,
            }
            for path in self.paths
        ]


def _near(x: float, y: float) -> bool:
    return math.isclose(x, y, rel_tol=1e-9) or repr(x) == repr(y)  # nan is nan


def program(f: Callable[..., Any], points: Iterable[Sequence[float]]) -> Program:
    """Return the program of a function, recorded at some points.

    Args:
        f: a function of one or more numbers that returns one number.
        points: points, of one number for each input, that lead through all branches of the function.

    Raises:
        ProgramError: if the function cannot become a program.

    >>> program(lambda x, y: x * y + y, [(1.0, 2.0)]).evaluate([3.0, 4.0])
    (16.0, [4.0, 4.0])
    """
    found = list(points)
    result = Program(f, len(found[0]))
    result.cover(found)
    return result


def name_of(f: Callable[..., Any]) -> str:
    """Return the name of a function for a picture, and "f" for one without a name.

    >>> name_of(math.exp), name_of(lambda x: x)
    ('exp', 'f')
    """
    name = getattr(f, "__name__", "")
    return name if name.isidentifier() else "f"


def names_of(f: Callable[..., Any], count: int) -> tuple[str, ...]:
    """Return the names of the first numbers that a function takes.

    >>> names_of(lambda w, b: w + b, 2), names_of(lambda *numbers: numbers[0], 2)
    (('w', 'b'), ('x', 'y'))
    """
    try:
        parameters = inspect.signature(f).parameters.values()
    except ValueError:  # a function in C that does not know
        return ("x", "y")[:count]
    names = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
    return tuple(names[:count]) if len(names) >= count else ("x", "y")[:count]
