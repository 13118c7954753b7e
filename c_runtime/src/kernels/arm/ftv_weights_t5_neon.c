/* Weights -1..1 of a tile, five weights a byte, as [k][16 channels]. See ftv_neon.h, and IMAGE_FORMAT.md, "matrix, t5". */
#include "ftv_neon.h"

#if FTV_ARM64

/* The integer part of three times the fraction is a digit, 0..2; what is left is the fraction of the next. */
FTV_NEON_INLINE int8x16_t next_digit(uint8x16_t *fraction) {
    const uint8x8_t three = vdup_n_u8(3);
    uint16x8_t low = vmull_u8(vget_low_u8(*fraction), three), high = vmull_u8(vget_high_u8(*fraction), three);
    *fraction = vcombine_u8(vmovn_u16(low), vmovn_u16(high));
    return vreinterpretq_s8_u8(vcombine_u8(vshrn_n_u16(low, 8), vshrn_n_u16(high, 8)));
}

void ftv_weights_t5_neon(int8_t *weights, const uint8_t *tile, uint32_t inputs) {
    uint32_t rows = ftv_round16(inputs);
    for (uint32_t k = 0; k < inputs; tile += 16) {
        uint8x16_t fraction = vld1q_u8(tile);
        for (uint32_t i = 0; i < 5U && k < rows; i++, k++) {
            vst1q_s8(weights + (size_t)k * FTV_TILE, vsubq_s8(next_digit(&fraction), vdupq_n_s8(1)));
        }
    }
    for (uint32_t k = ftv_ceil_div(inputs, 5U) * 5U; k < rows; k++) {
        vst1q_s8(weights + (size_t)k * FTV_TILE, vdupq_n_s8(0));
    }
}

#endif
