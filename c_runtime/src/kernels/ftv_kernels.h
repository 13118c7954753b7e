/* Every kernel by name; what each computes, ftv.h says (ftv_kernels). File name = function name. */
#ifndef FTV_KERNELS_H
#define FTV_KERNELS_H

#include "ftv.h"

void ftv_linear_s8t2_ref(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                         uint32_t inputs, void *scratch);
void ftv_linear_s8t5_ref(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                         uint32_t inputs, void *scratch);
void ftv_scores_s8s8_ref(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                         uint32_t head_dim);
void ftv_mix_s16s8_ref(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                       uint32_t head_dim);

void ftv_linear_s8t2_portable(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                              uint32_t inputs, void *scratch);
void ftv_linear_s8t5_portable(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                              uint32_t inputs, void *scratch);
void ftv_scores_s8s8_portable(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                              uint32_t head_dim);
void ftv_mix_s16s8_portable(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                            uint32_t head_dim);

/* ---- shared by the portable linear kernels ---- */

/* Scratch: a decoded tile, and a few tokens widened to 16 bits. */
size_t ftv_linear_scratch_bytes_portable(uint32_t inputs);

/* Bytes from one channel to the next in a decoded tile: whole blocks of 16, and room for the last five trits. */
static inline uint32_t ftv_decoded_stride(uint32_t inputs) {
    return ((inputs + 15U) & ~15U) + 16U;
}

/* The two parts of that scratch: the tile, and the widened tokens behind it. */
static inline int16_t *ftv_widened(void *scratch, uint32_t inputs) {
    return (int16_t *)scratch + (size_t)ftv_decoded_stride(inputs) * 16U / sizeof(int16_t);
}

/* The product of a decoded tile. weights: [16][ftv_decoded_stride(inputs)] in -1..1, zero beyond `inputs` up to a
 * multiple of 16. wide: scratch, see ftv_widened. */
void ftv_linear_s8s8_portable(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const int8_t *weights,
                              uint32_t inputs, int16_t *wide);

#endif
