/* The nine sums of two inputs into a table, of which each differs from the one before in one trit. Who includes this says
 * first where entries stand: FTV_PLACE(v), in words, of the entry whose trits are the digits of v, the first input's
 * lowest. */
#ifndef FTV_NINE_SCALAR_H
#define FTV_NINE_SCALAR_H

#include "ftv_scalar.h"

#define FTV_PUT(v)                                                                                                     \
    table[FTV_PLACE(v)] = value;                                                                                       \
    FTV_STORED(value)

/* From digits 0, 0 to 2, 2, that is from entry v to v + 8, ... */
FTV_INLINE uint32_t ftv_nine_up(uint32_t *restrict table, uint32_t v, uint32_t value, uint32_t x0, uint32_t x1) {
    FTV_PUT(v);
    value += x0;
    FTV_PUT(v + 1U);
    value += x0;
    FTV_PUT(v + 2U);
    value += x1;
    FTV_PUT(v + 5U);
    value -= x0;
    FTV_PUT(v + 4U);
    value -= x0;
    FTV_PUT(v + 3U);
    value += x1;
    FTV_PUT(v + 6U);
    value += x0;
    FTV_PUT(v + 7U);
    value += x0;
    FTV_PUT(v + 8U);
    return value;
}

/* ... and back. */
FTV_INLINE uint32_t ftv_nine_down(uint32_t *restrict table, uint32_t v, uint32_t value, uint32_t x0, uint32_t x1) {
    FTV_PUT(v + 8U);
    value -= x0;
    FTV_PUT(v + 7U);
    value -= x0;
    FTV_PUT(v + 6U);
    value -= x1;
    FTV_PUT(v + 3U);
    value += x0;
    FTV_PUT(v + 4U);
    value += x0;
    FTV_PUT(v + 5U);
    value -= x1;
    FTV_PUT(v + 2U);
    value -= x0;
    FTV_PUT(v + 1U);
    value -= x0;
    FTV_PUT(v);
    return value;
}

#endif
