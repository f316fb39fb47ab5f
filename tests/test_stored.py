"""A model file with any entry changed, but a valid checksum, gives one line that names file and entry."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from microgrud.cli import commands
from microgrud.cli.pipeline import train_on_table
from microgrud.cli.predicting import Predictor
from microgrud.cli.settings import RunSettings
from microgrud.common.jsonfile import checksum
from microgrud.nn import MLP, ModelFileError, save_model
from microgrud.tables import Table, read_table

#: Replacements for any entry: every kind of JSON value, and numbers that might pass unnoticed.
JUNK: list[Any] = [None, True, -1, 1.5, 10**30, "\ud800", ["x", "x"], {"x": 1}]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    rows = {"size": [f"{k}.5" for k in range(20)], "colour": ["red", "blue"] * 10, "kind": ["a", "b"] * 10}
    path = tmp_path_factory.mktemp("stored") / "table.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return read_table(path)


@pytest.fixture(scope="module")
def documents(table: Table, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the content of two model files: of a classification with categories, and of a regression."""
    found, path = {}, tmp_path_factory.mktemp("stored") / "model.json"
    for task, target in (("classification", "kind"), ("regression", "size")):
        predictor = train_on_table(table, RunSettings(target, hidden=(2,), epochs=1), progress=False).predictor
        save_model(path, predictor.model, predictor.extra())
        found[task] = json.loads(path.read_bytes())
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


@pytest.mark.slow("4 s: every entry of two model files is damaged in several ways")
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_any_entry_may_be_junk_or_missing(task: str, documents: dict[str, Any], table: Table, tmp_path: Path) -> None:
    """Check that any accepted model file can be shown, and predicts."""
    document, path = documents[task], tmp_path / "changed.json"
    write(path, document)
    whole = Predictor.load(path).predict(table)
    refused, unnamed = 0, []
    for where in list(places(document["extra"], ("extra",))):
        named = next(part for part in reversed(where) if isinstance(part, str))
        changes = [lambda container, key, junk=junk: container.__setitem__(key, junk) for junk in JUNK]
        for change in [*changes, lambda container, key: container.pop(key)]:
            write(path, changed(document, where, change))
            try:
                predictor = Predictor.load(path)
            except ModelFileError as error:
                refused += 1
                said = str(error)
                if not said.startswith(f"{path}: ") or not (named in said or "preprocessing" in said):
                    unnamed.append(said)
                continue
            result = CliRunner().invoke(commands.app, ["show", str(path)])
            assert result.exit_code == 0, (where, result.output)
            if "preprocessing" not in where:
                assert predictor.predict(table).equals(whole)
    assert unnamed == []
    assert refused > 200


@pytest.mark.parametrize(
    ("task", "where", "junk", "message"),
    [
        ("regression", "settings.lr", "fast", "extra.settings.lr: expected a number, got 'fast'"),
        ("regression", "settings.hidden", [2, 0], r"settings.hidden\[1\]: expected a whole number of 1 or more, got 0"),
        ("regression", "trained.interrupted", 0, "trained.interrupted: expected true or false, got 0"),
        ("regression", "preprocessing.target.scale", 0.0, "target.scale: expected a number above 0 .*, got 0.0"),
        ("regression", "preprocessing.target.classes", [1], "classes: expected a list of different strings, got"),
        ("regression", "preprocessing.target.task", "classification", "expected the 1 outputs of the network, got 0"),
        ("classification", "preprocessing.target.classes", ["a"], "expected the 2 outputs of the network, got 1"),
        ("classification", "preprocessing.target.name", "colour", "expected a list of different strings"),
        ("classification", "preprocessing.columns", [], "expected the 3 inputs of the network, got 0"),
        ("classification", "preprocessing.columns.0.mean", 10**400, r"columns\[0\].mean: expected a number with a dec"),
        ("classification", "preprocessing.columns.1.categories", ["red"], "the 3 inputs of the network, got 2"),
        ("classification", "scores.confusion", [[-1]], r"scores.confusion\[0\]\[0\]: expected a whole number of 0 or"),
        ("classification", "scores.linear", 1, "extra.scores.linear: expected a dict with the keys 'accuracy'"),
    ],
)
def test_the_error_names_the_entry(
    task: str, where: str, junk: Any, message: str, documents: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "changed.json"
    keys = [int(key) if key.isdigit() else key for key in where.split(".")]
    write(path, changed(documents[task], ("extra", *keys), lambda container, key: container.__setitem__(key, junk)))

    with pytest.raises(ModelFileError, match=f"changed.json: damaged: .*{message}"):
        Predictor.load(path)


def test_a_network_of_other_sizes_does_not_fit(documents: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "changed.json"
    save_model(path, MLP(9, [2], rng=0), documents["classification"]["extra"])

    with pytest.raises(ModelFileError, match="expected the 9 inputs of the network, got 3"):
        Predictor.load(path)


def test_names_that_stdout_cannot_encode_are_escaped(documents: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "changed.json"

    def rename(container: Any, key: str) -> None:
        container[key] = "k\ud800nd"

    write(path, changed(documents["classification"], ("extra", "preprocessing", "target", "name"), rename))
    result = CliRunner().invoke(commands.app, ["show", str(path)])

    assert result.exit_code == 0
    assert "predicts k\\ud800nd: one of a, b" in result.stdout
