"""Pictures of graphs: every value, gradient and local derivative, in a notebook or a file.

`draw` shows a graph, a network, or what a compiled function has recorded, `backprop_steps` the backward pass over a
graph step by step, `explain` the paths along which a leaf acts on a root, `summary` what a graph is made of.

Needs the extra `draw`: pip install 'microgrud[draw]'
"""

from ..common import needs_numpy as needs_numpy
from .drawing import draw, draw_dot, trace
from .frames import Frame, Share
from .graph import Summary, local_derivatives, summary
from .paths import Explanation, Path, explain
from .player import BackpropSteps, backprop_steps
from .rendering import Drawing

__all__ = [
    "BackpropSteps",
    "Drawing",
    "Explanation",
    "Frame",
    "Path",
    "Share",
    "Summary",
    "backprop_steps",
    "draw",
    "draw_dot",
    "explain",
    "local_derivatives",
    "summary",
    "trace",
]
