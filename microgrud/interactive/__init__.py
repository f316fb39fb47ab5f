"""Widgets for notebooks and pages: slopes, descents, residuals, learning curves and regions that one can move and play.

They are HTML with a picture, words, controls and a script. They need no other file, no server, no NumPy and no
matplotlib, and work in a saved page. Where scripts do not run, the picture and the words remain. `print(widget)` gives
the words.

* `tangent`, `descent`: the slope of a function at a point, and gradient descent on it, computed in the page.
* `residuals`: expected and predicted numbers of one input, and what lies between them.
* `curves`: learning curves.
* `regions`: the class that a model gives to every place in the plane of two inputs.

>>> from microgrud.interactive import descent, tangent
>>> print(tangent(lambda x: x**2, at=3.0, nudge=1.0))
At x = 3, f(x) = 9. The tangent has the slope 6.
Nudged by 1, f changes by 7: 7 / 1 = 7 is the slope of the secant.
"""

from .curves import Curves, curves
from .descent import Descent, descent
from .program import Program, program
from .recording import ProgramError
from .regions import Regions, regions
from .residuals import Residuals, residuals
from .tangent import Tangent, tangent

__all__ = [
    "Curves",
    "Descent",
    "Program",
    "ProgramError",
    "Regions",
    "Residuals",
    "Tangent",
    "curves",
    "descent",
    "program",
    "regions",
    "residuals",
    "tangent",
]
