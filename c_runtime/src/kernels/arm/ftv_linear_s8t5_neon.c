/* sums[token * 16 + channel] = sum_k x[token * stride + k] * w[channel][k], one tile of 16 channels, five weights a byte.
 * See ftv.h, ftv_kernels. scratch: the decoded tile. */
#include "ftv_neon.h"

#if FTV_ARM64

void ftv_linear_s8t5_neon(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                          uint32_t inputs, void *scratch) {
    ftv_weights_t5_neon(scratch, tile, inputs);
    ftv_product_s8s8_neon(sums, x, stride, tokens, scratch, ftv_ceil_div(inputs, 16U));
}

#endif
