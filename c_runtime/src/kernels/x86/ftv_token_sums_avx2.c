/* offsets[token] = -sum_k x[token][k], magnitudes[token] = sum_k |x[token][k]|, zeros beyond the inputs. */
#include "ftv_avx2.h"

#if FTV_X86

FTV_AVX2
void ftv_token_sums_avx2(int32_t *offsets, int32_t *magnitudes, ftv_rows x, uint32_t tokens, uint32_t inputs) {
    const __m256i zero = _mm256_setzero_si256();
    for (uint32_t token = 0; token < tokens; token++) {
        const int8_t *row = x.codes + (size_t)token * x.stride;
        int32_t lift = 0; /* 128 for every code, to make bytes unsigned */
        __m256i sum = zero, magnitude = zero;
        for (uint32_t k = 0; k < inputs; k += 16U) { /* 64-bit sums of eight bytes each */
            __m256i codes = _mm256_castsi128_si256(ftv_load128(row + k));
            codes = _mm256_inserti128_si256(codes, _mm_setzero_si128(), 1);
            sum = _mm256_add_epi64(sum, _mm256_sad_epu8(_mm256_xor_si256(codes, _mm256_set1_epi8(INT8_MIN)), zero));
            magnitude = _mm256_add_epi64(magnitude, _mm256_sad_epu8(_mm256_abs_epi8(codes), zero));
            lift += 32 * 128;
        }
        offsets[token] = lift - ftv_sum_of_lanes(sum);
        magnitudes[token] = ftv_sum_of_lanes(magnitude);
    }
}

#endif
