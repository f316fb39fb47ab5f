/* The tape: recorded programs, and how they run.
 *
 * compile() records a function once, as a graph. The builder (builder/build.h) turns the graph into a program, and this
 * folder runs it for other arguments: without nodes, without Python, and for many samples at a time.
 *
 * Slots. A program computes with numbered slots. A slot holds a number of the computation: an argument, a parameter, a
 * constant, a result. A *uniform* slot holds one number, which is the same for all samples of a batch. A *varying* slot
 * holds one number for each sample. Uniform slots come first. For
 *
 *      def loss(x, t):                       batched over x and t; the Values w and b are parameters
 *          y = tanh(w * x + b)
 *          return (y - t) ** 2 if y > t else t - y
 *
 * the recording of a sample with y > t has twelve slots:
 *
 *               uniform: U                       varying: V, a column of a block for each slot
 *             0     1     2     3         4      5      6       7        8       9      10        11
 *          +-----+-----+-----+-----+   +------+------+------+---------+------+-------+---------+-------+
 *          |  w  |  b  |  2  | -0.0|   | x[0] | t[0] | w*x  | w*x + b |  y   | y - t | ( )**2  | slope |  sample 0
 *          +-----+-----+-----+-----+   | x[1] | t[1] |      |         |      |       |         |       |  sample 1
 *             G: their adjoints        |  :   |  :   |  :   |    :    |  :   |   :   |    :    |   :   |
 *                                      |      |      |      |         |      |       |         |       |  sample 127
 *                                      +------+------+------+---------+------+-------+---------+-------+
 *                                         A: their adjoints, in a block of the same shape
 *
 * Slot 3, the last uniform slot, is always -0.0: the start of a sum that has no other.
 *
 * Programs. A program is a list of instructions. An instruction is a few integers: its code, the slots that it writes,
 * the slots that it reads. A recording has two programs. One computes the uniform slots that depend on no sample, once
 * for a call; here it is empty. The other one runs for each sample:
 *
 *      multiply  6 = 0 * 4              code, result, number of operands, operands
 *      add       7 = 6 + 1
 *      tanh      8 = tanh(7), 11 = its derivative, which the backward pass reads
 *      subtract  9 = 8 - 5
 *      pow      10 = 9 ** 2
 *
 * The backward pass runs the list from its end, and adds adjoints instead of values. The codes are the operations of
 * ops/ops.h and those of instructions.h: sums of products, products of matrices, tables, softmax. A program that runs
 * forward only may write several results into one slot, one after the other (liveness.c).
 *
 * Guards. The recording holds for samples that take the branches it has taken. A guard is such a branch, `8 > 5 was
 * true`, and is checked once the values are there. A sample that fails one is left to another recording, or to the
 * function itself.
 *
 * Blocks. Samples run in blocks of 128: each instruction is decoded once for a block, and its loop works on vectors of
 * samples that stay in the cache. The loops are compiled for each instruction set (blocks_avx512.c, blocks_avx2.c,
 * blocks_baseline.c); dispatch.c chooses the best one for the processor. A chunk is 32 blocks, or more in a very large
 * batch, and chunks run on several threads.
 *
 * From Python's numbers to a run, by file:
 *
 *   - lowering.c checks a program in Python's arrays, refuses whatever would read or write outside of the slots, and
 *     writes its instructions; liveness.c writes them again with fewer slots;
 *   - type.c makes the tapes of a program, and defines their type, Tapes;
 *   - schedule.c puts equal instructions of a batch next to each other, and spans.c merges them;
 *   - first_writes.c finds adjoints that can be assigned instead of cleared and added to;
 *   - wide.c and reorder.c turn many equal instructions of a program without a batch into vector loops, and rows.c an
 *     operation over many consecutive slots;
 *   - uniform.c runs a program without a batch; run.c runs blocks, chunks and threads;
 *   - replay/ runs the whole call of a compiled function, from its arguments to its result;
 *   - module.c has the module microgrud._native.tape.
 */
#ifndef MICROGRUD_TAPE_H
#define MICROGRUD_TAPE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>

#include "ops/ops.h"

/* The status of a sample after a run. A status above 0 is the number, from 1, of the first guard that does not hold. */
enum {
    DONE = 0,
    SUSPICIOUS = -1, /* a number is not finite: the eager program may have raised */
    LEFT = -2,       /* no derivatives, because those of other samples are not finite: run it without these samples */
};

