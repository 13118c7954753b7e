/* sums[token][channel] = sum_k x[token * stride + k] * (panel[k / 4][channel][k % 4] - 1), 64 channels, up to six tokens.
 * See ftv_avx512.h. vpdpbusd takes the codes 0..2 as its unsigned operand; the token's own sum undoes the + 1. */
#include "ftv_product_avx512.h"

#if FTV_X86

FTV_AVX512_INLINE void nothing(const void *work, uint32_t stage, uint32_t token) {
    (void)work;
    (void)stage;
    (void)token;
}

#define FTV_PRODUCT(tokens)                                                                                            \
    case tokens:                                                                                                       \
        ftv_product_beside(sums, x, stride, tokens, offsets, panel, groups, nothing, none);                            \
        break

FTV_AVX512
void ftv_product_s8u2_avx512vnni(int32_t *sums, const int8_t *x, uint32_t stride, uint32_t tokens,
                                 const int32_t *offsets, const uint8_t *panel, uint32_t groups) {
    const ftv_beside_avx512 none = {NULL, 0, 0};
    switch (tokens) {
        FTV_PRODUCT(1);
        FTV_PRODUCT(2);
        FTV_PRODUCT(3);
        FTV_PRODUCT(4);
        FTV_PRODUCT(5);
        FTV_PRODUCT(6);
    default:
        break;
    }
}

#endif
