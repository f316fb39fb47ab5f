/* Growing lists of numbers, and hash tables, for the engine, the builder and lowering. Their memory is not Python's,
 * so that they can grow without the GIL. Both extensions include this file.
 */
#ifndef MICROGRUD_BUFFERS_H
#define MICROGRUD_BUFFERS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "ops/kernels.h"

/* All indices are int32, because those of the interpreter are. */
enum { MOST_ITEMS = INT32_MAX - 1 };

typedef enum { BUILT, NO_MEMORY, TOO_LARGE, NOT_VALID, NOT_LOWERED } Built;

typedef struct {
    const int32_t *items;
    size_t count;
} GivenInts;

static inline GivenInts ints_of_view(const Py_buffer *view)
{
    return (GivenInts){view->buf, (size_t)view->len / sizeof(int32_t)};
}

typedef struct {
    int32_t *items;
    size_t count, capacity;
} Ints;

typedef struct {
    double *items;
    size_t count, capacity;
} Doubles;

static inline Built grow_items(void **items, size_t *capacity, size_t needed, size_t size)
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

/* Make room for `more` items, which put_int and the like then write without a check. */
ALWAYS_INLINE Built reserve_ints(Ints *ints, size_t more)
{
    size_t needed = ints->count + more;
    return needed <= ints->capacity ? BUILT
                                    : grow_items((void **)&ints->items, &ints->capacity, needed, sizeof(int32_t));
}

ALWAYS_INLINE Built reserve_doubles(Doubles *doubles, size_t more)
{
    size_t needed = doubles->count + more;
    return needed <= doubles->capacity
               ? BUILT
               : grow_items((void **)&doubles->items, &doubles->capacity, needed, sizeof(double));
}

ALWAYS_INLINE void put_int(Ints *ints, int32_t item)
{
    ints->items[ints->count++] = item;
}

ALWAYS_INLINE void put_double(Doubles *doubles, double item)
{
    doubles->items[doubles->count++] = item;
}

ALWAYS_INLINE Built push_int(Ints *ints, int32_t item)
{
    Built built = reserve_ints(ints, 1);
    if (built == BUILT) {
        put_int(ints, item);
    }
    return built;
}

ALWAYS_INLINE void put_ints(Ints *ints, const int32_t *items, size_t count)
{
    if (count > 0) {
        memcpy(ints->items + ints->count, items, count * sizeof *items);
        ints->count += count;
    }
}

static inline PyObject *bytes_of_ints(const Ints *ints)
{
    return PyBytes_FromStringAndSize((const char *)ints->items, (Py_ssize_t)(ints->count * sizeof(int32_t)));
}

static inline PyObject *bytes_of_doubles(const Doubles *doubles)
{
    return PyBytes_FromStringAndSize((const char *)doubles->items, (Py_ssize_t)(doubles->count * sizeof(double)));
}

/* Set the exception for a failure. */
static inline void set_build_error(Built built)
{
    if (built == NO_MEMORY) {
        PyErr_NoMemory();
    } else if (built == TOO_LARGE) {
        PyErr_SetString(PyExc_OverflowError,
                        "compile: expected fewer than 2**31 operands in a recording, got more; compile a smaller part "
                        "of the function");
    } else if (built == NOT_LOWERED) {
        PyErr_SetString(PyExc_NotImplementedError, "compile: an operation has no instruction in C");
    } else {
        PyErr_SetString(PyExc_ValueError,
                        "compile: expected a program whose slots are written once, before they are read, by operations "
                        "on as many operands as they take");
    }
}

/* --- hash tables --- */

/* Numbers of entries by their hashes, with open addressing. The user keeps the entries themselves, numbered from 0. */
typedef struct {
    uint64_t *cells; /* upper half of the hash, and number of the entry plus 1; 0 in an empty cell */
    size_t mask, count;
} HashTable;

/* A search through the cells of a hash. */
typedef struct {
    uint64_t hash;
    size_t cell; /* the next one to read; after an unsuccessful search, the one for a new entry */
    int near;    /* number of cells still to be read near a place, before those of the hash */
} Search;

enum { NEAR_CELLS = 24 };

ALWAYS_INLINE uint64_t mixed(uint64_t hash, uint64_t item)
{
    hash = (hash ^ item) * 0x9E3779B97F4A7C15u; /* 2**64 divided by the golden ratio */
    return hash ^ (hash >> 29);
}

ALWAYS_INLINE size_t cell_of_hash(const HashTable *seen, uint64_t hash)
{
    return (size_t)(hash >> 32) & seen->mask;
}

ALWAYS_INLINE Search search_for(const HashTable *seen, uint64_t hash)
{
    return (Search){hash, cell_of_hash(seen, hash), 0};
}

/* Search first near a place that entries added one after the other have in common: its cells are in the cache, and most
 * searches end there. The table must have had its full size from the beginning. For a chain of 1,000,000
 * operations the table then takes 30 ms instead of 100. */
ALWAYS_INLINE Search search_near(const HashTable *seen, uint64_t hash, size_t place)
{
    return (Search){hash, (2 * place + (hash & 1)) & seen->mask, NEAR_CELLS};
}

/* Return the next entry with this hash, or -1. */
ALWAYS_INLINE int32_t next_with_hash(const HashTable *seen, Search *search)
{
    for (;;) {
        const uint64_t found = seen->cells[search->cell];
        if (found == 0) {
            return -1;
        }
        search->cell = (search->cell + 1) & seen->mask;
        if (search->near > 0 && --search->near == 0) {
            search->cell = cell_of_hash(seen, search->hash);
        }
        if (((found ^ search->hash) >> 32) == 0) {
            return (int32_t)((found & 0xFFFFFFFFu) - 1);
        }
    }
}

/* Add an entry where the search for it has ended. */
ALWAYS_INLINE void add_entry(HashTable *seen, const Search *search, size_t entry)
{
    seen->cells[search->cell] = (search->hash & 0xFFFFFFFF00000000u) | (entry + 1);
    seen->count++;
}

/* Make a table for `count` entries. */
static inline Built table_of_size(HashTable *seen, size_t count)
{
    size_t size = 64;
    while (size < 2 * count) {
        size *= 2;
    }
    seen->cells = PyMem_RawCalloc(size, sizeof *seen->cells);
    seen->mask = size - 1;
    return seen->cells == NULL ? NO_MEMORY : BUILT;
}

/* Make room for one more entry. The table stays at most half full: a search ends at the first empty cell. */
static inline Built reserve_entry(HashTable *seen)
{
    if (seen->cells != NULL && seen->count < seen->mask / 2) {
        return BUILT;
    }
    size_t size = seen->cells == NULL ? 128 : (seen->mask + 1) * 2;
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

#endif
