/* The C engine: the twin of microgrud/engine.
 *
 * The Python engine is the specification. This engine has the same class and gives the same bits. One of its operations
 * takes about as long as one or two operations on floats. It needs the Python engine: everything rare is left to
 * Python, where it is decided and worded once.
 *
 *   layout.h                    nodes, and the state of the module
 *   pages.h, pages.c            the memory of nodes
 *   node.h, node.c              creating and freeing a node
 *   record.h, record.c          from operands to a node that remembers them
 *   arithmetic.h, arithmetic.c  the operators
 *   walk.c, backward.c          walks over a graph; the chain rule
 *   attributes.c                attributes of a Value
 *   construction.c              Value(...)
 *   functions.c                 microgrud.functions and the methods of a Value as callables of C
 *   parameters.c                the parameters of a Module
 *   vectors.c                   numbers of a list of Values to and from a vector
 *   updates.c                   the formulas of the optimizers
 *   order.h, order.c            the topological order
 *   subgraph.h, subgraph.c      the part of a graph between inputs and outputs
 *   passes.c                    reverse and forward mode on it
 *   terms.h, terms.c            numbers and nodes in derivatives
 *   slopes.c                    slopes as nodes, for derivatives of higher order
 *   outside.c                   a search for nodes of a graph that others refer to
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
 * Reasons for the speed
 *
 *   - A number as an operand costs no object.
 *   - A graph lies in memory in the order in which it was made, however many were made and freed before it.
 *   - Local derivatives are computed in the backward pass: a node remembers its operands, and nothing else.
 *   - Operands are recognised by the addresses of their types, floats first. A float is not converted.
 *   - A walk keeps its stack and its marks in the nodes: it needs no set, no look-up and no reference counts.
 *   - The destructor keeps its list of dying nodes in the nodes as well.
 *
 * Reasons for equal bits
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
#include "engine/subgraph.h"

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
    {Py_tp_setattro, value_setattro},
    {Py_tp_hash, value_hash},
    {Py_tp_richcompare, value_compare},
    {Py_tp_methods, value_methods},
    {Py_tp_members, value_members},
    {Py_tp_getset, value_getset},
#define SLOT_OF(slot, operation) {Py_nb_##slot, value_##slot},
    BINARY_SLOTS(SLOT_OF)
    UNARY_SLOTS(SLOT_OF)
#undef SLOT_OF
    {Py_nb_power, value_power},
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

/* adopt(python_value): keep the Python class, which raises the errors for invalid arguments. */
static PyObject *adopt(PyObject *module, PyObject *python_value)
{
    Py_SETREF(state_of_module(module)->twin, Py_NewRef(python_value));
    Py_RETURN_NONE;
}

/* next_generation(): nodes made from now on are of the generation that is returned, or of a later one. */
static PyObject *next_generation(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLongLong(++state_of_module(module)->generation);
}

