/* scores[j] = sum_c q[c] * k[j * stride + c], j < rows, c < head_dim <= 256. See ftv.h, ftv_kernels.
 * Keys are read four bytes at a time and as code + 128, so that a byte needs no sign; 128 sum q is subtracted at the
 * end. */
#include "ftv_scalar.h"

#define HEAD_DIM_MAX 256

/* The four bytes of a key's word x four channels of the query. */
FTV_INLINE int32_t four_products(uint32_t key, const int16_t *restrict q) {
    key ^= 0x80808080U;
    return q[0] * (int32_t)(key & 255U) + q[1] * (int32_t)(key >> 8 & 255U) + q[2] * (int32_t)(key >> 16 & 255U) +
           q[3] * (int32_t)(key >> 24);
}

void ftv_scores_s8s8_scalar(int32_t *restrict scores, const int8_t *restrict q, const int8_t *restrict k, uint32_t rows,
                            uint32_t stride, uint32_t head_dim) {
    int16_t query[HEAD_DIM_MAX];
    int32_t correction = 0;
    uint32_t columns = ftv_round16(head_dim); /* zeros add nothing */
    for (uint32_t c = 0; c < columns; c++) {
        query[c] = q[c];
        correction += 128 * q[c];
    }
    for (uint32_t j = 0; j < rows; j += 2U) {
        const uint32_t *key = (const uint32_t *)(const void *)(k + (size_t)j * stride);
        const uint32_t *next = j + 1U < rows ? key + stride / 4U : key;
        int32_t sum = -correction, next_sum = -correction;
        for (uint32_t c = 0; c < columns; c += 4U) {
            sum += four_products(*key++, query + c);
            next_sum += four_products(*next++, query + c);
        }
        scores[j] = sum;
        if (j + 1U < rows) {
            scores[j + 1U] = next_sum;
        }
    }
}
