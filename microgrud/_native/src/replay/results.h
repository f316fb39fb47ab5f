/* The result of a call, in the structure that the function returns.
 *
 * A *plan* describes the structure. It is None for a number, and otherwise a tuple that begins with a kind:
 *
 *      (LIST_RESULT, plans)         also TUPLE_RESULT; a tuple of the plans of the items
 *      (DICT_RESULT, dict)          a dict of the plans of the items
 *      (ARRAY_RESULT, shape)
 *      (NAMED_RESULT, plans, type)  a named tuple
 *      (OTHER_RESULT, plans, make)  whatever make(list of the items) returns
 */
#ifndef MICROGRUD_RESULTS_H
#define MICROGRUD_RESULTS_H

#include "replay/frame.h"

/* Tell whether an object is a plan, and of `outputs` numbers. */
INTERNAL bool is_plan(PyObject *object, size_t outputs);
/* Return the result of a call: its outputs, for a batch their sums or means over the samples. */
INTERNAL PyObject *result_of(const Call *call);
/* Return the sum of the outputs, for a batch of their sums or means, each times its weight unless that is 0. */
INTERNAL double weighted_output(const Call *call);
/* Write the outputs of all samples: a row for each output. */
INTERNAL void write_rows(const Call *call, double *to);
/* Return them as an array. */
INTERNAL PyObject *rows_of(const Call *call);

#endif
