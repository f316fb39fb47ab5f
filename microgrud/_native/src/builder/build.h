/* From a recorded graph to tapes: the functions of the module microgrud._native.engine that microgrud/tape calls. */
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
