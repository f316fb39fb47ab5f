/* The functions of microgrud.functions as callables of C. */
#ifndef MICROGRUD_FUNCTIONS_H
#define MICROGRUD_FUNCTIONS_H

#include "engine/layout.h"

/* Return a callable of C for a function in Python, its twin; OP_NONE stands for topological_order. */
INTERNAL PyObject *function_new(State *state, PyObject *twin, Op op);

extern INTERNAL PyType_Spec function_spec;

#endif
