"""Training on a cluster by the command line: what the workers read and predict is what one process would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typed import details, fails, succeed

import microgrud
from microgrud.cli import scheduler
from microgrud.cli.answering import Models
from microgrud.cli.fitting import Data, fit_network
from microgrud.cli.predicting import prediction_columns
from microgrud.cli.scheduler import ClusterTable, name_of
from microgrud.cli.settings import RunSettings, SettingsError
from microgrud.sklearn import MLPClassifier
from microgrud.sklearn.settings import settings_for
from microgrud.sklearn.sharded import settings_of
from microgrud.sklearn.shards import Census
from microgrud.tables import TableError, TablePreparation, read_table
from microgrud.tables.target import inspect_target

cloudpickle = pytest.importorskip("cloudpickle")
for name in ("pyarrow", "fsspec"):
    pytest.importorskip(name)
pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

ROWS = 600


def a_frame(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"size": rng.normal(size=rows), "colour": rng.choice(["red", "blue", None], rows)})
    frame["price"] = 3.0 * frame["size"] + (frame["colour"] == "red") + rng.normal(size=rows) / 4
    frame["sold"] = np.where(frame["price"] > 0, "yes", "no").astype(object)
    frame.loc[frame.index % 97 == 5, "sold"] = None
    return frame


def two_files() -> list[str]:
    """Write two Parquet files of row groups of 100 rows, and return a pattern for them."""
    Path("shop").mkdir(exist_ok=True)
    for k, first in enumerate((0, ROWS // 2)):
        part = a_frame()[first : first + ROWS // 2]
        part.to_parquet(f"shop/{k}.parquet", row_group_size=100, index=False)
    return ["shop/*.parquet"]


class InlineClient:
    """A client whose only worker is this process: functions, arguments and results travel as pickles."""

    def map(self, function: Callable[..., Any], *arguments: Any, pure: bool, **options: Any) -> list[Any]:
        """Return the results of calls, in place of futures."""
        call = cloudpickle.loads(cloudpickle.dumps(partial(function, **options)))
        return [cloudpickle.loads(cloudpickle.dumps(call(*each))) for each in zip(*arguments)]

    def gather(self, futures: list[Any]) -> list[Any]:
        """Return the results."""
        return futures


def settings(**chosen: Any) -> RunSettings:
    return RunSettings(**{"target": "sold", "scheduler": "tcp://localhost:8786", **chosen})


def read(sources: list[str], **chosen: Any) -> ClusterTable:
    return ClusterTable.read(InlineClient(), sources, settings(**chosen))


# --- options and files ---


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        ([], ["TABLE: expected Parquet files with --scheduler, got none", "--target: say which column to predict"]),
        (["-", "--target", "y"], ["got - (stdin), which no worker can read"]),
        (["a.parquet", "--target", "y", "--cv", "5"], ["--cv: is not available with --scheduler"]),
        (
            ["a.parquet", "--target", "y", "--cv", "5", "--repeats", "2", "--search"],
            [f"--{name}: is not available with --scheduler" for name in ("cv", "repeats", "search")],
        ),
        (["a.parquet", "--target", "y", "--lr", "0"], ["--lr: expected a number above 0"]),
    ],
)
def test_options_that_a_cluster_cannot_serve_are_errors_before_it_is_asked(
    words: list[object], messages: list[str]
) -> None:
    fails(["train", *words, "--scheduler", "tcp://localhost:8786"], *messages)


def test_the_sample_of_a_small_table_is_the_table() -> None:
    cluster = read(two_files())
    table = read_table(["shop/0.parquet", "shop/1.parquet"])
    assert cluster.sample.cells.equals(table.cells.set_axis(cluster.sample.cells.index))
    assert (cluster.sample.name, cluster.rows, len(cluster.sharded.parts)) == ("shop", ROWS, 6)
    assert cluster.sample.notes[0].startswith("Of 600 rows in 2 files, this process has seen 600, all of them.")
    assert cluster.sample.place(300).endswith("shop/1.parquet, row 1")
    assert read(["shop/0.parquet"]).sample.name == "0"


def test_a_sample_is_drawn_at_random_by_the_seed_from_all_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = two_files()
    monkeypatch.setattr(scheduler, "SAMPLE_ROWS", 90)
    first, again, other = (read(pattern, seed=seed).sample for seed in (0, 0, 1))
    numbers = first.cells.index
    assert (len(numbers), numbers.is_monotonic_increasing, numbers.is_unique) == (90, True, True)
    assert set(numbers // 100) == set(range(6))
    assert first.cells.equals(again.cells)
    assert list(numbers) != list(other.cells.index)
    assert first.cells["size"].tolist() == a_frame()["size"].astype(str)[numbers].tolist()
    assert "has seen 90, drawn at random; the workers train on all." in first.notes[0]


def test_files_that_cannot_be_used_are_named_all_at_once() -> None:
    (pattern,) = two_files()
    Path("words.csv").write_text("size,sold\n1,yes\n")
    a_frame().drop(columns="size").to_parquet("shop/2.parquet")
    with pytest.raises(TableError) as caught:
        read(["words.csv", pattern, "shop"])
    assert str(caught.value).endswith(
        "shop: is a directory; write " + str(Path("shop").resolve()) + "/*.parquet for the files in it"
    )
    with pytest.raises(TableError, match=r"words.csv: is not a Parquet file, which --scheduler takes; convert it"):
        read(["words.csv", pattern])
    with pytest.raises(TableError, match=r"2.parquet: expected the columns of .*0.parquet; lacks 'size'; make"):
        read([pattern])
    a_frame(150).to_parquet("few.parquet")
    with pytest.raises(SettingsError, match="--scheduler: expected at least 200 rows, got 150; leave it out"):
        read(["few.parquet"])


def test_a_counter_of_rows_is_an_identifier_in_a_sample_too() -> None:
    numbers = np.sort(np.random.default_rng(0).choice(100_000, 1_000, replace=False))
    frame = pd.DataFrame({"place": numbers, "size": np.random.default_rng(1).normal(size=1_000)})
    kinds = [[plan.kind for plan in TablePreparation().decide(frame, share).plans] for share in (0.01, 1.0)]
    assert kinds == [["left out", "number"], ["number", "number"]]


def test_a_table_is_named_after_its_file_or_its_folder() -> None:
    assert name_of(["s3://bucket/a.parquet"]) == "a"
    assert name_of(["C:\\data\\1.parquet", "C:\\data\\2.parquet"]) == "data"


def test_the_sample_is_split_as_the_workers_split_all_rows() -> None:
    cluster = read(two_files(), test_size=0.3)
    numbers = np.array([3, 50, 51, 52, 400, 599])
    training, held_out = cluster.split(numbers, settings(test_size=0.3))
    flags = cluster.sharded.division.held_out(numbers)
    assert (sorted([*training, *held_out]), held_out.tolist()) == (list(range(6)), np.flatnonzero(flags).tolist())
    with pytest.raises(SettingsError, match="--test-size: .* at least 2 of each"):
        cluster.split(numbers[:2], settings())


# --- training and answers ---


def test_an_epoch_has_few_steps_unless_batches_are_given() -> None:
    checked = MLPClassifier()._checked()
    for rows in (300, 60_000):
        assert settings_of(checked, rows) == settings_for(checked, rows)
    found = settings_of(checked, 1_000_000)
    assert (found.batch_size, found.learning_rate_init, found.max_iter) == (4_000, 0.01, 24)
    assert settings_of({**checked, "batch_size": 64}, 1_000_000) == settings_for({**checked, "batch_size": 64}, 10**6)
    assert settings_of({**checked, "solver": "lbfgs"}, 1_000_000).batch_size == 1_000_000


@pytest.mark.parametrize("target", ["sold", "price"])
@pytest.mark.parametrize("drop_missing", [False, True])
def test_workers_answer_for_held_out_rows_as_predict_does(target: str, drop_missing: bool) -> None:
    chosen = settings(target=target, keep=("colour",), drop_missing=drop_missing, hidden=(4,), epochs=2, estimators=1)
    cluster = ClusterTable.read(InlineClient(), two_files(), chosen)
    cells = cluster.sample.cells
    kept = cells[target].ne("") & (~cells.eq("").any(axis=1) | (not drop_missing))
    kind = inspect_target(cells[target], target)
    others = cells.drop(columns=["sold", "price"])
    preparation = TablePreparation()
    data = Data(others[kept], kind.values(cells.loc[kept, target]), kind, preparation, preparation.decide(others))
    division = cluster.split(data.cells.index, chosen)
    fitted = fit_network(data, data.prepared(division[0]), division, chosen)
    census = Census(0, 0, 0, len(division[1]), len(division[0]), (0,))
    models = Models.of(data, fitted)
    notes: list[str] = []
    answered = cluster.answered(models, replace(fitted, census=census), chosen, notes)
    held_out = data.cells.iloc[division[1]]
    assert answered.rows.tolist() == held_out.index.tolist()
    assert notes == []
    inputs = fitted.pipeline["preparation"].transform(others)[held_out.index]
    assert np.array_equal(answered.inputs, inputs)
    expected = models.answers(inputs)
    assert expected.keys() == answered.answers.keys() == {"network", "linear", "baseline"}
    for each, values in expected.items():
        assert answered.answers[each] == pytest.approx(values, rel=1e-12, abs=1e-12)
    true = prediction_columns(held_out.index, expected["network"], kind)
    assert len(true) == len(answered.true)
    assert answered.true.tolist() == data.numbers[division[1]].tolist()
    assert answered.cells["colour"].tolist() == held_out["colour"].tolist()


def test_of_very_many_held_out_rows_a_share_is_scored_and_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "MOST_ANSWERS", 60)
    chosen = settings(target="price", test_size=0.5, hidden=(), epochs=1, estimators=1)
    cluster = ClusterTable.read(InlineClient(), two_files(), chosen)
    others = cluster.sample.cells.drop(columns=["sold", "price"])
    kind = inspect_target(cluster.sample.cells["price"], "price")
    preparation = TablePreparation()
    values = kind.values(cluster.sample.cells["price"])
    data = Data(others, values, kind, preparation, preparation.decide(others))
    division = cluster.split(others.index, chosen)
    fitted = fit_network(data, data.prepared(division[0]), division, chosen)
    fitted = replace(fitted, census=Census(0, 0, 0, len(division[1]), len(division[0]), (0,)))
    notes: list[str] = []
    answered = cluster.answered(Models.of(data, fitted), fitted, chosen, notes)
    assert 40 < len(answered.rows) < 80
    assert set(answered.rows) < set(others.index[division[1]])
    assert notes == [
        f"The scores are those of {len(answered.rows)} of {len(division[1])} held-out rows, drawn at random."
    ]


# --- connecting ---


class OddClient(InlineClient):
    """A client of a cluster that cannot train."""

    closed: list[str] = []  # noqa: RUF012 - for all clients of a test

    def __init__(self, address: str, timeout: float) -> None:
        assert timeout == 10.0
        if address == "tcp://nobody:8786":
            raise OSError(f"Timed out trying to connect to {address} after 10 s")
        self.address = address

    def wait_for_workers(self, count: int, timeout: float) -> None:
        """Raise if there are no workers."""
        if self.address == "tcp://empty:8786":
            from distributed import TimeoutError as LateError  # in Python 3.10, not the builtin one

            raise LateError(f"Only 0/{count} workers arrived after {timeout}")

    def nthreads(self) -> dict[str, int]:
        """Return the number of threads of each worker."""
        return {"tcp://old:1": 1, "tcp://bare:2": 1}

    def run(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Return the answers of an old worker, and of one without the package."""
        return {"tcp://old:1": ("0.0.1", "3.9"), "tcp://bare:2": ModuleNotFoundError("No module named 'microgrud'")}

    def close(self) -> None:
        """Note that the client is closed."""
        self.closed.append(self.address)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tcp://nobody:8786", "tcp://nobody:8786 cannot be reached (Timed out trying to connect"),
        ("tcp://empty:8786", "has no workers; start some where the files are: dask worker tcp://empty:8786"),
        ("tcp://odd:8786", "tcp://old:1 has microgrud 0.0.1 on Python 3.9; tcp://bare:2 has no microgrud (No module"),
    ],
)
def test_a_cluster_that_cannot_train_is_one_line_that_says_what_to_do(
    address: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest.importorskip("distributed"), "Client", OddClient)
    monkeypatch.setattr(OddClient, "closed", [])
    two_files()
    fails(["train", "shop/*.parquet", "--target", "sold", "--scheduler", address], message)
    assert OddClient.closed == [address] * (address != "tcp://nobody:8786")


