/* sums[token * 16 + channel] = sum_k x[token * stride + k] * weights[channel * decoded stride + k], 16 channels.
 * x and weights are zero beyond `inputs` up to a multiple of 16. */
#include "../ftv_clones.h"
#include "ftv_kernels.h"

#define TOKENS 4U /* tokens that share each load of weights */

size_t ftv_linear_scratch_bytes_portable(uint32_t inputs) {
    return (size_t)ftv_decoded_stride(inputs) * (16U + TOKENS * sizeof(int16_t));
}

/* Tokens as 16-bit values: compilers know how to add products of 16-bit values in pairs. x and wide do not overlap. */
FTV_INLINE void widen(int16_t *restrict wide, const int8_t *restrict x, size_t stride, size_t inputs16,
                      uint32_t tokens) {
    for (uint32_t token = 0; token < tokens; token++) {
        for (size_t k = 0; k < inputs16; k++) {
            wide[token * inputs16 + k] = x[token * stride + k];
        }
    }
}

/* Two channels of four tokens. */
FTV_INLINE void product_4x2(int32_t *restrict sums, const int16_t *restrict x, const int8_t *restrict w,
                            size_t w_stride, size_t inputs16) {
    const int16_t *restrict x1 = x + inputs16, *restrict x2 = x1 + inputs16, *restrict x3 = x2 + inputs16;
    const int8_t *restrict w1 = w + w_stride;
    int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0, s20 = 0, s21 = 0, s30 = 0, s31 = 0;
    for (size_t k = 0; k < inputs16; k++) {
        int16_t a = w[k], b = w1[k];
        s00 += x[k] * a;
        s01 += x[k] * b;
        s10 += x1[k] * a;
        s11 += x1[k] * b;
        s20 += x2[k] * a;
        s21 += x2[k] * b;
        s30 += x3[k] * a;
        s31 += x3[k] * b;
    }
    sums[0] = s00;
    sums[1] = s01;
    sums[16] = s10;
    sums[17] = s11;
    sums[32] = s20;
    sums[33] = s21;
    sums[48] = s30;
    sums[49] = s31;
}

FTV_INLINE int32_t product_1x1(const int16_t *restrict x, const int8_t *restrict w, size_t inputs16) {
    int32_t sum = 0;
    for (size_t k = 0; k < inputs16; k++) {
        sum += x[k] * (int16_t)w[k];
    }
    return sum;
}

FTV_CLONES
void ftv_linear_s8s8_portable(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const int8_t *weights,
                              uint32_t inputs, int16_t *wide) {
    size_t inputs16 = (inputs + 15U) & ~(size_t)15U;
    size_t w_stride = ftv_decoded_stride(inputs);
    uint32_t token = 0;
    for (; token + TOKENS <= tokens; token += TOKENS) {
        widen(wide, x + (size_t)token * stride, stride, inputs16, TOKENS);
        for (uint32_t channel = 0; channel < 16U; channel += 2U) {
            product_4x2(sums + token * 16U + channel, wide, weights + channel * w_stride, w_stride, inputs16);
        }
    }
    for (; token < tokens; token++) {
        widen(wide, x + (size_t)token * stride, stride, inputs16, 1);
        for (uint32_t channel = 0; channel < 16U; channel++) {
            sums[token * 16U + channel] = product_1x1(wide, weights + channel * w_stride, inputs16);
        }
    }
}
