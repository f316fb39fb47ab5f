"""Pictures of graphs: every value, gradient and local derivative, in a notebook or a file.

`draw` shows a graph, `backprop_steps` the backward pass over it step by step, `explain` the paths along which a leaf
acts on a root, `summary` what a graph is made of.

Needs the extra `draw`: pip install 'microgrud[draw]'
"""

from .drawing import draw, draw_dot, trace
from .graph import Summary, local_derivatives, summary
from .rendering import Drawing

__all__ = ["Drawing", "Summary", "draw", "draw_dot", "local_derivatives", "summary", "trace"]
