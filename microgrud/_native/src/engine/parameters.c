/* The parameters of a Module: the twin of the walk in nn/module.py and nn/contents.py, which are the specification.
 *
 * Nearly all modules hold Values, Modules, lists, tuples and dicts of these, and objects without Values that are
 * recognised by their types, such as those of libraries. They are walked here, and no other code runs meanwhile. A
 * module that holds anything else (plain objects, slots, other containers, Values in attributes of classes, subclasses
 * with their own methods) is searched by `leaves_and`, and one whose class overrides parameters() or named_parameters()
 * by `_named`; then the walk continues here. Nothing is kept between two walks, because lists change in place.
 *
 * MLP(2, [16, 16, 1]), with 337 parameters in 36 modules: 6 microseconds, where Python takes 220; to clear their
 * gradients, 3.5.
 */
#include "engine/module.h"
#include "engine/node.h"
#include "ops/buffers.h"

/* Python searches deeper or more containers, with a stack and a set of its own. */
enum { MOST_NESTED = 32, MOST_ITEMS_OF_MODULE = 1 << 20, MOST_SHARED = 1024, MOST_TYPES = 16 };

/* A growing array that owns references to its objects. */
typedef struct {
    PyObject **items;
    size_t count, capacity;
} Objects;

ALWAYS_INLINE int hold(Objects *objects, PyObject *object)
{
    if (objects->count == objects->capacity &&
        grow((void **)&objects->items, &objects->capacity, sizeof *objects->items) < 0) {
        PyErr_NoMemory();
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

/* The meaning of an object for the walk, by its type; Python gathers what the last two hold. An array is empty unless it
 * holds objects. */
typedef enum { IS_EMPTY, IS_LEAF, IS_MODULE, IS_LIST, IS_TUPLE, IS_DICT, IS_ARRAY, IS_UNUSUAL_MODULE, IS_UNUSUAL } Role;

/* A type that the walk has met. */
typedef struct {
    PyTypeObject *type; /* referenced, so that no other type gets its address */
    Role role;
    bool overrides; /* parameters() or named_parameters() of Module */
} KnownType;

typedef struct {
    State *state;
    PyTypeObject *module_type;
    PyObject *leaves_and, *named; /* of nn/contents.py and nn/module.py */
    PyObject *libraries; /* a frozenset of their names: what they define is not searched */
    Objects members; /* everything found, with repetitions, in the order of discovery */
    Objects found;   /* the parameters among them, in their order, with repetitions */
    Objects modules; /* the searched modules */
    HashTable seen;  /* of their addresses */
    Py_ssize_t items_left; /* number of items that may still be gathered for the module */
    bool clear; /* set `grad` of plain leaves to 0, instead of gathering them */
    PyObject *known; /* a tuple to compare plain leaves with, instead of gathering them; or NULL */
    Py_ssize_t place; /* of the next leaf in it */
    size_t start; /* of the members of the module that is being searched */
    bool differs; /* a leaf was another, or followed a module, whose parameters come first */
    KnownType types[MOST_TYPES];
    unsigned type_count;
} ModuleSearch;

/* Add a module to those that were searched. Return 1, 0 if it is one of them, -1 on error. */
static int add_module(ModuleSearch *search, PyObject *module)
{
    if (reserve_entry(&search->seen) != BUILT) {
        PyErr_NoMemory();
        return -1;
    }
    Search cells = search_for(&search->seen, mixed(0, (uintptr_t)module));
    for (int32_t k = next_with_hash(&search->seen, &cells); k >= 0; k = next_with_hash(&search->seen, &cells)) {
        if (search->modules.items[k] == module) {
            return 0;
        }
    }
    add_entry(&search->seen, &cells, search->modules.count);
    return hold(&search->modules, module) < 0 ? -1 : 1;
}

/* --- types --- */

/* Forget the types: other code has run, and may have changed them. */
static void forget_types(ModuleSearch *search)
{
    while (search->type_count > 0) {
        Py_DECREF(search->types[--search->type_count].type);
    }
}

/* Tell whether two types have the same attribute, from themselves or their bases. Runs no code and sets no error. */
static bool share_attribute(PyTypeObject *type, PyTypeObject *other, PyObject *name)
{
    return _PyType_Lookup(type, name) == _PyType_Lookup(other, name);
}

/* Return the name of the module that defines a class; NULL if it is unknown. Runs no code. */
static PyObject *module_name(const State *state, PyTypeObject *type)
{
    PyObject *module = PyType_CheckExact(type) ? PyObject_GetAttr((PyObject *)type, state->module_name) : NULL;
    if (module != NULL && !PyUnicode_CheckExact(module)) {
        Py_CLEAR(module);
    }
    PyErr_Clear();
    return module;
}

/* Tell whether a class is one of this package, whose attributes are not searched. */
static bool is_own_class(const State *state, PyTypeObject *type)
{
    PyObject *module = module_name(state, type);
    const char *name = module != NULL ? PyUnicode_AsUTF8(module) : NULL;
    bool is_own = name != NULL && strncmp(name, "microgrud", 9) == 0 && (name[9] == '.' || name[9] == '\0');
    Py_XDECREF(module);
    PyErr_Clear();
    return is_own;
}

/* Tell whether a class is one of a library, and no container: `collections` and `types` have some. */
static bool is_library_class(const ModuleSearch *search, PyTypeObject *type)
{
    PyObject *module = module_name(search->state, type);
    const char *name = module != NULL ? PyUnicode_AsUTF8(module) : NULL;
    bool is_one = false;
    if (name != NULL && strcmp(name, "collections") != 0 && strcmp(name, "types") != 0) {
        PyObject *root = PyUnicode_FromStringAndSize(name, (Py_ssize_t)strcspn(name, "."));
        is_one = root != NULL && PySet_Contains(search->libraries, root) == 1;
        Py_XDECREF(root);
    }
    Py_XDECREF(module);
    PyErr_Clear();
    return is_one;
}

/* Return the role of the objects of a type if all its classes are of libraries. */
static Role role_of_library_type(const ModuleSearch *search, PyTypeObject *type)
{
    PyObject *order = type->tp_mro;
    bool is_array = false;
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(order); k++) {
        PyTypeObject *each = (PyTypeObject *)PyTuple_GET_ITEM(order, k);
        if (!is_library_class(search, each) || each == &PyDictProxy_Type) {
            return IS_UNUSUAL;
        }
        is_array = is_array || strcmp(each->tp_name, "numpy.ndarray") == 0;
    }
    if (is_array) {
        return strcmp(type->tp_name, "numpy.ndarray") == 0 ? IS_ARRAY : IS_UNUSUAL;
    }
    return PyType_FastSubclass(type, Py_TPFLAGS_LIST_SUBCLASS | Py_TPFLAGS_TUPLE_SUBCLASS | Py_TPFLAGS_DICT_SUBCLASS)
               ? IS_UNUSUAL
               : IS_EMPTY;
}

static bool are_own_classes(const State *state, PyTypeObject *type)
{
    PyObject *order = type->tp_mro;
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(order); k++) {
        PyTypeObject *each = (PyTypeObject *)PyTuple_GET_ITEM(order, k);
        if (each != &PyBaseObject_Type && !((each->tp_flags & Py_TPFLAGS_HEAPTYPE) && is_own_class(state, each))) {
            return false;
        }
    }
    return true;
}

