/* Nodes: their Details, their tracking by the garbage collector, and their deallocation. */
#include "engine/node.h"

static void sweep(Page *page)
{
    for (uint32_t k = 0; k < page->carved && !page->is_swept; k++) {
        Node *node = slot_of(page, k);
        if (Py_REFCNT(node) > 0 && node->count > 0) {
            collect(node);
        }
    }
    page->is_swept = true;
}

/* Run the collector once many nodes have been tracked late. It does not start by itself for them, because it counts
 * only objects from Python's allocator, and a cycle may consist of nodes alone. If it finds little, run it more rarely.
 */
static void run_collector(State *state)
{
    if (++state->late >= state->late_limit) {
        state->late = 0;
        bool found_little = (size_t)PyGC_Collect() < state->late_limit / 2;
        state->late_limit = found_little ? state->late_limit * 2 : FEWEST_LATE;
    }
}

void collect_late(Node *node)
{
    if (node->flags & COLLECTED) {
        return;
    }
    collect(node);
    if (!(node->flags & USED)) {
        return;
    }
    State *state = state_of((PyObject *)node);
    for (Page *page = state->pages; page != NULL; page = page->next) {
        sweep(page);
    }
    for (Page *page = state->full_pages; page != NULL; page = page->next) {
        sweep(page);
    }
    run_collector(state);
}

Details *new_details(PyObject *const *operands, size_t count)
{
    if (count >= UINT32_MAX - 1 || count > ((size_t)PY_SSIZE_T_MAX - sizeof(Details)) / sizeof(PyObject *)) {
        PyErr_NoMemory();
        return NULL;
    }
    Details *details = PyMem_Malloc(sizeof(Details) + count * sizeof(PyObject *));
    if (details == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    details->label = details->operation = details->closure = NULL;
    for (size_t k = 0; k < count; k++) {
        details->operands[k] = Py_NewRef(operands[k]);
        if (!PyFloat_CheckExact(operands[k])) {
            as_node(operands[k])->flags |= USED;
        }
    }
    return details;
}

PyObject *operands_of(const Node *node)
{
    PyObject *operands = NULL;
    size_t count;
    do {
        count = count_of(node);
        Py_XSETREF(operands, PyTuple_New((Py_ssize_t)count));
    } while (operands != NULL && count != count_of(node));
    for (size_t k = 0; k < count && operands != NULL; k++) {
        double number = 0.0;
        Node *operand = operand_of(node, k, &number);
        PyObject *object = operand != NULL ? Py_NewRef(operand) : PyFloat_FromDouble(number);
        if (object == NULL) {
            Py_CLEAR(operands);
        } else {
            PyTuple_SET_ITEM(operands, (Py_ssize_t)k, object);
        }
    }
    return operands;
}

int put_operands(Node *node, PyObject *operands)
{
    Node before = *node, *dying = NULL;
    Details *details = new_details(&PyTuple_GET_ITEM(operands, 0), (size_t)PyTuple_GET_SIZE(operands));
    if (details == NULL) {
        return -1;
    }
    if (before.flags & DETAILED) {
        Details *old = before.details;
        details->label = old->label;
        details->operation = old->operation;
        details->closure = old->closure;
        old->label = old->operation = old->closure = NULL;
    }
    node->flags = (uint8_t)((node->flags & ~(FIRST_IS_NUMBER | SECOND_IS_NUMBER)) | DETAILED);
    node->details = details;
    set_detailed_count(node, (size_t)PyTuple_GET_SIZE(operands));
    State *state = state_of((PyObject *)node);
    if (node->place != 0) {
        page_of(node)->newest = state->generation;
    }
    if (node->flags & USED) {
        state->mutated = state->generation;
    }
    release_contents(&before, &dying);
    bury(dying);
    return 0;
}

Details *detailed(Node *node)
{
    if (!(node->flags & DETAILED)) {
        PyObject *operands = operands_of(node);
        int status = operands == NULL ? -1 : put_operands(node, operands);
        Py_XDECREF(operands);
        if (status < 0) {
            return NULL;
        }
    }
    return node->details;
}

/* Tell whether the collector tracks a node. The flag COLLECTED would not do: a node that was an instance of a subclass
 * with `__del__`, and survived it, is tracked without the flag. */
static inline bool is_tracked(Node *node)
{
    /* Reading the first word of the header saves a call. */
    return node->place != 0 ? ((const uintptr_t *)node)[-2] != 0 : PyObject_GC_IsTracked((PyObject *)node);
}

/* Drop the last reference to a node. Unlike Py_DECREF, do not call its destructor. */
static inline void drop_last_reference(PyObject *object)
{
#ifdef Py_REF_DEBUG
#if PY_VERSION_HEX >= 0x030C0000
    _Py_DECREF_DecRefTotal();
#else
    _Py_RefTotal--;
#endif
#endif
    Py_SET_REFCNT(object, 0);
#ifdef Py_TRACE_REFS
    _Py_ForgetReference(object);
#endif
}

/* Drop a reference to an operand; if it was the last one, add the operand to the list of dying nodes. */
static inline void release_operand(Node *operand, Node **dying)
{
    if (Py_REFCNT(operand) != 1 || !is_plain_value((PyObject *)operand)) {
        Py_DECREF(operand);
        return;
    }
    if (is_tracked(operand)) {
        PyObject_GC_UnTrack(operand);
    }
    drop_last_reference((PyObject *)operand);
    if (operand->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)operand);
    }
    operand->link = *dying;
    *dying = operand;
}

