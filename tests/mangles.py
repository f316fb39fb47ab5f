"""Real tables in the forms that people keep them in, with the true value of every cell.

A table is a DataFrame of true values: numbers, texts, moments, None. `changes` alter what it says; a `Form` writes it.
"""

from __future__ import annotations

import datetime
import gzip
import io
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from benchmarks.tables.sources import TABLES

ROWS, COLUMNS = 120, 9


def real_tables() -> dict[str, tuple[pd.DataFrame, str]]:
    """Return the tables of the benchmark's tuning half that are installed, and of scikit-learn, with their targets."""
    iris, labels = load_iris(as_frame=True).frame, load_iris().target_names
    found = {
        "iris": (iris.assign(species=labels[iris.pop("target")]), "species"),
        "cancer": (load_breast_cancer(as_frame=True).frame, "target"),
        "diabetes": (load_diabetes(as_frame=True, scaled=False).frame, "target"),
    }
    for source in TABLES:
        if source.half == "tuning" and source.package != "scikit-learn":
            try:
                found[source.name] = (source.load(), source.target)
            except ModuleNotFoundError:
                continue
    return found


def draw(tables: dict[str, tuple[pd.DataFrame, str]], rng: random.Random) -> tuple[pd.DataFrame, str]:
    """Return some rows and columns of a table as true values, the target last."""
    frame, target = tables[rng.choice(sorted(tables))]
    others = [name for name in frame.columns if name != target]
    chosen = rng.sample(others, min(len(others), rng.randrange(3, COLUMNS)))
    frame = frame[[*sorted(chosen, key=others.index), target]].dropna(subset=[target])
    frame = frame.iloc[rng.sample(range(len(frame)), min(len(frame), rng.randrange(60, ROWS)))].reset_index(drop=True)
    return pd.DataFrame({name: truths(frame[name]) for name in frame}, dtype=object), target


def truths(column: pd.Series[Any]) -> list[Any]:
    """Return the cells of a column as floats, texts, datetimes or None."""
    cells = column.astype(object).where(column.notna(), None)
    return [truth(cell) for cell in cells]


def truth(cell: Any) -> Any:
    if isinstance(cell, (bool, np.bool_)):
        return str(cell)
    if isinstance(cell, pd.Timestamp):
        return cell.to_pydatetime()
    return float(cell) if isinstance(cell, (int, float, np.number)) else None if cell is None else str(cell).strip()


# --- changes of content: each takes a table, another one and random numbers, and returns the table -------------------

Change = Callable[[pd.DataFrame, str, pd.DataFrame, random.Random], pd.DataFrame]


def some_column(frame: pd.DataFrame, target: str, rng: random.Random) -> str:
    return rng.choice([name for name in frame.columns if name != target])


def put(frame: pd.DataFrame, name: str, cells: list[Any], rng: random.Random) -> pd.DataFrame:
    frame = frame.copy()
    name = name if name not in frame.columns else f"{name}2"
    frame.insert(rng.randrange(len(frame.columns)), name, pd.Series(cells, dtype=object), allow_duplicates=True)
    return frame


