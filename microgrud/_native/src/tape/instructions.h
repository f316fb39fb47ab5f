/* The instructions of a program: their codes, where their slots are, and readers of their numbers. lowering.c writes
 * them.
 */
#ifndef MICROGRUD_INSTRUCTIONS_H
#define MICROGRUD_INSTRUCTIONS_H

#include "tape/tape.h"

/* The codes of instructions that are not operations of the table. */
enum {
    CODE_LINEAR = 1000,
    CODE_MATRIX,
    CODE_TAKE,
    CODE_DETACH,
    CODE_DOT,
    CODE_SOFTMAX,
    CODE_LOG_SOFTMAX,
    CODE_TANH,
    CODE_SPAN, /* spans.c merges several instructions into one of these */
    /* rows.c turns operations over consecutive slots into these */
    CODE_ROW,
    CODE_ROW_SOFTMAX,
    /* wide.c merges several instructions into one of these */
    CODE_WIDE,
    CODE_WIDE_LINEAR,
    CODE_WIDE_DOT
};

/* For each operation on one to three numbers, the attribute `total` of its entry in microgrud/engine/ops.py, which
 * module.c reads. A total operation never raises, so that the eager program has the same result even if that is not
 * finite. */
extern INTERNAL bool never_raises[OP_COUNT];

/* In `first_writes` of a batch: from bit UNWANTED on, the operands of a simple operation that get no adjoint; and SKIPPED
 * for an instruction that the backward pass leaves out. */
enum { UNWANTED = 4, SKIPPED = 0x80 };

enum { WIDE_HEAD = 8, WIDE_LINEAR_HEAD = 7, MATRIX_HEAD = 5, SPAN_HEAD = 7 }; /* numbers before the slots */

/* --- the slots of an instruction --- */

typedef enum {
    RESULT, /* -1 for a result of softmax that is not used */
    OPERAND,
    PLACE,   /* a varying slot, given as an index among the varying ones */
    ROW,     /* the first slot of a row */
    SCRATCH, /* written for the backward pass alone */
} Role;

/* Slots of one role: `count` of the numbers of an instruction, from `first` on. */
typedef struct {
    Role role;
    size_t first, count;
} Stretch;

enum { MOST_STRETCHES = 4 };

/* Find the slots among the numbers of an instruction, the results first. In a batch, leave out slots that are always
 * uniform. Without a batch (`uniform`) sums have another form. Return the number of stretches. */
static inline size_t stretches_of(const int32_t *code, bool uniform, Stretch found[MOST_STRETCHES])
{
    found[0] = (Stretch){RESULT, 1, 1};
    switch (code[0]) {
    case CODE_LINEAR: {
        if (uniform) {
            found[1] = (Stretch){OPERAND, 4, (size_t)code[2] + 2 * (size_t)code[3]};
            return 2;
        }
        const size_t plain = (size_t)code[3], weighted = (size_t)code[4];
        found[1] = (Stretch){OPERAND, 6, plain};
        found[2] = (Stretch){OPERAND, 6 + plain + 2 * weighted, 2 * (size_t)code[5]};
        found[3] = (Stretch){PLACE, 6 + plain, weighted};
        return 4;
    }
    case CODE_MATRIX:
        found[0] = (Stretch){RESULT, MATRIX_HEAD, (size_t)code[1]};
        found[1] = (Stretch){OPERAND, MATRIX_HEAD + 2 * (size_t)code[1], (size_t)code[3] * (size_t)code[1]};
        found[2] = (Stretch){PLACE, found[1].first + found[1].count, (size_t)code[2]};
        return 3;
    case CODE_DOT:
        found[1] = (Stretch){OPERAND, 2, 1};
        found[2] = (Stretch){ROW, 4, 2};
        return 3;
    case CODE_SOFTMAX:
    case CODE_LOG_SOFTMAX:
        found[0] = (Stretch){RESULT, 2, (size_t)code[1]};
        found[1] = (Stretch){OPERAND, 2 + (size_t)code[1], (size_t)code[1]};
        return 2;
    case CODE_TANH:
        found[1] = (Stretch){OPERAND, 3, 1};
        found[2] = (Stretch){SCRATCH, 4, 1}; /* its derivative */
        return 3;
    case CODE_WIDE:
        found[0] = (Stretch){RESULT, WIDE_HEAD, (size_t)code[3]};
        found[1] = (Stretch){OPERAND, 7, 1}; /* the exponent, or -1 */
        found[2] = (Stretch){OPERAND, WIDE_HEAD + (size_t)code[3], (size_t)code[3] * (size_t)code[2]};
        return 3;
    case CODE_WIDE_LINEAR: {
        const size_t n = (size_t)code[3];
        found[0] = (Stretch){RESULT, WIDE_LINEAR_HEAD, n};
        found[1] = (Stretch){OPERAND, WIDE_LINEAR_HEAD + n, n * ((size_t)code[1] + 2 * (size_t)code[2])};
        return 2;
    }
    case CODE_WIDE_DOT: {
        const size_t n = (size_t)code[2];
        found[0] = (Stretch){RESULT, 3, n};
        found[1] = (Stretch){OPERAND, 3 + n, n};
        found[2] = (Stretch){ROW, 3 + 2 * n, 2 * n};
        return 3;
    }
    default: /* a table has its index before its items */
        found[1] = (Stretch){OPERAND, 3, (size_t)code[2] + (code[0] == CODE_TAKE)};
        return 2;
    }
}