/* A branch that was taken: `x symbol y` was `outcome`. */
typedef struct {
    int32_t x, symbol, y, outcome;
} Guard;

typedef struct Blocks Blocks;

/* The instructions of a program that writes one kind of slots, uniform or varying. */
typedef struct Tape {
    int32_t uniform_count, varying_count;
    size_t count; /* of instructions */
    int32_t *code;
    size_t length; /* of the code */
    int32_t *starts;
    size_t inputs, outputs, guards;
    int32_t *input_slots, *output_slots;
    Guard *guard_list;
    int32_t *constant_slots; /* their adjoints are not wanted, and may be infinite where all others are finite */
    size_t constants;
    bool *is_constant; /* the same, by slot; the tapes of a program share both */
    uint8_t *first_writes; /* for each instruction, bits of the operands whose adjoints the backward pass assigns; see
                              UNWANTED and SKIPPED */
    int32_t *cleared_slots; /* in order: their adjoints have to be cleared before a backward pass */
    size_t cleared;
    size_t longest; /* the greatest number of operands of an operation over a sequence */
    size_t kept;    /* how many numbers operations over rows keep for the backward pass */
    size_t assigned_first, assigned; /* the uniform slots whose adjoints one instruction assigns: see rows.c */
    const Blocks *blocks; /* the loops for an instruction set */
    double *spare; /* a workspace, kept for the next call */
    size_t spare_size; /* the number of doubles in it */
    struct Tape *narrow; /* the same with equal instructions merged, for narrow blocks; shares other arrays; or NULL */
} Tape;

/* A recorded program as it runs, for arguments of which some vary. Its arrays hold slots of the tapes. */
typedef struct {
    PyObject_HEAD
    Tape uniform, batch;
    Tape reusing;  /* the batch in fewer slots; empty if it has only a few */
    Tape *forward; /* `batch` or `reusing`, for runs without a backward pass */
    PyObject *constants;      /* doubles in bytes: the numbers of the uniform slots before a call */
    PyObject *leaf_slots;     /* int32 in bytes */
    PyObject *argument_slots; /* likewise: the input of an argument that varies, the slot of any other; -1 if unused */
    size_t numbers;           /* the first arguments are numbers, the others integers */
    int32_t *output_slots;
    size_t outputs;
    Guard *guards;        /* those of uniform slots */
    Guard *sorted_guards; /* the same, sorted by comparison and outcome */
    size_t guard_count;
    int32_t *guard_numbers; /* the numbers, from 1, of these guards and then of those of the batch */
    uint8_t *outcomes;      /* of all guards */
} Tapes;

/* first_writes.c, wide.c, rows.c: prepare a tape. Return -1 with an exception if there is no memory. */
INTERNAL int find_first_writes(Tape *tape);
INTERNAL int widen(Tape *tape);
/* `uses` has zeros, but for slots whose adjoints are also given by others; NULL if instructions of a batch read all. */
INTERNAL int find_rows(Tape *tape, uint8_t *uses);
INTERNAL void mark_rows(int32_t *code);
/* spans.c: likewise, for a batch whose first writes are found. */
INTERNAL int merge_spans(Tape *tape);
INTERNAL void free_narrow(Tape *tape);
/* reorder.c: give the slots of a program without a batch another order, and write the new place of each. */
INTERNAL void reorder_slots(Tape *tape, int32_t *new_slots);

/* Return how many numbers `scratch` has room for: three times those of the longest sequence, and then those that are
 * kept between the passes. */
static inline size_t scratch_of_uniform(const Tape *tape)
{
    return 3 * tape->longest + tape->kept;
}

/* uniform.c: run the program without a batch. The forward pass returns the status that all samples have then. It may
 * write to G, which is to be cleared after it. */
INTERNAL int32_t forward_uniform(const Tapes *tapes, double *U, double *G, double *scratch, bool ignore);
INTERNAL void clear_uniform_adjoints(const Tape *tape, double *G);
INTERNAL bool uniform_adjoints_are_finite(const Tape *tape, const double *G);
INTERNAL void backward_uniform(const Tape *tape, const double *U, double *G, double *scratch);

/* type.c */
extern INTERNAL PyType_Spec tapes_spec;
INTERNAL bool is_tapes(PyObject *object);

#endif
