/* The builder translates a recorded graph to the programs of a tape, in steps that microgrud/tape calls in this order:
 *
 *   - flatten.c writes the graph as arrays, in topological order;
 *   - building.c gives each node a slot, shares equal operations, and collects sums of products;
 *   - lowering.c writes the codes that the interpreter reads (tape/instructions.h), for uniform and for varying slots;
 *   - liveness.c writes the varying ones again with fewer slots, for runs without a backward pass.
 *
 * These are functions of the module microgrud._native.engine.
 */
#ifndef MICROGRUD_BUILD_H
#define MICROGRUD_BUILD_H

#include "builder/buffers.h"

/* flatten.c */
INTERNAL PyObject *flatten(PyObject *module, PyObject *args);
/* building.c */
INTERNAL PyObject *build_program(PyObject *Py_UNUSED(module), PyObject *args);
/* lowering.c */
INTERNAL PyObject *lower_program(PyObject *Py_UNUSED(module), PyObject *args);
/* liveness.c */
INTERNAL PyObject *reuse_slots(PyObject *Py_UNUSED(module), PyObject *args);

#endif
