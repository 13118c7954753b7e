/* sums[c] = sum_j weights[j] * v[j * stride + c], c < head_dim. See ftv.h, ftv_kernels.
 * Four channels over all rows: their sums stay in registers. Values are read as code + 128, so that a byte needs no
 * sign; 128 sum weights is subtracted at the end. Every sum is exact modulo 2^32, and the result fits. */
#include "ftv_scalar.h"

FTV_INLINE void four_channels(uint32_t *restrict sums, const int16_t *restrict weights, const int8_t *restrict v,
                              uint32_t rows, uint32_t stride, uint32_t correction) {
    uint32_t s0 = 0U - correction, s1 = s0, s2 = s0, s3 = s0;
    const uint32_t *value = (const uint32_t *)(const void *)v;
    const int16_t *end = weights + rows;
    for (; weights != end; weights++, value += stride / 4U) {
        uint32_t four = *value ^ 0x80808080U, weight = (uint32_t)*weights;
        s0 += weight * (four & 255U);
        s1 += weight * (four >> 8 & 255U);
        s2 += weight * (four >> 16 & 255U);
        s3 += weight * (four >> 24);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

void ftv_mix_s16s8_scalar(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                          uint32_t head_dim) {
    uint32_t correction = 0;
    for (uint32_t j = 0; j < rows; j++) {
        correction += 128U * (uint32_t)weights[j];
    }
    for (uint32_t c = 0; c < head_dim; c += 4U) {
        four_channels((uint32_t *)sums + c, weights, v + c, rows, stride, correction);
    }
}
