/* The product of a panel and up to six tokens, with other work strewn in: vpdpbusd keeps two of four vector pipes busy, so
 * that what follows the previous tokens' product runs almost for nothing beside it. */
#ifndef FTV_PRODUCT_AVX512_H
#define FTV_PRODUCT_AVX512_H

#include "ftv_avx512.h"

#if FTV_X86

/* The next four codes of a row, in every lane. */
FTV_AVX512_INLINE __m512i ftv_four_codes_avx512(const int8_t *x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

/* The work beside: slices of about equal length, stage by stage and in each stage token by token. */
typedef void ftv_slice_avx512(const void *work, uint32_t stage, uint32_t token);

typedef struct ftv_beside_avx512 {
    const void *work;
    uint32_t stages;
    uint32_t tokens;
} ftv_beside_avx512;

/* sums as ftv_product_s8u2_avx512vnni computes them; tokens is a constant, so that every accumulator is a register:
 * 6 tokens x 4 vectors, 4 vectors of codes, and one broadcast of four activations that is used four times.
 * The slices touch nothing of this product. */
FTV_AVX512_INLINE void ftv_product_beside(int32_t *sums, const int8_t *x, size_t stride, const uint32_t tokens,
                                          const int32_t *offsets, const uint8_t *panel, uint32_t groups,
                                          ftv_slice_avx512 *slice, ftv_beside_avx512 beside) {
    __m512i acc[FTV_BLOCK_TOKENS][FTV_PANEL_TILES];
    const uint8_t *end = panel + (size_t)groups * 16U * FTV_PANEL;
    uint32_t slices = beside.stages * beside.tokens, stage = 0, token = 0;
    uint32_t span = 4U * groups / (slices + 1U), rest = 4U * groups % (slices + 1U), owed = 0;
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            acc[t][i] = _mm512_set1_epi32(offsets[t]);
        }
    }
    while (panel < end) {
        owed += rest; /* steps that do not divide among the slices are spread over them */
        uint32_t steps = span + (owed > slices);
        owed -= owed > slices ? slices + 1U : 0U;
        for (; steps > 0U; steps--) {
            __m512i codes[FTV_PANEL_TILES];
            FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
                codes[i] = _mm512_load_si512(panel + (size_t)i * FTV_VECTOR);
            }
            FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
                __m512i activations = ftv_four_codes_avx512(x + t * stride);
                FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
                    acc[t][i] = _mm512_dpbusd_epi32(acc[t][i], codes[i], activations);
                }
            }
            x += 4;
            panel += FTV_PANEL_TILES * FTV_VECTOR;
        }
        if (stage < beside.stages) {
            slice(beside.work, stage, token);
            token = token + 1U < beside.tokens ? token + 1U : 0U;
            stage += token == 0U;
        }
    }
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            _mm512_store_si512(sums + (size_t)t * FTV_PANEL + (size_t)i * 16U, acc[t][i]);
        }
    }
}

#endif
#endif
