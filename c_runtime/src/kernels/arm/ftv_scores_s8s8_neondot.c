/* scores[j] = sum_c q[c] * k[j * stride + c], j < rows, c < head_dim <= 256. See ftv.h, ftv_kernels. */
#include "ftv_neon.h"

#if FTV_ARM64

FTV_DOT
void ftv_scores_s8s8_neondot(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                             uint32_t head_dim) {
    uint32_t columns = ftv_round16(head_dim);
    for (uint32_t j = 0; j < rows; j++) {
        const int8_t *key = k + (size_t)j * stride;
        int32x4_t sum = vdupq_n_s32(0);
        for (uint32_t c = 0; c < columns; c += 16U) {
            sum = vdotq_s32(sum, vld1q_s8(q + c), vld1q_s8(key + c));
        }
        scores[j] = vaddvq_s32(sum);
    }
}

#endif
