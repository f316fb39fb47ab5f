"""Measure one engine in this process: `python -m benchmarks.worker RIVAL ROUNDS` prints a line of JSON per workload."""

from __future__ import annotations

import gc
import itertools
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from .rivals import BASE, RIVALS, Engine
from .workloads import WORKLOADS


def measure(rival: str, rounds: int) -> None:
    """Print the median and the quartiles of the times of every workload.

    Each round runs the program on plain floats first. A multiple compares two times of the same round, so drifts in the
    machine's speed do not distort it.
    """
    try:
        engine = RIVALS[rival]()
    except ImportError as error:
        print(json.dumps({"rival": rival, "missing": str(error)}))
        return
    if engine.backward is not None and not differentiates(engine):
        print(json.dumps({"rival": rival, "missing": "its gradient is wrong"}))
        return
    floats = RIVALS[BASE]()
    for name, workload in WORKLOADS.items():
        program, base = workload(engine), workload(floats)
        if program is None or base is None:
            continue
        run, operations = begun(program[0], engine), program[1]
        backward = engine.backward if name != "inference" else None
        found = {"rival": rival, "version": engine.version, "workload": name, "operations": operations}
        try:
            root: Any = run()
            if not math.isclose(engine.read(root), base[0](), rel_tol=1e-9):
                found["failed"] = "another result"
            if backward is not None:
                backward(root)
            del root
        except RecursionError:
            found["failed"] = "recursion"
        if "failed" not in found:
            found |= timed(run, backward, base[0], rounds)
        print(json.dumps(found), flush=True)


def differentiates(engine: Engine) -> bool:
    """Return whether an engine finds the derivative of exp(x * x) at 0.5, twice in a row."""
    answers = []
    for _ in range(2):
        leaf = engine.number(0.5)
        root = begun(lambda leaf=leaf: engine.exp(leaf * leaf), engine)()
        engine.backward(root)  # type: ignore[misc]
        answers.append(engine.slope(leaf))
    return all(math.isclose(answer, math.exp(0.25), rel_tol=1e-9) for answer in answers)


def begun(run: Callable[[], Any], engine: Engine) -> Callable[[], Any]:
    """Return the program preceded by the preparations of the engine."""
    begin = engine.begin
    if begin is None:
        return run

    def both() -> Any:
        begin()
        return run()

    return both


def timed(run: Callable[[], Any], backward: Callable[[Any], None] | None, base: Callable[[], Any], rounds: int) -> Any:
    """Return the medians over the rounds, in seconds, and the multiples of plain floats: median and quartiles."""
    times: list[list[float]] = []
    gc.collect()  # from here on the collector runs as usual and is part of the cost
    started = time.perf_counter()
    while len(times) < rounds and time.perf_counter() - started < 20.0:
        marks = [time.perf_counter()]
        base()
        marks.append(time.perf_counter())
        root = run()
        marks.append(time.perf_counter())
        if backward is not None:
            backward(root)
        marks.append(time.perf_counter())
        del root  # freeing the graph is part of the cost
        marks.append(time.perf_counter())
        times.append([after - before for before, after in itertools.pairwise(marks)])
    whole = [sum(own) / floats for floats, *own in times]
    unfreed = [(forward + backward) / floats for floats, forward, backward, _ in times]
    columns = dict(zip(("floats", "forward", "backward", "free"), map(statistics.median, zip(*times))))
    quartiles = statistics.quantiles(whole, n=4, method="inclusive")[::2] if len(whole) > 1 else whole * 2
    multiples = {"multiple": statistics.median(whole), "multiple_unfreed": statistics.median(unfreed)}
    return {**columns, **multiples, "quartiles": quartiles}


if __name__ == "__main__":
    measure(sys.argv[1], int(sys.argv[2]))
