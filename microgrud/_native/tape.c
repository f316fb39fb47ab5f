/* The tape's interpreter: a recorded program over blocks of samples, forward and backward.
 *
 * A program is a list of instructions over numbered slots (microgrud/tape/lowering.py writes it). A slot is the same
 * for all samples, and holds one number, or it varies, and holds one a sample. One look at an instruction serves a
 * block of BLOCK samples, whose loops are vectors; the numbers of a block stay in the cache.
 *
 * What a sample gives depends on that sample alone, whatever else is in its block: the same bits in any batch. Sums over
 * samples are those of the blocks, in their order.
 *
 * Where a number is not finite the eager program may have raised: such samples are named in `status`, and so are those
 * that take another branch; the caller sees to them.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>

#include "ops.h"

#include "elementary_blocks.h"

#define BLOCK 64
#define ALIGNED __attribute__((aligned(64)))

#ifdef __clang__
#define CONTRACTED
#define PRAGMA_CONTRACTED _Pragma("clang fp contract(fast)")
#else
/* Products and sums become fused multiply-adds here, and here alone. */
#define CONTRACTED __attribute__((optimize("fp-contract=fast")))
#define PRAGMA_CONTRACTED
#endif

/* 8 numbers that may begin anywhere. */
typedef double LooseVec __attribute__((vector_size(64), aligned(8), may_alias));

/* 8 numbers; where the registers are shorter, the compiler takes several. */
typedef double Vec __attribute__((vector_size(64), aligned(64), may_alias));

#define load(p) (*(const Vec *)(p))
#define store(p, v) (*(Vec *)(p) = (v))
#define FUSED(x, y, z, has_fma) ((has_fma) ? __builtin_fma((x), (y), (z)) : (x) * (y) + (z))

#define total(v)                                                                                                       \
    ((((v)[0] + (v)[4]) + ((v)[2] + (v)[6])) + (((v)[1] + (v)[5]) + ((v)[3] + (v)[7])))

/* Instructions beside the operations of the table. */
enum { CODE_LINEAR = 1000, CODE_MATRIX, CODE_TAKE, CODE_DETACH, CODE_DOT, CODE_SOFTMAX, CODE_LOG_SOFTMAX, CODE_TANH };

typedef enum { DONE = 0, OTHER_BRANCH = 1, SUSPICIOUS = 2, LEFT = 3 } Status;

typedef struct {
    int32_t x, symbol, y, outcome;
} Guard;

typedef struct Tape {
    PyObject_HEAD
    int32_t uniform_count, varying_count;
    size_t count; /* of instructions */
    int32_t *code;
    int32_t *starts;
    size_t inputs, outputs, guards;
    int32_t *input_slots, *output_slots;
    Guard *guard_list;
    size_t longest; /* operation over a sequence */
    const ElementaryBlocks *elementary;
    void (*forward)(const struct Tape *, double *, const double *, double *, double *);
    void (*backward)(const struct Tape *, const double *, double *, const double *, double *, double *);
    double (*dot)(const double *, const double *, size_t);
    void (*spread)(double, const double *, double *, size_t);
} Tape;

/* out = U[base] + plain terms + weighted v * u + products x * y */
typedef struct {
    int32_t out, base;
    size_t plain, weighted, products;
    const int32_t *terms, *v, *u, *x, *y;
} Linear;

static inline Linear read_linear(const int32_t *code)
{
    Linear f = {code[1], code[2], (size_t)code[3], (size_t)code[4], (size_t)code[5], code + 6, NULL, NULL, NULL, NULL};
    f.v = f.terms + f.plain;
    f.u = f.v + f.weighted;
    f.x = f.u + f.weighted;
    f.y = f.x + f.products;
    return f;
}

/* out[r] = U[base[r]] + sum over j of U[u[r][j]] * v[j]; the v as indices among the slots that vary. */
typedef struct {
    size_t rows, columns;
    const int32_t *out, *base, *v, *u;
} Matrix;

static inline Matrix read_matrix(const int32_t *code)
{
    Matrix m = {(size_t)code[1], (size_t)code[2], code + 3, NULL, NULL, NULL};
    m.base = m.out + m.rows;
    m.v = m.base + m.rows;
    m.u = m.v + m.columns;
    return m;
}

