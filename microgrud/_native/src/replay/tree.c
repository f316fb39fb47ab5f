/* A tree of recordings for arguments of one structure. Each sample is run by the recording whose branches it takes.
 *
 * Recordings share the branches before the one at which they part. So a sample that fails a guard of one recording is
 * tried only by recordings that agree with it up to this guard, and have the other outcome there. Like a replay, a tree
 * returns NotImplemented for whatever it cannot do: a sample that no recording holds for, or a number that is not
 * finite. tape/evaluation.py does the same in Python, and then takes over: 10,000 paths of an option that may end at 24
 * times took 43 ms there, and 2.3 here.
 */
#include "replay/replay.h"

/* The state of a call. */
typedef struct {
    const Tree *tree;
    Frame **frames;    /* for each replay */
    /* for each replay: NOT_BEGUN, NOT_FINITE, 0, or the number of a guard that fails for all samples */
    int32_t *failed;
    size_t samples;
    double *outputs; /* a row for each output */
    double *scratch; /* the adjoints of a run */
    const double *weights;
} TreeRun;

enum { NOT_BEGUN = -2, NOT_FINITE = -1 };

/* --- begin and end a call --- */

static void end_run(TreeRun *run)
{
    for (size_t p = 0; p < run->tree->count && run->frames != NULL; p++) {
        if (run->frames[p] != NULL) {
            run->frames[p]->lenient = false;
            give_frame_back(run->tree->replays[p], run->frames[p]);
        }
    }
    PyMem_Free(run->frames);
    PyMem_Free(run->failed);
    PyMem_Free(run->outputs);
    PyMem_Free(run->scratch);
}

static int no_memory(void)
{
    PyErr_NoMemory();
    return -1;
}

/* Read the arguments for each replay. */
static int begin_run(TreeRun *run, const Tree *tree, PyObject *args, const double *weights)
{
    memset(run, 0, sizeof *run);
    run->tree = tree;
    run->weights = weights;
    run->frames = PyMem_Calloc(tree->count, sizeof *run->frames);
    run->failed = PyMem_Calloc(tree->count, sizeof *run->failed);
    if (run->frames == NULL || run->failed == NULL) {
        return no_memory();
    }
    size_t most = 0;
    for (size_t p = 0; p < tree->count; p++) {
        Replay *replay = tree->replays[p];
        run->failed[p] = NOT_BEGUN;
        run->frames[p] = take_frame(replay);
        if (run->frames[p] == NULL) {
            return -1;
        }
        run->frames[p]->lenient = true;
        memset(run->frames[p]->gradients, 0, replay->batch->inputs * sizeof(GradientColumn));
        memset(run->frames[p]->arrays, 0, replay->part_count * sizeof(double *));
        const int status = read_arguments(replay, run->frames[p], args);
        if (status != 1) {
            return status;
        }
        most = (size_t)replay->uniform->uniform_count > most ? (size_t)replay->uniform->uniform_count : most;
    }
    run->samples = run->frames[0]->samples < 0 ? 1 : (size_t)run->frames[0]->samples;
    if (run->samples > INT32_MAX) {
        return 0;
    }
    run->outputs = PyMem_Malloc((tree->replays[0]->output_count * run->samples + 1) * sizeof(double));
    run->scratch = PyMem_Malloc((most + 1) * sizeof(double));
    return run->outputs == NULL || run->scratch == NULL ? no_memory() : 1;
}

/* Run the program of uniform slots, before the first sample needs this replay. */
static void begin_replay(TreeRun *run, size_t p)
{
    const Replay *replay = run->tree->replays[p];
    Frame *frame = run->frames[p];
    for (size_t k = 0; k < replay->leaf_count; k++) {
        frame->U[replay->leaf_slots[k]] = *number_of_leaf(replay, k, replay->data_offset);
    }
    bool fine;
    Py_BEGIN_ALLOW_THREADS
    fine = forward_uniform(replay->uniform, frame->U, frame->scratch) || replay->ignore;
    Py_END_ALLOW_THREADS
    run->failed[p] = fine ? 0 : NOT_FINITE;
    for (size_t k = 0; k < replay->guard_count; k++) {
        const Guard *guard = &replay->guards[k];
        if (!holds(guard, frame->U[guard->x], frame->U[guard->y])) {
            run->failed[p] = replay->guard_numbers[k];
            break;
        }
    }
    memset(frame->G, 0, (size_t)replay->uniform->uniform_count * sizeof(double));
}

/* --- run samples with one replay --- */

