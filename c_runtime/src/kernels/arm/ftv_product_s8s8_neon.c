/* sums[token][channel] = sum_k x[token * stride + k] * weights[k][channel], 16 channels. See ftv_neon.h.
 * Products of bytes are added in sixteen bits: 256 of at most 127 fit. */
#include "ftv_neon.h"

#if FTV_ARM64

enum { TOKENS = 4, SPAN = 16 }; /* groups of sixteen k whose products fit sixteen bits */

FTV_NEON_INLINE void add_one(int16x8_t acc[2], int8x16_t weights, int8x16_t x) {
    acc[0] = vmlal_s8(acc[0], vget_low_s8(weights), vget_low_s8(x));
    acc[1] = vmlal_high_s8(acc[1], weights, x);
}

FTV_NEON_INLINE void widen(int32_t *sums, const int16x8_t acc[2]) {
    FTV_UNROLL for (uint32_t i = 0; i < 2U; i++) {
        vst1q_s32(sums + 8U * i, vaddw_s16(vld1q_s32(sums + 8U * i), vget_low_s16(acc[i])));
        vst1q_s32(sums + 8U * i + 4U, vaddw_high_s16(vld1q_s32(sums + 8U * i + 4U), acc[i]));
    }
}

/* Adds k = 0 .. 16 groups - 1, at most 256. */
FTV_NEON_INLINE void add_span(int32_t *sums, const int8_t *x, size_t stride, const uint32_t tokens,
                              const int8_t *weights, uint32_t groups) {
    int16x8_t acc[TOKENS][2];
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        acc[t][0] = acc[t][1] = vdupq_n_s16(0);
    }
    for (uint32_t k = 0; k < 16U * groups; k++) {
        int8x16_t row = vld1q_s8(weights + (size_t)k * FTV_TILE);
        FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
            add_one(acc[t], row, vld1q_dup_s8(x + t * stride + k));
        }
    }
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        widen(sums + (size_t)t * FTV_TILE, acc[t]);
    }
}

FTV_NEON_INLINE void product(int32_t *sums, const int8_t *x, uint32_t stride, const uint32_t tokens,
                             const int8_t *weights, uint32_t groups) {
    for (uint32_t i = 0; i < 4U * tokens; i++) {
        vst1q_s32(sums + 4U * i, vdupq_n_s32(0));
    }
    for (uint32_t group = 0; group < groups; group += SPAN) {
        add_span(sums, x + (size_t)group * 16U, stride, tokens, weights + (size_t)group * 256U,
                 ftv_min_u32(SPAN, groups - group));
    }
}

void ftv_product_s8s8_neon(int32_t *sums, const int8_t *x, uint32_t stride, uint32_t tokens, const int8_t *weights,
                           uint32_t groups) {
    uint32_t t = 0;
    for (; t + TOKENS <= tokens; t += TOKENS) {
        product(sums + (size_t)t * FTV_TILE, x + (size_t)t * stride, stride, TOKENS, weights, groups);
    }
    for (; t < tokens; t++) {
        product(sums + (size_t)t * FTV_TILE, x + (size_t)t * stride, stride, 1, weights, groups);
    }
}

#endif
