/* A program over blocks of samples, compiled for several instruction sets, and looks at single samples of a block.
 *
 * Each operation by itself gives the same bits in all variants (on one machine: some call its C library). Sums of
 * products are taken in one order in all of them, and each product is fused with the sum where there are fused
 * multiply-adds (FUSED and CONTRACTED in tape.h): so they have the same bits with AVX-512 and AVX2, and differ
 * in the last digits in the baseline of a processor without. That holds for blocks, and for CODE_DOT and CODE_WIDE_DOT,
 * which programs without a batch may have.
 */
#ifndef MICROGRUD_TAPE_BLOCKS_H
#define MICROGRUD_TAPE_BLOCKS_H

#include "tape/tape.h"

static inline double number_at(const Block *block, int32_t slot, size_t i)
{
    const int32_t uniform = block->tape->uniform_count;
    return slot < uniform ? block->U[slot] : block->V[(size_t)(slot - uniform) * BLOCK + i];
}

static inline double *adjoint_at(const Block *block, int32_t slot, size_t i)
{
    const int32_t uniform = block->tape->uniform_count;
    return slot < uniform ? block->G + slot : block->A + (size_t)(slot - uniform) * BLOCK + i;
}

static inline void gather(const Block *block, const int32_t *slots, size_t n, size_t i, double *room)
{
    for (size_t k = 0; k < n; k++) {
        room[k] = number_at(block, slots[k], i);
    }
}

/* The index has been checked against the number of items. */
static void forward_take(const Block *block, const int32_t *code)
{
    double *z = varying(block->tape, block->V, code[1]);
    for (size_t i = 0; i < block->width; i++) {
        z[i] = number_at(block, code[4 + (size_t)number_at(block, code[3], i)], i);
    }
}

static void backward_take(const Block *block, const int32_t *code)
{
    const double *g = varying(block->tape, block->A, code[1]);
    for (size_t i = 0; i < block->width; i++) {
        *adjoint_at(block, code[4 + (size_t)number_at(block, code[3], i)], i) += g[i];
    }
}

#ifdef ELEMENTARY_HAS_X86_VARIANTS
#ifdef __clang__
#define TAPE_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#else
#define TAPE_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#endif
#define TAPE_NAME(name) name##_avx512
#define TAPE_HAS_FMA true
#define TAPE_VECTORS 4
#include "tape/blocks_body.h"
#define TAPE_TARGET __attribute__((target("avx2,fma")))
#define TAPE_NAME(name) name##_avx2
#define TAPE_HAS_FMA true
#define TAPE_VECTORS 1
#include "tape/blocks_body.h"
#endif
#define TAPE_TARGET
#define TAPE_NAME(name) name##_baseline
#define TAPE_HAS_FMA BASELINE_HAS_FMA
#define TAPE_VECTORS 1
#include "tape/blocks_body.h"

/* Let a tape be run by the functions of a variant; return false if it does not run here. */
static bool choose_variant(Tape *tape, const char *variant)
{
    tape->elementary = find_elementary_blocks(variant);
    if (tape->elementary == NULL) {
        return false;
    }
    tape->forward = forward_block_baseline;
    tape->backward = backward_block_baseline;
    tape->check_guards = check_guards_baseline;
    tape->dot = dot_baseline;
    tape->forward_wide = forward_wide_baseline;
    tape->backward_wide = backward_wide_baseline;
    tape->forward_wide_linear = forward_wide_linear_baseline;
    tape->forward_wide_dot = forward_wide_dot_baseline;
    tape->spread = spread_baseline;
#ifdef ELEMENTARY_HAS_X86_VARIANTS
    if (strcmp(tape->elementary->name, "avx512") == 0) {
        tape->forward = forward_block_avx512;
        tape->backward = backward_block_avx512;
        tape->check_guards = check_guards_avx512;
        tape->dot = dot_avx512;
        tape->forward_wide = forward_wide_avx512;
        tape->backward_wide = backward_wide_avx512;
        tape->forward_wide_linear = forward_wide_linear_avx512;
        tape->forward_wide_dot = forward_wide_dot_avx512;
        tape->spread = spread_avx512;
    } else if (strcmp(tape->elementary->name, "avx2") == 0) {
        tape->forward = forward_block_avx2;
        tape->backward = backward_block_avx2;
        tape->check_guards = check_guards_avx2;
        tape->dot = dot_avx2;
        tape->forward_wide = forward_wide_avx2;
        tape->backward_wide = backward_wide_avx2;
        tape->forward_wide_linear = forward_wide_linear_avx2;
        tape->forward_wide_dot = forward_wide_dot_avx2;
        tape->spread = spread_avx2;
    }
#endif
    return true;
}

#endif
