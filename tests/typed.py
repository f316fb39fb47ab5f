"""Commands as a user types them, in this process, and small tables to type them on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
from typer.testing import CliRunner

from microgrud.cli import commands

QUICK = ["--hidden", "4", "--epochs", "2", "--estimators", "1", "--no-pictures"]
#: Enough training for a network that is not worse than the baseline.
LEARNED = [*QUICK, "--epochs", "30", "--lr", "0.05"]


def microgrud_cli(*words: object, stdin: bytes | None = None) -> Any:
    """Run a command and return its result: exit code, stdout and stderr."""
    return CliRunner().invoke(commands.app, [str(word) for word in words], input=stdin)


def succeed(*words: object, stdin: bytes | None = None) -> Any:
    """Run a command that must succeed."""
    result = microgrud_cli(*words, stdin=stdin)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result


def fails(words: list[object], *messages: str) -> None:
    """Run a command that must report errors, one a line, each of which holds one of the messages; it writes nothing."""
    before = set(os.listdir())
    result = microgrud_cli(*words)
    assert (result.exit_code, result.stdout) == (2, ""), result.output + repr(result.exception)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert all(line.startswith("error: ") for line in lines), result.stderr
    assert len(lines) == len(messages), result.stderr
    for message in messages:
        assert any(message in line for line in lines), (message, result.stderr)
    assert set(os.listdir()) == before


def a_table(**columns: Any) -> Path:
    """Write `table.csv`: 30 rows with a number, a colour, a class that depends on them, and `columns`."""
    data: dict[str, Any] = {
        "size": [0.5 * i for i in range(30)],
        "colour": ["red", "blue", "green"] * 10,
        "class": ["a", "b", "b"] * 10,
    }
    return written({**data, **columns})


def written(columns: dict[str, Any], name: str = "table.csv") -> Path:
    """Write a table as CSV."""
    pd.DataFrame(columns).to_csv(name, index=False)
    return Path(name)


def contents(folder: Path | str) -> dict[str, bytes]:
    """Return the content of each file in a folder."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def details(folder: str = "run") -> dict[str, Any]:
    """Return the account of a training in a run folder."""
    found: dict[str, Any] = json.loads(Path(folder, "model.json").read_text())["details"]
    return found
