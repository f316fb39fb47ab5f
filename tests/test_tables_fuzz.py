"""A sample of mangled tables on the whole command line; `python tests/tables_report.py` tries 500."""

from __future__ import annotations

from pathlib import Path

import pytest
from mangles import real_tables
from tables_checked import check

TABLES = {name: real_tables()[name] for name in ("iris", "cancer", "diabetes")}  # which are always installed


@pytest.mark.parametrize("seed", range(12))
def test_mangled_tables_are_learned_or_refused_in_lines_and_no_cell_is_read_wrong(seed: int, tmp_path: Path) -> None:
    assert check(seed, TABLES, tmp_path).faults == []
