/* NUMERICS.md, section 6, in sixteen bits: one token's sixteen Q16 values become GELU of them. */
#ifndef FTV_GELU_AVX2_H
#define FTV_GELU_AVX2_H

#include "ftv_avx2.h"

#if FTV_X86

/* (r * x >> 15) + c, where |r| < 2^14: the high half of 2 r * x. */
FTV_AVX2_INLINE __m256i ftv_horner_small256(__m256i r, __m256i x, int16_t c) {
    return _mm256_add_epi16(_mm256_mulhi_epi16(_mm256_add_epi16(r, r), x), _mm256_set1_epi16(c));
}

/* Any r: bits 15 .. 30 of the product, picked out of its two halves. */
FTV_AVX2_INLINE __m256i ftv_horner_any256(__m256i r, __m256i x, int16_t c) {
    __m256i high = _mm256_slli_epi16(_mm256_mulhi_epi16(r, x), 1);
    __m256i low = _mm256_srli_epi16(_mm256_mullo_epi16(r, x), 15);
    return _mm256_add_epi16(_mm256_or_si256(high, low), _mm256_set1_epi16(c));
}

/* delta(v) for X = min(v >> 2, 65535). Which form a step takes follows from the bounds of r before it, over all X:
 * where r leaves -2^14 .. 2^14 but has one sign, r x = r X - 2^15 r, and s = r + 2^15 if it is negative. */
FTV_AVX2_INLINE __m256i ftv_delta_avx2(__m256i unsigned_x) {
    __m256i x = _mm256_xor_si256(unsigned_x, _mm256_set1_epi16(INT16_MIN));
    __m256i r = _mm256_add_epi16(_mm256_mulhi_epi16(x, _mm256_set1_epi16(2 * 1685)), _mm256_set1_epi16(1214));
    r = ftv_horner_small256(r, x, -9331); /* r: -471 .. 2898 */
    r = ftv_horner_small256(r, x, 1502);  /* -9550 .. -6434 */
    r = ftv_horner_small256(r, x, 18806); /* -4932 .. 10362 */
    /* 8444 .. 18867 -> s = r + 2^15, r: -29338 .. -6099 */
    __m256i high = _mm256_mulhi_epu16(_mm256_add_epi16(r, r), unsigned_x);
    __m256i s = _mm256_add_epi16(_mm256_sub_epi16(high, r), _mm256_set1_epi16(32768 - 19972));
    high = _mm256_mulhi_epu16(_mm256_add_epi16(s, s), unsigned_x);
    high = _mm256_sub_epi16(_mm256_sub_epi16(high, s), unsigned_x);
    r = _mm256_add_epi16(high, _mm256_set1_epi16((int16_t)(INT16_MIN + 17)));
    r = ftv_horner_any256(r, x, 14283);    /* -6149 .. 28433 */
    r = ftv_horner_small256(r, x, -11173); /* -14150 .. 14283 */
    return ftv_horner_small256(r, x, 2979);
}

FTV_AVX2_INLINE void ftv_gelu_avx2(__m256i y[2]) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i low = _mm256_srli_epi32(_mm256_abs_epi32(y[0]), 2), high = _mm256_srli_epi32(_mm256_abs_epi32(y[1]), 2);
    __m256i delta = ftv_delta_avx2(_mm256_packus_epi32(low, high)); /* saturates at 65535 */
    /* 2 .. 11137; unpacking undoes the order that packing made */
    y[0] = _mm256_sub_epi32(_mm256_max_epi32(y[0], zero), _mm256_unpacklo_epi16(delta, zero));
    y[1] = _mm256_sub_epi32(_mm256_max_epi32(y[1], zero), _mm256_unpackhi_epi16(delta, zero));
}

#endif
#endif
