/* Walks over the graph. */
#ifndef MICROGRUD_BACKWARD_H
#define MICROGRUD_BACKWARD_H

#include "engine/node.h"

INTERNAL PyObject *value_backward(PyObject *self);
INTERNAL PyObject *value_zero_grad(PyObject *self);
/* Do as Python's `_pass_on` if a kernel can; return NULL, without an exception, if Python must. */
INTERNAL PyObject *value_pass_on(PyObject *self);

#endif
