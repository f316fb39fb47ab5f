"""The first suite: eager engines, timed as multiples of the same scalar programs on plain floats."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from .rivals import BASE, RIVALS
from .workloads import WORKLOADS


def run(rounds: int, chosen: set[str]) -> list[dict[str, Any]]:
    """Measure the chosen engines, each in a process of its own, and return the figures."""
    found: list[dict[str, Any]] = []
    for rival in RIVALS:
        if rival not in chosen and rival != BASE:
            continue
        # One thread of BLAS: more threads of NumPy would spin on the measured core for a while.
        env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-m", "benchmarks.worker", rival, str(rounds)]
        print(f"eager: {rival}", file=sys.stderr)
        run = subprocess.run(command, env=env, capture_output=True, text=True)
        if run.returncode:
            found.append({"rival": rival, "missing": run.stderr.strip().rpartition("\n")[2]})
        found += [json.loads(line) for line in run.stdout.splitlines()]
    return found


def table(found: list[dict[str, Any]]) -> None:
    """Print the figures, with a line for each engine and a column for each workload."""
    print(f"{'':26}" + "".join(f"{name:>22}" for name in WORKLOADS))
    for rival in dict.fromkeys(figure["rival"] for figure in found):
        own = {figure.get("workload"): figure for figure in found if figure["rival"] == rival}
        if None in own:
            print(f"{rival:26}  not measured: {own[None]['missing']}")
            continue
        version = next(iter(own.values()))["version"]
        cells = []
        for figure in (own.get(name) for name in WORKLOADS):
            if figure is None or "failed" in figure:
                cells.append(figure["failed"] if figure else "")
                continue
            low, high = figure["quartiles"]
            cells.append(f"{short(figure['multiple'])} ({short(low)}-{short(high)})")
        print(f"{rival + ' ' + version:26}" + "".join(f"{cell:>22}" for cell in cells))
    for figure in found:
        if figure["rival"] == "microgrud c" and figure.get("workload") in ("mlp", "mlp with dot", "chain"):
            forward, backward = (figure[k] / figure["operations"] * 1e9 for k in ("forward", "backward"))
            print(
                f"microgrud c, {figure['workload']}: {forward:.1f} ns forward and {backward:.1f} ns backward per "
                f"operation, {figure['multiple_unfreed']:.2f} times plain floats without freeing the graph"
            )


def short(multiple: float) -> str:
    """Format a multiple with two decimals below 10, and with none from 10 on."""
    return f"{multiple:.2f}" if multiple < 10.0 else f"{multiple:.0f}"
