/* Wide instructions of programs without a batch, for the instruction set of blocks_body.h. */
#include "tape/blocks_softmax.h"


/* Tell whether a multiple of 8 numbers are finite. */
LANE bool are_finite(const double *restrict numbers, size_t count)
{
    double doubts[8] = {0.0}, doubt = 0.0;
    for (size_t k = 0; k < count; k += 8) {
        for (size_t i = 0; i < 8; i++) {
            doubts[i] += numbers[k + i] - numbers[k + i];
        }
    }
    for (size_t i = 0; i < 8; i++) {
        doubt += doubts[i];
    }
    return doubt == 0.0;
}

/* A part of a wide instruction: at most BLOCK of its results. */
typedef struct {
    size_t start, count;
} Piece;

LANE Piece piece_of(const Wide *wide, size_t start)
{
    return (Piece){start, wide->n - start < BLOCK ? wide->n - start : BLOCK};
}

/* Return the numbers of a piece, where they are a row, or in a buffer, where the last one is repeated up to a multiple
 * of 8. */
TARGET static const double *gathered(const Wide *wide, const Piece *piece, const double *numbers, size_t k,
                                     double *restrict buffer)
{
    const size_t count = piece->count;
    const bool is_row = wide->rows >> k & 1;
    const int32_t *slots = wide->slots[k] + (is_row ? 0 : piece->start);
    const double *row = numbers + slots[0] + (is_row ? piece->start : 0);
    if (is_row && count % 8 == 0) {
        return row;
    }
    for (size_t i = 0; i < count; i++) {
        buffer[i] = is_row ? row[i] : numbers[slots[i]];
    }
    for (size_t i = count; i % 8 != 0; i++) {
        buffer[i] = buffer[count - 1];
    }
    return buffer;
}

/* Fill the buffers of operands that are the same slot for all results, once for all pieces. */
TARGET static void write_same(const Wide *wide, const double *U, double buffers[4][BLOCK])
{
    for (size_t k = 1; k <= wide->arity; k++) {
        for (size_t i = 0; i < BLOCK && wide->same >> k & 1; i++) {
            buffers[k][i] = U[*wide->slots[k]];
        }
    }
}

/* Return the numbers of operand k of a piece, from 1; 0 stands for the results. Operands that do not exist, and small
 * exponents, are not read. */
TARGET static const double *operand_of_piece(const Wide *wide, const Piece *piece, const double *U, size_t k,
                                             double *buffer)
{
    if (k > wide->arity || wide->same >> k & 1 || (k == 2 && wide->exponent > 0)) {
        return buffer;
    }
    return gathered(wide, piece, U, k, buffer);
}

TARGET static bool forward_wide(const int32_t *code, double *U)
{
    const Wide wide = read_wide(code, U);
    double buffers[4][BLOCK] ALIGNED;
    bool fine = true;
    write_same(&wide, U, buffers);
    for (size_t start = 0; start < wide.n; start += BLOCK) {
        const Piece piece = piece_of(&wide, start);
        const double *x[3];
        for (size_t k = 0; k < 3; k++) {
            x[k] = operand_of_piece(&wide, &piece, U, k + 1, buffers[k + 1]);
        }
        const size_t width = (piece.count + 7) / 8 * 8;
        const bool is_row = wide.rows & 1, in_place = is_row && piece.count == width;
        double *row = U + *wide.slots[0] + start, *z = in_place ? row : buffers[0];
        values_of(wide.op, wide.exponent, width, x[0], x[1], x[2], z);
        for (size_t i = 0; i < piece.count && !in_place; i++) {
            *(is_row ? row + i : U + wide.slots[0][start + i]) = z[i];
        }
        fine &= never_raises[wide.op] || are_finite(z, width);
    }
    return fine;
}

/* An adjoint of 0 passes nothing on. */
TARGET static void add_to_row(double *restrict a, const double *restrict g, const double *restrict share, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        a[i] += g[i] == 0.0 ? 0.0 : share[i];
    }
}

