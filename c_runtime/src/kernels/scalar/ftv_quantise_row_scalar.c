/* Eight-bit codes of a Q16 row: NUMERICS.md, section 1. Equals ftv_quantise_row, four values at a time.
 * codes: [stride], zero beyond `columns`; x: [stride], a multiple of 16. They do not overlap. Returns the absmax. */
#include "ftv_engine.h"
#include "ftv_scalar.h"

FTV_INLINE int32_t larger_magnitude(int32_t largest, int32_t value) {
    return ftv_max_s32(largest, value < 0 ? -value : value);
}

/* Of whole fours; the row is zero beyond its columns. */
static uint32_t absmax_of(const int32_t *x, uint32_t columns) {
    int32_t largest = 1;
    for (const int32_t *end = x + columns; x < end; x += 4) {
        largest = larger_magnitude(largest, x[0]);
        largest = larger_magnitude(largest, x[1]);
        largest = larger_magnitude(largest, x[2]);
        largest = larger_magnitude(largest, x[3]);
    }
    return (uint32_t)largest;
}

FTV_INLINE int8_t code_of(int32_t y, int32_t reciprocal) {
    return (int8_t)((y * reciprocal + (1 << 20)) >> 21);
}

static void scale_down(int8_t *restrict codes, const int32_t *restrict x, uint32_t columns, int32_t shift,
                       int32_t reciprocal) {
    for (const int32_t *end = x + columns; x < end; x += 4, codes += 4) {
        codes[0] = code_of(x[0] >> shift, reciprocal);
        codes[1] = code_of(x[1] >> shift, reciprocal);
        codes[2] = code_of(x[2] >> shift, reciprocal);
        codes[3] = code_of(x[3] >> shift, reciprocal);
    }
}

/* Rows this small are rare. */
static void scale_up(int8_t *restrict codes, const int32_t *restrict x, uint32_t columns, uint32_t shift,
                     int32_t reciprocal) {
    for (uint32_t i = 0; i < columns; i++) {
        codes[i] = code_of(ftv_shift_left(x[i], shift), reciprocal);
    }
}

uint32_t ftv_quantise_row_scalar(int8_t *codes, int32_t *x, uint32_t columns, uint32_t stride, int32_t levels) {
    for (uint32_t i = columns; i < stride; i++) {
        x[i] = 0;
    }
    ftv_absmax absmax = ftv_absmax_of(absmax_of(x, stride));
    int32_t reciprocal = (int32_t)(((uint32_t)levels << 21) / absmax.a15);
    if (absmax.k < 0) {
        scale_down(codes, x, stride, -absmax.k, reciprocal);
    } else {
        scale_up(codes, x, stride, (uint32_t)absmax.k, reciprocal);
    }
    return absmax.a;
}
