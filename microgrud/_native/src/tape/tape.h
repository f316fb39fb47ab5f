/* What a recorded program is to the interpreter: instructions as numbers, slots, and blocks of samples.
 *
 * A slot is the same for all samples, and holds one number, or it varies, and holds one a sample. Slots that are the
 * same come first; microgrud/tape/lowering.py writes the instructions.
 */
#ifndef MICROGRUD_TAPE_H
#define MICROGRUD_TAPE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>

#include "ops/ops.h"

#include "ops/elementary_blocks.h"

/* The samples that one look at an instruction serves. A small network takes 8 % longer with half as many, for the looks,
 * and with four times as many, for the cache. */
#define BLOCK 128
#define ALIGNED __attribute__((aligned(64)))

#ifdef __clang__
#define CONTRACTED __attribute__((noinline))
#define PRAGMA_CONTRACTED _Pragma("clang fp contract(fast)")
#else
/* The compiler makes fused multiply-adds of products and sums here, and here alone; elsewhere FUSED asks for them. What is
 * inlined elsewhere follows the rule there. */
#define CONTRACTED __attribute__((optimize("fp-contract=fast"), noinline))
#define PRAGMA_CONTRACTED
#endif

/* 8 numbers that may begin anywhere. */
typedef double LooseVec __attribute__((vector_size(64), aligned(8), may_alias));

/* 8 numbers; where the registers are shorter, the compiler takes several. */
typedef double Vec __attribute__((vector_size(64), aligned(64), may_alias));

#define load(p) (*(const Vec *)(p))
#define store(p, v) (*(Vec *)(p) = (v))
#define FUSED(x, y, z, has_fma) ((has_fma) ? __builtin_fma((x), (y), (z)) : (x) * (y) + (z))

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(x, y, ...) __builtin_shufflevector((x), (y), __VA_ARGS__)
#else
typedef int64_t Indices __attribute__((vector_size(64)));
#define SHUFFLE(x, y, ...) __builtin_shuffle((x), (y), (Indices){__VA_ARGS__})
#endif

#define total(v) ((((v)[0] + (v)[1]) + ((v)[2] + (v)[3])) + (((v)[4] + (v)[5]) + ((v)[6] + (v)[7])))

/* Instructions beside the operations of the table. */
enum {
    CODE_LINEAR = 1000,
    CODE_MATRIX,
    CODE_TAKE,
    CODE_DETACH,
    CODE_DOT,
    CODE_SOFTMAX,
    CODE_LOG_SOFTMAX,
    CODE_TANH,
    /* those that wide.h makes of several */
    CODE_WIDE,
    CODE_WIDE_LINEAR,
    CODE_WIDE_DOT
};

/* What became of a sample: it is done; or the eager program may have raised; or its derivatives are still to be had, in a
 * batch without such others. A number above 0 is that of the first guard, counted from 1, that does not hold. */
enum { DONE = 0, SUSPICIOUS = -1, LEFT = -2 };

/* A branch that was taken: `x symbol y` was `outcome`. */
typedef struct {
    int32_t x, symbol, y, outcome;
} Guard;

typedef struct Tape Tape;

/* A block of samples: V[slot] holds BLOCK numbers of each slot that varies, A their adjoints; U and G are those of the
 * slots that are the same for all samples. Only the first `width` of a block are in use, a multiple of 8. */
typedef struct {
    const Tape *tape;
    size_t width;
    double *V, *A;
    const double *U;
    double *G;
    double *room;
    double *suspicious; /* NaN for a sample with a number that is not finite, where the eager program may have raised */
} Block;

struct Tape {
    PyObject_HEAD
    int32_t uniform_count, varying_count;
    bool forward_only; /* its slots have one result after the other: there is no backward pass */
    size_t count;      /* of instructions */
    int32_t *code;
    size_t length; /* of the code */
    int32_t *starts;
    size_t inputs, outputs, guards;
    int32_t *input_slots, *output_slots;
    Guard *guard_list;
    int32_t *constant_slots; /* whose adjoints nobody asks for: they may be infinite where all others are not */
    size_t constants;
    bool *is_constant; /* likewise, by the slot */
    int32_t *moved;    /* where each slot is now (moves.h); NULL if none has moved */
    uint8_t *fresh; /* for each instruction, which operands' adjoints it writes instead of adding to them */
    int32_t *cleared_slots; /* whose adjoints have to be zeros before a backward pass */
    size_t cleared;
    size_t longest; /* operation over a sequence */
    const ElementaryBlocks *elementary;
    void (*forward)(const Block *);
    void (*backward)(const Block *);
    void (*check_guards)(const Block *, double *);
    bool (*forward_wide)(const Tape *, const int32_t *, double *);
    void (*backward_wide)(const Tape *, const int32_t *, const double *, double *);
    bool (*forward_wide_linear)(const int32_t *, double *);
    bool (*forward_wide_dot)(const int32_t *, double *);
    double (*dot)(const double *, const double *, size_t);
    void (*spread)(double, const double *, double *, size_t);
    double *spare; /* a workspace from the last call, for the next */
};

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

