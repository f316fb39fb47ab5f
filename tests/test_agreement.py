"""A matrix of ways to compute and programs: all ways must give the same numbers.

The columns are in agreement_ways.py and agreement_compiled.py; the rows in agreement_operations.py (operations),
agreement_losses.py (losses), agreement_programs.py, agreement_objects.py, agreement_nested.py and agreement_special.py
(kinds of Python), and agreement_fit.py (training). To add a way or a program, add one entry there. A run tests half of
the cells, and on the other engine the other half; with AGREEMENT=all in the environment it tests all. `make test` tests
a tenth of them.
`python tests/agreement_report.py` counts them, lists the documented errors, and tries more random programs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import mpmath
import pytest
from agreement_compiled import by_value_and_grad
from agreement_fit import FITTED, SETTINGS, fit_outcome
from agreement_matrix import ROWS, applies, ways_of
from agreement_random import mixed_program
from agreement_report import all_expressions, disagreements, said_of
from agreement_truth import Case, EagerTruth, Finding, Program, disagreement, outcome, slopes_by_differences
from agreement_ways import WAYS

import microgrud

slow_matrix = pytest.mark.slow("10,000 cells on each engine; of each program, a tenth are not slow")
slow_seeds = pytest.mark.slow("seconds a seed; two seeds are not slow")
SEEDS = [0, 1, *(pytest.param(seed, marks=slow_seeds) for seed in range(2, 10))]
#: Programs that divide and round, or format, the numbers that they get.
NEED_MPMATH_1_4 = {"operation: floor_divide", "text"}


@pytest.mark.parametrize("share", ["a tenth", pytest.param("the rest", marks=slow_matrix)])
@pytest.mark.parametrize("program", ROWS, ids=lambda program: program.name)
def test_every_way_gives_the_numbers_of_the_program(program: Program, share: str) -> None:
    if program.name in NEED_MPMATH_1_4 and not hasattr(mpmath.mpf, "__floordiv__"):
        pytest.skip("the truth by mpmath needs its version 1.4; onnxruntime for Python 3.10 brings an older one")
    ways = ways_of(program)
    count = len(ways) // 10 + 1
    ways = ways[:count] if share == "a tenth" else ways[count:]
    wrong = [f"{way.name}: {said}" for way in ways if (said := said_of(way.name, program))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", FITTED)
def test_fit_descends_along_the_gradient_of_the_program(name: str, setting: Any) -> None:
    assert fit_outcome(FITTED[name], setting) == ""


# --- random programs ------------------------------------------------------------------------------------------------


def wrong(programs: Iterable[Program], ways: int) -> Iterator[str]:
    """Yield the ways that give a wrong number for a random program, with its source."""
    for number, program in enumerate(programs):
        for name, said in disagreements(program, number, ways):
            yield f"{name}: {said}\n{program.source}"


@pytest.mark.parametrize("seed", SEEDS)
def test_random_expressions_have_one_meaning(seed: int) -> None:
    for found in wrong(all_expressions(60, seed), ways=6):
        pytest.fail(found, pytrace=False)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_programs_of_mixed_python_have_one_meaning(seed: int) -> None:
    for found in wrong((mixed_program(f"gate {seed} {k}") for k in range(50)), ways=8):
        pytest.fail(found, pytrace=False)


# --- checks of the matrix -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", [p for p in ROWS if not p.exact and "*" not in p.refused], ids=lambda p: p.name)
def test_the_truth_by_the_engine_agrees_with_differences(program: Program) -> None:
    truth = EagerTruth(program, program.points[0], program.leaves)
    found = list(itertools.chain(*truth.jacobian))
    assert found == pytest.approx(list(itertools.chain(*slopes_by_differences(truth))), rel=1e-5, abs=1e-5)


def test_a_way_that_is_off_by_one_part_in_a_million_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    program = next(p for p in ROWS if p.name == "closure over leaves")
    assert disagreement(by_value_and_grad, Case(program)) == ""
    right = microgrud.tape.compiled.Compiled.value_and_grad

    def slightly_wrong(self: Any, *args: Any, **settings: Any) -> Any:
        value, slopes = right(self, *args, **settings)
        return value, tuple(slope * (1.0 + 1e-6) for slope in slopes)

    monkeypatch.setattr(microgrud.tape.compiled.Compiled, "value_and_grad", slightly_wrong)
    assert "is right" in disagreement(by_value_and_grad, Case(program))


def test_a_documented_error_that_does_not_say_what_to_write_is_noticed() -> None:
    def refuse(case: Case) -> Iterator[Finding]:
        raise microgrud.CompileError("no")
        yield

    program = next(p for p in ROWS if p.name == "text")
    assert outcome("compile, replay", refuse, Case(program)).startswith("the message does not say")
    with pytest.raises(microgrud.CompileError):
        outcome("backward", refuse, Case(program))


def test_every_row_has_its_own_name_and_every_way_applies_to_some() -> None:
    assert len({program.name for program in ROWS}) == len(ROWS)
    assert all(any(applies(way, program) for program in ROWS) for way in WAYS.values())