/* --- the numbers of an instruction --- */

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

/* out[r] = U[base[r]] + plain[r] + sum over j of U[u[r][j]] * v[j]. There may be no plain terms. The v are given as
 * indices among the varying slots. */
typedef struct {
    size_t rows, columns;
    bool in_rows; /* the u of each row are consecutive slots */
    const int32_t *out, *base, *terms, *v, *u;
} Matrix;

static inline Matrix read_matrix(const int32_t *code)
{
    Matrix m = {(size_t)code[1], (size_t)code[2], code[4] != 0, code + MATRIX_HEAD, NULL, NULL, NULL, NULL};
    m.base = m.out + m.rows;
    m.terms = code[3] != 0 ? m.base + m.rows : NULL;
    m.v = m.base + (1 + (size_t)code[3]) * m.rows;
    m.u = m.v + m.columns;
    return m;
}

/* All results of softmax(x) or log(softmax(x)): out[k] is the slot of result k, or -1 if it is not used. */
typedef struct {
    size_t n;
    const int32_t *out, *x;
} Softmax;

/* Softmax gives at most one number a share s above 1/2. Its adjoint is g (1 - s) less s times the sum of the other g for
 * the logarithm, and s times (g (1 - s) less the sum of the other g times their shares) for softmax itself. 1 - s would
 * cancel, and is the sum of the other shares. */
typedef struct {
    double adjoint; /* g, of its result */
    double rest;    /* the sum of the other shares */
    double others;  /* the sum of the other adjoints, times their shares for softmax */
} LargeShare;

static inline double adjoint_at_large_share(const LargeShare *large, double share, bool is_log)
{
    return is_log ? large->adjoint * large->rest - share * large->others
                  : share * (large->adjoint * large->rest - large->others);
}

static inline Softmax read_softmax(const int32_t *code)
{
    Softmax s = {(size_t)code[1], code + 2, code + 2 + code[1]};
    return s;
}

/* One operation on up to three operands, n times. The slots of the results come first, then those of each operand; when
 * the tape is ready, only the first one of a row, or of the same slot n times (see rows.c). */
typedef struct {
    int op;
    size_t arity, n;
    unsigned rows;   /* bit 0 if the results are consecutive slots, bit k for operand k, from 1 */
    unsigned same;   /* bit k if operand k, from 1, is the same slot n times */
    unsigned wanted; /* operands whose derivatives are wanted, from bit 0 */
    int exponent;    /* of a power with the constant exponent 1 or 2; otherwise 0 */
    const int32_t *slots[4]; /* of the results, and of each operand */
} Wide;

static inline Wide read_wide(const int32_t *code, const double *U)
{
    const double exponent = code[7] < 0 ? 0.0 : U[code[7]];
    Wide wide = {code[1],
                 (size_t)code[2],
                 (size_t)code[3],
                 (unsigned)code[4],
                 (unsigned)code[5],
                 (unsigned)code[6],
                 exponent == 2.0 ? 2 : exponent == 1.0 ? 1 : 0,
                 {NULL}};
    const int32_t *slots = code + WIDE_HEAD;
    for (size_t k = 0; k <= wide.arity; k++) {
        wide.slots[k] = slots;
        slots += (wide.rows | wide.same) >> k & 1 ? 1 : wide.n;
    }
    return wide;
}