/* Tell whether a class of modules has methods of its own in place of those of Module. */
static bool overrides_methods(const ModuleSearch *search, PyTypeObject *type)
{
    return Py_TYPE(type)->tp_getattro != PyType_Type.tp_getattro || /* its metaclass may answer anything */
           !share_attribute(type, search->module_type, search->state->parameters_name) ||
           !share_attribute(type, search->module_type, search->state->named_parameters_name);
}

static bool hold_no_contents(ModuleSearch *search, PyObject *classes);

static Role role_of_rare_type(ModuleSearch *search, PyTypeObject *type)
{
    if (type == &PyClassMethod_Type || type == &PyStaticMethod_Type || type == &PyCFunction_Type ||
        type == &PyMethod_Type) {
        return IS_EMPTY;
    }
    PyTypeObject *value_type = search->state->value_type;
    if (type->tp_getattro != PyObject_GenericGetAttr || /* isinstance() asks the object for its __class__ */
        !share_attribute(type, &PyBaseObject_Type, search->state->class_name)) {
        return IS_UNUSUAL;
    }
    if (PyType_IsSubtype(type, value_type)) {
        return share_attribute(type, value_type, search->state->is_leaf_name) ? IS_LEAF : IS_UNUSUAL;
    }
    if (PyType_IsSubtype(type, search->module_type)) {
        return hold_no_contents(search, type->tp_mro) ? IS_MODULE : IS_UNUSUAL_MODULE;
    }
    return are_own_classes(search->state, type) ? IS_EMPTY : role_of_library_type(search, type);
}

