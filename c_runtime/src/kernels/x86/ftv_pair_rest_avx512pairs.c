/* What a row that holds 127 and -127 leaves out of its product, as ftv_pairs_avx512.h says: with its sign changed -127 became
 * 126, so that a weight is missing wherever x is -127. */
#include "ftv_pairs_avx512.h"

#if FTV_X86

FTV_AVX512
void ftv_pair_rest_avx512pairs(int32_t *sums, const int8_t *x, const uint8_t *panel, uint32_t groups) {
    for (uint32_t g = 0; g < groups; g++, x += 16, panel += 16U * FTV_PANEL) {
        __m128i codes = _mm_load_si128((const __m128i *)(const void *)x);
        _Alignas(16) int32_t left[4];
        __mmask16 where = _mm_cmpeq_epi8_mask(codes, _mm_set1_epi8(-127));
        _mm_store_si128((__m128i *)(void *)left, _mm_movm_epi8(where)); /* -1, where -127 was taken for -126 */
        for (uint32_t f = 0; f < 4U; f++) {
            uint32_t four = (uint32_t)where >> (4U * f) & 15U;
            for (uint32_t i = 0; i < FTV_PANEL_TILES && four != 0U; i++) {
                __m512i w = _mm512_load_si512(panel + (size_t)(4U * f + i) * FTV_VECTOR);
                __m512i sum = _mm512_dpbusd_epi32(_mm512_load_si512(sums + 16U * i), w, _mm512_set1_epi32(left[f]));
                sum = _mm512_add_epi32(sum, _mm512_set1_epi32(__builtin_popcount(four)));
                _mm512_store_si512(sums + 16U * i, sum);
            }
        }
    }
}

#endif
