/* sums[token][channel] = offsets[token] + sum_k x[token * stride + k] * codes[k / 4][channel][k % 4], 16 channels.
 * See ftv_avx2.h. vpdpbusd of 256 bits: codes 0..2 unsigned, activations signed. */
#include "ftv_avx2.h"

#if FTV_X86

enum { TOKENS = 6 };

#define FTV_AVXVNNI_INLINE static inline FTV_AVXVNNI __attribute__((always_inline))

FTV_AVXVNNI_INLINE void product(int32_t *sums, const int8_t *x, size_t stride, const uint32_t tokens,
                                const int32_t *offsets, const uint8_t *codes, uint32_t groups) {
    __m256i acc[TOKENS][2];
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        acc[t][0] = acc[t][1] = _mm256_set1_epi32(offsets[t]);
    }
    for (uint32_t four = 0; four < 4U * groups; four++) {
        __m256i first = _mm256_load_si256((const __m256i *)(const void *)(codes + (size_t)four * 64U));
        __m256i second = _mm256_load_si256((const __m256i *)(const void *)(codes + (size_t)four * 64U + 32U));
        FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
            int32_t word;
            __builtin_memcpy(&word, x + t * stride + (size_t)four * 4U, sizeof word);
            __m256i activations = _mm256_set1_epi32(word);
            acc[t][0] = _mm256_dpbusd_avx_epi32(acc[t][0], first, activations);
            acc[t][1] = _mm256_dpbusd_avx_epi32(acc[t][1], second, activations);
        }
    }
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        _mm256_storeu_si256((__m256i *)(void *)(sums + (size_t)t * FTV_TILE), acc[t][0]);
        _mm256_storeu_si256((__m256i *)(void *)(sums + (size_t)t * FTV_TILE + 8), acc[t][1]);
    }
}

FTV_AVXVNNI
void ftv_product_s8u2_avxvnni(int32_t *sums, const int8_t *x, uint32_t stride, uint32_t tokens, const int32_t *offsets,
                              const uint8_t *codes, uint32_t groups) {
    uint32_t t = 0;
    for (; t + TOKENS <= tokens; t += TOKENS) {
        product(sums + (size_t)t * FTV_TILE, x + (size_t)t * stride, stride, TOKENS, offsets + t, codes, groups);
    }
    for (; t + 2U <= tokens; t += 2U) {
        product(sums + (size_t)t * FTV_TILE, x + (size_t)t * stride, stride, 2, offsets + t, codes, groups);
    }
    for (; t < tokens; t++) {
        product(sums + (size_t)t * FTV_TILE, x + (size_t)t * stride, stride, 1, offsets + t, codes, groups);
    }
}

#endif