def test_without_dask_the_option_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    fails(
        ["train", "a.parquet", "--target", "sold", "--scheduler", "tcp://host:8786"],
        "--scheduler needs distributed",
    )


# --- a cluster of processes ---


class Cluster:
    """A scheduler and two workers, each a process of its own, as `dask scheduler` and `dask worker` start them."""

    def __init__(self, folder: Path) -> None:
        self.folder, where = folder, folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--host", "127.0.0.1", "--scheduler-file", where)
        while not where.exists():
            time.sleep(0.05)
        self.address = json.loads(where.read_text())["address"]
        options = [self.address, "--nthreads", "1", "--local-directory", folder, "--death-timeout", "60"]
        self.workers = [self._start("worker", *options) for _ in range(2)]

    def _start(self, *words: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *map(str, words), "--no-dashboard"]
        environment = {**os.environ, "PYTHONPATH": str(Path(microgrud.__file__).parents[1])}
        with open(self.folder / f"{words[0]}.log", "ab") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.folder)

    def stop(self) -> None:
        """Kill all processes."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return a cluster that is stopped at the end."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()


def trains(cluster: Cluster, out: str, *options: str) -> subprocess.Popen[str]:
    """Start a training on `shop`, which a user types, in a process of its own."""
    words = ["train", *two_files(), "--target", "price", "--ignore", "sold", "--out", out, "--no-pictures", *options]
    command = [sys.executable, "-m", "microgrud", *words, "--scheduler", cluster.address]
    environment = {**os.environ, "PYTHONPATH": str(Path(microgrud.__file__).parents[1])}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def parameters(run: str) -> list[float]:
    """Return the parameters of all networks of a run."""
    networks: list[list[float]] = json.loads(Path(run, "model.json").read_text())["network"]["networks"]
    return [number for network in networks for number in network]


def until_training(process: subprocess.Popen[str]) -> None:
    """Wait until the networks are being trained: all notes on the table come before that."""
    assert process.stderr is not None
    assert process.stderr.readline().startswith("note: Of 600 rows in 2 files")
    time.sleep(2.0)
    assert process.poll() is None, process.stderr.read()


@pytest.mark.slow("30 s: two trainings on a cluster of three processes")
def test_a_worker_killed_in_mid_run_changes_nothing_but_the_time(cluster: Cluster) -> None:
    options = ["--estimators", "2", "--hidden", "16", "--epochs", "50", "--batch-size", "20"]
    process = trains(cluster, "whole", *options)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert "shop: predicting price (regression, a number), from 2 columns" in stdout
    process = trains(cluster, "killed", *options)
    until_training(process)
    cluster.workers[0].kill()
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert parameters("killed") == pytest.approx(parameters("whole"), rel=1e-6, abs=1e-9)
    # As for any run: the held-out rows are predicted as in training, and `show` and the report describe it.
    rows = pd.read_csv("whole/predictions.csv")
    succeed("predict", "whole", "shop/0.parquet", "shop/1.parquet", "--out", "all.csv")
    assert pd.read_csv("all.csv")["predicted"][rows["row"] - 1].tolist() == rows["predicted"].tolist()
    found = details("whole")
    assert found["trained"]["rows"] + found["trained"]["held_out_rows"] == ROWS
    assert found["scores"]["r2"] > 0.97 > found["scores"]["baseline"]["r2"]
    assert "seed 0" in succeed("show", "whole").stdout
    assert f"--scheduler {cluster.address}" in Path("whole/report.html").read_text()


@pytest.mark.slow("70 s: the time after which a cluster counts as lost")
def test_a_scheduler_that_goes_away_is_one_line_and_leaves_no_folder(cluster: Cluster) -> None:
    process = trains(cluster, "run", "--epochs", "2000", "--batch-size", "8")
    until_training(process)
    cluster.scheduler.kill()
    stdout, stderr = process.communicate(timeout=300)
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert (process.returncode, stdout, len(errors)) == (2, "", 1), stderr
    assert errors[0].startswith("error: --scheduler: ")
    assert not Path("run").exists()


@pytest.mark.slow("10 s: the time after which a scheduler counts as absent")
def test_a_scheduler_that_is_not_there_is_an_error_within_seconds() -> None:
    two_files()
    started = time.perf_counter()
    fails(["train", "shop/*.parquet", "--target", "sold", "--scheduler", "tcp://127.0.0.1:1"], "tcp://127.0.0.1:1")
    assert time.perf_counter() - started < 15.0
