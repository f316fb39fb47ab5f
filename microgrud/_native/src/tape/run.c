/* A batch: its samples in blocks, blocks in chunks, and chunks on several threads.
 *
 * The results of a sample depend on that sample and on the instruction set, and not on the rest of its block: they have
 * the same bits in any batch. Without a batch (uniform.c) sums are taken in another order, and may differ in the last
 * digits. Sums over samples add up the blocks in their order, and then the chunks in theirs, whichever threads ran
 * them.
 */
#include "tape/run.h"
#include "tape/blocks.h"
#include "tape/instructions.h"

/* The number of samples in a chunk. A thread takes one chunk at a time. Chunks are larger if there would otherwise be
 * more than MOST_CHUNKS, because each has its own sums. */
#define CHUNK 4096
#define MOST_CHUNKS 64

static inline bool is_backward(const Batch *batch)
{
    return batch->seeds != NULL || batch->weights != NULL;
}

/* Return the width of the widest block for so many samples: whole vectors of 8 lanes. */
static size_t widest(size_t samples)
{
    return samples < BLOCK ? (samples + 7) / 8 * 8 : BLOCK;
}

/* Return the number of doubles for blocks of a width: values, adjoints if they are needed, and buffers. */
static size_t workspace_size(const Tape *tape, size_t width, bool backward)
{
    return (size_t)tape->varying_count * (backward ? 2 : 1) * width + ((size_t)tape->longest + 4) * BLOCK;
}

/* Return memory for so many doubles, or NULL if there is none. A spare workspace may be larger: then *size changes. The
 * caller has the GIL. */
static double *take_workspace(Tape *tape, size_t *size)
{
    double *workspace = tape->spare;
    tape->spare = NULL;
    if (workspace != NULL && tape->spare_size >= *size) {
        *size = tape->spare_size;
        return workspace;
    }
    free(workspace);
    return aligned_alloc(64, *size * sizeof(double));
}

static void give_workspace_back(Tape *tape, double *workspace, size_t size)
{
    if (tape->spare == NULL && size <= MOST_SPARE) {
        tape->spare = workspace;
        tape->spare_size = size;
    } else {
        free(workspace);
    }
}

static Block block_in(const Tape *tape, const Batch *batch, size_t width, double *workspace, double *G,
                      int32_t unwanted)
{
    const size_t varying_numbers = (size_t)tape->varying_count * width;
    double *A = workspace + varying_numbers, *suspicious = A + (is_backward(batch) ? varying_numbers : 0);
    tape = tape->narrow != NULL && 2 * width <= BLOCK ? tape->narrow : tape;
    const Block block = {tape, width, workspace, A, batch->U, G, suspicious + BLOCK, suspicious, unwanted};
    return block;
}

static inline size_t row_of(const Batch *batch, size_t i)
{
    return batch->rows == NULL ? i : (size_t)batch->rows[i];
}

/* Read the samples of a block from `start` on. Lanes that are left over repeat the last sample, so that they add no
 * errors of their own. */
static void read_inputs(const Block *block, const Batch *batch, size_t start, size_t lanes)
{
    const Tape *tape = block->tape;
    for (size_t k = 0; k < tape->inputs; k++) {
        double *restrict x = varying(block, block->V, tape->input_slots[k]);
        const Column column = batch->inputs[k];
        for (size_t i = 0; i < lanes; i++) {
            const size_t place = row_of(batch, start + i) * column.stride;
            x[i] = column.whole ? (double)((const int64_t *)column.numbers)[place]
                                : ((const double *)column.numbers)[place];
        }
        for (size_t i = lanes; i < block->width; i++) {
            x[i] = x[lanes - 1];
        }
    }
}

bool all_finite(const double *numbers, size_t count)
{
    double doubts[8] = {0.0};
    size_t k = 0;
    for (; k + 8 <= count; k += 8) {
        for (size_t i = 0; i < 8; i++) {
            doubts[i] += numbers[k + i] - numbers[k + i];
        }
    }
    for (; k < count; k++) {
        doubts[0] += numbers[k] - numbers[k];
    }
    double doubt = 0.0;
    for (k = 0; k < 8; k++) {
        doubt += doubts[k];
    }
    return doubt == 0.0;
}

