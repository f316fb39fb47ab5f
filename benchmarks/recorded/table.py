"""Tables of the figures of the second and the third suite, as text and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from .rivals import RIVALS
from .suite import WORKLOADS
from .workload import Workload

Figures = list[dict[str, Any]]

_BEGIN, _END = "<!-- the tables of {} begin -->", "<!-- the tables of {} end -->"


def text(found: Figures) -> Iterator[str]:
    """Yield the lines of a table per workload: multiples of the base with quartiles, and the time of the first call."""
    for name, workload in _measured(found):
        yield ""
        yield f"{workload.title}: time per step as a multiple of {workload.base} (quartiles), time, time of the first"
        yield f"{'':22}" + "".join(f"{case:>40}" for case in workload.cases)
        for rival, cells in _rows(found, name, workload):
            yield f"{rival:22}" + "".join(f"{_cell(cell):>40}" for cell in cells)
    yield from _remarks(found)


def markdown(found: Figures) -> Iterator[str]:
    """Yield the same tables as Markdown, with the time per step in place of the quartiles."""
    for name, workload in _measured(found):
        yield ""
        yield f"### {workload.title[0].upper()}{workload.title[1:]}"
        yield ""
        yield f"| multiple of {workload.base}, time | " + " | ".join(workload.cases) + " |"
        yield "| --- |" + " --- |" * len(workload.cases)
        for rival, cells in _rows(found, name, workload):
            yield f"| {rival} | " + " | ".join(_short_cell(cell) for cell in cells) + " |"
    yield from _remarks(found)


def into(document: Path, suite: str, machine: str, found: Figures) -> None:
    """Replace the text between the two marks of a suite in a document by its tables.

    Raises:
        ValueError: if the document lacks one of the marks.
    """
    written = document.read_text(encoding="utf-8")
    first, last = _BEGIN.format(suite), _END.format(suite)
    before, _, rest = written.partition(first)
    _, end, after = rest.partition(last)
    if not end:
        raise ValueError(f"{document}: expected the marks {first} and {last}")
    lines = "\n".join([f"Measured on {machine}, {date.today():%d %B %Y}.", *markdown(found)])
    document.write_text(f"{before}{first}\n{lines}\n{last}{after}", encoding="utf-8")


def exponent(found: Figures, name: str, rival: str) -> float | None:
    """Return the exponent of the growth of a rival's time with the size of the cases; None for too few figures.

    The exponent is fitted to the multiples of plain floats, whose time grows with the exponent 1.
    """
    own = [f for f in found if f.get("workload") == name and f["rival"] == rival and "multiple" in f]
    points = [(math.log(int(f["case"].replace(",", ""))), math.log(f["multiple"])) for f in own]
    if len(points) < 2:
        return None
    mean_x, mean_y = (sum(column) / len(points) for column in zip(*points))
    above = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return 1.0 + above / sum((x - mean_x) ** 2 for x, _ in points)


def duration(seconds: float) -> str:
    """Write a time with three digits.

    >>> duration(0.00012345), duration(12.0)
    ('123 us', '12.0 s')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= 0.9995 * size:
            return f"{short(seconds / size)} {unit}"
    return f"{short(seconds * 1e9)} ns"


def short(x: float) -> str:
    """Write a number with three digits.

    >>> short(0.0123456), short(3.14159), short(1234.5)
    ('0.0123', '3.14', '1,234')
    """
    return f"{x:,.0f}" if x >= 99.95 else f"{x:#.3g}"


def _measured(found: Figures) -> Iterator[tuple[str, Workload]]:
    names = {figure.get("workload") for figure in found}
    return ((name, workload) for name, workload in WORKLOADS.items() if name in names)


def _rows(found: Figures, name: str, workload: Workload) -> Iterator[tuple[str, list[dict[str, Any] | None]]]:
    own = {(f["rival"], f["case"]): f for f in found if f.get("workload") == name}
    for rival in RIVALS:
        cells = [own.get((rival, case)) for case in workload.cases]
        if any(cells):
            yield rival, cells


def _cell(figure: dict[str, Any] | None) -> str:
    if figure is None or "failed" in figure:
        return _failure(figure["failed"]) if figure else ""
    low, high = map(short, figure["quartiles"])
    times = f"{duration(figure['seconds'])}, {duration(figure['first'])}"
    return f"{short(figure['multiple'])} ({low}-{high}) {times}"


def _short_cell(figure: dict[str, Any] | None) -> str:
    if figure is None or "failed" in figure:
        return _failure(figure["failed"]) if figure else ""
    return f"{short(figure['multiple'])}, {duration(figure['seconds'])}"


def _failure(reason: str) -> str:
    """Shorten the reason for having no figure: the name of an exception without its module and its message."""
    return reason.partition(":")[0].rpartition(".")[2]


def _remarks(found: Figures) -> Iterator[str]:
    """Yield the exponents of growth, the times of slow first calls, the versions, and the rivals without figures."""
    yield ""
    for name, workload in _measured(found):
        for rival in workload.programs if workload.growth else ():
            power = exponent(found, name, rival) if rival != workload.base else None
            if power is not None:
                yield f"* {rival}, {workload.title}: {workload.growth} grows as n**{power:.2f}."
    for rival in RIVALS:
        firsts = [f["first"] for f in found if f["rival"] == rival and "first" in f and f["workload"] != "recording"]
        if firsts and max(firsts) >= 0.1:
            yield f"* {rival}: {duration(min(firsts))} to {duration(max(firsts))} until the first result."
    versions = {f["rival"]: f["version"] for f in found if "version" in f}
    yield "* Versions: " + ", ".join(f"{rival} {version}" for rival, version in versions.items()) + "."
    for figure in found:
        if "failed" in figure and figure["failed"] != _failure(figure["failed"]):
            yield f"* {figure['rival']}, {figure['workload']}, {figure['case']}: {figure['failed']}"
        if "missing" in figure:
            yield f"* {figure['rival']} was not measured: {figure['missing']}."
