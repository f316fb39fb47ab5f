"""`python -m benchmarks`: measure everything that is installed, in one run, each rival in a process of its own."""

from __future__ import annotations

import json
import pathlib
import platform
from typing import Annotated, Any

import typer

from . import eager, rivals as engines
from .recorded import rivals as compilers, running, table
from .recorded.suite import WORKLOADS


def main(
    suite: Annotated[str, typer.Option(help="eager, recorded or all.")] = "all",
    rounds: Annotated[int, typer.Option(min=1, help="How often each workload is run, within the seconds.")] = 20,
    seconds: Annotated[float, typer.Option(min=0.0, help="For the rounds of a recorded case.")] = 1.0,
    limit: Annotated[float, typer.Option(min=1.0, help="Seconds after which a recorded case is given up.")] = 60.0,
    only: Annotated[str, typer.Option(help="Rivals to measure, with commas between them.")] = "",
    workloads: Annotated[str, typer.Option(help="Recorded workloads to measure, with commas between them.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    markdown: Annotated[bool, typer.Option(help="Print the recorded figures as tables for the README.")] = False,
    figure: Annotated[pathlib.Path | None, typer.Option(help="Draw the recorded figures into this SVG.")] = None,
    readme: Annotated[pathlib.Path | None, typer.Option(help="Write the tables into this document.")] = None,
    load: Annotated[pathlib.Path | None, typer.Option(help="Measure nothing: take the JSON of an earlier run.")] = None,
    save: Annotated[pathlib.Path | None, typer.Option(help="Write the figures into this file as JSON.")] = None,
) -> None:
    """Measure eager engines against plain floats, and recorded functions against what else compiles."""
    if suite not in ("eager", "recorded", "all"):
        raise typer.BadParameter(f"--suite: expected eager, recorded or all, got {suite}")
    if load is not None:
        results = json.loads(load.read_text(encoding="utf-8"))
    else:
        asked = _some(only, {**engines.RIVALS, **compilers.RIVALS}, "--only")
        chosen = _some(workloads, WORKLOADS, "--workloads")
        results = {"machine": _machine()}
        if suite != "recorded":
            results["figures"] = eager.run(rounds, asked)
        if suite != "eager":
            results["recorded"] = running.run(asked, chosen, rounds, seconds, limit)
    if save is not None:
        save.write_text(json.dumps(results, indent=1), encoding="utf-8")
    if as_json:
        print(json.dumps(results, indent=1))
    else:
        _print(results, markdown, rounds)
    if readme is not None:
        table.into(readme, results["machine"], results["recorded"])
    if figure is not None:
        from .recorded.figure import draw

        draw(results["recorded"], figure)


def _print(results: dict[str, Any], markdown: bool, rounds: int) -> None:
    """Print the tables of the suites that were run."""
    print(results["machine"])
    if "figures" in results and not markdown:
        print(f"\nEager engines: median of {rounds} rounds, as a multiple of plain floats (quartiles)")
        eager.table(results["figures"])
    if "recorded" in results:
        print("\n".join(table.markdown(results["recorded"]) if markdown else table.text(results["recorded"])))


def _some(asked: str, known: dict[str, Any], option: str) -> set[str]:
    """Return the names asked for (they may hold commas themselves); all of them for none."""
    rest, found = asked, set()
    while rest := rest.strip(" ,"):
        name = max((name for name in known if rest.startswith(name)), key=len, default=None)
        if name is None:
            raise typer.BadParameter(f"{option}: expected some of {'; '.join(known)}, got {rest}")
        found.add(name)
        rest = rest[len(name) :]
    return found or set(known)


def _machine() -> str:
    """Return the processor, as far as the system tells, and the versions."""
    processor = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    return f"{processor}, Python {platform.python_version()}, {platform.system()}"


if __name__ == "__main__":
    typer.run(main)
