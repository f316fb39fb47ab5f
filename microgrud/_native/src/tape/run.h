/* Batches: the columns of the inputs, the rows of the outputs, and the run. */
#ifndef MICROGRUD_RUN_H
#define MICROGRUD_RUN_H

#include "tape/tape.h"

/* A workspace, and memory for results, are kept for the next call if they have at most this many numbers (4 MB). */
#define MOST_SPARE ((size_t)1 << 19)

/* The numbers of one input. Sample i has numbers[i * stride], which is an int64_t if `whole`, else a double. */
typedef struct {
    const void *numbers;
    size_t stride;
    bool whole;
} Column;

/* The place for the derivatives with respect to one input; NULL if they are not wanted. */
typedef struct {
    double *numbers;
    size_t stride;
} GradientColumn;

typedef struct {
    const int32_t *rows; /* the rows of the samples in the columns; NULL for all in their order */
    const Column *inputs;
    const GradientColumn *gradients;
    const double *U;
    const double *seeds;   /* a row for each output, or NULL: then each output has one weight */
    const double *weights; /* or NULL if no derivatives are wanted */
    double *outputs;       /* a row for each output; NULL if they are not wanted */
    int32_t *status;
    size_t samples;
    bool ignore; /* treat infinities and NaN as ordinary numbers */
} Batch;

/* Run a batch. The caller has the GIL, which is released meanwhile. Write the outputs and the status of each sample,
 * and add the derivatives of the samples that are DONE to G, which must hold zeros. Return -1 with an exception set. */
INTERNAL int run_batch(Tape *tape, const Batch *batch, size_t threads, double *G);

INTERNAL bool all_finite(const double *numbers, size_t count);

/* Return the sum of numbers[i * stride]. The order depends only on the count, so that a number repeated (a stride of 0)
 * gives the same bits as an array of it. The sum begins with -0.0, which changes no number; 0.0 would turn a sum of
 * -0.0 into 0.0. */
INTERNAL double sum_in_order(const double *numbers, size_t stride, size_t count);

#endif