/* Write the status of each sample; return how many of them are DONE. */
static size_t set_status(const Block *block, const Batch *batch, size_t start, size_t lanes)
{
    const Tape *tape = block->tape;
    int32_t *status = batch->status + start;
    size_t done = lanes;
    if (tape->guards == 0) {
        memset(status, 0, lanes * sizeof *status);
    } else {
        double failed[BLOCK] ALIGNED = {0.0};
        tape->blocks->check_guards(block, failed);
        for (size_t i = 0; i < lanes; i++) {
            status[i] = (int32_t)failed[i];
            done -= status[i] != DONE;
        }
    }
    const bool fine = batch->ignore || all_finite(block->suspicious, block->width);
    for (size_t i = 0; i < lanes && !fine; i++) {
        if (status[i] == DONE && block->suspicious[i] != 0.0) { /* NaN is not 0 */
            status[i] = SUSPICIOUS;
            done--;
        }
    }
    return done;
}

static void clear_adjoints(const Block *block)
{
    const Tape *tape = block->tape;
    for (size_t k = 0, end; k < tape->cleared; k = end) {
        const int32_t first = tape->cleared_slots[k];
        for (end = k + 1; end < tape->cleared && tape->cleared_slots[end] == first + (int32_t)(end - k); end++) {
        }
        memset(varying(block, block->A, first), 0, (end - k) * block->width * sizeof(double));
    }
}

/* Give the outputs of samples that are DONE their adjoints. The others get an adjoint of 0, which yields 0, or NaN
 * where their numbers are not finite. */
static void seed(const Block *block, const Batch *batch, size_t start, size_t lanes)
{
    const Tape *tape = block->tape;
    for (size_t k = 0; k < tape->outputs; k++) {
        double *a = varying(block, block->A, tape->output_slots[k]);
        const double *seeds = batch->seeds == NULL ? NULL : batch->seeds + k * batch->samples + start;
        for (size_t i = 0; i < lanes; i++) {
            const double own = seeds == NULL ? batch->weights[k] : seeds[i];
            a[i] += batch->status[start + i] == DONE ? own : 0.0;
        }
    }
}

/* Write the derivatives of the samples that are DONE; return whether all of them are finite. */
static bool write_input_gradients(const Block *block, const Batch *batch, size_t start, size_t lanes, bool all_done)
{
    const Tape *tape = block->tape;
    bool fine = true;
    for (size_t k = 0; k < tape->inputs; k++) {
        const double *a = varying(block, block->A, tape->input_slots[k]);
        double *to = batch->gradients[k].numbers;
        const size_t stride = batch->gradients[k].stride;
        if (to == NULL) {
            continue;
        }
        if (all_done && stride == 1 && batch->rows == NULL) { /* a tenth of the time */
            memcpy(to + start, a, lanes * sizeof *a);
            fine &= all_finite(a, lanes);
            continue;
        }
        for (size_t i = 0; i < lanes; i++) {
            if (batch->status[start + i] == DONE) {
                fine &= a[i] - a[i] == 0.0;
                to[row_of(batch, start + i) * stride] = a[i];
            }
        }
    }
    return fine;
}

/* Return how many of the varying slots, from the first one on, are inputs, if no derivatives with respect to inputs are
 * wanted. */
static int32_t count_unwanted(const Tape *tape, const Batch *batch)
{
    int32_t first_inputs = 0;
    for (size_t k = 0; k < tape->inputs; k++) {
        if (batch->gradients[k].numbers != NULL) {
            return 0;
        }
        first_inputs += tape->input_slots[k] == tape->uniform_count + first_inputs;
    }
    return first_inputs;
}

double sum_in_order(const double *numbers, size_t stride, size_t count)
{
    double sums[8] = {-0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        for (size_t k = 0; k < 8; k++) {
            sums[k] += numbers[(i + k) * stride];
        }
    }
    double rest = count > 0 ? -0.0 : 0.0;
    for (; i < count; i++) {
        rest += numbers[i * stride];
    }
    return total(sums) + rest;
}

static bool all_done(const Batch *batch, size_t start, size_t stop)
{
    while (start < stop && batch->status[start] == DONE) {
        start++;
    }
    return start == stop;
}

/* --- Ctrl-C --- */

/* Instructions times samples between two checks for Ctrl-C: about 10 ms. */
#define WORK_PER_CHECK ((size_t)1 << 24)

/* The chunks of a batch, which threads take one after the other. */
typedef struct {
    const Tape *tape;
    const Batch *batch;
    size_t size, count, next; /* of the chunks; the lock guards `next` and `stop` */
    double *totals;           /* the G of each chunk */
    bool *fine;               /* for each chunk, whether its derivatives are finite */
    bool stop;
    PyThread_type_lock lock;
} Chunks;

