/* The C engine: the twin of microgrud/engine.
 *
 * The Python engine is the specification. This one is the same class with the same bits, and an operation costs about
 * as much as one or two of floats. It needs the Python engine: everything rare is left to Python, where it is decided
 * and worded once.
 *
 *   layout.h                    nodes, and the state of the module
 *   pages.h, pages.c            the memory of nodes
 *   node.h, node.c              creating and freeing a node
 *   record.h, record.c          from operands to a node that remembers them
 *   arithmetic.h, arithmetic.c  the operators
 *   backward.c                  walks over a graph, and the chain rule
 *   attributes.c                attributes of a Value
 *   construction.c              Value(...)
 *   methods.c                   methods of a Value
 *   functions.c                 microgrud.functions as callables of C
 *   parameters.c                the parameters of a Module
 *   vectors.c                   numbers of a list of Values to and from a vector
 *   outside.c                   a search for Values of a graph that others refer to
 *   identity.c                  a comparison of containers by identity
 *   ../ops/                     the operation table, from which the kernels are made
 *   ../builder/                 from a recorded graph to the programs of ../tape/
 *
 * A node with two operands, as memory:
 *
 *      +-----------+
 *      |  header   |  of the garbage collector
 *      +-----------+
 *      |  header   |  of an object: reference count, type
 *      |  weakrefs |
 *      |  data     |  the number
 *      |  grad     |  the derivative; a walk keeps its stack here
 *      |  progress |  how far a walk has come; then op, flags, count, place in the page
 *      |  operand  |  a node, or a number: the flags tell which
 *      |  operand  |
 *      +-----------+  80 bytes in all
 *
 * What makes it fast
 *
 *   - A number as an operand costs no object.
 *   - A graph lies in memory in the order in which it was made, however many were made and freed before it.
 *   - Local derivatives are computed in the backward pass: a node remembers its operands, and nothing else.
 *   - Operands are recognised by the addresses of their types, floats first. A float is not converted.
 *   - A walk keeps its stack and its marks in the nodes: it needs no set, no look-up and no reference counts.
 *   - The destructor keeps its list of dying nodes in the nodes as well.
 *
 * What makes the bits agree
 *
 *   - Both engines do the same operations in the same order, on IEEE doubles; the compiler may not contract them
 *     (-ffp-contract=off). Both call the same C library. Where Python's math has its own code (hypot, the remainder,
 *     rounding to digits), Python computes it.
 *   - A value or a local derivative that is not finite is discarded, and Python is asked: it raises what floats raise,
 *     or finds that infinity is right.
 *
 * Ownership
 *
 *   - A node owns a reference to each operand, and its Details. The State owns everything else, for one interpreter.
 *   - A walk borrows the nodes it has found. Before Python code runs, it takes references to all of them.
 *   - Arithmetic makes no cycles, and the garbage collector does not track its nodes. It tracks nodes that can be part
 *     of a cycle: manually built ones, instances of subclasses, those with a closure, with a label that refers to
 *     something or with a user-defined operation, and whatever is computed from them. If such a node already has
 *     dependents, all existing nodes become tracked.
 *
 * Threads: the GIL guards all state. All interpreters that can load the module share it.
 *
 * Differences from the Python engine
 *
 *   - Assigned attributes are checked, `_operands` takes only Values and floats, and no attribute can be deleted. The
 *     error for an unknown attribute says which class to write; in Python that would cost a call at each assignment.
 *   - `data`, `grad` and the like are descriptors of C, not properties; functions are callables of C, not functions.
 *     Assignments to the class Value, or to a function, have no effect or are refused.
 *   - A Value that was never initialised is 0.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "builder/build.h"
#include "engine/arithmetic.h"
#include "engine/attributes.h"
#include "engine/functions.h"
#include "engine/module.h"

PyTypeObject *first_type;
State *first_state;

/* --- the type Value --- */

static PyMemberDef value_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Node, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot value_slots[] = {
    /* the signature; the text comes from the Python class */
    {Py_tp_doc, "Value(data, _children=(), _op='', label='', *, children=None, local_grads=None)\n--\n\n"},
    {Py_tp_new, value_new},
    {Py_tp_init, value_init},
    {Py_tp_dealloc, value_dealloc},
    {Py_tp_traverse, value_traverse},
    {Py_tp_clear, value_clear},
    {Py_tp_repr, value_repr},
    {Py_tp_setattro, value_setattro},
    {Py_tp_hash, value_hash},
    {Py_tp_richcompare, value_compare},
    {Py_tp_methods, value_methods},
    {Py_tp_members, value_members},
    {Py_tp_getset, value_getset},
    {Py_nb_add, value_add},
    {Py_nb_subtract, value_subtract},
    {Py_nb_multiply, value_multiply},
    {Py_nb_true_divide, value_divide},
    {Py_nb_power, value_power},
    {Py_nb_negative, value_negate},
    {Py_nb_positive, value_identity},
    {Py_nb_absolute, value_absolute},
    {Py_nb_bool, value_bool},
    {0, NULL},
};

