/* The memory of nodes: pages of 250, each with its own list of free nodes.
 *
 * Python's allocator hands out the nodes of a second graph in the order in which those of the first one died, and after
 * a few rounds the neighbours in a graph are anywhere in memory. Here a page is filled before the next one is used, and
 * a page that became empty is filled from its beginning, so that a graph lies in memory as it was made. The backward
 * pass of the benchmarks' network then takes 11 to 12 ns per node, where it took 14 to 17 with one list of all free
 * nodes; that of the transformer takes 14, where it took 20 to 24; the gain is larger if other code uses the cache.
 * With Python's allocator, which counts each node for the collector, an operation takes 33 ns more than with either.
 *
 * A node knows its place in the page, and so finds the page, which knows the State. Instances of subclasses, whose
 * sizes differ, come from Python's allocator.
 */
#ifndef MICROGRUD_PAGES_H
#define MICROGRUD_PAGES_H

#include "engine/layout.h"

/* Under the address sanitizer no place is used twice, so that it finds every use of a freed node. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
enum { PLACES_ARE_USED_AGAIN = 0, KEPT_PAGES = 0 };
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address))
enum { PLACES_ARE_USED_AGAIN = 1, KEPT_PAGES = 256 /* empty pages: 5 MB */ };
#endif

enum {
    PAGE_NODES = 250,     /* the place is a byte */
    PAGES_TO_TRIM = 4096, /* 80 MB */
    COLLECTOR_HEADER = 16,
    SLOT = COLLECTOR_HEADER + sizeof(Node),
};

struct Page {
    State *state; /* NULL once the module is gone */
    Page *next, *previous;
    Node *free;
    uint32_t carved; /* number of places used since it was empty */
    uint32_t used;   /* number of living nodes */
    uint64_t newest; /* the generation in which a node was last made here, or given operands */
    bool has_room;   /* in the list of pages with room; it leaves the list when a place is requested and none is free */
    bool is_swept;   /* all of its nodes that have operands are tracked: see node.c */
};

static inline Node *slot_of(Page *page, size_t place)
{
    return (Node *)((char *)(page + 1) + place * SLOT + COLLECTOR_HEADER);
}

static inline void link_page(Page **list, Page *page)
{
    page->previous = NULL;
    page->next = *list;
    if (page->next != NULL) {
        page->next->previous = page;
    }
    *list = page;
}

static inline void unlink_page(Page **list, Page *page)
{
    if (page->previous != NULL) {
        page->previous->next = page->next;
    } else {
        *list = page->next;
    }
    if (page->next != NULL) {
        page->next->previous = page->previous;
    }
}

/* --- pages.c --- */

INTERNAL void list_page(State *state, Page *page);
/* Return the next page with room, or a new one; NULL with an exception. */
INTERNAL Page *next_page(State *state);
/* Free a page without nodes, unless it is kept for later. */
INTERNAL void empty_page(State *state, Page *page);
/* Free all empty pages. The last node of any other page frees that page. */
INTERNAL void leave_all_pages(State *state);

/* --- used for every node --- */

/* Return the part of a node that must not be used after its end, for the sanitizer: everything after reference count
 * and type. */
static inline void *after_head(Node *node)
{
    return (char *)node + sizeof(PyObject);
}

/* Return memory for a node, in which only its place is set; NULL with an exception. */
ALWAYS_INLINE Node *take_slot(State *state)
{
    Page *page = state->pages;
    if (page == NULL || (page->free == NULL && page->carved == PAGE_NODES)) {
        page = next_page(state);
        if (page == NULL) {
            return NULL;
        }
    }
    page->is_swept = false;
    page->newest = state->generation;
    if (page->used++ == 0) {
        state->empty_pages--;
    }
    Node *node = page->free != NULL ? page->free : slot_of(page, page->carved);
    ASAN_UNPOISON_MEMORY_REGION(after_head(node), sizeof(Node) - sizeof(PyObject));
    if (page->free != NULL) {
        page->free = node->link;
    } else {
        memset(node, 0, sizeof(PyObject)); /* not immortal */
        node->place = (uint8_t)++page->carved;
    }
    memset((char *)node - COLLECTOR_HEADER, 0, COLLECTOR_HEADER); /* neither tracked nor finalized */
    return node;
}

static inline Page *page_of(const Node *node)
{
    return (Page *)((char *)node - COLLECTOR_HEADER - (size_t)(node->place - 1) * SLOT) - 1;
}

/* Tell whether a node is known to be older than a generation. */
ALWAYS_INLINE bool is_older(const Node *node, uint64_t generation)
{
    return node->place != 0 && page_of(node)->newest < generation;
}

/* Return the memory of a node to its page. */
ALWAYS_INLINE void give_back_slot(Node *node)
{
    Page *page = page_of(node);
    State *state = page->state;
    if (PLACES_ARE_USED_AGAIN) {
        node->link = page->free;
        page->free = node;
        if (!page->has_room && state != NULL) {
            unlink_page(&state->full_pages, page);
            list_page(state, page);
        }
    }
    ASAN_POISON_MEMORY_REGION(after_head(node), sizeof(Node) - sizeof(PyObject));
    if (--page->used == 0) {
        empty_page(state, page);
    }
}

#endif
