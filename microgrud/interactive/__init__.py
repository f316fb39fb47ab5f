"""Widgets for notebooks and pages: a slope that one can move, and gradient descent that one can play and steer.

They are HTML with a picture, words, controls and a script, need no other file and no server, and work in a saved page.
Where scripts do not run, the picture and the words remain. `print(widget)` gives the words.

>>> from microgrud.interactive import descent, tangent
>>> print(tangent(lambda x: x**2, at=3.0, nudge=1.0))
At x = 3, f(x) = 9. The tangent has the slope 6.
Nudged by 1, f changes by 7: 7 / 1 = 7 is the slope of the secant.
"""

from .descent import Descent, descent
from .program import Program, program
from .recording import ProgramError
from .tangent import Tangent, tangent

__all__ = ["Descent", "Program", "ProgramError", "Tangent", "descent", "program", "tangent"]
