/* The interpreter's loops over blocks of samples for any processor. */
#include "tape/blocks.h"

#include "ops/baseline.h"

#include "tape/blocks_body.h"
