/* Construction, attributes and methods of a Value. */
#ifndef MICROGRUD_ATTRIBUTES_H
#define MICROGRUD_ATTRIBUTES_H

#include "engine/node.h"

/* --- attributes.c --- */

/* Report a use of the number, or of its text, by other code to the tracer. Return -1 if that is refused. */
INTERNAL int report_peek(PyObject *self, const char *what);
INTERNAL PyObject *get_data(PyObject *self, void *Py_UNUSED(closure));
INTERNAL PyObject *get_derivative(PyObject *self, void *Py_UNUSED(closure));
INTERNAL PyObject *get_label(PyObject *self, void *Py_UNUSED(closure));
INTERNAL int give_label(Node *node, PyObject *label);
INTERNAL int give_closure(Node *node, PyObject *given);
INTERNAL int give_operation(State *state, Node *node, PyObject *operation);
INTERNAL int give_operands(State *state, Node *node, PyObject *operands);
/* Set an attribute. For an unknown one raise an error that shows the subclass to write. */
INTERNAL int value_setattro(PyObject *self, PyObject *name, PyObject *object);
extern INTERNAL PyGetSetDef value_getset[];

/* --- construction.c --- */

INTERNAL PyObject *value_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs));
INTERNAL int value_init(PyObject *self, PyObject *args, PyObject *kwargs);
INTERNAL PyObject *value_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names);

/* --- methods.c --- */

INTERNAL PyObject *value_repr(PyObject *self);
extern INTERNAL PyMethodDef value_methods[];

#endif
