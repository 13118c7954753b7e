/* Fixed-point helpers of NUMERICS.md, "Conventions". Everything is defined for every argument in the stated range;
 * no 64-bit division, which small chips lack. */
#ifndef FTV_FIXED_H
#define FTV_FIXED_H

#include <stdbool.h>
#include <stdint.h>

_Static_assert((-3 >> 1) == -2, "NUMERICS.md needs arithmetic right shifts of negative numbers");
_Static_assert((INT64_C(-3) >> 1) == -2, "NUMERICS.md needs arithmetic right shifts of negative numbers");
_Static_assert((int8_t)(uint8_t)255 == -1 && (int32_t)UINT32_MAX == -1, "narrowing must wrap");

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "images are read in place and are little-endian"
#endif

#define FTV_TILE   16 /* channels that are stored and computed together */
#define FTV_Q16MAX ((INT32_C(1) << 30) - 1)
#define FTV_Q16MIN (-(INT32_C(1) << 30))

static inline uint32_t ftv_min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static inline int32_t ftv_min_s32(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static inline int32_t ftv_max_s32(int32_t a, int32_t b) {
    return a > b ? a : b;
}

/* `n` rounded up to whole tiles. */
static inline uint32_t ftv_round16(uint32_t n) {
    return (n + 15U) & ~15U;
}

static inline uint32_t ftv_ceil_div(uint32_t n, uint32_t d) {
    return (n + d - 1U) / d;
}

/* Saturates to 31 bits. */
static inline int32_t ftv_sat30(int32_t v) {
    return ftv_min_s32(ftv_max_s32(v, FTV_Q16MIN), FTV_Q16MAX);
}

static inline int32_t ftv_sat30_s64(int64_t v) {
    return v > FTV_Q16MAX ? FTV_Q16MAX : v < FTV_Q16MIN ? FTV_Q16MIN : (int32_t)v;
}

/* v * 2^s for 0 <= s <= 31; bits that leave on the left are lost, signs are no trap. */
static inline int32_t ftv_shift_left(int32_t v, uint32_t s) {
    return (int32_t)((uint32_t)v << s);
}

/* sat30(v * 2^-s), floored; any s. */
static inline int32_t ftv_shift_sat30(int64_t v, int32_t s) {
    if (s >= 0) {
        return ftv_sat30_s64(v >> ftv_min_s32(s, 62));
    }
    return ftv_sat30_s64((int64_t)ftv_sat30_s64(v) * (INT64_C(1) << ftv_min_s32(-s, 31)));
}

/* Bit length; 0 for 0. */
static inline int32_t ftv_bits32(uint32_t v) {
    int32_t bits = 0;
    for (int32_t step = 16; step > 0; step >>= 1) {
        if ((v >> step) != 0U) {
            v >>= step;
            bits += step;
        }
    }
    return bits + (int32_t)v;
}

static inline int32_t ftv_bits64(uint64_t v) {
    uint32_t high = (uint32_t)(v >> 32);
    return high != 0U ? 32 + ftv_bits32(high) : ftv_bits32((uint32_t)v);
}

/* The next digit, to base 2^16, of a quotient: (*rest * 2^16 + next) / d for *rest < d and 2^31 <= d; *rest becomes the
 * remainder. The estimate is at most 2 too large (Knuth, The Art of Computer Programming, 4.3.1, theorem B). */
static inline uint32_t ftv_quotient_digit(uint32_t *rest, uint32_t next, uint32_t d) {
    uint64_t n = ((uint64_t)*rest << 16) | next;
    uint32_t digit = *rest / (d >> 16);
    uint64_t product = (uint64_t)digit * d;
    while (product > n) {
        product -= d;
        digit--;
    }
    *rest = (uint32_t)(n - product);
    return digit;
}

/* n / d for a quotient below 2^32; 0 < d. */
static inline uint32_t ftv_divide(uint64_t n, uint32_t d) {
    if ((n >> 32) == 0U) {
        return (uint32_t)n / d;
    }
    int32_t up = 32 - ftv_bits32(d);
    n <<= up;
    d <<= up;
    uint32_t rest = (uint32_t)(n >> 32);
    uint32_t high = ftv_quotient_digit(&rest, (uint32_t)(n >> 16) & 0xFFFFU, d);
    return (high << 16) + ftv_quotient_digit(&rest, (uint32_t)n & 0xFFFFU, d);
}

/* floor(n / d) for |n / d| below 2^31 and 0 < d. */
static inline int32_t ftv_floor_divide(int64_t n, uint32_t d) {
    if (n >= 0) {
        return (int32_t)ftv_divide((uint64_t)n, d);
    }
    /* floor(-m / d) = -1 - floor((m - 1) / d) */
    return -1 - (int32_t)ftv_divide((uint64_t)(-(n + 1)), d);
}

/* Square root, floored, for 2^30 <= v. A parabola within 0.51 % of the root and one Newton step: never too small, at
 * most 1 too large. */
static inline uint32_t ftv_isqrt32(uint32_t v) {
    uint32_t slope = 68945U - (uint32_t)(((uint64_t)v * 20731U) >> 32);
    uint32_t root = 16992U + (uint32_t)(((uint64_t)v * slope) >> 32);
    root = ftv_min_u32((root + v / root) >> 1, 65535U);
    return root * root > v ? root - 1U : root;
}

/* Square root, floored, for 2^62 <= v. The upper half's root x and remainder give the lower half by one division by
 * 2 x (P. Zimmermann, Karatsuba Square Root, INRIA RR-3805, 1999); halving both keeps it in 32 bits. */
static inline uint32_t ftv_isqrt(uint64_t v) {
    uint32_t high = (uint32_t)(v >> 32);
    uint32_t low = (uint32_t)v;
    uint32_t x = ftv_isqrt32(high);
    uint32_t rest = high - x * x;
    uint32_t y = ((rest << 15) + (low >> 17)) / x;
    uint32_t u = (rest << 16) + (low >> 16) - 2U * x * y;
    bool is_less = (((uint64_t)u << 16) | (low & 0xFFFFU)) < (uint64_t)y * y;
    return (x << 16) + y - (is_less ? 1U : 0U);
}

#endif
