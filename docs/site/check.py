"""Check a built site: its links, what its pages load, that every public name is in it, and what the search finds."""

from __future__ import annotations

import json
import re
import sys
import zlib
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Attributes from which a browser loads something by itself; `href` does so in <link> alone.
LOADING = {"src", "srcset", "poster", "data", "background"}
RELATIONS_THAT_LOAD = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "modulepreload", "manifest"}
#: Words that readers look for; the index holds them by their stems.
WORDS = ["hessian", "micrograd", "huber", "checkpoint", "dropout", "kink", "momentum"]
#: Folders of the playground, whose own build checks them.
FOREIGN = ("lite", "playground")


class Page(HTMLParser):
    """The anchors of a page, the places that it links to, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "top"}
        self.links: list[str] = []
        self.loads: list[str] = []
        self._style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note anchors and addresses."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        for name in LOADING & set(found):
            parts = found[name].split(",") if name == "srcset" else [found[name]]
            self.loads += [part.split()[0] for part in parts if part.strip()]
        self.loads += styled(found.get("style", ""))
        self._style = tag == "style"
        if "href" in found:
            loads = tag in ("image", "use") or set(found.get("rel", "").split()) & RELATIONS_THAT_LOAD
            (self.loads if tag != "a" and loads else self.links).append(found["href"])

    def handle_endtag(self, tag: str) -> None:
        """Leave a style sheet."""
        self._style = False

    def handle_data(self, data: str) -> None:
        """Note the addresses in a style sheet inside the page."""
        if self._style:
            self.loads += styled(data)


def styled(text: str) -> list[str]:
    """Return the addresses that a style sheet loads."""
    return re.findall(r"""(?:url\(|@import)\s*['"]?([^'")\s;]+)""", text)


def elsewhere(address: str) -> bool:
    """Return whether an address leads to another server."""
    return bool(urlsplit(address).netloc) or urlsplit(address).scheme in ("http", "https")


def faults(site: Path) -> Iterator[str]:
    """Yield a line for each broken link and for everything that is loaded from elsewhere."""
    site = site.resolve()

    @cache
    def page(path: Path) -> Page:
        return Page(path.read_text(encoding="utf-8"))

    for path in sorted(site.rglob("*.html")):
        name = path.relative_to(site)
        if name.parts[0] in FOREIGN:
            continue
        for address in page(path).loads:
            if elsewhere(address):
                yield f"{name}: loads {address} from elsewhere"
        for address in {*page(path).links, *page(path).loads}:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if any(target.is_relative_to(site / folder) and not (site / folder).exists() for folder in FOREIGN):
                continue  # built without npm
            if not target.exists() or not target.is_relative_to(site):
                yield f"{name}: {address} leads to no file"
            elif target.suffix == ".html" and unquote(parts.fragment) not in page(target).anchors:
                yield f"{name}: {address} leads to no anchor"
    for path in sorted(site.rglob("*.css")):
        if path.relative_to(site).parts[0] not in FOREIGN:
            loads = styled(path.read_text(encoding="utf-8"))
            yield from (f"{path.name}: loads {address} from elsewhere" for address in loads if elsewhere(address))


def inventory(path: Path) -> set[str]:
    """Return the names of Python in Sphinx's inventory: four lines, then lines `name domain:role ...`, compressed."""
    content = path.read_bytes()
    for _ in range(4):
        content = content[content.index(b"\n") + 1 :]
    lines = zlib.decompress(content).decode().splitlines()
    return {line.split(" ", 1)[0] for line in lines if " py:" in line}


def repeats(entries: set[str]) -> Iterator[str]:
    """Yield a line for each member of a class that is described again although its base class describes it."""
    from reference import home, inherited, modules, names

    classes = {
        f"{home(module, name)}.{name}": getattr(modules()[module], name)
        for module in modules()
        for name in names(module)
    }
    for entry in sorted(entries):
        owner, _, member = entry.rpartition(".")
        if isinstance(classes.get(owner), type):
            bases = inherited(classes[owner])
            others = [cls for cls in classes[owner].__mro__ if cls not in bases]
            is_own = any(member in vars(cls) or f" {member}: " in (cls.__doc__ or "") for cls in others)
            if not is_own and any(f"{base}.{member}" in entries for base in classes if classes[base] in bases):
                yield f"{entry} repeats the entry of a base class"


def not_found_by_search(path: Path) -> list[str]:
    """Return the chosen words that are not in the index of the search."""
    text = path.read_text(encoding="utf-8")
    index = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    return [word for word in WORDS if word not in index["terms"] and word not in index["titleterms"]]


def main(site: Path) -> int:
    """Print the faults of a site, and the sizes of its pages; return the number of faults."""
    from reference import public_names

    found, entries = list(faults(site)), inventory(site / "objects.inv")
    found += [f"{name} is not in the reference" for name in sorted(public_names() - entries)]
    found += repeats(entries)
    found += [f"the search does not find {word!r}" for word in not_found_by_search(site / "searchindex.js")]
    pages = {path.relative_to(site): path.stat().st_size for path in site.rglob("*.html")}
    pages = {path: size for path, size in pages.items() if path.parts[0] not in FOREIGN}
    for path in sorted(pages, key=lambda path: -pages[path])[:10]:
        print(f"{pages[path] / 1000:8,.0f} kB  {path}")
    everything = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    print(f"{len(pages)} pages, {sum(pages.values()) / 1e6:.1f} MB; with all files {everything / 1e6:.1f} MB")
    print(
        "\n".join(found) or "every link leads somewhere, nothing is loaded from elsewhere, every public name is there"
    )
    return len(found)


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]))))
