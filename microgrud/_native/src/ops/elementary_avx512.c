/* The elementary functions for AVX-512. */
#include "ops/elementary_blocks.h"

#ifdef HAS_X86_SETS
#include <immintrin.h>

#include "ops/avx512.h"

#include "ops/lanes_avx512.h"

#include "ops/elementary_body.h"
#endif
