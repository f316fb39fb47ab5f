"""The command line on a mangled table: it trains, or refuses in lines, and reads no cell wrong without a note."""

from __future__ import annotations

import datetime
import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mangles import CHANGES, Form, double_column, draw, tidied
from typed import QUICK, microgrud_cli

import microgrud.sklearn
from microgrud.sklearn.modelfile import read_pipeline
from microgrud.tables import TableError, read_table
from microgrud.tables.column import Column
from microgrud.tables.plans import CategoryPlan, DatePlan, NumberPlan, PresencePlan, moments_in

Tables = dict[str, tuple[pd.DataFrame, str]]


@dataclass
class Outcome:
    """The end of a case, the errors, all that should not be, and the options that were followed."""

    end: str
    errors: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)


class Case:
    """A table, mangled by a seed, in the files of a folder."""

    def __init__(self, seed: int, tables: Tables, folder: Path) -> None:
        rng = self.rng = random.Random(seed)
        frame, self.target = draw(tables, rng)
        other, _ = draw(tables, rng)
        changes = rng.choices(CHANGES, k=rng.randrange(4))
        self.changes = sorted(changes, key=lambda change: change is double_column)  # two columns of one name are last
        for change in self.changes:
            frame = tidied(change(frame, self.target, other, rng))
        self.form, self.folder = Form.drawn(rng, self.target), folder
        days = "%Y%m%d" if self.form.dates == "%Y%m%d" else "%Y-%m-%d"  # the former may be a number
        self.plain = Form(dates="%Y-%m-%d %H:%M:%S" if "%M" in self.form.dates else days)
        self.is_damaged = rng.random() < 0.2
        few = rng.randrange(1, 1 + len(frame) // 5) if len(frame) > 12 else 1
        self.frame, self.rest = frame.iloc[:-few].reset_index(drop=True), frame.iloc[-few:].reset_index(drop=True)
        self.has_names = self.form.header and not self.form.index and "" not in frame.columns
        self.has_names &= not frame.columns.has_duplicates
        if self.has_names and rng.random() < 0.4:
            self.rest = self.rest[rng.sample(list(self.rest.columns), self.rest.shape[1])]
        self.name = self.target
        if not self.form.header:
            self.name = f"column {frame.shape[1] + self.form.index}"

    def __str__(self) -> str:
        return f"{[change.__name__ for change in self.changes]} {'damaged ' * self.is_damaged}{self.form}"

    @property
    def has_digits_as_moments(self) -> bool:
        """Return whether the file may hold moments such as 19720101, which are numbers next to other numbers."""
        moments = any(isinstance(cell, datetime.datetime) for cell in self.frame.to_numpy().ravel())
        return moments and not {"-", "/"} & {*self.form.dates}

    def write(self, frame: pd.DataFrame, form: Form, name: str) -> Path:
        """Write a file, damaged in some cases."""
        data = form.write(frame)
        if self.is_damaged and form is self.form:
            data = damaged(data, form.write(self.rest), self.rng)
        path = self.folder / f"{name}.{form.ending}{form.packing}"
        path.write_bytes(data)
        return path


def damaged(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return the bytes without some, with some twice, in another order, or with those of another file."""
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    lines = data.splitlines(keepends=True)
    kept = [line for line in lines if rng.random() > 0.05]
    rng.shuffle(lines)
    mark = rng.choice([b",", b";", b'"', b"\n", b"\t", b"\0", b"#", b"\xff", b"'"])
    twice, half = data[:end] + data[start:], other[: len(other) // 2]
    changed = [data[:end], data[:start] + data[end:], twice, data + other, half + data, b"".join(lines), b"".join(kept)]
    return rng.choice([*changed, data[:start] + mark + data[start:], data.replace(b"1", mark, 3)])


def check(seed: int, tables: Tables, folder: Path) -> Outcome:
    """Train, show and predict with a mangled table in an empty folder."""
    case = Case(seed, tables, folder)
    half, one = len(case.frame) // 2, case.write(case.frame, case.form, "t")
    files: list[Path | str] = [one]
    parts = case.form.header and not case.form.index and not case.is_damaged and case.form.ending != "parquet"
    if parts and case.rng.random() < 0.15 and half > 2:
        files = [case.write(case.frame[:half], case.form, "t1"), case.write(case.frame[half:], case.form, "t2")]
    stdin = one.read_bytes() if len(files) == 1 and case.rng.random() < 0.1 else None
    run = folder / "run"
    options = ["--target", case.name, *QUICK, "--estimators", 1]
    outcome = _train(["train", *(files if stdin is None else ["-"]), *options, "--out", run], stdin, case.form)
    plain = case.write(case.frame, case.plain, "plain")
    if outcome.end != "refused":
        if not case.is_damaged:
            outcome.faults += _compare(files, run, case)
        outcome.faults += _use(run, case)
    if case.has_names and not case.is_damaged and case.form.ending in ("csv", "tsv", "txt"):
        other = microgrud_cli("train", plain, *options, "--out", folder / "plain")
        if other.exit_code != 0:
            outcome.faults += [f"the plain table is refused: {other.stderr}"] * (outcome.end != "refused")
        elif outcome.end == "refused":
            outcome.faults.append(f"the plain table is not refused: {outcome.errors}")
        elif not outcome.faults and "--ignore" not in outcome.followed and not case.has_digits_as_moments:
            outcome.faults += _same_predictions(run, folder / "plain", case)
    return outcome


def _train(words: list[Any], stdin: bytes | None, form: Form) -> Outcome:
    """Run the command, and again with the options that its errors advise."""
    faults: list[str] = []
    errors: list[str] = []
    options: list[str] = []
    for _ in range(4):
        result = microgrud_cli(*words, *options, stdin=stdin)
        faults += _wrong_with(result, "train")
        if result.exit_code == 0:
            return Outcome("trained as advised" if errors else "trained", errors, faults, options)
        lines = [line[7:] for line in result.stderr.splitlines() if line.startswith("error: ")]
        faults += [f"the advice was followed, and does not help: {line}" for line in lines if line in errors]
        errors += lines
        more = [option for line in lines for option in _advised(line, form) if option[-1] not in options]
        options += [word for option in dict.fromkeys(more) for word in option]
        if not more or faults:
            break
    return Outcome("refused", errors, faults)


def _advised(line: str, form: Form) -> list[tuple[str, ...]]:
    """Return the options that an error advises, with the right values."""
    if "option decimal" in line:
        return [("--decimal", form.decimal)]
    if "option day-first" in line:
        return [("--day-first" if form.dates.startswith("%d") else "--month-first",)]
    named = re.match(r"column (['\"])(.*?)\1", line)
    return [("--ignore", named[2])] if named and "option ignore" in line else []


def _wrong_with(result: Any, command: str) -> list[str]:
    if result.exit_code not in (0, 2) or not isinstance(result.exception, (SystemExit, type(None))):
        return [f"{command}: exit code {result.exit_code}, {result.exception!r}"]
    wrong = [line for line in result.stderr.splitlines() if not line.startswith(("note: ", "error: "))]
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    wrong += [f"no advice: {line}" for line in errors if ";" not in line]
    wrong += [f"twice: {line}" for line in set(errors) if errors.count(line) > 1]
    wrong += [f"too long: {line}" for line in result.stderr.splitlines() if len(line) > 600]
    if (result.exit_code == 2) != bool(errors):
        wrong.append(f"exit code {result.exit_code} with {len(errors)} errors")
    return [f"{command}: {line}" for line in wrong]


def _use(run: Path, case: Case) -> list[str]:
    """Show the model, predict from a file and from a DataFrame, and return what is wrong."""
    faults = _wrong_with(microgrud_cli("show", run), "show")
    is_damaged, case.is_damaged = case.is_damaged, False
    form = case.form if case.form.header else replace(case.form, before="", after="")  # it may be one row
    file, out = case.write(case.rest, form, "rest"), case.folder / "out.csv"
    case.is_damaged = is_damaged
    result = microgrud_cli("predict", run, file, "--out", out)
    faults += _wrong_with(result, "predict")
    if is_damaged:
        return faults
    if result.exit_code != 0:
        return [*faults, f"predict: {result.stderr}"]
    rows = pd.read_csv(out)
    if len(rows) != len(case.rest):
        return [*faults, f"predict: {len(rows)} predictions for {len(case.rest)} rows"]
    if case.has_names and not case.has_digits_as_moments and case.form.ending in ("parquet", "xlsx", "json", "jsonl"):
        pipeline = microgrud.sklearn.load(run)
        frame = case.rest.infer_objects()
        if not _equal(rows["predicted"], pd.Series(pipeline.predict(frame))):
            faults.append("the pipeline predicts otherwise from a DataFrame than from a file")
    return faults


def _same_predictions(run: Path, plain: Path, case: Case) -> list[str]:
    rest = case.write(case.rest, case.plain, "rest-plain")
    other = case.folder / "out-plain.csv"
    result = microgrud_cli("predict", plain, rest, "--out", other)
    notes = read_pipeline(run / "model.json").details["notes"]
    if any(note.startswith("column ") and " was read as " in note for note in notes):  # a guess at the decimal mark
        return []
    if result.exit_code == 0:
        first, second = pd.read_csv(case.folder / "out.csv"), pd.read_csv(other)
        if all(_equal(first.iloc[:, k], second.iloc[:, k]) for k in range(1, first.shape[1])):
            return []
    plans = [_plans(folder) for folder in (run, plain)]
    return [f"other predictions than from the plain table: {[pair for pair in zip(*plans) if pair[0] != pair[1]]}"]


def _plans(folder: Path) -> list[str]:
    return [f"{plan.name}: {plan}" for plan in microgrud.sklearn.load(folder)["preparation"].columns_]


def _equal(first: pd.Series[Any], second: pd.Series[Any]) -> bool:
    if first.dtype.kind == "f":
        return bool(np.allclose(first, second.astype(float), rtol=1e-6, equal_nan=True))
    return first.astype(str).tolist() == second.astype(str).tolist()


def _compare(files: Sequence[Path | str], run: Path, case: Case) -> list[str]:
    """Return the cells that were read as something else than they are, unless a note names the column."""
    try:
        table = read_table(files)
    except TableError as error:
        return [f"read by the command, and not here: {error}"]
    stored = read_pipeline(run / "model.json")
    said = "\n".join(json.loads((run / "model.json").read_text())["details"]["notes"])
    truth = case.frame
    if len(table) != len(truth):
        return [f"{len(table)} rows, not {len(truth)}: {table.notes}"]
    if len(table.columns) != truth.shape[1] + case.form.index:
        return [f"the columns {table.columns}, not {list(truth.columns)}: {table.notes}"]
    plans = {plan.name: plan for plan in stored.pipeline["preparation"].columns_}
    faults = []
    for k, name in enumerate(table.columns[case.form.index :]):
        column, cells = Column.of(table.cells[name], name), list(truth.iloc[:, k])
        noted = repr(name) in said
        if name == stored.target.name:
            values = stored.target.values(table.cells[name])
            fault = (
                _numbers(values, _plain(cells, case))
                if stored.target.task == "regression"
                else _names(values, cells, case.form)
            )
        elif isinstance(plan := plans[name], NumberPlan):
            fault = _numbers(plan.read(column).numbers[name], _plain(cells, case))
        elif isinstance(plan, DatePlan):
            fault = _moments(column.by_row(moments_in(column, plan.day_first), np.datetime64("NaT", "us")), cells, case)
        elif isinstance(plan, CategoryPlan):
            fault = _names(plan.read(column).names, cells, case.form)
            numbers = [cell for cell in cells if type(cell) is float]
            if len(set(numbers)) > 10 and len(numbers) > len(cells) - cells.count(None) - 2:
                fault = fault or f"numbers such as {numbers[:3]} were taken as categories"
        else:
            fault = "" if noted else f"is {plan.said}, without a note"
            if isinstance(plan, PresencePlan) and None not in cells and not noted:
                fault = "no cell is missing"
        if fault and not (noted and ("missing" in fault or "categories" in fault)) and not _is_guess(name, said):
            faults.append(f"column {name!r}{' (noted)' if noted else ''}: {fault}")
    return faults


def _is_guess(name: str, said: str) -> bool:
    """Return whether a note says how an ambiguous cell of a column was read, and why."""
    return bool(re.search(rf"column {re.escape(repr(name))}.* was read (as .*, because|with the day first)", said))


def _plain(cells: Sequence[Any], case: Case) -> list[Any]:
    """Return the cells, with the text of moments: 19720101 is a number among numbers."""
    return [case.form.text(cell, False) if isinstance(cell, datetime.datetime) else cell for cell in cells]


def _numbers(values: Any, cells: Sequence[Any]) -> str:
    for value, cell in zip(values, cells):
        if math.isnan(value):
            if type(cell) is float:
                return f"{cell} was read as missing"
            continue
        try:
            right = float(cell)
        except (TypeError, ValueError):
            return f"{cell!r} was read as {value}"
        if not math.isclose(right, value, rel_tol=1e-9, abs_tol=1e-12):
            return f"{cell!r} was read as {value}"
    return ""


def _moments(values: Any, cells: Sequence[Any], case: Case) -> str:
    are_moments = all(cell is None or isinstance(cell, datetime.datetime) for cell in cells)
    is_typed = are_moments and case.form.ending in ("parquet", "xlsx")
    for value, cell in zip(values, cells):
        if np.isnat(value):
            if isinstance(cell, datetime.datetime):
                return f"{cell} was read as missing"
        elif not isinstance(cell, datetime.datetime):
            return f"{cell!r} was read as {value}"
        else:
            written = cell if is_typed else datetime.datetime.strptime(cell.strftime(case.form.dates), case.form.dates)
            if abs(np.datetime64(written, "us") - value) > np.timedelta64(1, "s"):
                return f"{cell} was read as {value}"
    return ""


def _names(values: Any, cells: Sequence[Any], form: Form) -> str:
    for value, cell in zip(values, cells):
        if value is None:
            if type(cell) is str and cell.strip() not in ("", "NA", "None", "nan"):
                return f"{cell!r} was read as missing"
        elif value != " other":
            texts = [form.text(cell, unit) for unit in (False, True)]
            texts += [repr(cell), f"{cell:g}" if type(cell) is float else str(cell)]
            texts += [cell.isoformat(), str(cell)] if isinstance(cell, datetime.datetime) else []
            if _spelled(value) not in map(_spelled, texts):
                return f"{cell!r} was read as {value!r}"
    return ""


def _spelled(text: str) -> str:
    return " ".join(str(text).replace("\u00a0", " ").split()).casefold().removeprefix("'")
