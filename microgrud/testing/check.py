"""`check_gradients`: is a gradient the derivative of its function?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from ..engine import Value
from .blame import blame
from .claims import GivenClaim, OwnClaim
from .report import GradientError, GradientReport, shown_point
from .slopes import Slope
from .subject import Subject, make_subject, places
from .truths import Truth, choose_truth
from .verdicts import Judge, Verdict


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

    The truth is found without differentiating any code: at 50 digits where the function takes mpmath numbers (those of
    microgrud and of Python's operators do) or Values, by the complex step or by extrapolated differences of floats
    elsewhere. A claim that merely suffers from rounding is not called wrong; one that agrees within what can be known
    is not called right if that is little: such entries are `undecided` in the report.

    Args:
        f: a function of Values, whose gradient is microgrud's; or, with `grad`, one of floats, sequences, NumPy arrays
            or double-precision tensors. It returns a number, or a structure of them.
        point: the arguments to call it with.
        grad: the gradient under test: takes the same arguments, and returns the derivatives in their structure (a tuple
            for several arguments; of a function of several results, one such structure in the place of each).
        order: how often to differentiate; 2 and above check that gradients of gradients are right.
        rtol: the relative error to allow.
        atol: the absolute error to allow.
        method: where the truth is to come from: `"mpmath"`, `"graph"`, `"complex step"`, `"differences"`; `"auto"` for
            the best that can be had.
        argnums: the positions of the arguments to differentiate by; all of them by default.
        parameters: leaves that a function of Values closes over, to differentiate by as well: those of a model, say.
        strict: whether a kink, where there is no derivative but only subgradients, is an error.

    Returns:
        A report, true in a condition: `assert check_gradients(...)` reads well, and does no harm.

    Raises:
        GradientError: if an entry is wrong or unstable; if forward and reverse mode disagree; if the function or the
            gradient gives other bits when called again.
        TypeError, ValueError: for arguments that make no sense.

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
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"check_gradients: order: expected an integer of at least 1, got {order!r}")
    if grad is not None and order > 1:
        raise ValueError(
            "check_gradients: order: expected 1 with grad; check grad itself, with the Hessian as its grad"
        )
    if grad is not None and parameters:
        raise ValueError("check_gradients: parameters: expected none with grad; make them arguments of both functions")
    subject = make_subject(f, point, argnums, parameters)
    with subject.keeping_parameters():
        for present in range(1, order + 1):
            claim = OwnClaim(subject, present) if grad is None else GivenClaim(subject, grad)
            report = _check(claim, present, rtol, atol, method, strict)
            if not report:
                raise GradientError(str(report), report)
    return report


def _check(
    claim: OwnClaim | GivenClaim, order: int, rtol: float, atol: float, method: str, strict: bool
) -> GradientReport:
    __tracebackhide__ = True
    subject, point = claim.subject, claim.subject.point
    shown = shown_point(subject.inputs, point)
    values, rows = claim.values(point), claim.rows(point)
    _check_determinism(claim, values, rows, shown)
    if isinstance(claim, OwnClaim) and order == 1:
        disagreement = claim.disagreement(point)
        if disagreement:
            raise GradientError(f"forward and reverse mode of {subject.name} disagree\n  at {shown}\n  {disagreement}")
    truth = choose_truth(claim, point, method)
    if order > 1 and truth.method not in ("mpmath", "graph in mpmath"):
        raise ValueError(
            f"check_gradients: order: expected 1 for {subject.name}, of which there is no truth at 50 digits "
            f"({truth.method})"
        )
    noise = claim.noise if isinstance(claim, OwnClaim) else lambda point: None
    judge = Judge(point, claim.rows, values, noise, rtol, atol, strict)
    _, structure = subject([*point]) if isinstance(claim, GivenClaim) else subject(claim.record(point)[0])
    outputs = places(structure, "")
    verdicts = [
        _verdict(judge, truth, subject, output, name, entry, indices, rows[output][entry])
        for entry, indices in enumerate(itertools.product(range(len(point)), repeat=order))
        for output, name in enumerate(outputs)
    ]
    report = GradientReport(subject.name, shown, order, truth.method, verdicts)
    if report or not isinstance(claim, OwnClaim):
        return report
    if order == 1:
        blamed = blame(claim.record(point)[1], rtol)
    else:
        blamed = blame([node for row in OwnClaim(subject, order - 1).differentiated(point)[1] for node in row], rtol)
    return GradientReport(subject.name, shown, order, truth.method, verdicts, blamed)


def _verdict(
    judge: Judge,
    truth: Truth,
    subject: Subject,
    output: int,
    output_name: str,
    entry: int,
    indices: Sequence[int],
    claimed: float,
) -> Verdict:
    names = tuple(subject.inputs[i] for i in indices)
    quick = truth.quick(output, judge.point, indices)
    if judge.looks_right(claimed, quick):
        return Verdict(output_name, names, claimed, Slope(quick, quick, 0.0, truth.method), "right")

    def find(at: Sequence[float]) -> Slope:
        return truth.slope(output, at, indices)

    kind, slope, reason = judge.decide(output, entry, claimed, indices, find, quick)
    return Verdict(output_name, names, claimed, slope, kind, reason)


def _check_determinism(
    claim: OwnClaim | GivenClaim, values: Sequence[float], rows: Sequence[Sequence[float]], shown: str
) -> None:
    __tracebackhide__ = True
    again, rows_again = claim.values(claim.subject.point), claim.rows(claim.subject.point)
    for what, first, second in (("", [values], [again]), ("the gradient of ", rows, rows_again)):
        if [[x.hex() for x in row] for row in first] != [[x.hex() for x in row] for row in second]:
            raise GradientError(
                f"{what}{claim.subject.name} gives other bits when it is called again\n  at {shown}\n"
                f"  first    {first}\n  then     {second}\n  a gradient can be checked where the function is one: "
                "seed what is random inside it"
            )
