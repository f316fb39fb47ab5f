/* The arguments of a call, read into the slots of a program. */
#ifndef MICROGRUD_ARGUMENTS_H
#define MICROGRUD_ARGUMENTS_H

#include "replay/frame.h"

static inline bool fits_rule(const IntegerRule *rule, int64_t number)
{
    return !rule->fixed || number == rule->number;
}

static inline bool is_within(const IntegerRule *rule, int64_t number)
{
    return rule->limit < 0 || (number >= 0 && number < rule->limit);
}

/* Read the arguments of a call into a frame. Return 1 if the replay holds for them, 0 if it does not, and -1 with an
 * exception. For 0 no exception is set: Python then evaluates the call, for any kind of arguments. */
INTERNAL int read_arguments(const Replay *replay, Frame *frame, PyObject *args);

#endif
