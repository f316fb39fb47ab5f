/* The memory of nodes: pages of 250, each with a list of its own of the nodes that are free.
 *
 * Python's allocator gives the nodes of a second graph back in the order in which those of the first one died, and after
 * a few rounds neighbours in the graph are anywhere in memory. A page is filled before the next one, and from its
 * beginning once it was empty, so that a graph lies in memory as it was made: backward of the benchmarks' network then
 * takes 11 to 12 ns a node where it took 14 to 17 with one list of all free nodes, that of the transformer 14 where it
 * took 20 to 24, and more where others use the cache. With Python's allocator, which counts each node for the
 * collector, an operation takes 33 ns more than with either.
 *
 * A node knows its place in the page, and so the page, which knows the State. Instances of subclasses, which have a size
 * of their own, come from Python's allocator.
 */
#ifndef MICROGRUD_PAGES_H
#define MICROGRUD_PAGES_H

#include "engine/layout.h"

/* Under the address sanitizer a place is used once, and what is asked of the dead is found. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
enum { PLACES_ARE_USED_AGAIN = 0, KEPT_PAGES = 0 };
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address))
enum { PLACES_ARE_USED_AGAIN = 1, KEPT_PAGES = 256 /* empty ones: 5 MB */ };
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
    uint32_t carved; /* how many nodes have been made of it since it was empty */
    uint32_t used;   /* how many of them are alive */
    bool has_room;   /* whether it is in the list of those that have; it leaves the list when it is asked in vain */
    bool is_swept;   /* whether the collector knows all of its nodes that have operands: see node.h */
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
/* Return a page with room: the next one in the list, or a new one. */
INTERNAL Page *next_page(State *state);
/* Free a page without nodes, unless it is kept for those to come. */
INTERNAL void empty_page(State *state, Page *page);
/* Free what is empty, and leave the other pages to the nodes that are still alive in them. */
INTERNAL void leave_all_pages(State *state);

/* --- what every node takes --- */

/* What a dead node must not be asked for: all but its reference count, and its type. The sanitizer sees to it. */
static inline void *after_head(Node *node)
{
    return (char *)node + sizeof(PyObject);
}

/* Return memory for a node, with its place set and nothing else; NULL if there is none. */
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
    memset((char *)node - COLLECTOR_HEADER, 0, COLLECTOR_HEADER); /* neither known to the collector nor finalized */
    return node;
}

/* Give the memory of a node back to its page. */
ALWAYS_INLINE void give_back_slot(Node *node)
{
    Page *page = (Page *)((char *)node - COLLECTOR_HEADER - (size_t)(node->place - 1) * SLOT) - 1;
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
