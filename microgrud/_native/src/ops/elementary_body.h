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

/* --- tanh and sigmoid, eight numbers at a time --- */

/* Find the quarters of eight magnitudes, and gather all their bits. */
TARGET LANE void quarters_for(const double magnitude[8], double skew, double shifted[8], uint64_t seen[8])
{
    for (size_t k = 0; k < 8; k++) {
        shifted[k] = quarter_for(magnitude[k], skew);
        seen[k] |= bits_of(shifted[k]);
    }
}

/* Tell whether any number is in the tail: a bit above those of the 32 quarters has changed. */
TARGET LANE bool any_in_tail(uint64_t seen[8])
{
    uint64_t bits = 0;
    for (size_t k = 0; k < 8; k++) {
        bits |= seen[k];
    }
    return bits / 32 > bits_of(TO_QUARTER) / 32;
}

/* Compute those of n numbers anew that are in the tail, eight at a time. */
TARGET NOINLINE static void tanh_in_tail(const double *restrict x, double *restrict z, double *restrict slope, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        _Alignas(64) uint64_t seen[8] = {0};
        double magnitude[8], shifted[8];
        for (size_t k = 0; k < 8; k++) {
            magnitude[k] = fabs(x[i + k]);
        }
        quarters_for(magnitude, TANH_SKEW, shifted, seen);
        if (!any_in_tail(seen)) {
            continue;
        }
        for (size_t k = 0; k < 8; k++) {
            const uint64_t in_tail = mask_if(is_in_tail(shifted[k]));
            const Tanh both = lane_tanh_tail(magnitude[k], HAS_FMA);
            z[i + k] = choose(in_tail, with_sign(both.value, x[i + k]), z[i + k]);
            slope[i + k] = choose(in_tail, both.slope, slope[i + k]);
        }
    }
}

TARGET static void block_tanh_and_slope(const double *restrict x, double *restrict z, double *restrict slope, size_t n)
{
    _Alignas(64) uint64_t seen[8] = {0};
    bool any = false;
    size_t i = tanh_of_sixteens(x, z, slope, n, &any);
    for (; i + 8 <= n; i += 8) {
        double magnitude[8], shifted[8], c[8], d[8];
        for (size_t k = 0; k < 8; k++) {
            magnitude[k] = fabs(x[i + k]);
        }
        quarters_for(magnitude, TANH_SKEW, shifted, seen);
        look_up(TANH, shifted, c);
        look_up(SECH_SQUARED, shifted, d);
        for (size_t k = 0; k < 8; k++) {
            const Tanh both = lane_tanh_near(magnitude[k], shifted[k], c[k], d[k], HAS_FMA);
            z[i + k] = with_sign(both.value, x[i + k]);
            slope[i + k] = both.slope;
        }
    }
    if (any || any_in_tail(seen)) {
        tanh_in_tail(x, z, slope, i);
    }
    if (i < n) {
        double eight[3][8] = {{0.0}};
        memcpy(eight[0], x + i, (n - i) * sizeof *x);
        block_tanh_and_slope(eight[0], eight[1], eight[2], 8);
        memcpy(z + i, eight[1], (n - i) * sizeof *z);
        memcpy(slope + i, eight[2], (n - i) * sizeof *slope);
    }
}

TARGET static void block_tanh(const double *restrict x, double *restrict z, size_t n)
{
    double slopes[128];
    for (size_t i = 0; i < n; i += 128) {
        block_tanh_and_slope(x + i, z + i, slopes, n - i < 128 ? n - i : 128);
    }
}

TARGET static void block_sigmoid(const double *restrict x, double *restrict z, size_t n)
{
    _Alignas(64) uint64_t seen[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        double half[8], shifted[8], rest[8];
        for (size_t k = 0; k < 8; k++) {
            half[k] = 0.5 * fabs(x[i + k]);
        }
        quarters_for(half, SIGMOID_SKEW, shifted, seen);
        look_up(ONE_MINUS_TANH, shifted, rest);
        for (size_t k = 0; k < 8; k++) {
            const double below = lane_sigmoid_near(half[k], shifted[k], rest[k], HAS_FMA);
            z[i + k] = choose(mask_if(x[i + k] < 0.0), below, 1.0 - below);
        }
    }
    const size_t end = any_in_tail(seen) ? i : 0;
    for (size_t k = 0; k < end; k++) {
        const uint64_t in_tail = mask_if(is_in_tail(quarter_for(0.5 * fabs(x[k]), SIGMOID_SKEW)));
        const double below = lane_sigmoid_tail(fabs(x[k]), HAS_FMA);
        z[k] = choose(in_tail, choose(mask_if(x[k] < 0.0), below, 1.0 - below), z[k]);
    }
    if (i < n) {
        double eight[2][8] = {{0.0}};
        memcpy(eight[0], x + i, (n - i) * sizeof *x);
        block_sigmoid(eight[0], eight[1], 8);
        memcpy(z + i, eight[1], (n - i) * sizeof *z);
    }
}

ONE_PASS(exp)
ONE_PASS(log)
TWO_PASSES(sin)
TWO_PASSES(cos)

const ElementaryBlocks OF_SET(elementary) = {
    .name = SET_NAME,
#define MEMBER(function) .function = block_##function,
    ELEMENTARY_FUNCTIONS(MEMBER)
#undef MEMBER
    .tanh_and_slope = block_tanh_and_slope,
};
