"""Check that a release is prepared: `python tools/check_version.py [v0.1.0]`.

The version in microgrud/version.py is the one that counts. The tag must name it, CHANGELOG.md must date it, and
CITATION.cff must have the same version and date, conda/recipe.yaml the same version.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def problems(tag: str | None = None) -> list[str]:
    """Return what contradicts the version, a line each."""
    files = ("microgrud/version.py", "CHANGELOG.md", "CITATION.cff", "conda/recipe.yaml")
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in files}
    (version,) = re.findall(r'^__version__ = "(.+)"$', texts["microgrud/version.py"], re.M)
    found = []
    if tag not in (None, f"v{version}"):
        found.append(f"tag: expected v{version}, the version in microgrud/version.py, got {tag}")
    dates = re.findall(rf"^## {re.escape(version)} - (\d{{4}}-\d\d-\d\d)$", texts["CHANGELOG.md"], re.M)
    if len(dates) != 1:
        return [*found, f"CHANGELOG.md: expected one heading '## {version} - YYYY-MM-DD', got {len(dates)}"]
    for name, line in (
        ("CITATION.cff", f"version: {version}"),
        ("CITATION.cff", f'date-released: "{dates[0]}"'),
        ("conda/recipe.yaml", f'  version: "{version}"'),
    ):
        if line not in texts[name].splitlines():
            found.append(f"{name}: expected the line {line}")
    return found


if __name__ == "__main__":
    found = problems(*sys.argv[1:2])
    print("\n".join(found) or "version, tag, changelog and citation agree")
    sys.exit(bool(found))
