/* Weights -1..1 of a tile, two bits a weight, as [k][16 channels]. See ftv_neon.h, and IMAGE_FORMAT.md, "matrix, t2". */
#include "ftv_neon.h"

#if FTV_ARM64

/* Row j of a block holds the codes of k = 4 s + j in bits 2 s. */
void ftv_weights_t2_neon(int8_t *weights, const uint8_t *tile, uint32_t inputs) {
    const uint8x16_t three = vdupq_n_u8(3);
    const int8x16_t one = vdupq_n_s8(1);
    for (uint32_t k = 0; k < inputs; k += 16U, tile += 64, weights += 256) {
        FTV_UNROLL for (uint32_t j = 0; j < 4U; j++) {
            uint8x16_t row = vld1q_u8(tile + 16U * j);
            int8_t *to = weights + 16U * j;
            vst1q_s8(to, vsubq_s8(vreinterpretq_s8_u8(vandq_u8(row, three)), one));
            vst1q_s8(to + 64, vsubq_s8(vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(row, 2), three)), one));
            vst1q_s8(to + 128, vsubq_s8(vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(row, 4), three)), one));
            vst1q_s8(to + 192, vsubq_s8(vreinterpretq_s8_u8(vshrq_n_u8(row, 6)), one));
        }
    }
}

#endif
