/* sums[c] = sum_j weights[j] * v[j * stride + c], c < head_dim. See ftv.h, ftv_kernels. 32 columns at a time, then 16. */
#include "ftv_neon.h"

#if FTV_ARM64

/* Adds a row's sixteen columns. */
FTV_NEON_INLINE void add_row(int32x4_t sums[4], int8x16_t row, int16_t weight) {
    int16x8_t low = vmovl_s8(vget_low_s8(row)), high = vmovl_high_s8(row);
    sums[0] = vmlal_n_s16(sums[0], vget_low_s16(low), weight);
    sums[1] = vmlal_high_n_s16(sums[1], low, weight);
    sums[2] = vmlal_n_s16(sums[2], vget_low_s16(high), weight);
    sums[3] = vmlal_high_n_s16(sums[3], high, weight);
}

FTV_NEON_INLINE void mix_columns(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                                 const uint32_t sixteens) {
    int32x4_t acc[8];
    FTV_UNROLL for (uint32_t i = 0; i < 4U * sixteens; i++) {
        acc[i] = vdupq_n_s32(0);
    }
    for (uint32_t j = 0; j < rows; j++) {
        FTV_UNROLL for (uint32_t i = 0; i < sixteens; i++) {
            add_row(acc + 4U * i, vld1q_s8(v + (size_t)j * stride + 16U * i), weights[j]);
        }
    }
    FTV_UNROLL for (uint32_t i = 0; i < 4U * sixteens; i++) {
        vst1q_s32(sums + 4U * i, acc[i]);
    }
}

void ftv_mix_s16s8_neon(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                        uint32_t head_dim) {
    uint32_t columns = ftv_round16(head_dim), c = 0;
    for (; c + 32U <= columns; c += 32U) {
        mix_columns(sums + c, weights, v + c, rows, stride, 2);
    }
    if (c < columns) {
        mix_columns(sums + c, weights, v + c, rows, stride, 1);
    }
}

#endif
