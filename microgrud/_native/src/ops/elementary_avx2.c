/* The elementary functions for AVX2. */
#include "ops/elementary_blocks.h"

#ifdef HAS_X86_SETS
#include "ops/avx2.h"

#include "ops/lanes.h"

#include "ops/elementary_body.h"
#endif
