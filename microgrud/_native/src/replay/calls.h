/* The methods of the types Replay and Tree. Each of them serves the frequent case. For other arguments, if no recording
 * fits a sample, or if a number is not finite, it returns NotImplemented and leaves no trace; Python
 * (tape/evaluation.py) then evaluates the call, which takes 80 microseconds more.
 */
#ifndef MICROGRUD_CALLS_H
#define MICROGRUD_CALLS_H

#include "replay/replay.h"

/* values(args): return the result. */
INTERNAL PyObject *replay_values(PyObject *self, PyObject *args);
/* map(args): return the outputs of all samples, as an array with a row for each output. */
INTERNAL PyObject *replay_map(PyObject *self, PyObject *args);
/* backward(args): return the result, which is one number, and add its derivatives to `grad` of the leaves. */
INTERNAL PyObject *replay_backward(PyObject *self, PyObject *args);
/* gradients(args, positions, weights): return the result (None with weights), and a tuple of the derivatives of the
 * weighted sum of all outputs with respect to the arguments at these positions. The weights may be directions, in the
 * structure of these arguments, if the outputs are as many numbers. */
INTERNAL PyObject *replay_gradients(PyObject *self, PyObject *arguments);
/* flat(args, leaves, slopes, outputs, weights, numbers, places): return the weighted sum of the outputs (without weights,
 * the first), and write its derivatives with respect to the leaves of one replay after the other, and to the numbers of
 * the arguments outside of batches, and the outputs of all samples. `leaves` has numbers to take in place of theirs.
 * With `places`, one for each leaf, it is a vector with the numbers of leaves at their places, and the derivatives are
 * added to `slopes` there; a leaf whose place is -1 keeps its number. Each of these may be None. */
INTERNAL PyObject *replay_flat(PyObject *self, PyObject *arguments);

#endif
