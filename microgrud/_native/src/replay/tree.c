#include "replay/tree.h"
#include "replay/arguments.h"

/* --- begin and end a call --- */

static int no_memory(void)
{
    PyErr_NoMemory();
    return -1;
}

int begin_call(Call *call, const Tree *tree, PyObject *args, const double *weights)
{
    call->tree = tree;
    call->outputs = NULL;
    call->weights = weights;
    call->leaves = NULL;
    call->places = NULL;
    call->slopes_only = false;
    call->begun = 0;
    while (call->begun < tree->count) {
        Replay *replay = tree->replays[call->begun];
        Frame *frame = take_frame(replay);
        if (frame == NULL) {
            return -1;
        }
        call->frames[call->begun++] = frame;
        frame->status_of_all = NOT_BEGUN;
        frame->has_sums = false;
        frame->lenient = tree->count > 1;
        memset(frame->gradients, 0, replay->tapes->batch.inputs * sizeof(GradientColumn));
        const int status = read_arguments(replay, frame, args);
        if (status != 1) {
            return status;
        }
    }
    call->samples = call->frames[0]->samples < 0 ? 1 : (size_t)call->frames[0]->samples;
    if (tree->count == 1) {
        return 1;
    }
    if (call->samples > INT32_MAX) {
        return 0;
    }
    call->outputs = PyMem_Malloc((tree->replays[0]->tapes->outputs * call->samples + 1) * sizeof(double));
    return call->outputs == NULL ? no_memory() : 1;
}

void end_call(Call *call)
{
    for (size_t p = 0; p < call->begun; p++) {
        give_frame_back(call->tree->replays[p], call->frames[p]);
    }
    PyMem_Free(call->outputs);
}

/* Release the GIL for a pass over a program, unless that takes less time than the release itself, 30 ns. */
static PyThreadState *release_for(const Tape *tape)
{
    return tape->length > 64 ? PyEval_SaveThread() : NULL;
}

static void take_again(PyThreadState *state)
{
    if (state != NULL) {
        PyEval_RestoreThread(state);
    }
}

size_t leaves_before(const Tree *tree, size_t p)
{
    size_t count = 0;
    for (size_t q = 0; q < p; q++) {
        count += tree->replays[q]->leaf_count;
    }
    return count;
}

/* Run the program of uniform slots, before the first sample needs this replay. */
static void begin_replay(const Call *call, size_t p)
{
    const Replay *replay = call->tree->replays[p];
    Frame *frame = call->frames[p];
    const size_t before = call->leaves == NULL ? 0 : leaves_before(call->tree, p);
    for (size_t k = 0; k < replay->leaf_count; k++) {
        const uint64_t place = call->places == NULL ? before + k : (uint64_t)call->places[before + k];
        const bool given = call->leaves != NULL && place < call->length;
        frame->U[replay->leaf_slots[k]] = given ? call->leaves[place] : *number_of_leaf(replay, k, replay->data_offset);
    }
    PyThreadState *state = release_for(&replay->tapes->uniform);
    frame->status_of_all = forward_uniform(replay->tapes, frame->U, frame->G, frame->scratch, replay->ignore);
    if (call->weights != NULL) {
        clear_uniform_adjoints(&replay->tapes->uniform, frame->G);
    }
    take_again(state);
}

/* --- run samples with one replay --- */

static double each_of(const Call *call)
{
    return call->tree->replays[0]->mean ? 1.0 / (double)call->samples : 1.0;
}

/* Run the rows of the batch at `rows`; NULL stands for all. With `backward`, add the sums of their derivatives to those
 * of the replay. */
static int run_rows(const Call *call, size_t p, const int32_t *rows, size_t count, bool backward)
{
    const Replay *replay = call->tree->replays[p];
    Tapes *tapes = replay->tapes;
    Frame *frame = call->frames[p];
    const size_t uniform = (size_t)tapes->uniform.uniform_count;
    if (reserve_samples(replay, frame, count, !call->slopes_only) < 0) {
        return -1;
    }
    if (tapes->batch.varying_count == 0) {
        memset(frame->status, 0, count * sizeof *frame->status);
        return 0;
    }
    size_t varying_outputs = 0;
    for (size_t k = 0; k < tapes->outputs && backward; k++) {
        if (tapes->output_slots[k] >= tapes->uniform.uniform_count) {
            frame->weights[varying_outputs++] = call->weights[k] * each_of(call);
        }
    }
    double *before = NULL; /* the sums of earlier samples; a batch begins with zeros */
    if (backward && frame->has_sums) {
        before = PyMem_Malloc(uniform * sizeof *before);
        if (before == NULL) {
            return no_memory();
        }
        memcpy(before, frame->G, uniform * sizeof *before);
        memset(frame->G, 0, uniform * sizeof *before);
    }
    const Batch batch = {.rows = rows, .inputs = frame->columns, .gradients = frame->gradients, .U = frame->U,
                         .weights = backward ? frame->weights : NULL, .outputs = call->slopes_only ? NULL : frame->outputs,
                         .status = frame->status, .samples = count, .ignore = replay->ignore};
    const int status = run_batch(backward ? &tapes->batch : tapes->forward, &batch, replay->threads, frame->G);
    for (size_t k = 0; k < uniform && before != NULL; k++) {
        frame->G[k] += before[k];
    }
    PyMem_Free(before);
    frame->has_sums = true;
    return status;
}

