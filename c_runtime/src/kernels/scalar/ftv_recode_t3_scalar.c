/* Tiles of t2 or t5 as t3: three weights a byte, for few channels and many tokens. See ftv_scalar.h, "t3".
 * Nothing overlaps; tiles are byte-aligned, codes are 4-byte aligned. */
#include "ftv_scalar.h"

/* A channel's four bytes of a block make a word; each shift of it yields the codes of four inputs in a row. */
static void codes_of_t2(uint32_t *restrict codes, const uint8_t *restrict channel, uint32_t inputs) {
    for (uint32_t k = 0; k < inputs; k += 16U, channel += 64, codes += 4) {
        uint32_t word =
            channel[0] | (uint32_t)channel[16] << 8 | (uint32_t)channel[32] << 16 | (uint32_t)channel[48] << 24;
        codes[0] = word & 0x03030303U;
        codes[1] = (word >> 2) & 0x03030303U;
        codes[2] = (word >> 4) & 0x03030303U;
        codes[3] = (word >> 6) & 0x03030303U;
    }
}

/* The next base-3 digit is the integer part of three times the fraction: IMAGE_FORMAT.md, "matrix, t5". */
FTV_INLINE uint32_t next_code(uint8_t *code, uint32_t rest) {
    rest *= 3U;
    *code = (uint8_t)(rest >> 8);
    return rest & 255U;
}

static void codes_of_t5(uint8_t *restrict codes, const uint8_t *restrict channel, uint32_t inputs) {
    for (const uint8_t *end = codes + inputs; codes < end; channel += 16, codes += 5) {
        uint32_t rest = next_code(codes, *channel);
        rest = next_code(codes + 1, rest);
        rest = next_code(codes + 2, rest);
        rest = next_code(codes + 3, rest);
        next_code(codes + 4, rest);
    }
}

FTV_INLINE uint8_t three_of(const uint8_t *codes) {
    return (uint8_t)(8U * (codes[0] + 3U * (codes[1] + 3U * codes[2])));
}

/* A channel's codes, eight threes each `stride` bytes. */
static void pack(uint8_t *restrict t3, const uint8_t *restrict codes, uint32_t inputs, uint32_t stride) {
    for (const uint8_t *end = codes + inputs; codes < end; codes += FTV_T3_INPUTS, t3 += stride) {
        t3[0] = three_of(codes);
        t3[1] = three_of(codes + 3);
        t3[2] = three_of(codes + 6);
        t3[3] = three_of(codes + 9);
        t3[4] = three_of(codes + 12);
        t3[5] = three_of(codes + 15);
        t3[6] = three_of(codes + 18);
        t3[7] = three_of(codes + 21);
    }
}

void ftv_recode_t3_scalar(uint8_t *t3, const uint8_t *tiles, uint32_t tile_bytes, uint32_t count, ftv_encoding encoding,
                          uint32_t inputs, uint8_t *codes) {
    uint32_t channels = count * FTV_TILE;
    for (uint32_t i = 0; i < ftv_codes_bytes(inputs); i++) {
        codes[i] = 1; /* beyond the last input: weights of zero */
    }
    for (uint32_t channel = 0; channel < channels; channel++) {
        const uint8_t *bytes = tiles + (size_t)(channel / FTV_TILE) * tile_bytes + channel % FTV_TILE;
        if (encoding == FTV_T2) {
            codes_of_t2((uint32_t *)(void *)codes, bytes, inputs);
        } else {
            codes_of_t5(codes, bytes, inputs);
        }
        pack(t3 + channel * FTV_THREES, codes, inputs, channels * FTV_THREES);
    }
}
