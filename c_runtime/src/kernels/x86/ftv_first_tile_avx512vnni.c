/* sums[token * 16 + channel]: the product of a panel's first tile; see ftv_avx512.h. The panel lies at the start of the
 * scratch of ftv_linear_scratch_bytes_avx512vnni(), and a block's sums behind it. */
#include "ftv_avx512.h"

#if FTV_X86

size_t ftv_linear_scratch_bytes_avx512vnni(uint32_t inputs) {
    return FTV_VECTOR + ftv_panel_bytes(inputs) + (FTV_BLOCK_TOKENS * (FTV_PANEL + 2U) + 4U) * sizeof(int32_t);
}

FTV_AVX512
void ftv_first_tile_avx512vnni(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, uint8_t *panel,
                               uint32_t inputs) {
    int32_t *block = (int32_t *)(void *)(panel + ftv_panel_bytes(inputs));
    int32_t *offsets = block + FTV_BLOCK_TOKENS * FTV_PANEL, *magnitudes = offsets + FTV_BLOCK_TOKENS + 2U;
    for (uint32_t first = 0, some; first < tokens; first += some) {
        some = ftv_next_block(tokens - first, FTV_BLOCK_TOKENS);
        ftv_rows rows = {(int8_t *)(uintptr_t)(x + (size_t)first * stride), NULL, stride};
        ftv_token_sums_avx512vnni(offsets, magnitudes, rows, some, inputs);
        ftv_product_s8u2_avx512vnni(block, rows.codes, stride, some, offsets, panel, ftv_ceil_div(inputs, 16U));
        for (uint32_t t = 0; t < some; t++) {
            _mm512_storeu_si512(sums + (size_t)(first + t) * 16U, _mm512_load_si512(block + (size_t)t * FTV_PANEL));
        }
    }
}

#endif
