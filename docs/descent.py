"""Draw docs/descent.svg: four walks down one loss surface, with the learning rate as the only difference.

Run with `python docs/descent.py`; needs matplotlib 3.7.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from microgrud import Value
from microgrud.optim import SGD

RATES = {
    0.001: "too small: still on the way",
    0.008: "good",
    0.019: "too high: it jumps across the valley",
    0.04: "far too high: it leaps from valley to valley",
}
STEPS = 60
START = (-1.0, -0.5)


def himmelblau(x: Value, y: Value) -> Value:
    """Compute (x**2 + y - 11)**2 + (x + y**2 - 7)**2, a landscape with four valleys (Himmelblau 1972)."""
    return (x**2 + y - 11.0) ** 2 + (x + y**2 - 7.0) ** 2


def walk(learning_rate: float, steps: int = STEPS) -> tuple[list[tuple[float, float]], list[float]]:
    """Walk downhill from START by gradient descent; return the places and the loss at each.

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
    """Draw the walks over the contours of the surface, and their losses beside them: the same bytes every time."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    surface, curves = figure.subplots(1, 2, width_ratios=[1.1, 1])
    xs, ys = np.meshgrid(np.linspace(-5.6, 5.6, 80), np.linspace(-5.6, 5.6, 80))
    heights = (xs**2 + ys - 11) ** 2 + (xs + ys**2 - 7) ** 2
    surface.contourf(xs, ys, np.log1p(heights), levels=14, cmap="Greys", alpha=0.7, zorder=-1)
    surface.set_rasterization_zorder(0)  # an image of what lies below 0 keeps the file small
    markers = iter("osD^")
    for rate, verdict in RATES.items():
        places, losses = walk(rate)
        marker = next(markers)
        (line,) = curves.semilogy(losses, marker=marker, markersize=3, markevery=4, label=f"{rate:g} ({verdict})")
        surface.plot(*zip(*places), color=line.get_color(), marker=marker, markersize=3, linewidth=1)
    surface.plot(*START, "k*", markersize=12)
    surface.set(
        xlim=(-5.6, 5.6), ylim=(-5.6, 5.6), xlabel="x", ylabel="y", title="60 steps down one surface, from the star"
    )
    curves.set(xlabel="step", ylabel="loss", ylim=(1e-20, 1e4), title="The learning rate sets the pace")
    figure.legend(title="learning rate", loc="outside lower center", ncols=2)
    with matplotlib.rc_context({"svg.hashsalt": "microgrud"}):
        figure.savefig(path, dpi=110, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(__file__).with_suffix(".svg"))
