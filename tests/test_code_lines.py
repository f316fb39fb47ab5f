"""`make lines`: code is counted, and blank lines, comments and docstrings are not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "lines.py"

IN_PYTHON = '''"""A docstring
of two lines."""

import math  # with a comment


def f(x):
    """Return the sine."""
    # a comment
    text = """a text that is used
    # no comment"""
    return math.sin(
        x
    ), text
'''

IN_C = """/* an essay
 * of two lines */
#include <math.h>

// a comment
static const char *text = "/* no comment"; /* a comment
*/ int after;
char quote = '"'; /* "a comment" */
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Lay out a small repository with the script in it."""
    for name, text in {"microgrud/nn/layers.py": IN_PYTHON, "microgrud/_native/ops/sine.c": IN_C}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "tools").mkdir()
    shutil.copy(SCRIPT, tmp_path / "tools")
    return tmp_path


def table(clone: Path, *arguments: str) -> dict[tuple[str, str], list[str]]:
    command = [sys.executable, str(clone / "tools" / "lines.py"), *arguments]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = (line[32:].replace("C, Python", "both").split() for line in printed.splitlines()[1:])
    names = (line[:32].strip() for line in printed.splitlines()[1:])
    return {(name, language): numbers for name, (language, *numbers) in zip(names, rows)}


def test_only_code_is_counted(clone: Path) -> None:
    found = table(clone)
    assert found["microgrud/nn", "Python"] == ["7"]
    assert found["microgrud/_native/ops", "C"] == ["4"]
    assert found["microgrud in all", "both"] == ["11"]


@pytest.mark.skipif(shutil.which("git") is None, reason="takes git")
def test_a_revision_is_compared_with_the_working_tree(clone: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(clone), *identity, *arguments], check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "--message", "Begin")
    (clone / "microgrud" / "nn" / "layers.py").write_text("x = 1\n", encoding="utf-8")
    (clone / "microgrud" / "new.py").write_text("y = 2\n\n\nz = 3\n", encoding="utf-8")
    found = table(clone, "HEAD")
    assert found["microgrud/nn", "Python"] == ["7", "1", "-6"]
    assert found["microgrud", "Python"] == ["0", "2", "+2"]
    assert found["microgrud in all", "both"] == ["11", "7", "-4"]
    with pytest.raises(subprocess.CalledProcessError):
        table(clone, "nonesuch")
