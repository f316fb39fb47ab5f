"""Measure everything that is installed, each rival in a process of its own: `python -m benchmarks`."""

from __future__ import annotations

import json
import pathlib
import platform
from typing import Annotated, Any

import typer

from . import eager, rivals as engines
from .recorded import rivals as compilers, running, table
from .recorded.suite import SUITES, WORKLOADS


def main(
    suite: Annotated[str, typer.Option(help="Suite to run: eager, recorded, transforms or all.")] = "all",
    rounds: Annotated[int, typer.Option(min=1, help="Maximum number of rounds per workload.")] = 20,
    seconds: Annotated[float, typer.Option(min=0.0, help="Maximum time for the rounds of a case.")] = 1.0,
    limit: Annotated[float, typer.Option(min=1.0, help="Seconds after which a case is stopped.")] = 60.0,
    only: Annotated[str, typer.Option(help="Rivals to measure, separated by commas.")] = "",
    workloads: Annotated[str, typer.Option(help="Workloads to measure (not of eager), separated by commas.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    markdown: Annotated[bool, typer.Option(help="Print Markdown tables, of recorded and transforms.")] = False,
    figure: Annotated[pathlib.Path | None, typer.Option(help="SVG file for the recorded figures.")] = None,
    readme: Annotated[pathlib.Path | None, typer.Option(help="Document in which to replace the tables.")] = None,
    load: Annotated[pathlib.Path | None, typer.Option(help="JSON file of an earlier run, to measure nothing.")] = None,
    save: Annotated[pathlib.Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Compare eager engines with plain floats; recorded functions and transforms with other compilers and libraries."""
    names = ("eager", *SUITES, "all")
    if suite not in names:
        raise typer.BadParameter(f"--suite: expected {', '.join(names[:-1])} or all, got {suite}")
    if load is not None:
        results = json.loads(load.read_text(encoding="utf-8"))
    else:
        asked = _some(only, {**engines.RIVALS, **compilers.RIVALS}, "--only")
        chosen = _some(workloads, WORKLOADS, "--workloads")
        results = {"machine": _machine()}
        if suite in ("eager", "all"):
            results["figures"] = eager.run(rounds, asked)
        for name, own in SUITES.items():
            if suite in (name, "all"):
                results[name] = running.run(asked, own.keys() & chosen, rounds, seconds, limit)
    if save is not None:
        save.write_text(json.dumps(results, indent=1), encoding="utf-8")
    if as_json:
        print(json.dumps(results, indent=1))
    else:
        _print(results, markdown, rounds)
    for name in SUITES.keys() & results.keys() if readme is not None else ():
        table.into(readme, name, results["machine"], results[name])
    if figure is not None:
        from .recorded.figure import draw

        draw(results["recorded"], figure)


def _print(results: dict[str, Any], markdown: bool, rounds: int) -> None:
    """Print a table for each suite that ran."""
    print(results["machine"])
    if "figures" in results and not markdown:
        print(f"\nEager engines: median of {rounds} rounds, as a multiple of plain floats (quartiles)")
        eager.table(results["figures"])
    for name in SUITES:
        if name in results:
            print("\n".join(table.markdown(results[name]) if markdown else table.text(results[name])))


def _some(asked: str, known: dict[str, Any], option: str) -> set[str]:
    """Return the requested names, which may contain commas themselves; all known names if none is requested."""
    rest, found = asked, set()
    while rest := rest.strip(" ,"):
        name = max((name for name in known if rest.startswith(name)), key=len, default=None)
        if name is None:
            raise typer.BadParameter(f"{option}: expected some of {'; '.join(known)}, got {rest}")
        found.add(name)
        rest = rest[len(name) :]
    return found or set(known)


def _machine() -> str:
    """Return the processor, if the system names it, and the versions."""
    processor = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    return f"{processor}, Python {platform.python_version()}, {platform.system()}"


if __name__ == "__main__":
    typer.run(main)
