"""Stage the pages of the site: copy them from all over the repository into one folder, with their links rewritten.

README.md becomes one page per section, so that each fact stands in one place. A link to a file that is no page leads to
a page with its source, and everything else that a link names must exist.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from collections.abc import Container, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

#: Pages that are not in docs/, by their places in the repository.
PAGES = {
    "benchmarks/README.md": "benchmarks/index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "notebooks": "tutorials/index.md",
}
#: Pages that only the site has; Sphinx checks the links to them.
GENERATED = re.compile(r"docs/(api|guide)/")
#: Files that are copied beside the pages that show them.
PICTURES = {".svg", ".png", ".gif", ".jpg", ".webp"}
LANGUAGES = {".py": "python", ".c": "c", ".h": "c", ".toml": "toml", ".md": "markdown", ".html": "html", ".js": "js"}
#: The first characters of the notebooks that JupyterLite opens (docs/playground/lite.py), and what their pages say.
IN_BROWSER = "123"
OPEN = """

:::{{container}} has-server
<a href="../lite/notebooks/index.html?path={name}">Open in the browser</a>: this notebook runs there without
installation, in JupyterLite.
:::
:::{{container}} needs-server
A page that was opened as a file runs no notebook: [serve the site](../playground.md#serve-it-yourself) first.
:::"""
#: The note on a page whose outputs are those in the notebook's file.
SAVED = "\n\nThe outputs below were computed when the notebook was last changed, and not when this site was built."
LINK = re.compile(r"(?P<open>!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\()(?P<target>[^()\s]+)\)")
FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1`*\s*$", re.MULTILINE | re.DOTALL)


def slug(title: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def sections(readme: str) -> tuple[str, dict[str, str]]:
    """Split README.md into what stands before its first section, without the title, and its sections by their title."""
    start, *parts = re.split(r"^## ", readme, flags=re.MULTILINE)
    return start.partition("\n")[2].strip(), {
        part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts
    }


class Stage:
    """The folder of pages: `write` rewrites the links of a page, and remembers what else the page needs."""

    def __init__(self, folder: Path, saved: Container[str] = ()) -> None:
        """Take the folder, and the names of notebooks that keep their outputs."""
        self.folder, self.saved = folder, saved
        self.written: set[Path] = set()
        self.sources: set[str] = set()
        self.has_lite = bool(shutil.which("npm") and importlib.util.find_spec("jupyterlite_core"))
        self.guide = {slug(title): title for title in sections((ROOT / "README.md").read_text(encoding="utf-8"))[1]}

    def put(self, place: str, content: bytes) -> None:
        """Write a file, unless it is there: Sphinx reads what is newer than its last run."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
        self.written.add(path)

    def page_of(self, target: str, anchor: str) -> tuple[str, str] | None:
        """Return page and anchor for a path of the repository, if it has a page."""
        if target == "README.md" and anchor in self.guide:
            return f"guide/{anchor}.md", ""
        if target in PAGES:
            return PAGES[target], anchor
        folder, _, rest = target.partition("/")
        if folder in ("docs", "notebooks") and target.endswith((".md", ".ipynb")):
            return rest if folder == "docs" else f"tutorials/{rest}", anchor
        return None

    def link(self, target: str, origin: str, place: str) -> str:
        """Return the target of a link on the page at `place`, which stands at `origin` in the repository."""
        path, _, anchor = target.partition("#")
        if not path and origin == "README.md" and anchor:
            path = "README.md"
        if not path or re.match(r"[a-z]+:", path):
            return target
        full = (ROOT / origin).parent / path
        if GENERATED.match(os.path.relpath(full, ROOT)):
            return target
        if not full.exists():
            raise FileNotFoundError(f"{origin}: the link {target} leads to no file")
        name = Path(os.path.normpath(full)).relative_to(ROOT).as_posix()
        found = self.page_of(name, anchor)
        if found is None and full.suffix in PICTURES:
            found = name.removeprefix("docs/"), ""
            self.put(found[0], full.read_bytes())
        elif found is None:
            self.sources.add(name)
            found = f"source/{name}.md", ""
        return os.path.relpath(found[0], Path(place).parent.as_posix() or ".") + (f"#{found[1]}" if found[1] else "")

    def rewrite(self, text: str, origin: str, place: str) -> str:
        """Rewrite the links of a text in Markdown outside of its blocks of code."""

        def rewritten(match: re.Match[str]) -> str:
            return f"{match['open']}{self.link(match['target'], origin, place)})"

        pieces, end = [], 0
        for fence in FENCE.finditer(text):
            # In the repository a blank line ends the last output for doctest; on the page it would be a gap.
            block = re.sub(r"\n\n(?=[`~]{3,}\s*$)", "\n", fence[0])
            pieces += [LINK.sub(rewritten, text[end : fence.start()]), block]
            end = fence.end()
        return "".join([*pieces, LINK.sub(rewritten, text[end:])])

    def write(self, place: str, text: str, origin: str) -> None:
        """Write a page in Markdown."""
        self.put(place, self.rewrite(text, origin, place).encode())

    def notebook(self, path: Path) -> None:
        """Write a notebook with its solutions folded, and without its outputs, if the build computes them."""
        notebook = json.loads(path.read_text(encoding="utf-8"))
        origin, place = f"notebooks/{path.name}", f"tutorials/{path.name}"
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = self.rewrite("".join(cell["source"]), origin, place)
            elif cell["cell_type"] == "code" and path.name not in self.saved:
                cell["outputs"], cell["execution_count"] = [], None
            if "solution" in cell["metadata"].get("tags", []):
                cell["metadata"]["tags"].append("hide-cell")
                cell["metadata"]["mystnb"] = dict.fromkeys(("code_prompt_show", "code_prompt_hide"), "Solution")
        if self.has_lite and path.name[0] in IN_BROWSER:
            notebook["cells"][0]["source"] += OPEN.format(name=path.name)
        if path.name in self.saved:
            notebook["metadata"]["mystnb"] = {"execution_mode": "off"}
            notebook["cells"][0]["source"] += SAVED
        self.put(place, json.dumps(notebook).encode())

    def source(self, name: str) -> None:
        """Write the page of a file that some page links to, or of a folder."""
        path = ROOT / name
        text = f"---\norphan: true\nnosearch: true\n---\n# {name}\n\n"
        if path.is_dir():
            text += "".join(f"* `{file.relative_to(path)}`\n" for file in sorted(tracked(path)))
        else:
            code = path.read_text(encoding="utf-8")
            text += f"``````{{code-block}} {LANGUAGES.get(path.suffix, 'text')}\n:linenos:\n\n{code.rstrip()}\n``````\n"
        self.put(f"source/{name}.md", text.encode())

    def index(self) -> None:
        """Remove the patterns of index.md that match no page yet, of which Sphinx would warn."""
        path = self.folder / "index.md"
        lines = path.read_text(encoding="utf-8").split("\n")
        kept = [line for line in lines if not re.fullmatch(r"[\w/]*\*", line) or list(self.folder.glob(f"{line}.md"))]
        self.put("index.md", "\n".join(kept).encode())

    def finish(self) -> None:
        """Write the pages of sources, and delete what earlier runs staged."""
        self.index()
        for name in sorted(self.sources):
            self.source(name)
        for path in self.folder.rglob("*"):
            if path.is_file() and path not in self.written:
                path.unlink()


def tracked(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder, without what builds left there."""
    return (p for p in folder.rglob("*") if p.is_file() and p.suffix in LANGUAGES and "__pycache__" not in p.parts)


def stage_pages(pages: Stage) -> None:
    """Stage all pages but those of the API."""
    start, guide = sections((ROOT / "README.md").read_text(encoding="utf-8"))
    pages.write("_start.md", start, "README.md")
    for title, text in guide.items():
        pages.write(f"guide/{slug(title)}.md", f"# {title}\n\n{text}\n", "README.md")
    entries = "".join(f"{slug(title)}\n" for title in guide)
    pages.put("guide/index.md", f"# Guide\n\n```{{toctree}}\n:maxdepth: 1\n\n{entries}```\n".encode())
    for origin, place in PAGES.items():
        if origin.endswith(".md") and origin != "README.md":
            pages.write(place, (ROOT / origin).read_text(encoding="utf-8"), origin)
    for path in sorted((ROOT / "docs").rglob("*.md")):
        place = path.relative_to(ROOT / "docs").as_posix()
        pages.write(place, path.read_text(encoding="utf-8"), f"docs/{place}")
    for path in sorted((ROOT / "notebooks").iterdir()):
        if path.suffix == ".ipynb":
            pages.notebook(path)
        elif path.suffix in (".py", ".csv", ".json"):
            pages.put(f"tutorials/{path.name}", path.read_bytes())


def stage(folder: Path, saved: Container[str]) -> None:
    """Stage all pages; notebooks with the names in `saved` keep their outputs."""
    from reference import reference

    pages = Stage(folder, saved)
    stage_pages(pages)
    for place, page in reference():
        pages.put(place, page.encode())
    pages.finish()


if __name__ == "__main__":
    import sys

    stage(Path(sys.argv[1]), sys.argv[2:])
