/* Plain products as ftv_qkv_rows_avx512.h wants them. */
#ifndef FTV_PLAIN_AVX512_H
#define FTV_PLAIN_AVX512_H

#include "ftv_avx512.h"

#if FTV_X86

enum { FTV_WAY_TOKENS = FTV_BLOCK_TOKENS };

static inline size_t ftv_way_bytes(uint32_t tokens, uint32_t inputs) {
    (void)inputs;
    return 2U * ftv_words_bytes_avx512(tokens);
}

static inline ftv_operand_avx512 ftv_way_rows(uint8_t *memory, ftv_rows x, uint32_t tokens, uint32_t inputs,
                                              uint32_t again) {
    int32_t *offsets = (int32_t *)(void *)memory;
    int32_t *magnitudes = (int32_t *)(void *)(memory + ftv_words_bytes_avx512(tokens));
    if (again == 0U) {
        ftv_token_sums_avx512vnni(offsets, magnitudes, x, tokens, inputs);
    }
    return (ftv_operand_avx512){x.codes, x.stride, offsets, magnitudes, x, NULL};
}

static inline void ftv_way_product(int32_t *sums, const ftv_operand_avx512 *x, uint32_t first, uint32_t tokens,
                                   const uint8_t *panel, uint32_t groups) {
    ftv_product_s8u2_avx512vnni(sums, x->codes + (size_t)first * x->stride, x->stride, tokens, x->offsets + first,
                                panel, groups);
}

#endif
#endif