def missing(frame: pd.DataFrame, target: str, other: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    frame, name, share = frame.copy(), some_column(frame, target, rng), rng.choice([0.03, 0.3, 0.9])
    frame[name] = [None if rng.random() < share else cell for cell in frame[name]]
    return frame


def misprint(frame: pd.DataFrame, target: str, other: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    frame, name = frame.copy(), rng.choice(list(frame.columns))
    odd = rng.choice([1e99, -1e300, "n.a.", "see below", "12 apples", "1.2.3", "--", "99999x", "<5", "'", '"', "1e999"])
    frame.loc[rng.randrange(len(frame)), name] = odd
    return frame


def mixed_rows(frame: pd.DataFrame, target: str, other: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    width = min(frame.shape[1], other.shape[1])
    more = other.iloc[: rng.randrange(1, 20), :width].copy()
    more.columns = frame.columns[:width]
    return pd.concat([frame, more], ignore_index=True)


def double_rows(frame: pd.DataFrame, target: str, other: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[: rng.randrange(1, len(frame))]], ignore_index=True)


def double_column(frame: pd.DataFrame, target: str, other: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    k = rng.randrange(frame.shape[1] - 1)
    frame = put(frame, "copy", list(frame.iloc[:, k]), rng)
    name = rng.choice(["copy", *frame.columns])
    return frame.rename(columns={"copy": name if name != target else "copy"})


def identifier(frame: pd.DataFrame, target: str, other: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    start, name = rng.choice([0, 1, 1000, 500000]), rng.choice(["", "id", "Unnamed: 0", "RecordNo", "n"])
    numbers = [float(start + k) for k in range(len(frame))]
    texts: list[Any] = [f"{rng.getrandbits(64):016x}" for _ in numbers]
    return put(frame, name, rng.choice([numbers, texts, numbers[::-1]]), rng)


def constant(frame: pd.DataFrame, target: str, other: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    return put(frame, "same", [rng.choice([7.0, "USA", None, ""])] * len(frame), rng)


def prose(frame: pd.DataFrame, target: str, other: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    words = ["cold", "a, b; c", 'so-called "steel"', "1,5", "line\nbreak", "Größe", "# 3", "x" * 3000, "so=1+1", "it's"]
    return put(frame, "remark", [" ".join(rng.choices(words, k=4)).strip() for _ in range(len(frame))], rng)


def moments(frame: pd.DataFrame, target: str, other: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    start, minutes = datetime.datetime(2019, 1, 5), rng.choice([1, 24 * 60])
    days = [datetime.timedelta(rng.randrange(700), minutes=rng.randrange(minutes)) for _ in range(len(frame))]
    return put(frame, "when", [start + day for day in days], rng)


def prices(frame: pd.DataFrame, target: str, other: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    digits, most = rng.choice([0, 1, 2, 3, 3]), rng.choice([5, 900, 60000, 3000000])
    return put(frame, "price", [round(rng.random() * most, digits) for _ in range(len(frame))], rng)


def spelled_in_two_ways(frame: pd.DataFrame, target: str, other: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    name, change = some_column(frame, target, rng), rng.choice([str.upper, str.lower, str.title])
    frame = frame.copy()
    frame[name] = [change(cell) if type(cell) is str and rng.random() < 0.3 else cell for cell in frame[name]]
    return frame


def tidied(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with None for every missing cell, and objects in every column."""
    columns = [frame.iloc[:, k].astype(object) for k in range(frame.shape[1])]
    cells = [pd.Series([None if pd.isna(cell) else cell for cell in column], dtype=object) for column in columns]
    return pd.concat(cells, axis=1).set_axis(frame.columns, axis=1)


def few_rows(frame: pd.DataFrame, target: str, other: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    return frame.iloc[: rng.randrange(3, 40)].copy()


CHANGES: list[Change] = [
    *(missing, misprint, mixed_rows, double_rows, double_column, identifier, constant, prose, moments, moments),
    *(prices, prices, spelled_in_two_ways, few_rows, missing),
]


# --- forms: how the same content is written --------------------------------------------------------------------------

DATES = ["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d/%m/%Y", "%Y/%m/%d", "%d %b %Y", "%b %d, %Y"]
DATES += ["%Y%m%d", "%Y-%m-%dT%H:%M:%SZ", "%d-%b-%y", "%m-%d-%Y"]
_TEXT = ["csv", "csv", "tsv", "txt"]


@dataclass(frozen=True)
class Form:
    """A way to write a table; some columns, but not the one called `bare`, have units."""

    ending: str = "csv"
    delimiter: str = ","
    decimal: str = "."
    thousands: str = ""
    encoding: str = "utf-8"
    dates: str = DATES[0]
    missing: str = ""
    before: str = ""
    after: str = ""
    units: tuple[str, str] = ("", "")
    quoted: bool = False
    padded: str = ""
    end: str = "\n"
    header: bool = True
    index: bool = False
    packing: str = ""
    seed: int = field(default=0, repr=False)
    bare: str = ""

    @classmethod
    def drawn(cls, rng: random.Random, bare: str) -> Form:
        """Return a form that differs in some ways from the plainest one."""
        ending = rng.choice([*_TEXT, *_TEXT, "xlsx", "parquet", "jsonl", "json"])
        packing = rng.choice(["", "", "", "", ".gz", ".zip"])
        dates, missing = rng.choice(DATES), rng.choice(["", "", "NA", "?", "null", "N/A", " ", "NaN", "nan"])
        if ending not in _TEXT:
            return cls(ending, dates=dates, packing=packing if ending != "xlsx" else "")
        delimiter = {"csv": rng.choice(",,;;|"), "tsv": "\t", "txt": rng.choice("\t;|")}[ending]
        decimal = rng.choice(".,")
        signs = [("", ""), ("", ""), ("", " kg"), ("", "%"), ("$", ""), ("€ ", ""), ("", " EUR")]
        encodings = ["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]
        before = [f"# made in 2019{rng.choice(['', ', for you'])}\n", "sep=" + delimiter + "\n", "\n\n", "Report\n\n"]
        return cls(
            ending=ending,
            delimiter=delimiter,
            decimal=decimal,
            thousands=rng.choice(["", "", "", ".,"[decimal == "."], "'", "\u00a0"]),
            encoding=rng.choice(encodings),
            dates=dates,
            missing=missing,
            before=rng.choice(["", "", "", *before]),
            after=rng.choice(["", "", "", "\n\n", "Source: the internet\n"]),
            units=rng.choice(signs),
            quoted=rng.random() < 0.2,
            padded=rng.choice(["", "", "", " ", "  "]),
            end=rng.choice(["\n", "\n", "\r\n", "\r"]),
            header=rng.random() > 0.06,
            index=rng.random() < 0.1,
            packing=packing,
            seed=rng.getrandbits(32),
            bare=bare,
        )

    def text(self, cell: Any, has_unit: bool) -> str:
        """Return the text of a cell."""
        if cell is None:
            return self.missing
        if isinstance(cell, datetime.datetime):
            return cell.strftime(self.dates)
        if type(cell) is str:
            return cell
        number = f"{cell:,.0f}" if abs(cell) < 1e15 and cell == int(cell) else repr(cell)
        if "e" not in number and cell != int(cell):
            whole, decimals = number.split(".")
            number = f"{int(whole):,}.{decimals}"
            number = "-" + number if cell < 0 and number[0] != "-" else number
        number = number.replace(",", "\0").replace(".", self.decimal).replace("\0", self.thousands)
        before, after = self.units if has_unit else ("", "")
        return before + number + after

    def write(self, frame: pd.DataFrame) -> bytes:
        """Return the content of the file."""
        content = self._text(frame) if self.ending in _TEXT else self._typed(frame)
        if self.packing == ".gz":
            return gzip.compress(content)
        if self.packing == ".zip":
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w") as archive:
                archive.writestr(f"t.{self.ending}", content)
            return packed.getvalue()
        return content

    def _typed(self, frame: pd.DataFrame) -> bytes:
        names, seen = [], set[str]()
        for name in frame.columns:  # no two columns of such a file have one name
            names.append(name if name and name not in seen else f"{name} {len(seen)}")
            seen.add(name)
        frame = frame.set_axis(names, axis=1).infer_objects()
        mixed = [name for name in frame if frame[name].dtype == object]
        columns = {name: [None if cell is None else self.text(cell, False) for cell in frame[name]] for name in mixed}
        frame = frame.assign(**columns)
        if self.ending in ("json", "jsonl"):
            for name in frame.select_dtypes("datetime"):
                frame[name] = frame[name].dt.strftime(self.dates)
            text: str = frame.to_json(orient="records", lines=self.ending == "jsonl", double_precision=15)
            return text.encode()
        file = io.BytesIO()
        if self.ending == "xlsx":
            frame.to_excel(file, index=False)
        else:
            frame.to_parquet(file)
        return file.getvalue()

    def _text(self, frame: pd.DataFrame) -> bytes:
        columns = []
        for k, name in enumerate(frame.columns):
            has_unit = name != self.bare and random.Random(f"{self.seed} {name}").random() < 0.3
            columns.append([self.text(cell, has_unit) for cell in frame.iloc[:, k]])
        rows = [list(row) for row in zip(*columns)]
        if self.header:
            rows.insert(0, list(frame.columns))
        if self.index:
            rows = [[str(number) if number else "", *row] for number, row in enumerate(rows, not self.header)]
        lines = []
        for row in rows:
            written = [self._quoted(cell) for cell in row]
            lines.append(self.delimiter.join(written))
        before, after = self.before.replace("\n", self.end), self.after.replace("\n", self.end)
        text = before + self.end.join(lines) + self.end + after
        return text.encode(self.encoding, "replace")

    def _quoted(self, cell: str) -> str:
        odd = self.quoted or any(mark in cell for mark in (self.delimiter, '"', "\n", "\r"))
        if odd:
            return '"' + cell.replace('"', '""') + '"'
        return self.padded + cell + self.padded if self.delimiter != "\t" else cell
