/* Whole pages: allocation, lists and release. */
#include "engine/pages.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

void list_page(State *state, Page *page)
{
    page->has_room = true;
    link_page(&state->pages, page);
}

Page *next_page(State *state)
{
    for (Page *page = state->pages; page != NULL; page = state->pages) {
        if (page->free != NULL || page->carved < PAGE_NODES) {
            return page;
        }
        unlink_page(&state->pages, page);
        link_page(&state->full_pages, page);
        page->has_room = false;
    }
    Page *page = PyMem_RawMalloc(sizeof(Page) + (size_t)PAGE_NODES * SLOT);
    if (page == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    page->state = state;
    page->free = NULL;
    page->carved = page->used = 0;
    state->empty_pages++;
    list_page(state, page);
    return page;
}

static void free_page(Page *page)
{
    /* Python's debugging allocator writes to it */
    ASAN_UNPOISON_MEMORY_REGION(page, sizeof(Page) + (size_t)PAGE_NODES * SLOT);
    PyMem_RawFree(page);
}

void empty_page(State *state, Page *page)
{
    page->free = NULL;
    page->carved = 0; /* is filled from its beginning again */
    if (state != NULL && state->empty_pages < KEPT_PAGES) {
        state->empty_pages++;
        return;
    }
    if (state != NULL) {
        unlink_page(page->has_room ? &state->pages : &state->full_pages, page);
    }
    free_page(page);
#ifdef __GLIBC__
    /* Otherwise memory that was freed between two blocks in use stays with the process: 400 MB after a graph of
     * 5,000,000. */
    if (state != NULL && ++state->freed_pages >= PAGES_TO_TRIM) {
        state->freed_pages = 0;
        (void)malloc_trim(0);
    }
#endif
}

static void leave_pages(Page *list)
{
    while (list != NULL) {
        Page *page = list;
        list = page->next;
        page->state = NULL; /* its last node frees it */
        if (page->used == 0) {
            free_page(page);
        }
    }
}

void leave_all_pages(State *state)
{
    leave_pages(state->pages);
    leave_pages(state->full_pages);
    state->pages = state->full_pages = NULL;
    state->empty_pages = 0;
}
