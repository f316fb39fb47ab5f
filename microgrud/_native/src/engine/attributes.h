/* Construction and attributes of a Value. */
#ifndef MICROGRUD_ATTRIBUTES_H
#define MICROGRUD_ATTRIBUTES_H

#include "engine/node.h"

/* --- attributes.c --- */

/* Read a float, or anything that Python converts to one. */
static inline int read_number(State *state, PyObject *object, const char *name, double *number)
{
    if (PyFloat_CheckExact(object)) {
        *number = PyFloat_AS_DOUBLE(object);
        return 0;
    }
    PyObject *converted = PyObject_CallFunction(state->as_float, "Os", object, name);
    if (converted == NULL) {
        return -1;
    }
    *number = PyFloat_AS_DOUBLE(converted);
    Py_DECREF(converted);
    return 0;
}

INTERNAL PyObject *get_label(PyObject *self, void *Py_UNUSED(closure));
INTERNAL int give_label(State *state, Node *node, PyObject *label);
INTERNAL int give_closure(State *state, Node *node, PyObject *closure);
INTERNAL int give_operation(State *state, Node *node, PyObject *operation);
INTERNAL int give_operands(State *state, Node *node, PyObject *operands);
/* Set an attribute. For an unknown one raise an error that shows the subclass to write. */
INTERNAL int value_setattro(PyObject *self, PyObject *name, PyObject *object);
extern INTERNAL PyGetSetDef value_getset[];
extern INTERNAL PyMethodDef value_methods[];

/* --- construction.c --- */

INTERNAL PyObject *value_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs));
INTERNAL int value_init(PyObject *self, PyObject *args, PyObject *kwargs);
INTERNAL PyObject *value_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names);

#endif
