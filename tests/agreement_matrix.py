"""The matrix of agreement: its rows and columns, and the pairs of them that apply."""

from __future__ import annotations

import fnmatch
import os
import random

import agreement_batches  # noqa: F401 - registers its ways
import agreement_compiled  # noqa: F401 - registers its ways
import agreement_networks  # noqa: F401 - adds to PROGRAMS
import agreement_objects  # noqa: F401 - adds to PROGRAMS
from agreement_losses import LOSSES
from agreement_nested import NESTED
from agreement_operations import OPERATIONS
from agreement_programs import PROGRAMS
from agreement_special import SPECIAL
from agreement_truth import Program
from agreement_ways import WAYS, Way

import microgrud

ROWS: list[Program] = [*PROGRAMS, *SPECIAL, *NESTED, *OPERATIONS, *LOSSES]


def applies(way: Way, program: Program) -> bool:
    """Return whether a way applies to a program."""
    return way.fits(program) and not any(fnmatch.fnmatchcase(way.name, pattern) for pattern in program.without)


def cells() -> list[tuple[Way, Program]]:
    """Return all pairs of a program and a way that applies to it."""
    return [(way, program) for program in ROWS for way in WAYS.values() if applies(way, program)]


def ways_of(program: Program) -> list[Way]:
    """Return half of the ways of a program in random order, and on the other engine the other half.

    With AGREEMENT=all in the environment, return all of them.
    """
    ways = [way for way in WAYS.values() if applies(way, program)]
    random.Random(program.name).shuffle(ways)
    return ways if os.environ.get("AGREEMENT") == "all" else ways[microgrud.backend == "c" :: 2]
