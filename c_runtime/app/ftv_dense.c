/* Plain C for any compiler: what a user would have without ternary weights. */
#include "ftv_dense.h"

#include "ftv_clones.h"
#include "kernels/ftv_kernels.h"

#define CHANNELS 16U
#define TOGETHER 8U /* channels whose sums fit a small chip's sixteen registers */

uint32_t ftv_dense_row(uint32_t inputs) {
    return ftv_decoded_stride(inputs);
}

size_t ftv_dense_bytes(uint32_t inputs) {
    return (ftv_linear_scratch_bytes_portable(inputs) + 15U) & ~(size_t)15U;
}

FTV_INLINE void eight(float *restrict sums, const float *restrict x, const float *restrict weights, size_t inputs) {
    float sum[TOGETHER] = {0};
    for (size_t k = 0; k < inputs; k++) {
        for (uint32_t c = 0; c < TOGETHER; c++) {
            sum[c] += x[k] * weights[k * CHANNELS + c];
        }
    }
    for (uint32_t c = 0; c < TOGETHER; c++) {
        sums[c] = sum[c];
    }
}

FTV_CLONES
static void product_f32(float *sums, const float *x, uint32_t tokens, size_t stride, const float *weights,
                        uint32_t inputs) {
    for (size_t token = 0; token < tokens; token++) {
        for (uint32_t first = 0; first < CHANNELS; first += TOGETHER) {
            eight(sums + token * CHANNELS + first, x + token * stride, weights + first, inputs);
        }
    }
}

void ftv_dense_tile(void *job, uint32_t tile, uint32_t worker) {
    const ftv_dense_job *dense = job;
    size_t sums = (size_t)tile * dense->tokens * CHANNELS;
    if (dense->kind == FTV_DENSE_F32) {
        product_f32((float *)dense->sums + sums, dense->x, dense->tokens, dense->stride,
                    (const float *)dense->weights + (size_t)tile * dense->inputs * CHANNELS, dense->inputs);
        return;
    }
    /* What the portable ternary kernels end in, without their decoding. */
    const int8_t *weights = (const int8_t *)dense->weights + (size_t)tile * CHANNELS * ftv_dense_row(dense->inputs);
    uint8_t *scratch = (uint8_t *)dense->scratch + worker * ftv_dense_bytes(dense->inputs);
    ftv_linear_s8s8_portable((int32_t *)dense->sums + sums, dense->x, dense->tokens, dense->stride, weights,
                             dense->inputs, (int16_t *)(void *)scratch);
}