/* The slots of an operand in a span: the same one, uniform or varying; consecutive varying slots; or a list of uniform
 * slots. */
typedef enum { SPAN_SAME, SPAN_STEP, SPAN_LISTED } SpanKind;

/* One operation of a batch, n times, whose results are consecutive slots from `out` on, as are the derivatives of a
 * tanh from `slope` on. There is one slot of an operand, the first, or a list of n. */
typedef struct {
    int32_t op, out, slope;
    size_t arity, n;
    SpanKind kinds[3];
    const int32_t *slots[3];
} Span;

static inline Span read_span(const int32_t *code)
{
    Span span = {code[1], code[4], code[5], (size_t)code[2], (size_t)code[3], {SPAN_SAME}, {NULL}};
    const int32_t *slots = code + SPAN_HEAD;
    for (size_t j = 0; j < span.arity; j++) {
        span.kinds[j] = (SpanKind)(code[6] >> (2 * j) & 3);
        span.slots[j] = slots;
        slots += span.kinds[j] == SPAN_LISTED ? span.n : 1;
    }
    return span;
}

/* Sums without a batch. CODE_WIDE_LINEAR has n sums with the same number of terms and pairs, CODE_LINEAR has one. Each
 * term has n slots, one after the other in the code, and so have each x and each y. These sides are numbered, from 0 for
 * the results; a bit of `rows` tells that the slots of a side are consecutive, of `same` that they are one slot n times,
 * of `wanted` that not all of them are constants. */
typedef struct {
    size_t plain, pairs, n;
    unsigned rows, same, wanted;
    const int32_t *out, *terms, *x, *y;
} Sums;

static inline Sums read_sums(const int32_t *code)
{
    const bool wide = code[0] == CODE_WIDE_LINEAR;
    const size_t n = wide ? (size_t)code[3] : 1;
    Sums sums = {(size_t)code[wide ? 1 : 2], (size_t)code[wide ? 2 : 3], n, 0, 0, 0, code + 1, code + 4, NULL, NULL};
    if (wide) {
        sums.rows = (unsigned)code[4];
        sums.same = (unsigned)code[5];
        sums.wanted = (unsigned)code[6];
        sums.out = code + WIDE_LINEAR_HEAD;
        sums.terms = sums.out + n;
    }
    sums.x = sums.terms + sums.plain * n;
    sums.y = sums.x + sums.pairs * n;
    return sums;
}

/* CODE_WIDE_DOT has n sums of a bias and the inner product of two rows of consecutive slots, all of the same length;
 * CODE_DOT has one such sum. */
typedef struct {
    size_t length, n;
    const int32_t *out, *bias, *x, *y;
} Dots;

static inline Dots read_dots(const int32_t *code)
{
    const size_t n = (size_t)code[2];
    return code[0] == CODE_DOT ? (Dots){(size_t)code[3], 1, code + 1, code + 2, code + 4, code + 5}
                               : (Dots){(size_t)code[1], n, code + 3, code + 3 + n, code + 3 + 2 * n, code + 3 + 3 * n};
}

/* An operation over a row: n consecutive slots of a program without a batch, from `first` on. The backward pass needs
 * what log-sum-exp and softmax keep at the index `kept`: the sum of the exponentials, and then these, unless the row is
 * `alone`: no other instruction reads it, and its adjoints, which are assigned, hold the exponentials before. */
typedef struct {
    int32_t out, op;
    size_t n, first, kept;
    bool alone;
} Row;

static inline Row read_row(const int32_t *code)
{
    return (Row){code[1], code[2], (size_t)code[3], (size_t)code[4], (size_t)code[5], code[6] != 0};
}

/* Return the place of the exponentials of a row. */
static inline double *exponentials_of(const Row *row, double *G, double *kept)
{
    return row->alone ? G + row->first : kept + row->kept + 1;
}

/* The results of softmax over a row, or its logarithm, that are used: the slot out[j] holds result places[j]. */
typedef struct {
    Row row;
    bool is_log;
    size_t used;
    const int32_t *places, *out;
} RowSoftmax;

static inline RowSoftmax read_row_softmax(const int32_t *code)
{
    const Row row = {-1, code[1], (size_t)code[3], (size_t)code[4], (size_t)code[5], code[6] != 0};
    return (RowSoftmax){row, code[1] == CODE_LOG_SOFTMAX, (size_t)code[2], code + 7, code + 7 + code[2]};
}

