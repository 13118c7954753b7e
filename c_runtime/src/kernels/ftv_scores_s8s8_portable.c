/* scores[j] = sum_c q[c] * k[j * stride + c], j < rows, c < head_dim <= 256. See ftv.h, ftv_kernels. */
#include "../ftv_clones.h"
#include "ftv_kernels.h"

#define HEAD_DIM_MAX 256

FTV_CLONES
void ftv_scores_s8s8_portable(int32_t *restrict scores, const int8_t *restrict q, const int8_t *restrict k,
                              uint32_t rows, uint32_t stride, uint32_t head_dim) {
    int16_t query[HEAD_DIM_MAX];                      /* 16 bits wide: compilers add such products in pairs */
    size_t columns = (head_dim + 15U) & ~(size_t)15U; /* zeros add nothing, and leave no remainder */
    for (size_t c = 0; c < columns; c++) {
        query[c] = q[c];
    }
    for (uint32_t j = 0; j < rows; j++) {
        const int8_t *restrict key = k + (size_t)j * stride;
        int32_t sum = 0;
        for (size_t c = 0; c < columns; c++) {
            sum += query[c] * (int16_t)key[c];
        }
        scores[j] = sum;
    }
}
