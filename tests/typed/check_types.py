"""Run mypy and basedpyright on a program of a user, which they accept, and on mistakes, which they all find.

`make types` runs it; the two type checkers belong to the development environment.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILES = ["typed_program.py", "typed_mistakes.py"]
#: At least so many mistakes are marked.
FEWEST = 20
#: The place of an error in the output of mypy.
ERROR = re.compile(r"^(?:.*/)?(\w+\.py):(\d+):.* error: ")

Place = tuple[str, int]


def run(*command: str) -> str:
    """Run a type checker; return its output."""
    paths = [str(HERE / name) for name in FILES]
    done = subprocess.run(
        [sys.executable, "-m", *command, *paths], cwd=HERE.parent.parent, capture_output=True, text=True
    )
    if done.returncode not in (0, 1) or done.stderr:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def found_by_mypy() -> dict[Place, str]:
    """Return the first error in each line, as mypy reports it."""
    found: dict[Place, str] = {}
    for line in run("mypy", "--strict").splitlines():
        place = ERROR.match(line)
        if place:
            found.setdefault((place[1], int(place[2])), line)
    return found


def found_by_basedpyright() -> dict[Place, str]:
    """Return the first error in each line, as basedpyright reports it."""
    found: dict[Place, str] = {}
    for error in json.loads(run("basedpyright", "--outputjson", "--pythonpath", sys.executable))["generalDiagnostics"]:
        if error["severity"] == "error":
            place = Path(error["file"]).name, error["range"]["start"]["line"] + 1
            found.setdefault(place, error["message"])
    return found


def marked() -> set[Place]:
    """Return the places of the mistakes."""
    texts = {name: (HERE / name).read_text(encoding="utf-8").splitlines() for name in FILES}
    return {(name, i) for name, lines in texts.items() for i, line in enumerate(lines, 1) if "# mistake" in line}


def main() -> None:
    """Compare what each type checker has found with the marks; exit with an error if they differ."""
    mistakes = marked()
    assert len(mistakes) >= FEWEST
    problems = []
    for name, found in (("mypy", found_by_mypy()), ("basedpyright", found_by_basedpyright())):
        problems += [f"{name} misses the mistake at {file}:{line}" for file, line in sorted(mistakes - found.keys())]
        problems += [f"{name} at {file}:{line}: {found[file, line]}" for file, line in sorted(found.keys() - mistakes)]
        print(f"{name}: {len(mistakes & found.keys())} of {len(mistakes)} mistakes found")
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