/* The check for Ctrl-C. The thread that Python called asks Python; the others ask whether that thread has stopped. */
typedef struct {
    PyThreadState *called; /* while the GIL is released */
    const Chunks *chunks;  /* NULL in the thread that Python called */
    size_t work;           /* done since the last check */
    bool raised;           /* the handler has raised an exception, which is set */
} InterruptCheck;

static bool is_interrupted(InterruptCheck *check, size_t work)
{
    check->work += work;
    if (check->work < WORK_PER_CHECK) {
        return false;
    }
    check->work = 0;
    const Chunks *chunks = check->chunks;
    if (chunks != NULL) {
        PyThread_acquire_lock(chunks->lock, WAIT_LOCK);
        const bool stop = chunks->stop;
        PyThread_release_lock(chunks->lock);
        return stop;
    }
    PyEval_RestoreThread(check->called);
    check->raised = PyErr_CheckSignals() < 0;
    check->called = PyEval_SaveThread();
    return check->raised;
}

/* Run the samples from `start` to `stop`, and add the derivatives of those that are DONE to G, which holds zeros.
 * Return false if the derivatives are not finite. The samples that are not DONE may have caused this; so the DONE ones
 * become LEFT, and are run again without them. With `ignore`, this happens only if some samples are not DONE. After a
 * Ctrl-C, the caller uses no results. */
static bool run_chunk(const Tape *tape, const Batch *batch, size_t start, size_t stop, double *workspace, double *G,
                      InterruptCheck *check)
{
    const int32_t unwanted = is_backward(batch) ? count_unwanted(tape, batch) : 0;
    bool fine = true;
    for (size_t first = start; first < stop; first += BLOCK) {
        const size_t lanes = stop - first < BLOCK ? stop - first : BLOCK;
        if (is_interrupted(check, tape->length * lanes)) {
            return false;
        }
        const Block block = block_in(tape, batch, widest(lanes), workspace, G, unwanted);
        read_inputs(&block, batch, first, lanes);
        memset(block.suspicious, 0, block.width * sizeof(double));
        tape->blocks->forward(&block);
        const size_t done = set_status(&block, batch, first, lanes);
        for (size_t k = 0; k < tape->outputs && batch->outputs != NULL; k++) {
            memcpy(batch->outputs + k * batch->samples + first, varying(&block, block.V, tape->output_slots[k]),
                   lanes * sizeof(double));
        }
        if (fine && done > 0 && is_backward(batch)) {
            clear_adjoints(&block);
            seed(&block, batch, first, lanes);
            tape->blocks->backward(&block);
            fine = write_input_gradients(&block, batch, first, lanes, done == lanes) || batch->ignore;
        }
    }
    if (!is_backward(batch)) {
        return true;
    }
    clear_adjoints_of_constants(tape, G);
    fine = fine && ((batch->ignore && all_done(batch, start, stop)) || all_finite(G, (size_t)tape->uniform_count));
    for (size_t i = start; i < stop && !fine; i++) {
        batch->status[i] = batch->status[i] == DONE ? LEFT : batch->status[i];
    }
    return fine;
}

/* --- several chunks --- */

typedef struct {
    Chunks *chunks;
    double *workspace;
    PyThread_type_lock running; /* held until the thread has finished */
} Worker;

/* Run the next chunk; return false if there is none. */
static bool run_next_chunk(Chunks *chunks, double *workspace, InterruptCheck *check)
{
    PyThread_acquire_lock(chunks->lock, WAIT_LOCK);
    const size_t k = chunks->stop ? chunks->count : chunks->next++;
    PyThread_release_lock(chunks->lock);
    if (k >= chunks->count) {
        return false;
    }
    const size_t start = k * chunks->size, samples = chunks->batch->samples;
    const size_t stop = samples - start < chunks->size ? samples : start + chunks->size;
    double *G = chunks->totals + k * (size_t)chunks->tape->uniform_count;
    chunks->fine[k] = run_chunk(chunks->tape, chunks->batch, start, stop, workspace, G, check);
    return true;
}

static void work(void *argument)
{
    Worker *worker = argument;
    InterruptCheck check = {NULL, worker->chunks, 0, false};
    while (run_next_chunk(worker->chunks, worker->workspace, &check)) {
    }
    PyThread_release_lock(worker->running);
}

