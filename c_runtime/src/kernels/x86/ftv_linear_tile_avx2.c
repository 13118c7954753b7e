/* sums[token * 16 + channel] of one tile of 16 channels, with either product. See ftv.h, ftv_kernels.
 * scratch: the decoded tile, then what the tokens of a block need. */
#include "ftv_avx2.h"

#if FTV_X86

enum { BLOCK = 24 }; /* tokens */

size_t ftv_linear_scratch_bytes_avx2(uint32_t inputs) {
    return 32U + ftv_codes_bytes(inputs) + BLOCK * (FTV_TILE + 2U) * sizeof(int32_t);
}

FTV_AVX2
void ftv_linear_tile_avx2(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                          uint32_t inputs, void *scratch, ftv_encoding encoding, ftv_product_256 *product) {
    uint8_t *codes = ftv_align32(scratch);
    int32_t *block = (int32_t *)(void *)(codes + ftv_codes_bytes(inputs));
    int32_t *offsets = block + BLOCK * FTV_TILE, *magnitudes = offsets + BLOCK;
    if (encoding == FTV_T2) {
        ftv_codes_t2_avx2(codes, tile, inputs);
    } else {
        ftv_codes_t5_avx2(codes, tile, inputs);
    }
    for (uint32_t first = 0; first < tokens; first += BLOCK) {
        uint32_t some = ftv_min_u32(BLOCK, tokens - first);
        ftv_rows rows = {(int8_t *)(uintptr_t)(x + (size_t)first * stride), NULL, stride};
        ftv_token_sums_avx2(offsets, magnitudes, rows, some, inputs);
        product(block, rows.codes, stride, some, offsets, codes, ftv_ceil_div(inputs, 16U));
        __builtin_memcpy(sums + (size_t)first * FTV_TILE, block, some * FTV_TILE * sizeof(int32_t));
    }
}

#endif
