/* The softmax of one score after another, NUMERICS.md, section 5: what ftv_softmax and kernels of their own share. */
#ifndef FTV_SOFTMAX_H
#define FTV_SOFTMAX_H

#include "ftv_clones.h"
#include "ftv_fixed.h"

#define FTV_LOG2_MAX 32767 /* largest distance from the maximum, log2 units in Q11 */

/* u = min(32767, (largest - t) * c >> shift), any shift. */
static inline int32_t ftv_distance_wide(uint32_t diff, uint32_t c, int32_t shift) {
    uint64_t product = (uint64_t)diff * c;
    if (shift >= 0) {
        product >>= ftv_min_s32(shift, 62);
    } else {
        product = (product > FTV_LOG2_MAX ? FTV_LOG2_MAX : product) << ftv_min_s32(-shift, 31);
    }
    return product > FTV_LOG2_MAX ? FTV_LOG2_MAX : (int32_t)product;
}

/* The same for shift >= 16 in 32 bits: with diff = high * 2^16 + low, high * c + (low * c >> 16) is
 * floor(diff * c / 2^16), below 2^31. rest: min(shift - 16, 31). */
FTV_INLINE int32_t ftv_distance(uint32_t diff, uint32_t c, uint32_t rest) {
    uint32_t product = (diff >> 16) * c + (((diff & 0xFFFFU) * c) >> 16);
    return ftv_min_s32((int32_t)(product >> rest), FTV_LOG2_MAX);
}

/* e = 2^15 * 2^(-u / 2^11), u 0 .. 32767: 2^15 * 2^(-f / 2^15) by a polynomial, 0 <= f < 2^15. */
FTV_INLINE int32_t ftv_numerator(int32_t u) {
    int32_t f = (u & 2047) << 4;
    int32_t r = (f * -1296) >> 15;
    r = (f * (7566 + r)) >> 15;
    r = (f * (-22654 + r)) >> 15;
    return (32767 + r) >> (u >> 11);
}

/* A key's weight, 0 .. 2^13. value: mv. */
FTV_INLINE int32_t ftv_weight(int32_t numerator, int32_t value) {
    return (numerator * value + (1 << 16)) >> 17;
}

#endif
