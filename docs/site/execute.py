"""Execute the notebooks among the staged pages, and keep their outputs in a cache, where Sphinx finds them.

Sphinx would execute them one after the other without a word; this takes half the time on two cores, and says how far
it is.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.config import NbParserConfig
from myst_nb.core.read import create_nb_reader
from myst_parser.config.main import MdParserConfig
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from traitlets.config import Config

#: Seconds between two reports on what runs.
PAUSE = 20.0
#: Seconds that a cell may take; without the C engine some take minutes.
PATIENCE = 3600


def notebooks(source: Path) -> dict[str, Any]:
    """Return the staged notebooks that have to be executed by their names, read as Sphinx reads them."""
    found = {}
    for path in sorted([*source.rglob("*.ipynb"), *source.rglob("*.md")]):
        text = path.read_text(encoding="utf-8")
        reader = create_nb_reader(str(path), MdParserConfig(), NbParserConfig(), text)
        notebook = reader and reader.read(text)
        if notebook and notebook.metadata.get("mystnb", {}).get("execution_mode") != "off":
            found[path.relative_to(source).as_posix()] = notebook
    return found


def private(sockets: str) -> Config:
    """Return settings with which a kernel talks through files of the user: others could listen to network ports."""
    return Config({"KernelManager": {"transport": "ipc", "ip": sockets}} if os.name == "posix" else {})


class Run:
    """The execution of some notebooks: at most as many at once as there are processors."""

    def __init__(self, source: Path, cache: Any, sockets: Path) -> None:
        self.source, self.cache, self.sockets = source, cache, sockets
        self.places: dict[str, str] = {}
        self.failed: list[str] = []
        self.free = asyncio.Semaphore(os.cpu_count() or 1)

    async def execute(self, name: str, notebook: Any) -> None:
        """Execute a notebook, and put it into the cache."""
        async with self.free:
            print(f"  {name}: {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells of code", flush=True)
            started = time.monotonic()
            client = NotebookClient(
                notebook,
                config=private(str(self.sockets / str(started))),
                timeout=PATIENCE,
                record_timing=False,  # the cache compares metadata
                resources={"metadata": {"path": str((self.source / name).parent)}},
                on_cell_start=lambda cell, cell_index: self.note(name, notebook, cell_index),
            )
            try:
                await client.async_execute()
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                self.failed.append(f"{name}: {error}")
            else:
                seconds = time.monotonic() - started
                bundle = CacheBundleIn(notebook, str(self.source / name), data={"execution_seconds": seconds})
                self.cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
                print(f"  {name}: {seconds:.0f} s", flush=True)
            self.places.pop(name, None)

    def note(self, name: str, notebook: Any, index: int) -> None:
        """Note which cell of code runs, counted from 1."""
        kinds = [cell.cell_type == "code" for cell in notebook.cells]
        self.places[name] = f"{name}, cell {sum(kinds[: index + 1])} of {sum(kinds)}"

    async def report(self) -> None:
        """Say from time to time which cells run."""
        while True:
            await asyncio.sleep(PAUSE)
            print(f"  ... {'; '.join(self.places.values())}", flush=True)

    async def all(self, found: dict[str, Any]) -> None:
        """Execute notebooks, and report."""
        reporting = asyncio.create_task(self.report())
        await asyncio.gather(*(self.execute(name, notebook) for name, notebook in found.items()))
        reporting.cancel()


def main(source: Path, folder: Path) -> int:
    """Execute the notebooks that the cache lacks; return how many failed, after printing why."""
    found, cache = notebooks(source), get_cache(str(folder))
    for name, notebook in list(found.items()):
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            continue
        del found[name]
        print(f"  {name}: unchanged since an earlier build")
    with tempfile.TemporaryDirectory() as sockets:
        run = Run(source, cache, Path(sockets))
        asyncio.run(run.all(found))
    print("\n".join(run.failed), end="\n" if run.failed else "")
    return len(run.failed)


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]), Path(sys.argv[2]))))