TARGET static void backward_wide(const int32_t *code, const double *U, double *G)
{
    const Wide wide = read_wide(code, U);
    double buffers[4][BLOCK] ALIGNED, adjoints[BLOCK] ALIGNED, shares[3][BLOCK] ALIGNED;
    write_same(&wide, U, buffers);
    for (size_t start = 0; start < wide.n && wide.wanted != 0; start += BLOCK) {
        const Piece piece = piece_of(&wide, start);
        const double *x[4], *share[3];
        for (size_t k = 0; k < 4; k++) {
            x[k] = operand_of_piece(&wide, &piece, U, k, buffers[k]);
        }
        const double *g = gathered(&wide, &piece, G, 0, adjoints);
        const size_t width = (piece.count + 7) / 8 * 8;
        shares_of(wide.op, wide.exponent, width, g, x[0], x[1], x[2], x[3], wide.wanted,
                             shares, share);
        for (size_t k = 0; k < wide.arity; k++) {
            if (!(wide.wanted >> k & 1)) {
                continue;
            }
            const int32_t *slots = wide.slots[k + 1];
            if (wide.rows >> (k + 1) & 1) {
                add_to_row(G + *slots + start, g, share[k], piece.count);
                continue;
            }
            const size_t step = wide.same >> (k + 1) & 1 ? 0 : 1;
            for (size_t i = 0; i < piece.count; i++) {
                G[slots[(start + i) * step]] += g[i] == 0.0 ? 0.0 : share[k][i];
            }
        }
    }
}

LANE bool is_row(const int32_t *slots, size_t count)
{
    int32_t steps = 0;
    for (size_t i = 1; i < count; i++) {
        steps |= slots[i] - slots[i - 1] - 1;
    }
    return steps == 0;
}

/* Return the numbers of slots: in place if they are a row, which may be found anew in each piece of an instruction. */
LANE const double *numbers_of(const double *numbers, const int32_t *slots, size_t count, double *restrict buffer)
{
    if (is_row(slots, count)) {
        return numbers + slots[0];
    }
    for (size_t i = 0; i < count; i++) {
        buffer[i] = numbers[slots[i]];
    }
    return buffer;
}

/* Tell whether slots are a constant, which has no derivative, again and again. */
LANE bool is_one_constant(const Tape *tape, const int32_t *slots, size_t count)
{
    int32_t different = 0;
    for (size_t i = 1; i < count; i++) {
        different |= slots[i] ^ slots[0];
    }
    return different == 0 && tape->is_constant[slots[0]];
}

