"""Pictures of graphs: every value, gradient and local derivative, in a notebook or a file.

`draw` shows a graph, a network or the recordings of a compiled function. `backprop_steps` shows the backward pass over
a graph step by step, `explain` the paths along which a leaf influences a root. `summary` counts the nodes of a graph.

Pictures need the packages of the extra `draw`, or a function that renders them: `use_renderer`.
"""

from .drawing import draw, draw_dot, trace
from .explanation import Explanation, GradientPath as Path, explain
from .frames import Frame, Share
from .player import BackpropSteps, backprop_steps
from .rendering import Drawing, use_renderer
from .value_graph import Summary, local_derivatives, summary

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
    "use_renderer",
]