static PyType_Spec value_spec = {
    .name = "microgrud.engine.Value",
    .basicsize = sizeof(Node),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = value_slots,
};

/* --- the module --- */

/* adopt(python_value, topological_order): take over what only the Python engine has. */
static PyObject *adopt(PyObject *module, PyObject *args)
{
    State *state = state_of_module(module);
    PyObject *twin, *order;
    if (!PyArg_ParseTuple(args, "OO:adopt", &twin, &order)) {
        return NULL;
    }
    PyObject *doc = PyObject_GetAttrString(twin, "__doc__");
    PyObject *function = function_new(state, order, OP_NONE);
    int status = -1;
    if (doc != NULL && function != NULL) {
        Py_XSETREF(state->twin, Py_NewRef(twin));
        Py_XSETREF(state->topological_order, Py_NewRef(function));
        status = PyObject_SetAttrString((PyObject *)state->value_type, "__doc__", doc);
    }
    Py_XDECREF(doc);
    if (status < 0) {
        Py_XDECREF(function);
        return NULL;
    }
    return function;
}

/* accelerate(function, operation): the function as a callable of C. */
static PyObject *accelerate(PyObject *module, PyObject *args)
{
    State *state = state_of_module(module);
    PyObject *twin, *operation;
    if (!PyArg_ParseTuple(args, "OO:accelerate", &twin, &operation)) {
        return NULL;
    }
    int op = op_of(state, operation);
    if (op < 0) {
        return NULL;
    }
    if (op == OP_NONE) { /* an operation that this engine does not know */
        return Py_NewRef(twin);
    }
    return function_new(state, twin, (Op)op);
}

static PyMethodDef module_methods[] = {
    {"adopt", adopt, METH_VARARGS,
     "adopt($module, python_value, topological_order, /)\n--\n\n"
     "Take the docstring of the Python engine and the words for wrong calls; return its topological_order in C."},
    {"accelerate", accelerate, METH_VARARGS,
     "accelerate($module, function, operation, /)\n--\n\n"
     "Return a function of an operation of the table as a callable of C; one of another operation as it is."},
    {"read_numbers", (PyCFunction)(void (*)(void))read_numbers, METH_FASTCALL,
     "read_numbers($module, parameters, of_gradients, vector, /)\n--\n\n"
     "Copy the data, or the gradients, of Values into a vector of doubles."},
    {"add_to_numbers", (PyCFunction)(void (*)(void))add_to_numbers, METH_FASTCALL,
     "add_to_numbers($module, parameters, of_gradients, vector, /)\n--\n\n"
     "Add a vector to the parameters' data or gradients, at once for all other threads."},
    {"write_numbers", (PyCFunction)(void (*)(void))write_numbers, METH_FASTCALL,
     "write_numbers($module, parameters, of_gradients, vector, /)\n--\n\n"
     "Set the data, or the gradients, of Values from a vector of doubles."},
    {"find_parameters", (PyCFunction)(void (*)(void))find_parameters, METH_FASTCALL,
     "find_parameters($module, module, kind, leaves_and, named, /)\n--\n\n"
     "Return the parameters found in a Module, each once, as microgrud.nn.module does; `kind` is the class Module."},
    {"clear_gradients", clear_gradients, METH_O,
     "clear_gradients($module, parameters, /)\n--\n\nSet the grad of every parameter to zero."},
    {"held_outside", held_outside, METH_VARARGS,
     "held_outside($module, order, holding, weight, inputs, dependent, /)\n--\n\n"
     "Return a node that is referenced from outside of a graph, or None; see microgrud.autodiff.outside."},
    {"all_identical", (PyCFunction)(void (*)(void))all_identical, METH_FASTCALL,
     "all_identical($module, containers, contents, /)\n--\n\n"
     "Tell whether lists, tuples and dicts hold the very things that they held; see microgrud.train.dependencies."},
    {"build", build_program, METH_VARARGS,
     "build($module, known, roles, ends, inputs, ends_again, inputs_again, outputs, /)\n--\n\n"
     "Return the program of a call that was recorded twice; see microgrud.tape.building.assemble."},
    {NULL, NULL, 0, NULL},
};

