/* sums[token * 16 + channel] = sum_k x[token * stride + k] * w[channel][k], one tile of 16 channels, five weights a byte.
 * See ftv.h, ftv_kernels, for shapes and ranges, and IMAGE_FORMAT.md, "matrix, t5". Needs no scratch. */
#include "ftv_kernels.h"

/* Trit 0..4 of a byte: the next base-3 digit is the integer part of three times the fraction. */
static int32_t trit_of(uint32_t byte, uint32_t index) {
    for (uint32_t i = 0; i < index; i++) {
        byte = byte * 3U % 256U;
    }
    return (int32_t)(byte * 3U >> 8) - 1;
}

void ftv_linear_s8t5_ref(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                         uint32_t inputs, void *scratch) {
    (void)scratch;
    for (uint32_t token = 0; token < tokens; token++) {
        for (uint32_t channel = 0; channel < 16U; channel++) {
            int32_t sum = 0;
            for (uint32_t k = 0; k < inputs; k++) {
                sum += x[(size_t)token * stride + k] * trit_of(tile[k / 5U * 16U + channel], k % 5U);
            }
            sums[token * 16U + channel] = sum;
        }
    }
}