/* All of softmax(x) or of log(softmax(x)) at once: out[k] is the slot of the k-th result, or -1 if no one asks for it. */
typedef struct {
    size_t n;
    const int32_t *out, *x;
} Softmax;

static inline Softmax read_softmax(const int32_t *code)
{
    Softmax s = {(size_t)code[1], code + 2, code + 2 + code[1]};
    return s;
}

/* bias plus the inner product of two stretches of neighbouring slots. */
typedef struct {
    int32_t out, bias, x, y;
    size_t n;
} Dot;

static inline Dot read_dot(const int32_t *code)
{
    Dot d = {code[1], code[2], code[4], code[5], (size_t)code[3]};
    return d;
}

static inline double *varying(const Tape *tape, double *numbers, int32_t slot)
{
    return numbers + (size_t)(slot - tape->uniform_count) * BLOCK;
}

static inline double sum_of(const double *x)
{
    Vec sum = load(x);
    for (size_t i = 8; i < BLOCK; i += 8) {
        sum += load(x + i);
    }
    return total(sum);
}

/* An adjoint of 0 passes nothing on, whatever the slope is; nor does a rule that says so. */
static inline double share_of(double adjoint, double slope)
{
    return adjoint == 0.0 || is_nothing(slope) ? 0.0 : adjoint * slope;
}

static inline double number_at(const Tape *tape, int32_t slot, const double *V, const double *U, size_t i)
{
    return slot < tape->uniform_count ? U[slot] : V[(size_t)(slot - tape->uniform_count) * BLOCK + i];
}

static inline double *adjoint_at(const Tape *tape, int32_t slot, double *A, double *G, size_t i)
{
    return slot < tape->uniform_count ? G + slot : A + (size_t)(slot - tape->uniform_count) * BLOCK + i;
}

static inline void gather(const Tape *tape, const int32_t *slots, size_t n, const double *V, const double *U, size_t i,
                          double *room)
{
    for (size_t k = 0; k < n; k++) {
        room[k] = number_at(tape, slots[k], V, U, i);
    }
}

/* The index has been checked against the number of items. */
static void forward_take(const Tape *tape, const int32_t *code, double *V, const double *U)
{
    double *z = varying(tape, V, code[1]);
    for (size_t i = 0; i < BLOCK; i++) {
        const size_t k = (size_t)number_at(tape, code[3], V, U, i);
        z[i] = number_at(tape, code[4 + k], V, U, i);
    }
}

static void backward_take(const Tape *tape, const int32_t *code, const double *V, double *A, const double *U, double *G)
{
    const double *g = varying(tape, A, code[1]);
    for (size_t i = 0; i < BLOCK; i++) {
        const size_t k = (size_t)number_at(tape, code[3], V, U, i);
        *adjoint_at(tape, code[4 + k], A, G, i) += g[i];
    }
}

#ifdef ELEMENTARY_HAS_X86_VARIANTS
#ifdef __clang__
#define TAPE_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#else
#define TAPE_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#endif
#define TAPE_NAME(name) name##_avx512
#define TAPE_HAS_FMA true
#include "tape_body.h"
#define TAPE_TARGET __attribute__((target("avx2,fma")))
#define TAPE_NAME(name) name##_avx2
#define TAPE_HAS_FMA true
#include "tape_body.h"
#endif
#define TAPE_TARGET
#define TAPE_NAME(name) name##_baseline
#define TAPE_HAS_FMA BASELINE_HAS_FMA
#include "tape_body.h"

/* --- without a batch: one number a slot --- */

static bool never_raises(Op op)
{
    switch (op) {
    case OP_ADD:
    case OP_SUBTRACT:
    case OP_MULTIPLY:
    case OP_NEGATE:
    case OP_SQUARE:
    case OP_ABS:
    case OP_RELU:
    case OP_TANH:
    case OP_SIGMOID:
        return true;
    default:
        return false;
    }
}

