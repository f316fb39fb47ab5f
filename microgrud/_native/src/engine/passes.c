/* Reverse and forward mode on a Subgraph; microgrud/autodiff/subgraph.py gives the reasons.
 *
 * With numbers, slopes come from kernels, as in the backward pass; with nodes from slopes.c; both leave rare operations
 * to Python. The reverse pass finds the next node in a bit set, so that a pass over a large graph costs what the
 * ancestors of its output cost, and an instruction for each 64 other nodes.
 */
#include "engine/subgraph.h"

typedef struct {
    Subgraph *graph;
    State *state;
    bool as_numbers;
    bool traced;
    Term *terms;       /* adjoints or tangents by place; 0 where they are not known */
    size_t capacity;   /* of terms */
    uint64_t *known;   /* a bit for each place */
    Term *slopes;      /* of one node */
    bool *wanted;      /* which of its slopes are wanted */
    double *scratch;   /* three numbers for each of its operands */
} Pass;

ALWAYS_INLINE bool is_known(const Pass *pass, size_t place)
{
    return pass->known[place / 64] >> (place % 64) & 1;
}

ALWAYS_INLINE void set_known(Pass *pass, size_t place, Term term)
{
    pass->known[place / 64] |= UINT64_C(1) << (place % 64);
    pass->terms[place] = term;
}

/* --- the chain rule --- */

static int chain_through_gate(const Pass *pass, Term adjoint, Node *gate, Term *product);

/* Multiply an adjoint by a slope. Both are borrowed. */
ALWAYS_INLINE int chain(const Pass *pass, Term adjoint, Term slope, Term *product)
{
    if (is_constant(adjoint, 0.0) || is_constant(slope, 1.0)) {
        *product = shared(adjoint);
        return 0;
    }
    if (pass->as_numbers) {
        *product = plain(adjoint.number * slope.number);
        return 0;
    }
    if (is_constant(adjoint, 1.0)) {
        *product = shared(slope);
        return 0;
    }
    if (pass->traced && slope.node != NULL && slope.node->op == OP_GATE) {
        return chain_through_gate(pass, adjoint, slope.node, product);
    }
    bool may_vanish = pass->traced || (data_of(adjoint) == 0.0 && !isfinite(data_of(slope)));
    return combine(pass->state, may_vanish ? OP_CHAIN : OP_MULTIPLY, adjoint, slope, product);
}

/* A closed gate passes nothing on: see `chained` in ops.py. */
static int chain_through_gate(const Pass *pass, Term adjoint, Node *gate, Term *product)
{
    Term condition = {NULL, 0.0}, slope = {NULL, 0.0}, inner;
    condition.node = operand_of(gate, 0, &condition.number);
    slope.node = operand_of(gate, 1, &slope.number);
    if (chain(pass, adjoint, slope, &inner) < 0) {
        return -1;
    }
    int status = combine(pass->state, OP_GATE, condition, inner, product);
    Py_XDECREF(inner.node);
    return status;
}

static int chain_to_base(const Pass *pass, const Node *node, Term adjoint, Term slope, Term *product)
{
    Term operands[3] = {plain(0.0), plain(0.0), plain(0.0)};
    for (size_t k = 0; k < count_of(node) && k < 3; k++) {
        operands[k].node = operand_of(node, k, &operands[k].number);
    }
    const Term y = operands[1], n = operands[2];
    if (y.node == NULL || (!pass->traced && data_of(y) != data_of(n))) {
        return chain(pass, adjoint, slope, product);
    }
    if (!pass->traced) {
        return combine(pass->state, OP_CHAIN, slope, adjoint, product);
    }
    Term condition = plain(0.0), at_n = plain(0.0), elsewhere = plain(0.0);
    int status = combine(pass->state, OP_EQUAL, y, n, &condition);
    status = status == 0 ? combine(pass->state, OP_CHAIN, slope, adjoint, &at_n) : status;
    status = status == 0 ? chain(pass, adjoint, slope, &elsewhere) : status;
    if (status == 0) {
        PyObject *objects[3] = {boxed(condition), boxed(at_n), boxed(elsewhere)}, *chosen = NULL;
        if (objects[0] != NULL && objects[1] != NULL && objects[2] != NULL) {
            chosen = record_any(pass->state, pass->state->operations[OP_WHERE], OP_WHERE, objects, 3);
        }
        for (size_t k = 0; k < 3; k++) {
            Py_XDECREF(objects[k]);
        }
        *product = (Term){(Node *)chosen, 0.0};
        status = chosen == NULL ? -1 : 0;
    }
    Py_XDECREF(condition.node);
    Py_XDECREF(at_n.node);
    Py_XDECREF(elsewhere.node);
    return status;
}

