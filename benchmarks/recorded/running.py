"""Run the second or the third suite: one process for each rival and workload, one after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection
from typing import Any

from .rivals import ONE_CORE, RIVALS
from .suite import WORKLOADS


def run(
    rivals: Collection[str], workloads: Collection[str], rounds: int, seconds: float, limit: float
) -> list[dict[str, Any]]:
    """Measure the given rivals on the given workloads, and return the figures.

    Args:
        rivals: their names.
        workloads: their names.
        rounds: the maximum number of rounds per case.
        seconds: the time after which no further round begins.
        limit: the time after which a case is stopped and reported as such.
    """
    found: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    for name, workload in WORKLOADS.items():
        for rival in RIVALS:
            cases = workload.cases_of(rival)
            if name not in workloads or rival not in rivals or rival in missing or not cases:
                continue
            print(f"{name}: {rival}", file=sys.stderr)
            for figure in _measured(rival, name, cases, rounds, seconds, limit):
                found.append(figure)
                if "missing" in figure:
                    missing[rival] = figure["missing"]
    return found


def _measured(
    rival: str, name: str, cases: list[str], rounds: int, seconds: float, limit: float
) -> list[dict[str, Any]]:
    """Measure the cases; if one ends the process, measure the remaining ones in another process."""
    found: list[dict[str, Any]] = []
    left = list(cases)
    while left:
        command = [sys.executable, "-m", "benchmarks.recorded.worker", rival, name]
        command += [str(rounds), str(seconds), str(limit), *left]
        run = subprocess.run(command, env={**os.environ, **ONE_CORE}, capture_output=True, text=True)
        own = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
        found += own
        if any("missing" in figure for figure in own):
            break
        done = {figure["case"] for figure in own}
        left = [case for case in left if case not in done]
        if left:
            took_too_long = "Timeout (" in run.stderr
            reason = f"more than {limit:.0f} s" if took_too_long else run.stderr.strip().rpartition("\n")[2]
            found.append({"rival": rival, "workload": name, "case": left.pop(0), "failed": reason or "ended"})
    return found
