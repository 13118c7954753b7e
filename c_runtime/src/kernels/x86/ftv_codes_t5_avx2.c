/* Codes w + 1 of a tile, five weights a byte, as bytes [k / 4][channel][k % 4]. See ftv_avx2.h, and IMAGE_FORMAT.md,
 * "matrix, t5". Four groups of five weights are five fours. */
#include "ftv_avx2.h"

#if FTV_X86

enum { GROUPS = 4, ROWS = 5 * GROUPS };

/* rows[5 g + i]: digit i of group g, for sixteen channels. */
FTV_AVX2_INLINE void decode_group(__m128i *rows, const uint8_t *group) {
    __m256i fraction = _mm256_cvtepu8_epi16(ftv_load128(group));
    FTV_UNROLL for (uint32_t i = 0; i < 5U; i++) {
        __m256i tripled = _mm256_add_epi16(fraction, _mm256_slli_epi16(fraction, 1));
        __m256i digit = _mm256_srli_epi16(tripled, 8);
        rows[i] = _mm_packus_epi16(_mm256_castsi256_si128(digit), _mm256_extracti128_si256(digit, 1));
        fraction = _mm256_and_si256(tripled, _mm256_set1_epi16(255));
    }
}

/* Four rows of sixteen codes, channel by channel. */
FTV_AVX2_INLINE void store_four(uint8_t *codes, const __m128i *rows) {
    __m128i low01 = _mm_unpacklo_epi8(rows[0], rows[1]), high01 = _mm_unpackhi_epi8(rows[0], rows[1]);
    __m128i low23 = _mm_unpacklo_epi8(rows[2], rows[3]), high23 = _mm_unpackhi_epi8(rows[2], rows[3]);
    __m128i *out = (__m128i *)(void *)codes;
    _mm_store_si128(out, _mm_unpacklo_epi16(low01, low23));
    _mm_store_si128(out + 1, _mm_unpackhi_epi16(low01, low23));
    _mm_store_si128(out + 2, _mm_unpacklo_epi16(high01, high23));
    _mm_store_si128(out + 3, _mm_unpackhi_epi16(high01, high23));
}

FTV_AVX2
void ftv_codes_t5_avx2(uint8_t *codes, const uint8_t *tile, uint32_t inputs) {
    uint32_t groups = ftv_ceil_div(inputs, 5U), fours = ftv_round16(inputs) / 4U;
    for (uint32_t group = 0, four = 0; four < fours; group += GROUPS, four += 5U) {
        __m128i rows[ROWS];
        FTV_UNROLL for (uint32_t g = 0; g < GROUPS; g++) { /* what lies beyond the last group meets zeros of x */
            decode_group(rows + 5U * g, tile + 16U * ftv_min_u32(group + g, groups - 1U));
        }
        FTV_UNROLL for (uint32_t f = 0; f < 5U; f++) {
            if (four + f < fours) {
                store_four(codes + (size_t)(four + f) * 64U, rows + 4U * f);
            }
        }
    }
}

#endif
