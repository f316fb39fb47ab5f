/* The settings of an instruction set: the compiler's default; see avx512.h. */
#define TARGET
#define OF_SET(name) name##_baseline
#define SET_NAME "baseline"
#define HAS_FMA BASELINE_HAS_FMA
#define VECTORS 1
