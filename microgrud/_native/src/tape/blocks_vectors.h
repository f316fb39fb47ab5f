/* Vectors of samples, for the instruction set of blocks_body.h. */
#include "tape/blocks.h"
#include "tape/instructions.h"

/* The width up to which a block is narrow: latencies count for more than the number of operations. */
#define NARROW 32

#define FAST OF_SET(elementary)
#define WIDTH(block) ((block)->width & ~(size_t)7) /* tells the compiler that no samples are left over */
#define EIGHT_TIMES(x) ((Vec){(x), (x), (x), (x), (x), (x), (x), (x)})
#define EACH(expression)                                                                                               \
    for (size_t i = 0; i < width; i++) {                                                                               \
        expression;                                                                                                    \
    }

/* Mark samples with a number that is not finite: `suspicious` becomes NaN. */
TARGET static void mark_suspicious(const Block *block, const double *restrict z)
{
    double *restrict suspicious = block->suspicious;
    for (size_t i = 0; i < block->width; i += 8) {
        store(suspicious + i, load(suspicious + i) + (load(z + i) - load(z + i)));
    }
}

/* Do the same for several slots; -1 stands for none. In a narrow block the sum would wait for its own last store. */
TARGET static void mark_all_suspicious(const Block *block, const int32_t *slots, size_t count)
{
    for (size_t k = 0; block->width > NARROW && k < count; k++) {
        if (slots[k] >= 0) {
            mark_suspicious(block, varying(block, block->V, slots[k]));
        }
    }
    if (block->width > NARROW) {
        return;
    }
    for (size_t i = 0; i < block->width; i += 8) {
        Vec doubts = load(block->suspicious + i);
        for (size_t k = 0; k < count; k++) {
            if (slots[k] >= 0) {
                const Vec z = load(varying(block, block->V, slots[k]) + i);
                doubts += z - z;
            }
        }
        store(block->suspicious + i, doubts);
    }
}

TARGET static void fill(const Block *block, double *restrict z, double number)
{
    const Vec all = EIGHT_TIMES(number);
    for (size_t i = 0; i < block->width; i += 8) {
        store(z + i, all);
    }
}

/* Write log1p(x) = log(whole) and what the sum whole = 1 + x has rounded off. */
TARGET NOINLINE static void log1p_of_lanes(const Block *block, const double *restrict x, const double *restrict whole,
                                           double *restrict z)
{
    const size_t width = WIDTH(block);
    FAST.log(whole, z, width);
    EACH(z[i] += (x[i] - (whole[i] - 1.0)) / whole[i])
}
