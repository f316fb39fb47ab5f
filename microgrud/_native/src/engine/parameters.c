/* The parameters of a Module: the twin of the walk in nn/module.py and nn/contents.py, which are the specification.
 *
 * Nearly all modules hold Values, Modules, lists, tuples and dicts of these, and objects without Values that are
 * recognised by their types. They are walked here, and no other code runs meanwhile. A module that holds anything else
 * (plain objects, slots, other containers, attributes of classes, subclasses with their own methods) is searched by
 * `leaves_and`, and one whose class overrides parameters() or named_parameters() by `_named`; then the walk continues
 * here. Nothing is kept between two walks, because lists change in place.
 *
 * MLP(2, [16, 16, 1]), with 337 parameters in 36 modules: 6 microseconds, where Python takes 220.
 */
#include "engine/module.h"
#include "engine/node.h"
#include "builder/buffers.h"

/* Python searches deeper containers, with a stack of its own. */
enum { MOST_NESTED = 32, MOST_TYPES = 16 };

/* A growing list that owns references to its objects. */
typedef struct {
    PyObject **items;
    size_t count, capacity;
} Objects;

/* A set of addresses, each with the number of the round in which it was last marked. Open addressing. */
typedef struct {
    const void *address; /* NULL in a free cell */
    size_t round;
} Mark;

typedef struct {
    Mark *cells;
    size_t mask, count;
} Marks;

/* The meaning of an object for the walk, by its type. */
typedef enum { IS_UNKNOWN, IS_EMPTY, IS_LEAF, IS_MODULE, IS_LIST, IS_TUPLE, IS_DICT, IS_UNUSUAL } Role;

/* A type that the walk has met, with its roles; IS_UNKNOWN until they are needed. */
typedef struct {
    PyTypeObject *type; /* referenced, so that no other type gets its address */
    Role role;
    Role class_role;    /* IS_EMPTY if the classes of an instance hold no attributes to search */
    Role override_role; /* IS_UNUSUAL for a class of modules that overrides parameters() or named_parameters() */
} KnownType;

typedef struct {
    State *state;
    PyTypeObject *module_type;
    PyObject *leaves_and, *named; /* of nn/contents.py and nn/module.py */
    Objects members;              /* everything found, with repetitions, in the order of discovery */
    PyObject **found;             /* the parameters among them, in their order, with repetitions */
    size_t found_count, found_capacity;
    Marks seen;     /* the searched modules */
    Marks searched; /* the containers, with the number of the module where they were last met */
    size_t round;
    KnownType types[MOST_TYPES];
    unsigned type_count;
} ModuleSearch;

ALWAYS_INLINE int hold(Objects *objects, PyObject *object)
{
    if (objects->count == objects->capacity &&
        grow((void **)&objects->items, &objects->capacity, sizeof *objects->items) < 0) {
        return -1;
    }
    objects->items[objects->count++] = Py_NewRef(object);
    return 0;
}

/* Drop all objects from index `start` on. */
static void drop_from(Objects *objects, size_t start)
{
    while (objects->count > start) {
        Py_DECREF(objects->items[--objects->count]);
    }
}

static int grow_marks(Marks *marks, size_t size)
{
    Mark *cells = PyMem_Calloc(size, sizeof *cells), *old = marks->cells;
    if (cells == NULL) {
        return -1;
    }
    for (size_t k = 0; old != NULL && k <= marks->mask; k++) {
        if (old[k].address != NULL) {
            size_t cell = mixed(0, (uintptr_t)old[k].address) & (size - 1);
            while (cells[cell].address != NULL) {
                cell = (cell + 1) & (size - 1);
            }
            cells[cell] = old[k];
        }
    }
    PyMem_Free(old);
    marks->cells = cells;
    marks->mask = size - 1;
    return 0;
}

static bool is_marked(const Marks *marks, const void *address)
{
    size_t cell = mixed(0, (uintptr_t)address) & marks->mask;
    while (marks->cells[cell].address != NULL && marks->cells[cell].address != address) {
        cell = (cell + 1) & marks->mask;
    }
    return marks->cells[cell].address != NULL;
}

