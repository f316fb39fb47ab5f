"""Measure one engine in this process: `python -m benchmarks.worker RIVAL ROUNDS`; a line of JSON for each workload."""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from typing import Any

from .rivals import RIVALS
from .workloads import WORKLOADS


def measure(rival: str, rounds: int) -> None:
    """Print the median, and the quartiles, of the times of every workload, in seconds."""
    try:
        engine = RIVALS[rival]()
    except ImportError as error:
        print(json.dumps({"rival": rival, "missing": str(error)}))
        return
    for name, workload in WORKLOADS.items():
        program = workload(engine)
        if program is None:
            continue
        run, operations = program
        backward = engine.backward if name != "inference" else None
        try:
            root: Any = run()
            found = engine.read(root)
            if backward is not None:
                backward(root)
            del root
        except RecursionError as error:
            print(json.dumps({"rival": rival, "version": engine.version, "workload": name, "failed": str(error)}))
            continue
        forward_times, backward_times, whole_times = [], [], []
        started = time.perf_counter()
        while len(whole_times) < rounds and time.perf_counter() - started < 20.0:
            gc.collect()
            t0 = time.perf_counter()
            root = run()
            t1 = time.perf_counter()
            if backward is not None:
                backward(root)
            t2 = time.perf_counter()
            del root  # freeing the graph is part of its price
            t3 = time.perf_counter()
            forward_times.append(t1 - t0)
            backward_times.append(t2 - t1)
            whole_times.append(t3 - t0)
        result = {
            "rival": rival,
            "version": engine.version,
            "workload": name,
            "root": found,
            "operations": operations,
            "forward": statistics.median(forward_times),
            "backward": statistics.median(backward_times),
            "whole": statistics.median(whole_times),
            "quartiles": statistics.quantiles(whole_times, n=4)[::2] if len(whole_times) > 1 else whole_times * 2,
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    measure(sys.argv[1], int(sys.argv[2]))
