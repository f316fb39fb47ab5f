"""Training on a Dask cluster whose workers read Parquet files themselves: `microgrud train --scheduler`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..common.missing import what_to_install
from ..distributed.checking import ClusterError, check_workers
from ..sklearn.scale import Scale
from ..sklearn.sharded import ShardedFit
from ..sklearn.shards import Census, Division, Recipe, uniform
from ..tables.contents import stem
from ..tables.reading import differences
from ..tables.rowgroups import FileRows, Part, divided, find_files, rows_of, survey
from ..tables.table import Table, TableError, counted
from ..tables.typed import named_text, note_on_nested
from .answering import Answered, Models
from .fitting import Fitted
from .printing import one_line
from .settings import RunSettings, SettingsError

#: The largest number of rows from which kinds, categories and preparation are learned.
SAMPLE_ROWS = 100_000
#: The largest number of numbers that workers predict for held-out rows: one for each row, or for each of its classes.
MOST_ANSWERS = 1_000_000
#: The number of held-out rows whose inputs this process gets, for pictures.
MOST_INPUTS = 1_000
#: The number of seconds to wait for the scheduler, and for its first worker.
_PATIENCE = 10.0
#: Fewer rows than these are no reason for a cluster, and too few for the folds of all networks.
LEAST_ROWS = 200


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Return the client of a scheduler whose workers can train, and close it afterwards.

    Raises:
        SettingsError: if the scheduler cannot be reached, or if it has no workers or some that cannot train; also if
            the cluster fails later.
    """
    client = _client(address)
    try:
        check_workers(client, client.nthreads())
        yield client
    except Exception as error:
        # Errors of Dask have no common class; a RuntimeError tells of a scheduler that has other packages.
        ours = isinstance(error, ClusterError)
        if not ours and type(error).__module__.partition(".")[0] != "distributed" and type(error) is not RuntimeError:
            raise
        why = "" if ours else f"the cluster failed: {type(error).__name__}: "
        why += str(error).removeprefix("fit: client: ")
        raise SettingsError(f"--scheduler: {address}: {one_line(why)}") from None
    finally:
        client.close()


