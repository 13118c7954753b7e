/* sums[token * 16 + channel] = sum_k x[token * stride + k] * w[channel][k], one tile of 16 channels, five weights a byte.
 * See ftv.h, ftv_kernels, for shapes and ranges. */
#include "ftv_scalar.h"

void ftv_linear_s8t5_scalar(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                            uint32_t inputs, void *scratch) {
    ftv_linear_s8t3_scalar(sums, x, tokens, stride, tile, FTV_T5, inputs, scratch);
}
