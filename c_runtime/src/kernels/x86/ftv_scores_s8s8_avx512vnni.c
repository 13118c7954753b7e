/* scores[j] = sum_c q[c] * k[j * stride + c], j < rows, c < head_dim <= 256. See ftv.h, ftv_kernels. */
#include "ftv_avx512.h"

#if FTV_X86

FTV_AVX512
void ftv_scores_s8s8_avx512vnni(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                                uint32_t head_dim) {
    const __m512i all128 = _mm512_set1_epi8(INT8_MIN);
    uint32_t columns = ftv_round16(head_dim);
    for (uint32_t j = 0; j < rows; j++) {
        __m512i sum = _mm512_setzero_si512(), offset = _mm512_setzero_si512();
        for (uint32_t c = 0; c < columns; c += FTV_VECTOR) {
            __mmask64 inside = ftv_lanes64(columns - c);
            __m512i query = _mm512_xor_si512(_mm512_maskz_loadu_epi8(inside, q + c), all128); /* + 128, unsigned */
            __m512i key = _mm512_maskz_loadu_epi8(inside, k + (size_t)j * stride + c);
            sum = _mm512_dpbusd_epi32(sum, query, key);
            offset = _mm512_dpbusd_epi32(offset, all128, key);
        }
        scores[j] = _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, offset));
    }
}

#endif