/* out, plain terms, pairs, and then the slots of the terms, of all x and of all y. Four sums side by side: one would
 * wait for itself at each step. */
static double linear_of(const int32_t *code, const double *U)
{
    const size_t plain = (size_t)code[2], pairs = (size_t)code[3];
    const int32_t *terms = code + 4, *x = terms + plain, *y = x + pairs;
    double s0 = -0.0, s1 = -0.0, s2 = -0.0, s3 = -0.0; /* so that a sum of nothing but -0.0 is that */
    size_t j = 0;
    for (; j < plain; j++) {
        s0 += U[terms[j]];
    }
    for (j = 0; j + 4 <= pairs; j += 4) {
        s0 += U[x[j]] * U[y[j]];
        s1 += U[x[j + 1]] * U[y[j + 1]];
        s2 += U[x[j + 2]] * U[y[j + 2]];
        s3 += U[x[j + 3]] * U[y[j + 3]];
    }
    for (; j < pairs; j++) {
        s1 += U[x[j]] * U[y[j]];
    }
    return (s0 + s1) + (s2 + s3);
}

/* With the sum of the exponentials without the greatest, which is 1: so that log(softmax) of the likeliest, however
 * near to 0 it is, has all its digits. */
static bool forward_softmax_alone(const int32_t *code, double *U, double *e)
{
    const Softmax s = read_softmax(code);
    size_t first = 0;
    for (size_t k = 1; k < s.n; k++) {
        first = U[s.x[k]] > U[s.x[first]] ? k : first;
    }
    const double most = U[s.x[first]];
    double others = 0.0;
    for (size_t k = 0; k < s.n; k++) {
        e[k] = k == first ? 1.0 : exp(U[s.x[k]] - most);
        others += k == first ? 0.0 : e[k];
    }
    const double log_sum = code[0] == CODE_LOG_SOFTMAX ? log1p(others) : 0.0;
    bool fine = true;
    for (size_t k = 0; k < s.n; k++) {
        const double z = code[0] == CODE_SOFTMAX ? e[k] / (1.0 + others) : (U[s.x[k]] - most) - log_sum;
        fine &= z - z == 0.0;
        if (s.out[k] >= 0) {
            U[s.out[k]] = z;
        }
    }
    return fine;
}

static void backward_softmax_alone(const int32_t *code, const double *U, double *G, double *share)
{
    const Softmax s = read_softmax(code);
    double most = -INFINITY, sum = 0.0, weighted = 0.0;
    bool any = false;
    for (size_t k = 0; k < s.n; k++) {
        most = U[s.x[k]] > most ? U[s.x[k]] : most;
    }
    for (size_t k = 0; k < s.n; k++) {
        share[k] = exp(U[s.x[k]] - most);
        sum += share[k];
    }
    for (size_t k = 0; k < s.n; k++) {
        share[k] /= sum;
        const double g = s.out[k] < 0 ? 0.0 : G[s.out[k]];
        weighted += code[0] == CODE_SOFTMAX ? g * share[k] : g;
        any |= g != 0.0;
    }
    if (!any) { /* adjoints of 0 pass nothing on */
        return;
    }
    for (size_t k = 0; k < s.n; k++) {
        const double g = s.out[k] < 0 ? 0.0 : G[s.out[k]];
        G[s.x[k]] += code[0] == CODE_SOFTMAX ? share[k] * (g - weighted) : g - share[k] * weighted;
    }
}