static size_t count_done(const Frame *frame, size_t count)
{
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        done += frame->status[i] == DONE;
    }
    return done;
}

/* Write the outputs of the samples that are DONE, and give outputs in uniform slots their adjoints. */
static void take_outputs(const Call *call, size_t p, const int32_t *rows, size_t count, size_t done)
{
    const Tapes *tapes = call->tree->replays[p]->tapes;
    const Frame *frame = call->frames[p];
    const double *varying_row = frame->outputs;
    for (size_t k = 0; k < tapes->outputs; k++) {
        const int32_t slot = tapes->output_slots[k];
        const bool varies = slot >= tapes->uniform.uniform_count;
        for (size_t i = 0; i < count && call->outputs != NULL; i++) {
            if (frame->status[i] == DONE) {
                call->outputs[k * call->samples + (size_t)rows[i]] = varies ? varying_row[i] : frame->U[slot];
            }
        }
        if (varies && call->outputs != NULL) {
            varying_row += count;
        } else if (!varies && call->weights != NULL) {
            const double weight = call->weights[k] * each_of(call);
            frame->G[slot] += sum_in_order(&weight, 0, done);
        }
    }
}

/* --- descend the tree --- */

static int run_group(const Call *call, const int32_t *rows, size_t count, const uint8_t *candidates);

/* Tell whether samples that leave a replay at a guard may continue with another: all earlier guards have the
 * same outcomes in both, and this guard has different ones. */
static bool may_continue(const Tapes *tapes, const Tapes *left, size_t number)
{
    return tapes->guard_count + tapes->batch.guards >= number &&
           memcmp(tapes->outcomes, left->outcomes, number - 1) == 0 &&
           tapes->outcomes[number - 1] != left->outcomes[number - 1];
}

/* Run samples that leave a replay at a guard by the replays that they may continue with. */
static int run_leaving(const Call *call, size_t p, size_t number, const int32_t *rows, size_t count,
                       const uint8_t *candidates)
{
    uint8_t others[MOST_REPLAYS];
    for (size_t q = 0; q < call->tree->count; q++) {
        others[q] = q != p && candidates[q] &&
                    (number == 0 || may_continue(call->tree->replays[q]->tapes, call->tree->replays[p]->tapes, number));
    }
    return run_group(call, rows, count, others);
}

/* Return 1 if a replay holds for the integers in a row of the batches, 0 if not, and -1 for an index outside of its
 * table. */
static int fits_row(const Replay *replay, const Frame *frame, int32_t row)
{
    for (size_t k = 0; k < replay->part_count; k++) {
        const ArgumentPart *part = &replay->parts[k];
        for (size_t j = 0; part->kind == BATCH_OF_INTEGERS && j < part->count; j++) {
            const IntegerRule *rule = &replay->integers[part->first + j];
            if (!rule->fixed && rule->limit < 0) {
                continue;
            }
            const int64_t number = frame->batches[k][(size_t)row * part->count + j];
            if (!fits_rule(rule, number)) {
                return 0;
            }
            if (!is_within(rule, number)) {
                return -1;
            }
        }
    }
    return 1;
}

/* Sort the samples that are not DONE by status: LEFT first, and from bounds[k] on those that fail guard k. Return false
 * if a sample is SUSPICIOUS. */
static bool sort_by_status(const Frame *frame, const int32_t *rows, size_t count, size_t guards, int32_t *sorted,
                           size_t *bounds)
{
    memset(bounds, 0, (guards + 2) * sizeof *bounds);
    for (size_t i = 0; i < count; i++) {
        const int32_t status = frame->status[i];
        if (status == SUSPICIOUS) {
            return false;
        }
        if (status != DONE) {
            bounds[(status > 0 ? status : 0) + 1]++;
        }
    }
    for (size_t k = 1; k < guards + 2; k++) {
        bounds[k] += bounds[k - 1];
    }
    for (size_t i = 0; i < count; i++) {
        const int32_t status = frame->status[i];
        if (status != DONE) {
            sorted[bounds[status > 0 ? status : 0]++] = rows[i];
        }
    }
    for (size_t k = guards + 1; k > 0; k--) { /* each bound has moved to the beginning of the next */
        bounds[k] = bounds[k - 1];
    }
    bounds[0] = 0;
    return true;
}

