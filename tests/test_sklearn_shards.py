"""Shards of a table: each row is in one role, by a rule that asks for its number alone."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from microgrud.sklearn import MLPClassifier, MLPRegressor, TablePreparation
from microgrud.sklearn.shards import Census, Division, Loader, Recipe, uniform
from microgrud.tables import read_table
from microgrud.tables.rowgroups import divided, survey
from microgrud.tables.target import inspect_target

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")


def test_the_numbers_of_rows_are_those_of_splitmix64() -> None:
    state, expected = int(np.random.SeedSequence((3, 1)).generate_state(1, np.uint64)[0]), []
    for _ in range(50):  # as published, in whole numbers of Python
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        expected.append(((z ^ (z >> 31)) >> 11) / 2**53)
    assert uniform(range(50), 3, 1).tolist() == expected
    assert uniform([49, 7], 3, 1).tolist() == [expected[49], expected[7]]


def test_shares_are_as_asked_and_folds_are_even_and_unrelated() -> None:
    rows, division = np.arange(200_000), Division(seed=5, test_size=0.2, folds=4)
    held_out = division.held_out(rows)
    assert held_out.mean() == pytest.approx(0.2, abs=0.004)
    folds = np.array([division.validates(rows, member) for member in range(8)])
    assert (folds[:4].sum(axis=0) == 1).all()
    assert (folds[4:].sum(axis=0) == 1).all()
    assert folds.mean(axis=1) == pytest.approx(0.25, abs=0.005)
    assert (folds[0] & folds[4]).mean() == pytest.approx(1 / 16, abs=0.003)  # divided anew
    assert (folds[0] & held_out).mean() == pytest.approx(0.05, abs=0.003)
    assert (Division(6, 0.2).held_out(rows) != held_out).any()
    assert not Division(5, 0.2, folds=0).validates(rows, 3).any()


def a_table(folder: Path) -> tuple[pd.DataFrame, str]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=300), "c": rng.choice(["a", "b", None], 300)})
    frame["y"] = np.where(frame.x + rng.normal(size=300) > 0, "yes", "no").astype(object)
    frame.loc[::50, "y"], frame.loc[1::100, "y"] = None, "perhaps"
    frame["z"] = frame.x * 3.0
    frame.to_parquet(folder / "table.parquet", row_group_size=70)
    return frame, str(folder / "table.parquet")


@pytest.mark.parametrize("target", ["y", "z"])
@pytest.mark.parametrize("complete", [(), ("c",)])
def test_each_usable_row_trains_validates_or_is_held_out_once(
    target: str, complete: tuple[str, ...], tmp_path: Path
) -> None:
    frame, path = a_table(tmp_path)
    cells = read_table(path).cells
    usable = cells[target].isin(["yes", "no"] if target == "y" else cells["z"]) & (~cells["c"].eq("") | (not complete))
    kind = inspect_target(cells.loc[usable, target], target)
    preparation = TablePreparation().fit(cells[usable].drop(columns=["y", "z"]))
    inputs, division = preparation.transform(cells), Division(0, 0.25, folds=3)
    model = (MLPClassifier if target == "y" else MLPRegressor)(max_iter=1)
    model.fit(inputs[usable], kind.values(cells.loc[usable, target]))
    classes, scale = (["no", "yes"], None) if target == "y" else (None, model.target_scale_)
    recipe = Recipe(preparation.to_json(), kind, division, complete, model.encoding_, classes, scale)
    parts = divided([survey(path)])
    census = Census.total([pickle.loads(pickle.dumps(recipe)).census(part, members=2) for part in parts])
    held_out = division.held_out(np.arange(300))
    assert census.held_out == (usable & held_out).sum()
    assert census.training == (usable & ~held_out).sum()
    assert census.incomplete == (cells["c"].eq("").sum() if complete else 0)
    kept = ~cells["c"].eq("") | (not complete)
    assert (census.missing, census.unknown) == (
        ((cells["y"].eq("") & kept).sum(), (cells["y"].eq("perhaps") & kept).sum()) if target == "y" else (0, 0)
    )
    values = kind.values(cells[target])
    expected = np.array([classes.index(v) if v in classes else -1 for v in values]) if classes else None
    for member in (0, 1):
        fold = division.validates(np.arange(300), member)
        chosen = np.asarray(usable & ~held_out & ~fold)
        loaders = [pickle.loads(pickle.dumps(Loader(recipe, part, member))) for part in parts]
        X, y = map(np.concatenate, zip(*(loader() for loader in loaders)))
        assert np.array_equal(X, model.encoding_.apply(inputs[chosen]))
        if expected is not None:
            assert y.tolist() == expected[chosen].tolist()
        else:
            assert y == pytest.approx(
                (frame.z[chosen] - model.target_scale_.mean[0]) / model.target_scale_.deviation[0]
            )
        assert census.training - census.validation[member] == len(y) > 0
