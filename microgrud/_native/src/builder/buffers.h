/* Lists of numbers that grow, and tables of what was seen before: what a recording is flattened into and built with.
 *
 * Their memory is not Python's, so that they can grow while other threads have the lock.
 */
#ifndef MICROGRUD_BUFFERS_H
#define MICROGRUD_BUFFERS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "ops/kernels.h"

/* Items and places are int32 in all that is built of a recording: the interpreter reads no others. */
enum { MOST_ITEMS = INT32_MAX - 1 };

typedef enum { BUILT, NO_MEMORY, TOO_LARGE, NOT_VALID } Built;

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

INTERNAL Built grow_items(void **items, size_t *capacity, size_t needed, size_t size);

/* Make room for so many more, which are then put there without a further look. */
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

/* Say in Python's terms what kept something from being built. */
INTERNAL void set_build_error(Built built, const char *what);

/* --- what was seen before --- */

/* Entries by their hashes, with open addressing. Who uses it keeps the entries themselves, numbered from 0. */
typedef struct {
    uint64_t *cells; /* the upper half of the hash, and the entry plus 1; 0 where there is none */
    size_t mask, count;
} HashTable;

/* A search through the cells of a hash. */
typedef struct {
    uint64_t hash;
    size_t cell; /* the next to look at; at last, where a new entry belongs */
    int near;    /* how many are left of those near a place, after which come those of the hash */
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

/* Look near a place first that entries which come one after the other have in common: those cells are in the cache, and
 * most searches end there. It takes a table that has its size from the beginning. For a chain of 1,000,000 operations
 * the table then takes 30 ms where it took 100. */
ALWAYS_INLINE Search search_near(const HashTable *seen, uint64_t hash, size_t place)
{
    return (Search){hash, (2 * place + (hash & 1)) & seen->mask, NEAR_CELLS};
}

/* Return the next entry with this hash, -1 when there is no other. */
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

/* Put an entry where the search for it ended in vain. */
ALWAYS_INLINE void add_entry(HashTable *seen, const Search *search, size_t entry)
{
    seen->cells[search->cell] = (search->hash & 0xFFFFFFFF00000000u) | (entry + 1);
    seen->count++;
}

/* Have room for so many from the beginning. */
INTERNAL Built table_of_size(HashTable *seen, size_t count);
/* Have room for one more, at most half full: a search ends at the first empty cell. */
INTERNAL Built reserve_entry(HashTable *seen);

#endif
