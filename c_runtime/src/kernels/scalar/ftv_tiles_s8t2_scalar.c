/* sums[channel * 8 + token] = sum_k x[token][k] * w[channel][k], eight tokens, any number of tiles, two bits a weight.
 * See ftv_scalar.h. A byte holds the codes w + 1 of inputs j, 4 + j, 8 + j, 12 + j of its block: it is the index into
 * the table of those four, for j = 0 .. 3 side by side. Table: FTV_TABLE_BYTES_T2. */
#include "ftv_scalar.h"

#define MOST (FTV_HALF_INPUTS / 16U) /* blocks until the words have to be read */

/* A code has two bits. */
#define FTV_PLACE(v) (((v) % 3U + (v) / 3U % 3U * 4U + (v) / 9U % 3U * 16U + (v) / 27U * 64U) * FTV_STRIDE)
#include "ftv_nine_scalar.h"

/* All 81 sums of four inputs. */
static void fill(uint32_t *restrict table, uint32_t x0, uint32_t x1, uint32_t x2, uint32_t x3) {
    uint32_t value = 0U - x0 - x1 - x2 - x3;
    FTV_NOW(table);
    value = ftv_nine_up(table, 0U, value, x0, x1) + x2;
    value = ftv_nine_down(table, 9U, value, x0, x1) + x2;
    value = ftv_nine_up(table, 18U, value, x0, x1) + x3;
    value = ftv_nine_down(table, 45U, value, x0, x1) - x2;
    value = ftv_nine_up(table, 36U, value, x0, x1) - x2;
    value = ftv_nine_down(table, 27U, value, x0, x1) + x3;
    value = ftv_nine_up(table, 54U, value, x0, x1) + x2;
    value = ftv_nine_down(table, 63U, value, x0, x1) + x2;
    ftv_nine_up(table, 72U, value, x0, x1);
}

/* The tables of inputs k .. k + 15. */
static void fill_block(const ftv_eight *job, uint32_t k) {
    for (uint32_t pair = 0; pair < FTV_PAIRS; pair++) {
        const int8_t *low = job->x[2U * pair] + k, *high = job->x[2U * pair + 1U] + k;
        for (uint32_t j = 0; j < FTV_SLOTS; j++, low++, high++) {
            fill(job->table + j * FTV_PAIRS + pair, ftv_pair(low[0], high[0]), ftv_pair(low[4], high[4]),
                 ftv_pair(low[8], high[8]), ftv_pair(low[12], high[12]));
        }
    }
}

/* One channel's four bytes. */
FTV_INLINE void add_channel(uint32_t *restrict words, const uint32_t *restrict table, const uint8_t *restrict block) {
    uint32_t s0 = words[0], s1 = words[1], s2 = words[2], s3 = words[3];
    FTV_LOOK_UP(table + block[0] * FTV_STRIDE, 0U);
    FTV_LOOK_UP(table + block[16] * FTV_STRIDE, 1U);
    FTV_LOOK_UP(table + block[32] * FTV_STRIDE, 2U);
    FTV_LOOK_UP(table + block[48] * FTV_STRIDE, 3U);
    words[0] = s0;
    words[1] = s1;
    words[2] = s2;
    words[3] = s3;
}

static void add_tile(uint32_t *restrict words, const uint32_t *restrict table, const uint8_t *restrict block) {
    const uint8_t *end = block + FTV_TILE;
    do {
        add_channel(words, table, block);
        add_channel(words + FTV_PAIRS, table, block + 1);
        words += 2U * FTV_PAIRS;
        block += 2;
    } while (block != end);
}

/* Sixteen inputs through all tiles. */
static void add_block(const ftv_eight *job, uint32_t block) {
    uint32_t *words = job->words;
    const uint8_t *bytes = job->tiles + block * 64U;
    fill_block(job, block * 16U);
    for (uint32_t tile = 0; tile < job->tiles_count; tile++) {
        add_tile(words, job->table, bytes);
        words += FTV_TILE * FTV_PAIRS;
        bytes += job->tile_bytes;
    }
}

void ftv_tiles_s8t2_scalar(const ftv_eight *job) {
    uint32_t blocks = ftv_ceil_div(job->inputs, 16U);
    ftv_clear_words(job);
    for (uint32_t first = 0; first < blocks; first += MOST) {
        uint32_t end = ftv_min_u32(first + MOST, blocks);
        for (uint32_t block = first; block < end; block++) {
            add_block(job, block);
        }
        ftv_spread_scalar(job, first == 0U);
    }
}