static double each_of(const TreeRun *run)
{
    return run->tree->replays[0]->mean ? 1.0 / (double)run->samples : 1.0;
}

/* Run some rows of the batch; with `backward` add the sums of their derivatives to those of the replay. */
static int run_rows(TreeRun *run, size_t p, const int32_t *rows, size_t count, bool backward)
{
    const Replay *replay = run->tree->replays[p];
    Frame *frame = run->frames[p];
    const size_t uniform = (size_t)replay->uniform->uniform_count;
    if (reserve_samples(replay, frame, count) < 0) {
        return -1;
    }
    if (replay->batch->varying_count == 0) {
        memset(frame->status, 0, count * sizeof *frame->status);
        return 0;
    }
    size_t varying_outputs = 0;
    for (size_t k = 0; k < replay->output_count && backward; k++) {
        if (replay->output_slots[k] >= replay->uniform->uniform_count) {
            frame->weights[varying_outputs++] = run->weights[k] * each_of(run);
        }
    }
    memset(run->scratch, 0, uniform * sizeof(double));
    const Batch batch = {rows, frame->columns, frame->gradients, frame->U, NULL, backward ? frame->weights : NULL,
                         frame->outputs, frame->status, count, replay->ignore};
    if (run_batch(backward ? replay->batch : replay->forward, &batch, replay->threads, run->scratch) < 0) {
        return -1;
    }
    for (size_t k = 0; k < uniform && backward; k++) {
        frame->G[k] += run->scratch[k];
    }
    return 0;
}

/* Write the outputs of the samples that are DONE, and give outputs in uniform slots their adjoints. */
static void take_outputs(TreeRun *run, size_t p, const int32_t *rows, size_t count)
{
    const Replay *replay = run->tree->replays[p];
    const Frame *frame = run->frames[p];
    const double *varying_row = frame->outputs;
    for (size_t k = 0; k < replay->output_count; k++) {
        const int32_t slot = replay->output_slots[k];
        const bool varies = slot >= replay->uniform->uniform_count;
        double *to = run->outputs + k * run->samples;
        size_t done = 0;
        for (size_t i = 0; i < count; i++) {
            if (frame->status[i] == DONE) {
                to[rows[i]] = varies ? varying_row[i] : frame->U[slot];
                done++;
            }
        }
        if (varies) {
            varying_row += count;
        } else if (run->weights != NULL) {
            const double weight = run->weights[k] * each_of(run);
            frame->G[slot] += sum_in_order(&weight, 0, done);
        }
    }
}

/* --- descend the tree --- */

static int run_group(TreeRun *run, const int32_t *rows, size_t count, const uint8_t *candidates);

/* Tell whether samples that leave a replay at a guard may continue with another: all earlier guards have the
 * same outcomes in both, and this guard has different ones. */
static bool may_continue(const Replay *replay, const Replay *left, size_t number)
{
    return replay->outcome_count >= number && memcmp(replay->outcomes, left->outcomes, number - 1) == 0 &&
           replay->outcomes[number - 1] != left->outcomes[number - 1];
}

/* Run samples that leave a replay at a guard by the replays that they may continue with. */
static int run_leaving(TreeRun *run, size_t p, size_t number, const int32_t *rows, size_t count,
                       const uint8_t *candidates)
{
    uint8_t others[MOST_REPLAYS];
    for (size_t q = 0; q < run->tree->count; q++) {
        others[q] = q != p && candidates[q] &&
                    (number == 0 || may_continue(run->tree->replays[q], run->tree->replays[p], number));
    }
    return run_group(run, rows, count, others);
}

/* Tell whether a replay holds for the integers in a row of the batches; -1 for an index outside of its table. */
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
static int run_left(TreeRun *run, size_t p, const int32_t *rows, size_t count)
{
    if (run_rows(run, p, rows, count, true) < 0) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (run->frames[p]->status[i] != DONE) {
            return 0;
        }
    }
    take_outputs(run, p, rows, count);
    return 1;
}

