"""The page on NumPy: each row that works has right derivatives; each other raises, and its replacement is right."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from microgrud import CompileError, compile, grad
from microgrud.testing import check_gradients

PAGE = (Path(__file__).parents[1] / "docs" / "numpy.md").read_text("utf-8")
ROWS = [re.findall(r"`([^`]*)`", line) for line in PAGE.splitlines() if line.startswith("| `")]
WORKS = [row[0] for row in ROWS if len(row) == 1]
INSTEAD = [row for row in ROWS if len(row) == 2]
NAMES: dict[str, Any] = {"np": np, "pd": pd}
for example in doctest.DocTestParser().get_examples(PAGE):
    exec(example.source, NAMES)

MATRIX = np.array([[0.9, 0.35, 0.2], [0.25, 0.7, 0.41], [0.15, 0.55, 0.62]])
VECTOR = np.array([0.75, 0.5625, 0.4375])


def function(source: str) -> Any:
    return lambda a, x: eval(source, {**NAMES, "a": a, "x": x})


def check(source: str, f: Any) -> None:
    check_gradients(f, MATRIX, VECTOR)
    recorded = compile(f)
    assert recorded(MATRIX, VECTOR) == pytest.approx(float(f(MATRIX, VECTOR)), rel=1e-13)
    for own, eager in zip(
        recorded.value_and_grad(MATRIX, VECTOR, argnums=(0, 1))[1], grad(f, argnums=(0, 1))(MATRIX, VECTOR)
    ):
        assert own == pytest.approx(eager, rel=1e-12)


def test_the_page_has_both_kinds_of_rows() -> None:
    assert len(WORKS) > 6
    assert len(INSTEAD) > 6


@pytest.mark.parametrize("source", WORKS)
def test_these_functions_of_arrays_are_differentiable(source: str) -> None:
    if "einsum" in source and np.lib.NumpyVersion(np.__version__) < "1.25.0":
        pytest.skip("np.einsum takes no objects before NumPy 1.25")
    check(source, function(source))


@pytest.mark.parametrize(("source", "replacement"), INSTEAD, ids=[row[0] for row in INSTEAD])
def test_what_raises_has_a_replacement(source: str, replacement: str) -> None:
    f, g = function(source), function(replacement)
    for transform in (grad(f, argnums=(0, 1)), compile(f)):
        with pytest.raises((TypeError, CompileError)):
            transform(MATRIX, VECTOR)
    assert g(MATRIX, VECTOR) == pytest.approx(f(MATRIX, VECTOR), rel=1e-13)
    check(replacement, g)
