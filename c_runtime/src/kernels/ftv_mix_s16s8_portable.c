/* sums[c] = sum_j weights[j] * v[j * stride + c], c < head_dim. See ftv.h, ftv_kernels. */
#include "../ftv_clones.h"
#include "ftv_kernels.h"

FTV_CLONES
void ftv_mix_s16s8_portable(int32_t *restrict sums, const int16_t *restrict weights, const int8_t *restrict v,
                            uint32_t rows, uint32_t stride, uint32_t head_dim) {
    uint32_t j = 0;
    for (size_t c = 0; c < head_dim; c++) {
        sums[c] = 0;
    }
    for (; j + 4U <= rows; j += 4U) { /* four rows for each load and store of the sums */
        const int8_t *restrict v0 = v + (size_t)j * stride, *restrict v1 = v0 + stride;
        const int8_t *restrict v2 = v1 + stride, *restrict v3 = v2 + stride;
        int32_t w0 = weights[j], w1 = weights[j + 1U], w2 = weights[j + 2U], w3 = weights[j + 3U];
        for (size_t c = 0; c < head_dim; c++) {
            sums[c] += w0 * v0[c] + w1 * v1[c] + w2 * v2[c] + w3 * v3[c];
        }
    }
    for (; j < rows; j++) {
        for (size_t c = 0; c < head_dim; c++) {
            sums[c] += weights[j] * v[(size_t)j * stride + c];
        }
    }
}
