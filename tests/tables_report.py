"""Train on 500 mangled tables: `python tests/tables_report.py [--cases 500] [--seed 0]` in the root of the repository.

Each case is a real table, of scikit-learn or of those packages of `benchmarks/tables/sources.py` that are installed,
with changes of its content, in another form, and in some cases with damaged bytes. The whole command line has to train,
show and predict with it, or to refuse it in one line per problem. Every number, date and category that it read is
compared with the true one, and predictions with those from the plain table. The command prints the errors by their
number, and each fault with the seed of its case.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mangles import real_tables
from tables_checked import Case, check


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case; the others follow")
    arguments = parser.parse_args()
    tables, ends, errors, faulty = real_tables(), Counter[str](), Counter[str](), 0
    for seed in range(arguments.seed, arguments.seed + arguments.cases):
        with tempfile.TemporaryDirectory() as name:
            try:
                outcome = check(seed, tables, Path(name))
            except Exception:
                print(seed, Case(seed, tables, Path(name)), traceback.format_exc(limit=-4), flush=True)
                faulty += 1
                continue
            ends[outcome.end] += 1
            errors.update(re.sub(r"'.*?'|\d[\d.e+]*", "_", line.replace(name, "")) for line in outcome.errors)
            if outcome.faults:
                faulty += 1
                print(seed, Case(seed, tables, Path(name)), *outcome.faults, sep="\n   ", flush=True)
    print(f"\n{len(tables)} tables, {arguments.cases} cases: {dict(ends)}, {faulty} with faults")
    for line, count in errors.most_common():
        print(f"{count:4} {line}")
    sys.exit(faulty > 0)


if __name__ == "__main__":
    main()
