/* The builder translates a recorded graph to a program, in two steps:
 *
 *   - flatten.c writes the graph as arrays, in topological order;
 *   - building.c gives each node a slot, shares equal operations, and collects sums of products.
 *
 * These are functions of the module microgrud._native.engine. The tape lowers programs (tape/lowering.h).
 */
#ifndef MICROGRUD_BUILD_H
#define MICROGRUD_BUILD_H

#include "builder/buffers.h"

/* flatten.c */
INTERNAL PyObject *flatten(PyObject *module, PyObject *args);
/* building.c */
INTERNAL PyObject *build_program(PyObject *Py_UNUSED(module), PyObject *args);

#endif
