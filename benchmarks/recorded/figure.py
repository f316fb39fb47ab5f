"""Draw six workloads of the second suite in one figure: `python -m benchmarks --figure benchmarks/recorded.svg`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from .suite import WORKLOADS
from .table import Figures, duration, exponent, short


class _Look(NamedTuple):
    label: str
    color: str
    marker: str
    weight: float = 1.3


#: Each rival has the same colour and the same marker in every panel; the marker identifies it without colour.
_LOOKS = {
    "microgrud": _Look("microgrud", "#D62728", "o", 2.6),
    "microgrud, 2 threads": _Look("microgrud, 2 threads", "#D62728", "P"),
    "microgrud eager": _Look("microgrud, eager", "#F2A07B", "o"),
    "c": _Look("C by hand (the limit)", "#111111", "*"),
    "numpy": _Look("NumPy by hand", "#6E6E6E", "s"),
    "floats": _Look("plain floats", "#6E6E6E", "s"),
    "jax jit": _Look("JAX jit", "#1F77B4", "^"),
    "jax jit vmap": _Look("JAX jit vmap", "#17A2C6", "v"),
    "jax jit jacfwd": _Look("JAX jit jacfwd", "#17A2C6", "<"),
    "casadi": _Look("CasADi", "#2E8B57", "D"),
    "casadi mapaccum": _Look("CasADi mapaccum", "#2E8B57", "d"),
    "torch compile": _Look("torch.compile", "#8E5BB5", "X"),
    "torch": _Look("PyTorch", "#C58FDB", "p"),
    "hips autograd": _Look("HIPS autograd", "#A67C2D", "h"),
}
_PANELS = ("mlp", "transformer", "rosenbrock", "lorenz", "barrier", "recording")
_LINES = {"mlp": "samples", "transformer": "words"}
_SMALL = 7.0


def draw(found: Figures, path: Path) -> None:
    """Draw a panel for each of the six that was measured.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: if there are no figures.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names = [name for name in _PANELS if any(f.get("workload") == name and "multiple" in f for f in found)]
    if not names:
        raise ValueError("no figures to draw")
    settings = {"font.size": 8, "svg.fonttype": "path", "svg.hashsalt": "microgrud", "axes.titlesize": 9}
    with rc_context(settings):
        rows = (len(names) + 1) // 2
        figure = Figure(figsize=(8.6, 0.9 + 2.85 * rows), layout="constrained", facecolor="white")
        axes = figure.subplots(rows, 2, squeeze=False).ravel()
        for ax, name in zip(axes, names):
            own = [f for f in found if f.get("workload") == name and "multiple" in f]
            _framed(ax, WORKLOADS[name].title)
            if name == "recording":
                _recordings(ax, own, found)
            elif name in _LINES:
                _lines(ax, own, _LINES[name])
            else:
                _rows(ax, own, WORKLOADS[name].cases)
        for ax in axes[len(names) :]:
            ax.set_axis_off()
        _legend(figure, found)
        figure.savefig(path, metadata={"Date": None}, facecolor="white")


def _framed(ax: Any, title: str) -> None:
    ax.set_title(title[0].upper() + title[1:], loc="left", fontweight="bold")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="both", color="#e4e4e4", linewidth=0.6)
    ax.set_axisbelow(True)


def _lines(ax: Any, own: Figures, what: str) -> None:
    """Plot multiples of NumPy against the size, with one line per rival."""
    ax.set(xscale="log", yscale="log", xlabel=what, ylabel="time, NumPy = 1")
    ax.axhline(1.0, color=_LOOKS["numpy"].color, linewidth=1.3, zorder=1)
    for rival, look in _LOOKS.items():
        points = [(_size(f["case"]), f["multiple"], *f["quartiles"]) for f in own if f["rival"] == rival]
        if not points or rival == "numpy":
            continue
        x, y, low, high = zip(*sorted(points))
        front = 4 if rival == "microgrud" else 3
        ax.plot(x, y, color=look.color, marker=look.marker, markersize=4.5, linewidth=look.weight, zorder=front)
        ax.vlines(x, low, high, color=look.color, linewidth=look.weight, zorder=front)
    sizes = sorted({_size(f["case"]) for f in own})
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    ax.text(sizes[-1], 1.0, "NumPy ", ha="right", va="bottom", fontsize=_SMALL, color=_LOOKS["numpy"].color)


def _rows(ax: Any, own: Figures, cases: Any) -> None:
    """Plot multiples of NumPy, a row per rival, filled markers for the first case and hollow ones for the second."""
    ax.set(xscale="log", xlabel="time, NumPy = 1")
    ax.axvline(1.0, color=_LOOKS["numpy"].color, linewidth=1.3, zorder=1)
    fastest = {r: min(f["multiple"] for f in own if f["rival"] == r) for r in {f["rival"] for f in own}}
    order = sorted(fastest, key=lambda rival: -fastest[rival])
    for f in own:
        look, row, case = _LOOKS[f["rival"]], order.index(f["rival"]), list(cases).index(f["case"])
        y = row + (0.0 if len(cases) == 1 else 0.2 - 0.4 * case)
        fill = "white" if case else look.color
        ax.hlines(y, *f["quartiles"], color=look.color, linewidth=1.3)
        ax.plot(f["multiple"], y, marker=look.marker, color=look.color, markerfacecolor=fill, markersize=6)
        label = f"  {short(f['multiple'])}" + (f"  {f['case']}" if len(cases) > 1 else f"  ({duration(f['seconds'])})")
        weight = "bold" if f["rival"] == "microgrud" else "normal"
        label = label.replace("us", "µs")
        ax.annotate(label, (f["quartiles"][1], y), xytext=(3, 0), textcoords="offset points", va="center",
                    fontsize=_SMALL, fontweight=weight, color="#222222")  # fmt: skip
    ax.set_yticks(range(len(order)), [_LOOKS[rival].label for rival in order])
    ax.set_ylim(-0.6, len(order) - 0.4)
    low, high = min(f["multiple"] for f in own), max(f["multiple"] for f in own)
    ax.set_xlim(low / 2.0, high * (high / low) ** 0.35 * 2.0)
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 1.0 else f"{x:g}")
    ax.minorticks_off()


def _recordings(ax: Any, own: Figures, found: Figures) -> None:
    """Plot the seconds until the first gradient against the operations, with the exponent of growth."""
    ax.set(xscale="log", yscale="log", xlabel="operations", ylabel="seconds")
    for rival, look in _LOOKS.items():
        points = sorted((_size(f["case"]), f["seconds"]) for f in own if f["rival"] == rival)
        if not points:
            continue
        ax.plot(*zip(*points), color=look.color, marker=look.marker, markersize=4.5, linewidth=look.weight)
        power = exponent(found, "recording", rival) if rival != "floats" else None
        label = f"{look.label}: $n^{{{power:.2f}}}$" if power is not None else look.label
        ax.annotate(label, points[-1], xytext=(-9, 0), textcoords="offset points", ha="right", va="bottom",
                    fontsize=_SMALL + 1, color=look.color)  # fmt: skip
    sizes = sorted({_size(f["case"]) for f in own})
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    ax.minorticks_off()


def _legend(figure: Any, found: Figures) -> None:
    from matplotlib.lines import Line2D

    there = {f["rival"] for f in found if "multiple" in f} - {"floats"}
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, markersize=5, linewidth=look.weight, label=look.label)
        for rival, look in _LOOKS.items()
        if rival in there
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=5, frameon=False, fontsize=8)


def _size(case: str) -> int:
    return int(case.partition(" ")[0].replace(",", ""))