/* Run samples with replay p; run the samples that leave it with other replays. */
static int run_fitting(TreeRun *run, size_t p, const int32_t *rows, size_t count, const uint8_t *candidates)
{
    const Replay *replay = run->tree->replays[p];
    if (run->failed[p] == NOT_BEGUN) {
        begin_replay(run, p);
    }
    if (run->failed[p] == NOT_FINITE) {
        return 0;
    }
    if (run->failed[p] > 0) {
        return run_leaving(run, p, (size_t)run->failed[p], rows, count, candidates);
    }
    if (run_rows(run, p, rows, count, run->weights != NULL) < 0) {
        return -1;
    }
    const size_t guards = replay->batch->guards;
    int32_t *sorted = PyMem_Malloc(count * sizeof *sorted);
    size_t *bounds = PyMem_Malloc((guards + 2) * sizeof *bounds);
    int status = sorted == NULL || bounds == NULL ? no_memory() : 1;
    if (status == 1 && !sort_by_status(run->frames[p], rows, count, guards, sorted, bounds)) {
        status = 0;
    }
    if (status == 1) {
        take_outputs(run, p, rows, count);
        status = bounds[1] > 0 ? run_left(run, p, sorted, bounds[1]) : 1;
    }
    for (size_t k = 1; k <= guards && status == 1; k++) {
        const size_t some = bounds[k + 1] - bounds[k];
        if (some > 0) {
            const size_t number = (size_t)replay->guard_numbers[replay->guard_count + k - 1];
            status = run_leaving(run, p, number, sorted + bounds[k], some, candidates);
        }
    }
    PyMem_Free(sorted);
    PyMem_Free(bounds);
    return status;
}

/* Run samples by the first candidate that holds for their integers, and the rest by the other candidates. */
static int run_group(TreeRun *run, const int32_t *rows, size_t count, const uint8_t *candidates)
{
    size_t p = 0;
    while (p < run->tree->count && !candidates[p]) {
        p++;
    }
    if (p == run->tree->count) {
        return 0;
    }
    const Replay *replay = run->tree->replays[p];
    const Frame *frame = run->frames[p];
    if (frame->unfit) {
        return run_leaving(run, p, 0, rows, count, candidates);
    }
    int32_t *split = PyMem_Malloc((count + 1) * sizeof *split);
    if (split == NULL) {
        return no_memory();
    }
    size_t fitting = 0, others = count; /* filled from the end */
    int status = 1;
    for (size_t i = 0; i < count && status == 1; i++) {
        const int fits = fits_row(replay, frame, rows[i]);
        status = fits < 0 ? 0 : 1;
        split[fits == 1 ? fitting++ : --others] = rows[i];
    }
    for (size_t i = others, j = count; status == 1 && i + 1 < j; i++) { /* restore their order */
        const int32_t row = split[i];
        split[i] = split[--j];
        split[j] = row;
    }
    if (status == 1 && fitting > 0) {
        status = run_fitting(run, p, split, fitting, candidates);
    }
    if (status == 1 && fitting < count) {
        status = run_leaving(run, p, 0, split + fitting, count - fitting, candidates);
    }
    PyMem_Free(split);
    return status;
}

/* Run all samples, and then the backward passes over uniform slots. */
static int run_tree(TreeRun *run)
{
    uint8_t all[MOST_REPLAYS];
    memset(all, 1, sizeof all);
    int32_t *rows = PyMem_Malloc(run->samples * sizeof *rows);
    if (rows == NULL) {
        return no_memory();
    }
    for (size_t i = 0; i < run->samples; i++) {
        rows[i] = (int32_t)i;
    }
    int status = run_group(run, rows, run->samples, all);
    PyMem_Free(rows);
    for (size_t p = 0; p < run->tree->count && status == 1 && run->weights != NULL; p++) {
        const Replay *replay = run->tree->replays[p];
        if (run->failed[p] == 0) {
            Frame *frame = run->frames[p];
            Py_BEGIN_ALLOW_THREADS
            backward_uniform(replay->uniform, frame->U, frame->G, frame->scratch);
            status = replay->ignore || all_finite(frame->G, (size_t)replay->uniform->uniform_count);
            Py_END_ALLOW_THREADS
        }
    }
    return status;
}

/* --- results --- */

static PyObject *tree_output(const TreeRun *run, size_t k)
{
    const double sum = sum_in_order(run->outputs + k * run->samples, 1, run->samples);
    return PyFloat_FromDouble(run->tree->replays[0]->mean ? sum / (double)run->samples : sum);
}

/* values(args): return the outputs, or NotImplemented. */
PyObject *tree_values(PyObject *self, PyObject *args)
{
    const Tree *tree = (Tree *)self;
    TreeRun run;
    int status = begin_run(&run, tree, args, NULL);
    status = status == 1 ? run_tree(&run) : status;
    PyObject *values = NULL;
    if (status == 1) {
        const Py_ssize_t count = (Py_ssize_t)tree->replays[0]->output_count;
        values = PyList_New(count);
        for (Py_ssize_t k = 0; values != NULL && k < count; k++) {
            PyObject *output = tree_output(&run, (size_t)k);
            if (output == NULL) {
                Py_CLEAR(values);
            } else {
                PyList_SET_ITEM(values, k, output);
            }
        }
    } else {
        values = not_implemented_unless_error(status);
    }
    end_run(&run);
    return values;
}

