"""Print the lines of code by package: `python tools/lines.py`, or `python tools/lines.py REVISION` for a comparison.

Blank lines, comments and docstrings are not counted. With a git revision, such as `main` or `HEAD~3`, the table shows
the lines in that revision, the lines in the working tree, and the change.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("microgrud", "benchmarks", "docs", "tests", "tools")
LANGUAGES = {".py": "Python", ".pyi": "Python", ".c": "C", ".h": "C"}
#: Tokens of Python that make no line a line of code.
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
#: A comment of C, or a text or a character, in which no comment can begin.
C_COMMENT = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)


def python_lines(text: str) -> int:
    """Count the lines of code in Python; a string that stands alone is a docstring."""
    lines: set[int] = set()
    statement: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in LAYOUT:
            statement.append(token)
        elif token.type == tokenize.NEWLINE:
            if any(part.type != tokenize.STRING for part in statement):
                for part in statement:
                    lines.update(range(part.start[0], part.end[0] + 1))
            statement = []
    return len(lines)


def c_lines(text: str) -> int:
    """Count the lines of code in C."""
    code = C_COMMENT.sub(lambda m: "\n" * m[0].count("\n") if m[0].startswith("/") else m[0], text)
    return sum(1 for line in code.splitlines() if line.strip())


def count(files: dict[str, str]) -> Counter[tuple[str, str]]:
    """Add up lines by package and language, for texts by path."""
    found: Counter[tuple[str, str]] = Counter()
    for name, text in files.items():
        path = Path(name)
        language = LANGUAGES[path.suffix]
        depth = None if path.parts[1] == "_native" else 2 if path.parts[0] == "microgrud" else 1
        package = "/".join(path.parts[:-1][:depth])
        found[package, language] += python_lines(text) if language == "Python" else c_lines(text)
    return found


def working_tree() -> dict[str, str]:
    """Read the files of the working tree, new ones included."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in LANGUAGES]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def at(revision: str) -> dict[str, str]:
    """Read the files of a revision."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", revision]
    archive = subprocess.run(command, check=False, capture_output=True)
    if archive.returncode:
        sys.exit(f"lines.py: expected a git revision, got {revision!r}: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        return {
            member.name: files.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in files.getmembers()
            if member.isfile() and member.name.split("/")[0] in FOLDERS and Path(member.name).suffix in LANGUAGES
        }


def main(revision: str | None = None) -> None:
    """Print the table: the packages of microgrud by language, their sums, and the other folders."""
    columns = [count(working_tree())] if revision is None else [count(at(revision)), count(working_tree())]
    keys = sorted(set().union(*columns))
    inside = [key for key in keys if key[0].startswith("microgrud")]
    rows = [(*key, [column[key] for column in columns]) for key in inside]
    for language in ("C", "Python", "C, Python"):
        sums = [sum(column[key] for key in inside if key[1] in language) for column in columns]
        rows.append(("microgrud in all", language, sums))
    rows += [(*key, [column[key] for column in columns]) for key in keys if key not in inside]
    print(f"{'package':32}{'language':10}" + ("   lines" if revision is None else "  before   after  change"))
    for package, language, numbers in rows:
        change = f"{numbers[1] - numbers[0]:+8,}" if len(numbers) > 1 else ""
        print(f"{package:32}{language:10}" + "".join(f"{number:8,}" for number in numbers) + change)


if __name__ == "__main__":
    main(*sys.argv[1:2])
