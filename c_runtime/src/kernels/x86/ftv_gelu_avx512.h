/* NUMERICS.md, section 6, in sixteen bits: GELU of two vectors of Q16 values, in steps. */
#ifndef FTV_GELU_AVX512_H
#define FTV_GELU_AVX512_H

#include "ftv_avx512.h"

#if FTV_X86

enum { FTV_GELU_VECTORS = 10 }; /* at most, that take a step together */

#define FTV_WORDS4(c) c, c, c, c
#define FTV_WORDS32(c)                                                                                                 \
    {FTV_WORDS4(c), FTV_WORDS4(c), FTV_WORDS4(c), FTV_WORDS4(c),                                                       \
     FTV_WORDS4(c), FTV_WORDS4(c), FTV_WORDS4(c), FTV_WORDS4(c)}

/* Operands in memory: compilers would build each from an immediate every time, which costs more than a load. */
static const _Alignas(64) int16_t ftv_gelu_words[11][32] = {
    FTV_WORDS32(INT16_MIN), FTV_WORDS32(2 * 1685), FTV_WORDS32(1214),          FTV_WORDS32(-9331),
    FTV_WORDS32(1502),      FTV_WORDS32(18806),    FTV_WORDS32(32768 - 19972), FTV_WORDS32(INT16_MIN + 17),
    FTV_WORDS32(14283),     FTV_WORDS32(-11173),   FTV_WORDS32(2979)};

/* (r * x >> 15) + c, where |r| < 2^14: the high half of 2 r * x. */
FTV_AVX512_INLINE __m512i ftv_horner_small(__m512i r, __m512i x, const int16_t *c) {
    return _mm512_add_epi16(_mm512_mulhi_epi16(_mm512_add_epi16(r, r), x), _mm512_load_si512(c));
}

/* Any r: bits 15 .. 30 of the product, picked out of its two halves. */
FTV_AVX512_INLINE __m512i ftv_horner_any(__m512i r, __m512i x, const int16_t *c) {
    __m512i product = _mm512_shldi_epi16(_mm512_mulhi_epi16(r, x), _mm512_mullo_epi16(r, x), 1);
    return _mm512_add_epi16(product, _mm512_load_si512(c));
}

/* delta(v) = v (1 - Phi(v)) of X = x + 2^15 = min(v >> 2, 65535), in two halves that take equally long. Which form a step
 * takes follows from the bounds of r before it, over all X: where r leaves -2^14 .. 2^14 but has one sign, r x = r X -
 * 2^15 r, and s = r + 2^15 if it is negative, make the product one of unsigned numbers. */

FTV_AVX512_INLINE const int16_t (*ftv_gelu_operands(void))[32] {
    const int16_t (*words)[32] = ftv_gelu_words;
    __asm__("" : "+r"(words)); /* what they hold is to be loaded */
    return words;
}

/* r of `count` vectors after the first steps; all vectors take a step before any takes the next, as each waits for its own. */
FTV_AVX512_INLINE void ftv_delta_first_avx512(__m512i *r, const __m512i *unsigned_x, const uint32_t count) {
    const int16_t (*words)[32] = ftv_gelu_operands();
    __m512i x[FTV_GELU_VECTORS];
    FTV_UNROLL for (uint32_t i = 0; i < count; i++) {
        x[i] = _mm512_xor_si512(unsigned_x[i], _mm512_load_si512(words[0]));
        r[i] = _mm512_add_epi16(_mm512_mulhi_epi16(x[i], _mm512_load_si512(words[1])), _mm512_load_si512(words[2]));
    }
    FTV_UNROLL for (uint32_t step = 3; step < 6U; step++) { /* r: -471 .. 2898, -9550 .. -6434, -4932 .. 10362 */
        FTV_UNROLL for (uint32_t i = 0; i < count; i++) {
            r[i] = ftv_horner_small(r[i], x[i], words[step]);
        }
    }
    FTV_UNROLL for (uint32_t i = 0; i < count; i++) {
        /* 8444 .. 18867: r x >> 15 = (r X >> 15) - r; becomes s = r + 2^15 */
        __m512i high = _mm512_mulhi_epu16(_mm512_add_epi16(r[i], r[i]), unsigned_x[i]);
        r[i] = _mm512_add_epi16(_mm512_sub_epi16(high, r[i]), _mm512_load_si512(words[6]));
    }
}

/* s of `count` vectors becomes delta. */
FTV_AVX512_INLINE void ftv_delta_second_avx512(__m512i *s, const __m512i *unsigned_x, const uint32_t count) {
    const int16_t (*words)[32] = ftv_gelu_operands();
    __m512i x[FTV_GELU_VECTORS];
    FTV_UNROLL for (uint32_t i = 0; i < count; i++) {
        x[i] = _mm512_xor_si512(unsigned_x[i], _mm512_load_si512(words[0]));
        /* s - 2^15: -29338 .. -6099: r x >> 15 = (s X >> 15) - X - s + 2^15 */
        __m512i high = _mm512_mulhi_epu16(_mm512_add_epi16(s[i], s[i]), unsigned_x[i]);
        high = _mm512_sub_epi16(high, _mm512_add_epi16(s[i], unsigned_x[i]));
        s[i] = _mm512_add_epi16(high, _mm512_load_si512(words[7]));
    }
    FTV_UNROLL for (uint32_t i = 0; i < count; i++) {
        s[i] = ftv_horner_any(s[i], x[i], words[8]); /* -6149 .. 28433 */
    }
    FTV_UNROLL for (uint32_t step = 9; step < 11U; step++) { /* -14150 .. 14283, and delta: 2 .. 11137 */
        FTV_UNROLL for (uint32_t i = 0; i < count; i++) {
            s[i] = ftv_horner_small(s[i], x[i], words[step]);
        }
    }
}

/* X of two vectors of Q16 values; packing saturates at 65535. */
FTV_AVX512_INLINE __m512i ftv_gelu_operand_avx512(__m512i a, __m512i b) {
    return _mm512_packus_epi32(_mm512_srli_epi32(_mm512_abs_epi32(a), 2), _mm512_srli_epi32(_mm512_abs_epi32(b), 2));
}

/* GELU(y) of the same two vectors; unpacking undoes the order that packing made. */
FTV_AVX512_INLINE __m512i ftv_gelu_low_avx512(__m512i y, __m512i delta) {
    const __m512i zero = _mm512_setzero_si512();
    return _mm512_sub_epi32(_mm512_max_epi32(y, zero), _mm512_unpacklo_epi16(delta, zero));
}

FTV_AVX512_INLINE __m512i ftv_gelu_high_avx512(__m512i y, __m512i delta) {
    const __m512i zero = _mm512_setzero_si512();
    return _mm512_sub_epi32(_mm512_max_epi32(y, zero), _mm512_unpackhi_epi16(delta, zero));
}

#endif
#endif
