/* The formulas of the optimizers, in one pass over the parameters: the twin of microgrud/optim/first_order.py.
 *
 * The numbers of a block of parameters are copied into vectors, the formula changes these, and the new data are copied
 * back. Each formula does the same operations in the same order as in Python, so the bits are the same. Python computes
 * whatever is the same for all parameters, such as 1 - beta^t: the constants.
 *
 * Adam with 101,770 parameters, whose nodes take 8 MB: 0.3 ms, and 1.3 by NumPy, in four passes over the nodes.
 */
#include "engine/module.h"
#include "engine/node.h"

#include <math.h>

enum { BLOCK = 256, MOST_CONSTANTS = 10, MOST_KEPT = 3 };

/* The arguments of a formula: the constants, a block of n parameters and gradients, and the vectors that it keeps. */
#define NUMBERS const double *c, size_t n, double *restrict data, double *restrict grad, double *const *kept

/* The larger number; NaN if either is. */
static inline double maximum(double x, double y)
{
    return x >= y || isnan(x) ? x : y;
}

/* Add the gradient of the L2 penalty. */
static void decay(double weight_decay, size_t n, const double *restrict data, double *restrict grad)
{
    for (size_t k = 0; weight_decay != 0.0 && k < n; k++) {
        grad[k] += weight_decay * data[k];
    }
}

ALWAYS_INLINE void sgd(NUMBERS)
{
    const double lr = c[0], momentum = c[1], gain = c[2], weight_decay = c[3];
    const bool nesterov = c[4] != 0.0, is_first = c[5] != 0.0;
    double *buffer = kept[0];
    decay(weight_decay, n, data, grad);
    if (momentum != 0.0) {
        for (size_t k = 0; k < n; k++) {
            buffer[k] = is_first ? grad[k] : momentum * buffer[k] + gain * grad[k];
        }
        for (size_t k = 0; k < n; k++) {
            grad[k] = nesterov ? grad[k] + momentum * buffer[k] : buffer[k];
        }
    }
    for (size_t k = 0; k < n; k++) {
        data[k] -= lr * grad[k];
    }
}

ALWAYS_INLINE void adagrad(NUMBERS)
{
    const double rate = c[0], eps = c[1], weight_decay = c[2];
    double *sum = kept[0];
    decay(weight_decay, n, data, grad);
    for (size_t k = 0; k < n; k++) {
        sum[k] += grad[k] * grad[k];
        data[k] -= rate * grad[k] / (sqrt(sum[k]) + eps);
    }
}

ALWAYS_INLINE void rmsprop(NUMBERS)
{
    const double lr = c[0], alpha = c[1], rest = c[2], eps = c[3], weight_decay = c[4], momentum = c[5];
    double *square = kept[0], *average = kept[1], *buffer = kept[2];
    double variance[BLOCK];
    decay(weight_decay, n, data, grad);
    for (size_t k = 0; k < n; k++) {
        variance[k] = square[k] = alpha * square[k] + rest * grad[k] * grad[k];
    }
    for (size_t k = 0; average != NULL && k < n; k++) {
        average[k] = alpha * average[k] + rest * grad[k];
        variance[k] = maximum(variance[k] - average[k] * average[k], 0.0);
    }
    for (size_t k = 0; k < n; k++) {
        grad[k] /= sqrt(variance[k]) + eps;
    }
    for (size_t k = 0; buffer != NULL && k < n; k++) {
        grad[k] = buffer[k] = momentum * buffer[k] + grad[k];
    }
    for (size_t k = 0; k < n; k++) {
        data[k] -= lr * grad[k];
    }
}

/* Adam, and AdamW, which shrinks the data instead of adding to the gradient. */
ALWAYS_INLINE void adam(NUMBERS)
{
    const double beta1 = c[0], rest1 = c[1], beta2 = c[2], rest2 = c[3], rate = c[4], correction = c[5], eps = c[6];
    const double weight_decay = c[7], shrink = c[8];
    double *mean = kept[0], *square = kept[1], *largest = kept[2];
    decay(weight_decay, n, data, grad);
    for (size_t k = 0; k < n; k++) {
        mean[k] = beta1 * mean[k] + rest1 * grad[k];
        square[k] = beta2 * square[k] + rest2 * grad[k] * grad[k];
    }
    for (size_t k = 0; largest != NULL && k < n; k++) {
        largest[k] = maximum(square[k], largest[k]);
    }
    const double *divisor = largest != NULL ? largest : square;
    for (size_t k = 0; k < n; k++) {
        data[k] = data[k] * shrink - rate * mean[k] / (sqrt(divisor[k]) / correction + eps);
    }
}

/* X(formula, number of constants, number of vectors that are needed, and with those that may be None) */
#define FORMULAS(X) X(sgd, 6, 0, 1) X(adagrad, 3, 1, 1) X(rmsprop, 6, 1, 3) X(adam, 9, 2, 3)

#define NARROW(name, ...) static void name##_narrow(NUMBERS) { name(c, n, data, grad, kept); }
FORMULAS(NARROW)
#if defined(__GNUC__) && defined(__x86_64__)
/* With four numbers in a vector instead of two, Adam takes 0.37 ms instead of 0.53. */
#define WIDE(name, ...)                                                                                                \
    __attribute__((target("avx2"))) static void name##_wide(NUMBERS) { name(c, n, data, grad, kept); }
