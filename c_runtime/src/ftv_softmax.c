/* NUMERICS.md, section 5: the softmax of one query, without a division and without a table. */
#include "ftv_softmax.h"
#include "ftv_engine.h"

/* scores become t = scores * key scale; returns the largest. */
FTV_INLINE int32_t scale_scores(int32_t *restrict scores, const int32_t *restrict key, uint32_t rows) {
    int32_t largest = INT32_MIN;
    for (uint32_t j = 0; j < rows; j++) {
        scores[j] *= key[j];
        largest = scores[j] > largest ? scores[j] : largest;
    }
    return largest;
}

/* t becomes u. */
static void distances_wide(int32_t *t, uint32_t rows, int32_t largest, uint32_t c, int32_t shift) {
    for (uint32_t j = 0; j < rows; j++) {
        t[j] = ftv_distance_wide((uint32_t)largest - (uint32_t)t[j], c, shift);
    }
}

FTV_INLINE void distances_narrow(int32_t *restrict t, uint32_t rows, int32_t largest, uint32_t c, int32_t shift) {
    uint32_t rest = (uint32_t)ftv_min_s32(shift - 16, 31);
    for (uint32_t j = 0; j < rows; j++) {
        t[j] = ftv_distance((uint32_t)largest - (uint32_t)t[j], c, rest);
    }
}

/* u becomes weights; returns the sum of the numerators. */
FTV_INLINE uint32_t weigh(int16_t *restrict weights, const int32_t *restrict u, uint32_t rows,
                          const int32_t *restrict value) {
    uint32_t sum = 0;
    for (uint32_t j = 0; j < rows; j++) {
        int32_t e = ftv_numerator(u[j]);
        sum += (uint32_t)e;
        weights[j] = (int16_t)ftv_weight(e, value[j]);
    }
    return sum;
}

FTV_CLONES
uint32_t ftv_softmax(int16_t *weights, int32_t *scores, uint32_t rows, const ftv_softmax_scales *scales) {
    int32_t largest = scale_scores(scores, scales->key, rows);
    if (scales->shift >= 16) {
        distances_narrow(scores, rows, largest, scales->c, scales->shift);
    } else {
        distances_wide(scores, rows, largest, scales->c, scales->shift);
    }
    return weigh(weights, scores, rows, scales->value);
}
