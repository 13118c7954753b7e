/* sums[token][channel] = offsets[token] + sum_k x[token * stride + k] * codes[k / 4][channel][k % 4], 16 channels.
 * See ftv_avx2.h. vpmaddubsw multiplies codes 0..2 and adds pairs: |pair| <= 2 * 2 * 127 = 508, and 64 of them fit 16 bits;
 * so most additions are of sixteen lanes, and only every 256 k are they widened. */
#include "ftv_avx2.h"

#if FTV_X86

enum { TOKENS = 4, SPAN = 16 }; /* groups of sixteen k whose pairs fit 16 bits */

FTV_AVX2_INLINE void product(int32_t *sums, const int8_t *x, size_t stride, const uint32_t tokens, const uint8_t *codes,
                             uint32_t groups) {
    __m256i pairs[TOKENS][2];
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        pairs[t][0] = pairs[t][1] = _mm256_setzero_si256();
    }
    for (uint32_t four = 0; four < 4U * groups; four++) {
        __m256i first = ftv_load256(codes + (size_t)four * 64U), second = ftv_load256(codes + (size_t)four * 64U + 32U);
        FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
            __m256i activations = ftv_four_codes(x + t * stride + (size_t)four * 4U);
            pairs[t][0] = _mm256_add_epi16(pairs[t][0], _mm256_maddubs_epi16(first, activations));
            pairs[t][1] = _mm256_add_epi16(pairs[t][1], _mm256_maddubs_epi16(second, activations));
        }
    }
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        FTV_UNROLL for (uint32_t i = 0; i < 2U; i++) {
            int32_t *to = sums + (size_t)t * FTV_TILE + 8U * i;
            __m256i wide = _mm256_madd_epi16(pairs[t][i], _mm256_set1_epi16(1));
            ftv_store256(to, _mm256_add_epi32(ftv_load256(to), wide));
        }
    }
}

FTV_AVX2_INLINE void product_of(int32_t *sums, const int8_t *x, uint32_t stride, const uint32_t tokens,
                                const int32_t *offsets, const uint8_t *codes, uint32_t groups) {
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        ftv_store256(sums + (size_t)t * FTV_TILE, _mm256_set1_epi32(offsets[t]));
        ftv_store256(sums + (size_t)t * FTV_TILE + 8, _mm256_set1_epi32(offsets[t]));
    }
    for (uint32_t group = 0; group < groups; group += SPAN) {
        product(sums, x + (size_t)group * 16U, stride, tokens, codes + (size_t)group * 256U,
                ftv_min_u32(SPAN, groups - group));
    }
}

FTV_AVX2
void ftv_product_s8u2_avx2(int32_t *sums, const int8_t *x, uint32_t stride, uint32_t tokens, const int32_t *offsets,
                           const uint8_t *codes, uint32_t groups) {
    uint32_t t = 0;
    for (; t + TOKENS <= tokens; t += TOKENS) {
        product_of(sums + (size_t)t * FTV_TILE, x + (size_t)t * stride, stride, TOKENS, offsets + t, codes, groups);
    }
    for (; t < tokens; t++) {
        product_of(sums + (size_t)t * FTV_TILE, x + (size_t)t * stride, stride, 1, offsets + t, codes, groups);
    }
}

#endif
