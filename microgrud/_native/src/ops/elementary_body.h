/* The loops of elementary_blocks.h for one instruction set, whose settings (such as those of avx2.h) come before. */

#define ONE_PASS(name)                                                                                                 \
    TARGET static void block_##name(const double *restrict x, double *restrict y, size_t n)                            \
    {                                                                                                                  \
        for (size_t k = 0; k < n; k++) {                                                                               \
            y[k] = lane_##name(x[k], HAS_FMA);                                                                         \
        }                                                                                                              \
    }

/* The second pass is for arguments above the limit of the first one, and is entered only if there are any. The pass
 * that a number goes through depends only on the number. */
#define TWO_PASSES(name)                                                                                               \
    TARGET static void block_##name(const double *restrict x, double *restrict y, size_t n)                            \
    {                                                                                                                  \
        uint64_t above = 0;                                                                                            \
        for (size_t k = 0; k < n; k++) {                                                                               \
            y[k] = lane_##name(x[k], HAS_FMA);                                                                         \
            above |= mask_if(is_above_circle_limit(x[k]));                                                             \
        }                                                                                                              \
        for (size_t k = 0; above != 0 && k < n; k++) {                                                                 \
            if (is_above_circle_limit(x[k])) {                                                                         \
                y[k] = name(x[k]);                                                                                     \
            }                                                                                                          \
        }                                                                                                              \
    }

ONE_PASS(exp)
ONE_PASS(log)
ONE_PASS(tanh)
ONE_PASS(sigmoid)
TWO_PASSES(sin)
TWO_PASSES(cos)

const ElementaryBlocks OF_SET(elementary) = {
    .name = SET_NAME,
#define MEMBER(function) .function = block_##function,
    ELEMENTARY_FUNCTIONS(MEMBER)
#undef MEMBER
};
