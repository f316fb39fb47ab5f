"""The command line: training that Ctrl-C or `--time` ends, and `--search`."""

from __future__ import annotations

import importlib
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typed import QUICK, a_table, contents, details, microgrud_cli, succeed, written

import microgrud
from microgrud import cli
from microgrud.cli import commands
from microgrud.cli.loading import held_interrupts
from microgrud.cli.predicting import Predictor
from microgrud.sklearn import MLPClassifier
from microgrud.tables import read_table
from microgrud.train import fit

for name in ("graphviz", "matplotlib", "tqdm"):
    pytest.importorskip(name)
pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C after so many steps of any trainings."""
    steps = 0

    def press(event: Any) -> None:
        nonlocal steps
        steps += event.kind == "step"
        if steps == step:
            signal.raise_signal(signal.SIGINT)

    def interrupted(*args: Any, callbacks: Any, **options: Any) -> Any:
        return fit(*args, **options, callbacks=[*callbacks, press])

    monkeypatch.setattr("microgrud.sklearn.members.fit", interrupted)


def press_before(function: Any, presses: int = 1) -> Any:
    """Return the function with Ctrl-C pressed at its start."""

    def pressed(*args: Any, **options: Any) -> Any:
        for _ in range(presses):
            signal.raise_signal(signal.SIGINT)
        return function(*args, **options)

    return pressed


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


def test_an_interrupted_run_is_kept_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(3, monkeypatch)
    result = microgrud_cli("train", a_table(), "--target", "class", "--no-pictures", "--estimators", 3, "--out", "run")
    assert result.exit_code == 130
    assert "Training was interrupted after 3 steps" in result.output
    assert "Training was interrupted after 3 steps" in Path("run/report.html").read_text(encoding="utf-8")
    assert len(pd.read_csv("run/history.csv")) == 3
    assert "3 steps, interrupted" in succeed("show", "run").output
    succeed("predict", "run", "table.csv")


def test_ctrl_c_in_a_fold_keeps_the_network_and_the_scores_of_the_folds_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(7, monkeypatch)
    options = ["--cv", 3, "--estimators", 1, "--epochs", 5, "--batch-size", 20, "--no-pictures", "--out", "run"]
    result = microgrud_cli("train", a_table(), "--target", "class", *options)
    assert result.exit_code == 130
    assert "The model is that of fold 2, and has learned from 20 rows only." in result.stderr
    assert details()["scores"]["method"]["networks"] == 2
    assert len(pd.read_csv("run/predictions.csv")) == 20
    succeed("show", "run")


def test_ctrl_c_while_other_processes_train_ends_the_folds_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def finish_one(calls: Any) -> Any:
        train, given, options = next(calls)
        yield train(*given, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr("microgrud.sklearn.training.Parallel", lambda **options: finish_one)
    result = microgrud_cli(
        "train", a_table(), "--target", "class", *QUICK, "--estimators", 4, "--cv", 3, "--out", "run"
    )
    assert result.exit_code == 130
    assert "note: Fold 1: Training was interrupted; 2 of 4 networks are finished and kept\n" in result.stderr
    assert (details()["trained"]["interrupted"], details()["scores"]["method"]["networks"]) == (True, 1)


def test_ctrl_c_while_modules_are_imported_waits_for_their_end() -> None:
    def load() -> None:
        with held_interrupts():
            signal.raise_signal(signal.SIGINT)
            loaded.append("all")

    loaded: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        load()
    assert loaded == ["all"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ImportError), held_interrupts():
        raise ImportError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


PRESSED_IN_AN_IMPORT = """
import importlib.abc, signal, sys
from microgrud.cli import main
class Press(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *others):
        if name == "sklearn.base":
            signal.raise_signal(signal.SIGINT)
        elif name == "microgrud.cli.predicting":
            print("still loading")
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Press())
main()
"""


@pytest.mark.slow("2 s: another process")
def test_ctrl_c_in_an_import_is_one_line_after_it() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(microgrud.__file__).parents[1])}
    command = [sys.executable, "-c", PRESSED_IN_AN_IMPORT, "train"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (result.returncode, result.stdout) == (130, "still loading\n")
    assert result.stderr == "error: interrupted\n"


@pytest.mark.parametrize(
    ("where", "presses", "error"),
    [
        ("commands.read_table", 1, "interrupted"),
        ("pipeline.inspect_target", 1, "interrupted; nothing was kept"),
        ("judging.importance", 2, "interrupted; nothing was kept"),
    ],
)
def test_ctrl_c_that_leaves_nothing_says_so(
    where: str, presses: int, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = where.split(".")
    function = getattr(importlib.import_module(f"microgrud.cli.{module}"), name)
    monkeypatch.setattr(f"microgrud.cli.{where}", press_before(function, presses))
    result = microgrud_cli("train", a_table(), "--target", "class", *QUICK)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.splitlines()[-1] == f"error: {error}"
    assert os.listdir() == ["table.csv"]


@pytest.mark.parametrize("where", ["judging.importance", "runfolder.save_pipeline", "runfolder.report_page"])
def test_ctrl_c_after_training_keeps_the_whole_model(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["train", a_table(), "--target", "class", *QUICK, "--out"]
    succeed(*words, "whole")
    module, name = where.split(".")
    function = getattr(importlib.import_module(f"microgrud.cli.{module}"), name)
    monkeypatch.setattr(f"microgrud.cli.{where}", press_before(function))
    result = microgrud_cli(*words, "run")
    model = Path("run/model.json")
    assert result.exit_code == 130
    expected = f"error: interrupted; the model is there: {model}, but its report is missing"
    assert result.stderr.splitlines()[-1] == expected
    whole = contents("whole")
    del whole["report.html"]
    assert contents("run") == whole
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_the_command_line_loads_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(**options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "app", interrupted)
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 130
    assert capsys.readouterr().err == "error: interrupted\n"


# --- --search and --time ----------------------------------------------------------------------------------------------


SEARCHES = {
    10_000: r"The search tried 12 settings on the training rows, and (chose --lr|found none that is better than)",
    200: r"The search was interrupted before it compared its best settings with the default, and chose --lr",
    20: r"The search was interrupted in its first round: training goes on with the default\.",
}


@pytest.mark.parametrize("press", [20, 200, pytest.param(10_000, marks=pytest.mark.slow("1 s: a whole search"))])
def test_a_search_says_what_it_found_even_if_ctrl_c_ends_it(press: int, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(press, monkeypatch)
    table = written({"x": [i % 7 for i in range(300)], "y": [i % 7 + i % 2 / 9 for i in range(300)]})
    result = succeed("train", table, "--target", "y", *QUICK, "--batch-size", 20, "--search", "--out", "run")
    assert re.search(f"^note: {SEARCHES[press]}", result.stderr, re.MULTILINE)
    found = details()["settings"]
    assert (found["hidden"], found["search"]) == ([4], False)  # the given size is left alone
    chosen = re.search(r"chose --lr (\S+) --weight-decay (\S+)\.", result.stderr)
    if chosen:
        assert (found["lr"], found["weight_decay"]) == (float(chosen[1]), float(chosen[2]))


def test_a_search_without_anything_to_search_or_enough_rows_says_so() -> None:
    given = ["--target", "class", *QUICK, "--lr", 0.01, "--weight-decay", 0.1, "--search"]
    note = "note: --search: sizes, rate and decay are given, so that there is nothing to search.\n"
    assert note in succeed("train", a_table(), *given).stderr
    table = a_table(**{"class": [f"class {i % 15}" for i in range(30)]})
    result = succeed("train", table, "--target", "class", *QUICK, "--search")
    assert "note: --search: there are too few rows of each class for a search.\n" in result.stderr
    assert "unique classes" not in result.stderr  # scikit-learn's warning, that classes of two rows may be numbers


def test_a_limit_of_time_that_cuts_is_noted() -> None:
    succeed("train", a_table(), "--target", "class", *QUICK, "--time", "1000", "--out", "run")
    assert "--time" not in "".join(details()["notes"])
    rows = {"x": np.random.default_rng(0).normal(size=2000).tolist(), "y": np.arange(2000) % 7 / 2}
    options = ["--time", "0.05", "--epochs", "9999", "--estimators", "1", "--no-pictures", "--out", "cut"]
    result = succeed("train", written(rows), "--target", "y", *options)
    assert re.search(r"note: --time ended the training after \d+(, \d+)* of at most 9999 epochs", result.stderr)


def test_folds_share_the_limit_of_time_and_each_fold_says_when_it_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def limited(*args: Any, max_seconds: float, **options: Any) -> Any:
        limits.append(max_seconds)
        return MLPClassifier(*args, max_seconds=max_seconds, **options)

    monkeypatch.setattr("microgrud.cli.fitting.MLPClassifier", limited)
    words = ["train", a_table(), "--target", "class", *QUICK, "--cv", 2, "--time"]
    succeed(*words, 10000, "--out", "run")
    assert limits == pytest.approx([10000 / k for k in (3, 2, 1)], rel=0.01)
    assert Predictor.load("run").pipeline["network"].max_seconds == details()["settings"]["time"] == 10000
    result = succeed(*words, 1e-6, "--out", "cut")
    for fold in ("Fold 1: ", "Fold 2: ", ""):
        assert f"note: {fold}--time ended the training after 0 of at most 2 epochs" in result.stderr
    share = 1 - Predictor.load("cut").pipeline["network"].network_share_
    state = f"the share of linear models in the predictions is {share:.0%}"
    assert f"note: No epoch ended within the limit of time: {state}; choose a longer --time." in result.stderr


def test_a_fold_that_takes_too_long_leaves_the_others_their_share_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def limited(*args: Any, max_seconds: float, **options: Any) -> Any:
        limits.append(max_seconds)
        return MLPClassifier(*args, max_seconds=max_seconds, **options)

    monkeypatch.setattr("microgrud.cli.fitting.MLPClassifier", limited)
    clock = SimpleNamespace(perf_counter=lambda: time.perf_counter() + 1000 * len(limits))
    monkeypatch.setattr("microgrud.cli.pipeline.time", clock)
    succeed("train", a_table(), "--target", "class", *QUICK, "--cv", 2, "--time", 900, "--out", "run")
    assert limits == pytest.approx([300, 300, 300], rel=0.05)


@pytest.mark.parametrize(
    ("limit", "end"),
    [
        (30, "in its first round: training goes on with the default."),
        (90, "before it compared its best settings with the default, and chose --lr"),
    ],
)
def test_a_search_takes_half_of_the_limit_of_time_at_most(
    limit: int, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()  # each training takes one
    monkeypatch.setattr("microgrud.cli.searching.time", SimpleNamespace(perf_counter=lambda: next(seconds)))
    table = written({"x": [i % 7 for i in range(300)], "y": [i % 7 + i % 2 / 9 for i in range(300)]})
    result = succeed("train", table, "--target", "y", *QUICK, "--search", "--time", limit)
    assert f"note: The search was ended by --time {end}" in result.stderr
    assert limit / 2 - 2 <= next(seconds) - 1 <= limit / 2


def test_the_limit_of_time_counts_from_the_start_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_slowly(*args: Any, **options: Any) -> Any:
        time.sleep(0.2)
        return read_table(*args, **options)

    monkeypatch.setattr("microgrud.cli.commands.read_table", read_slowly)
    result = succeed("train", a_table(), "--target", "class", *QUICK, "--time", 0.2)
    assert "note: --time ended the training after 0 of at most 2 epochs" in result.stderr
