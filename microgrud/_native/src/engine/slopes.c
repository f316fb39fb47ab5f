/* Slopes as nodes, for derivatives that can be differentiated again: the frequent rules of microgrud/engine/ops.py.
 *
 * Each makes the same nodes as its twin. Rules that depend on a number are left to Python while a tracer is active,
 * which has to see the comparison.
 */
#include "engine/subgraph.h"

/* The derivation of one slope. Expressions take their operands over, so that they nest; after a failure they are 0. */
typedef struct {
    State *state;
    bool traced;
    bool needs_python; /* the rule depends on numbers in a way that only Python has */
    bool has_failed;   /* there is an exception */
} Rule;

static Term failed(Rule *rule)
{
    rule->has_failed = true;
    return plain(0.0);
}

static Term by_python(Rule *rule)
{
    rule->needs_python = true;
    return plain(0.0);
}

static Term of_two(Rule *rule, Op op, Term first, Term second)
{
    Term result = plain(0.0);
    if (!rule->has_failed && combine(rule->state, op, first, second, &result) < 0) {
        result = failed(rule);
    }
    Py_XDECREF(first.node);
    Py_XDECREF(second.node);
    return result;
}

/* Apply an operation to an expression in nodes. */
static Term of_one(Rule *rule, Op op, Term x)
{
    if (rule->has_failed) {
        Py_XDECREF(x.node);
        return plain(0.0);
    }
    Node *result = (Node *)unary_operator(op, (PyObject *)x.node);
    Py_DECREF(x.node);
    return result == NULL ? failed(rule) : (Term){result, 0.0};
}

#define ADD(a, b) of_two(rule, OP_ADD, a, b)
#define MULTIPLY(a, b) of_two(rule, OP_MULTIPLY, a, b)
#define DIVIDE(a, b) of_two(rule, OP_DIVIDE, a, b)
#define DIVIDE_IEEE(a, b) of_two(rule, OP_DIVIDE_IEEE, a, b)
#define OF(op, a) of_one(rule, OP_##op, a)
#define X shared(x)
#define Y shared(y)
#define Z shared(z)

/* The slope of x**(y - n), where y and n are numbers, as `_power_by_base`. */
static Term power_slope(Rule *rule, Term x, double y, double n)
{
    const double factor = y - n, order = n + 1.0;
    if (y == n) {
        return plain(NOTHING);
    }
    if (y - order == 0.0 || y - order == 1.0) {
        return y > order ? MULTIPLY(plain(factor), X) : plain(factor);
    }
    bool is_moderate = 0.25 <= fabs(factor) && fabs(factor) <= 8.0;
    double power = value_of(OP_POWER_OVER, x.node->data, y, order), square = power * power;
    if (!is_moderate && (rule->traced || !(0x1p-800 <= square && square <= 0x1p800))) {
        return by_python(rule);
    }
    PyObject *operands[3] = {(PyObject *)x.node, PyFloat_FromDouble(y), PyFloat_FromDouble(order)};
    PyObject *node = NULL;
    if (operands[1] != NULL && operands[2] != NULL) {
        node = record_any(rule->state, rule->state->operations[OP_POWER_OVER], OP_POWER_OVER, operands, 3);
    }
    Py_XDECREF(operands[1]);
    Py_XDECREF(operands[2]);
    return node == NULL ? failed(rule) : MULTIPLY(plain(factor), ((Term){(Node *)node, 0.0}));
}

/* d(x/y)/dy as `_quotient_by_divisor`. */
static Term divisor_slope(Rule *rule, Term z, Term y)
{
    double raised = z.node->data * 0x1p500, divisor = data_of(y);
    if (rule->traced || (raised * raised < 0x1p-920 && divisor * divisor < 1.0 && z.node->data != 0.0)) {
        return by_python(rule);
    }
    return DIVIDE(OF(NEGATE, Z), Y);
}

