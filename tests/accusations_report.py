"""A long test that no right gradient is called wrong: `python tests/accusations_report.py` in the repository's root.

It draws 100,000 right gradients (`--count`, `--seed`), checks each, and prints the verdicts by library and method, and
the source of each gradient that is called wrong or unstable. Then it plants an error into some of them (`--planted`),
and prints the number of errors found: a checker that finds nothing would be useless.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import math
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence

from right_gradients import RightGradient, right_gradients

from microgrud.testing import GradientError, GradientReport, check_gradients

#: Errors to plant.
ERRORS: dict[str, Callable[[float], float]] = {
    "times 1 + 1e-4": lambda slope: slope * (1.0 + 1e-4),
    "twice": lambda slope: 2.0 * slope,
    "of the wrong sign": lambda slope: -slope,
    "missing": lambda slope: 0.0,
}


def report_of(case: RightGradient, change: Callable[[float], float] = float) -> GradientReport | None:
    """Check one gradient; return None if the method is not available.

    Raises:
        GradientError: if the check ends without a report, for example since forward and reverse mode disagree.
    """
    try:
        return check_gradients(case.function, *case.arguments, grad=case.gradient(change), method=case.method)
    except GradientError as error:
        if error.report is None:
            raise
        return error.report
    except ValueError as error:
        if "is not available for" in str(error):
            return None
        raise


def is_ordinary(case: RightGradient) -> bool:
    """Return whether differences keep their digits for numbers of these sizes."""
    return all(1e-6 < abs(x) < 1e6 for x in (*case.point, *case.slopes))


def report_right(cases: Iterable[RightGradient]) -> int:
    """Check right gradients; return the number of those that are called wrong."""
    start, accused, count = time.perf_counter(), 0, 0
    kinds: collections.Counter[tuple[str, str, str]] = collections.Counter()
    for case in cases:
        count += 1
        try:
            report = report_of(case)
        except Exception as error:  # the gradient is right, so that any error is a mistake of the checker
            accused += 1
            print(f"ACCUSED {case}\n{type(error).__name__}: {error}\n", flush=True)
            continue
        if report is None:
            kinds[case.library, case.method, "not available"] += 1
            continue
        kinds.update((case.library, report.method, verdict.kind) for verdict in report.verdicts)
        if report.failures:
            accused += 1
            print(f"ACCUSED {case}\n{report}\n", flush=True)
    seconds = time.perf_counter() - start
    print(f"{count} right gradients: {accused} accused, {seconds:.0f} s, {count / seconds:.0f} a second")
    for (library, method, kind), number in sorted(kinds.items()):
        print(f"  {number:7d} {library:12s} {method:18s} {kind}")
    return accused


def report_planted(cases: Iterable[RightGradient], seed: int) -> None:
    """Check wrong gradients, and print the number of those that are caught."""
    rng = random.Random(seed)
    kinds: collections.Counter[tuple[str, bool, str]] = collections.Counter()
    for case in cases:
        name = rng.choice(tuple(ERRORS))
        changed = [ERRORS[name](slope) for slope in case.slopes]
        if case.library == "values" or not all(map(math.isfinite, changed)) or changed == list(case.slopes):
            continue
        report = report_of(case, ERRORS[name])
        if report is not None:
            result = "caught" if report.failures else "undecided" if report.undecided else "called right"
            kinds[name, is_ordinary(case), result] += 1
    print("planted errors:")
    for (name, ordinary, result), number in sorted(kinds.items()):
        print(f"  {number:7d} {name:18s} {'ordinary' if ordinary else 'extreme':9s} {result}")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="right gradients to check")
    parser.add_argument("--planted", type=int, default=5_000, help="wrong gradients to check")
    parser.add_argument("--seed", type=int, default=0, help="seed for the random gradients")
    options = parser.parse_args(arguments)
    accused = report_right(itertools.islice(right_gradients(options.seed), options.count))
    report_planted(itertools.islice(right_gradients(options.seed + 1), options.planted), options.seed)
    return int(accused > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
