"""A release: its version stands in several files, and the package index shows a readme without the repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import microgrud

ROOT = Path(__file__).resolve().parent.parent
DATED = f"## {microgrud.__version__} - 2026-11-30\n"


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Copy what the check reads, with a changelog that dates this version."""
    for folder in ("tools", "conda"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "microgrud").mkdir()
    shutil.copy(ROOT / "microgrud" / "version.py", tmp_path / "microgrud")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    citation = re.sub(r"date-released: .*", 'date-released: "2026-11-30"', citation)
    (tmp_path / "CITATION.cff").write_text(citation, encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{DATED}", encoding="utf-8")
    return tmp_path


def check(root: Path, *tag: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / "tools" / "check_version.py", *tag], capture_output=True, text=True, check=False
    )


def test_a_prepared_release_agrees_with_its_tag(prepared: Path) -> None:
    done = check(prepared, f"v{microgrud.__version__}")
    assert (done.returncode, done.stdout) == (0, "version, tag, changelog and citation agree\n")


@pytest.mark.parametrize(
    ("file", "old", "new", "tag", "says"),
    [
        ("CHANGELOG.md", "# Changelog", "# Changelog", "v9.9.9", "tag: expected v"),
        ("CHANGELOG.md", " - 2026-11-30", "", None, "CHANGELOG.md: expected one heading"),
        ("CITATION.cff", "2026-11-30", "2026-11-29", None, 'CITATION.cff: expected the line date-released: "2026'),
        ("CITATION.cff", "\nversion: ", "\nversion: 9", None, "CITATION.cff: expected the line version: "),
        ("conda/recipe.yaml", 'version: "', 'version: "9', None, "conda/recipe.yaml: expected the line   version"),
    ],
)
def test_a_release_that_contradicts_itself_is_refused(
    prepared: Path, file: str, old: str, new: str, tag: str | None, says: str
) -> None:
    path = prepared / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    done = check(prepared, *([tag] if tag else []))
    assert done.returncode == 1
    assert done.stdout.startswith(says)


def test_the_workflow_tests_the_versions_of_python_that_the_package_names() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    classified = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    (tested,) = re.findall(r"^ +python: \[(.*)\]$", workflow, re.MULTILINE)
    assert tested == ", ".join(f'"{version}"' for version in classified)


def test_the_release_on_main_is_prepared_or_unreleased() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if f"## {microgrud.__version__} - " in changelog:
        assert check(ROOT).returncode == 0, check(ROOT).stdout
    else:
        assert "## Unreleased\n" in changelog