/* Start a thread; return false, with everything freed, if that fails. */
static bool start_worker(Worker *worker, Chunks *chunks)
{
    worker->chunks = chunks;
    const size_t size = workspace_size(chunks->tape, BLOCK, is_backward(chunks->batch));
    worker->workspace = aligned_alloc(64, size * sizeof(double));
    worker->running = PyThread_allocate_lock();
    if (worker->workspace != NULL && worker->running != NULL) {
        PyThread_acquire_lock(worker->running, WAIT_LOCK);
        if (PyThread_start_new_thread(work, worker) != PYTHREAD_INVALID_THREAD_ID) {
            return true;
        }
        PyThread_release_lock(worker->running);
    }
    free(worker->workspace);
    if (worker->running != NULL) {
        PyThread_free_lock(worker->running);
    }
    return false;
}

/* Run all chunks on this thread and others. Return -1 with an exception. */
static int run_chunks(Chunks *chunks, double *workspace, size_t threads)
{
    Worker *workers = threads > 1 ? PyMem_Calloc(threads - 1, sizeof *workers) : NULL;
    chunks->lock = PyThread_allocate_lock();
    if (chunks->lock == NULL || (threads > 1 && workers == NULL)) {
        if (chunks->lock != NULL) {
            PyThread_free_lock(chunks->lock);
        }
        PyMem_Free(workers);
        PyErr_NoMemory();
        return -1;
    }
    size_t started = 0;
    while (started + 1 < threads && start_worker(&workers[started], chunks)) {
        started++;
    }
    InterruptCheck check = {PyEval_SaveThread(), NULL, 0, false};
    while (!check.raised && run_next_chunk(chunks, workspace, &check)) {
    }
    PyEval_RestoreThread(check.called);
    Py_BEGIN_ALLOW_THREADS
    PyThread_acquire_lock(chunks->lock, WAIT_LOCK);
    chunks->stop = check.raised; /* if false, the other threads finish their chunks */
    PyThread_release_lock(chunks->lock);
    for (size_t k = 0; k < started; k++) {
        PyThread_acquire_lock(workers[k].running, WAIT_LOCK);
        PyThread_release_lock(workers[k].running);
        PyThread_free_lock(workers[k].running);
        free(workers[k].workspace);
    }
    Py_END_ALLOW_THREADS
    PyThread_free_lock(chunks->lock);
    PyMem_Free(workers);
    return check.raised ? -1 : 0;
}

static int run_batch_in_chunks(Tape *tape, const Batch *batch, double *workspace, size_t size, size_t threads,
                               double *G)
{
    const size_t uniform = is_backward(batch) ? (size_t)tape->uniform_count : 0;
    Chunks chunks = {tape, batch, size, (batch->samples + size - 1) / size, 0, NULL, NULL, false, NULL};
    chunks.totals = PyMem_Calloc(chunks.count * uniform + 1, sizeof(double));
    chunks.fine = PyMem_Calloc(chunks.count, sizeof(bool));
    int status = -1;
    if (chunks.totals == NULL || chunks.fine == NULL) {
        PyErr_NoMemory();
    } else {
        status = run_chunks(&chunks, workspace, threads < chunks.count ? threads : chunks.count);
    }
    for (size_t k = 0; status == 0 && k < chunks.count; k++) {
        for (size_t slot = 0; chunks.fine[k] && slot < uniform; slot++) {
            G[slot] += chunks.totals[k * uniform + slot];
        }
    }
    PyMem_Free(chunks.totals);
    PyMem_Free(chunks.fine);
    return status;
}

int run_batch(Tape *tape, const Batch *batch, size_t threads, double *G)
{
    size_t room = workspace_size(tape, widest(batch->samples), is_backward(batch));
    double *workspace = take_workspace(tape, &room);
    if (workspace == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    const size_t smallest = (batch->samples / MOST_CHUNKS + BLOCK) / BLOCK * BLOCK;
    const size_t size = smallest > CHUNK ? smallest : CHUNK;
    int status = 0;
    if (batch->samples <= size) {
        InterruptCheck check = {PyEval_SaveThread(), NULL, 0, false};
        const bool fine = run_chunk(tape, batch, 0, batch->samples, workspace, G, &check);
        if (!fine && is_backward(batch)) {
            memset(G, 0, (size_t)tape->uniform_count * sizeof(double));
        }
        PyEval_RestoreThread(check.called);
        status = check.raised ? -1 : 0;
    } else {
        status = run_batch_in_chunks(tape, batch, workspace, size, threads, G);
    }
    give_workspace_back(tape, workspace, room);
    return status;
}
