"""Check the exercises of the notebooks: `check(exercise_1)` prints what an answer lacks."""

from __future__ import annotations

import textwrap
from typing import Any

import exercises  # noqa: F401  (registers the checks of notebooks 2 and 3)
import first_exercises  # noqa: F401  (registers those of notebook 1)
import later_exercises  # noqa: F401  (registers those of notebooks 4 to 6)
from hints import EXERCISES, NotYetError


def check(answer: Any, exercise: int | None = None) -> None:
    """Print that an answer is right, or what it still lacks.

    A hint names what was tried, what came out and what was expected, and never the solution.

    Args:
        answer: the function or class that you wrote.
        exercise: the number of the exercise, if the name of the answer does not end with it.
    """
    if exercise is None:
        digits = str(getattr(answer, "__name__", "")).rpartition("_")[2]
        exercise = int(digits) if digits.isdecimal() else None
    if exercise not in EXERCISES:
        print(f"check: expected a function such as exercise_1, got {answer!r}")
        return
    try:
        EXERCISES[exercise](answer)
    except NotYetError as reason:
        print(textwrap.fill(f"exercise {exercise}: not yet: {reason}", width=88))
    else:
        print(f"exercise {exercise}: passed")
