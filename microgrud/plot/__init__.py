"""Pictures: loss surfaces and walks over them, learning curves, decision regions, parameters and gradients.

Every function draws on the matplotlib Axes that it is given, or on new ones, and returns them. New Axes belong to a
Figure outside of pyplot. They show themselves at the end of a notebook's cell, and
`ax.figure.savefig("picture.png")` writes them to a file. No global setting of matplotlib changes. Markers, dashes and
hatches make the same distinctions as colours, for greyscale prints and colour-blind readers.

* `loss_surface`, `Trajectory`, `race`, `animate`: the loss over a plane through parameter space, and walks over it.
* `rosenbrock`, `himmelblau`, `beale`, `saddle`, `ravine`, `quadratic`: landscapes to walk on.
* `learning_curve`, `learning_rate_range`: the course of training, and the choice of a learning rate.
* `decision_regions`, `parameter_histograms`, `gradient_flow`: a network's predictions, parameters and gradients.

The pictures need matplotlib (the extra `plot`); recording walks and evaluating losses do not.
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
from .race_player import RacePlayer
from .rates import LearningRateRange, learning_rate_range
from .surface import LossSurface, loss_surface
from .trajectory import Trajectory

__all__ = [
    "LearningRateRange",
    "LossSurface",
    "Plane",
    "Race",
    "RacePlayer",
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