static KnownType known_type(ModuleSearch *search, PyTypeObject *type)
{
    for (unsigned k = 0; k < search->type_count; k++) {
        if (search->types[k].type == type) {
            return search->types[k];
        }
    }
    if (search->type_count == MOST_TYPES) { /* rare: start again */
        forget_types(search);
    }
    /* An instance may be among the attributes of its own class, which is unusual. */
    KnownType known = {(PyTypeObject *)Py_NewRef(type), IS_UNUSUAL, true};
    search->types[search->type_count++] = known;
    known.role = role_of_rare_type(search, type);
    known.overrides = (known.role == IS_MODULE || known.role == IS_UNUSUAL_MODULE) && overrides_methods(search, type);
    for (unsigned k = 0; k < search->type_count; k++) {
        if (search->types[k].type == type) { /* the table may have been emptied */
            search->types[k] = known;
        }
    }
    return known;
}

/* Tell whether an array of NumPy holds objects, or numbers of an unknown kind. */
static bool holds_objects(PyObject *array)
{
    Py_buffer view;
    if (PyObject_GetBuffer(array, &view, PyBUF_FULL_RO) < 0) {
        PyErr_Clear();
        return true;
    }
    const bool holds = view.format == NULL || strchr(view.format, 'O') != NULL;
    PyBuffer_Release(&view);
    return holds;
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
    const Role role = known_type(search, type).role;
    return role != IS_ARRAY ? role : holds_objects(object) ? IS_UNUSUAL : IS_EMPTY;
}

/* Tell whether an object holds neither leaves nor modules, without a search deep inside. */
static bool is_without_members(ModuleSearch *search, PyObject *object, unsigned depth)
{
    const Role role = role_of_object(search, object);
    if (role == IS_LIST || role == IS_TUPLE) {
        const Py_ssize_t size = PySequence_Fast_GET_SIZE(object);
        bool is_without = depth < MOST_NESTED && size <= MOST_SHARED;
        for (Py_ssize_t k = 0; is_without && k < size; k++) {
            is_without = is_without_members(search, PySequence_Fast_GET_ITEM(object, k), depth + 1);
        }
        return is_without;
    }
    return role == IS_EMPTY;
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
        if (!is_special && !is_without_members(search, attribute, 0)) {
            return false;
        }
    }
    return true;
}

static bool hold_no_contents(ModuleSearch *search, PyObject *classes)
{
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(classes); k++) {
        PyTypeObject *each = (PyTypeObject *)PyTuple_GET_ITEM(classes, k);
        if (each != &PyBaseObject_Type && !is_own_class(search->state, each) && !is_without_contents(search, each)) {
            return false;
        }
    }
    return true;
}

/* --- one module --- */

static bool gather(ModuleSearch *search, PyObject *object, unsigned depth);

ALWAYS_INLINE bool gather_plain_leaf(ModuleSearch *search, PyObject *leaf)
{
    if (search->clear) {
        as_node(leaf)->grad = 0.0;
        return true;
    }
    if (search->known != NULL) { /* without references to the leaves, which take most of the time */
        const Py_ssize_t place = search->place++;
        search->differs |= place >= PyTuple_GET_SIZE(search->known) ||
                           PyTuple_GET_ITEM(search->known, place) != leaf || search->members.count > search->start;
        return true;
    }
    return hold(&search->members, leaf) == 0;
}

