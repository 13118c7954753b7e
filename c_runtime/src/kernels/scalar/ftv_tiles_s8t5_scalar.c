/* sums[channel * 8 + token] = sum_k x[token][k] * w[channel][k], eight tokens, any number of tiles, five weights a byte.
 * See ftv_scalar.h. A byte is the index into the table of its five inputs; four groups of five lie side by side.
 * Table: FTV_TABLE_BYTES_T5. */
#include "ftv_scalar.h"

#define GROUP 5U  /* inputs of a byte */
#define MOST  48U /* groups until the words have to be read: whole fours, 48 * 5 <= FTV_HALF_INPUTS */

typedef struct five_inputs {
    uint32_t x0, x1, x2, x3, x4; /* the last one's trit is the lowest digit */
} five_inputs;

/* The entry of v = 81 d0 + 27 d1 + 9 d2 + 3 d3 + d4 stands at v's byte. */
#define FTV_PLACE(v) ((256U * (v) + 242U) / 243U * FTV_STRIDE)
#include "ftv_nine_scalar.h"

/* The sums of three inputs, and back. */
FTV_INLINE uint32_t part_up(uint32_t *restrict table, uint32_t v, uint32_t value, five_inputs in) {
    value = ftv_nine_up(table, v, value, in.x4, in.x3) + in.x2;
    value = ftv_nine_down(table, v + 9U, value, in.x4, in.x3) + in.x2;
    return ftv_nine_up(table, v + 18U, value, in.x4, in.x3);
}

FTV_INLINE uint32_t part_down(uint32_t *restrict table, uint32_t v, uint32_t value, five_inputs in) {
    value = ftv_nine_down(table, v + 18U, value, in.x4, in.x3) - in.x2;
    value = ftv_nine_up(table, v + 9U, value, in.x4, in.x3) - in.x2;
    return ftv_nine_down(table, v, value, in.x4, in.x3);
}

/* All 243 sums of five inputs. */
static void fill(uint32_t *restrict table, five_inputs in) {
    uint32_t value = 0U - in.x0 - in.x1 - in.x2 - in.x3 - in.x4;
    FTV_NOW(table);
    value = part_up(table, 0U, value, in) + in.x1;
    value = part_down(table, 27U, value, in) + in.x1;
    value = part_up(table, 54U, value, in) + in.x0;
    value = part_down(table, 135U, value, in) - in.x1;
    value = part_up(table, 108U, value, in) - in.x1;
    value = part_down(table, 81U, value, in) + in.x0;
    value = part_up(table, 162U, value, in) + in.x1;
    value = part_down(table, 189U, value, in) + in.x1;
    part_up(table, 216U, value, in);
}

/* The tables of four groups. */
static void fill_groups(uint32_t *table, const ftv_inputs *in) {
    for (uint32_t pair = 0; pair < FTV_PAIRS; pair++) {
        const int8_t *low = in->x[2U * pair], *high = in->x[2U * pair + 1U];
        for (uint32_t slot = 0; slot < FTV_SLOTS; slot++, low += GROUP, high += GROUP) {
            five_inputs five = {ftv_pair(low[0], high[0]), ftv_pair(low[1], high[1]), ftv_pair(low[2], high[2]),
                                ftv_pair(low[3], high[3]), ftv_pair(low[4], high[4])};
            fill(table + slot * FTV_PAIRS + pair, five);
        }
    }
}

/* One channel's next `slots` bytes. */
FTV_INLINE void add_channel(uint32_t *restrict words, const uint32_t *restrict table, const uint8_t *restrict bytes,
                            uint32_t slots) {
    uint32_t s0 = words[0], s1 = words[1], s2 = words[2], s3 = words[3];
    FTV_LOOK_UP(table + bytes[0] * FTV_STRIDE, 0U);
    if (slots > 1U) {
        FTV_LOOK_UP(table + bytes[16] * FTV_STRIDE, 1U);
    }
    if (slots > 2U) {
        FTV_LOOK_UP(table + bytes[32] * FTV_STRIDE, 2U);
    }
    if (slots > 3U) {
        FTV_LOOK_UP(table + bytes[48] * FTV_STRIDE, 3U);
    }
    words[0] = s0;
    words[1] = s1;
    words[2] = s2;
    words[3] = s3;
}

FTV_INLINE void add_tile(uint32_t *restrict words, const uint32_t *restrict table, const uint8_t *restrict bytes,
                         uint32_t slots) {
    const uint8_t *end = bytes + FTV_TILE;
    do {
        add_channel(words, table, bytes, slots);
        add_channel(words + FTV_PAIRS, table, bytes + 1, slots);
        words += 2U * FTV_PAIRS;
        bytes += 2;
    } while (bytes != end);
}

/* One to four groups from `group` on, through all tiles. */
static void add_groups(const ftv_eight *job, uint32_t group, uint32_t slots) {
    uint32_t *words = job->words;
    const uint8_t *bytes = job->tiles + group * FTV_TILE;
    for (uint32_t tile = 0; tile < job->tiles_count; tile++) {
        if (slots == FTV_SLOTS) {
            add_tile(words, job->table, bytes, FTV_SLOTS);
        } else if (slots == 3U) {
            add_tile(words, job->table, bytes, 3U);
        } else if (slots == 2U) {
            add_tile(words, job->table, bytes, 2U);
        } else {
            add_tile(words, job->table, bytes, 1U);
        }
        words += FTV_TILE * FTV_PAIRS;
        bytes += job->tile_bytes;
    }
}

void ftv_tiles_s8t5_scalar(const ftv_eight *job) {
    uint32_t groups = ftv_ceil_div(job->inputs, GROUP);
    ftv_inputs in;
    int8_t padded[FTV_EIGHT * FTV_SLOTS * GROUP];
    ftv_clear_words(job);
    for (uint32_t first = 0; first < groups; first += MOST) {
        uint32_t end = ftv_min_u32(first + MOST, groups);
        for (uint32_t group = first; group < end; group += FTV_SLOTS) {
            ftv_take_inputs(&in, job, group * GROUP, FTV_SLOTS * GROUP, padded);
            fill_groups(job->table, &in);
            add_groups(job, group, ftv_min_u32(FTV_SLOTS, end - group));
        }
        ftv_spread_scalar(job, first == 0U);
    }
}
