/* Numbers in derivatives, plain ones and nodes, and the operations on them that make nodes. */
#ifndef MICROGRUD_TERMS_H
#define MICROGRUD_TERMS_H

#include "engine/arithmetic.h"

/* A node with its reference, or, where that is NULL, a plain number; NOTHING stands for None. */
typedef struct {
    Node *node;
    double number;
} Term;

ALWAYS_INLINE Term plain(double number)
{
    return (Term){NULL, number};
}

ALWAYS_INLINE Term shared(Term term)
{
    Py_XINCREF(term.node);
    return term;
}

ALWAYS_INLINE double data_of(Term term)
{
    return term.node != NULL ? term.node->data : term.number;
}

ALWAYS_INLINE bool is_constant(Term term, double number)
{
    return term.node == NULL && term.number == number;
}

/* Return a new reference to a Value or a float. */
static inline PyObject *boxed(Term term)
{
    return term.node != NULL ? Py_NewRef(term.node) : PyFloat_FromDouble(term.number);
}

/* Record an operation on a node and another term in the general way. Return -1 with an exception. */
INTERNAL int record_terms(State *state, Op op, Term first, Term second, Term *result);

/* Compute a binary operation. The operands are borrowed. Return -1 with an exception. */
ALWAYS_INLINE int combine(State *state, Op op, Term first, Term second, Term *result)
{
    double z = value_of(op, data_of(first), data_of(second), 0.0);
    if (first.node == NULL && second.node == NULL) {
        *result = plain(z);
        return 0;
    }
    bool plain_first = first.node == NULL || is_plain_value((PyObject *)first.node);
    bool plain_second = second.node == NULL || is_plain_value((PyObject *)second.node);
    if (!isfinite(z) || !plain_first || !plain_second) {
        return record_terms(state, op, first, second, result);
    }
    *result = (Term){(Node *)record_binary(state, op, z, first.node, first.number, second.node, second.number), 0.0};
    return result->node == NULL ? -1 : 0;
}

#endif
