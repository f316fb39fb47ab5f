/* A program over blocks of samples, compiled for several instruction sets.
 *
 * Each operation by itself gives the same bits in all sets on one machine; some operations call the machine's C
 * library. All sets take sums of products in the same order. Each product is fused with the sum if the set has fused
 * multiply-adds (FUSED and CONTRACTED below). So these sums have the same bits with AVX-512 and AVX2, and differ in the
 * last digits in a baseline without fused multiply-adds. That holds for blocks, and for CODE_DOT and CODE_WIDE_DOT,
 * which programs without a batch may have.
 */
#ifndef MICROGRUD_BLOCKS_H
#define MICROGRUD_BLOCKS_H

#include "ops/elementary_blocks.h"
#include "tape/tape.h"

/* The number of samples in a block. A small network takes 8 % longer with half as many, because instructions are
 * decoded more often, and with four times as many, because their numbers do not fit in the cache. */
#define BLOCK 128
#define ALIGNED __attribute__((aligned(64)))

#ifdef __clang__
#define CONTRACTED __attribute__((noinline))
#define PRAGMA_CONTRACTED _Pragma("clang fp contract(fast)")
#else
/* The compiler fuses products and sums only in functions with this attribute, and in code inlined into them; other code
 * asks for a fused multiply-add with FUSED. */
#define CONTRACTED __attribute__((optimize("fp-contract=fast"), noinline))
#define PRAGMA_CONTRACTED
#endif

/* 8 numbers at any address. */
typedef double LooseVec __attribute__((vector_size(64), aligned(8), may_alias));

/* 8 numbers at an aligned address; where registers are shorter, the compiler uses several of them. */
typedef double Vec __attribute__((vector_size(64), aligned(64), may_alias));

#define load(p) (*(const Vec *)(p))
#define store(p, v) (*(Vec *)(p) = (v))
#define FUSED(x, y, z, has_fma) ((has_fma) ? __builtin_fma((x), (y), (z)) : (x) * (y) + (z))

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(x, y, ...) __builtin_shufflevector((x), (y), __VA_ARGS__)
#else
typedef int64_t Indices __attribute__((vector_size(64)));
#define SHUFFLE(x, y, ...) __builtin_shuffle((x), (y), (Indices){__VA_ARGS__})
#endif

#define total(v) ((((v)[0] + (v)[1]) + ((v)[2] + (v)[3])) + (((v)[4] + (v)[5]) + ((v)[6] + (v)[7])))

/* A block of samples. V holds `width` numbers of each varying slot, A their adjoints; U and G are the numbers and the
 * adjoints of uniform slots. The width is a multiple of 8, and at most BLOCK. Slots are as far apart as they are wide:
 * in a narrow block whose slots were BLOCK numbers apart, the nearest cache would find a place for only 32 of them. */
typedef struct {
    const Tape *tape;
    size_t width;
    double *V, *A;
    const double *U;
    double *G;
    double *scratch;    /* for operations over sequences */
    /* NaN for a sample with a number that is not finite, for which the eager program may have raised */
    double *suspicious;
    int32_t unwanted; /* so many varying slots, the first ones, are inputs whose adjoints are not wanted */
} Block;

/* The loops for one instruction set. */
struct Blocks {
    const char *set;
    void (*forward)(const Block *);
    void (*backward)(const Block *);
    void (*check_guards)(const Block *, double *);
    /* for programs without a batch */
    bool (*forward_wide)(const int32_t *, double *);
    void (*backward_wide)(const int32_t *, const double *, double *);
    bool (*forward_wide_linear)(const int32_t *, double *);
    void (*backward_wide_linear)(const int32_t *, const double *, double *);
    bool (*forward_wide_dot)(const int32_t *, double *);
    bool (*forward_row)(const int32_t *, double *, double *, double *);
    void (*backward_row)(const int32_t *, const double *, double *, double *);
    bool (*forward_row_softmax)(const int32_t *, double *, double *, double *);
    void (*backward_row_softmax)(const int32_t *, double *, double *);
    double (*long_sum)(const int32_t *, const double *);
    void (*add_shares_of_sum)(const Tape *, const int32_t *, double, const double *, double *);
    double (*dot)(const double *, const double *, size_t);
    void (*add_scaled)(double, const double *, double *, size_t);
};

#define DECLARE(set) INTERNAL extern const Blocks blocks_##set;
INSTRUCTION_SETS(DECLARE)
#undef DECLARE

/* dispatch.c: return the loops for the best instruction set that runs here, or for the named one. Return NULL if the
 * named one is unknown or does not run here. */
INTERNAL const Blocks *find_blocks(const char *set);
/* Return the names of all sets that run here as a list, the best first. */
INTERNAL PyObject *names_of_sets(void);

static inline double *varying(const Block *block, double *numbers, int32_t slot)
{
    return numbers + (size_t)(slot - block->tape->uniform_count) * block->width;
}

#endif
