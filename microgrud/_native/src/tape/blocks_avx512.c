/* The interpreter's loops over blocks of samples for AVX-512. */
#include "tape/blocks.h"

#ifdef HAS_X86_SETS
#include "ops/avx512.h"

#include "tape/blocks_body.h"
#endif
