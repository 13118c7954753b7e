/* sums[token][channel] of a panel and up to five tokens, by products of pairs: see ftv_pairs_avx512.h. */
#include "ftv_pairs_avx512.h"

#if FTV_X86

typedef __m512i block_sums[FTV_WAY_TOKENS][FTV_PANEL_TILES];

FTV_AVX512_INLINE __m512i four_codes(const int8_t *x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

/* Eight inputs. The sums pass through an empty statement, without which GCC keeps copies of them in memory. */
FTV_AVX512_INLINE void add_pairs(block_sums acc, const int8_t *x, size_t stride, const uint32_t tokens,
                                 const uint8_t *panel) {
    __m512i k[FTV_PANEL_TILES], l[FTV_PANEL_TILES];
    FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
        k[i] = _mm512_load_si512(panel + (size_t)i * FTV_VECTOR);
        l[i] = _mm512_load_si512(panel + (size_t)(FTV_PANEL_TILES + i) * FTV_VECTOR);
    }
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        __m512i x_k = four_codes(x + t * stride), x_l = four_codes(x + t * stride + 4);
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            __m512i sum = _mm512_dpbusd_epi32(acc[t][i], _mm512_add_epi8(x_k, l[i]), _mm512_add_epi8(x_l, k[i]));
            __asm__("" : "+v"(sum));
            acc[t][i] = sum;
        }
    }
}

/* tokens is a constant, so that every accumulator is a register. */
FTV_AVX512_INLINE void product(int32_t *sums, const ftv_operand_avx512 *x, uint32_t first, const uint32_t tokens,
                               const uint8_t *panel, uint32_t groups) {
    block_sums acc;
    const int8_t *codes = x->codes + (size_t)first * x->stride;
    const size_t stride = x->stride;
    const uint8_t *own = panel + (size_t)groups * 16U * FTV_PANEL;
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            acc[t][i] = _mm512_sub_epi32(_mm512_set1_epi32(x->offsets[first + t]),
                                         _mm512_load_si512(own + (size_t)i * FTV_VECTOR));
        }
    }
    for (uint32_t eight = 0; eight < 2U * groups; eight++) {
        add_pairs(acc, codes + (size_t)eight * 8U, stride, tokens, panel + (size_t)eight * 8U * FTV_PANEL);
    }
    FTV_UNROLL for (uint32_t t = 0; t < tokens; t++) {
        __mmask16 negated = (__mmask16) - (x->flags[first + t] & FTV_NEGATED);
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            _mm512_store_si512(sums + (size_t)t * FTV_PANEL + 16U * i,
                               _mm512_mask_sub_epi32(acc[t][i], negated, _mm512_setzero_si512(), acc[t][i]));
        }
    }
}

#define FTV_PRODUCT(tokens)                                                                                            \
    case tokens:                                                                                                       \
        product(sums, x, first, tokens, panel, groups);                                                                \
        break

FTV_AVX512
void ftv_product_s8u2_avx512pairs(int32_t *sums, const ftv_operand_avx512 *x, uint32_t first, uint32_t tokens,
                                  const uint8_t *panel, uint32_t groups) {
    switch (tokens) {
        FTV_PRODUCT(1);
        FTV_PRODUCT(2);
        FTV_PRODUCT(3);
        FTV_PRODUCT(4);
        FTV_PRODUCT(5);
    default:
        break;
    }
    for (uint32_t t = 0; t < tokens; t++) {
        if ((x->flags[first + t] & FTV_HAS_REST) != 0U) {
            ftv_pair_rest_avx512pairs(sums + (size_t)t * FTV_PANEL, x->x.codes + (size_t)(first + t) * x->x.stride,
                                      panel, groups);
        }
    }
}

#endif
