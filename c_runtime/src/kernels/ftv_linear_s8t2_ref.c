/* sums[token * 16 + channel] = sum_k x[token * stride + k] * w[channel][k], one tile of 16 channels, two bits a weight.
 * See ftv.h, ftv_kernels, for shapes and ranges, and IMAGE_FORMAT.md, "matrix, t2". Needs no scratch. */
#include "ftv_kernels.h"

void ftv_linear_s8t2_ref(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                         uint32_t inputs, void *scratch) {
    (void)scratch;
    for (uint32_t token = 0; token < tokens; token++) {
        for (uint32_t channel = 0; channel < 16U; channel++) {
            int32_t sum = 0;
            for (uint32_t k = 0; k < inputs; k++) {
                uint32_t byte = tile[k / 16U * 64U + k % 4U * 16U + channel];
                int32_t trit = (int32_t)((byte >> (k % 16U / 4U * 2U)) & 3U) - 1;
                sum += x[(size_t)token * stride + k] * trit;
            }
            sums[token * 16U + channel] = sum;
        }
    }
}