static bool gather_items(ModuleSearch *search, PyObject *const *items, Py_ssize_t count, unsigned depth)
{
    for (Py_ssize_t k = 0; k < count; k++) {
        bool is_plain_leaf = is_plain_value(items[k]) && as_node(items[k])->count == 0; /* most items are */
        if (is_plain_leaf ? !gather_plain_leaf(search, items[k]) : !gather(search, items[k], depth)) {
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
    if (role == IS_LEAF && (as_node(object)->count != 0 || is_plain_value(object))) {
        return as_node(object)->count != 0 || gather_plain_leaf(search, object);
    }
    if (role != IS_LIST && role != IS_TUPLE && role != IS_DICT) {
        return hold(&search->members, object) == 0;
    }
    /* A container that is met again is gathered again: repetitions do no harm, and there are not too many. */
    search->items_left -= role == IS_DICT ? PyDict_GET_SIZE(object) : Py_SIZE(object);
    if (depth == MOST_NESTED || search->items_left < 0) {
        return false;
    }
    if (role == IS_DICT) {
        return gather_mapping(search, object, depth + 1);
    }
    return gather_items(search, PySequence_Fast_ITEMS(object), Py_SIZE(object), depth + 1);
}

/* Gather the leaves and modules among the attributes of a module. Return false if that needs Python. */
static bool gather_attributes(ModuleSearch *search, PyObject *module)
{
    if (Py_TYPE(module)->tp_dictoffset == 0) {
        return true;
    }
    PyObject *attributes = PyObject_GenericGetDict(module, NULL);
    search->items_left = MOST_ITEMS_OF_MODULE;
    bool done = attributes != NULL && PyDict_CheckExact(attributes) && gather_mapping(search, attributes, 0);
    Py_XDECREF(attributes);
    return done;
}

/* Hold the second entry of each pair in a list from Python. */
static int hold_seconds(Objects *objects, PyObject *pairs)
{
    bool fits = pairs != NULL && PyList_CheckExact(pairs);
    int status = fits ? 0 : -1;
    for (Py_ssize_t k = 0; status == 0 && k < PyList_GET_SIZE(pairs); k++) {
        PyObject *pair = PyList_GET_ITEM(pairs, k);
        fits = PyTuple_CheckExact(pair) && PyTuple_GET_SIZE(pair) == 2;
        status = fits ? hold(objects, PyTuple_GET_ITEM(pair, 1)) : -1;
    }
    if (pairs != NULL && !fits) {
        PyErr_SetString(PyExc_TypeError, "find_parameters: expected lists of pairs");
    }
    Py_XDECREF(pairs);
    return status;
}

/* --- modules in modules --- */

/* Find the parameters of a module whose class overrides the methods: the last one that was added. */
static int search_overriding(ModuleSearch *search, PyObject *module)
{
    PyObject *seen = PyDict_New(), *pairs = NULL; /* the others by their ids, as in nn/module.py */
    for (size_t k = 0; seen != NULL && k + 1 < search->modules.count; k++) {
        PyObject *id = PyLong_FromVoidPtr(search->modules.items[k]);
        if (id == NULL || PyDict_SetItem(seen, id, search->modules.items[k]) < 0) {
            Py_CLEAR(seen);
        }
        Py_XDECREF(id);
    }
    if (seen != NULL) {
        pairs = PyObject_CallFunction(search->named, "OsO", module, ".", seen);
    }
    Py_XDECREF(seen);
    forget_types(search);
    return hold_seconds(&search->found, pairs);
}

static int search_member(ModuleSearch *search, PyObject *module);

/* Tell whether a module leaves out the parameters that it holds itself; -1 on error. */
static int is_frozen(const State *state, PyObject *module)
{
    PyObject *attributes = PyObject_GenericGetDict(module, NULL);
    if (attributes == NULL) {
        return -1;
    }
    PyObject *mark = PyDict_GetItemWithError(attributes, state->frozen_name);
    const int frozen = mark == NULL && PyErr_Occurred() ? -1 : mark == Py_True;
    Py_DECREF(attributes);
    return frozen;
}

/* Find the parameters of a module, and of the modules in it. */
static int search_module(ModuleSearch *search, PyObject *module, Role role)
{
    const size_t start = search->start = search->members.count;
    const int frozen = is_frozen(search->state, module);
    if (frozen < 0) {
        return -1;
    }
    bool gathered = !frozen && role == IS_MODULE && gather_attributes(search, module);
    if (!gathered) {
        PyErr_Clear();
        drop_from(&search->members, start);
        forget_types(search);
        PyObject *pairs = PyObject_CallFunction(search->leaves_and, "OO", search->module_type, module);
        if (hold_seconds(&search->members, pairs) < 0) {
            return -1;
        }
    }
    size_t stop = search->members.count;
    int status = 0;
    for (size_t k = start; k < stop && status >= 0; k++) {
        PyObject *member = search->members.items[k];
        status = is_value(search->state, member);
        if (status == 0 && !gathered) { /* as isinstance() does */
            status = PyObject_IsInstance(member, (PyObject *)search->state->value_type);
        }
        if (status >= 0) {
            status = !status ? search_member(search, member) : frozen ? 0 : hold(&search->found, member);
        }
    }
    return status < 0 ? -1 : 0;
}

/* Find the parameters of a module in a module, unless it was searched before. */
static int search_member(ModuleSearch *search, PyObject *module)
{
    int is_new = add_module(search, module);
    if (is_new <= 0) {
        return is_new;
    }
    if (Py_EnterRecursiveCall(" while searching for parameters")) {
        return -1;
    }
    KnownType known = known_type(search, Py_TYPE(module));
    int status = known.overrides ? search_overriding(search, module) : search_module(search, module, known.role);
    Py_LeaveRecursiveCall();
    return status;
}

/* Return the objects as a list, each once. */
static PyObject *each_once(Objects *found, const State *state)
{
    size_t count = 0;
    for (size_t k = 0; k < found->count; k++) {
        PyObject *object = found->items[k];
        bool is_new = true;
        if (is_value(state, object)) {
            is_new = !(as_node(object)->flags & LISTED);
            as_node(object)->flags |= LISTED;
        } else { /* rare */
            for (size_t i = 0; i < count && is_new; i++) {
                is_new = found->items[i] != object;
            }
        }
        if (is_new) {
            found->items[k] = found->items[count];
            found->items[count++] = object;
        }
    }
    drop_from(found, count);
    for (size_t k = 0; k < count; k++) {
        if (is_value(state, found->items[k])) {
            as_node(found->items[k])->flags &= (uint8_t)~LISTED;
        }
    }
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t k = 0; list != NULL && k < count; k++) {
        PyList_SET_ITEM(list, (Py_ssize_t)k, found->items[k]);
    }
    found->count = list != NULL ? 0 : count; /* the references have moved */
    return list;
}

/* Search for the parameters of args = (module, kind, leaves_and, named, libraries), and return a list of those that are
 * neither cleared nor compared. */
static PyObject *parameters_of(ModuleSearch *search, State *state, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 5 || !PyType_Check(args[1]) || !PyObject_TypeCheck(args[0], (PyTypeObject *)args[1]) ||
        !PyFrozenSet_CheckExact(args[4])) {
        PyErr_SetString(PyExc_TypeError, "find_parameters: expected a module, its class, two functions and libraries");
        return NULL;
    }
    search->state = state;
    search->module_type = (PyTypeObject *)args[1];
    search->leaves_and = args[2];
    search->named = args[3];
    search->libraries = args[4];
    bool is_found = add_module(search, args[0]) >= 0 &&
                    search_module(search, args[0], known_type(search, Py_TYPE(args[0])).role) == 0;
    PyObject *parameters = is_found ? each_once(&search->found, search->state) : NULL;
    forget_types(search);
    PyMem_RawFree(search->seen.cells);
    Objects *const all[] = {&search->members, &search->found, &search->modules};
    for (int k = 0; k < 3; k++) {
        drop_from(all[k], 0);
        PyMem_Free(all[k]->items);
    }
    return parameters;
}

