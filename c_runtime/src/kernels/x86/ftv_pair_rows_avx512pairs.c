/* Rows as ftv_pairs_avx512.h multiplies them: x_k + 127 and x_l - 1 in turn, four codes each, signs changed where a row
 * holds 127; and minus the tokens' own sums, sum_k,l (x_k + 128) x_l. */
#include "ftv_pairs_avx512.h"

#if FTV_X86

/* Four rows at a time, so that none waits for its own sums. */
enum { ROWS = 4 };

/* Vector k / 64 of a row of `bytes` codes, zeros beyond them. */
FTV_AVX512_INLINE __m512i codes_at(const int8_t *row, uint32_t bytes, uint32_t k) {
    return bytes - k >= FTV_VECTOR ? _mm512_loadu_si512(row + k)
                                   : _mm512_maskz_loadu_epi8(ftv_lanes64(bytes - k), row + k);
}

/* Whether rows hold 127, or that and -127: as likely as not, so that nothing branches. */
FTV_AVX512_INLINE void find_flags(uint8_t flags[ROWS], const int8_t *const rows[ROWS], uint32_t bytes) {
    __m512i most[ROWS], least[ROWS];
    FTV_UNROLL for (uint32_t t = 0; t < ROWS; t++) {
        most[t] = least[t] = _mm512_setzero_si512();
    }
    for (uint32_t k = 0; k < bytes; k += FTV_VECTOR) {
        FTV_UNROLL for (uint32_t t = 0; t < ROWS; t++) {
            __m512i codes = codes_at(rows[t], bytes, k);
            most[t] = _mm512_max_epi8(most[t], codes);
            least[t] = _mm512_min_epi8(least[t], codes);
        }
    }
    FTV_UNROLL for (uint32_t t = 0; t < ROWS; t++) {
        uint32_t high = _mm512_cmpeq_epi8_mask(most[t], _mm512_set1_epi8(127)) != 0U;
        uint32_t low = _mm512_cmpeq_epi8_mask(least[t], _mm512_set1_epi8(-127)) != 0U;
        flags[t] = (uint8_t)(high * FTV_NEGATED + (high & low) * FTV_HAS_REST);
    }
}

/* Vector k / 64 of a row's codes as they are multiplied; adds to its own sum and that of |x|, by lanes. */
FTV_AVX512_INLINE __m512i make_codes(__m512i x, uint8_t flags, __m512i *sum, __m512i *magnitude) {
    const __m512i shift = _mm512_set1_epi64((int64_t)0xFFFFFFFF7F7F7F7F), sign = _mm512_set1_epi8(-128);
    __m512i negated = _mm512_set1_epi8((int8_t)-(flags & FTV_NEGATED));
    __m512i y = _mm512_sub_epi8(_mm512_xor_si512(x, negated), negated);
    y = _mm512_min_epi8(y, _mm512_set1_epi8(126));
    *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(y, sign), _mm512_srli_epi64(y, 32)); /* odd lanes: no x_l */
    *magnitude = _mm512_dpbusd_epi32(*magnitude, _mm512_abs_epi8(x), _mm512_set1_epi8(1));
    return _mm512_add_epi8(y, shift);
}

FTV_AVX512_INLINE void make_rows(const ftv_pair_rows *out, const int8_t *const rows[ROWS], const uint32_t tokens[ROWS],
                                 uint32_t bytes) {
    uint8_t flags[ROWS];
    __m512i sum[ROWS], magnitude[ROWS];
    find_flags(flags, rows, bytes);
    FTV_UNROLL for (uint32_t t = 0; t < ROWS; t++) {
        out->flags[tokens[t]] = flags[t];
        sum[t] = magnitude[t] = _mm512_setzero_si512();
    }
    for (uint32_t k = 0; k < bytes; k += FTV_VECTOR) {
        __mmask64 inside = ftv_lanes64(bytes - k);
        FTV_UNROLL for (uint32_t t = 0; t < ROWS; t++) {
            __m512i codes = make_codes(codes_at(rows[t], bytes, k), flags[t], &sum[t], &magnitude[t]);
            _mm512_mask_storeu_epi8(out->codes + (size_t)tokens[t] * bytes + k, inside, codes);
        }
    }
    __m128i sums = ftv_four_quarters(ftv_sum_of_four(sum[0], sum[1], sum[2], sum[3]));
    __m128i magnitudes = ftv_four_quarters(ftv_sum_of_four(magnitude[0], magnitude[1], magnitude[2], magnitude[3]));
    _mm_storeu_si128((__m128i *)(void *)(out->offsets + tokens[0]), _mm_sub_epi32(_mm_setzero_si128(), sums));
    _mm_storeu_si128((__m128i *)(void *)(out->magnitudes + tokens[0]), magnitudes);
}

FTV_AVX512
void ftv_pair_rows_avx512pairs(const ftv_pair_rows *out, ftv_rows x, uint32_t tokens, uint32_t inputs) {
    for (uint32_t first = 0; first < tokens; first += ROWS) {
        const int8_t *rows[ROWS];
        uint32_t token[ROWS];
        FTV_UNROLL for (uint32_t t = 0; t < ROWS; t++) { /* the last token stands in for those beyond it */
            token[t] = ftv_min_u32(first + t, tokens - 1U);
            rows[t] = x.codes + (size_t)token[t] * x.stride;
        }
        make_rows(out, rows, token, ftv_round16(inputs));
    }
}

#endif
