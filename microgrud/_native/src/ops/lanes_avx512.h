/* The parts of elementary_body.h that AVX-512 does in its own way; lanes.h has those of the other instruction sets. */

/* The table stays in four registers: a look-up takes 3 cycles for eight numbers, and a gather 12. */
TARGET LANE __m512d look_up_eight(const double table[32], __m512d shifted)
{
    const __m512i k = _mm512_castpd_si512(shifted);
    const __m512d low = _mm512_permutex2var_pd(_mm512_load_pd(table), k, _mm512_load_pd(table + 8));
    const __m512d high = _mm512_permutex2var_pd(_mm512_load_pd(table + 16), k, _mm512_load_pd(table + 24));
    return _mm512_mask_mov_pd(low, _mm512_test_epi64_mask(k, _mm512_set1_epi64(16)), high);
}

TARGET LANE void look_up(const double table[32], const double shifted[8], double found[8])
{
    _mm512_storeu_pd(found, look_up_eight(table, _mm512_loadu_pd(shifted)));
}

/* Do for sixteen numbers at a time what lane_tanh_near does, and return how many numbers are done; `any` tells whether
 * any of them is in the tail. The steps of two vectors alternate, because each waits for the one before: 0.62 ns per
 * number of a block (0.60 in a long array), where the loop over eight lanes, which the compiler vectorises, takes
 * 0.69. */
TARGET LANE size_t tanh_of_sixteens(const double *x, double *z, double *slope, size_t n, bool *any)
{
#define ALL(number) _mm512_set1_pd(number)
#define BOTH(expression)                                                                                               \
    for (size_t k = 0; k < 2; k++) {                                                                                   \
        expression;                                                                                                    \
    }
    const __m512i sign = _mm512_set1_epi64(INT64_MIN);
    __m512i seen = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m512d own[2], magnitude[2], shifted[2], c[2], d[2], r[2], square[2], p[2], q[2], step[2], value[2];
        __m512i bits[2];
        BOTH(own[k] = _mm512_loadu_pd(x + i + 8 * k))
        BOTH(magnitude[k] = _mm512_abs_pd(own[k]))
        BOTH(shifted[k] = (magnitude[k] - ALL(TANH_SKEW)) + ALL(TO_QUARTER))
        BOTH(seen = _mm512_or_si512(seen, _mm512_castpd_si512(shifted[k])))
        BOTH(r[k] = magnitude[k] - (shifted[k] - ALL(TO_QUARTER)))
        BOTH(square[k] = r[k] * r[k])
        BOTH(c[k] = look_up_eight(TANH, shifted[k]))
        BOTH(d[k] = look_up_eight(SECH_SQUARED, shifted[k]))
        BOTH(p[k] = _mm512_fmadd_pd(ALL(TANH_P2), square[k], ALL(TANH_P1)))
        BOTH(q[k] = _mm512_fmadd_pd(ALL(TANH_N2), square[k], ALL(TANH_N1)))
        BOTH(p[k] = r[k] * _mm512_fmadd_pd(p[k], square[k], ALL(TANH_P0)))
        BOTH(q[k] = _mm512_fmadd_pd(q[k], square[k], ALL(TANH_P0)))
        BOTH(step[k] = p[k] * d[k] / _mm512_fmadd_pd(c[k], p[k], q[k]))
        BOTH(value[k] = c[k] + step[k])
        BOTH(bits[k] = _mm512_castpd_si512(own[k]))
        BOTH(bits[k] = _mm512_ternarylogic_epi64(_mm512_castpd_si512(value[k]), bits[k], sign, 0xf8)) /* v | (b & s) */
        BOTH(_mm512_storeu_si512(z + i + 8 * k, bits[k]))
        BOTH(_mm512_storeu_pd(slope + i + 8 * k, _mm512_fnmadd_pd(step[k], c[k] + value[k], d[k])))
    }
    *any = _mm512_cmpgt_epu64_mask(seen, _mm512_set1_epi64((int64_t)(bits_of(TO_QUARTER) | 31))) != 0;
    return i;
#undef ALL
#undef BOTH
}
