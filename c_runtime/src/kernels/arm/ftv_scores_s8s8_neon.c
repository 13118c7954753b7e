/* scores[j] = sum_c q[c] * k[j * stride + c], j < rows, c < head_dim <= 256. See ftv.h, ftv_kernels.
 * Two products of bytes fit sixteen bits: 2 * 127 * 127 < 2^15. */
#include "ftv_neon.h"

#if FTV_ARM64

void ftv_scores_s8s8_neon(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                          uint32_t head_dim) {
    uint32_t columns = ftv_round16(head_dim);
    for (uint32_t j = 0; j < rows; j++) {
        const int8_t *key = k + (size_t)j * stride;
        int32x4_t sum = vdupq_n_s32(0);
        for (uint32_t c = 0; c < columns; c += 16U) {
            int8x16_t a = vld1q_s8(q + c), b = vld1q_s8(key + c);
            int16x8_t products = vmull_s8(vget_low_s8(a), vget_low_s8(b));
            sum = vpadalq_s16(sum, vmlal_high_s8(products, a, b));
        }
        scores[j] = vaddvq_s32(sum);
    }
}

#endif
