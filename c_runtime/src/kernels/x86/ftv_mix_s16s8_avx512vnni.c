/* sums[c] = sum_j weights[j] * v[j * stride + c], c < head_dim. See ftv.h, ftv_kernels. */
#include "ftv_avx512.h"

#if FTV_X86

FTV_AVX512
void ftv_mix_s16s8_avx512vnni(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                              uint32_t head_dim) {
    for (uint32_t c = 0; c < head_dim; c += 16U) {
        __m512i sum = _mm512_setzero_si512();
        for (uint32_t j = 0; j < rows; j++) {
            const void *row = v + (size_t)j * stride + c;
            __m512i values = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)row));
            sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(values, _mm512_set1_epi32(weights[j])));
        }
        _mm512_mask_storeu_epi32(sums + c, ftv_lanes16(head_dim - c), sum);
    }
}

#endif
