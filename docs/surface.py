"""Draw docs/surface.png: the loss surface of a small network, and the path that training took over it.

Run with `python docs/surface.py`; needs the extras `plot` and `train`.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from sklearn.datasets import make_moons

from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.optim import Adam
from microgrud.plot import LossSurface, Trajectory, loss_surface
from microgrud.train import fit


def surface(points: int = 61) -> LossSurface:
    """Train on two moons, and evaluate the loss in the plane along which training moved most.

    >>> found = surface(points=3)
    >>> found.losses.shape, len(found.parameters), float(found.losses.min()) < 0.5
    ((3, 3), 65, True)
    """
    X, y = make_moons(n_samples=60, noise=0.15, random_state=0)
    targets = 2.0 * y - 1.0
    model = MLP(2, [8, 4, 1], activation="tanh", rng=random.Random(4))
    trajectory = Trajectory(model)
    optimizer = Adam(model.parameters(), lr=0.05)
    options = {"loss": squared_error, "optimizer": optimizer, "epochs": 40, "batch_size": 15}
    fit(model, X, targets, callbacks=trajectory, progress=False, **options)
    return loss_surface(
        lambda: squared_error([model(row) for row in X], targets),
        model,
        trajectory=trajectory,
        points=points,
        progress=False,
    )


def draw(path: Path) -> None:
    """Draw the surface from behind its valley, so that the walk comes down towards the reader."""
    import matplotlib

    with matplotlib.rc_context({"font.size": 13}):  # legible where the picture is 360 pixels wide
        ax: Any = surface().surface()
        ax.view_init(elev=30, azim=25)
        ax.set_xlabel("direction 1", labelpad=8)
        ax.set_ylabel("direction 2", labelpad=8)
        ax.figure.savefig(path, dpi=100)


if __name__ == "__main__":
    draw(Path(__file__).with_suffix(".png"))
