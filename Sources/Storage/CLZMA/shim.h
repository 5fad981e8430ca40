#include <lzma.h>

/// A macro that Swift does not see.
static const uint32_t lzma_concatenated = LZMA_CONCATENATED;
