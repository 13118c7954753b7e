/* scores[j] = sum_c q[c] * k[j * stride + c], j < rows, c < head_dim <= 256. See ftv.h, ftv_kernels.
 * |q| times k with q's sign: pairs stay below 2 * 127 * 127 < 2^15. */
#include "ftv_avx2.h"

#if FTV_X86

/* The next 32 columns, or the last sixteen of them and zeros. */
FTV_AVX2_INLINE __m256i columns_at(const int8_t *row, uint32_t left) {
    return left >= 32U ? ftv_load256(row) : _mm256_inserti128_si256(_mm256_setzero_si256(), ftv_load128(row), 0);
}

FTV_AVX2
void ftv_scores_s8s8_avx2(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                          uint32_t head_dim) {
    uint32_t columns = ftv_round16(head_dim);
    for (uint32_t j = 0; j < rows; j++) {
        const int8_t *key = k + (size_t)j * stride;
        __m256i sum = _mm256_setzero_si256();
        for (uint32_t c = 0; c < columns; c += 32U) {
            __m256i a = columns_at(q + c, columns - c), b = columns_at(key + c, columns - c);
            __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        }
        scores[j] = ftv_sum_of_lanes(sum);
    }
}

#endif