/* Multiply an adjoint by the slope of the operand k of a node. The base of a power is as in `chained_to_base` of ops.py.
 */
ALWAYS_INLINE int chain_to(const Pass *pass, const Node *node, size_t k, Term adjoint, Term slope, Term *product)
{
    const bool is_base = k == 0 && (node->op == OP_POW || node->op == OP_POWER_OVER) && slope.node != NULL;
    return is_base ? chain_to_base(pass, node, adjoint, slope, product) : chain(pass, adjoint, slope, product);
}

/* Add a term, which is taken over, to a total, in which plain zeros do not count. */
ALWAYS_INLINE int add_term(const Pass *pass, Term *total, Term term)
{
    if (is_constant(*total, 0.0)) {
        *total = term;
        return 0;
    }
    if (is_constant(term, 0.0)) {
        return 0;
    }
    Term sum;
    int status = combine(pass->state, OP_ADD, *total, term, &sum);
    Py_XDECREF(term.node);
    if (status == 0) {
        Py_XDECREF(total->node);
        *total = sum;
    }
    return status;
}

ALWAYS_INLINE int contribute(Pass *pass, size_t place, Term term)
{
    if (is_known(pass, place)) {
        return add_term(pass, &pass->terms[place], term);
    }
    set_known(pass, place, term);
    return 0;
}

/* --- slopes --- */