#define FUNCTION(name, flags, parameters, doc)                                                                         \
    {#name, (PyCFunction)(void (*)(void))name, flags, #name "($module, " parameters ", /)\n--\n\n" doc}

static PyMethodDef module_methods[] = {
    FUNCTION(adopt, METH_O, "python_value", "Take the Python class for calls that this engine leaves to it."),
    FUNCTION(accelerate, METH_VARARGS, "function, key",
             "Return the function as a callable of C, or as it is; the key is its operation, or a name."),
    FUNCTION(new_leaves, METH_O, "numbers", "Return a list of new leaves with the numbers of a vector of doubles."),
    FUNCTION(read_numbers, METH_FASTCALL, "parameters, of_gradients, vector",
             "Copy the data, or the gradients, of Values into a vector of doubles."),
    FUNCTION(add_to_numbers, METH_FASTCALL, "parameters, of_gradients, vector",
             "Add a vector to the parameters' data or gradients; no other thread sees a part of the sums."),
    FUNCTION(write_numbers, METH_FASTCALL, "parameters, of_gradients, vector",
             "Set the data, or the gradients, of Values from a vector of doubles."),
    FUNCTION(norm, METH_O, "vector",
             "Return the Euclidean norm, rounded correctly; None if it is uncertain how to round it."),
    FUNCTION(update, METH_FASTCALL, "parameters, formula, constants, vectors",
             "Change parameters by the formula of an optimizer, and the vectors in place; tell whether all are finite."),
    FUNCTION(find_parameters, METH_FASTCALL, "module, kind, leaves_and, named, libraries",
             "Return the parameters found in a Module, each once, as microgrud.nn.module does; `kind` is Module."),
    FUNCTION(has_parameters, METH_FASTCALL, "module, kind, leaves_and, named, libraries, known",
             "Tell whether find_parameters would return what a tuple holds, if one search can tell."),
    FUNCTION(clear_parameters, METH_FASTCALL, "module, kind, leaves_and, named, libraries",
             "Set the grad of the parameters found in a Module to zero, without a list of them."),
    FUNCTION(clear_gradients, METH_O, "parameters", "Set the grad of every parameter to zero."),
    FUNCTION(are_distinct_leaves, METH_O, "parameters",
             "Tell whether a list holds leaves, each once; False may mean that Python has to find out."),
    FUNCTION(held_outside, METH_VARARGS, "order, holding, weight, inputs, dependent",
             "Return the nodes that are referenced from outside of a graph; see microgrud.autodiff.outside."),
    {"next_generation", next_generation, METH_NOARGS,
     "next_generation($module, /)\n--\n\nBegin a generation of nodes, none of which an older node depends on, and return its number."},
    FUNCTION(all_identical, METH_FASTCALL, "containers, contents",
             "Tell whether containers still hold the same objects; see microgrud.train.dependencies."),
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
    for (int op = 0; op < OP_COUNT; op++) {
        if (OPERATION_NAMES[op] == NULL) {
            continue;
        }
        PyObject *operation = PyMapping_GetItemString(state->table, OPERATION_NAMES[op]);
        PyObject *index = operation == NULL ? NULL : PyLong_FromLong(op);
        int status = index == NULL ? -1 : PyDict_SetItem(state->indices, operation, index);
        PyObject *total = status < 0 ? NULL : PyObject_GetAttrString(operation, "total");
        status = total == NULL ? -1 : PyObject_IsTrue(total);
        state->is_total[op] = status > 0;
        Py_XDECREF(total);
        Py_XDECREF(index);
        Py_XSETREF(state->operations[op], operation);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

/* Make the types. */
static int make_types(PyObject *module, State *state)
{
    PyObject *bases = PyTuple_Pack(2, state->operators, state->methods);
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
    PyObject *subgraph_type = PyType_FromModuleAndSpec(module, &subgraph_spec, NULL);
    int status = subgraph_type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)subgraph_type);
    Py_XDECREF(subgraph_type);
    if (status < 0) {
        return -1;
    }
    return 0;
}

/* Tell whether the collector's header has the size that pages.h assumes: sys.getsizeof adds it to __sizeof__. If not,
 * nodes come from Python's allocator. Return -1 on error. */
static int collector_header_fits(const State *state)
{
    PyObject *node = state->value_type->tp_alloc(state->value_type, 0);
    if (node == NULL) {
        return -1;
    }
    as_node(node)->flags = COLLECTED; /* as tp_alloc leaves it */
    PyObject *whole = PyObject_CallOneArg(state->getsizeof, node);
    Py_ssize_t size = whole == NULL ? -1 : PyLong_AsSsize_t(whole);
    Py_DECREF(node);
    Py_XDECREF(whole);
    return size < 0 ? -1 : size == SLOT;
}

/* Put an object, unless it is NULL, into a field of the State. */
static bool hold(PyObject **field, PyObject *object)
{
    if (object != NULL) {
        Py_XSETREF(*field, object);
    }
    return object != NULL;
}

/* Add an object, unless it is NULL, to the module, which takes it over. */
static bool add_constant(PyObject *module, const char *name, PyObject *object)
{
    bool is_added = object != NULL && PyModule_AddObjectRef(module, name, object) == 0;
    Py_XDECREF(object);
    return is_added;
}

/* Return the symbols of comparisons, in the order of Py_LT, Py_LE, ... */
static PyObject *symbols_of_comparisons(void)
{
#define FORMAT(number, operator) "s"
#define SYMBOL(number, operator) , #operator
    return Py_BuildValue("(" COMPARISONS(FORMAT) ")" COMPARISONS(SYMBOL));
#undef FORMAT
#undef SYMBOL
}

static int execute(PyObject *module)
{
    State *state = state_of_module(module);
    memset(state, 0, sizeof *state);
#define HOLD(field, object) &&hold(&state->field, object)
#define IMPORT(field, module_name, name) &&hold(&state->field, import_from(module_name, name))
    bool is_complete = hold(&state->twin, Py_NewRef(Py_None)) OWN_OBJECTS(HOLD) IMPORTED_OBJECTS(IMPORT);
#undef HOLD
#undef IMPORT
    for (int op = 0; op < OP_COUNT; op++) {
        state->operations[op] = Py_NewRef(Py_None);
    }
    if (!is_complete || bind_operations(state) < 0 || make_types(module, state) < 0) {
        return -1;
    }
    if (!PyList_CheckExact(state->switched) || !PyList_CheckExact(state->tracers)) {
        PyErr_SetString(PyExc_TypeError,
                        "microgrud.engine.grad_mode._switched and microgrud.engine.tracing._tracers: expected lists");
        return -1;
    }
    /* The offsets of data and grad in a Value, which the tape reads and writes at every step. */
    PyObject *offsets = Py_BuildValue("nn", (Py_ssize_t)offsetof(Node, data), (Py_ssize_t)offsetof(Node, grad));
    bool is_added = add_constant(module, "NUMBER_OFFSETS", offsets) &&
                    add_constant(module, "ROLES", names_of_roles()) &&
                    add_constant(module, "COMPARISONS", symbols_of_comparisons());
    int fits = is_added ? collector_header_fits(state) : -1;
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
    Py_VISIT(state->twin);
    for (int op = 0; op < OP_COUNT; op++) {
        Py_VISIT(state->operations[op]);
    }
#define VISIT(field, ...) Py_VISIT(state->field);
    OWN_OBJECTS(VISIT) IMPORTED_OBJECTS(VISIT)
#undef VISIT
    return 0;
}

/* Replace whatever can be part of a cycle by None, which raises when called, and does not crash. The rest stays, so
 * that arithmetic works as long as somebody can reach it. */
static int module_clear(PyObject *module)
{
    State *state = state_of_module(module);
    Py_XSETREF(state->twin, Py_NewRef(Py_None));
    for (int op = 0; op < OP_COUNT; op++) {
        Py_XSETREF(state->operations[op], Py_NewRef(Py_None));
    }
#define REPLACE(field, ...) Py_XSETREF(state->field, Py_NewRef(Py_None));
    IMPORTED_OBJECTS(REPLACE)
#undef REPLACE
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
    for (int kind = 0; kind < SPARE_COUNT; kind++) {
        PyMem_Free(state->spares[kind].items);
    }
    Py_CLEAR(state->twin);
    for (int op = 0; op < OP_COUNT; op++) {
        Py_CLEAR(state->operations[op]);
    }
#define RELEASE(field, ...) Py_CLEAR(state->field);
    OWN_OBJECTS(RELEASE) IMPORTED_OBJECTS(RELEASE)
#undef RELEASE
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