/* Run again, with replay p, the samples that were LEFT because of others in their batch: now all must be DONE. */
static int run_left(const Call *call, size_t p, const int32_t *rows, size_t count)
{
    if (run_rows(call, p, rows, count, true) < 0) {
        return -1;
    }
    if (count_done(call->frames[p], count) < count) {
        return 0;
    }
    take_outputs(call, p, rows, count, count);
    return 1;
}

/* Run samples with replay p; run the samples that leave it with other replays. */
static int run_fitting(const Call *call, size_t p, const int32_t *rows, size_t count, const uint8_t *candidates)
{
    const Tapes *tapes = call->tree->replays[p]->tapes;
    const Frame *frame = call->frames[p];
    if (frame->status_of_all == NOT_BEGUN) {
        begin_replay(call, p);
    }
    if (frame->status_of_all == SUSPICIOUS) {
        return 0;
    }
    if (frame->status_of_all > 0) {
        return run_leaving(call, p, (size_t)frame->status_of_all, rows, count, candidates);
    }
    if (run_rows(call, p, rows, count, call->weights != NULL) < 0) {
        return -1;
    }
    const size_t done = count_done(frame, count);
    if (done == count) {
        take_outputs(call, p, rows, count, done);
        return 1;
    }
    if (call->tree->count == 1) {
        return 0;
    }
    const size_t guards = tapes->batch.guards;
    int32_t *sorted = PyMem_Malloc(count * sizeof *sorted);
    size_t *bounds = PyMem_Malloc((guards + 2) * sizeof *bounds);
    int status = sorted == NULL || bounds == NULL ? no_memory() : 1;
    if (status == 1 && !sort_by_status(frame, rows, count, guards, sorted, bounds)) {
        status = 0;
    }
    if (status == 1) {
        take_outputs(call, p, rows, count, done);
        status = bounds[1] > 0 ? run_left(call, p, sorted, bounds[1]) : 1;
    }
    for (size_t k = 1; k <= guards && status == 1; k++) {
        const size_t some = bounds[k + 1] - bounds[k];
        if (some > 0) {
            const size_t number = (size_t)tapes->guard_numbers[tapes->guard_count + k - 1];
            status = run_leaving(call, p, number, sorted + bounds[k], some, candidates);
        }
    }
    PyMem_Free(sorted);
    PyMem_Free(bounds);
    return status;
}

/* Run samples (NULL: all) with the first candidate that fits their integers, and the remaining samples with the other
 * candidates. */
static int run_group(const Call *call, const int32_t *rows, size_t count, const uint8_t *candidates)
{
    size_t p = 0;
    while (p < call->tree->count && !candidates[p]) {
        p++;
    }
    if (p == call->tree->count) {
        return 0;
    }
    const Replay *replay = call->tree->replays[p];
    const Frame *frame = call->frames[p];
    if (frame->unfit) {
        return run_leaving(call, p, 0, rows, count, candidates);
    }
    int32_t *split = PyMem_Malloc((count + 1) * sizeof *split);
    if (split == NULL) {
        return no_memory();
    }
    size_t fitting = 0, others = count; /* filled from the end */
    int status = 1;
    for (size_t i = 0; i < count && status == 1; i++) {
        const int32_t row = rows == NULL ? (int32_t)i : rows[i];
        const int fits = fits_row(replay, frame, row);
        status = fits < 0 ? 0 : 1;
        split[fits == 1 ? fitting++ : --others] = row;
    }
    for (size_t i = others, j = count; status == 1 && i + 1 < j; i++) { /* restore their order */
        const int32_t row = split[i];
        split[i] = split[--j];
        split[j] = row;
    }
    if (status == 1 && fitting > 0) {
        status = run_fitting(call, p, split, fitting, candidates);
    }
    if (status == 1 && fitting < count) {
        status = run_leaving(call, p, 0, split + fitting, count - fitting, candidates);
    }
    PyMem_Free(split);
    return status;
}

int run_call(const Call *call)
{
    uint8_t all[MOST_REPLAYS];
    memset(all, 1, call->tree->count);
    int status = call->tree->count == 1 ? run_fitting(call, 0, NULL, call->samples, all)
                                        : run_group(call, NULL, call->samples, all);
    for (size_t p = 0; p < call->tree->count && status == 1 && call->weights != NULL; p++) {
        const Replay *replay = call->tree->replays[p];
        const Tape *uniform = &replay->tapes->uniform;
        Frame *frame = call->frames[p];
        if (frame->status_of_all == DONE) {
            PyThreadState *state = release_for(uniform);
            backward_uniform(uniform, frame->U, frame->G, frame->scratch);
            status = replay->ignore || uniform_adjoints_are_finite(uniform, frame->G);
            take_again(state);
        }
    }
    return status;
}
