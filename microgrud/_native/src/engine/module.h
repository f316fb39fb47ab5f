/* Functions of the module, each in a file of its own. */
#ifndef MICROGRUD_MODULE_H
#define MICROGRUD_MODULE_H

#include "engine/layout.h"

/* vectors.c */
INTERNAL PyObject *new_leaves(PyObject *module, PyObject *numbers);
INTERNAL PyObject *read_numbers(PyObject *module, PyObject *const *args, Py_ssize_t nargs);
INTERNAL PyObject *write_numbers(PyObject *module, PyObject *const *args, Py_ssize_t nargs);
INTERNAL PyObject *add_to_numbers(PyObject *module, PyObject *const *args, Py_ssize_t nargs);
INTERNAL PyObject *norm(PyObject *Py_UNUSED(module), PyObject *vector);
INTERNAL int take_doubles(PyObject *vector, bool writable, Py_buffer *view);
INTERNAL int check_size(const Py_buffer *view, PyObject *parameters);
INTERNAL void refuse_item(PyObject *parameters, Py_ssize_t k);
/* updates.c */
INTERNAL PyObject *update(PyObject *module, PyObject *const *args, Py_ssize_t nargs);
/* parameters.c */
INTERNAL PyObject *find_parameters(PyObject *module, PyObject *const *args, Py_ssize_t nargs);
INTERNAL PyObject *has_parameters(PyObject *module, PyObject *const *args, Py_ssize_t nargs);
INTERNAL PyObject *clear_parameters(PyObject *module, PyObject *const *args, Py_ssize_t nargs);
INTERNAL PyObject *clear_gradients(PyObject *module, PyObject *parameters);
INTERNAL PyObject *are_distinct_leaves(PyObject *module, PyObject *parameters);
/* identity.c */
INTERNAL PyObject *all_identical(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs);
/* outside.c */
INTERNAL PyObject *held_outside(PyObject *module, PyObject *args);

#endif
