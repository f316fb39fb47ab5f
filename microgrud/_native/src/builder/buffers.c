/* Memory for lists and tables. */
#include "builder/buffers.h"

Built grow_items(void **items, size_t *capacity, size_t needed, size_t size)
{
    if (needed > MOST_ITEMS) {
        return TOO_LARGE;
    }
    size_t wanted = *capacity < 64 ? 64 : *capacity * 2;
    wanted = wanted < needed ? needed : wanted;
    void *grown = PyMem_RawRealloc(*items, wanted * size);
    if (grown == NULL) {
        return NO_MEMORY;
    }
    *items = grown;
    *capacity = wanted;
    return BUILT;
}

void set_build_error(Built built, const char *what)
{
    if (built == NO_MEMORY) {
        PyErr_NoMemory();
    } else if (built == TOO_LARGE) {
        PyErr_Format(PyExc_OverflowError, "%s: expected less than 2**31 operands in a recording; record a part of it",
                     what);
    } else {
        PyErr_Format(PyExc_ValueError, "%s: expected the arrays of one recording", what);
    }
}

Built table_of_size(HashTable *seen, size_t count)
{
    size_t size = 64;
    while (size < 2 * count) {
        size *= 2;
    }
    seen->cells = PyMem_RawCalloc(size, sizeof *seen->cells);
    seen->mask = size - 1;
    return seen->cells == NULL ? NO_MEMORY : BUILT;
}

Built reserve_entry(HashTable *seen)
{
    if (seen->cells != NULL && seen->count < seen->mask / 2) {
        return BUILT;
    }
    size_t size = seen->cells == NULL ? 64 : (seen->mask + 1) * 2;
    uint64_t *cells = PyMem_RawCalloc(size, sizeof *cells);
    if (cells == NULL) {
        return NO_MEMORY;
    }
    HashTable grown = {cells, size - 1, seen->count};
    for (size_t k = 0; seen->cells != NULL && k <= seen->mask; k++) {
        if (seen->cells[k] != 0) {
            size_t cell = cell_of_hash(&grown, seen->cells[k]);
            while (cells[cell] != 0) {
                cell = (cell + 1) & grown.mask;
            }
            cells[cell] = seen->cells[k];
        }
    }
    PyMem_RawFree(seen->cells);
    *seen = grown;
    return BUILT;
}
