/* NUMERICS.md, section 6, in sixteen bits: two vectors of Q16 values become GELU of them. */
#ifndef FTV_GELU_AVX512_H
#define FTV_GELU_AVX512_H

#include "ftv_avx512.h"

#if FTV_X86

/* Vectors of 32 values that go through the polynomial side by side: one alone would wait for every product. */
enum { FTV_GELU_ROWS = 3, FTV_GELU_VECTORS = 2 * FTV_GELU_ROWS };

#define FTV_EACH FTV_UNROLL for (uint32_t i = 0; i < FTV_GELU_VECTORS; i++)

/* r = (r * x >> 15) + c, where |r| < 2^14: the high half of 2 r * x. */
FTV_AVX512_INLINE void ftv_horner_small(__m512i *r, const __m512i *x, int16_t c) {
    FTV_EACH {
        r[i] = _mm512_add_epi16(_mm512_mulhi_epi16(_mm512_add_epi16(r[i], r[i]), x[i]), _mm512_set1_epi16(c));
    }
}

/* Any r: bits 15 .. 30 of the product, picked out of its two halves. */
FTV_AVX512_INLINE void ftv_horner_any(__m512i *r, const __m512i *x, int16_t c) {
    FTV_EACH {
        r[i] = _mm512_shldi_epi16(_mm512_mulhi_epi16(r[i], x[i]), _mm512_mullo_epi16(r[i], x[i]), 1);
        r[i] = _mm512_add_epi16(r[i], _mm512_set1_epi16(c));
    }
}

/* r > 0: r x >> 15 = (r X >> 15) - r, X = x + 2^15; then + c. */
FTV_AVX512_INLINE void ftv_horner_positive(__m512i *r, const __m512i *unsigned_x, int16_t c) {
    FTV_EACH {
        __m512i high = _mm512_mulhi_epu16(_mm512_add_epi16(r[i], r[i]), unsigned_x[i]);
        r[i] = _mm512_add_epi16(_mm512_sub_epi16(high, r[i]), _mm512_set1_epi16(c));
    }
}

/* s = r + 2^15 of r < 0: r x >> 15 = (s X >> 15) - X - s + 2^15; then + c. */
FTV_AVX512_INLINE void ftv_horner_negative(__m512i *s, const __m512i *unsigned_x, int16_t c) {
    FTV_EACH {
        __m512i high = _mm512_mulhi_epu16(_mm512_add_epi16(s[i], s[i]), unsigned_x[i]);
        high = _mm512_sub_epi16(_mm512_sub_epi16(high, s[i]), unsigned_x[i]);
        s[i] = _mm512_add_epi16(high, _mm512_set1_epi16((int16_t)(c + INT16_MIN)));
    }
}

/* r = delta(v) for X = min(v >> 2, 65535). Which form a step takes follows from the bounds of r before it, over all X. */
FTV_AVX512_INLINE void ftv_delta_avx512(__m512i *r, const __m512i *unsigned_x) {
    __m512i x[FTV_GELU_VECTORS];
    FTV_EACH {
        x[i] = _mm512_xor_si512(unsigned_x[i], _mm512_set1_epi16(INT16_MIN));
        r[i] = _mm512_add_epi16(_mm512_mulhi_epi16(x[i], _mm512_set1_epi16(2 * 1685)), _mm512_set1_epi16(1214));
    }
    ftv_horner_small(r, x, -9331);                     /* r: -471 .. 2898 */
    ftv_horner_small(r, x, 1502);                            /* -9550 .. -6434 */
    ftv_horner_small(r, x, 18806);                           /* -4932 .. 10362 */
    ftv_horner_positive(r, unsigned_x, 32768 - 19972);       /* 8444 .. 18867 */
    ftv_horner_negative(r, unsigned_x, 17);                  /* -29338 .. -6099 */
    ftv_horner_any(r, x, 14283);                             /* -6149 .. 28433 */
    ftv_horner_small(r, x, -11173);                          /* -14150 .. 14283 */
    ftv_horner_small(r, x, 2979);                            /* -15182 .. 2977 */
}

/* Three rows of four vectors of Q16 values y become GELU(y). */
FTV_AVX512_INLINE void ftv_gelu_avx512(__m512i *y) {
    const __m512i zero = _mm512_setzero_si512();
    __m512i unsigned_x[FTV_GELU_VECTORS], delta[FTV_GELU_VECTORS];
    FTV_EACH {
        __m512i low = _mm512_srli_epi32(_mm512_abs_epi32(y[2U * i]), 2);
        __m512i high = _mm512_srli_epi32(_mm512_abs_epi32(y[2U * i + 1U]), 2);
        unsigned_x[i] = _mm512_packus_epi32(low, high); /* saturates at 65535 */
    }
    ftv_delta_avx512(delta, unsigned_x); /* 2 .. 11137; unpacking undoes the order that packing made */
    FTV_EACH {
        __m512i *low = &y[2U * i], *high = low + 1;
        *low = _mm512_sub_epi32(_mm512_max_epi32(*low, zero), _mm512_unpacklo_epi16(delta[i], zero));
        *high = _mm512_sub_epi32(_mm512_max_epi32(*high, zero), _mm512_unpackhi_epi16(delta[i], zero));
    }
}

#endif
#endif
