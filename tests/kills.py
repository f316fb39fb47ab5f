"""Kill a training run with SIGKILL at any moment, resume it, and compare its end with that of an undisturbed run.

    python tests/kills.py PATH KIND     a run with its checkpoint at PATH; prints a digest of its end, and the seconds

`tests/kills_report.py` does this 200 times, `test_checkpoint_files.py` a few times.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from inside import thresholds

#: Kinds of runs: a recorded network; one with other state; L-BFGS; one whose file is rewritten at every save.
KINDS = ("recorded", "stateful", "lbfgs", "rewritten")


def run(path: Path, kind: str) -> str:
    """Train with a checkpoint, resuming if there is one; return a digest of the final state."""
    from microgrud.losses import squared_error
    from microgrud.nn import MLP
    from microgrud.train import fit

    class Stateful(MLP):
        """A network that draws from three generators and counts its calls."""

        def __init__(self) -> None:
            super().__init__(2, [4, 1], activation="tanh", rng=0)
            self.rng, self.numbers, self.calls = random.Random(0), np.random.default_rng(0), [0]

        def __call__(self, x: Any) -> Any:
            self.calls[0] += 1
            return super().__call__(x) * (1.0 + 0.01 * self.rng.random() + 0.01 * self.numbers.random()) + (
                0.001 * random.random() + 1e-5 * self.calls[0]
            )

    random.seed(1)
    rows = [[i / 40, (i % 7) / 7] for i in range(40)]
    targets = [a * b for a, b in rows]
    model = Stateful() if kind == "stateful" else MLP(2, [8, 8, 1], activation="tanh", rng=0)
    optimizer = "lbfgs" if kind == "lbfgs" else "adam"
    epochs = {"lbfgs": 8, "rewritten": 20}.get(kind, 60)
    settings: dict[str, Any] = {"epochs": epochs, "batch_size": 40 if kind == "lbfgs" else 8}
    rewritten = {"slack": -(1 << 40)} if kind == "rewritten" else {}
    with thresholds(pause=0, **rewritten):  # saves after every epoch, so that more kills strike a save
        history = fit(model, rows, targets, loss=squared_error, optimizer=optimizer, validation=0.2, early_stopping=50,
                      progress=False, checkpoint=path, resume=True, **settings)  # fmt: skip
    end = [[p.data.hex() for p in model.parameters()], history.to_dict(), random.random()]
    return hashlib.sha256(repr(end).encode()).hexdigest()


def command(path: Path, kind: str) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), str(path), kind]


def uninterrupted(folder: Path, kind: str) -> tuple[str, float]:
    """Return the digest of an undisturbed run, and the seconds that it takes."""
    result = subprocess.run(command(folder / f"{kind} whole.json", kind), check=True, capture_output=True, text=True)
    end, seconds = result.stdout.split()
    return end, float(seconds)


def killed(folder: Path, kind: str, seconds: float, rng: random.Random, most: int) -> tuple[str, int, bool]:
    """Kill runs, at most `most` of them, until one ends by itself.

    Args:
        folder: the folder of the checkpoint.
        kind: one of `KINDS`.
        seconds: the longest lifetime of a run after its first save.
        rng: draws the lifetime.
        most: the largest number of kills.

    Returns:
        The digest of the last run, the number of kills, and whether one of them left a torn line.
    """
    path = folder / f"{kind} {rng.random()}.json"
    kills, torn = 0, False
    while True:
        # The run has begun when the checkpoint exists; before that, it imports modules.
        before = path.stat().st_mtime_ns if path.exists() else None
        process = subprocess.Popen(command(path, kind), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and (path.stat().st_mtime_ns if path.exists() else None) == before:
            time.sleep(0.001)
        try:
            output, errors = process.communicate(timeout=rng.uniform(0.0, seconds) if kills < most else None)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            torn = torn or not path.read_bytes().endswith(b"\n")
            continue
        if process.returncode:
            raise AssertionError(f"{kind}, after {kills} kills: {errors}")
        return output.split()[0], kills, torn


if __name__ == "__main__":
    start = time.monotonic()
    print(run(Path(sys.argv[1]), sys.argv[2]), time.monotonic() - start)
