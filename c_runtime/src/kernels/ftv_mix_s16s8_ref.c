/* sums[c] = sum_j weights[j] * v[j * stride + c], c < head_dim. See ftv.h, ftv_kernels.
 * At most 2064 * 2^13 * 127 < 2^31. */
#include "ftv_kernels.h"

void ftv_mix_s16s8_ref(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                       uint32_t head_dim) {
    for (uint32_t c = 0; c < head_dim; c++) {
        sums[c] = 0;
        for (uint32_t j = 0; j < rows; j++) {
            sums[c] += weights[j] * v[(size_t)j * stride + c];
        }
    }
}
