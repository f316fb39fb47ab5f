/* What a recorded program is to the interpreter: instructions as numbers, slots, and blocks of samples.
 *
 * A slot is the same for all samples, and holds one number, or it varies, and holds one a sample. Slots that are the
 * same come first; microgrud/tape/lowering.py writes the instructions.
 */
#ifndef MICROGRUD_TAPE_H
#define MICROGRUD_TAPE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>

#include "ops/ops.h"

/* What became of a sample: it is done; or the eager program may have raised; or its derivatives are still to be had, in a
 * batch without such others. A number above 0 is that of the first guard, counted from 1, that does not hold. */
enum { DONE = 0, SUSPICIOUS = -1, LEFT = -2 };

/* A branch that was taken: `x symbol y` was `outcome`. */
typedef struct {
    int32_t x, symbol, y, outcome;
} Guard;

typedef struct Tape Tape;
typedef struct Blocks Blocks;

struct Tape {
    PyObject_HEAD
    int32_t uniform_count, varying_count;
    bool forward_only; /* its slots have one result after the other: there is no backward pass */
    size_t count;      /* of instructions */
    int32_t *code;
    size_t length; /* of the code */
    int32_t *starts;
    size_t inputs, outputs, guards;
    int32_t *input_slots, *output_slots;
    Guard *guard_list;
    int32_t *constant_slots; /* whose adjoints nobody asks for: they may be infinite where all others are not */
    size_t constants;
    bool *is_constant; /* likewise, by the slot */
    int32_t *moved;    /* where each slot is now (moves.h); NULL if none has moved */
    uint8_t *fresh; /* for each instruction, which operands' adjoints it writes instead of adding to them */
    int32_t *cleared_slots; /* whose adjoints have to be zeros before a backward pass */
    size_t cleared;
    size_t longest; /* operation over a sequence */
    const Blocks *blocks; /* the loops of an instruction set: blocks.h */
    double *spare; /* a workspace from the last call, for the next */
};

static inline bool holds(const Guard *guard, double x, double y)
{
    bool answer;
    switch (guard->symbol) {
    case Py_LT:
        answer = x < y;
        break;
    case Py_LE:
        answer = x <= y;
        break;
    case Py_GT:
        answer = x > y;
        break;
    case Py_GE:
        answer = x >= y;
        break;
    case Py_EQ:
        answer = x == y;
        break;
    default:
        answer = x != y;
    }
    return answer == (bool)guard->outcome;
}

/* check.c: tell whether a tape can be run; if not, an error is set. */
INTERNAL bool check_tape(const Tape *tape, size_t guard_numbers);
INTERNAL bool is_left_to_python(int op);

/* fresh.c, wide.c and moves.c: prepare a tape that was checked. Return -1 with an exception if there is no memory. */
INTERNAL int find_fresh_adjoints(Tape *tape);
INTERNAL int widen(Tape *tape);
INTERNAL void mark_rows(int32_t *code);
INTERNAL int move_slots(Tape *tape);

/* moves.c: copy the numbers of all slots to where they are now, or back. */
INTERNAL void move_numbers(const Tape *tape, const double *from, double *to, bool back);

/* Where a slot is now. */
static inline int32_t moved_slot(const Tape *tape, int32_t slot)
{
    return tape->moved == NULL || slot < 0 ? slot : tape->moved[slot];
}

/* alone.c: run a program without a batch. Forward, return whether every number is finite that the eager program could not
 * have gone on without. The room is for three times as many numbers as the longest operation over a sequence has. */
INTERNAL bool forward_alone(const Tape *tape, double *U, double *room);
INTERNAL void backward_alone(const Tape *tape, const double *U, double *G, double *room);

/* tape.c */
extern INTERNAL PyType_Spec tape_spec;
INTERNAL bool is_tape(PyObject *object);

/* Read an array of at least so many doubles; NULL for None. Return -1 on error. */
INTERNAL int read_doubles(PyObject *object, Py_buffer *view, double **numbers, size_t least, int flags, const char *what);

#endif