/* Return whether every number is finite that the eager program could not have gone on without. */
static bool forward_alone(const Tape *tape, double *U, double *room)
{
    bool fine = true;
    for (size_t k = 0; k < tape->count; k++) {
        const int32_t *code = tape->code + tape->starts[k];
        const size_t n = (size_t)code[2];
        const int32_t *slots = code + 3;
        double z;
        switch (code[0]) {
        case CODE_LINEAR:
            U[code[1]] = linear_of(code, U);
            fine &= U[code[1]] - U[code[1]] == 0.0; /* in another order it may not have overflowed */
            continue;
        case CODE_DOT: {
            const Dot d = read_dot(code);
            U[d.out] = U[d.bias] + tape->dot(U + d.x, U + d.y, d.n);
            fine &= U[d.out] - U[d.out] == 0.0;
            continue;
        }
        case CODE_SOFTMAX:
        case CODE_LOG_SOFTMAX:
            fine &= forward_softmax_alone(code, U, room);
            continue;
        case CODE_TAKE:
            U[code[1]] = U[code[4 + (size_t)U[code[3]]]];
            continue;
        case CODE_DETACH:
            U[code[1]] = U[slots[0]];
            continue;
        default:
            break;
        }
        const Op op = (Op)code[0];
        if (op < OP_LAST_TERNARY) {
            const double x = U[slots[0]];
            z = value_of(op, x, n > 1 ? U[slots[1]] : 0.0, n > 2 ? U[slots[2]] : 0.0);
        } else {
            for (size_t j = 0; j < n; j++) {
                room[j] = U[slots[j]];
            }
            z = sequence_value(op, room, n, room + n);
        }
        U[code[1]] = z;
        fine &= never_raises(op) || z - z == 0.0;
    }
    return fine;
}

static void backward_alone(const Tape *tape, const double *U, double *G, double *room)
{
    for (size_t k = tape->count; k-- > 0;) {
        const int32_t *code = tape->code + tape->starts[k];
        if (code[0] == CODE_SOFTMAX || code[0] == CODE_LOG_SOFTMAX) {
            backward_softmax_alone(code, U, G, room);
            continue;
        }
        const double g = G[code[1]];
        if (g == 0.0 || code[0] == CODE_DETACH) {
            continue; /* an adjoint of 0 passes nothing on */
        }
        if (code[0] == CODE_LINEAR) {
            const size_t plain = (size_t)code[2], pairs = (size_t)code[3];
            const int32_t *terms = code + 4, *x = terms + plain, *y = x + pairs;
            for (size_t j = 0; j < plain; j++) {
                G[terms[j]] += g;
            }
            for (size_t j = 0; j < pairs; j++) {
                const double xj = U[x[j]], yj = U[y[j]];
                G[x[j]] += g * yj;
                G[y[j]] += g * xj;
            }
            continue;
        }
        if (code[0] == CODE_DOT) {
            const Dot d = read_dot(code);
            G[d.bias] += g;
            tape->spread(g, U + d.y, G + d.x, d.n);
            tape->spread(g, U + d.x, G + d.y, d.n);
            continue;
        }
        if (code[0] == CODE_TAKE) {
            G[code[4 + (size_t)U[code[3]]]] += g;
            continue;
        }
        const Op op = (Op)code[0];
        const size_t n = (size_t)code[2];
        const int32_t *slots = code + 3;
        const double z = U[code[1]];
        double few[3];
        double *slopes = few;
        if (op < OP_LAST_TERNARY) {
            slopes_of(op, z, U[slots[0]], n > 1 ? U[slots[1]] : 0.0, n > 2 ? U[slots[2]] : 0.0, 7, few);
        } else {
            slopes = room + n;
            for (size_t j = 0; j < n; j++) {
                room[j] = U[slots[j]];
            }
            sequence_slopes(op, z, room, n, slopes, room + 2 * n);
        }
        for (size_t j = 0; j < n; j++) {
            G[slots[j]] += share_of(g, slopes[j]);
        }
    }
}

/* --- all samples --- */

static bool holds(const Guard *guard, double x, double y)
{
    bool answer;
    switch (guard->symbol) {
    case Py_LT:
        answer = x < y;
        break;
    case Py_LE:
        answer = x <= y;
        break;
    case Py_GT:
        answer = x > y;
        break;
    case Py_GE:
        answer = x >= y;
        break;
    case Py_EQ:
        answer = x == y;
        break;
    default:
        answer = x != y;
    }
    return answer == (bool)guard->outcome;
}

typedef struct {
    const double *inputs, *seeds, *U;
    double *outputs, *gradients, *G;
    uint8_t *status;
    size_t samples;
    bool ignore; /* infinities and NaN, which are as good as other numbers then */
} Batch;

