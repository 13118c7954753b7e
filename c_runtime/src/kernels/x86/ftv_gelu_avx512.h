/* NUMERICS.md, section 6, in sixteen bits: GELU of two vectors of Q16 values, in steps. */
#ifndef FTV_GELU_AVX512_H
#define FTV_GELU_AVX512_H

#include "ftv_avx512.h"

#if FTV_X86

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

FTV_AVX512_INLINE __m512i ftv_delta_first_avx512(__m512i unsigned_x) {
    const int16_t (*words)[32] = ftv_gelu_operands();
    __m512i x = _mm512_xor_si512(unsigned_x, _mm512_load_si512(words[0]));
    __m512i r = _mm512_add_epi16(_mm512_mulhi_epi16(x, _mm512_load_si512(words[1])), _mm512_load_si512(words[2]));
    r = ftv_horner_small(r, x, words[3]); /* r: -471 .. 2898 */
    r = ftv_horner_small(r, x, words[4]); /* -9550 .. -6434 */
    r = ftv_horner_small(r, x, words[5]); /* -4932 .. 10362 */
    /* 8444 .. 18867: r x >> 15 = (r X >> 15) - r; becomes s = r + 2^15 */
    __m512i high = _mm512_mulhi_epu16(_mm512_add_epi16(r, r), unsigned_x);
    return _mm512_add_epi16(_mm512_sub_epi16(high, r), _mm512_load_si512(words[6]));
}

FTV_AVX512_INLINE __m512i ftv_delta_second_avx512(__m512i s, __m512i unsigned_x) {
    const int16_t (*words)[32] = ftv_gelu_operands();
    __m512i x = _mm512_xor_si512(unsigned_x, _mm512_load_si512(words[0]));
    /* s - 2^15: -29338 .. -6099: r x >> 15 = (s X >> 15) - X - s + 2^15 */
    __m512i high = _mm512_mulhi_epu16(_mm512_add_epi16(s, s), unsigned_x);
    high = _mm512_sub_epi16(high, _mm512_add_epi16(s, unsigned_x));
    __m512i r = _mm512_add_epi16(high, _mm512_load_si512(words[7]));
    r = ftv_horner_any(r, x, words[8]);       /* -6149 .. 28433 */
    r = ftv_horner_small(r, x, words[9]);     /* -14150 .. 14283 */
    return ftv_horner_small(r, x, words[10]); /* delta: 2 .. 11137 */
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