/* backward(args): return the only output, and add its derivatives to `grad` of the leaves; or return NotImplemented. */
PyObject *tree_backward(PyObject *self, PyObject *args)
{
    const Tree *tree = (Tree *)self;
    if (tree->replays[0]->output_count != 1) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    const double weight = 1.0;
    TreeRun run;
    int status = begin_run(&run, tree, args, &weight);
    status = status == 1 ? run_tree(&run) : status;
    PyObject *value = status == 1 ? tree_output(&run, 0) : not_implemented_unless_error(status);
    for (size_t p = 0; status == 1 && value != NULL && p < tree->count; p++) {
        const Replay *replay = tree->replays[p];
        for (size_t k = 0; run.failed[p] == 0 && k < replay->leaf_count; k++) {
            *number_of_leaf(replay, k, replay->grad_offset) += run.frames[p]->G[replay->leaf_slots[k]];
        }
    }
    end_run(&run);
    return value;
}

/* Write the derivatives with respect to batches to the arrays of the first replay. */
static void direct_as_first(TreeRun *run, size_t p)
{
    const Replay *replay = run->tree->replays[p];
    for (size_t k = 0; k < replay->part_count; k++) {
        if (run->frames[0]->arrays[k] != NULL) {
            direct_gradients(replay, run->frames[p], &replay->parts[k], run->frames[0]->arrays[k]);
        }
    }
}

/* Return the sums, over all replays, of the derivatives with respect to the numbers outside of batches; NULL with an
 * exception on error. */
static double *sums_of_gradients(const TreeRun *run)
{
    const Replay *first = run->tree->replays[0];
    double *sums = PyMem_Calloc(first->number_count + 1, sizeof *sums);
    if (sums == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (size_t k = 0; k < first->part_count; k++) {
        const ArgumentPart *part = &first->parts[k];
        const bool numbers = !is_nested(part->kind) && !is_integer(part->kind) && !is_batch(part->kind);
        for (size_t j = 0; numbers && j < part->count; j++) {
            const size_t place = part->first + j;
            for (size_t p = 0; p < run->tree->count; p++) {
                sums[place] += run->failed[p] == 0 ? gradient_at(run->tree->replays[p], run->frames[p], place) : 0.0;
            }
        }
    }
    return sums;
}

/* gradients(args, positions, weights): like `Replay.gradients`. */
PyObject *tree_gradients(PyObject *self, PyObject *arguments)
{
    const Tree *tree = (Tree *)self;
    PyObject *args, *positions, *weights_object;
    if (!PyArg_ParseTuple(arguments, "O!O!O:gradients", &PyTuple_Type, &args, &PyTuple_Type, &positions,
                          &weights_object)) {
        return NULL;
    }
    Py_buffer view;
    const double *weights = read_weights(tree->replays[0], weights_object, &view);
    PyObject *result = NULL, *gradients = NULL;
    TreeRun run;
    int status = weights == NULL ? 0 : begin_run(&run, tree, args, weights);
    if (status == 1) {
        gradients = prepare_gradients(tree->replays[0], run.frames[0], positions);
        status = gradients != NULL ? 1 : PyErr_Occurred() ? -1 : 0;
    }
    for (size_t p = 1; status == 1 && p < tree->count; p++) {
        direct_as_first(&run, p);
    }
    status = status == 1 ? run_tree(&run) : status;
    if (status == 1) {
        double *sums = sums_of_gradients(&run);
        run.frames[0]->number_gradients = sums;
        status = sums == NULL || finish_gradients(tree->replays[0], run.frames[0], positions, gradients) < 0 ? -1 : 1;
        run.frames[0]->number_gradients = NULL;
        PyMem_Free(sums);
    }
    if (status == 1) {
        PyObject *value = tree->replays[0]->output_count > 0 ? tree_output(&run, 0) : Py_NewRef(Py_None);
        result = value == NULL ? NULL : PyTuple_Pack(2, value, gradients);
        Py_XDECREF(value);
    } else {
        result = not_implemented_unless_error(status);
    }
    Py_XDECREF(gradients);
    if (weights != NULL) {
        end_run(&run);
    }
    if (view.obj != NULL) {
        PyBuffer_Release(&view);
    }
    return result;
}
