"""A report on the agreement of all ways to compute: run `python tests/agreement_report.py` in the repository root.

Without options it checks the matrix, and prints the number of cells and the documented errors. With
`--expressions 100000 --mixed 20000 --seed 0` it checks random programs as well, each on a few ways in turn. It prints
counts, time, and the source of every program for which some way gives a wrong number.
"""

from __future__ import annotations

import argparse
import collections
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from agreement_fit import FITTED, SETTINGS, fit_outcome
from agreement_matrix import ROWS, applies, cells
from agreement_random import expression_program, mixed_program
from agreement_truth import Case, EagerTruth, Program, Refusal, Truth, difference, outcome
from agreement_ways import WAYS
from hypothesis import HealthCheck, Phase, given, seed, settings

import microgrud
from microgrud.testing import expressions

#: One in this many programs also compares the engine's own derivatives, to which other ways are held, with mpmath's.
_EXACT = 5


def said_of(name: str, program: Program) -> str:
    """Return an error of a cell in words; exceptions that are not documented count."""
    try:
        return outcome(name, WAYS[name].run, Case(program))
    except Exception:
        return traceback.format_exc()


def said_of_fit(name: str, setting: Any) -> str:
    """Return an error of `fit` under a setting in words; exceptions that are not documented count."""
    try:
        return fit_outcome(FITTED[name], setting)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def wrong_truth(program: Program) -> str:
    """Compare the engine's derivatives with those of mpmath; return the difference in words."""
    point = program.points[0]
    engine, true = EagerTruth(program, point, program.leaves), Truth(program, point, program.leaves)
    return difference([*engine.values, *engine.gradient], [*true.values, *true.gradient])


def disagreements(program: Program, number: int, ways: int) -> Iterator[tuple[str, str]]:
    """Try a random program on some ways, which rotate with its number; yield those that differ, with the difference."""
    if number % _EXACT == 0:
        said = wrong_truth(program)
        if said:
            yield "the engine against mpmath", said
    names = [name for name, way in WAYS.items() if applies(way, program)]
    for k in range(ways):
        name = names[(number * ways + k) % len(names)]
        said = said_of(name, program)
        if said:
            yield name, said


def random_expressions(count: int, number: int) -> list[Program]:
    """Draw programs of the strategy `expressions`; the same ones for the same number."""
    drawn: list[Program] = []

    @seed(number)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), derandomize=False,
    )  # fmt: skip
    @given(expressions())
    def draw(expression: Any) -> None:
        drawn.append(expression_program(expression))

    draw()
    return drawn


def all_expressions(count: int, number: int) -> Iterator[Program]:
    """Draw a number of programs, a thousand at a time."""
    for batch in range(0, count, 1000):
        yield from random_expressions(min(1000, count - batch), number * 1_000_003 + batch)


def all_mixed(count: int, number: int) -> Iterator[Program]:
    """Draw a number of programs of mixed kinds of Python code."""
    return (mixed_program(f"{number} {k}") for k in range(count))


# --- printing -------------------------------------------------------------------------------------------------------


def report_matrix() -> int:
    """Check the matrix; return the number of wrong cells."""
    start, wrong, pairs = time.perf_counter(), 0, cells()
    refused: collections.Counter[tuple[str, str]] = collections.Counter()
    for way, program in pairs:
        said = said_of(way.name, program)
        if said:
            wrong += 1
            print(f"WRONG {way.name} - {program.name}: {said}")
        elif (refusal := refused_by(way.name, program)) is not None:
            refused[program.name, refusal.reason] += 1
    for name in FITTED:
        for setting in SETTINGS:
            said = said_of_fit(name, setting)
            wrong += bool(said)
            if said:
                print(f"WRONG fit(compile={setting!r}) - {name}: {said}")
    count = len(pairs) + len(FITTED) * len(SETTINGS)
    print(f"{count} cells on the engine in {microgrud.backend}: {wrong} wrong, {time.perf_counter() - start:.0f} s")
    print(f"documented errors, in {sum(refused.values())} cells:")
    documented = {(p.name, r.reason) for p in ROWS for r in p.refused.values()}
    for (name, reason), number in [*refused.items(), *[(entry, 0) for entry in sorted(documented - refused.keys())]]:
        print(f"  {number:4d} {name}: {reason}")
    return wrong


def refused_by(name: str, program: Program) -> Refusal | None:
    """Return the documented error if a correct cell raises it instead of giving a number."""
    refusal = program.refusal(name)
    if refusal is None:
        return None
    try:
        collections.deque(WAYS[name].run(Case(program)), maxlen=0)
    except refusal.error:
        return refusal
    return None


def report_random(kind: str, programs: Iterable[Program], ways: int) -> int:
    """Try random programs; return the number of those that are wrong for some way."""
    start, wrong, count = time.perf_counter(), 0, 0
    by_way: collections.Counter[str] = collections.Counter()
    for number, program in enumerate(programs):
        count += 1
        found = list(disagreements(program, number, ways))
        wrong += bool(found)
        for name, said in found:
            by_way[name] += 1
            if by_way[name] <= 2:
                print(f"WRONG {kind} {number} - {name}: {said}\n{program.source}\n", flush=True)
    seconds = time.perf_counter() - start
    print(f"{count} {kind}, each on {ways} of {len(WAYS)} ways: {wrong} with another number, {seconds:.0f} s")
    for name, number in by_way.most_common():
        print(f"  {number:5d} {name}")
    return wrong


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expressions", type=int, default=0, help="random programs of the strategy `expressions`")
    parser.add_argument("--mixed", type=int, default=0, help="random programs that mix kinds of Python")
    parser.add_argument("--seed", type=int, default=0, help="where drawing starts")
    parser.add_argument("--ways", type=int, default=6, help="how many ways each random program is tried on")
    given = parser.parse_args(arguments)
    wrong = report_matrix() if not given.expressions and not given.mixed else 0
    if given.expressions:
        wrong += report_random("expressions", all_expressions(given.expressions, given.seed), given.ways)
    if given.mixed:
        wrong += report_random("mixed programs", all_mixed(given.mixed, given.seed), given.ways)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
