/* The loops of elementary_blocks.h for one instruction set: included once for each, with
 *
 *     ELEMENTARY_TARGET        the attribute that asks for the instructions, or nothing
 *     ELEMENTARY_NAME(name)    the name of the loop over lane_name
 *     ELEMENTARY_HAS_FMA       whether fused multiply-adds are among them
 */

#define ONE_PASS(name)                                                                                                 \
    ELEMENTARY_TARGET static void ELEMENTARY_NAME(name)(const double *restrict x, double *restrict y, size_t n)        \
    {                                                                                                                  \
        for (size_t k = 0; k < n; k++) {                                                                               \
            y[k] = lane_##name(x[k], ELEMENTARY_HAS_FMA);                                                              \
        }                                                                                                              \
    }

/* The second pass, over the arguments that the first was not made for, is entered only if there is one; which of the
 * two a number goes through depends on itself alone. */
#define TWO_PASSES(name)                                                                                               \
    ELEMENTARY_TARGET static void ELEMENTARY_NAME(name)(const double *restrict x, double *restrict y, size_t n)        \
    {                                                                                                                  \
        uint64_t beyond = 0;                                                                                           \
        for (size_t k = 0; k < n; k++) {                                                                               \
            y[k] = lane_##name(x[k], ELEMENTARY_HAS_FMA);                                                              \
            beyond |= mask_if(is_beyond_circle(x[k]));                                                                 \
        }                                                                                                              \
        for (size_t k = 0; beyond != 0 && k < n; k++) {                                                                \
            if (is_beyond_circle(x[k])) {                                                                              \
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

#undef ONE_PASS
#undef TWO_PASSES
#undef ELEMENTARY_TARGET
#undef ELEMENTARY_NAME
#undef ELEMENTARY_HAS_FMA
