/* How Q, K and V of one head lie in memory, for ftv_attend_avx512vnni(). For whole tiles of sixteen tokens, h = head_rows;
 * zeros for tokens of the last tile that do not exist:
 *   Q: u8 [token][h], codes + 64, what vpdpbusd takes as unsigned;
 *   K: s8 [token / 16][column / 4][token % 16][column % 4];
 *   V: s16 [token / 2][column][token % 2], pairs for vpdpwssd. */
#ifndef FTV_QKV_AVX512_H
#define FTV_QKV_AVX512_H

#include "ftv_avx512.h"

#if FTV_X86

enum { FTV_QKV_TOKENS = 16 }; /* whose codes are put down together */

/* What ftv_qkv_avx512vnni() does not do itself: more than 64 rows. */
void ftv_qkv_wide_avx512vnni(const ftv_qkv_part *part, void *scratch);
size_t ftv_qkv_wide_scratch_avx512vnni(uint32_t tokens, uint32_t head_rows, uint32_t inputs);

/* Sixteen tokens' codes, `stride` bytes from one to the next, a multiple of 64. */

FTV_AVX512_INLINE void ftv_qkv_store_q(int8_t *out, const int8_t *codes, uint32_t stride, uint32_t head_rows) {
    for (uint32_t t = 0; t < FTV_QKV_TOKENS; t++) {
        for (uint32_t c = 0; c < head_rows; c += FTV_VECTOR) {
            __m512i row = _mm512_load_si512(codes + (size_t)t * stride + c);
            _mm512_mask_storeu_epi8(out + (size_t)t * head_rows + c, ftv_lanes64(head_rows - c),
                                    _mm512_add_epi8(row, _mm512_set1_epi8(64)));
        }
    }
}

/* Rows of sixteen words become columns of sixteen words: neighbours of 1, 2, 4 and 8 rows change places in turn. */
FTV_AVX512_INLINE void ftv_transpose16(__m512i r[16]) {
    __m512i s[16];
    FTV_UNROLL for (uint32_t i = 0; i < 16U; i += 2U) {
        s[i] = _mm512_unpacklo_epi32(r[i], r[i + 1U]);
        s[i + 1U] = _mm512_unpackhi_epi32(r[i], r[i + 1U]);
    }
    FTV_UNROLL for (uint32_t i = 0; i < 16U; i += 4U) {
        r[i] = _mm512_unpacklo_epi64(s[i], s[i + 2U]);
        r[i + 1U] = _mm512_unpackhi_epi64(s[i], s[i + 2U]);
        r[i + 2U] = _mm512_unpacklo_epi64(s[i + 1U], s[i + 3U]);
        r[i + 3U] = _mm512_unpackhi_epi64(s[i + 1U], s[i + 3U]);
    }
    FTV_UNROLL for (uint32_t i = 0; i < 4U; i++) {
        s[i] = _mm512_shuffle_i32x4(r[i], r[i + 4U], 0x88);
        s[i + 4U] = _mm512_shuffle_i32x4(r[i], r[i + 4U], 0xDD);
        s[i + 8U] = _mm512_shuffle_i32x4(r[i + 8U], r[i + 12U], 0x88);
        s[i + 12U] = _mm512_shuffle_i32x4(r[i + 8U], r[i + 12U], 0xDD);
    }
    FTV_UNROLL for (uint32_t i = 0; i < 4U; i++) {
        r[i] = _mm512_shuffle_i32x4(s[i], s[i + 8U], 0x88);
        r[i + 8U] = _mm512_shuffle_i32x4(s[i], s[i + 8U], 0xDD);
        r[i + 4U] = _mm512_shuffle_i32x4(s[i + 4U], s[i + 12U], 0x88);
        r[i + 12U] = _mm512_shuffle_i32x4(s[i + 4U], s[i + 12U], 0xDD);
    }
}

FTV_AVX512_INLINE void ftv_qkv_store_k(int8_t *out, const int8_t *codes, uint32_t stride, uint32_t head_rows) {
    for (uint32_t c = 0; c < head_rows; c += FTV_VECTOR) {
        __m512i r[FTV_QKV_TOKENS];
        FTV_UNROLL for (uint32_t t = 0; t < FTV_QKV_TOKENS; t++) {
            r[t] = _mm512_load_si512(codes + (size_t)t * stride + c);
        }
        ftv_transpose16(r);
        FTV_UNROLL for (uint32_t i = 0; i < 16U; i++) {
            if (c + 4U * i < head_rows) {
                _mm512_storeu_si512(out + (size_t)(c + 4U * i) * FTV_QKV_TOKENS, r[i]);
            }
        }
    }
}

FTV_AVX512_INLINE void ftv_qkv_store_v(int8_t *out, const int8_t *codes, uint32_t stride, uint32_t head_rows) {
    for (uint32_t t = 0; t < FTV_QKV_TOKENS; t += 2U) {
        const int8_t *even = codes + (size_t)t * stride, *odd = even + stride;
        for (uint32_t c = 0; c < head_rows; c += 16U) {
            __m512i low = _mm512_cvtepi8_epi32(_mm_load_si128((const __m128i *)(const void *)(even + c)));
            __m512i high = _mm512_cvtepi8_epi32(_mm_load_si128((const __m128i *)(const void *)(odd + c)));
            __m512i pairs = _mm512_mask_blend_epi16(0xAAAAAAAAU, low, _mm512_slli_epi32(high, 16));
            _mm512_storeu_si512(out + (size_t)t * head_rows * 2U + (size_t)c * 4U, pairs);
        }
    }
}

/* first: the first token, a multiple of sixteen. */
FTV_AVX512_INLINE void ftv_qkv_store_tokens(const ftv_qkv_part *part, uint32_t first, const int8_t *codes,
                                            uint32_t stride) {
    int8_t *out = part->codes + (size_t)first * part->head_rows;
    if (part->part == FTV_Q) {
        ftv_qkv_store_q(out, codes, stride, part->head_rows);
    } else if (part->part == FTV_K) {
        ftv_qkv_store_k(out, codes, stride, part->head_rows);
    } else { /* two bytes a code */
        ftv_qkv_store_v(out + (size_t)first * part->head_rows, codes, stride, part->head_rows);
    }
}

#endif
#endif
