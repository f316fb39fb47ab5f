/* The choice of the instruction set, which each Tape makes once. */
#include "tape/blocks.h"

static const Blocks *const SETS[] = {
#define ADDRESS(set) &blocks_##set,
    INSTRUCTION_SETS(ADDRESS)
#undef ADDRESS
};

enum { SET_COUNT = sizeof SETS / sizeof SETS[0] };

const Blocks *find_blocks(const char *set)
{
    for (size_t k = 0; k < SET_COUNT; k++) {
        if ((set == NULL || strcmp(set, SETS[k]->set) == 0) && runs_here(SETS[k]->set)) {
            return SETS[k];
        }
    }
    return NULL;
}

PyObject *names_of_sets(void)
{
    PyObject *names = PyList_New(0);
    for (size_t k = 0; names != NULL && k < SET_COUNT; k++) {
        if (!runs_here(SETS[k]->set)) {
            continue;
        }
        PyObject *name = PyUnicode_FromString(SETS[k]->set);
        if (name == NULL || PyList_Append(names, name) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(name);
    }
    return names;
}
