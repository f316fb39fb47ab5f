"""One meaning, however it is computed: a matrix of ways by programs, in which no number may differ.

The columns are in agreement_ways.py and agreement_compiled.py, the rows in agreement_operations.py,
agreement_programs.py and agreement_special.py; whoever adds one adds an entry there. `python tests/agreement_report.py`
counts the cells, and lists the documented errors.
"""

from __future__ import annotations

import pytest
from agreement_matrix import cells
from agreement_truth import Case, Program, outcome
from agreement_ways import Way


@pytest.mark.parametrize(("way", "program"), [pytest.param(w, p, id=f"{w.name}-{p.name}") for w, p in cells()])
def test_a_way_gives_the_numbers_of_the_program(way: Way, program: Program) -> None:
    assert outcome(way.name, way.run, Case(program)) == ""
