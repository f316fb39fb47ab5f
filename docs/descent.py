"""Draw docs/descent.svg: gradient descent on one loss surface, with four learning rates.

Run with `python docs/descent.py`; needs matplotlib 3.7.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from microgrud import Value
from microgrud.optim import SGD
from microgrud.plot.style import outline, pale_greys, style

RATES = {
    0.001: "too small: still on the way",
    0.008: "good: it arrives",
    0.019: "too high: it jumps across the valley",
    0.04: "far too high: it leaps from valley to valley",
}
STEPS = 60
START = (-1.0, -0.5)
BEGINNING: dict[str, Any] = {
    "linestyle": "none", "marker": "o", "markersize": 8, "markerfacecolor": "white", "markeredgecolor": "black",
    "markeredgewidth": 1.4, "zorder": 5,
}  # fmt: skip
END: dict[str, Any] = {"linestyle": "none", "marker": "*", "markersize": 15, "markeredgecolor": "white", "zorder": 6}


def himmelblau(x: Value, y: Value) -> Value:
    """Compute (x**2 + y - 11)**2 + (x + y**2 - 7)**2, a landscape with four valleys (Himmelblau 1972)."""
    return (x**2 + y - 11.0) ** 2 + (x + y**2 - 7.0) ** 2


def walk(learning_rate: float, steps: int = STEPS) -> tuple[list[tuple[float, float]], list[float]]:
    """Descend from START by gradient descent, and return the places and the loss at each of them.

    >>> places, losses = walk(0.008)
    >>> len(places), losses[0] > 100, losses[-1] < 1e-20
    (61, True, True)
    """
    x, y = Value(START[0]), Value(START[1])
    optimizer = SGD([x, y], lr=learning_rate)
    places, losses = [], []
    for _ in range(steps + 1):
        loss = himmelblau(x, y)
        places.append((x.data, y.data))
        losses.append(loss.data)
        if loss > 1e6:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return places, losses


def draw(path: Path) -> None:
    """Draw each descent over the contours of the surface, and a panel with all losses: the same bytes every time."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(10, 5.4), layout="constrained")
    # All descents start at the same point: in one panel, the last would cover the others.
    left, right = figure.subfigures(1, 2, width_ratios=[1.25, 1])
    panels = left.subplots(2, 2, sharex=True, sharey=True)
    curves = right.subplots()
    for i, (ax, (rate, verdict)) in enumerate(zip(panels.flat, RATES.items())):
        places, losses = walk(rate)
        look = style(i)
        form = {"color": look.color, "linestyle": look.dashes, "marker": look.marker}
        curves.semilogy(losses, **form, markersize=4.5, markevery=6, label=f"{rate:g}")
        _draw_ground(ax)
        ax.plot(*zip(*places), **form, markersize=3, linewidth=1, path_effects=outline(2.4))
        ax.plot(*START, **BEGINNING)
        ax.plot(*places[-1], **END, markerfacecolor=look.color)
        ax.set(xlim=(-5.6, 5.6), ylim=(-5.6, 5.6), xticks=[-4, 0, 4], yticks=[-4, 0, 4])
        ax.set_title(f"learning rate {rate:g}\n{verdict}", fontsize="small")
    for ax in panels[1]:
        ax.set_xlabel("x")
    for ax in panels[:, 0]:
        ax.set_ylabel("y")
    left.legend(
        handles=[
            Line2D([], [], **BEGINNING, label="start"),
            Line2D([], [], **END, markerfacecolor="black", label=f"end, after {STEPS} steps"),
        ],
        loc="outside lower center", ncols=2, fontsize="small",
    )  # fmt: skip
    curves.set(xlabel="step", ylabel="loss (logarithmic scale)", ylim=(1e-20, 1e4))
    curves.set_title("The learning rate sets the pace", fontsize="medium")
    curves.legend(title="learning rate", loc="lower left", fontsize="small")
    curves.grid(alpha=0.4, linewidth=0.6)
    with matplotlib.rc_context({"svg.hashsalt": "microgrud"}):
        figure.savefig(path, dpi=110, metadata={"Date": None})


def _draw_ground(ax: Any) -> None:
    xs, ys = np.meshgrid(np.linspace(-5.6, 5.6, 80), np.linspace(-5.6, 5.6, 80))
    heights = (xs**2 + ys - 11) ** 2 + (xs + ys**2 - 7) ** 2
    ax.contourf(xs, ys, np.log1p(heights), levels=14, cmap=pale_greys(), alpha=0.8, zorder=-1)
    ax.set_rasterization_zorder(0)  # an image of what lies below 0 keeps the file small


if __name__ == "__main__":
    draw(Path(__file__).with_suffix(".svg"))
