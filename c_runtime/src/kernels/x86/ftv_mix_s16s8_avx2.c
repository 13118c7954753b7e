/* sums[c] = sum_j weights[j] * v[j * stride + c], c < head_dim. See ftv.h, ftv_kernels. Two rows are multiplied and added
 * by one instruction; 32 columns at a time. */
#include "ftv_avx2.h"

#if FTV_X86

/* Adds two rows' sixteen columns to sums of columns 0..3, 8..11 and 4..7, 12..15. */
FTV_AVX2_INLINE void add_two(__m256i sums[2], const int8_t *even, const int8_t *odd, __m256i pair) {
    __m256i a = _mm256_cvtepi8_epi16(ftv_load128(even)), b = _mm256_cvtepi8_epi16(ftv_load128(odd));
    sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), pair));
    sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), pair));
}

FTV_AVX2_INLINE __m256i pair_of(int16_t even, int16_t odd) {
    return _mm256_set1_epi32((int32_t)((uint32_t)(uint16_t)even | (uint32_t)(uint16_t)odd << 16));
}

FTV_AVX2_INLINE void mix_columns(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                                 const uint32_t sixteens) {
    __m256i acc[4];
    FTV_UNROLL for (uint32_t i = 0; i < 2U * sixteens; i++) {
        acc[i] = _mm256_setzero_si256();
    }
    for (uint32_t j = 0; j < rows; j += 2U) { /* a last row alone: twice, the second time with weight 0 */
        uint32_t next = ftv_min_u32(j + 1U, rows - 1U);
        __m256i pair = pair_of(weights[j], next == j ? 0 : weights[next]);
        FTV_UNROLL for (uint32_t i = 0; i < sixteens; i++) {
            add_two(acc + 2U * i, v + (size_t)j * stride + 16U * i, v + (size_t)next * stride + 16U * i, pair);
        }
    }
    FTV_UNROLL for (uint32_t i = 0; i < sixteens; i++) {
        ftv_store256(sums + 16U * i, _mm256_permute2x128_si256(acc[2U * i], acc[2U * i + 1U], 0x20));
        ftv_store256(sums + 16U * i + 8U, _mm256_permute2x128_si256(acc[2U * i], acc[2U * i + 1U], 0x31));
    }
}

FTV_AVX2
void ftv_mix_s16s8_avx2(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                        uint32_t head_dim) {
    uint32_t columns = ftv_round16(head_dim), c = 0;
    for (; c + 32U <= columns; c += 32U) {
        mix_columns(sums + c, weights, v + c, rows, stride, 2);
    }
    if (c < columns) {
        mix_columns(sums + c, weights, v + c, rows, stride, 1);
    }
}

#endif