void release_contents(const Node *node, Node **dying)
{
    uint8_t flags = node->flags;
    if (flags & DETAILED) {
        Details *details = node->details;
        for (size_t k = 0; k < node->detailed_count; k++) {
            PyObject *operand = details->operands[k];
            if (PyFloat_CheckExact(operand)) {
                Py_DECREF(operand);
            } else {
                release_operand(as_node(operand), dying);
            }
        }
        PyObject *others[] = {details->label, details->operation, details->closure};
        for (int k = 0; k < 3; k++) {
            if (others[k] != NULL && is_plain_value(others[k])) { /* a node as a label, for example */
                release_operand(as_node(others[k]), dying);
            } else {
                Py_XDECREF(others[k]);
            }
        }
        PyMem_Free(details);
        return;
    }
    if (node->count > 0 && !(flags & FIRST_IS_NUMBER)) {
        release_operand(node->operands[0].node, dying);
    }
    if (node->count > 1 && !(flags & SECOND_IS_NUMBER)) {
        release_operand(node->operands[1].node, dying);
    }
}

void bury(Node *dying)
{
    while (dying != NULL) {
        Node *node = dying;
        dying = node->link;
        release_contents(node, &dying);
        PyTypeObject *type = Py_TYPE(node);
        if (node->place != 0) {
            give_back_slot(node);
        } else {
            type->tp_free(node);
        }
        Py_DECREF(type);
    }
}

void value_dealloc(PyObject *self)
{
    Node *node = as_node(self);
    if (is_tracked(node)) {
        PyObject_GC_UnTrack(self);
    }
    if (node->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    if (!(node->flags & DETAILED)) {
        node->link = NULL;
        bury(node);
        return;
    }
    /* A closure or a label may refer to another node, and so on. Such a chain bypasses the list of dying nodes, so that
     * the trashcan has to limit the recursion. */
    Py_TRASHCAN_BEGIN(self, value_dealloc);
    node->link = NULL;
    bury(node);
    Py_TRASHCAN_END;
}

int value_traverse(PyObject *self, visitproc visit, void *arg)
{
    Node *node = as_node(self);
    Py_VISIT(Py_TYPE(self));
    if (node->flags & DETAILED) {
        Details *details = node->details;
        Py_VISIT(details->label);
        Py_VISIT(details->operation);
        Py_VISIT(details->closure);
        for (size_t k = 0; k < node->detailed_count; k++) {
            Py_VISIT(details->operands[k]);
        }
        return 0;
    }
    for (unsigned k = 0; k < node->count; k++) {
        if (!(node->flags & (FIRST_IS_NUMBER << k))) {
            Py_VISIT(node->operands[k].node);
        }
    }
    return 0;
}

int value_clear(PyObject *self)
{
    Node *node = as_node(self), before = *node, *dying = NULL;
    node->flags &= COLLECTED | USED;
    node->op = OP_NONE;
    node->count = 0;
    release_contents(&before, &dying);
    bury(dying);
    return 0;
}
