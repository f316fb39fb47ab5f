"""Pictures: loss surfaces and the walks over them, learning curves, decision regions, what a network is doing.

Every function draws on the matplotlib Axes it is given, or on ones of its own, and returns them. Those of its own
belong to a Figure that no pyplot knows of; at the end of a notebook's cell they show themselves, and
`ax.figure.savefig("picture.png")` writes them to a file. No global setting of matplotlib is read with side effects or
changed. Form tells apart what colour does: markers, dashes and hatches survive greyscale and colour blindness.

* `loss_surface`, `Trajectory`, `race`, `animate`: the loss over a plane through parameter space, and walks over it.
* `rosenbrock`, `himmelblau`, `beale`, `saddle`, `ravine`, `quadratic`: landscapes to walk on.
* `learning_curve`, `learning_rate_range`: how training goes, and with which rate it might.
* `decision_regions`, `parameter_histograms`, `gradient_flow`: what a network has learnt, holds, and is told.

They need matplotlib (`pip install 'microgrud[plot]'`); recording and evaluating do not.
"""

from __future__ import annotations

from ..common import needs_numpy as needs_numpy
from .animation import animate
from .curves import learning_curve
from .decisions import decision_regions
from .landscapes import beale, himmelblau, quadratic, ravine, rosenbrock, saddle
from .network import gradient_flow, parameter_histograms
from .planes import Plane
from .race import Race, race
from .rates import LearningRateRange, learning_rate_range
from .surface import LossSurface, loss_surface
from .trajectory import Trajectory

__all__ = [
    "LearningRateRange",
    "LossSurface",
    "Plane",
    "Race",
    "Trajectory",
    "animate",
    "beale",
    "decision_regions",
    "gradient_flow",
    "himmelblau",
    "learning_curve",
    "learning_rate_range",
    "loss_surface",
    "parameter_histograms",
    "quadratic",
    "race",
    "ravine",
    "rosenbrock",
    "saddle",
]
