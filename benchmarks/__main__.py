"""`python -m benchmarks`: measure every engine that is installed, in one run, each in a process of its own."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
from typing import Annotated, Any

import typer

from .rivals import RIVALS
from .workloads import WORKLOADS

BASE = "plain floats"


def main(
    rounds: Annotated[int, typer.Option(help="How often each workload is run.")] = 15,
    only: Annotated[str, typer.Option(help="Rivals to measure, with commas between them.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure forward and backward of scalar programs, as multiples of the same program on plain floats."""
    chosen = [name for name in RIVALS if not only or name in only.split(",") or name == BASE]
    found: list[dict[str, Any]] = []
    for rival in chosen:
        # One thread of BLAS: those of NumPy spin for a while, on the core that is measured.
        env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-m", "benchmarks.worker", rival, str(rounds)]
        run = subprocess.run(command, env=env, capture_output=True, text=True)
        if run.returncode:
            found.append({"rival": rival, "missing": run.stderr.strip().rpartition("\n")[2]})
        found += [json.loads(line) for line in run.stdout.splitlines()]
    machine = f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {platform.system()}"
    if as_json:
        print(json.dumps({"machine": machine, "figures": found}, indent=1))
        return
    print(f"{machine}; median of {rounds}, as a multiple of plain floats (quartiles)")
    table(found)


def table(found: list[dict[str, Any]]) -> None:
    """Print the figures: a line for each engine, a column for each workload."""
    base = {figure["workload"]: figure["whole"] for figure in found if figure["rival"] == BASE and "whole" in figure}
    roots = {figure["workload"]: figure["root"] for figure in found if figure["rival"] == BASE and "root" in figure}
    print(f"{'':26}" + "".join(f"{name:>22}" for name in WORKLOADS))
    for rival in dict.fromkeys(figure["rival"] for figure in found):
        own = {figure.get("workload"): figure for figure in found if figure["rival"] == rival}
        if None in own:
            print(f"{rival:26}  not here: {own[None]['missing']}")
            continue
        version = next(iter(own.values()))["version"]
        cells = []
        for name in WORKLOADS:
            if name not in own:
                cells.append("")
                continue
            if "failed" in own[name]:
                cells.append("recursion")
                continue
            if not math.isclose(own[name]["root"], roots[name], rel_tol=1e-9):
                cells.append("another result")
                continue
            low, high = (q / base[name] for q in own[name]["quartiles"])
            cells.append(f"{short(own[name]['whole'] / base[name])} ({short(low)}-{short(high)})")
        print(f"{rival + ' ' + version:26}" + "".join(f"{cell:>22}" for cell in cells))
    for figure in found:
        if figure["rival"] == "microgrud c" and figure.get("workload") in ("mlp", "mlp with dot", "chain"):
            name = figure["workload"]
            forward, backward = (figure[k] / figure["operations"] * 1e9 for k in ("forward", "backward"))
            multiple = (figure["forward"] + figure["backward"]) / base[name]
            print(
                f"microgrud c, {name}: {forward:.1f} ns forward and {backward:.1f} ns backward an operation, "
                f"{multiple:.2f} times plain floats"
            )


def short(multiple: float) -> str:
    """Write a multiple with three digits or so."""
    return f"{multiple:.2f}" if multiple < 10.0 else f"{multiple:.0f}"


if __name__ == "__main__":
    typer.run(main)
