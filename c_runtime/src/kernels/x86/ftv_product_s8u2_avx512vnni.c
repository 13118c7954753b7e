/* sums[token][channel] = sum_k x[token * stride + k] * (panel[k / 4][channel][k % 4] - 1), 64 channels, up to six tokens.
 * See ftv_avx512.h. vpdpbusd takes the codes 0..2 as its unsigned operand; the token's own sum undoes the + 1.
 * All accumulators stay in registers: 6 tokens x 4 vectors, 4 vectors of codes, and one broadcast of four activations
 * that is used four times. */
#include "ftv_avx512.h"

#if FTV_X86

FTV_AVX512_INLINE __m512i four_codes(const int8_t *x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

FTV_AVX512_INLINE void product(int32_t *sums, const int8_t *x, size_t stride, const uint32_t tokens,
                               const int32_t *offsets, const uint8_t *panel, uint32_t groups) {
    __m512i acc[FTV_BLOCK_TOKENS][FTV_PANEL_TILES];
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            acc[t][i] = _mm512_set1_epi32(offsets[t]);
        }
    }
    for (uint32_t four = 0; four < 4U * groups; four++) {
        __m512i codes[FTV_PANEL_TILES];
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            codes[i] = _mm512_load_si512(panel + (size_t)i * FTV_VECTOR);
        }
        FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
            __m512i activations = four_codes(x + t * stride);
            FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
                acc[t][i] = _mm512_dpbusd_epi32(acc[t][i], codes[i], activations);
            }
        }
        x += 4;
        panel += FTV_PANEL_TILES * FTV_VECTOR;
    }
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            _mm512_store_si512(sums + (size_t)t * FTV_PANEL + (size_t)i * 16U, acc[t][i]);
        }
    }
}

FTV_AVX512
void ftv_product_s8u2_avx512vnni(int32_t *sums, const int8_t *x, uint32_t stride, uint32_t tokens,
                                 const int32_t *offsets, const uint8_t *panel, uint32_t groups) {
    switch (tokens) { /* constants, so that every accumulator is a register */
    case 1:
        product(sums, x, stride, 1, offsets, panel, groups);
        break;
    case 2:
        product(sums, x, stride, 2, offsets, panel, groups);
        break;
    case 3:
        product(sums, x, stride, 3, offsets, panel, groups);
        break;
    case 4:
        product(sums, x, stride, 4, offsets, panel, groups);
        break;
    case 5:
        product(sums, x, stride, 5, offsets, panel, groups);
        break;
    default:
        product(sums, x, stride, 6, offsets, panel, groups);
        break;
    }
}

#endif
