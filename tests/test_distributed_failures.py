"""Failures of a cluster of real processes: a scheduler and workers that are killed, added, and not fit for the task."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
distributed = pytest.importorskip("distributed")
pytest.importorskip("cloudpickle")

from microgrud.distributed import (  # noqa: E402
    ClusterError,
    Shards,
    crew as crew_module,
)
from microgrud.losses import squared_error  # noqa: E402
from microgrud.nn import MLP, Dropout, Layer, Module, Sequential  # noqa: E402
from microgrud.train import History, TrainingEvent, fit  # noqa: E402

pytestmark = [
    pytest.mark.slow("starts and kills processes, each of which imports Dask"),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills processes as POSIX systems do"),
]

X = np.random.default_rng(2).normal(size=(120, 3))
Y = np.sin(X[:, 0]) + X[:, 1] ** 2
#: The step after which something happens, of 12.
STEP = 5


class Processes:
    """A scheduler and workers of Dask on this machine, each a process of its own.

    Args:
        folder: a folder for the address of the scheduler, and for modules that workers import at their start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.all: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        self.client = distributed.Client(scheduler_file=str(self.file), timeout=60)

    def worker(self, at_start: str = "") -> subprocess.Popen[bytes]:
        """Start a worker, which runs some code first, and return it when the scheduler knows it."""
        before = set(self.client.scheduler_info(n_workers=-1)["workers"])
        paths = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
        if at_start:
            own = self.folder / f"start{len(self.all)}"
            own.mkdir()
            (own / "sitecustomize.py").write_text(at_start)
            paths.insert(0, str(own))
        process = self._start("dask_worker", "--no-nanny", "--nthreads", "1", paths=paths)
        self._wait(lambda found: bool(found - before))
        return process

    def kill(self, worker: subprocess.Popen[bytes], and_wait: bool = False) -> None:
        """Kill a worker with SIGKILL; perhaps wait until the scheduler has noticed."""
        before = set(self.client.scheduler_info(n_workers=-1)["workers"])
        worker.kill()
        worker.wait()
        if and_wait:
            self._wait(lambda found: bool(before - found))

    def end(self) -> None:
        """End the client and all processes."""
        for process in reversed(self.all):
            process.kill()
            process.wait()
        self.client.close(timeout=2)

    def _start(self, what: str, *options: str, paths: list[str] | None = None) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)} if paths else dict(os.environ)
        command = [sys.executable, "-m", f"distributed.cli.{what}", "--scheduler-file", str(self.file)]
        process = subprocess.Popen(
            [*command, "--no-dashboard", *options],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.all.append(process)
        return process

    def _wait(self, holds: Callable[[set[str]], bool]) -> None:
        end = time.monotonic() + 60.0
        while not holds(set(self.client.scheduler_info(n_workers=-1)["workers"])):
            assert time.monotonic() < end, "the scheduler does not notice a worker"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Yield a scheduler with two workers; tests leave two."""
    made = Processes(tmp_path_factory.mktemp("cluster"))
    made.two = [made.worker(), made.worker()]  # type: ignore[attr-defined]
    yield made
    made.end()


def rows(first: int, last: int) -> tuple[Any, Any]:
    return X[first:last], Y[first:last]


def shards() -> Shards:
    return Shards([partial(rows, k, k + 20) for k in range(0, len(X), 20)])


def network() -> Module:
    return Sequential(MLP(3, [6], rng=1), Dropout(0.2, rng=3), Layer(6, 1, rng=2))


def train(client: Any, *callbacks: Any, model: Module | None = None, **more: Any) -> tuple[History, list[float]]:
    model = model or network()
    data = more.pop("data", None) or shards()
    settings = {"loss": squared_error, "epochs": 4, "batch_size": 40, "progress": False, **more}
    history = fit(model, data, client=client, callbacks=callbacks, **settings)
    return history, [p.data for p in model.parameters()]


def after_step(number: int, action: Callable[[], object]) -> Callable[[TrainingEvent], None]:
    def callback(event: TrainingEvent) -> None:
        if event.kind == "step" and event.step == number:
            action()

    return callback


@functools.cache
def undisturbed(client: Any) -> tuple[list[float], list[float]]:
    history, numbers = train(client)
    assert len(history.loss) == 12
    return history.loss, numbers


def test_a_worker_killed_in_mid_run_changes_no_bit(processes: Any) -> None:
    expected = undisturbed(processes.client)
    killed = processes.two.pop()
    history, numbers = train(processes.client, after_step(STEP, lambda: processes.kill(killed)))
    processes.two.append(processes.worker())
    assert (history.loss, numbers) == expected


def test_all_workers_replaced_in_mid_run_change_no_bit(processes: Any) -> None:
    def replace() -> None:
        for worker in processes.two:
            processes.kill(worker, and_wait=True)
        processes.two = [processes.worker()]

    history, numbers = train(processes.client, after_step(STEP, replace))
    processes.two.append(processes.worker())
    assert (history.loss, numbers) == undisturbed(processes.client)


def test_a_worker_that_comes_in_mid_run_changes_no_bit(processes: Any) -> None:
    more: list[Any] = []

    def exchange() -> None:
        more.append(processes.worker())
        processes.kill(processes.two.pop())

    history, numbers = train(processes.client, after_step(STEP, exchange))
    processes.two += more
    assert (history.loss, numbers) == undisturbed(processes.client)


@pytest.mark.parametrize(
    ("at_start", "text"),
    [
        ("import sys\nsys.modules['microgrud'] = None\n", "has no microgrud"),
        ("import microgrud\nmicrogrud.__version__ = '0.0.1'\n", r"has microgrud 0\.0\.1 on Python"),
    ],
    ids=["none", "another version"],
)
def test_a_worker_without_this_package_is_named(processes: Any, at_start: str, text: str) -> None:
    wrong = processes.worker(at_start)
    with pytest.raises(ClusterError, match=rf"tcp://127\.0\.0\.1:\d+ {text}"):
        train(processes.client)
    processes.kill(wrong, and_wait=True)


def test_ctrl_c_stops_after_the_step(processes: Any) -> None:
    history, _ = train(processes.client, after_step(STEP, lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert (history.stopped_by, len(history.loss)) == ("interrupt", STEP)


class TwoPartsError(Exception):
    """An exception that pickle cannot read back: it calls the class with one argument."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def test_an_error_of_a_loader_arrives_with_its_traceback_and_the_shard(processes: Any) -> None:
    def missing() -> Any:
        raise FileNotFoundError("no such file: part.parquet")

    def unreadable() -> Any:
        raise TwoPartsError("no such", " part")

    errors = ((missing, FileNotFoundError, "no such file: part.parquet"), (unreadable, RuntimeError, "no such part"))
    for loader, error, text in errors:
        with pytest.raises(error, match=text) as caught:
            train(processes.client, data=Shards([partial(rows, 0, 9), loader]))
        told = str(caught.value.__cause__)
        assert "loading shard 1:" in told
        assert f"in {loader.__name__}" in told


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (lambda: (X[:9, :2], Y[:9]), "shard 1: expected columns 3 as in shard 0, got 2"),
        (lambda: (X[:9], X[:9]), r"shard 1: expected target_shape \(\) as in shard 0, got \(3,\)"),
        (lambda: (X[:9], Y[:9], np.ones(9)), "shard 0: expected sample weights as in others, got none"),
        (lambda: (X[:0], Y[:0]), "shard 1: expected at least one row, got none"),
    ],
    ids=["columns", "targets", "weights", "empty"],
)
def test_shards_of_other_columns_and_targets_are_errors(processes: Any, other: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        train(processes.client, data=Shards([partial(rows, 0, 9), other]))


def test_columns_of_other_names_are_an_error(processes: Any) -> None:
    pandas = pytest.importorskip("pandas")

    def named(*names: str) -> Callable[[], Any]:
        return lambda: (pandas.DataFrame(X[:9], columns=list(names)), Y[:9])

    with pytest.raises(ValueError, match=r"shard 1: expected names \('a', 'b', 'c'\) as in shard 0"):
        train(processes.client, data=Shards([named("a", "b", "c"), named("a", "c", "b")]))


def test_a_shard_whose_source_has_changed_is_an_error(processes: Any, tmp_path: Path) -> None:
    files = [str(tmp_path / f"{k}.npy") for k in range(4)]

    def write(scale: float) -> None:
        for k, file in enumerate(files):
            np.save(file, scale * X[20 * k : 20 * k + 20])

    def read(file: str) -> Any:
        found = np.load(file)
        return found, found[:, 0]

    def change_and_kill() -> None:
        write(2.0)
        processes.kill(processes.two.pop())

    write(1.0)
    with pytest.raises(ClusterError, match=r"shard \d has other rows than at the start of the run"):
        train(processes.client, after_step(STEP, change_and_kill), data=Shards([partial(read, file) for file in files]))
    processes.two.append(processes.worker())


def test_a_scheduler_that_is_gone_is_an_error_and_the_checkpoint_resumes(
    processes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = undisturbed(processes.client)
    monkeypatch.setattr(crew_module, "_PATIENCE", 3.0)
    address, file, model = processes.client.scheduler.address, tmp_path / "run", network()

    def stop() -> None:
        killed.append(time.monotonic())
        processes.scheduler.kill()
        processes.scheduler.wait()

    killed: list[float] = []
    with pytest.raises(ClusterError, match=f"the scheduler at {address} is gone"):
        train(processes.client, after_step(STEP, stop), model=model, checkpoint=file)
    assert time.monotonic() - killed[0] < 30.0
    assert all(np.isfinite(p.data) for p in model.parameters())
    (tmp_path / "other").mkdir()
    others = Processes(tmp_path / "other")
    try:
        others.worker()
        history, numbers = train(others.client, checkpoint=file, resume=True)
    finally:
        others.end()
    assert (history.loss, numbers) == expected
