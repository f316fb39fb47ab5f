"""The scripts of docs/howto/clusters.md run on a scheduler and two workers; its plan adds up times as they follow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("distributed")
pytest.importorskip("typer")
from benchmarks.cluster_plan import Network, Times, simulate

PAGE = Path(__file__).parent.parent / "docs" / "howto" / "clusters.md"
SCRIPTS = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


def run(folder: Path, name: str, *arguments: str) -> tuple[str, float]:
    """Run a script of the page in a folder; return the engine and the final loss that it prints."""
    (folder / f"{name}.py").write_text(SCRIPTS[name], encoding="utf-8")
    paths = os.pathsep.join([str(PAGE.parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, f"{name}.py", *arguments]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    engine, loss = done.stdout.split()[-2:]
    return engine, float(loss)


def test_all_code_of_the_page_is_in_scripts_that_run_here():
    blocks = PAGE.read_text(encoding="utf-8").count("```python")
    assert sorted(SCRIPTS) == ["train_collections", "train_local", "train_shards"]
    assert blocks == len(SCRIPTS)


def test_a_planned_step_of_one_worker_takes_all_times_one_after_the_other():
    times = Times(row=2e-6, call=0.1, place=3e-6, order_row=5e-6, alone=0.01, several=0.0, order=0.02)
    step = simulate(1_000, 1, 8_000, times, Network(latency=0.25, bandwidth=1e6))
    sent = step.bytes_here - 8_000  # to the worker
    assert 8_000 + 4_000 < sent < 8_000 + 4_500
    assert step.bytes_all == step.bytes_here
    expected = 1_000 * 8e-6 + 0.02 + sent / 1e6 + 0.25 + 0.01 + 0.1 + 1_000 * 2e-6 + 8_000 / 1e6 + 0.25
    assert step.seconds == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("workers", "levels"), [(8, 1), (9, 2), (16, 2), (72, 2), (73, 3), (1_000, 4)])
def test_planned_calls_go_down_a_tree_and_rows_are_shared(workers, levels):
    only_rows = Times(row=1e-3, call=0.0, place=0.0, order_row=0.0, alone=0.0, several=0.0, order=0.0)
    free = Network(latency=0.0, bandwidth=1e30)
    assert simulate(10_000, workers, 8, only_rows, free).seconds == pytest.approx(10.0 / workers)
    no_rows = only_rows._replace(row=0.0)
    step = simulate(10_000, workers, 8, no_rows, Network(latency=0.5, bandwidth=1e30))
    assert step.seconds == pytest.approx(2 * 0.5 * levels)  # down and up


@pytest.mark.slow("starts clusters: 15 s")
def test_the_script_with_a_cluster_of_its_own(tmp_path):
    engine, loss = run(tmp_path, "train_local")
    assert engine == "tape"
    assert 0.0 < loss < 0.25
    assert (tmp_path / "model.json").exists()


@pytest.mark.slow("starts clusters: 15 s")
def test_the_scripts_for_workers_in_terminals(tmp_path, monkeypatch):
    from cluster_report import cluster

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(PAGE.parents[2]))
    with cluster(2) as (client, _):
        address = client.scheduler.address
        engine, loss = run(tmp_path, "train_collections", address)
        assert engine == "tape"
        assert 0.0 < loss < 0.25
        first = run(tmp_path, "train_shards", address)
        assert first[0] == "tape"
        assert 0.0 < first[1] < 0.5
        assert (tmp_path / "run.checkpoint").exists()
    with cluster(1) as (client, _):  # another cluster, the same checkpoint
        assert run(tmp_path, "train_shards", client.scheduler.address)[1] == first[1]
