/* Wide instructions of programs without a batch, for the instruction set of blocks_body.h. */
#include "tape/blocks_operations.h"

/* Return `count` numbers, gathered in a buffer, where the last one is repeated up to a multiple of 8. Consecutive slots
 * are read in place. */
TARGET static const double *gathered(const double *numbers, const int32_t *slots, size_t count, bool is_row,
                                     double *restrict buffer)
{
    if (is_row && count % 8 == 0) {
        return numbers + slots[0];
    }
    for (size_t i = 0; i < count; i++) {
        buffer[i] = numbers[slots[i]];
    }
    for (size_t i = count; i % 8 != 0; i++) {
        buffer[i] = numbers[slots[count - 1]];
    }
    return buffer;
}

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
    const int32_t *slots[4]; /* of the results, and of each operand */
    size_t count;
} Piece;

LANE Piece piece_of(const Wide *wide, size_t start)
{
    Piece piece = {{NULL}, wide->n - start < BLOCK ? wide->n - start : BLOCK};
    for (size_t k = 0; k <= wide->arity; k++) {
        piece.slots[k] = wide->slots + k * wide->n + start;
    }
    return piece;
}

/* Fill the buffers of operands that are the same slot for all results, once for all pieces. */
TARGET static void write_same(const Wide *wide, const double *U, double buffers[4][BLOCK])
{
    for (size_t k = 1; k <= wide->arity; k++) {
        for (size_t i = 0; i < BLOCK && wide->same >> k & 1; i++) {
            buffers[k][i] = U[wide->slots[k * wide->n]];
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
    return gathered(U, piece->slots[k], piece->count, wide->rows >> k & 1, buffer);
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
        const bool in_place = wide.rows & 1 && piece.count == width;
        double *z = in_place ? U + piece.slots[0][0] : buffers[0];
        values_of(wide.op, wide.exponent, width, x[0], x[1], x[2], z);
        for (size_t i = 0; i < piece.count && !in_place; i++) {
            U[piece.slots[0][i]] = z[i];
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
    for (size_t start = 0; start < wide.n; start += BLOCK) {
        const Piece piece = piece_of(&wide, start);
        const double *x[4], *share[3];
        for (size_t k = 0; k < 4; k++) {
            x[k] = operand_of_piece(&wide, &piece, U, k, buffers[k]);
        }
        const double *g = gathered(G, piece.slots[0], piece.count, wide.rows & 1, adjoints);
        const size_t width = (piece.count + 7) / 8 * 8;
        shares_of(wide.op, wide.exponent, width, g, x[0], x[1], x[2], x[3], wide.wanted,
                             shares, share);
        for (size_t k = 0; k < wide.arity; k++) {
            if (!(wide.wanted >> k & 1)) {
                continue;
            }
            const int32_t *slots = piece.slots[k + 1];
            if (wide.rows >> (k + 1) & 1) {
                add_to_row(G + slots[0], g, share[k], piece.count);
            } else {
                for (size_t i = 0; i < piece.count; i++) {
                    G[slots[i]] += g[i] == 0.0 ? 0.0 : share[k][i]; /* an adjoint of 0 passes nothing on */
                }
            }
        }
    }
}

TARGET static bool forward_wide_linear(const int32_t *code, double *U)
{
    const Sums sums = read_sums(code);
    double doubt = 0.0, z[BLOCK] ALIGNED;
    for (size_t start = 0; start < sums.n; start += BLOCK) {
        const size_t count = sums.n - start < BLOCK ? sums.n - start : BLOCK;
        for (size_t i = 0; i < count; i++) {
            z[i] = -0.0;
        }
        for (size_t k = 0; k < sums.plain; k++) {
            const int32_t *term = sums.terms + k * sums.n + start;
            for (size_t i = 0; i < count; i++) {
                z[i] += U[term[i]];
            }
        }
        for (size_t k = 0; k < sums.pairs; k++) {
            const int32_t *x = sums.x + k * sums.n + start, *y = sums.y + k * sums.n + start;
            for (size_t i = 0; i < count; i++) {
                z[i] += U[x[i]] * U[y[i]];
            }
        }
        for (size_t i = 0; i < count; i++) {
            U[sums.out[start + i]] = z[i];
            doubt += z[i] - z[i];
        }
    }
    return doubt == 0.0;
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
                rest += x[k][i] * y[k][i];
            }
            const double z = sums[k] + rest;
            U[wide.out[r + k]] = z;
            doubt += z - z;
        }
    }
    return doubt == 0.0;
}
