/* The elementary functions for any processor. */
#include "ops/elementary_blocks.h"

#include "ops/baseline.h"

#include "ops/lanes.h"

#include "ops/elementary_body.h"
