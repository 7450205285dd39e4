// The merges of CLIP's vocabulary: a table that would be a third longer as text in Swift, and slow
// to compile as an array there.
#ifndef VLM_TABLES_CLIP_H
#define VLM_TABLES_CLIP_H

#include <stdint.h>

enum { VLM_CLIP_MERGES = 48894 };

/// For each merge, first rank first, the ids of the left and the right piece:
/// 2 · VLM_CLIP_MERGES numbers.
const uint16_t *vlm_clip_merges(void);

#endif
