/* sums[token][channel] = sum_k x[token * stride + k] * weights[k / 4][channel][k % 4], 16 channels. See ftv_neon.h.
 * SDOT by element: four channels' four products at once, with one of four fours of activations. */
#include "ftv_neon.h"

#if FTV_ARM64

enum { TOKENS = 4 };

#define FTV_DOT_INLINE static inline FTV_DOT __attribute__((always_inline))

/* Lane `lane` of sixteen activations, times a four of k of all channels. */
#define FTV_ADD_FOUR(acc, w, x, lane)                                                                                  \
    FTV_UNROLL for (uint32_t c = 0; c < 4U; c++) {                                                                     \
        (acc)[c] = vdotq_laneq_s32((acc)[c], (w)[4 * (lane) + c], x, lane);                                            \
    }

FTV_DOT_INLINE void product(int32_t *sums, const int8_t *x, size_t stride, const uint32_t tokens, const int8_t *weights,
                            uint32_t groups) {
    int32x4_t acc[TOKENS][4];
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        FTV_UNROLL for (uint32_t c = 0; c < 4U; c++) {
            acc[t][c] = vdupq_n_s32(0);
        }
    }
    for (uint32_t group = 0; group < groups; group++, x += 16, weights += 256) {
        int8x16_t w[16];
        FTV_UNROLL for (uint32_t i = 0; i < 16U; i++) {
            w[i] = vld1q_s8(weights + 16U * i);
        }
        FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
            int8x16_t activations = vld1q_s8(x + t * stride);
            FTV_ADD_FOUR(acc[t], w, activations, 0)
            FTV_ADD_FOUR(acc[t], w, activations, 1)
            FTV_ADD_FOUR(acc[t], w, activations, 2)
            FTV_ADD_FOUR(acc[t], w, activations, 3)
        }
    }
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        FTV_UNROLL for (uint32_t c = 0; c < 4U; c++) {
            vst1q_s32(sums + (size_t)t * FTV_TILE + 4U * c, acc[t][c]);
        }
    }
}

FTV_DOT
void ftv_product_s8s8_neondot(int32_t *sums, const int8_t *x, uint32_t stride, uint32_t tokens, const int8_t *weights,
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
