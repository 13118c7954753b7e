/* Several images at a time, one for each worker: not part of what runs on a chip. */
#ifndef FTV_BATCH_H
#define FTV_BATCH_H

#include "ftv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of arena that ftv_run_batch needs of `workers` workers; 0 for an impossible number of them. */
FTV_API size_t ftv_batch_arena_bytes(const ftv_model *model, const ftv_kernels *kernels, uint32_t workers);

/* `images` images through the model, each by one worker alone: what ftv_run gives, with less waiting for each other.
 * kernels: NULL: ftv_kernels_portable. pixels: uint8 [images][image_size][image_size][3].
 * logits: int32 [images][classes], Q16. arena: 16-byte aligned. */
FTV_API ftv_status ftv_run_batch(const ftv_model *model, const ftv_kernels *kernels, const ftv_parallel *parallel,
                                 const uint8_t *pixels, uint32_t images, int32_t *logits, void *arena,
                                 size_t arena_bytes);

#ifdef __cplusplus
}
#endif
#endif
