"""Run the second suite: each rival and workload in a process of its own, one after the other."""

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
    """Measure some rivals on some workloads, and return the figures.

    Args:
        rivals: their names.
        workloads: their names.
        rounds: how often each case is done, beside the base.
        seconds: after so many no further round is begun.
        limit: a case that takes longer has no figure, but that.
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
    """Measure the cases; where one ends the process, the others are measured in another."""
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
