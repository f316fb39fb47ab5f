/* The functions of elementary.h over arrays, compiled for several instruction sets, of which the best is chosen when
 * the program runs: wheels are built for the processors of 2003, which know 2 doubles at a time and no fused
 * multiply-add.
 *
 *     const ElementaryBlocks *blocks = find_elementary_blocks(NULL);   once, and kept
 *     blocks->exp(x, y, 64);                                           y[k] = exp(x[k])
 *
 * All variants give the same bits, of these functions; for sums of products see blocks.h. The choice is a table
 * that is filled once, and no `ifunc` or `target_clones`: the resolvers of those run before the sanitizers are there, and
 * neither musl nor macOS has them.
 */
#ifndef MICROGRUD_ELEMENTARY_BLOCKS_H
#define MICROGRUD_ELEMENTARY_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>

#include "ops/elementary.h"

/* The arrays must not overlap. The loops are fastest for multiples of 8 numbers. */
typedef void (*ElementaryBlock)(const double *x, double *y, size_t n);

#define ELEMENTARY_FUNCTIONS(F) F(exp) F(log) F(tanh) F(sigmoid) F(sin) F(cos)

typedef struct {
    const char *name;
#define MEMBER(function) ElementaryBlock function;
    ELEMENTARY_FUNCTIONS(MEMBER)
#undef MEMBER
} ElementaryBlocks;

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define ELEMENTARY_HAS_X86_VARIANTS 1
#endif

#ifdef ELEMENTARY_HAS_X86_VARIANTS
/* GCC takes vectors of 256 bits by itself, which take 1.3 times as long on a Zen 4; clang has no such attribute. */
#ifdef __clang__
#define ELEMENTARY_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#else
#define ELEMENTARY_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#endif
#define ELEMENTARY_NAME(name) block_##name##_avx512
#define ELEMENTARY_HAS_FMA true
#include "ops/elementary_body.h"

#define ELEMENTARY_TARGET __attribute__((target("avx2,fma")))
#define ELEMENTARY_NAME(name) block_##name##_avx2
#define ELEMENTARY_HAS_FMA true
#include "ops/elementary_body.h"
#endif

#define ELEMENTARY_TARGET
#define ELEMENTARY_NAME(name) block_##name##_baseline
#define ELEMENTARY_HAS_FMA BASELINE_HAS_FMA
#include "ops/elementary_body.h"

/* The best first; the last runs everywhere. */
static const ElementaryBlocks ELEMENTARY_VARIANTS[] = {
#ifdef ELEMENTARY_HAS_X86_VARIANTS
#define MEMBER(function) block_##function##_avx512,
    {"avx512", ELEMENTARY_FUNCTIONS(MEMBER)},
#undef MEMBER
#define MEMBER(function) block_##function##_avx2,
    {"avx2", ELEMENTARY_FUNCTIONS(MEMBER)},
#undef MEMBER
#endif
#define MEMBER(function) block_##function##_baseline,
    {"baseline", ELEMENTARY_FUNCTIONS(MEMBER)},
#undef MEMBER
};

enum { ELEMENTARY_VARIANT_COUNT = sizeof ELEMENTARY_VARIANTS / sizeof ELEMENTARY_VARIANTS[0] };

/* Tell whether the processor, and the system that saves its registers, can run a variant. */
static bool can_run(const ElementaryBlocks *variant)
{
#ifdef ELEMENTARY_HAS_X86_VARIANTS
    __builtin_cpu_init();
    bool has_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (strcmp(variant->name, "avx512") == 0) {
        return has_fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
    }
    if (strcmp(variant->name, "avx2") == 0) {
        return has_fma;
    }
#endif
    (void)variant;
    return true;
}

/* Return the best variant that runs here, or with a name that one; NULL if it does not run here or there is none. */
static const ElementaryBlocks *find_elementary_blocks(const char *name)
{
    for (size_t k = 0; k < ELEMENTARY_VARIANT_COUNT; k++) {
        const ElementaryBlocks *variant = &ELEMENTARY_VARIANTS[k];
        if ((name == NULL || strcmp(name, variant->name) == 0) && can_run(variant)) {
            return variant;
        }
    }
    return NULL;
}

#endif
