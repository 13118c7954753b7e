/* Codes w + 1 of up to four tiles, five weights a byte, as bytes [k / 4][channel][k % 4]: what vpdpbusd multiplies.
 * See ftv_avx512.h, and IMAGE_FORMAT.md, "matrix, t5". Sixteen groups of five weights are eighty, five blocks of 16. */
#include "ftv_avx512.h"

#if FTV_X86

enum { GROUPS = 16, SPAN = 5 * GROUPS }; /* groups decoded together, and their k */

/* Digit i of a group, for sixteen channels: rows[k][channel], k = 5 * group + i. */
FTV_AVX512_INLINE void decode_group(uint8_t *rows, const uint8_t *group) {
    __m256i fraction = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)group));
    for (uint32_t i = 0; i < 5U; i++) {
        __m256i tripled = _mm256_add_epi16(fraction, _mm256_slli_epi16(fraction, 1));
        __m128i digit = _mm256_cvtepi16_epi8(_mm256_srli_epi16(tripled, 8));
        _mm_store_si128((__m128i *)(void *)(rows + 16U * i), digit);
        fraction = _mm256_and_si256(tripled, _mm256_set1_epi16(255));
    }
}

FTV_AVX512
void ftv_panel_t5_avx512vnni(uint8_t *panel, const uint8_t *tile, uint32_t tile_bytes, uint32_t tiles,
                             uint32_t inputs) {
    _Alignas(64) uint8_t rows[SPAN * 16] = {0}; /* what lies beyond the last group meets zeros of x */
    const __m512i channels = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i order =
        _mm512_add_epi8(_mm512_mullo_epi32(channels, _mm512_set1_epi32(0x01010101)), _mm512_set1_epi32(0x30201000));
    uint32_t fours = ftv_round16(inputs) / 4U;
    for (uint32_t i = 0; i < tiles; i++) {
        const uint8_t *groups = tile + (size_t)i * tile_bytes;
        __m512i own = _mm512_setzero_si512(), before = own;
        for (uint32_t first = 0; first < fours; first += SPAN / 4U) {
            uint32_t left = ftv_ceil_div(inputs, 5U) - first / (SPAN / 4U) * GROUPS;
            for (uint32_t g = 0; g < ftv_min_u32(GROUPS, left); g++) {
                decode_group(rows + (size_t)g * 80U, groups + (first / (SPAN / 4U) * GROUPS + g) * 16U);
            }
            for (uint32_t f = 0; f < ftv_min_u32(SPAN / 4U, fours - first); f++) {
                __m512i four = _mm512_permutexvar_epi8(order, _mm512_load_si512(rows + (size_t)f * FTV_VECTOR));
                _mm512_store_si512(panel + ((size_t)(first + f) * 4U + i) * FTV_VECTOR, four);
                own = f % 2U == 0U ? own : ftv_own_sums(own, before, four);
                before = four;
            }
        }
        _mm512_store_si512(panel + (size_t)ftv_round16(inputs) * FTV_PANEL + (size_t)i * FTV_VECTOR, own);
    }
}

#endif