FORMULAS(WIDE)
#define HAS_WIDE __builtin_cpu_supports("avx2")
#define CHOICE(name) {name##_narrow, name##_wide}
#else
#define HAS_WIDE false
#define CHOICE(name) {name##_narrow, name##_narrow}
#endif

typedef struct {
    const char *name;
    Py_ssize_t constants, needed, kept;
    void (*update[2])(NUMBERS);
} Formula;

#define ENTRY(name, constants, needed, kept) {#name, constants, needed, kept, CHOICE(name)},
static const Formula ALL_FORMULAS[] = {FORMULAS(ENTRY)};

static const Formula *formula_named(PyObject *name)
{
    for (size_t k = 0; PyUnicode_Check(name) && k < sizeof ALL_FORMULAS / sizeof *ALL_FORMULAS; k++) {
        if (PyUnicode_CompareWithASCIIString(name, ALL_FORMULAS[k].name) == 0) {
            return &ALL_FORMULAS[k];
        }
    }
    PyErr_Format(PyExc_ValueError, "update: expected the name of a formula, got %R", name);
    return NULL;
}

/* Read the constants from a tuple. Return -1 on error. */
static int take_constants(const Formula *formula, PyObject *given, double *constants)
{
    if (!PyTuple_Check(given) || PyTuple_GET_SIZE(given) != formula->constants) {
        PyErr_Format(PyExc_ValueError, "update: expected %zd constants", formula->constants);
        return -1;
    }
    for (Py_ssize_t k = 0; k < formula->constants; k++) {
        constants[k] = PyFloat_AsDouble(PyTuple_GET_ITEM(given, k));
        if (constants[k] == -1.0 && PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

/* Get the buffers of the vectors in a tuple, and count them in *taken. Return -1 on error. */
static int take_vectors(const Formula *formula, PyObject *given, Py_buffer *views, double **kept, int *taken)
{
    if (!PyTuple_Check(given) || PyTuple_GET_SIZE(given) != formula->kept) {
        PyErr_Format(PyExc_ValueError, "update: expected %zd vectors", formula->kept);
        return -1;
    }
    for (Py_ssize_t k = 0; k < formula->kept; k++) {
        PyObject *vector = PyTuple_GET_ITEM(given, k);
        if (vector != Py_None || k < formula->needed) {
            if (take_doubles(vector, true, &views[*taken]) < 0) {
                return -1;
            }
            kept[k] = views[(*taken)++].buf;
        }
    }
    return 0;
}

/* Update the parameters, block by block; *finite tells whether all are finite then. Stop at an object that is no Value,
 * and return its index; return -1 if there is none. */
static Py_ssize_t update_all(const State *state, const Formula *formula, const double *constants, PyObject *parameters,
                             double **kept, bool *finite)
{
    double data[BLOCK], grad[BLOCK];
    PyObject **items = PySequence_Fast_ITEMS(parameters);
    Py_ssize_t size = PySequence_Fast_GET_SIZE(parameters);
    const bool is_wide = HAS_WIDE;
    for (Py_ssize_t start = 0; start < size; start += BLOCK) {
        Py_ssize_t count = size - start < BLOCK ? size - start : BLOCK;
        for (Py_ssize_t k = 0; k < count; k++) {
            if (!is_value(state, items[start + k])) {
                return start + k;
            }
            data[k] = as_node(items[start + k])->data;
            grad[k] = as_node(items[start + k])->grad;
        }
        formula->update[is_wide](constants, (size_t)count, data, grad, kept);
        for (Py_ssize_t k = 0; k < count; k++) {
            as_node(items[start + k])->data = data[k];
            *finite = *finite && isfinite(data[k]);
        }
        for (Py_ssize_t k = 0; k < formula->kept; k++) {
            kept[k] = kept[k] == NULL ? NULL : kept[k] + count;
        }
    }
    return -1;
}

/* update(parameters, formula, constants, vectors): tell whether all parameters are finite then. */
PyObject *update(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 4) {
        return PyErr_Format(PyExc_TypeError, "update: expected 4 arguments, got %zd", nargs);
    }
    const Formula *formula = formula_named(args[1]);
    double constants[MOST_CONSTANTS], *kept[MOST_KEPT] = {NULL};
    if (formula == NULL || take_constants(formula, args[2], constants) < 0) { /* this may run other code */
        return NULL;
    }
    PyObject *parameters = PySequence_Fast(args[0], "expected a list of Values");
    if (parameters == NULL) {
        return NULL;
    }
    Py_buffer views[MOST_KEPT];
    int taken = 0;
    int status = take_vectors(formula, args[3], views, kept, &taken); /* this may run other code, too */
    for (int k = 0; status == 0 && k < taken; k++) {
        status = check_size(&views[k], parameters);
    }
    bool finite = true;
    Py_ssize_t wrong = -1;
    if (status == 0) {
        wrong = update_all(state_of_module(module), formula, constants, parameters, kept, &finite);
    }
    if (wrong >= 0) {
        refuse_item(parameters, wrong);
    }
    for (int k = 0; k < taken; k++) {
        PyBuffer_Release(&views[k]);
    }
    Py_DECREF(parameters);
    if (status < 0 || wrong >= 0) {
        return NULL;
    }
    return PyBool_FromLong(finite);
}