/* Set all fields but the table of types to 0. */
static void begin_search(ModuleSearch *search)
{
    memset(search, 0, offsetof(ModuleSearch, types));
    search->type_count = 0;
}

/* find_parameters(module, kind, leaves_and, named, libraries) */
PyObject *find_parameters(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    ModuleSearch search;
    begin_search(&search);
    return parameters_of(&search, state_of_module(module), args, nargs);
}

/* has_parameters(module, kind, leaves_and, named, libraries, known): tell whether find_parameters would return what a
 * tuple holds. False may also mean that this takes another search. */
PyObject *has_parameters(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 6 || !PyTuple_CheckExact(args[5])) {
        PyErr_SetString(PyExc_TypeError, "has_parameters: expected the arguments of find_parameters, and a tuple");
        return NULL;
    }
    ModuleSearch search;
    begin_search(&search);
    search.known = args[5];
    PyObject *others = parameters_of(&search, state_of_module(module), args, nargs - 1);
    if (others == NULL) {
        return NULL;
    }
    const bool same = !search.differs && search.place == PyTuple_GET_SIZE(args[5]) && PyList_GET_SIZE(others) == 0;
    Py_DECREF(others);
    return PyBool_FromLong(same);
}

/* clear_parameters(module, kind, leaves_and, named, libraries): set `grad` of all parameters to 0. */
PyObject *clear_parameters(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = state_of_module(module);
    ModuleSearch search;
    begin_search(&search);
    search.clear = !is_traced(state); /* most of them; the others are returned */
    PyObject *others = parameters_of(&search, state, args, nargs);
    PyObject *done = others == NULL ? NULL : clear_gradients(module, others);
    Py_XDECREF(others);
    return done;
}

