/* sums[channel * 8 + token] = sum_k x[token][k] * w[channel][k], eight tokens, few tiles, three weights a byte.
 * See ftv_scalar.h, "t3", for the weights' layout. Table: FTV_TABLE_BYTES_T3. */
#include "ftv_scalar.h"

#define MOST   10U              /* times 24 inputs until the words have to be read: 240 <= FTV_HALF_INPUTS */
#define STRIDE (2U * FTV_PAIRS) /* words from one entry to the next: two tables lie side by side */
#define WORDS  (27U * STRIDE)   /* of two tables */

#define FTV_PLACE(v) ((v) * STRIDE)
#include "ftv_nine_scalar.h"

/* All 27 sums of three inputs. */
FTV_INLINE void fill(uint32_t *restrict table, uint32_t x0, uint32_t x1, uint32_t x2) {
    uint32_t value = 0U - x0 - x1 - x2;
    FTV_NOW(table);
    value = ftv_nine_up(table, 0U, value, x0, x1) + x2;
    value = ftv_nine_down(table, 9U, value, x0, x1) + x2;
    ftv_nine_up(table, 18U, value, x0, x1);
}

/* The tables of 24 inputs. */
static void fill_tables(uint32_t *table, const ftv_inputs *in) {
    for (uint32_t pair = 0; pair < FTV_PAIRS; pair++) {
        const int8_t *low = in->x[2U * pair], *high = in->x[2U * pair + 1U], *end = low + FTV_T3_INPUTS;
        for (uint32_t *two = table + pair; low != end; two += WORDS - STRIDE) {
            for (uint32_t side = 0; side < 2U; side++, two += FTV_PAIRS, low += 3, high += 3) {
                fill(two, ftv_pair(low[0], high[0]), ftv_pair(low[1], high[1]), ftv_pair(low[2], high[2]));
            }
        }
    }
}

/* A byte is a quarter of the distance of its entry. */
FTV_INLINE const uint32_t *entry_of(const uint32_t *table, uint8_t byte) {
    return (const uint32_t *)(const void *)((const uint8_t *)table + 4U * byte);
}

/* Four tables are within reach of one address. */
static void add_channels(uint32_t *restrict words, const uint32_t *restrict table, const uint8_t *restrict bytes,
                         uint32_t channels) {
    const uint32_t *end = words + channels * FTV_PAIRS, *second = table + 2U * WORDS;
    for (; words != end; words += FTV_PAIRS, bytes += FTV_THREES) {
        uint32_t s0 = words[0], s1 = words[1], s2 = words[2], s3 = words[3];
        FTV_LOOK_UP(entry_of(table, bytes[0]), 0U);
        FTV_LOOK_UP(entry_of(table, bytes[1]), 1U);
        FTV_LOOK_UP(entry_of(table, bytes[2]), 54U);
        FTV_LOOK_UP(entry_of(table, bytes[3]), 55U);
        FTV_LOOK_UP(entry_of(second, bytes[4]), 0U);
        FTV_LOOK_UP(entry_of(second, bytes[5]), 1U);
        FTV_LOOK_UP(entry_of(second, bytes[6]), 54U);
        FTV_LOOK_UP(entry_of(second, bytes[7]), 55U);
        words[0] = s0;
        words[1] = s1;
        words[2] = s2;
        words[3] = s3;
    }
}

void ftv_tiles_s8t3_scalar(const ftv_eight *job) {
    uint32_t visits = ftv_ceil_div(job->inputs, FTV_T3_INPUTS), channels = job->tiles_count * FTV_TILE;
    ftv_inputs in;
    int8_t padded[FTV_EIGHT * FTV_T3_INPUTS];
    ftv_clear_words(job);
    for (uint32_t first = 0; first < visits; first += MOST) {
        uint32_t end = ftv_min_u32(first + MOST, visits);
        for (uint32_t visit = first; visit < end; visit++) {
            ftv_take_inputs(&in, job, visit * FTV_T3_INPUTS, FTV_T3_INPUTS, padded);
            fill_tables(job->table, &in);
            add_channels(job->words, job->table, job->tiles + (size_t)visit * channels * FTV_THREES, channels);
        }
        ftv_spread_scalar(job, first == 0U);
    }
}
