"""A model file with any entry changed, but a valid checksum, gives one line that names file and entry."""

from __future__ import annotations

import copy
import json
import operator
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typed import QUICK, microgrud_cli, succeed

from microgrud.cli.predicting import Predictor
from microgrud.common.jsonfile import ModelFileError, checksum
from microgrud.sklearn import load
from microgrud.tables import Table, TableError, read_table

#: Replacements for any entry: every kind of JSON value, and numbers that might pass unnoticed.
JUNK: list[Any] = [None, True, -1, 1.5, 10**30, "\ud800", ["x", "x"], {"x": 1}]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    sizes = [f"{(7 * k) % 20}.5" for k in range(20)]
    rows = {"size": sizes, "colour": ["red", "blue"] * 10, "kind": ["a", "b", "b", "a"] * 5}
    path = tmp_path_factory.mktemp("stored") / "table.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return read_table(path)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory, table: Table) -> dict[str, dict[str, Any]]:
    """Return the content of two model files: of a classification with categories, and of a regression."""
    found, folder = {}, tmp_path_factory.mktemp("stored")
    table.cells.to_csv(folder / "table.csv", index=False)
    for task, target in (("classification", "kind"), ("regression", "size")):
        succeed("train", folder / "table.csv", "--target", target, *QUICK, "--out", folder / task)
        found[task] = json.loads((folder / task / "model.json").read_bytes())
    return found


def write(path: Path, document: dict[str, Any]) -> None:
    content = {**document, "checksum": checksum(document)}
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def places(document: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of each entry; for lists, only that of the first item."""
    yield where
    if isinstance(document, (dict, list)):
        items = document.items() if isinstance(document, dict) else list(enumerate(document))[:1]
        for key, item in items:
            yield from places(item, (*where, key))


def changed(document: dict[str, Any], where: tuple[Any, ...], change: Callable[[Any, Any], None]) -> dict[str, Any]:
    """Return a copy in which the container of an entry is changed."""
    made = copy.deepcopy(document)
    container: Any = made
    for key in where[:-1]:
        container = container[key]
    change(container, where[-1])
    return made


def _put(junk: Any) -> Callable[[Any, Any], None]:
    return lambda holder, key: holder.__setitem__(key, junk)


def damages(document: dict[str, Any], part: str) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield copies in which one entry of a part is junk or missing, with its place."""
    for where in places(document[part], (part,)):
        for junk in JUNK:
            yield where, changed(document, where, _put(junk))
        yield where, changed(document, where, operator.delitem)


@pytest.mark.slow("5 s: every entry of two model files is damaged in several ways")
@pytest.mark.parametrize("part", ["target", "preparation"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_any_entry_of_a_pipeline_may_be_junk_or_missing(
    task: str, part: str, documents: dict[str, Any], table: Table, tmp_path: Path
) -> None:
    """Check that any accepted pipeline predicts, or lacks a column."""
    path, refused, wrong = tmp_path / "changed.json", 0, []
    for where, document in damages(documents[task], part):
        write(path, document)
        try:
            pipeline = load(path)
        except ModelFileError as error:
            refused += 1
            wrong += [(where, str(error))] * (not str(error).startswith(f"{path}: damaged: ") or "\n" in str(error))
            continue
        try:
            assert len(pipeline.predict(table.cells)) == len(table), where
        except TableError as error:
            wrong += [(where, str(error))] * ("columns that the table lacks" not in str(error))
    assert wrong == []
    assert refused > 10


@pytest.mark.slow("4 s: every entry of two model files is damaged in several ways")
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_any_entry_of_the_account_may_be_junk_or_missing(task: str, documents: dict[str, Any], tmp_path: Path) -> None:
    """Check that a damaged account is shown, or is one line that says so."""
    path, refused = tmp_path / "changed.json", 0
    for where, document in damages(documents[task], "details"):
        write(path, document)
        result = microgrud_cli("show", path)
        if result.exit_code:
            refused += 1
            assert result.stderr.startswith(f"error: {path}: damaged: "), (where, result.output, result.exception)
            assert result.stderr.count("\n") == 1
    assert refused > 100


def test_the_error_names_the_entry(documents: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "changed.json"
    write(path, {**documents["classification"], "network": []})
    with pytest.raises(ModelFileError, match=r"changed.json: damaged: network: expected a dict, got \[\]"):
        Predictor.load(path)


def test_parts_of_two_models_do_not_fit(documents: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "changed.json"
    for part in ("network", "preparation", "target"):
        write(path, {**documents["classification"], part: documents["regression"][part]})
        with pytest.raises(ModelFileError, match=r"changed.json: damaged: "):
            Predictor.load(path)


def test_names_that_stdout_cannot_encode_are_escaped(documents: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "changed.json"

    def rename(container: Any, key: str) -> None:
        container[key] = "k\ud800nd"

    write(path, changed(documents["classification"], ("target", "name"), rename))
    assert "predicts k\\ud800nd: one of a, b" in succeed("show", path).stdout
