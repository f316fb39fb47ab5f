"""Kill 200 training runs with SIGKILL, and resume them: `python tests/kills_report.py [--kills 200] [--seed 0]`.

Each chain of runs has one checkpoint: a run is killed at a random moment, the next resumes, until one ends by itself.
The last run must have the same parameters, history and random numbers, to the bit, as a run that was never killed. The
command prints how many kills left a torn line, and fails at the first chain with another end.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from pathlib import Path

from kills import KINDS, killed, uninterrupted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected = {kind: uninterrupted(folder, kind) for kind in KINDS}
        kills: Counter[str] = Counter()
        chains: Counter[str] = Counter()
        torn = 0
        while kills.total() < arguments.kills:
            kind = KINDS[chains.total() % len(KINDS)]
            end, seconds = expected[kind]
            found, count, tore = killed(folder, kind, seconds / 4, rng, most=20)
            if found != end:
                raise SystemExit(f"{kind}: after {count} kills the run ends with {found}, never killed with {end}")
            kills[kind] += count
            chains[kind] += 1
            torn += tore
            print(f"{kills.total():4} kills, {chains.total():3} chains, {torn:2} with a torn line", flush=True)
    for kind in KINDS:
        print(f"{kind:10} {kills[kind]:4} kills, {chains[kind]:3} chains, all ends equal to the bit")


if __name__ == "__main__":
    main()
