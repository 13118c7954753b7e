/* sums[token * 16 + channel] = sum_k x[token * stride + k] * w[channel][k], one tile of 16 channels, five weights a byte.
 * See ftv.h, ftv_kernels, for shapes and ranges. Decodes the tile once into scratch. */
#include "ftv_kernels.h"

/* The table of all bytes, by arithmetic at compile time: byte i of an entry is trit i. */
#define TRIT(byte, power) ((uint64_t)(((((byte) * (power)) % 256U * 3U >> 8) + 255U) & 255U))
#define FIVE(byte)                                                                                                     \
    (TRIT(byte, 1U) | TRIT(byte, 3U) << 8 | TRIT(byte, 9U) << 16 | TRIT(byte, 27U) << 24 | TRIT(byte, 81U) << 32)
#define FOUR_BYTES(b)    FIVE(b), FIVE(b + 1U), FIVE(b + 2U), FIVE(b + 3U)
#define SIXTEEN_BYTES(b) FOUR_BYTES(b), FOUR_BYTES(b + 4U), FOUR_BYTES(b + 8U), FOUR_BYTES(b + 12U)
#define ALL_BYTES(b)     SIXTEEN_BYTES(b), SIXTEEN_BYTES(b + 16U), SIXTEEN_BYTES(b + 32U), SIXTEEN_BYTES(b + 48U)

static const uint64_t five_trits[256] = {ALL_BYTES(0U), ALL_BYTES(64U), ALL_BYTES(128U), ALL_BYTES(192U)};

static void decode_channel(int8_t *weights, const uint8_t *bytes, uint32_t inputs) {
    uint32_t k = 0;
    for (; k < inputs; k += 5U) {
        uint64_t five = five_trits[*bytes];
        weights[k] = (int8_t)five;
        weights[k + 1U] = (int8_t)(five >> 8);
        weights[k + 2U] = (int8_t)(five >> 16);
        weights[k + 3U] = (int8_t)(five >> 24);
        weights[k + 4U] = (int8_t)(five >> 32);
        bytes += 16;
    }
    for (; k < ftv_decoded_stride(inputs); k++) {
        weights[k] = 0;
    }
}

void ftv_linear_s8t5_portable(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                              uint32_t inputs, void *scratch) {
    int8_t *weights = scratch;
    for (uint32_t channel = 0; channel < 16U; channel++) {
        decode_channel(weights + (size_t)channel * ftv_decoded_stride(inputs), tile + channel, inputs);
    }
    ftv_linear_s8s8_portable(sums, x, tokens, stride, weights, inputs, ftv_widened(scratch, inputs));
}
