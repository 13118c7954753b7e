/* Narrow rows to eight-bit rows: NUMERICS.md, section 1. See ftv.h, ftv_quantise_job. No scratch.
 * Codes may overwrite the values row by row: code i is byte i and value i bytes 2 i and 2 i + 1, so that codes never
 * reach values that are still to be read. */
#include "ftv_avx512.h"

#if FTV_X86

/* A row's multiplier. */
typedef struct row_scale {
    int32_t k;
    uint32_t a15;
    __m512i reciprocal;
} row_scale;

/* The row's absmax is the largest of its sixteens', at least 1. */
FTV_AVX512_INLINE row_scale scale_of(const ftv_quantise_job *job, const int32_t *absmax) {
    __m512i largest = _mm512_set1_epi32(1);
    uint32_t sixteens = ftv_ceil_div(job->piece, 16U);
    for (uint32_t p = 0; p < job->pieces; p++) {
        for (uint32_t i = 0; i < sixteens; i += 16U) {
            const int32_t *some = absmax + (size_t)p * (job->piece_stride / 16U) + i;
            largest = _mm512_max_epi32(largest, _mm512_maskz_loadu_epi32(ftv_lanes16(sixteens - i), some));
        }
    }
    uint32_t a = (uint32_t)_mm512_reduce_max_epi32(largest);
    int32_t k = (int32_t)_lzcnt_u32(a) - 17;
    uint32_t a15 = k >= 0 ? a << k : a >> -k;
    return (row_scale){k, a15, _mm512_set1_epi16((int16_t)((127U << 21) / a15))};
}

/* What sixteen sixteens' values are still to be shifted by: left where k >= 0, when none was shifted before; right by -k
 * less what it was shifted already, bits(a) - 15 if positive. */
FTV_AVX512_INLINE __m512i shifts_of(const int32_t *absmax, uint32_t sixteens, int32_t k) {
    if (k >= 0) {
        return _mm512_set1_epi32(k);
    }
    __m512i a = _mm512_maskz_loadu_epi32(ftv_lanes16(sixteens), absmax);
    __m512i done = _mm512_subs_epu16(_mm512_set1_epi32(17), _mm512_lzcnt_epi32(a));
    return _mm512_sub_epi32(_mm512_set1_epi32(-k), done);
}

/* Codes of up to 32 values of sixteens 2 i and 2 i + 1. */
FTV_AVX512_INLINE void quantise_two(int8_t *codes, const int16_t *values, uint32_t count, __m512i shifts, uint32_t i,
                                    const row_scale *row) {
    const __m512i second = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(2), 1);
    __mmask32 inside = count >= 32U ? UINT32_MAX : (UINT32_C(1) << count) - 1U;
    __m512i x = _mm512_maskz_loadu_epi16(inside, values);
    __m512i by = _mm512_permutexvar_epi16(_mm512_add_epi16(second, _mm512_set1_epi16((int16_t)(4U * i))), shifts);
    x = row->k >= 0 ? _mm512_sllv_epi16(x, by) : _mm512_srav_epi16(x, by);
    _mm256_mask_storeu_epi8(codes, inside, _mm512_cvtepi16_epi8(ftv_codes_avx512(x, row->reciprocal)));
}

FTV_AVX512_INLINE void quantise_piece(int8_t *codes, const int16_t *values, const int32_t *absmax, uint32_t count,
                                      const row_scale *row) {
    for (uint32_t first = 0; first < count; first += 256U) {
        __m512i shifts = shifts_of(absmax + first / 16U, ftv_ceil_div(count - first, 16U), row->k);
        for (uint32_t at = first; at < ftv_min_u32(first + 256U, count); at += 32U) {
            quantise_two(codes + at, values + at, count - at, shifts, (at - first) / 32U, row);
        }
    }
}

FTV_AVX512
void ftv_quantise_avx512vnni(const ftv_quantise_job *job, void *scratch) {
    (void)scratch;
    uint32_t columns = job->pieces * job->piece;
    for (uint32_t i = 0; i < job->rows; i++) {
        const int16_t *values = job->in.values + (size_t)i * job->in.stride;
        const int32_t *absmax = job->in.absmax + (size_t)i * (job->in.stride / 16U);
        int8_t *codes = job->out.codes + (size_t)i * job->out.stride;
        row_scale row = scale_of(job, absmax);
        for (uint32_t p = 0; p < job->pieces; p++) {
            size_t from = (size_t)p * job->piece_stride;
            quantise_piece(codes + (size_t)p * job->piece, values + from, absmax + from / 16U, job->piece, &row);
        }
        for (uint32_t c = columns; c < ftv_round16(columns); c++) {
            codes[c] = 0;
        }
        job->out.scales[i] = (ftv_multiplier){(uint16_t)row.a15, (int16_t)row.k};
    }
}

#endif