/* Return the product of an adjoint and a slope. It is 0 if the adjoint is 0, whatever the slope is, or if the result
 * does not depend on the operand. */
static inline double share_of(double adjoint, double slope)
{
    return adjoint == 0.0 || is_nothing(slope) ? 0.0 : adjoint * slope;
}

/* Return the sum, divided by `divisor`, of numbers that are not all finite or whose partial sums overflow. */
static inline double sum_out_of_range(const double *xs, size_t n, double divisor)
{
    double sum = 0.0;
    for (size_t k = 0; k < n; k++) {
        sum += xs[k] * 0x1p-64;
    }
    return sum / divisor * 0x1p64;
}

/* Return the number of operands of an operation over a sequence that are gathered; at least that of any other. */
static inline size_t length_of_sequence(const int32_t *code)
{
    return code[0] < OP_COUNT                                            ? (size_t)code[2]
           : code[0] == CODE_SOFTMAX || code[0] == CODE_LOG_SOFTMAX ? (size_t)code[1]
                                                                         : 0;
}

/* Tell whether the tapes run an operation of the table. They have their own rule for the norm. */
static inline bool runs_on_tapes(Op op)
{
    return (is_in_c(op) || op == OP_NORM) && !has_index(op);
}

/* Return a power of two that brings the greatest of the numbers of a norm, by size, near to 1, or as near as floats
 * can; 1 if it is 0 or not finite. */
static inline double scale_of_norm(double greatest)
{
    int exponent = 0;
    if (greatest > 0.0 && greatest - greatest == 0.0) {
        frexp(greatest, &exponent);
    }
    return ldexp(1.0, exponent < -1000 ? 1000 : exponent > 1000 ? -1000 : -exponent);
}

/* Return the norm of numbers times a scale, and the scale. */
static inline double scaled_norm(const double *xs, size_t n, double *scale)
{
    double greatest = 0.0, sum = 0.0, lost = 0.0;
    for (size_t k = 0; k < n; k++) {
        greatest = fabs(xs[k]) > greatest ? fabs(xs[k]) : greatest;
    }
    *scale = scale_of_norm(greatest);
    for (size_t k = 0; k < n && greatest - greatest == 0.0; k++) {
        const double square = (xs[k] * *scale) * (xs[k] * *scale), next = sum + square, part = next - sum;
        lost += (sum - (next - part)) + (square - part);
        sum = next;
    }
    return greatest - greatest == 0.0 ? sqrt(sum + lost) : INFINITY;
}

/* Return the value over a sequence, also where the engine would get NaN and ask Python: a tape never asks Python. */
static inline double sequence_number(Op op, const double *xs, size_t n, double *scratch)
{
    double scale;
    const double z = op == OP_NORM ? scaled_norm(xs, n, &scale) / scale : sequence_value(op, xs, n, scratch);
    if (z == z) {
        return z;
    }
    if (op == OP_SUM || op == OP_MEAN) {
        return sum_out_of_range(xs, n, op == OP_SUM ? 1.0 : (double)n);
    }
    const double greatest = op == OP_LOGSUMEXP ? kernel_extreme(xs, n, true) : z;
    return isinf(greatest) ? greatest : z;
}

/* Write the local derivatives of an operation over a sequence. */
static inline void slopes_of_sequence(Op op, double z, const double *xs, size_t n, double *slopes, double *scratch)
{
    if (op != OP_NORM) {
        sequence_slopes(op, z, xs, n, slopes, scratch);
        return;
    }
    double scale;
    const double norm = scaled_norm(xs, n, &scale);
    for (size_t k = 0; k < n; k++) {
        slopes[k] = norm == 0.0 ? 0.0 : xs[k] * scale / norm;
    }
}

/* Return bits of the operands, up to three, whose slopes are wanted. */
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

/* Return the exponent of a power with the constant exponent 1 or 2, and 0 otherwise. With pow such a power takes 20
 * times as long. */
static inline int small_exponent(const Tape *tape, int32_t op, int32_t exponent, const double *U)
{
    if (!is_power(op) || exponent >= tape->uniform_count || !tape->is_constant[exponent]) {
        return 0;
    }
    return U[exponent] == 2.0 ? 2 : U[exponent] == 1.0 ? 1 : 0;
}

static inline void clear_adjoints_of_constants(const Tape *tape, double *G)
{
    for (size_t k = 0; k < tape->constants; k++) {
        G[tape->constant_slots[k]] = 0.0;
    }
}

#endif