/* Mark an address. Return 1 if it was not marked in this round, 0 if it was, -1 if there is no memory. */
ALWAYS_INLINE int mark(Marks *marks, const void *address, size_t round)
{
    if (marks->cells == NULL || marks->count > marks->mask / 2) {
        if (grow_marks(marks, marks->cells == NULL ? 64 : 2 * (marks->mask + 1)) < 0) {
            return -1;
        }
    }
    size_t cell = mixed(0, (uintptr_t)address) & marks->mask;
    while (marks->cells[cell].address != NULL && marks->cells[cell].address != address) {
        cell = (cell + 1) & marks->mask;
    }
    Mark *found = &marks->cells[cell];
    if (found->address != NULL && found->round == round) {
        return 0;
    }
    marks->count += found->address == NULL;
    found->address = address;
    found->round = round;
    return 1;
}

/* --- types --- */

/* Forget the types: other code has run, and may have changed them. */
static void forget_types(ModuleSearch *search)
{
    while (search->type_count > 0) {
        Py_DECREF(search->types[--search->type_count].type);
    }
}

static KnownType *known_type(ModuleSearch *search, PyTypeObject *type)
{
    for (unsigned k = 0; k < search->type_count; k++) {
        if (search->types[k].type == type) {
            return &search->types[k];
        }
    }
    if (search->type_count == MOST_TYPES) { /* rare: start again */
        forget_types(search);
    }
    KnownType *known = &search->types[search->type_count++];
    *known = (KnownType){(PyTypeObject *)Py_NewRef(type), IS_UNKNOWN, IS_UNKNOWN, IS_UNKNOWN};
    return known;
}

/* Return the attribute of a type or its bases, borrowed; NULL if there is none. Runs no code and sets no error. */
static PyObject *in_classes(PyTypeObject *type, const char *name)
{
    PyObject *key = PyUnicode_InternFromString(name);
    if (key == NULL) {
        PyErr_Clear();
        return NULL;
    }
    PyObject *found = _PyType_Lookup(type, key);
    Py_DECREF(key);
    return found;
}

/* Tell whether a class is one of this package, whose attributes are not searched. */
static bool is_own_class(PyTypeObject *type)
{
    PyObject *module = PyType_CheckExact(type) ? PyObject_GetAttrString((PyObject *)type, "__module__") : NULL;
    const char *name = module != NULL && PyUnicode_Check(module) ? PyUnicode_AsUTF8(module) : NULL;
    bool is_own = name != NULL && strncmp(name, "microgrud", 9) == 0 && (name[9] == '.' || name[9] == '\0');
    Py_XDECREF(module);
    PyErr_Clear();
    return is_own;
}

static bool are_own_classes(PyTypeObject *type)
{
    PyObject *order = type->tp_mro;
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(order); k++) {
        PyTypeObject *each = (PyTypeObject *)PyTuple_GET_ITEM(order, k);
        if (each != &PyBaseObject_Type && !((each->tp_flags & Py_TPFLAGS_HEAPTYPE) && is_own_class(each))) {
            return false;
        }
    }
    return true;
}

static Role role_of_rare_type(const ModuleSearch *search, PyTypeObject *type)
{
    if (type == &PyClassMethod_Type || type == &PyStaticMethod_Type || type == &PyCFunction_Type ||
        type == &PyMethod_Type) {
        return IS_EMPTY;
    }
    PyTypeObject *value_type = search->state->value_type;
    if (type->tp_getattro != PyObject_GenericGetAttr || /* isinstance() asks the object for its __class__ */
        in_classes(type, "__class__") != in_classes(&PyBaseObject_Type, "__class__")) {
        return IS_UNUSUAL;
    }
    if (PyType_IsSubtype(type, value_type)) {
        return in_classes(type, "is_leaf") == in_classes(value_type, "is_leaf") ? IS_LEAF : IS_UNUSUAL;
    }
    if (PyType_IsSubtype(type, search->module_type)) {
        return IS_MODULE;
    }
    return are_own_classes(type) ? IS_EMPTY : IS_UNUSUAL;
}

ALWAYS_INLINE Role role_of_object(ModuleSearch *search, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (is_plain_value(object)) {
        return IS_LEAF;
    }
    if (type == &PyFloat_Type || type == &PyUnicode_Type || type == &PyBool_Type || type == &PyLong_Type ||
        object == Py_None || type == &PyFunction_Type || type == &PyProperty_Type) {
        return IS_EMPTY;
    }
    if (type == &PyList_Type || type == &PyTuple_Type || type == &PyDict_Type) {
        return type == &PyList_Type ? IS_LIST : type == &PyTuple_Type ? IS_TUPLE : IS_DICT;
    }
    KnownType *known = known_type(search, type);
    if (known->role == IS_UNKNOWN) {
        known->role = role_of_rare_type(search, type);
    }
    return known->role;
}

