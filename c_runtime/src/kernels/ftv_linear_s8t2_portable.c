/* sums[token * 16 + channel] = sum_k x[token * stride + k] * w[channel][k], one tile of 16 channels, two bits a weight.
 * See ftv.h, ftv_kernels, for shapes and ranges. Decodes the tile once into scratch. */
#include "ftv_kernels.h"

/* Four codes w + 1 in the bytes of a word -> four weights, without borrows between bytes. */
static uint32_t minus_one(uint32_t codes) {
    return ((codes | 0x80808080U) - 0x01010101U) ^ 0x80808080U;
}

/* A block holds the codes of k = 4 s + j in bits 2 s of byte j: a channel's four bytes make a word, and each shift of it
 * yields four consecutive weights. */
static void decode_block(int8_t *weights, const uint8_t *block, uint32_t stride) {
    for (uint32_t channel = 0; channel < 16U; channel++) {
        uint32_t word = block[channel] | (uint32_t)block[16U + channel] << 8 | (uint32_t)block[32U + channel] << 16 |
                        (uint32_t)block[48U + channel] << 24;
        uint32_t *fours = (uint32_t *)(void *)(weights + (size_t)channel * stride);
        for (uint32_t s = 0; s < 4U; s++) {
            fours[s] = minus_one((word >> (2U * s)) & 0x03030303U);
        }
    }
}

void ftv_linear_s8t2_portable(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                              uint32_t inputs, void *scratch) {
    int8_t *weights = scratch;
    for (uint32_t k = 0; k < inputs; k += 16U) {
        decode_block(weights + k, tile + (size_t)k * 4U, ftv_decoded_stride(inputs));
    }
    ftv_linear_s8s8_portable(sums, x, tokens, stride, weights, inputs, ftv_widened(scratch, inputs));
}