/* Read a Value, a number, or None. */
static int read_term(const Pass *pass, PyObject *object, Term *term)
{
    *term = plain(NOTHING);
    if (object != Py_None && !pass->as_numbers && is_value(pass->state, object)) {
        term->node = as_node(Py_NewRef(object));
    } else if (object != Py_None) {
        term->number = PyFloat_AsDouble(object);
    }
    return term->number == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static int slopes_by_python(Pass *pass, Node *node, size_t count)
{
    PyObject *wanted = PyList_New(0);
    for (size_t k = 0; k < count && wanted != NULL; k++) {
        pass->slopes[k] = plain(0.0);
        PyObject *index = pass->wanted[k] ? PyLong_FromSize_t(k) : NULL;
        if (pass->wanted[k] && (index == NULL || PyList_Append(wanted, index) < 0)) {
            Py_CLEAR(wanted);
        }
        Py_XDECREF(index);
    }
    PyObject *flag = pass->as_numbers ? Py_True : Py_False;
    PyObject *found = wanted == NULL ? NULL
                                     : PyObject_CallFunctionObjArgs(pass->state->slopes_of, node, wanted, flag, NULL);
    PyObject *slopes = found == NULL ? NULL : PySequence_Fast(found, "expected a list of slopes");
    int status = slopes == NULL ? -1 : 0;
    if (status == 0 && PySequence_Fast_GET_SIZE(slopes) != PyList_GET_SIZE(wanted)) {
        PyErr_Format(PyExc_ValueError, "expected %zd slopes, got %zd", PyList_GET_SIZE(wanted),
                     PySequence_Fast_GET_SIZE(slopes));
        status = -1;
    }
    Py_ssize_t next = 0;
    for (size_t k = 0; k < count && status == 0; k++) {
        if (pass->wanted[k]) {
            status = read_term(pass, PySequence_Fast_GET_ITEM(slopes, next++), &pass->slopes[k]);
        }
    }
    Py_XDECREF(wanted);
    Py_XDECREF(found);
    Py_XDECREF(slopes);
    return status;
}

/* Compute slopes as numbers by the kernel of the operation. Return 1 if that needs Python. */
ALWAYS_INLINE int slopes_by_kernel(Pass *pass, Node *node, size_t count)
{
    Op op = (Op)node->op;
    if (op == OP_NONE || (node->flags & BY_RULES) || has_closure(node)) {
        return 1;
    }
    double few[3] = {0.0, 0.0, 0.0}, three[3] = {0.0, 0.0, 0.0}, *xs = few, *slopes = three;
    if (count > 3) {
        xs = pass->scratch;
        slopes = xs + count;
    }
    unsigned wanted = 0;
    for (size_t k = 0; k < count; k++) {
        Node *operand = operand_of(node, k, &xs[k]);
        xs[k] = operand != NULL ? operand->data : xs[k];
        wanted |= k < 3 && pass->wanted[k] ? 1u << k : 0;
    }
    if (op < OP_LAST_TERNARY) {
        slopes_of(op, node->data, xs[0], xs[1], xs[2], wanted, slopes);
    } else {
        sequence_slopes(op, node->data, xs, count, slopes, pass->scratch + 2 * count);
    }
    for (size_t k = 0; k < count; k++) {
        if (pass->wanted[k] && !isfinite(slopes[k]) && !is_nothing(slopes[k])) {
            return 1;
        }
        pass->slopes[k] = plain(slopes[k]);
    }
    return 0;
}

/* Compute the slopes of the node at a place, those that are wanted. */
ALWAYS_INLINE int find_slopes(Pass *pass, size_t place, size_t count)
{
    Node *node = pass->graph->nodes.items[place];
    if (count_of(node) != count) {
        PyErr_SetString(PyExc_RuntimeError, "the operands of a node were replaced while it was differentiated");
        return -1;
    }
    int status = pass->as_numbers ? slopes_by_kernel(pass, node, count)
                                  : node_slopes(pass->state, pass->traced, node, pass->wanted, pass->slopes);
    return status > 0 ? slopes_by_python(pass, node, count) : status;
}

static bool passes_nothing(Term slope)
{
    return slope.node == NULL && is_nothing(slope.number);
}

/* --- the passes --- */

static inline unsigned highest_bit(uint64_t bits)
{
#if defined(__GNUC__) || defined(__clang__)
    return 63 - (unsigned)__builtin_clzll(bits);
#else
    unsigned bit = 63;
    while (!(bits >> bit & 1)) {
        bit--;
    }
    return bit;
#endif
}

/* Compute the slopes of a node with one or two operands and no Details as numbers; 0 for those that are not wanted.
 * Return false if the general way is needed: for one that is infinite, NaN or NOTHING. Without arrays of operands this
 * takes a third of the time. */
ALWAYS_INLINE bool find_two_slopes(const Pass *pass, size_t place, bool by_first, bool by_second, double slopes[3])
{
    const Node *node = pass->graph->nodes.items[place];
    if (!pass->as_numbers || (node->flags & (DETAILED | BY_RULES)) || node->count == 0) {
        return false;
    }
    double x = 0.0, y = 0.0;
    const Node *first = operand_of(node, 0, &x), *second = node->count == 2 ? operand_of(node, 1, &y) : NULL;
    x = first != NULL ? first->data : x;
    y = second != NULL ? second->data : y;
    slopes[0] = slopes[1] = 0.0;
    slopes_of((Op)node->op, node->data, x, y, 0.0, by_first | (unsigned)by_second << 1, slopes);
    return isfinite(slopes[0]) && isfinite(slopes[1]);
}

/* Add a product to a number; an exact zero does not count, so that the sign of a zero term stays. */
ALWAYS_INLINE void add_number(Pass *pass, size_t place, double product)
{
    double *total = &pass->terms[place].number;
    *total = *total == 0.0 ? product : *total + product;
    pass->known[place / 64] |= UINT64_C(1) << (place % 64);
}

/* Pass the adjoint of the node at a place on to its operands. */
ALWAYS_INLINE int pull_node(Pass *pass, size_t place)
{
    const Subgraph *graph = pass->graph;
    size_t begin = begin_of(graph, place), count = graph->ends[place] - begin;
    const uint32_t *places = graph->places + begin;
    Term adjoint = pass->terms[place];
    if (count == 0 || is_constant(adjoint, 0.0)) {
        return 0;
    }
    bool by_first = places[0] != ABSENT, by_second = count == 2 && places[1] != ABSENT;
    double two[3];
    if (count <= 2 && find_two_slopes(pass, place, by_first, by_second, two)) {
        if (by_first) {
            add_number(pass, places[0], adjoint.number * two[0]);
        }
        if (by_second) {
            add_number(pass, places[1], adjoint.number * two[1]);
        }
        return 0;
    }
    for (size_t k = 0; k < count; k++) {
        pass->wanted[k] = places[k] != ABSENT;
    }
    int status = find_slopes(pass, place, count);
    for (size_t k = 0; k < count && status == 0; k++) {
        Term product;
        if (pass->wanted[k] && !passes_nothing(pass->slopes[k])) {
            const Node *node = pass->graph->nodes.items[place];
            status = chain_to(pass, node, k, adjoint, pass->slopes[k], &product);
            status = status == 0 ? contribute(pass, places[k], product) : status;
        }
    }
    for (size_t k = 0; k < count && !pass->as_numbers; k++) {
        Py_CLEAR(pass->slopes[k].node);
    }
    return status;
}

static int pull_all(Pass *pass, uint32_t output)
{
    set_known(pass, output, plain(1.0));
    for (size_t word = output / 64 + 1; word-- > 0;) {
        uint64_t left = ~UINT64_C(0), bits;
        while ((bits = pass->known[word] & left) != 0) {
            unsigned bit = highest_bit(bits);
            if (pull_node(pass, word * 64 + bit) < 0) {
                return -1;
            }
            left = (UINT64_C(1) << bit) - 1; /* operands have lower places */
        }
    }
    return 0;
}

/* Compute the tangent of a node by the forward rule of its operation. Return 1 if it has none. */
static int push_by_rule(Pass *pass, size_t place, size_t count, const uint32_t *places)
{
    Node *node = pass->graph->nodes.items[place];
    if (node->op != OP_NONE || !(node->flags & DETAILED) || has_closure(node) || count_of(node) != count) {
        return 1;
    }
    PyObject *operation = operation_object(pass->state, node);
    if (PyUnicode_Check(operation)) {
        return 1;
    }
    PyObject *rule = PyObject_GetAttrString(operation, "push");
    if (rule == NULL || rule == Py_None) {
        int status = rule == NULL ? -1 : 1;
        Py_XDECREF(rule);
        return status;
    }
    PyObject *tangents = PyList_New((Py_ssize_t)count);
    for (size_t k = 0; k < count && tangents != NULL; k++) {
        PyObject *tangent = boxed(pass->wanted[k] ? pass->terms[places[k]] : plain(0.0));
        if (tangent == NULL) {
            Py_CLEAR(tangents);
        } else {
            PyList_SET_ITEM(tangents, (Py_ssize_t)k, tangent);
        }
    }
    PyObject *flag = pass->as_numbers ? Py_True : Py_False;
    PyObject *found = tangents == NULL ? NULL : PyObject_CallFunctionObjArgs(rule, (PyObject *)node, tangents, flag, NULL);
    Term term = plain(0.0);
    int status = found == NULL ? -1 : read_term(pass, found, &term);
    if (status == 0) {
        set_known(pass, place, term);
    }
    Py_XDECREF(found);
    Py_XDECREF(tangents);
    Py_DECREF(rule);
    return status;
}

/* Compute the tangent of the node at a place from those of its operands that move. */
ALWAYS_INLINE int push_through(Pass *pass, size_t place)
{
    const Subgraph *graph = pass->graph;
    size_t begin = begin_of(graph, place), count = graph->ends[place] - begin;
    const uint32_t *places = graph->places + begin;
    bool moves = false, by_first = count > 0 && places[0] != ABSENT && is_known(pass, places[0]);
    bool by_second = count == 2 && places[1] != ABSENT && is_known(pass, places[1]);
    double two[3];
    if (count <= 2 && (by_first || by_second) && find_two_slopes(pass, place, by_first, by_second, two)) {
        if (by_first) { /* a slope of 0 stops an infinite tangent */
            add_number(pass, place, two[0] == 0.0 ? two[0] : two[0] * pass->terms[places[0]].number);
        }
        if (by_second) {
            add_number(pass, place, two[1] == 0.0 ? two[1] : two[1] * pass->terms[places[1]].number);
        }
        return 0;
    }
    for (size_t k = 0; k < count; k++) {
        pass->wanted[k] = places[k] != ABSENT && is_known(pass, places[k]);
        moves |= pass->wanted[k];
    }
    if (!moves) {
        return 0;
    }
    int status = push_by_rule(pass, place, count, places);
    if (status <= 0) {
        return status;
    }
    status = find_slopes(pass, place, count);
    for (size_t k = 0; k < count && status == 0; k++) {
        Term product;
        if (pass->wanted[k] && !passes_nothing(pass->slopes[k])) {
            status = chain(pass, pass->slopes[k], pass->terms[places[k]], &product);
            status = status == 0 ? contribute(pass, place, product) : status;
        }
    }
    for (size_t k = 0; k < count && !pass->as_numbers; k++) {
        Py_CLEAR(pass->slopes[k].node);
    }
    return status;
}

static int push_all(Pass *pass)
{
    for (size_t place = 0; place < pass->graph->nodes.count; place++) {
        if (push_through(pass, place) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- a pass as a whole --- */

static int begin_pass(Pass *pass, PyObject *self, PyObject *as_numbers)
{
    memset(pass, 0, sizeof *pass);
    Subgraph *graph = pass->graph = (Subgraph *)self;
    pass->state = graph->state;
    int flag = PyObject_IsTrue(as_numbers);
    if (flag < 0) {
        return -1;
    }
    pass->as_numbers = flag;
    if (!flag && is_traced(pass->state)) { /* in some thread */
        PyObject *tracer = PyObject_CallNoArgs(pass->state->current_tracer);
        if (tracer == NULL) {
            return -1;
        }
        pass->traced = tracer != Py_None;
        Py_DECREF(tracer);
    }
    take_spare(pass->state, SPARE_TERMS, (void **)&pass->terms, &pass->capacity);
    while (pass->capacity <= graph->nodes.count) {
        if (grow((void **)&pass->terms, &pass->capacity, sizeof *pass->terms) < 0) {
            PyErr_NoMemory();
            return -1;
        }
    }
    memset(pass->terms, 0, graph->nodes.count * sizeof *pass->terms);
    pass->known = PyMem_Calloc(graph->nodes.count / 64 + 1, sizeof *pass->known);
    pass->slopes = PyMem_Calloc(graph->widest + 1, sizeof *pass->slopes);
    pass->wanted = PyMem_Calloc(graph->widest + 1, sizeof *pass->wanted);
    pass->scratch = PyMem_Calloc(3 * graph->widest + 1, sizeof *pass->scratch);
    if (!pass->known || !pass->slopes || !pass->wanted || !pass->scratch) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* Free a pass. Return the terms at places as a list, or NULL after a failure. */
static PyObject *end_pass(Pass *pass, int status, const uint32_t *places, size_t count)
{
    PyObject *list = status < 0 ? NULL : PyList_New((Py_ssize_t)count);
    for (size_t k = 0; k < count && list != NULL; k++) {
        PyObject *object = boxed(places[k] == ABSENT ? plain(0.0) : pass->terms[places[k]]);
        if (object == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, (Py_ssize_t)k, object);
        }
    }
    for (size_t k = 0; pass->known != NULL && !pass->as_numbers && k < pass->graph->nodes.count; k++) {
        Py_XDECREF(pass->terms[k].node);
    }
    give_spare(pass->state, SPARE_TERMS, pass->terms, pass->capacity, sizeof *pass->terms);
    PyMem_Free(pass->known);
    PyMem_Free(pass->slopes);
    PyMem_Free(pass->wanted);
    PyMem_Free(pass->scratch);
    return list;
}

PyObject *subgraph_pull_back(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Subgraph *graph = (Subgraph *)self;
    Py_ssize_t output = nargs == 2 ? PyNumber_AsSsize_t(args[0], PyExc_OverflowError) : -1;
    if (output < 0 || (size_t)output >= graph->output_count) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_TypeError, "pull_back: expected the index of an output, and as_numbers");
        }
        return NULL;
    }
    Pass pass;
    int status = begin_pass(&pass, self, args[1]);
    if (status == 0 && graph->outputs[output] != ABSENT) {
        status = pull_all(&pass, graph->outputs[output]);
    }
    return end_pass(&pass, status, graph->inputs, graph->input_count);
}

PyObject *subgraph_push_forward(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Subgraph *graph = (Subgraph *)self;
    if (nargs != 2 || !PyList_CheckExact(args[0]) || (size_t)PyList_GET_SIZE(args[0]) != graph->input_count) {
        PyErr_SetString(PyExc_TypeError, "push_forward: expected a list of a tangent for each input, and as_numbers");
        return NULL;
    }
    Pass pass;
    int status = begin_pass(&pass, self, args[1]);
    for (size_t k = 0; k < graph->input_count && status == 0; k++) {
        Term tangent = plain(0.0);
        status = read_term(&pass, PyList_GET_ITEM(args[0], (Py_ssize_t)k), &tangent);
        if (status == 0 && graph->inputs[k] != ABSENT && !is_constant(tangent, 0.0)) {
            set_known(&pass, graph->inputs[k], tangent);
        } else {
            Py_XDECREF(tangent.node);
        }
    }
    status = status == 0 ? push_all(&pass) : status;
    return end_pass(&pass, status, graph->outputs, graph->output_count);
}