LANE void add_to_slots(double *numbers, const int32_t *slots, size_t count, const double *restrict share)
{
    double *restrict row = numbers + slots[0];
    if (is_row(slots, count)) {
        for (size_t i = 0; i < count; i++) {
            row[i] += share[i];
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        numbers[slots[i]] += share[i];
    }
}

/* Return the numbers of a side of sums, from sum `start` on. */
LANE const double *numbers_of_side(const Sums *sums, size_t side, size_t start, size_t count, const double *numbers,
                                   double *restrict buffer)
{
    const int32_t *slots = sums->out + side * sums->n;
    if (sums->rows >> side & 1) {
        return numbers + slots[0] + start;
    }
    if (!(sums->same >> side & 1)) {
        return numbers_of(numbers, slots + start, count, buffer);
    }
    for (size_t i = 0; i < BLOCK; i++) {
        buffer[i] = numbers[slots[0]];
    }
    return buffer;
}

/* Add shares to the numbers of a side of sums. */
LANE void add_to_side(const Sums *sums, size_t side, size_t start, size_t count, double *numbers,
                      const double *restrict share)
{
    const int32_t *slots = sums->out + side * sums->n;
    if (sums->rows >> side & 1) {
        double *restrict row = numbers + slots[0] + start;
        for (size_t i = 0; i < count; i++) {
            row[i] += share[i];
        }
        return;
    }
    if (!(sums->same >> side & 1)) {
        add_to_slots(numbers, slots + start, count, share);
        return;
    }
    double sum[8] = {0.0}; /* an addition to one number would wait for the one before */
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        for (size_t k = 0; k < 8; k++) {
            sum[k] += share[i + k];
        }
    }
    for (; i < count; i++) {
        sum[i % 8] += share[i];
    }
    numbers[slots[0]] += ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

TARGET static bool forward_wide_linear(const int32_t *code, double *U)
{
    const Sums sums = read_sums(code);
    double z[BLOCK] ALIGNED, buffers[2][BLOCK];
    bool fine = true;
    for (size_t start = 0; start < sums.n; start += BLOCK) {
        const size_t count = sums.n - start < BLOCK ? sums.n - start : BLOCK;
        for (size_t i = 0; i < BLOCK; i++) {
            z[i] = -0.0;
        }
        for (size_t k = 1; k <= sums.plain; k++) {
            const double *restrict term = numbers_of_side(&sums, k, start, count, U, buffers[0]);
            for (size_t i = 0; i < count; i++) {
                z[i] += term[i];
            }
        }
        for (size_t k = sums.plain + 1; k <= sums.plain + sums.pairs; k++) {
            const double *restrict x = numbers_of_side(&sums, k, start, count, U, buffers[0]);
            const double *restrict y = numbers_of_side(&sums, k + sums.pairs, start, count, U, buffers[1]);
            for (size_t i = 0; i < count; i++) {
                z[i] += x[i] * y[i];
            }
        }
        fine &= are_finite(z, BLOCK);
        if (sums.rows & 1) {
            memcpy(U + sums.out[0] + start, z, count * sizeof *z);
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            U[sums.out[start + i]] = z[i];
        }
    }
    return fine;
}

/* An adjoint of 0 passes nothing on. */
TARGET static void backward_wide_linear(const int32_t *code, const double *U, double *G)
{
    const Sums sums = read_sums(code);
    double buffers[2][BLOCK], share[BLOCK];
    for (size_t start = 0; start < sums.n; start += BLOCK) {
        const size_t count = sums.n - start < BLOCK ? sums.n - start : BLOCK;
        const double *adjoints = numbers_of_side(&sums, 0, start, count, G, buffers[0]);
        for (size_t k = 1; k <= sums.plain; k++) {
            if (sums.wanted >> k & 1) {
                add_to_side(&sums, k, start, count, G, adjoints);
            }
        }
        for (size_t k = sums.plain + 1; k <= sums.plain + 2 * sums.pairs; k++) {
            if (!(sums.wanted >> k & 1)) {
                continue;
            }
            const size_t factor = k <= sums.plain + sums.pairs ? k + sums.pairs : k - sums.pairs;
            const double *restrict other = numbers_of_side(&sums, factor, start, count, U, buffers[1]);
            for (size_t i = 0; i < count; i++) {
                share[i] = adjoints[i] == 0.0 ? 0.0 : adjoints[i] * other[i];
            }
            add_to_side(&sums, k, start, count, G, share);
        }
    }
}

TARGET CONTRACTED static bool forward_wide_dot(const int32_t *code, double *U)
{
    PRAGMA_CONTRACTED
    const Dots wide = read_dots(code);
    double doubt = 0.0;
    for (size_t r = 0; r < wide.n; r += 8) {
        const double *x[8], *y[8];
        const size_t some = wide.n - r < 8 ? wide.n - r : 8;
        Vec s[8];
        for (size_t k = 0; k < 8; k++) {
            const size_t row = r + (k < some ? k : some - 1); /* repeat the last row */
            x[k] = U + wide.x[row];
            y[k] = U + wide.y[row];
            s[k] = EIGHT_TIMES(-0.0);
        }
        size_t j = 0;
        for (; j + 8 <= wide.length; j += 8) {
            for (int k = 0; k < 8; k++) {
                s[k] += *(const LooseVec *)(x[k] + j) * *(const LooseVec *)(y[k] + j);
            }
        }
        double sums[8];
        totals(s, sums);
        for (size_t k = 0; k < some; k++) {
            double rest = U[wide.bias[r + k]];
            for (size_t i = j; i < wide.length; i++) {
                rest = FUSED(x[k][i], y[k][i], rest, HAS_FMA);
            }
            const double z = sums[k] + rest;
            U[wide.out[r + k]] = z;
            doubt += z - z;
        }
    }
    return doubt == 0.0;
}
