"""No bytes make the reader of tables fail with anything but a TableError of one line per problem."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris, load_wine

from microgrud.tables import Table, TableError, read_table
from microgrud.tables.writing import to_bytes, to_csv


def tables() -> dict[str, bytes]:
    """Return real tables in every format."""
    iris, wine = load_iris(as_frame=True).frame.iloc[::3], load_wine(as_frame=True).frame.iloc[::5]
    mixed = pd.DataFrame(
        {
            "größe": ["1,5", "2,25", "", "-3"] * 5,
            "name": ['Ann "A." Lee', "Bo; Co", "line\nbreak", "# no comment"] * 5,
            "when": pd.date_range("2020-01-31", periods=20).astype(str),
            "n": range(20),
        }
    )
    found = {
        ending: to_bytes(iris, f"t{ending}")
        for ending in (".csv", ".xlsx", ".parquet", ".jsonl", ".json", ".csv.gz", ".tsv.zip")
    }
    found |= {"wine": to_csv(wine, "\t").encode(), "mixed": to_csv(mixed, ";").encode("cp1252")}
    return found | {"utf-16": to_csv(mixed).encode("utf-16"), "mixed workbook": to_bytes(mixed, "t.xlsx")}


def cut(data: bytes, other: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def drop(data: bytes, other: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.randrange(1, 60) :]


def double(data: bytes, other: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[max(0, start - rng.randrange(1, 200)) :]


def mix(data: bytes, other: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + other[rng.randrange(len(other) + 1) :]


def plant(data: bytes, other: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    pieces = [
        b'"',
        b"\0",
        b"\r",
        b"\n",
        b"\xff",
        b",",
        b";",
        b"\t",
        b"#",
        b"{",
        b"[",
        b"'",
        b"=",
        b"\xef\xbb\xbf",
        b"\n\n",
        b"1e999",
    ]
    return data[:start] + rng.choice(pieces) * rng.randrange(1, 4) + data[start:]


def flip(data: bytes, other: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 8)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def shuffle_lines(data: bytes, other: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    rng.shuffle(lines)
    return b"\n".join(lines)


def recode(data: bytes, other: bytes, rng: random.Random) -> bytes:
    encoding = rng.choice(["utf-16", "utf-16-le", "utf-32", "cp1252", "cp437", "utf-8-sig", "shift_jis", "utf-7"])
    return data.decode("utf-8", "replace").encode(encoding, "replace")


MANGLES: list[Callable[[bytes, bytes, random.Random], bytes]] = [
    cut,
    drop,
    double,
    mix,
    plant,
    flip,
    shuffle_lines,
    recode,
]
TABLES = tables()


def mangled(seed: int) -> bytes:
    rng = random.Random(seed)
    data = TABLES[rng.choice(sorted(TABLES))]
    for _ in range(rng.randrange(1, 4)):
        data = rng.choice(MANGLES)(data, TABLES[rng.choice(sorted(TABLES))], rng)
    return data


@pytest.mark.parametrize("seed", range(8))
def test_mangled_tables_are_read_or_refused_in_lines(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "t"
    outcomes: set[object] = set()
    for case in range(25):
        path.write_bytes(mangled(25 * seed + case))
        try:
            check(read_table(path))
            outcomes.add("read")
        except TableError as error:
            outcomes |= {line.startswith(f"{path}: ") for line in str(error).split("\n")}
    assert outcomes == {"read", True}


def check(table: Table) -> None:
    """Assert that a table keeps its promises, whatever it was read from."""
    assert len(table) > 0
    assert len(set(table.columns)) == len(table.columns) > 0
    assert all(name.strip() == name != "" for name in table.columns)
    assert list(table.cells.index) == list(range(len(table)))
    assert all(type(cell) is str and cell == cell.strip() for cell in table.cells.to_numpy().ravel())
    assert len(table.lines) in (0, len(table))
    assert (np.diff(np.array(table.lines, dtype=int)) > 0).all()
    assert all("\n" not in note for note in table.notes)
