/* sums[token * 16 + channel] = sum_k x[token * stride + k] * w[channel][k], one tile of 16 channels of either encoding,
 * which is recoded once. See ftv.h, ftv_kernels, for shapes and ranges.
 * Scratch: the tile as t3, one channel's codes, the tables, words and sums of eight tokens. */
#include "ftv_scalar.h"

size_t ftv_linear_scratch_bytes_scalar(uint32_t inputs) {
    return ftv_t3_bytes(inputs, 1U) + ftv_codes_bytes(inputs) + FTV_TABLE_BYTES_T3 +
           FTV_TILE * (FTV_PAIRS + FTV_EIGHT) * sizeof(int32_t);
}

/* sums: [16][8] -> `count` rows of 16. */
static void turn(int32_t *restrict out, const int32_t *restrict sums, uint32_t count) {
    for (uint32_t token = 0; token < count; token++) {
        for (uint32_t channel = 0; channel < FTV_TILE; channel++) {
            *out++ = sums[channel * FTV_EIGHT + token];
        }
    }
}

void ftv_linear_s8t3_scalar(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                            ftv_encoding encoding, uint32_t inputs, void *scratch) {
    uint8_t *t3 = scratch, *codes = t3 + ftv_t3_bytes(inputs, 1U);
    ftv_eight eight = {.inputs = inputs, .tiles = t3, .tiles_count = 1U};
    eight.table = (uint32_t *)(void *)(codes + ftv_codes_bytes(inputs));
    eight.words = eight.table + FTV_TABLE_BYTES_T3 / sizeof(uint32_t);
    eight.sums = (int32_t *)(void *)(eight.words + FTV_TILE * FTV_PAIRS);
    ftv_recode_t3_scalar(t3, tile, 0U, 1U, encoding, inputs, codes);
    for (uint32_t first = 0; first < tokens; first += FTV_EIGHT) {
        uint32_t count = ftv_min_u32(FTV_EIGHT, tokens - first);
        ftv_eight_rows(&eight, x + (size_t)first * stride, stride, count);
        ftv_tiles_s8t3_scalar(&eight);
        turn(sums + first * FTV_TILE, eight.sums, count);
    }
}