def _client(address: str) -> Any:
    try:
        import distributed
    except ImportError:
        raise SettingsError(what_to_install("--scheduler needs", "distributed", "cloudpickle", "pyarrow")) from None
    connect: Any = distributed.Client
    try:
        client = connect(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        advice = "give the address that `dask scheduler` prints, such as tcp://host:8786"
        raise SettingsError(f"--scheduler: {address} cannot be reached ({one_line(str(error))}); {advice}") from None
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except distributed.TimeoutError:  # in Python 3.10, not the builtin one
        client.close()
        advice = f"start some where the files are: dask worker {address}"
        raise SettingsError(f"--scheduler: {address} has no workers; {advice}") from None
    return client


@dataclass(frozen=True, eq=False)
class ClusterTable:
    """A table in Parquet files that the workers of a cluster read.

    Args:
        sample: rows drawn at random, whose index has their numbers among those of all files.
        rows: the number of rows of all files.
        sharded: the training on all rows.
    """

    sample: Table
    rows: int
    sharded: ShardedFit

    @classmethod
    def read(cls, client: Any, sources: Sequence[str], settings: RunSettings) -> ClusterTable:
        """Let the workers find the files and draw the sample.

        Args:
            client: the client of the cluster.
            sources: paths, URLs and patterns.
            settings: the user's choices.

        Raises:
            TableError: with a line for each file that cannot be used, or whose columns are not those of the first.
            SettingsError: if there are too few rows.
        """
        patterns = [each if "://" in each else os.path.abspath(each) for each in sources]
        urls = list(dict.fromkeys(url for found in _on_workers(client, find_files, patterns) for url in found))
        files: list[FileRows] = _on_workers(client, survey, urls)
        if problems := differences([(file.url, file.columns) for file in files]):
            raise TableError("\n".join(problems))
        parts = divided(files)
        rows = sum(part.rows for part in parts)
        if rows < LEAST_ROWS:
            raise SettingsError(
                f"--scheduler: expected at least {LEAST_ROWS} rows, got {rows}; leave it out, and this process trains"
            )
        notes = [note for file in files for note in note_on_nested(file.url, file.nested)]
        sample = _sample(client, parts, settings.seed, name_of(urls), notes)
        complete = [name for name in sample.columns if name not in settings.ignore] if settings.drop_missing else []
        division = Division(settings.seed, settings.test_size)
        return cls(sample, rows, ShardedFit(client, parts, division, tuple(complete)))

    def split(self, numbers: Any, settings: RunSettings) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return the positions of the training rows and the held-out rows of the sample, given their numbers."""
        held_out = self.sharded.division.held_out(numbers)
        found = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        if min(map(len, found)) < 2:
            raise SettingsError(
                f"--test-size: {settings.test_size} leaves {len(found[0])} of {counted(len(numbers), 'sampled row')} "
                f"to train on and {len(found[1])} held out; expected at least 2 of each; choose another share"
            )
        return found

    def notes_on(self, census: Census) -> list[str]:
        """Return notes on rows of all files that are left out; the sample has its own."""
        counts = {"a missing cell": census.incomplete, "no target": census.missing}
        counts = counts if len(self.sample) < self.rows else {}
        counts["a target unlike those of the sample"] = census.unknown
        return [
            f"{counted(count, 'row')} of the files with {what}: left out" for what, count in counts.items() if count
        ]

    def answered(self, models: Models, fitted: Fitted, settings: RunSettings, notes: list[str]) -> Answered:
        """Let the workers predict the held-out rows of all files; of more than a million numbers, a share of the rows.

        Args:
            models: the trained models.
            fitted: the training of the network.
            settings: the user's choices.
            notes: gets a note if some held-out rows are not predicted.
        """
        assert fitted.census is not None
        target, held_out = models.target, fitted.census.held_out
        share = min(1.0, MOST_ANSWERS / max(1, len(target.classes)) / max(1, held_out))
        recipe = Recipe(
            fitted.pipeline["preparation"].to_json(),
            target,
            self.sharded.division,
            self.sharded.complete,
            encoding=None,
            classes=target.classes or None,
            scale=Scale(np.zeros(1), np.ones(1)),  # numbers as they are
        )
        keep = self.sample.columns if "all" in settings.keep else list(settings.keep)
        scorer = partial(_answered, recipe=recipe, models=models, share=share, keep=keep)
        found = _on_workers(self.sharded.client, scorer, self.sharded.parts)
        joined = Answered.joined([each for each in found if each is not None], inputs=MOST_INPUTS)
        if share < 1.0:
            notes.append(f"The scores are those of {len(joined.rows)} of {held_out} held-out rows, drawn at random.")
        return joined


def _answered(part: Part, recipe: Recipe, models: Models, share: float, keep: Sequence[str]) -> Answered | None:
    """Return the answers for the held-out rows of a part; None if it has none."""
    frame = part.read()
    true, _, known = recipe.targets(frame[recipe.target.name])
    chosen = known & ~recipe.left_out(frame) & recipe.division.held_out(frame.index)
    chosen &= uniform(frame.index, recipe.division.seed, 0) < share
    if not chosen.any():
        return None
    inputs, kept = recipe.inputs(frame)[chosen], frame.loc[chosen, list(keep)]
    cells = named_text(part.url, kept, list(keep), []).set_index(kept.index) if keep else kept
    answers, raw = models.answers(inputs), models.uncalibrated(inputs)
    return Answered(frame.index[chosen].to_numpy(), true[chosen], answers, raw, cells, inputs[:MOST_INPUTS])


def name_of(urls: Sequence[str]) -> str:
    """Return the name of a table: that of its file, or of the folder of its files.

    >>> name_of(["/data/sales.parquet"]), name_of(["s3://data/sales/1.parquet", "s3://data/sales/2.parquet"])
    ('sales', 'sales')
    """
    return stem(urls[0]) if len(urls) == 1 else PurePosixPath(urls[0].replace("\\", "/")).parent.name or "table"


def _sample(client: Any, parts: Sequence[Part], seed: int, name: str, notes: list[str]) -> Table:
    rows = sum(part.rows for part in parts)
    rng = np.random.default_rng(seed)
    numbers = np.sort(rng.choice(rows, min(rows, SAMPLE_ROWS), replace=False, shuffle=False))
    chosen = [(part, positions) for part in parts if len(positions := rows_of(part, numbers))]
    frame = pd.concat(_on_workers(client, _rows_at, *map(list, zip(*chosen))))
    where = f"{counted(rows, 'row')} in {counted(len({part.url for part in parts}), 'file')}"
    how = "drawn at random; the workers train on all" if len(numbers) < rows else "all of them"
    notes[:0] = [
        f"Of {where}, this process has seen {len(numbers)}, {how}. The kinds of the columns, their categories and "
        "their preparation come from these, and so do the notes on cells."
    ]
    cells = named_text(name, frame, list(frame.columns), notes).set_index(frame.index)
    firsts = {part.url: part.first for part in reversed(parts)}
    return Table(name, cells, notes, files=list(firsts.items())[::-1])


def _rows_at(part: Part, positions: npt.NDArray[np.intp]) -> pd.DataFrame:
    frame: pd.DataFrame = part.read().iloc[positions]
    return frame


def _on_workers(client: Any, function: Callable[..., Any], *arguments: Sequence[Any]) -> list[Any]:
    """Return the results of a function for each argument, called on the workers.

    Raises:
        TableError: with the lines of all calls that raised one.
    """
    results = client.gather(client.map(_attempt, [function] * len(arguments[0]), *arguments, pure=False))
    if problems := [str(result) for result in results if isinstance(result, TableError)]:
        raise TableError("\n".join(problems))
    return list(results)


def _attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except TableError as error:
        return error
