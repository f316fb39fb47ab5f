/* The settings of an instruction set: AVX-512. Each set has these, for the loops that are included after it. */
#ifdef __clang__
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#else
/* GCC takes vectors of 256 bits by itself, which take 1.3 times as long on a Zen 4; clang has no such attribute. */
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#endif
#define OF_SET(name) name##_avx512 /* the name of this set's table of functions */
#define SET_NAME "avx512"
#define HAS_FMA true /* fused multiply-adds */
#define VECTORS 4    /* accumulators of 8 doubles for each of four rows of a matrix: all of them stay in registers */
