"""`compile`: record a function at its first call and replay it from then on; branches are handled correctly.

The life of a call, file by file; each step imports only from its own files and earlier steps:

1. signature.py takes the arguments apart: numbers, integers, and a signature of everything else (states.py).
2. recorder.py calls the function on Values, and notes what it does: a *trace*, with a *guard* for each comparison
   whose outcome it asks for (`Truth` in engine/truth.py).
3. building.py compares the traces of two such calls, numbers the results of nodes and merges sums of products.
4. program.py holds the result, a *program*: instructions over numbered slots, and the guards as pairs of slots::

        def f(x):                       slots     0: x    1: w    3: the number 1.0    6: the number 0.0
            y = w * x + 1.0             program   4 = linear(3; 1, 0)     slot 3 plus slot 1 times slot 0
            if x > 0.0:                           5 = tanh(4)
                return tanh(y)          guard     0 > 6 was true
            return y                    output    5

   Slot 2, w * x, was merged into the sum in slot 4.

5. executors.py runs a program in C (_native/src/tape lowers it to code), numpy_executor.py in NumPy (native.py loads
   the C extension, if there is one): forward for all samples at once, then the guards, then backward. A sample at
   which a guard does not hold takes another path.
6. branches.py keeps one *recording* for each path, and evaluation.py finds the one for each sample: it tries the
   existing recordings, records a new path for a sample that fits none of them, and calls the function itself where
   numbers are not finite or paths too many. settings.py has the settings of `compile`, and absent.py stands for the
   function after unpickling; weights.py multiplies by the weights of samples.
7. recordings.py keeps all this by signature. Once recordings have served a call, replays.py makes a *replay* of them:
   the next such call runs in C from the arguments to the result.
8. nodes.py puts a call into a graph, so that it can be differentiated again; results.py arranges results;
   derivatives.py has Jacobians and Hessians from recordings of derivatives, and sparse.py sparse ones, by what
   sparsity.py finds; flat.py evaluates at a vector of parameters, and parametric.py has derivatives with respect to
   these; mapping.py arranges the results of samples, and vmapped.py serves vmap; listing.py shows recordings as text;
   packing.py and saving.py write and read pickles.
9. compiling.py is the public face, with the class in compiled.py and differentiable.py; verified.py is that of `fit`.
"""

from __future__ import annotations

from ..common import needs_numpy as needs_numpy
from ..engine.integers import take
from .compiled import Compiled
from .compiling import compile
from .recorder import CompileError

__all__ = ["CompileError", "Compiled", "compile", "take"]