/* clear_gradients(parameters): do `for p in parameters: p.grad = 0.0`. */
PyObject *clear_gradients(PyObject *module, PyObject *parameters)
{
    State *state = state_of_module(module);
    PyObject *sequence = PyList_CheckExact(parameters) ? Py_NewRef(parameters) : PySequence_List(parameters);
    PyObject *zero = sequence == NULL ? NULL : PyFloat_FromDouble(0.0);
    int status = zero == NULL ? -1 : 0;
    Py_ssize_t k = 0;
    if (zero != NULL && !is_traced(state)) {
        PyObject **items = PySequence_Fast_ITEMS(sequence);
        Py_ssize_t size = PyList_GET_SIZE(sequence);
        for (; k < size && is_plain_value(items[k]); k++) {
            as_node(items[k])->grad = 0.0;
        }
    }
    for (; status == 0 && k < PyList_GET_SIZE(sequence); k++) {
        PyObject *parameter = PyList_GET_ITEM(sequence, k);
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

/* are_distinct_leaves(parameters): tell whether a list holds plain leaves, each once. False may also mean that it takes
 * other code to find out. */
PyObject *are_distinct_leaves(PyObject *Py_UNUSED(module), PyObject *parameters)
{
    if (!PyList_CheckExact(parameters)) {
        Py_RETURN_FALSE;
    }
    PyObject **items = PySequence_Fast_ITEMS(parameters);
    const Py_ssize_t size = PyList_GET_SIZE(parameters);
    Py_ssize_t k = 0;
    while (k < size && is_plain_value(items[k]) && as_node(items[k])->count == 0 &&
           !(as_node(items[k])->flags & LISTED)) {
        as_node(items[k++])->flags |= LISTED;
    }
    for (Py_ssize_t i = 0; i < k; i++) {
        as_node(items[i])->flags &= (uint8_t)~LISTED;
    }
    return PyBool_FromLong(k == size);
}
