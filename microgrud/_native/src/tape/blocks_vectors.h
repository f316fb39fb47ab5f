/* Vectors of samples, for the instruction set of blocks_body.h. */
#include "tape/blocks.h"
#include "tape/instructions.h"

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

TARGET static void fill(const Block *block, double *restrict z, double number)
{
    const Vec all = EIGHT_TIMES(number);
    for (size_t i = 0; i < block->width; i += 8) {
        store(z + i, all);
    }
}
