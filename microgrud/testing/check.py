"""`check_gradients`: a check that a gradient is the derivative of its function."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..engine import Value
from ..engine.vectors import ieee_arithmetic, restored
from .claims import GivenClaim, OwnClaim
from .definitions import check_definitions
from .report import GradientError, GradientReport, shown_point
from .subject import Subject, make_subject, places
from .truths import METHODS, choose_truth, deviation_from_floats
from .verdicts import Judge, Question, Verdict


def check_gradients(
    f: Callable[..., Any],
    *point: Any,
    grad: Callable[..., Any] | None = None,
    order: int = 1,
    rtol: float = 1e-7,
    atol: float = 0.0,
    method: str = "auto",
    argnums: int | tuple[int, ...] | None = None,
    parameters: Sequence[Value] = (),
    strict: bool = False,
) -> GradientReport:
    """Check that a gradient is the derivative of its function at a point, and raise `GradientError` if it is not.

    The true derivative (the truth) is computed without differentiating any code: at 50 digits if the function takes
    mpmath numbers (functions of microgrud's operations and of Python's operators do) or Values, otherwise by the
    complex step or by extrapolated differences of floats. A gradient that is off by nothing but rounding is not called
    wrong. An entry whose truth is not known well enough is neither right nor wrong: it is `undecided` in the report.

    Args:
        f: a function of Values, whose gradient is microgrud's; or, with `grad`, a function of floats, sequences, NumPy
            arrays or double-precision tensors. It returns a number, or a structure of numbers.
        point: the arguments of the call.
        grad: the gradient under test: a function of the same arguments that returns the derivatives in their structure
            (a tuple for several arguments; if `f` has several results, one such structure in the place of each).
        order: the number of differentiations; 2 and above check that gradients of gradients are right.
        rtol: the relative error to allow.
        atol: the absolute error to allow.
        method: the source of the truth: `"mpmath"`, `"graph"`, `"complex step"` or `"differences"`; `"auto"` for the
            best one that the function allows.
        argnums: the positions of the arguments to differentiate with respect to; all of them by default.
        parameters: leaves in the closure of a function of Values, to differentiate with respect to as well, such as
            those of a model.
        strict: whether a kink, where there is no derivative but only subgradients, is an error.

    Returns:
        A report, true in a condition if every entry is right: `assert check_gradients(...)` also fails for undecided
        entries, while the call alone raises only if an entry is wrong.

    Raises:
        GradientError: if an entry is wrong or unstable; if forward and reverse mode disagree; if the function or the
            gradient returns other bits when it is called again.
        TypeError, ValueError: for invalid arguments.

    >>> from microgrud import tanh
    >>> print(check_gradients(lambda x, y: tanh(x) * y, 0.5, 2.0))
    the gradient of <lambda> is right in 2 of 2 entries (mpmath)
    >>> print(check_gradients(lambda x: x**3, 2.0, grad=lambda x: 3 * x))
    Traceback (most recent call last):
        ...
    microgrud.testing.report.GradientError: the gradient of <lambda> is wrong in 1 of 1 entries
      at x = 2.0
    <BLANKLINE>
      d f / d x
        claimed  6.0
        true     12.0  (mpmath, 50 digits)
        off by   0.5 of the truth, 3.38e+15 units in the last place
        it is half the truth
    """
    __tracebackhide__ = True
    return run_check(f, point, Options(grad, order, rtol, atol, method, argnums, parameters, strict))


@dataclass(frozen=True)
class Options:
    """The options of `check_gradients`.

    Raises:
        TypeError, ValueError: for options that are invalid for any function and point.
    """

    grad: Callable[..., Any] | None = None
    order: int = 1
    rtol: float = 1e-7
    atol: float = 0.0
    method: str = "auto"
    argnums: int | tuple[int, ...] | None = None
    parameters: Sequence[Value] = ()
    strict: bool = False

    def __post_init__(self) -> None:
        order, grad = self.order, self.grad
        if isinstance(order, bool) or not isinstance(order, int) or order < 1:
            raise ValueError(f"check_gradients: order: expected an integer of at least 1, got {order!r}")
        if grad is not None and not callable(grad):
            raise TypeError(f"check_gradients: grad: expected a function, got an object of type {type(grad).__name__}")
        if grad is not None and order > 1:
            raise ValueError(
                f"check_gradients: order: expected 1 with grad, got {order}; to check the second derivatives, pass the "
                "gradient as the function, and the Hessian as grad"
            )
        if grad is not None and self.parameters:
            raise ValueError(
                "check_gradients: parameters: expected none with grad; make them arguments of the function and of grad"
            )
        for name, tolerance in (("rtol", self.rtol), ("atol", self.atol)):
            if not isinstance(tolerance, (int, float)) or not tolerance >= 0.0:
                raise ValueError(f"check_gradients: {name}: expected a number of at least 0, got {tolerance!r}")
        if self.method not in METHODS:
            raise ValueError(f"check_gradients: method: expected one of {', '.join(METHODS)}, got {self.method!r}")

    def claim(self, subject: Subject, order: int) -> OwnClaim | GivenClaim:
        """Return the derivatives under test."""
        return OwnClaim(subject, order) if self.grad is None else GivenClaim(subject, self.grad)


def run_check(
    f: Callable[..., Any], point: tuple[Any, ...], options: Options, to_first_failure: bool = False
) -> GradientReport:
    """Check as `check_gradients` does, on request only up to the first failure.

    Raises:
        GradientError: as `check_gradients` does.
    """
    __tracebackhide__ = True
    subject = make_subject(f, point, options.argnums, options.parameters)
    with restored(subject.parameters, data=True), ieee_arithmetic():  # points tried near a pole may overflow
        for order in range(1, options.order + 1):
            report = _check(options.claim(subject, order), order, options, to_first_failure)
            if report.failures:
                raise GradientError(str(report), report)
    return report


def call_function(f: Callable[..., Any], point: tuple[Any, ...], options: Options) -> None:
    """Call the function at the point as a check does, to separate its errors from those of `grad`.

    Raises:
        Exception: any error of the function.
    """
    subject = make_subject(f, point, options.argnums, options.parameters)
    with restored(subject.parameters, data=True), ieee_arithmetic():
        options.claim(subject, 1).values(subject.point)


def _check(claim: OwnClaim | GivenClaim, order: int, options: Options, to_first_failure: bool) -> GradientReport:
    __tracebackhide__ = True
    subject, point = claim.subject, claim.subject.point
    shown = shown_point(subject.inputs, point)
    values, rows = claim.values(point), claim.rows(point)
    _check_determinism(claim, values, rows, shown)
    if isinstance(claim, OwnClaim):
        check_definitions(claim.record(point)[1])
    deviation = deviation_from_floats(claim, point, values) if isinstance(claim, OwnClaim) else None
    if deviation:
        raise GradientError(
            f"{subject.name} computes something else from Values than from floats\n  at {shown}, or nearby\n"
            f"  {deviation}\n  the gradient is the derivative of the function of Values: let it compute the same from "
            "both"
        )
    disagreement = claim.disagreement(point)
    if disagreement:
        raise GradientError(f"forward and reverse mode of {subject.name} disagree\n  at {shown}\n  {disagreement}")
    truth = choose_truth(claim, point, options.method)
    if order > 1 and not truth.is_exact:
        raise ValueError(
            f"check_gradients: order: expected 1 for {subject.name}, got {order}: higher orders need a truth at 50 "
            f"digits, and here it comes from {truth.method}; pass definition= to custom_op for operations of your own"
        )
    judge = Judge(claim, truth, options.rtol, options.atol, options.strict)
    outputs = places(claim.output_structure(point), "")
    verdicts: list[Verdict] = []
    for entry, indices in enumerate(itertools.product(range(len(point)), repeat=order)):
        inputs = tuple(subject.inputs[i] for i in indices)
        for output, name in enumerate(outputs):
            question = Question(output, indices, entry, values[output], rows[output][entry])
            verdicts.append(judge.verdict(question, name, inputs))
            if to_first_failure and verdicts[-1].is_failure:
                return GradientReport(subject.name, shown, order, truth.method, verdicts)
    report = GradientReport(subject.name, shown, order, truth.method, verdicts)
    if report.failures:
        return dataclasses.replace(report, blamed=claim.blame(point, options.rtol))
    return report


def _check_determinism(
    claim: OwnClaim | GivenClaim, values: Sequence[float], rows: Sequence[Sequence[float]], shown: str
) -> None:
    __tracebackhide__ = True
    again, rows_again = claim.values(claim.subject.point), claim.rows(claim.subject.point)
    for subject, first, second in (("", [values], [again]), ("the gradient of ", rows, rows_again)):
        if [[x.hex() for x in row] for row in first] != [[x.hex() for x in row] for row in second]:
            raise GradientError(
                f"{subject}{claim.subject.name} returns other bits when it is called again\n  at {shown}\n"
                f"  first    {first}\n  then     {second}\n  to be checked, it must return the same for the same "
                "arguments: seed random numbers inside it, and keep no state between calls, such as a running sum"
            )
