/* NUMERICS.md, section 5: the softmax of one query, without a division and without a table. */
#include "ftv_clones.h"
#include "ftv_engine.h"
#include "ftv_fixed.h"

#define LOG2_MAX 32767 /* largest distance from the maximum, log2 units in Q11 */

/* 2^15 * 2^(-f / 2^15) by a polynomial, 0 <= f < 2^15. */
FTV_INLINE int32_t exp2_poly(int32_t f) {
    int32_t r = (f * -1296) >> 15;
    r = (f * (7566 + r)) >> 15;
    r = (f * (-22654 + r)) >> 15;
    return 32767 + r;
}

/* scores become t = scores * key scale; returns the largest. */
FTV_INLINE int32_t scale_scores(int32_t *restrict scores, const int32_t *restrict key, uint32_t rows) {
    int32_t largest = INT32_MIN;
    for (uint32_t j = 0; j < rows; j++) {
        scores[j] *= key[j];
        largest = scores[j] > largest ? scores[j] : largest;
    }
    return largest;
}

/* t becomes u = min(32767, (largest - t) * c >> shift), any shift. */
static void distances_wide(int32_t *t, uint32_t rows, int32_t largest, uint32_t c, int32_t shift) {
    for (uint32_t j = 0; j < rows; j++) {
        uint64_t product = (uint64_t)((uint32_t)largest - (uint32_t)t[j]) * c;
        if (shift >= 0) {
            product >>= ftv_min_s32(shift, 62);
        } else {
            product = (product > LOG2_MAX ? LOG2_MAX : product) << ftv_min_s32(-shift, 31);
        }
        t[j] = product > LOG2_MAX ? LOG2_MAX : (int32_t)product;
    }
}

/* The same for shift >= 16 in 32 bits: with diff = high * 2^16 + low, high * c + (low * c >> 16) is
 * floor(diff * c / 2^16), below 2^31. */
FTV_INLINE void distances_narrow(int32_t *restrict t, uint32_t rows, int32_t largest, uint32_t c, int32_t shift) {
    uint32_t rest = (uint32_t)ftv_min_s32(shift - 16, 31);
    for (uint32_t j = 0; j < rows; j++) {
        uint32_t diff = (uint32_t)largest - (uint32_t)t[j];
        uint32_t product = (diff >> 16) * c + (((diff & 0xFFFFU) * c) >> 16);
        t[j] = ftv_min_s32((int32_t)(product >> rest), LOG2_MAX);
    }
}

/* u becomes weights; returns the sum of the numerators. */
FTV_INLINE uint32_t weigh(int16_t *restrict weights, const int32_t *restrict u, uint32_t rows,
                          const int32_t *restrict value) {
    uint32_t sum = 0;
    for (uint32_t j = 0; j < rows; j++) {
        int32_t e = exp2_poly((u[j] & 2047) << 4) >> (u[j] >> 11);
        sum += (uint32_t)e;
        weights[j] = (int16_t)((e * value[j] + (1 << 16)) >> 17);
    }
    return sum;
}

FTV_CLONES
uint32_t ftv_softmax(int16_t *weights, int32_t *scores, uint32_t rows, const ftv_softmax_scales *scales) {
    int32_t largest = scale_scores(scores, scales->key, rows);
    if (scales->shift >= 16) {
        distances_narrow(scores, rows, largest, scales->c, scales->shift);
    } else {
        distances_wide(scores, rows, largest, scales->c, scales->shift);
    }
    return weigh(weights, scores, rows, scales->value);
}
