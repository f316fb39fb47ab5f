/* Frames: the numbers of a call. A replay keeps one for the next call. */
#ifndef MICROGRUD_FRAME_H
#define MICROGRUD_FRAME_H

#include "replay/replay.h"

enum { NOT_BEGUN = -3 };

/* The numbers of a call, for one replay. */
struct Frame {
    double *U, *G;
    double *scratch; /* for operations over sequences */
    double *weights;
    Column *columns;
    GradientColumn *gradients;
    Py_buffer *views;
    size_t view_count;
    double *outputs;
    int32_t *status;
    size_t capacity; /* of `outputs`, in samples */
    size_t status_capacity;
    Py_ssize_t samples; /* of the call; -1 without a batch */
    const int64_t **batches; /* for each part that is a batch of integers, its first integer */
    int32_t status_of_all;   /* the status that the uniform slots give all samples, or NOT_BEGUN */
    bool has_sums;           /* G holds derivatives of samples */
    bool lenient;            /* keep reading after an integer that does not fit the recording */
    bool unfit;              /* an integer outside of the batches did not fit, while `lenient` */
};

/* A call of all replays of a tree. */
typedef struct {
    const Tree *tree;
    Frame *frames[MOST_REPLAYS]; /* for each replay */
    size_t begun;                /* number of frames */
    size_t samples;
    double *outputs;       /* a row for each output; NULL if there is one replay, whose frame has them */
    bool slopes_only;      /* no outputs are wanted: a replay of many copies none */
    const double *weights; /* of the outputs; NULL if no derivatives are wanted */
    const double *leaves;  /* numbers in place of those of the leaves, for one replay after the other; or NULL */
    const int64_t *places; /* of the leaves in `leaves`; NULL if these are in order */
    size_t length;         /* of `leaves` */
} Call;

INTERNAL void free_frame(Frame *frame);
INTERNAL Frame *take_frame(Replay *replay);
/* Release the arguments, and keep the frame for the next call, without the memory of a very large batch. */
INTERNAL void give_frame_back(Replay *replay, Frame *frame);
/* Make room for `samples` samples, with their outputs if these are wanted. */
INTERNAL int reserve_samples(const Replay *replay, Frame *frame, size_t samples, bool outputs);

#endif