/* Return false if there is no memory. Nothing of Python's is touched. */
static bool run_blocks(const Tape *tape, const Batch *batch)
{
    const size_t varying_numbers = (size_t)tape->varying_count * BLOCK, uniform = (size_t)tape->uniform_count;
    const size_t sizes[] = {varying_numbers, batch->seeds == NULL ? 0 : varying_numbers,
                            batch->seeds == NULL ? 0 : uniform, (tape->longest + 3) * BLOCK, BLOCK};
    double *rooms[5];
    size_t all = 0;
    for (int k = 0; k < 5; k++) {
        all += (sizes[k] + 7) / 8 * 8;
    }
    double *memory = aligned_alloc(64, (all + 8) * sizeof(double));
    if (memory == NULL) {
        return false;
    }
    all = 0;
    for (int k = 0; k < 5; k++) {
        rooms[k] = memory + all;
        all += (sizes[k] + 7) / 8 * 8;
    }
    double *V = rooms[0], *A = rooms[1], *G = rooms[2], *room = rooms[3], *suspicious = rooms[4];
    for (size_t start = 0; start < batch->samples; start += BLOCK) {
        const size_t lanes = batch->samples - start < BLOCK ? batch->samples - start : BLOCK;
        for (size_t k = 0; k < tape->inputs; k++) {
            double *x = varying(tape, V, tape->input_slots[k]);
            const double *given = batch->inputs + k * batch->samples + start;
            for (size_t i = 0; i < BLOCK; i++) {
                x[i] = given[i < lanes ? i : lanes - 1]; /* the last one again, which is no other trouble */
            }
        }
        memset(suspicious, 0, BLOCK * sizeof(double));
        tape->forward(tape, V, batch->U, room, suspicious);
        bool all_fine = true;
        uint8_t *status = batch->status + start;
        for (size_t i = 0; i < lanes; i++) {
            status[i] = DONE;
            for (size_t k = 0; k < tape->guards && status[i] == DONE; k++) {
                const Guard *guard = &tape->guard_list[k];
                if (!holds(guard, number_at(tape, guard->x, V, batch->U, i),
                           number_at(tape, guard->y, V, batch->U, i))) {
                    status[i] = OTHER_BRANCH;
                }
            }
            if (status[i] == DONE && suspicious[i] != 0.0 && !batch->ignore) { /* NaN is not 0 */
                status[i] = SUSPICIOUS;
            }
            all_fine &= status[i] == DONE;
        }
        for (size_t k = 0; k < tape->outputs; k++) {
            memcpy(batch->outputs + k * batch->samples + start, varying(tape, V, tape->output_slots[k]),
                   lanes * sizeof(double));
        }
        if (batch->seeds == NULL) {
            continue;
        }
        if (all_fine) {
            memset(A, 0, varying_numbers * sizeof(double));
            memset(G, 0, uniform * sizeof(double));
            for (size_t k = 0; k < tape->outputs; k++) {
                double *a = varying(tape, A, tape->output_slots[k]);
                for (size_t i = 0; i < lanes; i++) {
                    a[i] += batch->seeds[k * batch->samples + start + i];
                }
            }
            tape->backward(tape, V, A, batch->U, G, room);
            double doubt = 0.0;
            for (size_t k = 0; k < uniform; k++) {
                doubt += G[k] - G[k];
            }
            for (size_t k = 0; k < tape->inputs; k++) {
                const double *a = varying(tape, A, tape->input_slots[k]);
                for (size_t i = 0; i < lanes; i++) {
                    doubt += a[i] - a[i];
                }
            }
            all_fine = doubt == 0.0 || batch->ignore;
        }
        if (!all_fine) { /* those that could go on have their turn without the others */
            for (size_t i = 0; i < lanes; i++) {
                status[i] = status[i] == DONE ? LEFT : status[i];
            }
            continue;
        }
        for (size_t k = 0; k < uniform; k++) {
            batch->G[k] += G[k];
        }
        for (size_t k = 0; k < tape->inputs; k++) {
            memcpy(batch->gradients + k * batch->samples + start, varying(tape, A, tape->input_slots[k]),
                   lanes * sizeof(double));
        }
    }
    free(memory);
    return true;
}

