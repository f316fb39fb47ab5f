"""The benchmark of tables: the list is fixed, and a rival is scored on the rows that it has not seen."""

from __future__ import annotations

import math

import pytest

import microgrud
from benchmarks.tables.__main__ import RIVALS, behind_linear, gap, measure, ranks, row
from benchmarks.tables.sources import TABLES

SOURCES = {source.name: source for source in TABLES}


def test_each_table_is_listed_once_and_the_halves_are_fixed() -> None:
    assert len(SOURCES) == len(TABLES) == 50
    assert sum(source.half == "tuning" for source in TABLES) == 25
    assert [SOURCES[name].half for name in ("tips", "titanic", "diamonds", "wine")] == [
        "tuning", "final", "final", "tuning"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "digits", "diabetes"])
def test_the_tables_of_scikit_learn_have_their_targets(name: str) -> None:
    assert SOURCES[name].target in SOURCES[name].load().columns


@pytest.mark.parametrize(("name", "least"), [("wine", 0.9), ("diabetes", 0.3)])
def test_a_rival_is_scored_on_rows_that_it_has_not_seen(name: str, least: float) -> None:
    first, again = (measure(SOURCES[name], "linear", seed=0) for _ in range(2))
    assert least < first["score"] < 1.001
    assert first["score"] == again["score"]


@pytest.mark.slow("8 s: it trains by the command line")
@pytest.mark.skipif(microgrud.backend == "python", reason="the engine in Python takes minutes")
def test_the_command_line_is_scored_as_a_user_calls_it() -> None:
    assert measure(SOURCES["wine"], "microgrud", seed=0)["score"] > 0.9


def test_a_refusal_is_the_last_rank() -> None:
    runs = {rival: [{"score": 0.1 * k, "seconds": 1.0}] for k, rival in enumerate(RIVALS, 1)}
    found = {**runs, "microgrud": [{"refusal": "error: the cell is missing"}]}
    assert ranks({"a": found})["microgrud"] == len(RIVALS)
    assert "refused" in row("a", found)
    assert math.isclose(ranks({"a": runs})[RIVALS[-1]], 1.0)


def test_a_table_counts_as_behind_by_the_standard_error_of_the_difference_of_its_splits() -> None:
    def scores(linear: list[float], boosting: float) -> dict[str, list[dict[str, float]]]:
        runs = {"microgrud": [0.5, 0.6, 0.7], "linear": linear, "sklearn mlp": [0.0] * 3, "boosting": [boosting] * 3}
        return {rival: [{"score": score} for score in each] for rival, each in runs.items()}

    found = {"behind": scores([0.61, 0.70, 0.79], 0.8), "noise": scores([0.9, 0.6, 0.6], 0.4)}
    assert behind_linear(found) == ["behind: -0.1000, standard error 0.0058"]
    assert gap(found) == pytest.approx(((0.8 - 0.6) + 0.0) / 2)
    refused = {**found["behind"], "microgrud": [{"refusal": "error"}]}
    assert behind_linear({"refused": refused}) == []
    assert gap({**found, "refused": refused}) == gap(found)
