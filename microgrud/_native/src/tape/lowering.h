/* Lowering: from a program to code.
 *
 * lowering.c checks the arrays of a program (microgrud/tape/program.py), and writes the instructions that the tapes run
 * (instructions.h). liveness.c writes those of a batch again with fewer slots, for runs without a backward pass.
 */
#ifndef MICROGRUD_LOWERING_H
#define MICROGRUD_LOWERING_H

#include "tape/schedule.h"
#include "tape/tape.h"

typedef struct {
    Ints numbers, starts;
} Code;

typedef struct {
    int32_t uniform, varying;      /* numbers of slots; the last uniform one is always -0.0 */
    Ints slots;                    /* the new number of each slot: uniform ones come first */
    Code uniform_code, batch_code; /* the instructions over uniform slots, and the others */
} Lowered;

/* Return NOT_VALID if the arrays do not describe a program. They are checked here because nothing is checked while a
 * program runs. Return NOT_LOWERED if an operation has no instruction. */
INTERNAL Built lower(const Program *program, Lowered *lowered);

/* Write the instructions of a batch again, into `code`, with fewer varying slots. The slots of inputs and outputs, and
 * those that guards compare, hold their values to the end. Write the new number of each slot, and the count of the
 * varying ones. */
INTERNAL Built reuse_slots(const Lowered *lowered, const Tape *batch, Code *code, int32_t *slots, int32_t *varying);

#endif