/* The slope of an operation on one operand or two. */
static Term simple_slope(Rule *rule, Op op, Term z, Term x, Term y, bool by_x)
{
    switch (op) {
    case OP_ADD:
    case OP_IDENTITY:
        return plain(1.0);
    case OP_NEGATE:
        return plain(-1.0);
    case OP_SUBTRACT:
        return plain(by_x ? 1.0 : -1.0);
    case OP_MULTIPLY:
    case OP_CHAIN:
        return by_x ? Y : X;
    case OP_DIVIDE:
        return by_x ? DIVIDE(plain(1.0), Y) : divisor_slope(rule, z, y);
    case OP_DIVIDE_IEEE:
        return by_x ? DIVIDE_IEEE(plain(1.0), Y) : OF(NEGATE, DIVIDE_IEEE(Z, Y));
    case OP_EXP:
        return Z;
    case OP_EXPM1:
        return OF(EXP, X);
    case OP_LOG:
        return DIVIDE(plain(1.0), X);
    case OP_LOG1P:
        return DIVIDE(plain(1.0), ADD(plain(1.0), X));
    case OP_SQRT:
        return DIVIDE_IEEE(plain(0.5), ADD(Z, plain(0.0)));
    case OP_SQUARE:
        return MULTIPLY(plain(2.0), X);
    case OP_RECIPROCAL:
        return MULTIPLY(OF(NEGATE, Z), Z);
    case OP_SIN:
        return OF(COS, X);
    case OP_COS:
        return OF(NEGATE, OF(SIN, X));
    case OP_TAN:
        return ADD(plain(1.0), MULTIPLY(Z, Z));
    case OP_SINH:
        return OF(COSH, X);
    case OP_COSH:
        return OF(SINH, X);
    case OP_TANH:
        return OF(SECH_SQUARED, X);
    case OP_SECH_SQUARED:
        return MULTIPLY(MULTIPLY(plain(-2.0), Z), OF(TANH, X));
    case OP_SIGMOID:
        return MULTIPLY(plain(0.25), OF(SECH_SQUARED, MULTIPLY(plain(0.5), X)));
    case OP_SOFTPLUS:
        return OF(SIGMOID, X);
    case OP_LOGSIGMOID:
        return OF(SIGMOID, OF(NEGATE, X));
    case OP_POW:
        return by_x && y.node == NULL ? power_slope(rule, x, y.number, 0.0) : by_python(rule);
    default:
        return by_python(rule);
    }
}

/* Write slopes that are numbers: those of operations that choose an operand, and all of SUM and MEAN. */
static bool constant_slopes(bool traced, const Node *node, size_t count, Term *slopes)
{
    Op op = (Op)node->op;
    if (op == OP_SUM || op == OP_MEAN) {
        for (size_t k = 0; k < count; k++) {
            slopes[k] = plain(op == OP_SUM ? 1.0 : 1.0 / (double)count);
        }
        return true;
    }
    bool chooses = op == OP_ABS || op == OP_RELU || op == OP_MAXIMUM || op == OP_MINIMUM || op == OP_WHERE;
    if (traced || !chooses) {
        return false;
    }
    double data[3] = {0.0, 0.0, 0.0}, found[3] = {0.0, 0.0, 0.0};
    for (size_t k = 0; k < count; k++) {
        Node *operand = operand_of(node, k, &data[k]);
        data[k] = operand != NULL ? operand->data : data[k];
    }
    slopes_of(op, node->data, data[0], data[1], data[2], 7, found);
    for (size_t k = 0; k < count; k++) {
        slopes[k] = plain(found[k]);
    }
    return true;
}

static Term operand_term(const Node *node, size_t k)
{
    Term term = {NULL, 0.0};
    term.node = operand_of(node, k, &term.number);
    return term;
}

int node_slopes(State *state, bool traced, Node *node, const bool *wanted, Term *slopes)
{
    size_t count = count_of(node);
    Op op = (Op)node->op;
    if ((node->flags & BY_RULES) || op == OP_NONE || (node->flags & DETAILED && node->details->closure != NULL)) {
        return 1;
    }
    if (constant_slopes(traced, node, count, slopes)) {
        return 0;
    }
    if (op == OP_DOT && count % 2 == 1) {
        size_t half = count / 2;
        for (size_t k = 0; k < count; k++) {
            slopes[k] = k == 0 ? plain(1.0) : shared(operand_term(node, k <= half ? k + half : k - half));
        }
        return 0;
    }
    if (op > OP_LAST_BINARY) {
        return 1;
    }
    Rule rule = {.state = state, .traced = traced};
    Term z = {node, 0.0}, x = operand_term(node, 0), y = count > 1 ? operand_term(node, 1) : plain(0.0);
    for (size_t k = 0; k < count; k++) {
        slopes[k] = wanted[k] ? simple_slope(&rule, op, z, x, y, k == 0) : plain(0.0);
    }
    for (size_t k = 0; k < count && (rule.has_failed || rule.needs_python); k++) {
        Py_CLEAR(slopes[k].node);
    }
    return rule.has_failed ? -1 : rule.needs_python;
}
