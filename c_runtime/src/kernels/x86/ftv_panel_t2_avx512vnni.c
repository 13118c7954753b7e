/* Codes w + 1 of up to four tiles, two bits a weight, as bytes [k / 4][channel][k % 4]: what vpdpbusd multiplies.
 * See ftv_avx512.h, and IMAGE_FORMAT.md, "matrix, t2". */
#include "ftv_avx512.h"

#if FTV_X86

/* Byte j * 16 + channel of a block becomes byte channel * 4 + j; each shift by two bits then yields four consecutive k
 * of all sixteen channels. Returns `own` and what the block adds. */
FTV_AVX512_INLINE __m512i decode_block(uint8_t *panel, const uint8_t *block, __m512i order, __m512i own) {
    const __m512i three = _mm512_set1_epi8(3);
    __m512i packed = _mm512_permutexvar_epi8(order, _mm512_loadu_si512(block));
    const __m512i codes[4] = {_mm512_and_si512(packed, three), _mm512_and_si512(_mm512_srli_epi32(packed, 2), three),
                              _mm512_and_si512(_mm512_srli_epi32(packed, 4), three),
                              _mm512_and_si512(_mm512_srli_epi32(packed, 6), three)};
    FTV_UNROLL for (uint32_t i = 0; i < 4U; i++) {
        _mm512_store_si512(panel + (size_t)i * FTV_PANEL_TILES * FTV_VECTOR, codes[i]);
    }
    return ftv_own_sums(ftv_own_sums(own, codes[0], codes[1]), codes[2], codes[3]);
}

FTV_AVX512
void ftv_panel_t2_avx512vnni(uint8_t *panel, const uint8_t *tile, uint32_t tile_bytes, uint32_t tiles,
                             uint32_t inputs) {
    const __m512i rows = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i order =
        _mm512_add_epi8(_mm512_mullo_epi32(rows, _mm512_set1_epi32(0x01010101)), _mm512_set1_epi32(0x30201000));
    for (uint32_t i = 0; i < tiles; i++) {
        const uint8_t *blocks = tile + (size_t)i * tile_bytes;
        __m512i own = _mm512_setzero_si512();
        for (uint32_t b = 0; b < ftv_ceil_div(inputs, 16U); b++) {
            own = decode_block(panel + ((size_t)b * 16U + i) * FTV_VECTOR, blocks + (size_t)b * 64U, order, own);
        }
        _mm512_store_si512(panel + (size_t)ftv_round16(inputs) * FTV_PANEL + (size_t)i * FTV_VECTOR, own);
    }
}

#endif
