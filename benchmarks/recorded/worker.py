"""Measure one rival in this process: `-m benchmarks.recorded.worker RIVAL WORKLOAD ROUNDS SECONDS LIMIT CASE...`.

The process prints a line of JSON for each case. A case that takes longer than the limit ends the process.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .rivals import RIVALS, pinned
from .suite import WORKLOADS
from .workload import Step, Workload

#: Minimum duration, in seconds, of a block of steps that is timed as a whole.
_BLOCK = 0.002


def measure(rival: str, name: str, rounds: int, seconds: float, limit: float, cases: Sequence[str]) -> None:
    """Print the figures of a rival for the given cases of a workload."""
    pinned(rival)
    try:
        version = RIVALS[rival]()
    except ImportError as error:
        print(json.dumps({"rival": rival, "missing": str(error)}))
        return
    for case in cases:
        faulthandler.dump_traceback_later(limit, exit=True)
        found = {"rival": rival, "version": version, "workload": name, "case": case}
        print(json.dumps(found | figures(WORKLOADS[name], rival, case, rounds, seconds)), flush=True)
        faulthandler.cancel_dump_traceback_later()


def figures(workload: Workload, rival: str, case: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the time of the first step and of the following ones, or the reason for having none."""
    data = workload.data(case)
    base = workload.programs[workload.base](data)
    truth = base.read(base.run())
    started = time.perf_counter()
    step = workload.programs[rival](data)
    answer = step.run()
    first = time.perf_counter() - started
    if not agree(step.read(answer), truth, workload.tolerance):
        return {"failed": "another result"}
    del answer
    return {"first": first, **timed(step, base, rounds, seconds, clock_for(rival))}


def agree(found: Any, truth: Any, tolerance: float) -> bool:
    """Return whether results equal the base, relative to each number, apart from the rounding of the largest."""
    smallest = 1e-13 * float(np.max(np.abs(truth)))
    return found.shape == truth.shape and bool(np.allclose(found, truth, rtol=tolerance, atol=smallest))


def timed(step: Step, base: Step, rounds: int, seconds: float, clock: Callable[[], float]) -> dict[str, Any]:
    """Return seconds per step and multiples of the base: medians and quartiles over the rounds.

    Each round times the base and then the rival, and yields the ratio of these two times. A round repeats a short step
    three times and counts the fastest.
    """
    own, floor = repeated(step, clock), repeated(base, clock)
    gc.collect()
    started = time.perf_counter()
    base_count, _ = enough(floor)
    own_count, spent = enough(own)
    # The time of a long step is known already: reuse it for the first round.
    times = [(floor(base_count) / base_count, spent)] if own_count == 1 else []
    while len(times) < rounds and (not times or time.perf_counter() - started < seconds):
        turns = 1 if own_count == 1 else 3
        pairs = [(floor(base_count) / base_count, own(own_count) / own_count) for _ in range(turns)]
        times.append((min(theirs for theirs, _ in pairs), min(mine for _, mine in pairs)))
    multiples = [mine / theirs for theirs, mine in times]
    quartiles = statistics.quantiles(multiples, n=4, method="inclusive")[::2] if len(multiples) > 1 else multiples * 2
    return {
        "seconds": statistics.median(mine for _, mine in times),
        "base_seconds": statistics.median(theirs for theirs, _ in times),
        "multiple": statistics.median(multiples),
        "quartiles": quartiles,
        "rounds": len(times),
    }


def clock_for(rival: str) -> Callable[[], float]:
    """Return the clock for the steps of a rival: processor time, which excludes other programs on the machine.

    Rivals with several threads are timed in wall-clock time, and so are all rivals if the clock for processor time is
    coarse.
    """
    coarse = time.get_clock_info("process_time").resolution > 1e-5
    return time.perf_counter if coarse or "threads" in rival else time.process_time


def repeated(step: Step, clock: Callable[[], float]) -> Callable[[int], float]:
    """Return a function that repeats the step a given number of times and returns the seconds taken."""
    run = step.run

    def one_by_one(count: int) -> None:
        for _ in range(count):
            run()

    times = step.times or one_by_one

    def measured(count: int) -> float:
        if step.seconds is not None:
            return count * step.seconds(count, clock)
        started = clock()
        times(count)
        return clock() - started

    return measured


def enough(measured: Callable[[int], float]) -> tuple[int, float]:
    """Return a number of steps that fills a block, and the time that they took.

    The search for this number also warms up the rival.
    """
    count, spent = 1, measured(1)
    while spent < _BLOCK:
        count = max(2 * count, math.ceil(count * _BLOCK / max(spent, 1e-9)))
        spent = measured(count)
    return count, spent


if __name__ == "__main__":
    measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]), sys.argv[6:])
