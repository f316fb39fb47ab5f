/* The module microgrud._native.tape: its types, and the codes that programs are written with. The essay in tape.h
 * explains what a program is; a Replay (replay/replay.h) runs the whole call of a compiled function.
 */
#if !defined(__GNUC__) && !defined(__clang__)
#error "The tape's interpreter needs the vector extensions of GCC or Clang; without it, programs run in NumPy."
#endif

#include "replay/replay.h"
#include "tape/blocks.h"
#include "tape/instructions.h"

bool never_raises[OP_COUNT];

/* Return the codes of the operations that C has rules for, by name; fill never_raises. */
static PyObject *operation_codes(void)
{
    PyObject *ops = PyImport_ImportModule("microgrud.engine.ops");
    PyObject *table = ops == NULL ? NULL : PyObject_GetAttrString(ops, "TABLE");
    PyObject *codes = table == NULL ? NULL
                                    : Py_BuildValue("{s:i,s:i,s:i,s:i,s:i}", "linear", CODE_LINEAR, "take", CODE_TAKE,
                                                    "detach", CODE_DETACH, "softmax", CODE_SOFTMAX, "log_softmax",
                                                    CODE_LOG_SOFTMAX);
    for (int op = 0; codes != NULL && op < OP_COUNT; op++) {
        if (!runs_on_tapes((Op)op)) {
            continue;
        }
        PyObject *operation = PyMapping_GetItemString(table, OPERATION_NAMES[op]);
        PyObject *total = operation == NULL ? NULL : PyObject_GetAttrString(operation, "total");
        PyObject *number = total == NULL ? NULL : PyLong_FromLong(op);
        if (number == NULL || PyDict_SetItemString(codes, OPERATION_NAMES[op], number) < 0) {
            Py_CLEAR(codes);
        }
        never_raises[op] = total == Py_True && op < OP_LAST_TERNARY;
        Py_XDECREF(operation);
        Py_XDECREF(total);
        Py_XDECREF(number);
    }
    Py_XDECREF(ops);
    Py_XDECREF(table);
    return codes;
}

/* Return the names of the kinds of parts of arguments, and of results, in the order of their numbers. */
#define NAME(identifier, name) , name
#define FORMAT(identifier, name) "s"
static PyObject *argument_kinds(void)
{
    return Py_BuildValue("(" ARGUMENT_KINDS(FORMAT) ")" ARGUMENT_KINDS(NAME));
}

static PyObject *result_kinds(void)
{
    return Py_BuildValue("(" RESULT_KINDS(FORMAT) ")" RESULT_KINDS(NAME));
}
#undef NAME
#undef FORMAT

static int add(PyObject *module, const char *name, PyObject *object)
{
    int status = object == NULL ? -1 : PyModule_AddObjectRef(module, name, object);
    Py_XDECREF(object);
    return status;
}

static int add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    int status = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    Py_XDECREF(type);
    return status;
}

static int execute(PyObject *module)
{
    if (add_type(module, &tapes_spec) < 0 || add_type(module, &replay_spec) < 0 || add_type(module, &tree_spec) < 0) {
        return -1;
    }
    if (add(module, "OPERATION_CODES", operation_codes()) < 0 || add(module, "VARIANTS", names_of_sets()) < 0 ||
        add(module, "ARGUMENT_KINDS", argument_kinds()) < 0 ||
        add(module, "RESULT_KINDS", result_kinds()) < 0 || PyModule_AddIntMacro(module, MOST_AXES) < 0 ||
        PyModule_AddIntMacro(module, MOST_REPLAYS) < 0 ||
        add(module, "STATUSES", Py_BuildValue("iii", DONE, SUSPICIOUS, LEFT)) < 0 ||
        PyModule_AddIntMacro(module, BLOCK) < 0) {
        return -1;
    }
    return 0;
}

/* total(numbers): return their sum, added in the order in which replays add. */
static PyObject *total_of_array(PyObject *Py_UNUSED(module), PyObject *object)
{
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    const double sum = sum_in_order(view.buf, 1, (size_t)view.len / sizeof(double));
    PyBuffer_Release(&view);
    return PyFloat_FromDouble(sum);
}

static PyMethodDef module_methods[] = {
    {"total", total_of_array, METH_O, "total($module, numbers, /)\n--\n\nReturn the sum of an array of doubles."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "microgrud._native.tape",
    .m_doc = "The tape's interpreter in C.",
    .m_size = 0,
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit_tape(void)
{
    return PyModuleDef_Init(&definition);
}
