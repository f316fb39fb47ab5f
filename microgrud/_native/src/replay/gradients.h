/* Derivatives with respect to the arguments of a call. */
#ifndef MICROGRUD_GRADIENTS_H
#define MICROGRUD_GRADIENTS_H

#include "replay/frame.h"

/* Prepare the derivatives with respect to the arguments at `positions`. A batch gets its array now. Any other argument
 * has None in its place until finish_gradients. Return NULL, without an exception, for arguments that have no
 * derivatives. */
INTERNAL PyObject *prepare_gradients(const Call *call, PyObject *positions);
INTERNAL int finish_gradients(const Call *call, PyObject *positions, PyObject *gradients);
/* Read the numbers of directions, a tuple of one for each of the arguments at `positions`, as weights of the outputs.
 * Return false, without an exception, if they differ in structure from these, or in number from the outputs. */
INTERNAL bool read_directions(const Replay *replay, PyObject *positions, PyObject *directions, double *numbers);
/* Write the derivatives with respect to numbers outside of batches: the sums over all replays. `row` is the slot of the
 * first if the others have the slots after it; else -1. */
INTERNAL void write_gradients(const Call *call, size_t first, size_t count, int32_t row, double *sums);

#endif
