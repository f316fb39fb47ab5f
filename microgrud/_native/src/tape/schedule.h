/* A program as Python gives it, and the order in which its instructions are lowered. */
#ifndef MICROGRUD_SCHEDULE_H
#define MICROGRUD_SCHEDULE_H

#include "ops/buffers.h"
#include "ops/ops.h"

/* A program in arrays that belong to Python. */
typedef struct {
    GivenInts codes, outs, starts, operands, plains; /* the instructions */
    GivenInts native_codes; /* the tapes' code of each operation, by its code in the program; -1 for none */
    size_t slots;
    GivenInts constant_slots;
    const double *constants;
    GivenInts leaves;
    GivenInts arguments; /* the slots of all numbers, and then of all integers; -1 for one that is not used */
    size_t numbers;
    const uint8_t *varies; /* for each argument */
    GivenInts outputs, guards; /* a guard is four numbers */
} Program;

/* Write the order in which the instructions of a valid program are lowered. `varies` is given by slot. */
INTERNAL Built schedule(const Program *program, const uint8_t *varies, Ints *order);

#endif