/* --- Python's side --- */

#include "tape_check.h"

static int read_ints(PyObject *object, int32_t **numbers, size_t *count, const char *what)
{
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_CONTIG_RO | PyBUF_FORMAT) < 0) {
        return -1;
    }
    if (view.itemsize != sizeof(int32_t) || view.format == NULL || strcmp(view.format, "i") != 0) {
        PyErr_Format(PyExc_TypeError, "Tape: %s: expected an array of int32", what);
        PyBuffer_Release(&view);
        return -1;
    }
    *count = (size_t)view.len / sizeof(int32_t);
    *numbers = PyMem_Malloc((size_t)view.len + sizeof(int32_t));
    if (*numbers == NULL) {
        PyBuffer_Release(&view);
        PyErr_NoMemory();
        return -1;
    }
    memcpy(*numbers, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return 0;
}

static void tape_dealloc(PyObject *self)
{
    Tape *tape = (Tape *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyMem_Free(tape->code);
    PyMem_Free(tape->starts);
    PyMem_Free(tape->input_slots);
    PyMem_Free(tape->output_slots);
    PyMem_Free(tape->guard_list);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *tape_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    int uniform_count, varying_count;
    PyObject *code, *starts, *inputs, *outputs, *guards;
    const char *variant = NULL;
    if (!PyArg_ParseTuple(args, "iiOOOOO|z:Tape", &uniform_count, &varying_count, &code, &starts, &inputs, &outputs,
                          &guards, &variant)) {
        return NULL;
    }
    Tape *tape = (Tape *)type->tp_alloc(type, 0);
    if (tape == NULL) {
        return NULL;
    }
    tape->uniform_count = uniform_count;
    tape->varying_count = varying_count;
    size_t length, guard_numbers;
    int32_t *guard_list = NULL;
    if (read_ints(code, &tape->code, &length, "code") < 0 ||
        read_ints(starts, &tape->starts, &tape->count, "starts") < 0 ||
        read_ints(inputs, &tape->input_slots, &tape->inputs, "inputs") < 0 ||
        read_ints(outputs, &tape->output_slots, &tape->outputs, "outputs") < 0 ||
        read_ints(guards, &guard_list, &guard_numbers, "guards") < 0) {
        Py_DECREF(tape);
        return NULL;
    }
    tape->guard_list = (Guard *)guard_list;
    tape->guards = guard_numbers / 4;
    if (!check_tape(tape, length, guard_numbers)) {
        Py_DECREF(tape);
        return NULL;
    }
    for (size_t k = 0; k < tape->count; k++) {
        const int32_t *instruction = tape->code + tape->starts[k];
        const bool softmax = instruction[0] == CODE_SOFTMAX || instruction[0] == CODE_LOG_SOFTMAX;
        const size_t length = instruction[0] < OP_COUNT ? (size_t)instruction[2] : softmax ? (size_t)instruction[1] : 0;
        if (length > tape->longest) {
            tape->longest = length;
        }
    }
    tape->elementary = find_elementary_blocks(variant);
    if (tape->elementary == NULL) {
        PyErr_Format(PyExc_ValueError, "Tape: the variant %s does not run here", variant);
        Py_DECREF(tape);
        return NULL;
    }
    tape->forward = forward_block_baseline;
    tape->backward = backward_block_baseline;
    tape->dot = dot_baseline;
    tape->spread = spread_baseline;
#ifdef ELEMENTARY_HAS_X86_VARIANTS
    if (strcmp(tape->elementary->name, "avx512") == 0) {
        tape->forward = forward_block_avx512;
        tape->backward = backward_block_avx512;
        tape->dot = dot_avx512;
        tape->spread = spread_avx512;
    } else if (strcmp(tape->elementary->name, "avx2") == 0) {
        tape->forward = forward_block_avx2;
        tape->backward = backward_block_avx2;
        tape->dot = dot_avx2;
        tape->spread = spread_avx2;
    }
#endif
    return (PyObject *)tape;
}

/* Read an array of doubles of at least so many; NULL for None where that is allowed. Return -1 on error. */
static int read_doubles(PyObject *object, Py_buffer *view, double **numbers, size_t least, int flags, const char *what)
{
    *numbers = NULL;
    view->obj = NULL;
    if (object == Py_None) {
        return 0;
    }
    if (PyObject_GetBuffer(object, view, flags | PyBUF_FORMAT) < 0) {
        return -1;
    }
    if (view->itemsize != sizeof(double) || view->format == NULL || strcmp(view->format, "d") != 0 ||
        (size_t)view->len < least * sizeof(double)) {
        PyErr_Format(PyExc_ValueError, "Tape: %s: expected an array of %zu doubles", what, least);
        return -1;
    }
    *numbers = view->buf;
    return 0;
}

/* run(samples, inputs, uniform, seeds, outputs, gradients, uniform_gradients, status, ignore) */
static PyObject *tape_run(PyObject *self, PyObject *args)
{
    const Tape *tape = (Tape *)self;
    Py_ssize_t samples;
    PyObject *objects[6], *status_object;
    int ignore;
    if (!PyArg_ParseTuple(args, "nOOOOOOOp:run", &samples, &objects[0], &objects[1], &objects[2], &objects[3],
                          &objects[4], &objects[5], &status_object, &ignore)) {
        return NULL;
    }
    static const char *const names[] = {"inputs", "uniform", "seeds", "outputs", "gradients", "uniform_gradients"};
    const size_t n = (size_t)samples, uniform = (size_t)tape->uniform_count;
    const size_t least[] = {tape->inputs * n, uniform, tape->outputs * n, tape->outputs * n, tape->inputs * n, uniform};
    Py_buffer views[7];
    double *numbers[6];
    memset(views, 0, sizeof views);
    bool ok = true;
    for (int k = 0; ok && k < 6; k++) {
        ok = read_doubles(objects[k], &views[k], &numbers[k], least[k], k < 3 ? PyBUF_CONTIG_RO : PyBUF_CONTIG,
                          names[k]) == 0;
    }
    ok = ok && PyObject_GetBuffer(status_object, &views[6], PyBUF_CONTIG) == 0;
    if (ok && (size_t)views[6].len < n) {
        PyErr_SetString(PyExc_ValueError, "Tape: status: expected a byte a sample");
        ok = false;
    }
    if (ok && (numbers[0] == NULL || numbers[1] == NULL || numbers[3] == NULL ||
               (numbers[2] != NULL && (numbers[4] == NULL || numbers[5] == NULL)))) {
        PyErr_SetString(PyExc_TypeError, "Tape: run: expected arrays");
        ok = false;
    }
    if (ok) {
        const Batch batch = {numbers[0], numbers[2], numbers[1], numbers[3], numbers[4], numbers[5], views[6].buf, n,
                             ignore != 0};
        bool done;
        Py_BEGIN_ALLOW_THREADS
        done = run_blocks(tape, &batch);
        Py_END_ALLOW_THREADS
        if (!done) {
            PyErr_NoMemory();
            ok = false;
        }
    }
    for (int k = 0; k < 7; k++) {
        if (views[k].obj != NULL) {
            PyBuffer_Release(&views[k]);
        }
    }
    if (!ok) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* run_alone(uniform, gradients): forward, or with gradients backward, without a batch. */
static PyObject *tape_run_alone(PyObject *self, PyObject *args)
{
    const Tape *tape = (Tape *)self;
    PyObject *uniform_object, *gradients_object;
    if (!PyArg_ParseTuple(args, "OO:run_alone", &uniform_object, &gradients_object)) {
        return NULL;
    }
    Py_buffer views[2];
    double *U, *G = NULL;
    memset(views, 0, sizeof views);
    const size_t n = (size_t)tape->uniform_count;
    int fine = -1;
    if (read_doubles(uniform_object, &views[0], &U, n, PyBUF_CONTIG, "uniform") == 0 &&
        read_doubles(gradients_object, &views[1], &G, n, PyBUF_CONTIG, "gradients") == 0) {
        double *room = PyMem_RawMalloc((3 * tape->longest + 1) * sizeof(double));
        if (room == NULL || U == NULL) {
            PyErr_NoMemory();
        } else {
            Py_BEGIN_ALLOW_THREADS
            fine = 1;
            if (G == NULL) {
                fine = forward_alone(tape, U, room);
            } else {
                backward_alone(tape, U, G, room);
            }
            Py_END_ALLOW_THREADS
        }
        PyMem_RawFree(room);
    }
    for (int k = 0; k < 2; k++) {
        if (views[k].obj != NULL) {
            PyBuffer_Release(&views[k]);
        }
    }
    return fine < 0 ? NULL : PyBool_FromLong(fine);
}

static PyMethodDef tape_methods[] = {
    {"run", tape_run, METH_VARARGS,
     "run($self, samples, inputs, uniform, seeds, outputs, gradients, uniform_gradients, status, ignore, /)\n--\n\n"
     "Run the program over a batch; without seeds forward alone."},
    {"run_alone", tape_run_alone, METH_VARARGS,
     "run_alone($self, uniform, gradients, /)\n--\n\nRun it without a batch: forward, or with gradients backward."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tape_slots[] = {
    {Py_tp_doc, "Tape(uniform_count, varying_count, code, starts, inputs, outputs, guards, variant=None, /)\n--\n\n"
                "A program for the interpreter."},
    {Py_tp_new, tape_new},
    {Py_tp_dealloc, tape_dealloc},
    {Py_tp_methods, tape_methods},
    {0, NULL},
};

static PyType_Spec tape_spec = {
    .name = "microgrud._native.tape.Tape",
    .basicsize = sizeof(Tape),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = tape_slots,
};

/* The number of each operation of the table that C has rules for, by its name. */
static PyObject *operation_codes(void)
{
    PyObject *codes = PyDict_New();
    for (int op = 0; codes != NULL && op < OP_COUNT; op++) {
        if (OPERATION_NAMES[op] == NULL || is_left_to_python(op)) {
            continue;
        }
        PyObject *number = PyLong_FromLong(op);
        if (number == NULL || PyDict_SetItemString(codes, OPERATION_NAMES[op], number) < 0) {
            Py_CLEAR(codes);
        }
        Py_XDECREF(number);
    }
    return codes;
}

static PyObject *variant_names(void)
{
    PyObject *names = PyList_New(0);
    for (size_t k = 0; names != NULL && k < ELEMENTARY_VARIANT_COUNT; k++) {
        if (!can_run(&ELEMENTARY_VARIANTS[k])) {
            continue;
        }
        PyObject *name = PyUnicode_FromString(ELEMENTARY_VARIANTS[k].name);
        if (name == NULL || PyList_Append(names, name) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(name);
    }
    return names;
}

static int add(PyObject *module, const char *name, PyObject *object)
{
    int status = object == NULL ? -1 : PyModule_AddObjectRef(module, name, object);
    Py_XDECREF(object);
    return status;
}

static int execute(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &tape_spec, NULL);
    if (type == NULL || PyModule_AddType(module, (PyTypeObject *)type) < 0) {
        Py_XDECREF(type);
        return -1;
    }
    Py_DECREF(type);
    if (add(module, "OPERATION_CODES", operation_codes()) < 0 || add(module, "VARIANTS", variant_names()) < 0 ||
        PyModule_AddIntMacro(module, CODE_LINEAR) < 0 || PyModule_AddIntMacro(module, CODE_MATRIX) < 0 ||
        PyModule_AddIntMacro(module, CODE_DOT) < 0 || PyModule_AddIntMacro(module, CODE_SOFTMAX) < 0 ||
        PyModule_AddIntMacro(module, CODE_LOG_SOFTMAX) < 0 || PyModule_AddIntMacro(module, CODE_TANH) < 0 ||
        PyModule_AddIntMacro(module, CODE_TAKE) < 0 || PyModule_AddIntMacro(module, CODE_DETACH) < 0 ||
        PyModule_AddIntMacro(module, BLOCK) < 0) {
        return -1;
    }
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "microgrud._native.tape",
    .m_doc = "The tape's interpreter in C.",
    .m_size = 0,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit_tape(void)
{
    return PyModuleDef_Init(&definition);
}
