/* NUMERICS.md, section 6, in sixteen bits: two vectors of Q16 values become GELU of them. */
#ifndef FTV_GELU_AVX512_H
#define FTV_GELU_AVX512_H

#include "ftv_avx512.h"

#if FTV_X86

/* (r * x >> 15) + c, where |r| < 2^14: the high half of 2 r * x. */
FTV_AVX512_INLINE __m512i ftv_horner_small(__m512i r, __m512i x, int16_t c) {
    return _mm512_add_epi16(_mm512_mulhi_epi16(_mm512_add_epi16(r, r), x), _mm512_set1_epi16(c));
}

/* Any r: bits 15 .. 30 of the product, picked out of its two halves. */
FTV_AVX512_INLINE __m512i ftv_horner_any(__m512i r, __m512i x, int16_t c) {
    __m512i product = _mm512_shldi_epi16(_mm512_mulhi_epi16(r, x), _mm512_mullo_epi16(r, x), 1);
    return _mm512_add_epi16(product, _mm512_set1_epi16(c));
}

/* delta(v) for X = x + 2^15 = min(v >> 2, 65535). The bounds of r at each step, over all x, are those of the polynomial
 * (tests hold them); where r leaves -2^14 .. 2^14 but is of one sign, r x = r X - 2^15 r, and s = r + 2^15 if negative,
 * make the product one of unsigned numbers. */
FTV_AVX512_INLINE __m512i ftv_delta_avx512(__m512i unsigned_x) {
    __m512i x = _mm512_xor_si512(unsigned_x, _mm512_set1_epi16(INT16_MIN));
    __m512i r = _mm512_add_epi16(_mm512_mulhi_epi16(x, _mm512_set1_epi16(2 * 1685)), _mm512_set1_epi16(1214));
    r = ftv_horner_small(r, x, -9331); /* r: -471 .. 2898 */
    r = ftv_horner_small(r, x, 1502);  /* -9550 .. -6434 */
    r = ftv_horner_small(r, x, 18806); /* -4932 .. 10362 */
    /* 8444 .. 18867 -> s = r + 2^15, r: -29338 .. -6099 */
    __m512i high = _mm512_mulhi_epu16(_mm512_add_epi16(r, r), unsigned_x);
    __m512i s = _mm512_add_epi16(_mm512_sub_epi16(high, r), _mm512_set1_epi16(32768 - 19972));
    /* r x >> 15 = (s X >> 15) - X - s + 2^15 */
    high = _mm512_mulhi_epu16(_mm512_add_epi16(s, s), unsigned_x);
    high = _mm512_sub_epi16(_mm512_sub_epi16(high, s), unsigned_x);
    r = _mm512_add_epi16(high, _mm512_set1_epi16((int16_t)(INT16_MIN + 17)));
    r = ftv_horner_any(r, x, 14283);    /* -6149 .. 28433 */
    r = ftv_horner_small(r, x, -11173); /* -14150 .. 14283 */
    return ftv_horner_small(r, x, 2979);
}

FTV_AVX512_INLINE void ftv_gelu_avx512(__m512i *a, __m512i *b) {
    const __m512i zero = _mm512_setzero_si512();
    __m512i quarter_a = _mm512_srli_epi32(_mm512_abs_epi32(*a), 2);
    __m512i quarter_b = _mm512_srli_epi32(_mm512_abs_epi32(*b), 2);
    __m512i delta = ftv_delta_avx512(_mm512_packus_epi32(quarter_a, quarter_b)); /* saturates at 65535 */
    /* 2 .. 11137; unpacking undoes the order that packing made */
    *a = _mm512_sub_epi32(_mm512_max_epi32(*a, zero), _mm512_unpacklo_epi16(delta, zero));
    *b = _mm512_sub_epi32(_mm512_max_epi32(*b, zero), _mm512_unpackhi_epi16(delta, zero));
}

#endif
#endif
