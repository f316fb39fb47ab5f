"""Kill a training run with SIGKILL at any moment, resume it, and compare its end with that of one never killed.

    python tests/kills.py run PATH KIND        one run, with its checkpoint at PATH; prints what it ends with

`tests/kills_report.py` does it 200 times, `test_checkpoint_files.py` a few.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

#: Kinds of runs: a recorded network; one with state of its own; L-BFGS; one whose file is written anew all the time.
KINDS = ("recorded", "stateful", "lbfgs", "rewritten")


def run(path: Path, kind: str) -> str:
    """Train with a checkpoint, resuming where there is one; return a digest of all that the run ends with."""
    from microgrud.losses import squared_error
    from microgrud.nn import MLP
    from microgrud.train import checkpoint, fit

    class Stateful(MLP):
        """Draws from three generators and counts."""

        def __init__(self) -> None:
            super().__init__(2, [4, 1], activation="tanh", rng=0)
            self.rng, self.numbers, self.calls = random.Random(0), np.random.default_rng(0), [0]

        def __call__(self, x: Any) -> Any:
            self.calls[0] += 1
            return super().__call__(x) * (1.0 + 0.01 * self.rng.random() + 0.01 * self.numbers.random()) + (
                0.001 * random.random() + 1e-5 * self.calls[0]
            )

    checkpoint._PAUSE = 0  # saved after every epoch, so that more kills strike a save
    if kind == "rewritten":
        checkpoint._SLACK = -(1 << 40)
    random.seed(1)
    rows = [[i / 40, (i % 7) / 7] for i in range(40)]
    targets = [a * b for a, b in rows]
    model = Stateful() if kind == "stateful" else MLP(2, [8, 8, 1], activation="tanh", rng=0)
    optimizer = "lbfgs" if kind == "lbfgs" else "adam"
    settings: dict[str, Any] = {"epochs": 3 if kind == "lbfgs" else 60, "batch_size": 40 if kind == "lbfgs" else 8}
    history = fit(model, rows, targets, loss=squared_error, optimizer=optimizer, validation=0.2, early_stopping=50,
                  progress=False, checkpoint=path, resume=True, **settings)  # fmt: skip
    end = [[p.data.hex() for p in model.parameters()], history.to_dict(), random.random()]
    return hashlib.sha256(repr(end).encode()).hexdigest()


def command(path: Path, kind: str) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), "run", str(path), kind]


def uninterrupted(folder: Path, kind: str) -> tuple[str, float]:
    """Return what a run ends with that nothing kills, and the seconds that it takes from start to end."""
    start = time.monotonic()
    end = subprocess.run(command(folder / f"{kind} whole.json", kind), check=True, capture_output=True, text=True)
    return end.stdout.strip(), time.monotonic() - start


def killed(folder: Path, kind: str, seconds: float, rng: random.Random) -> tuple[str, int, bool]:
    """Kill runs until one ends by itself: return what it ends with, the kills, and whether one tore a line."""
    path = folder / f"{kind} {rng.random()}.json"
    kills, torn = 0, False
    while True:
        # Once the checkpoint is there the run has begun; the time before that is that of imports.
        before = path.stat().st_mtime_ns if path.exists() else None
        process = subprocess.Popen(command(path, kind), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and (path.stat().st_mtime_ns if path.exists() else None) == before:
            time.sleep(0.001)
        try:
            output, errors = process.communicate(timeout=rng.uniform(0.0, seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            torn = torn or not path.read_bytes().endswith(b"\n")
            continue
        if process.returncode:
            raise AssertionError(f"{kind}, after {kills} kills: {errors}")
        leftover = [each for each in os.listdir(folder) if each.startswith(".")]
        if len(leftover) > kills:
            raise AssertionError(f"{kind}, after {kills} kills: {leftover}")
        return output.strip(), kills, torn


if __name__ == "__main__":
    print(run(Path(sys.argv[2]), sys.argv[3]))
