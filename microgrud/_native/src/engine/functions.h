/* Functions and methods as callables of C. */
#ifndef MICROGRUD_FUNCTIONS_H
#define MICROGRUD_FUNCTIONS_H

#include "engine/layout.h"

/* Return a callable of C for a function in Python, its twin; a function that this engine does not know, as it is. */
INTERNAL PyObject *accelerate(PyObject *module, PyObject *args);

extern INTERNAL PyType_Spec function_spec;

#endif
