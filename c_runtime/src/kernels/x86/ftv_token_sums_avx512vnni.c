/* offsets[token] = -sum_k x[token][k], magnitudes[token] = sum_k |x[token][k]|, zeros beyond the inputs. Both arrays have
 * room for whole fours of tokens. */
#include "ftv_avx512.h"

#if FTV_X86

FTV_AVX512
void ftv_token_sums_avx512vnni(int32_t *offsets, int32_t *magnitudes, ftv_rows x, uint32_t tokens, uint32_t inputs) {
    const __m512i ones = _mm512_set1_epi8(1);
    uint32_t bytes = ftv_round16(inputs);
    for (uint32_t first = 0; first < tokens; first += 4U) {
        __m512i sum[4], magnitude[4];
        FTV_UNROLL for (uint32_t t = 0; t < 4U; t++) { /* the last token stands in for those beyond it */
            const int8_t *row = x.codes + (size_t)ftv_min_u32(first + t, tokens - 1U) * x.stride;
            sum[t] = magnitude[t] = _mm512_setzero_si512();
            for (uint32_t k = 0; k < bytes; k += FTV_VECTOR) {
                __m512i codes = _mm512_maskz_loadu_epi8(ftv_lanes64(bytes - k), row + k);
                sum[t] = _mm512_dpbusd_epi32(sum[t], ones, codes);
                magnitude[t] = _mm512_dpbusd_epi32(magnitude[t], _mm512_abs_epi8(codes), ones);
            }
        }
        __m128i sums = ftv_four_quarters(ftv_sum_of_four(sum[0], sum[1], sum[2], sum[3]));
        __m128i magnitudes4 =
            ftv_four_quarters(ftv_sum_of_four(magnitude[0], magnitude[1], magnitude[2], magnitude[3]));
        _mm_storeu_si128((__m128i *)(void *)(offsets + first), _mm_sub_epi32(_mm_setzero_si128(), sums));
        _mm_storeu_si128((__m128i *)(void *)(magnitudes + first), magnitudes4);
    }
}

#endif