static PyObject *import_from(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *found = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return found;
}

/* Find every operation of the table in ops.TABLE. */
static int bind_operations(State *state)
{
    PyObject *table = import_from("microgrud.engine.ops", "TABLE");
    if (table == NULL) {
        return -1;
    }
    for (int op = 0; op < OP_COUNT; op++) {
        if (OPERATION_NAMES[op] == NULL) {
            continue;
        }
        PyObject *operation = PyMapping_GetItemString(table, OPERATION_NAMES[op]);
        PyObject *index = operation == NULL ? NULL : PyLong_FromLong(op);
        int status = index == NULL ? -1 : PyDict_SetItem(state->indices, operation, index);
        PyObject *total = status < 0 ? NULL : PyObject_GetAttrString(operation, "total");
        status = total == NULL ? -1 : PyObject_IsTrue(total);
        state->is_total[op] = status > 0;
        Py_XDECREF(total);
        Py_XDECREF(index);
        if (operation != NULL) {
            Py_SETREF(state->operations[op], operation);
        }
        if (status < 0) {
            Py_DECREF(table);
            return -1;
        }
    }
    Py_DECREF(table);
    return 0;
}

/* Make the two types. */
static int make_types(PyObject *module, State *state)
{
    PyObject *operators = import_from("microgrud.engine.operators", "Operators");
    PyObject *methods = operators == NULL ? NULL : import_from("microgrud.engine.methods", "OperationMethods");
    PyObject *bases = methods == NULL ? NULL : PyTuple_Pack(2, operators, methods);
    Py_XDECREF(operators);
    Py_XDECREF(methods);
    if (bases == NULL) {
        return -1;
    }
    state->value_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &value_spec, bases);
    Py_DECREF(bases);
    if (state->value_type == NULL || PyModule_AddType(module, state->value_type) < 0) {
        return -1;
    }
    state->function_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &function_spec, NULL);
    if (state->function_type == NULL || PyModule_AddType(module, state->function_type) < 0) {
        return -1;
    }
    state->value_type->tp_vectorcall = value_vectorcall;
    /* Errors of Python name a type by this, and a class statement gives a short name. */
    PyObject *name = PyUnicode_FromString("Value");
    int status = name == NULL ? -1 : PyObject_SetAttrString((PyObject *)state->value_type, "__name__", name);
    Py_XDECREF(name);
    return status;
}

/* Tell whether the collector's header has the size that pages.h assumes: sys.getsizeof adds it to __sizeof__. If not,
 * nodes come from Python's allocator. Return -1 on error. */
static int collector_header_fits(const State *state)
{
    PyObject *node = state->value_type->tp_alloc(state->value_type, 0), *whole = NULL;
    if (node == NULL) {
        return -1;
    }
    as_node(node)->flags = COLLECTED; /* as tp_alloc leaves it */
    PyObject *getsizeof = import_from("sys", "getsizeof");
    if (getsizeof != NULL) {
        whole = PyObject_CallOneArg(getsizeof, node);
    }
    Py_ssize_t size = whole == NULL ? -1 : PyLong_AsSsize_t(whole);
    Py_DECREF(node);
    Py_XDECREF(getsizeof);
    Py_XDECREF(whole);
    return size < 0 ? -1 : size == SLOT;
}

/* All objects that the State holds, without the types: X(field). */
#define HELD_OBJECTS(X)                                                                                                \
    X(indices)                                                                                                         \
    X(empty)                                                                                                           \
    X(switched)                                                                                                        \
    X(tracers)                                                                                                         \
    X(pass_on_name)                                                                                                    \
    X(record_name)                                                                                                     \
    X(twin)                                                                                                            \
    X(topological_order)

/* Add an object to the module, which takes it over. */
static int add_constant(PyObject *module, const char *name, PyObject *object)
{
    int status = object == NULL ? -1 : PyModule_AddObjectRef(module, name, object);
    Py_XDECREF(object);
    return status;
}