/* Tell whether the attributes of a foreign class hold nothing to search: methods and plain numbers. */
static bool is_without_contents(ModuleSearch *search, PyTypeObject *type)
{
    if (!PyType_CheckExact(type) || !(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        return false;
    }
    PyObject *name, *attribute;
    for (Py_ssize_t place = 0; PyDict_Next(type->tp_dict, &place, &name, &attribute);) {
        const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
        if (text == NULL || Py_TYPE(attribute) == &PyMemberDescr_Type) { /* a slot */
            PyErr_Clear();
            return false;
        }
        bool is_special = strncmp(text, "__", 2) == 0;
        if (is_special && strcmp(text, "__dict__") == 0 && Py_TYPE(attribute) != &PyGetSetDescr_Type) {
            return false;
        }
        if (!is_special && role_of_object(search, attribute) != IS_EMPTY) {
            return false;
        }
    }
    return true;
}

static Role class_role_of(ModuleSearch *search, PyTypeObject *type)
{
    KnownType *known = known_type(search, type);
    if (known->class_role != IS_UNKNOWN) {
        return known->class_role;
    }
    Role role = IS_EMPTY;
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(type->tp_mro) && role == IS_EMPTY; k++) {
        PyTypeObject *each = (PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, k);
        if (each != &PyBaseObject_Type && !is_own_class(each) && !is_without_contents(search, each)) {
            role = IS_UNUSUAL;
        }
    }
    known_type(search, type)->class_role = role; /* looked up again: the table may have been emptied */
    return role;
}

/* Tell whether a class has the two methods of Module: 1, 0, or -1 on error. May run code of a metaclass. */
static int has_own_methods(const ModuleSearch *search, PyTypeObject *type)
{
    static const char *const names[] = {"named_parameters", "parameters"};
    int same = 1;
    for (int k = 0; k < 2 && same == 1; k++) {
        PyObject *one = PyObject_GetAttrString((PyObject *)type, names[k]);
        PyObject *other = one == NULL ? NULL : PyObject_GetAttrString((PyObject *)search->module_type, names[k]);
        same = other == NULL ? -1 : one == other;
        Py_XDECREF(one);
        Py_XDECREF(other);
    }
    return same;
}

static Role override_role_of(ModuleSearch *search, PyTypeObject *type)
{
    KnownType *known = known_type(search, type);
    if (known->override_role != IS_UNKNOWN) {
        return known->override_role;
    }
    Py_INCREF(type);
    int same = has_own_methods(search, type);
    Role role = same < 0 ? IS_UNKNOWN : same ? IS_EMPTY : IS_UNUSUAL;
    if (PyType_CheckExact(type)) {
        known_type(search, type)->override_role = role;
    } else {
        forget_types(search); /* its metaclass may have changed anything */
    }
    Py_DECREF(type);
    return role;
}

/* --- one module --- */

static bool gather(ModuleSearch *search, PyObject *object, unsigned depth);

static bool gather_items(ModuleSearch *search, PyObject *const *items, Py_ssize_t count, unsigned depth)
{
    for (Py_ssize_t k = 0; k < count; k++) {
        bool is_plain_leaf = is_plain_value(items[k]) && as_node(items[k])->count == 0; /* most items are */
        if (is_plain_leaf ? hold(&search->members, items[k]) < 0 : !gather(search, items[k], depth)) {
            return false;
        }
    }
    return true;
}

/* Tell whether a key can become part of a name without an error: a string, or an integer of moderate size. */
static bool is_plain_key(PyObject *key)
{
    int overflow = 0;
    if (PyLong_CheckExact(key)) {
        (void)PyLong_AsLongAndOverflow(key, &overflow);
    }
    return PyUnicode_CheckExact(key) || (PyLong_CheckExact(key) && overflow == 0);
}

static bool gather_mapping(ModuleSearch *search, PyObject *mapping, unsigned depth)
{
    PyObject *key, *item;
    for (Py_ssize_t place = 0; PyDict_Next(mapping, &place, &key, &item);) {
        if (!is_plain_key(key) || !gather(search, item, depth)) {
            return false;
        }
    }
    return true;
}

