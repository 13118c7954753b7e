/* NUMERICS.md, section 6: GELU by a polynomial. */
#include "ftv_clones.h"
#include "ftv_engine.h"
#include "ftv_fixed.h"

/* delta(v) = v (1 - Phi(v)) in Q16, x = v / 2 - 1 in Q15. Written out so that it vectorises. */
FTV_INLINE int32_t delta(int32_t x) {
    int32_t r = 1685;
    r = ((r * x) >> 15) + 1214;
    r = ((r * x) >> 15) - 9331;
    r = ((r * x) >> 15) + 1502;
    r = ((r * x) >> 15) + 18806;
    r = ((r * x) >> 15) - 19972;
    r = ((r * x) >> 15) + 17;
    r = ((r * x) >> 15) + 14283;
    r = ((r * x) >> 15) - 11173;
    return ((r * x) >> 15) + 2979;
}

FTV_CLONES
void ftv_gelu(int32_t *restrict y, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        int32_t magnitude = y[i] < 0 ? -y[i] : y[i];
        int32_t x = ftv_min_s32(magnitude >> 2, 65535) - 32768;
        y[i] = ftv_max_s32(y[i], 0) - delta(x);
    }
}
