/* y[c] of one token's channels, Q16, from their sums: NUMERICS.md, section 2. sums: one in each FTV_EIGHT. y and sums
 * do not overlap. */
#include "ftv_scalar.h"

#define PLAIN_SHIFT  5    /* from here on no saturation: |acc * M >> 5| < 2^29, |bias| <= 2^29 */
#define SMALL_INPUTS 516U /* 127 * 516 * 32767 < 2^31: the product fits a word */

static int32_t multiplier_of(int32_t token, int32_t channel) {
    return (token * channel + (1 << 14)) >> 15;
}

/* floor(acc * M / 2^shift) in 32 bits, shift >= PLAIN_SHIFT. small: acc is a sum of at most SMALL_INPUTS inputs. */
FTV_INLINE int32_t scaled(int32_t acc, int32_t multiplier, int32_t shift, int small) {
    if (small) {
        return (acc * multiplier) >> shift;
    }
    return ((acc >> 4) * multiplier + (((acc & 15) * multiplier) >> 4)) >> (shift - 4);
}

FTV_INLINE void each_channel(int32_t *restrict y, const int32_t *restrict sums, uint32_t channels,
                             const ftv_affine *affine, int32_t mantissa, int32_t shift, int small) {
    const uint16_t *restrict mantissas = affine->mantissas;
    const int32_t *restrict bias = affine->bias;
    const int32_t *end = y + channels;
    for (; y != end; y += 2, sums += 2U * FTV_EIGHT, mantissas += 2, bias += 2) {
        y[0] = scaled(sums[0], multiplier_of(mantissa, mantissas[0]), shift, small) + bias[0];
        y[1] = scaled(sums[FTV_EIGHT], multiplier_of(mantissa, mantissas[1]), shift, small) + bias[1];
    }
}

FTV_INLINE void one_multiplier(int32_t *restrict y, const int32_t *restrict sums, uint32_t channels,
                               const ftv_affine *affine, int32_t mantissa, int32_t shift, int small) {
    int32_t multiplier = multiplier_of(mantissa, affine->mantissas[0]);
    const int32_t *restrict bias = affine->bias;
    const int32_t *end = y + channels;
    for (; y != end; y += 2, sums += 2U * FTV_EIGHT, bias += 2) {
        y[0] = scaled(sums[0], multiplier, shift, small) + bias[0];
        y[1] = scaled(sums[FTV_EIGHT], multiplier, shift, small) + bias[1];
    }
}

FTV_INLINE void plain(int32_t *restrict y, const int32_t *restrict sums, uint32_t channels, const ftv_affine *affine,
                      int32_t mantissa, int32_t shift, int small) {
    if (affine->per_channel) {
        each_channel(y, sums, channels, affine, mantissa, shift, small);
    } else {
        one_multiplier(y, sums, channels, affine, mantissa, shift, small);
    }
}

static void saturating(int32_t *y, const int32_t *sums, uint32_t channels, const ftv_affine *affine, int32_t mantissa,
                       int32_t shift) {
    for (uint32_t c = 0; c < channels; c++) {
        int32_t multiplier = multiplier_of(mantissa, affine->mantissas[affine->per_channel ? c : 0U]);
        int32_t value = ftv_shift_sat30((int64_t)sums[c * FTV_EIGHT] * multiplier, shift);
        y[c] = ftv_sat30(value + affine->bias[c]);
    }
}

void ftv_requantise_scalar(int32_t *y, const int32_t *sums, uint32_t channels, const ftv_affine *affine,
                           ftv_multiplier scale) {
    int32_t shift = scale.exponent + affine->exponent - 15;
    if (shift < PLAIN_SHIFT) {
        saturating(y, sums, channels, affine, scale.mantissa, shift);
    } else if (affine->inputs <= SMALL_INPUTS) {
        plain(y, sums, channels, affine, scale.mantissa, ftv_min_s32(shift, 31), 1);
    } else {
        plain(y, sums, channels, affine, scale.mantissa, ftv_min_s32(shift, 35), 0);
    }
}
