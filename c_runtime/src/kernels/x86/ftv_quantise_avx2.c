/* Narrow rows to eight-bit rows: NUMERICS.md, section 1. See ftv.h, ftv_quantise_job. No scratch.
 * Codes may overwrite the values row by row: code i is byte i and value i bytes 2 i and 2 i + 1, so that codes never
 * reach values that are still to be read. */
#include "ftv_avx2.h"

#if FTV_X86

/* A row's multiplier. */
typedef struct row_scale {
    int32_t k;
    uint32_t a15;
    __m256i reciprocal;
} row_scale;

/* The row's absmax is the largest of its sixteens', at least 1. */
FTV_AVX2_INLINE row_scale scale_of(const int32_t *absmax, uint32_t sixteens) {
    __m256i largest = _mm256_set1_epi32(1);
    uint32_t i = 0;
    for (; i + 8U <= sixteens; i += 8U) {
        largest = _mm256_max_epi32(largest, ftv_load256(absmax + i));
    }
    uint32_t a = (uint32_t)ftv_largest_lane(largest);
    for (; i < sixteens; i++) {
        a = (uint32_t)absmax[i] > a ? (uint32_t)absmax[i] : a;
    }
    int32_t k = (int32_t)_lzcnt_u32(a) - 17;
    uint32_t a15 = k >= 0 ? a << k : a >> -k;
    return (row_scale){k, a15, _mm256_set1_epi16((int16_t)((127U << 21) / a15))};
}

/* Sixteen codes. Shifting left, k >= 0, meets no shift of the sixteen's own. */
FTV_AVX2_INLINE __m128i codes_of(const int16_t *values, int32_t absmax, const row_scale *row) {
    __m256i x = ftv_load256(values);
    if (row->k >= 0) {
        x = _mm256_sll_epi16(x, _mm_cvtsi32_si128(row->k));
    } else {
        x = _mm256_sra_epi16(x, _mm_cvtsi32_si128(-row->k - ftv_narrow_shift(absmax)));
    }
    x = ftv_codes_avx2(x, row->reciprocal);
    return _mm_packs_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}

FTV_AVX2_INLINE void quantise_piece(int8_t *codes, const int16_t *values, const int32_t *absmax, uint32_t count,
                                    const row_scale *row) {
    for (uint32_t i = 0; i < count; i += FTV_TILE) {
        __m128i sixteen = codes_of(values + i, absmax[i / FTV_TILE], row);
        if (count - i >= FTV_TILE) {
            _mm_storeu_si128((__m128i *)(void *)(codes + i), sixteen);
        } else {
            __builtin_memcpy(codes + i, &sixteen, count - i);
        }
    }
}

FTV_AVX2
void ftv_quantise_avx2(const ftv_quantise_job *job, void *scratch) {
    (void)scratch;
    uint32_t columns = job->pieces * job->piece, sixteens = job->pieces * job->piece_stride / FTV_TILE;
    for (uint32_t i = 0; i < job->rows; i++) {
        const int16_t *values = job->in.values + (size_t)i * job->in.stride;
        const int32_t *absmax = job->in.absmax + (size_t)i * (job->in.stride / FTV_TILE);
        int8_t *codes = job->out.codes + (size_t)i * job->out.stride;
        row_scale row = scale_of(absmax, sixteens);
        for (uint32_t p = 0; p < job->pieces; p++) {
            size_t from = (size_t)p * job->piece_stride;
            quantise_piece(codes + (size_t)p * job->piece, values + from, absmax + from / FTV_TILE, job->piece, &row);
        }
        for (uint32_t c = columns; c < ftv_round16(columns); c++) {
            codes[c] = 0;
        }
        job->out.scales[i] = (ftv_multiplier){(uint16_t)row.a15, (int16_t)row.k};
    }
}

#endif
