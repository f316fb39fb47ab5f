/* A batch: its columns, what becomes of its samples, and how it is run. */
#ifndef MICROGRUD_RUN_H
#define MICROGRUD_RUN_H

#include "tape/tape.h"

/* Of workspaces up to this size, one is kept for the next call, and room for results likewise: 4 MB. */
#define MOST_SPARE ((size_t)1 << 19)

/* The numbers of one input: of sample i at numbers[i * stride], as doubles or as int64_t. */
typedef struct {
    const void *numbers;
    size_t stride;
    bool whole;
} Column;

/* Where the derivatives by one input go; nowhere if it is NULL. */
typedef struct {
    double *numbers;
    size_t stride;
} GradientColumn;

typedef struct {
    const int32_t *rows; /* which rows of the columns the samples are; NULL for all of them in their order */
    const Column *inputs;
    const GradientColumn *gradients;
    const double *U;
    const double *seeds;   /* a row for each output, or NULL: then each output has one weight for all samples */
    const double *weights; /* or NULL: no derivatives are asked for */
    double *outputs;       /* a row for each output */
    int32_t *status;
    size_t samples;
    bool ignore; /* infinities and NaN, which are as good as other numbers then */
} Batch;

/* Run a batch, with the GIL, which is let go of meanwhile: outputs and `status` of each sample, and derivatives of those
 * that are done added to G, which holds zeros. Return -1 with an exception set. */
INTERNAL int run_batch(Tape *tape, const Batch *batch, size_t threads, double *G);

INTERNAL bool all_finite(const double *numbers, size_t count);

#endif
