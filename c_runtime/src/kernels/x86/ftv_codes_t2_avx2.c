/* Codes w + 1 of a tile, two bits a weight, as bytes [k / 4][channel][k % 4]. See ftv_avx2.h, and IMAGE_FORMAT.md,
 * "matrix, t2". */
#include "ftv_avx2.h"

#if FTV_X86

/* A block's four rows of sixteen bytes, channel by channel; each shift by two bits then yields four consecutive k. */
FTV_AVX2
void ftv_codes_t2_avx2(uint8_t *codes, const uint8_t *tile, uint32_t inputs) {
    const __m256i three = _mm256_set1_epi8(3);
    for (uint32_t k = 0; k < inputs; k += 16U, tile += 64, codes += 256) {
        __m128i j0 = ftv_load128(tile), j1 = ftv_load128(tile + 16);
        __m128i j2 = ftv_load128(tile + 32), j3 = ftv_load128(tile + 48);
        __m128i low01 = _mm_unpacklo_epi8(j0, j1), high01 = _mm_unpackhi_epi8(j0, j1);
        __m128i low23 = _mm_unpacklo_epi8(j2, j3), high23 = _mm_unpackhi_epi8(j2, j3);
        __m256i first = _mm256_set_m128i(_mm_unpackhi_epi16(low01, low23), _mm_unpacklo_epi16(low01, low23));
        __m256i second = _mm256_set_m128i(_mm_unpackhi_epi16(high01, high23), _mm_unpacklo_epi16(high01, high23));
        FTV_UNROLL for (int s = 0; s < 4; s++) {
            ftv_store256(codes + 64 * s, _mm256_and_si256(_mm256_srli_epi32(first, 2 * s), three));
            ftv_store256(codes + 64 * s + 32, _mm256_and_si256(_mm256_srli_epi32(second, 2 * s), three));
        }
    }
}

#endif
