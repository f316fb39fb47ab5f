/* The functions of elementary.h over arrays, compiled for several instruction sets. The best one is chosen when the
 * program runs: wheels are built for processors of 2003, which have vectors of 2 doubles and no fused multiply-add.
 *
 *      elementary_avx2.exp(x, y, 64);     y[k] = exp(x[k]); only if runs_here("avx2")
 *
 * For each instruction set there is a small file for each kind of loops: elementary_avx2.c for these,
 * tape/blocks_avx2.c for those of the interpreter. Each includes the settings of its set (ops/avx2.h) and its loops
 * (elementary_body.h).
 *
 * These functions give the same bits in all sets; for sums of products see tape/blocks.h. The choice is made through a
 * table, not through `ifunc` or `target_clones`: their resolvers run before the sanitizers are ready, and neither musl
 * nor macOS has them.
 */
#ifndef MICROGRUD_ELEMENTARY_BLOCKS_H
#define MICROGRUD_ELEMENTARY_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "ops/elementary.h"
#include "ops/kernels.h"

#define NOINLINE __attribute__((noinline))

/* The arrays must not overlap. The loops are fastest for multiples of 8 numbers. */
typedef void (*ElementaryBlock)(const double *x, double *y, size_t n);

#define ELEMENTARY_FUNCTIONS(F) F(exp) F(log) F(tanh) F(sigmoid) F(sin) F(cos)

typedef struct {
    const char *name; /* of the instruction set */
#define MEMBER(function) ElementaryBlock function;
    ELEMENTARY_FUNCTIONS(MEMBER)
#undef MEMBER
    void (*tanh_and_slope)(const double *x, double *z, double *slope, size_t n);
} ElementaryBlocks;

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define HAS_X86_SETS 1
/* X(set): the best first; the last runs everywhere. */
#define INSTRUCTION_SETS(X) X(avx512) X(avx2) X(baseline)
#else
#define INSTRUCTION_SETS(X) X(baseline)
#endif

#define DECLARE(set) INTERNAL extern const ElementaryBlocks elementary_##set;
INSTRUCTION_SETS(DECLARE)
#undef DECLARE

/* Tell whether the processor, and the system that saves its registers, can run an instruction set. */
static inline bool runs_here(const char *set)
{
#ifdef HAS_X86_SETS
    __builtin_cpu_init();
    const bool has_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (strcmp(set, "avx512") == 0) {
        return has_fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
    }
    if (strcmp(set, "avx2") == 0) {
        return has_fma;
    }
#endif
    return strcmp(set, "baseline") == 0;
}

#endif
