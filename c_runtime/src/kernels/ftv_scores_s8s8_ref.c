/* scores[j] = sum_c q[c] * k[j * stride + c], j < rows, c < head_dim. See ftv.h, ftv_kernels. */
#include "ftv_kernels.h"

void ftv_scores_s8s8_ref(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                         uint32_t head_dim) {
    for (uint32_t j = 0; j < rows; j++) {
        scores[j] = 0;
        for (uint32_t c = 0; c < head_dim; c++) {
            scores[j] += q[c] * k[(size_t)j * stride + c];
        }
    }
}
