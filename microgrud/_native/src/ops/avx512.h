/* The settings of an instruction set: AVX-512. Each instruction set has a file of these settings, which comes before
 * the loops that use them. */
#ifdef __clang__
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#else
/* By default GCC uses vectors of 256 bits, and the loops then take 1.3 times as long on a Zen 4. Clang does not have
 * the attribute prefer-vector-width. */
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#endif
#define OF_SET(name) name##_avx512 /* the name of this set's table of functions */
#define SET_NAME "avx512"
#define HAS_FMA true /* fused multiply-adds */
#define VECTORS 4    /* accumulators of 8 doubles for each of four rows of a matrix: all of them stay in registers */
