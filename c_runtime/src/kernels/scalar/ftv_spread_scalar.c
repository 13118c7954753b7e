/* words [channel][4], two tokens each, become sums [channel][8] or are added to them. See ftv_scalar.h. */
#include "ftv_scalar.h"

static inline int32_t low_half(uint32_t word) {
    return (int16_t)(word & 0xFFFFU);
}

static inline int32_t high_half(uint32_t word) {
    return (int32_t)(word + 0x8000U) >> 16;
}

FTV_INLINE void store_word(int32_t *restrict sums, uint32_t *restrict word) {
    sums[0] = low_half(*word);
    sums[1] = high_half(*word);
    *word = 0;
}

FTV_INLINE void add_word(int32_t *restrict sums, uint32_t *restrict word) {
    sums[0] += low_half(*word);
    sums[1] += high_half(*word);
    *word = 0;
}

void ftv_spread_scalar(const ftv_eight *job, int first) {
    int32_t *restrict sums = job->sums;
    uint32_t *restrict words = job->words;
    const uint32_t *end = words + job->tiles_count * FTV_TILE * FTV_PAIRS;
    if (first) {
        for (; words != end; words += 2, sums += 4) {
            store_word(sums, words);
            store_word(sums + 2, words + 1);
        }
    } else {
        for (; words != end; words += 2, sums += 4) {
            add_word(sums, words);
            add_word(sums + 2, words + 1);
        }
    }
}
