/* Narrow rows to eight-bit rows: NUMERICS.md, section 1. See ftv.h, ftv_quantise_job. No scratch.
 * Codes may overwrite the values row by row: code i is byte i and value i bytes 2 i and 2 i + 1, so that codes never
 * reach values that are still to be read. */
#include "ftv_neon.h"

#if FTV_ARM64

/* The row's absmax is the largest of its sixteens', at least 1. */
static ftv_absmax absmax_of(const int32_t *absmax, uint32_t sixteens) {
    int32_t largest = 1;
    for (uint32_t i = 0; i < sixteens; i++) {
        largest = ftv_max_s32(largest, absmax[i]);
    }
    return ftv_absmax_of((uint32_t)largest);
}

/* (y * R + 2^20) >> 21 of eight values, |y| <= 2^15. */
FTV_NEON_INLINE int8x8_t codes_of(int16x8_t y, int16_t reciprocal) {
    int16x8_t high = vcombine_s16(vshrn_n_s32(vmull_n_s16(vget_low_s16(y), reciprocal), 16),
                                  vshrn_n_s32(vmull_high_n_s16(y, reciprocal), 16));
    return vmovn_s16(vshrq_n_s16(vaddq_s16(high, vdupq_n_s16(16)), 5));
}

/* Shifting left, k >= 0, meets no shift of the sixteen's own. */
static void quantise_sixteen(int8_t *codes, const int16_t *values, int32_t absmax, uint32_t count, ftv_absmax row) {
    int32_t done = ftv_max_s32(0, ftv_bits32((uint32_t)absmax) - 15);
    int16x8_t by = vdupq_n_s16((int16_t)(row.k >= 0 ? row.k : row.k + done));
    int16_t reciprocal = (int16_t)(((uint32_t)FTV_CODE_MAX << 21) / row.a15);
    int8x8_t low = codes_of(vshlq_s16(vld1q_s16(values), by), reciprocal);
    int8x8_t high = codes_of(vshlq_s16(vld1q_s16(values + 8), by), reciprocal);
    int8x16_t sixteen = vcombine_s8(low, high);
    if (count >= FTV_TILE) {
        vst1q_s8(codes, sixteen);
    } else {
        __builtin_memcpy(codes, &sixteen, count);
    }
}

void ftv_quantise_neon(const ftv_quantise_job *job, void *scratch) {
    (void)scratch;
    uint32_t columns = job->pieces * job->piece, sixteens = job->pieces * job->piece_stride / FTV_TILE;
    for (uint32_t i = 0; i < job->rows; i++) {
        const int16_t *values = job->in.values + (size_t)i * job->in.stride;
        const int32_t *absmax = job->in.absmax + (size_t)i * (job->in.stride / FTV_TILE);
        int8_t *codes = job->out.codes + (size_t)i * job->out.stride, *next = codes;
        ftv_absmax row = absmax_of(absmax, sixteens);
        for (uint32_t p = 0; p < job->pieces; p++, next += job->piece) {
            size_t from = (size_t)p * job->piece_stride;
            for (uint32_t c = 0; c < job->piece; c += FTV_TILE) {
                quantise_sixteen(next + c, values + from + c, absmax[(from + c) / FTV_TILE], job->piece - c, row);
            }
        }
        for (uint32_t c = columns; c < ftv_round16(columns); c++) {
            codes[c] = 0;
        }
        job->out.scales[i] = (ftv_multiplier){(uint16_t)row.a15, (int16_t)row.k};
    }
}

#endif