static int execute(PyObject *module)
{
    State *state = state_of_module(module);
    memset(state, 0, sizeof *state);
    for (int op = 0; op < OP_COUNT; op++) {
        state->operations[op] = Py_NewRef(Py_None);
    }
    state->twin = Py_NewRef(Py_None);
    state->topological_order = Py_NewRef(Py_None);
    state->indices = PyDict_New();
    state->empty = PyUnicode_FromString("");
    state->pass_on_name = PyUnicode_InternFromString("_pass_on");
    state->record_name = PyUnicode_InternFromString("_record");
    if (state->indices == NULL || state->empty == NULL || state->pass_on_name == NULL || state->record_name == NULL) {
        return -1;
    }
#define IMPORT(field, module_name, name)                                                                               \
    state->field = import_from(module_name, name);                                                                     \
    if (state->field == NULL) {                                                                                        \
        return -1;                                                                                                     \
    }
    IMPORTED_OBJECTS(IMPORT)
#undef IMPORT
    state->switched = import_from("microgrud.engine.grad_mode", "_switched");
    if (state->switched == NULL) {
        return -1;
    }
    state->tracers = import_from("microgrud.engine.tracing", "_tracers");
    if (state->tracers == NULL) {
        return -1;
    }
    if (!PyList_CheckExact(state->switched) || !PyList_CheckExact(state->tracers)) {
        PyErr_SetString(PyExc_TypeError,
                        "microgrud.engine.grad_mode._switched and microgrud.engine.tracing._tracers: expected lists");
        return -1;
    }
    if (bind_operations(state) < 0 || make_types(module, state) < 0) {
        return -1;
    }
    /* The offsets of data and grad in a Value, which the tape reads and writes at every step. */
    PyObject *offsets = Py_BuildValue("nn", (Py_ssize_t)offsetof(Node, data), (Py_ssize_t)offsetof(Node, grad));
    const int added = add_constant(module, "NUMBER_OFFSETS", offsets) < 0 ||
                              add_constant(module, "ROLES", names_of_roles()) < 0 ||
                              add_constant(module, "COMPARISONS", names_of_comparisons()) < 0
                          ? -1
                          : 0;
    int fits = added < 0 ? -1 : collector_header_fits(state);
    if (fits < 0) {
        return -1;
    }
    state->header_fits = fits;
    state->late_limit = FEWEST_LATE;
    if (first_type == NULL) {
        first_state = state;
        first_type = state->value_type;
    }
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = state_of_module(module);
    Py_VISIT(state->value_type);
    Py_VISIT(state->function_type);
    for (int op = 0; op < OP_COUNT; op++) {
        Py_VISIT(state->operations[op]);
    }
#define VISIT(field) Py_VISIT(state->field);
#define VISIT_IMPORTED(field, source, name) VISIT(field)
    HELD_OBJECTS(VISIT)
    IMPORTED_OBJECTS(VISIT_IMPORTED)
#undef VISIT
#undef VISIT_IMPORTED
    return 0;
}

/* Replace whatever can be part of a cycle by None, which raises when called, and does not crash. The rest stays, so
 * that arithmetic works as long as somebody can reach it. */
static int module_clear(PyObject *module)
{
    State *state = state_of_module(module);
    for (int op = 0; op < OP_COUNT; op++) {
        Py_XSETREF(state->operations[op], Py_NewRef(Py_None));
    }
#define FORGET(field, ...) Py_XSETREF(state->field, Py_NewRef(Py_None));
    IMPORTED_OBJECTS(FORGET)
#undef FORGET
    Py_XSETREF(state->twin, Py_NewRef(Py_None));
    Py_XSETREF(state->topological_order, Py_NewRef(Py_None));
    return 0;
}

static void module_free(void *module)
{
    State *state = state_of_module(module);
    if (state == NULL) {
        return; /* never executed */
    }
    if (first_state == state) {
        first_type = NULL;
        first_state = NULL;
    }
    leave_all_pages(state);
    PyMem_Free(state->order);
    for (int op = 0; op < OP_COUNT; op++) {
        Py_CLEAR(state->operations[op]);
    }
#define CLEAR(field) Py_CLEAR(state->field);
#define CLEAR_IMPORTED(field, source, name) CLEAR(field)
    HELD_OBJECTS(CLEAR)
    IMPORTED_OBJECTS(CLEAR_IMPORTED)
#undef CLEAR
#undef CLEAR_IMPORTED
    Py_CLEAR(state->value_type);
    Py_CLEAR(state->function_type);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "microgrud._native.engine",
    .m_doc = "The C engine: the same class as in Python, and the same bits.",
    .m_size = sizeof(State),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit_engine(void)
{
    return PyModuleDef_Init(&definition);
}
