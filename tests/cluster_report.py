"""Train on a Dask cluster, and kill a worker with -9 in mid-run: `python tests/cluster_report.py [--rows 1000000]`.

The cluster is a `dask scheduler` with `dask worker` processes of one thread, without nannies, on loopback. The command
prints times and final losses of runs with 1, 2 and 3 workers, of a run with two workers of which one is killed, and of
a run in this process. It fails if the runs on the cluster differ in a bit of the parameters or of the history, or if
their final loss differs from that of this process by more than 1e-12 of it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from dask.distributed import Client

from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.train import TrainingEvent, fit


@contextmanager
def cluster(workers: int) -> Iterator[tuple[Client, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and workers; yield a client and the processes of the workers."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        command = (sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:])
        processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "scheduler.json")
        try:
            start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file)
            for _ in range(workers):
                options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", folder)
                start("worker", "--scheduler-file", file, "--host", "127.0.0.1", *options)
            with Client(scheduler_file=file, timeout=60) as client:
                client.wait_for_workers(workers, timeout=60)
                yield client, processes[1:]
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()


class Killing:
    """A callback that kills a process with -9 after some steps, and notes the moments of all steps.

    Args:
        victim: the process.
        steps: the number of steps.
    """

    def __init__(self, victim: subprocess.Popen[bytes], steps: int) -> None:
        self.victim, self.steps = victim, steps
        self.moments: list[float] = []

    def __call__(self, event: TrainingEvent) -> None:
        self.moments.append(time.perf_counter())
        if len(self.moments) == self.steps:
            self.victim.kill()


def train(
    arguments: argparse.Namespace, client: Client | None, callbacks: Sequence[Callable[[TrainingEvent], object]] = ()
) -> tuple[float, list[float], list[str]]:
    """Return the seconds of a run, the losses of its epochs, and all parameters in hexadecimal digits."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(arguments.rows, 10))
    y = np.sin(X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=arguments.rows)
    model = MLP(10, [64, 32, 1], activation="tanh", rng=0)
    settings: dict[str, Any] = {"epochs": arguments.epochs, "batch_size": arguments.batch, "progress": False}
    start = time.perf_counter()
    history = fit(model, X, y, loss=squared_error, lr=0.01, callbacks=callbacks, client=client, **settings)
    seconds = time.perf_counter() - start
    return seconds, list(history.loss), [parameter.data.hex() for parameter in model.parameters()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 1, 3], help="Numbers of workers.")
    arguments = parser.parse_args()
    seconds, here, _ = train(arguments, None)
    print(f"this process         {seconds:6.1f} s, final loss {here[-1]!r}", flush=True)
    expected: tuple[list[float], list[str]] | None = None
    for workers, kills in [*((count, False) for count in arguments.workers), (2, True)]:
        with cluster(workers) as (client, processes):
            killing = Killing(processes[0], arguments.epochs * arguments.rows // arguments.batch // 2)
            seconds, losses, parameters = train(arguments, client, [killing] if kills else [])
            left = len(client.nthreads())
        name = f"{workers} workers" + (", 1 killed" if kills else "")
        pause = f", longest step {max(np.diff(killing.moments)):.1f} s, {left} workers left" if kills else ""
        print(f"{name:20} {seconds:6.1f} s, final loss {losses[-1]!r}{pause}", flush=True)
        if kills and left != workers - 1:
            raise SystemExit(f"{name}: expected {workers - 1} workers at the end, got {left}")
        if expected is None:
            expected = losses, parameters
        if (losses, parameters) != expected:
            raise SystemExit(f"{name}: losses or parameters differ from those of the first run on a cluster")
        if abs(losses[-1] - here[-1]) > 1e-12 * abs(here[-1]):
            raise SystemExit(f"{name}: the final loss differs from that of this process")
    print("on clusters: all losses and parameters equal to the bit")


if __name__ == "__main__":
    main()
