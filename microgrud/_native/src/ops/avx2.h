/* The settings of an instruction set: AVX2 with fused multiply-adds; see avx512.h. */
#define TARGET __attribute__((target("avx2,fma")))
#define OF_SET(name) name##_avx2
#define SET_NAME "avx2"
#define HAS_FMA true
#define VECTORS 1