/* Gather the leaves and the modules in an object. Return false if that needs Python. */
static bool gather(ModuleSearch *search, PyObject *object, unsigned depth)
{
    Role role = role_of_object(search, object);
    if (role == IS_EMPTY || role == IS_UNUSUAL) {
        return role == IS_EMPTY;
    }
    if (role == IS_LEAF || role == IS_MODULE) {
        bool is_wanted = role == IS_MODULE || as_node(object)->count == 0;
        return !is_wanted || hold(&search->members, object) == 0;
    }
    int is_new = depth == MOST_NESTED ? -1 : mark(&search->searched, object, search->round);
    if (is_new <= 0) {
        return is_new == 0;
    }
    if (role == IS_DICT) {
        return gather_mapping(search, object, depth + 1);
    }
    PyObject *const *items = role == IS_LIST ? ((PyListObject *)object)->ob_item : ((PyTupleObject *)object)->ob_item;
    return gather_items(search, items, Py_SIZE(object), depth + 1);
}

/* Gather the leaves and modules that a module holds. Return false if that needs Python. */
static bool gather_attributes(ModuleSearch *search, PyObject *module)
{
    PyTypeObject *type = Py_TYPE(module);
    if (class_role_of(search, type) != IS_EMPTY) {
        return false;
    }
    if (type->tp_dictoffset == 0) {
        return true;
    }
    PyObject *attributes = PyObject_GenericGetDict(module, NULL);
    if (attributes == NULL) {
        PyErr_Clear();
        return false;
    }
    search->round++;
    bool done = PyDict_CheckExact(attributes) && gather_mapping(search, attributes, 0);
    Py_DECREF(attributes);
    return done;
}

/* Add the second entry of each pair in a list from Python to the members. */
static int hold_seconds(ModuleSearch *search, PyObject *pairs)
{
    if (pairs == NULL) {
        return -1;
    }
    bool fits = PyList_CheckExact(pairs);
    int status = 0;
    for (Py_ssize_t k = 0; fits && status == 0 && k < PyList_GET_SIZE(pairs); k++) {
        PyObject *pair = PyList_GET_ITEM(pairs, k);
        fits = PyTuple_CheckExact(pair) && PyTuple_GET_SIZE(pair) == 2;
        status = fits ? hold(&search->members, PyTuple_GET_ITEM(pair, 1)) : 0;
    }
    Py_DECREF(pairs);
    if (!fits) {
        PyErr_SetString(PyExc_TypeError, "find_parameters: expected lists of pairs");
    } else if (status < 0) {
        PyErr_NoMemory();
    }
    return fits ? status : -1;
}

/* --- modules in modules --- */