/* One operation on up to three operands, n times: the slots of the results, then those of each operand. */
enum { WIDE_HEAD = 8 }; /* numbers before them */

typedef struct {
    int op;
    size_t arity, n;
    unsigned rows;   /* bit 0 if the results stand in a row, bit k for operand k, from 1 */
    unsigned same;   /* bit k if operand k, from 1, is one slot n times */
    unsigned wanted; /* of which operands derivatives are asked for, from bit 0 */
    int exponent;    /* of a power, if it is the constant 1 or 2; otherwise 0 */
    const int32_t *slots;
} Wide;

static inline Wide read_wide(const int32_t *code, const double *U)
{
    const double exponent = code[7] < 0 ? 0.0 : U[code[7]];
    const Wide wide = {code[1],
                       (size_t)code[2],
                       (size_t)code[3],
                       (unsigned)code[4],
                       (unsigned)code[5],
                       (unsigned)code[6],
                       exponent == 2.0 ? 2 : exponent == 1.0 ? 1 : 0,
                       code + WIDE_HEAD};
    return wide;
}

/* n sums, each with as many plain terms and pairs: the slots of the results, of each term, of each x, of each y. */
typedef struct {
    size_t plain, pairs, n;
    const int32_t *slots;
} WideLinear;

static inline WideLinear read_wide_linear(const int32_t *code)
{
    const WideLinear wide = {(size_t)code[1], (size_t)code[2], (size_t)code[3], code + 4};
    return wide;
}

/* n inner products of stretches of one length. */
typedef struct {
    size_t length, n;
    const int32_t *out, *bias, *x, *y;
} WideDot;

static inline WideDot read_wide_dot(const int32_t *code)
{
    const size_t n = (size_t)code[2];
    const WideDot wide = {(size_t)code[1], n, code + 3, code + 3 + n, code + 3 + 2 * n, code + 3 + 3 * n};
    return wide;
}

static inline double *varying(const Tape *tape, double *numbers, int32_t slot)
{
    return numbers + (size_t)(slot - tape->uniform_count) * BLOCK;
}

/* An adjoint of 0 passes nothing on, whatever the slope is; nor does a rule that says so. */
static inline double share_of(double adjoint, double slope)
{
    return adjoint == 0.0 || is_nothing(slope) ? 0.0 : adjoint * slope;
}

/* The sum of numbers of which one is not finite, or a partial sum overflows, divided by n. */
static double sum_out_of_range(const double *xs, size_t n, double divisor)
{
    double sum = 0.0;
    for (size_t k = 0; k < n; k++) {
        sum += xs[k] * 0x1p-64;
    }
    return sum / divisor * 0x1p64;
}

/* The value over a sequence also where the engine asks Python, for which it has a NaN: nobody asks Python here. */
static inline double sequence_number(Op op, const double *xs, size_t n, double *scratch)
{
    const double z = sequence_value(op, xs, n, scratch);
    if (z == z) {
        return z;
    }
    if (op == OP_SUM || op == OP_MEAN) {
        return sum_out_of_range(xs, n, op == OP_SUM ? 1.0 : (double)n);
    }
    const double greatest = op == OP_LOGSUMEXP ? kernel_max(xs, n) : z;
    return isinf(greatest) ? greatest : z;
}

/* Return which slopes of an operation on up to three operands are asked for, as bits. */
static inline unsigned wanted_slopes(const Tape *tape, const int32_t *slots, size_t n)
{
    unsigned wanted = 0;
    for (size_t k = 0; k < n; k++) {
        wanted |= (unsigned)(slots[k] >= tape->uniform_count || !tape->is_constant[slots[k]]) << k;
    }
    return wanted;
}

static inline bool is_power(int32_t op)
{
    return op == OP_POW;
}

/* Return the exponent of a power if it is the constant 1 or 2, and 0 for anything else: pow takes 20 times as long. */
static inline int small_exponent(const Tape *tape, const int32_t *code, const double *U)
{
    if (!is_power(code[0]) || code[4] >= tape->uniform_count || !tape->is_constant[code[4]]) {
        return 0;
    }
    return U[code[4]] == 2.0 ? 2 : U[code[4]] == 1.0 ? 1 : 0;
}

static inline void clear_adjoints_of_constants(const Tape *tape, double *G)
{
    for (size_t k = 0; k < tape->constants; k++) {
        G[tape->constant_slots[k]] = 0.0;
    }
}

static inline bool holds(const Guard *guard, double x, double y)
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

#endif
