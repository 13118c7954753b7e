/* Weights [k][16 channels] become [k / 4][channel][k % 4], what the dot product multiplies; in place. */
#include "ftv_neon.h"

#if FTV_ARM64

void ftv_weights_by_four_neon(int8_t *weights, uint32_t inputs) {
    for (uint32_t k = 0; k < ftv_round16(inputs); k += 4U, weights += 64) {
        int8x16x4_t rows = {
            {vld1q_s8(weights), vld1q_s8(weights + 16), vld1q_s8(weights + 32), vld1q_s8(weights + 48)}};
        vst4q_s8(weights, rows);
    }
}

#endif