ALWAYS_INLINE int note_parameter(ModuleSearch *search, PyObject *parameter)
{
    if (search->found_count == search->found_capacity &&
        grow((void **)&search->found, &search->found_capacity, sizeof *search->found) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    search->found[search->found_count++] = parameter; /* referenced by the members */
    return 0;
}

/* Return the searched modules by their ids, as in nn/module.py. */
static PyObject *seen_modules(const ModuleSearch *search)
{
    PyObject *seen = PyDict_New();
    for (size_t k = 0; seen != NULL && search->seen.cells != NULL && k <= search->seen.mask; k++) {
        PyObject *module = (PyObject *)search->seen.cells[k].address;
        PyObject *id = module == NULL ? NULL : PyLong_FromVoidPtr(module);
        if (module != NULL && (id == NULL || PyDict_SetItem(seen, id, module) < 0)) {
            Py_CLEAR(seen);
        }
        Py_XDECREF(id);
    }
    return seen;
}

/* Find the parameters of a module whose class overrides the methods. */
static int search_overriding(ModuleSearch *search, PyObject *module)
{
    size_t start = search->members.count;
    PyObject *seen = seen_modules(search);
    PyObject *pairs = seen == NULL ? NULL : PyObject_CallFunction(search->named, "OsO", module, ".", seen);
    Py_XDECREF(seen);
    forget_types(search);
    if (hold_seconds(search, pairs) < 0) {
        return -1;
    }
    for (size_t k = start; k < search->members.count; k++) {
        if (note_parameter(search, search->members.items[k]) < 0) {
            return -1;
        }
    }
    if (mark(&search->seen, module, 1) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* Find the parameters of a module, to which the caller has a reference, and of the modules in it. */
static int search_module(ModuleSearch *search, PyObject *module)
{
    if (mark(&search->seen, module, 1) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    size_t start = search->members.count;
    bool gathered = gather_attributes(search, module);
    if (!gathered) {
        drop_from(&search->members, start);
        forget_types(search);
        PyObject *pairs = PyObject_CallFunctionObjArgs(search->leaves_and, search->module_type, module, NULL);
        if (hold_seconds(search, pairs) < 0) {
            return -1;
        }
    }
    size_t stop = search->members.count;
    for (size_t k = start; k < stop; k++) {
        PyObject *member = search->members.items[k];
        int is_parameter = is_plain_value(member) || is_value(search->state, member);
        if (!is_parameter && !gathered) { /* as isinstance() does */
            is_parameter = PyObject_IsInstance(member, (PyObject *)search->state->value_type);
        }
        if (is_parameter != 0) {
            if (is_parameter < 0 || note_parameter(search, member) < 0) {
                return -1;
            }
            continue;
        }
        if (is_marked(&search->seen, member)) {
            continue;
        }
        Role role = override_role_of(search, Py_TYPE(member));
        if (role == IS_UNKNOWN || Py_EnterRecursiveCall(" while parameters were searched for")) {
            return -1;
        }
        int status = role == IS_UNUSUAL ? search_overriding(search, member) : search_module(search, member);
        Py_LeaveRecursiveCall();
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

/* Keep the first occurrence of each object that was found: Values are marked, other objects are put into a table. */
static int keep_each_once(ModuleSearch *search)
{
    Marks others = {NULL, 0, 0};
    size_t count = 0;
    int status = 0;
    for (size_t k = 0; k < search->found_count && status >= 0; k++) {
        PyObject *object = search->found[k];
        if (is_value(search->state, object)) {
            status = (as_node(object)->flags & LISTED) == 0;
            as_node(object)->flags |= LISTED;
        } else {
            status = mark(&others, object, 1);
        }
        search->found[count] = object;
        count += status == 1;
    }
    search->found_count = count;
    for (size_t k = 0; k < count; k++) {
        if (is_value(search->state, search->found[k])) {
            as_node(search->found[k])->flags &= (uint8_t)~LISTED;
        }
    }
    PyMem_Free(others.cells);
    if (status < 0) {
        PyErr_NoMemory();
    }
    return status < 0 ? -1 : 0;
}

/* Return the found parameters as a list, each once. */
static PyObject *each_once(ModuleSearch *search)
{
    PyObject *list = keep_each_once(search) < 0 ? NULL : PyList_New((Py_ssize_t)search->found_count);
    for (size_t k = 0; list != NULL && k < search->found_count; k++) {
        PyList_SET_ITEM(list, (Py_ssize_t)k, Py_NewRef(search->found[k]));
    }
    return list;
}

/* find_parameters(module, kind, leaves_and, named) */
PyObject *find_parameters(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = state_of_module(module);
    if (nargs != 4 || !PyType_Check(args[1]) || !PyObject_TypeCheck(args[0], (PyTypeObject *)args[1])) {
        PyErr_SetString(PyExc_TypeError, "find_parameters: expected a module, its class, and two functions");
        return NULL;
    }
    ModuleSearch search;
    memset(&search, 0, offsetof(ModuleSearch, types));
    search.state = state;
    search.module_type = (PyTypeObject *)args[1];
    search.leaves_and = args[2];
    search.named = args[3];
    search.type_count = 0;
    PyObject *parameters = search_module(&search, args[0]) < 0 ? NULL : each_once(&search);
    forget_types(&search);
    drop_from(&search.members, 0);
    PyMem_Free(search.members.items);
    PyMem_Free(search.found);
    PyMem_Free(search.seen.cells);
    PyMem_Free(search.searched.cells);
    return parameters;
}

/* clear_gradients(parameters): do `for p in parameters: p.grad = 0.0`. */
PyObject *clear_gradients(PyObject *module, PyObject *parameters)
{
    State *state = state_of_module(module);
    PyObject *sequence = PyList_CheckExact(parameters) ? Py_NewRef(parameters) : PySequence_List(parameters);
    PyObject *zero = sequence == NULL ? NULL : PyFloat_FromDouble(0.0);
    int status = zero == NULL ? -1 : 0;
    for (Py_ssize_t k = 0; status == 0 && k < PyList_GET_SIZE(sequence); k++) {
        PyObject *parameter = PyList_GET_ITEM(sequence, k);
        if (is_plain_value(parameter) && !is_traced(state)) {
            as_node(parameter)->grad = 0.0;
            continue;
        }
        Py_INCREF(parameter); /* other code may change the list */
        status = PyObject_SetAttrString(parameter, "grad", zero);
        Py_DECREF(parameter);
    }
    Py_XDECREF(zero);
    Py_XDECREF(sequence);
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}
