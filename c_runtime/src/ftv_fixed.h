/* Fixed-point helpers of NUMERICS.md, "Conventions". Everything is defined for every argument in the stated range;
 * no 64-bit division, which small chips lack. */
#ifndef FTV_FIXED_H
#define FTV_FIXED_H

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

/* n / d for a quotient below 2^32; 0 < d. */
static inline uint32_t ftv_divide(uint64_t n, uint32_t d) {
    uint32_t quotient = 0;
    for (int32_t bit = ftv_bits64(n) - ftv_bits32(d); bit >= 0; bit--) {
        if ((n >> bit) >= d) {
            n -= (uint64_t)d << bit;
            quotient |= UINT32_C(1) << bit;
        }
    }
    return quotient;
}

/* floor(n / d) for |n / d| below 2^31 and 0 < d. */
static inline int32_t ftv_floor_divide(int64_t n, uint32_t d) {
    if (n >= 0) {
        return (int32_t)ftv_divide((uint64_t)n, d);
    }
    /* floor(-m / d) = -1 - floor((m - 1) / d) */
    return -1 - (int32_t)ftv_divide((uint64_t)(-(n + 1)), d);
}

/* Square root, floored. */
static inline uint32_t ftv_isqrt(uint64_t v) {
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 62; bit != 0U; bit >>= 2) {
        uint64_t trial = root + bit;
        root >>= 1;
        if (v >= trial) {
            v -= trial;
            root += bit;
        }
    }
    return (uint32_t)root;
}

#endif
