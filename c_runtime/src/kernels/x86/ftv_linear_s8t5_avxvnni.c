/* sums[token * 16 + channel] = sum_k x[token * stride + k] * w[channel][k], one tile of 16 channels, five weights a byte.
 * See ftv.h, ftv_kernels. */
#include "ftv_avx2.h"

#if FTV_X86

void ftv_linear_s8t5_avxvnni(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                             uint32_t inputs, void *scratch) {
    ftv_linear_tile_avx2(sums, x, tokens, stride, tile, inputs, scratch, FTV_T5, ftv_product_s8u2_avxvnni);
}

#endif
