/* ESP32-S3: query rows of one head, NUMERICS.md, section 5, four at a time.
 *
 * The assembly is exact for the shifts that occur in practice. Where a distance is shifted by less than 16, C prepares
 * the distances; where the values are beyond 2^27 or all but zero, C divides; heads that are not laid out for vectors
 * go the generic way altogether. */
#include "ftv_esp32s3.h"

#ifdef FTV_ESP32S3
#include <stdbool.h>

#include "ftv_clones.h"
#include "ftv_engine.h"
#include "ftv_fixed.h"

#define BLOCK_BYTES 16U
#define OVERRUN     64U /* bytes behind scores and weights that may be read or, before weights, overwritten */
#define KEY_BITS    12  /* of a key's scale, head_dim <= 64 */
#define MOST_RIGHT  39  /* a distance has less than 32 + 15 - 16 bits */

/* |o| <= 127 sum w and w <= e mv / 2^17 + 1/2, mv < 2^15 and S >= 32767, so |o| < 36 S and |y| < 2^(17 + shv); up to
 * this shv, y stays below 2^30 and |o| below 2^(15 + shift). */
#define MOST_SHV 12

typedef struct attend_scratch {
    uint8_t *scores;  /* int32 [FTV_SCORE_ROWS][keys], overrun */
    int16_t *weights; /* [keys], overrun */
    int16_t *key;     /* [keys] a_K >> shk, in the order of the scores' assembly */
    int16_t *value;   /* [keys] mv, in the order of the scores */
    int16_t *padding; /* [16] */
    int16_t *constants;
    int32_t *sums; /* [head_rows] */
    uint32_t *sum;
} attend_scratch;

/* What all rows of a head share, calls of the assembly included. */
typedef struct head {
    const ftv_attend_job *job;
    uint8_t *scores; /* int32 [FTV_SCORE_ROWS][keys] */
    int32_t *sums;   /* [head_rows] */
    uint32_t *sum;
    uint32_t keys; /* whole tiles */
    int32_t shk;
    int32_t shv;
    int32_t exponent; /* of a distance, less that of the query's scale */
    ftv_scores_args score;
    ftv_softmax_args softmax;
    ftv_mix_args mix;
    ftv_divide_args divide;
} head;

/* ---- scratch ---- */

static size_t score_row_bytes(uint32_t tokens) {
    return ftv_round16(tokens) * sizeof(int32_t);
}

size_t ftv_attend_scratch_bytes_esp32s3(uint32_t tokens, uint32_t head_rows) {
    size_t keys = ftv_round16(tokens);
    size_t vectors = FTV_SCORE_ROWS * score_row_bytes(tokens) + 3U * keys * sizeof(int16_t) + 2U * OVERRUN +
                     FTV_TILE * sizeof(int16_t) + FTV_SOFTMAX_CONSTANTS * BLOCK_BYTES + head_rows * sizeof(int32_t) +
                     BLOCK_BYTES;
    size_t plain = ftv_attend_scratch_bytes(tokens, head_rows);
    return vectors > plain ? vectors : plain;
}

static attend_scratch lay_out(void *base, uint32_t tokens, uint32_t head_rows) {
    size_t keys = ftv_round16(tokens);
    attend_scratch s;
    uint8_t *at = base;
    s.scores = at;
    at += FTV_SCORE_ROWS * score_row_bytes(tokens) + OVERRUN;
    s.weights = (int16_t *)(void *)at;
    at += keys * sizeof(int16_t) + OVERRUN;
    s.key = (int16_t *)(void *)at;
    s.value = s.key + keys;
    s.padding = s.value + keys;
    s.constants = s.padding + FTV_TILE;
    s.sums = (int32_t *)(void *)(s.constants + FTV_SOFTMAX_CONSTANTS * BLOCK_BYTES / sizeof(int16_t));
    s.sum = (uint32_t *)(void *)(s.sums + head_rows);
    return s;
}

/* ---- what all rows of a head share ---- */

/* In the order of ftv_softmax_s32s16_esp32s3.S: the polynomial of NUMERICS.md, the fraction's bits, what rounds, and
 * pairs of bytes that make a power of two of an exponent's bits. */
static void put_constants(int16_t *constants) {
    static const int16_t values[FTV_SOFTMAX_CONSTANTS] = {-1296,  7566,   -22654, 32767,  2047,   -2,
                                                          0x0404, 0x2020, 0x0808, 0x0202, 0x1010, 0x3F3F};
    for (uint32_t i = 0; i < FTV_SOFTMAX_CONSTANTS; i++) {
        for (uint32_t lane = 0; lane < 8U; lane++) {
            *constants++ = values[i];
        }
    }
}

static uint32_t largest_of(const int32_t *values, uint32_t count) {
    int32_t largest = 0;
    for (uint32_t i = 0; i < count; i++) {
        largest = ftv_max_s32(largest, values[i]);
    }
    return (uint32_t)largest;
}

static int32_t bits_of(uint32_t v) {
    return v == 0U ? 0 : 32 - __builtin_clz(v);
}

/* How scales are shifted and where those of a group of four tiles go: those of keys 2 l and 2 l + 1 of all its tiles
 * together, `step` after those of l - 1 and `half` after those of l - 4. */
typedef struct scale_order {
    uint32_t tokens;
    uint32_t shift;
    uint32_t step;
    uint32_t half;
} scale_order;

FTV_INLINE int16_t shifted(int32_t a, uint32_t shift, bool left) {
    return (int16_t)(left ? ftv_shift_left(a, shift) : a >> shift);
}

/* `left` is known where this is compiled: a shift either way would cost more than all the rest. */
FTV_INLINE void put_shifted(int16_t *scales, const int32_t *a, scale_order order, bool left) {
    uint32_t grouped = ftv_grouped_tiles(order.tokens) * FTV_TILE;
    for (uint32_t first = 0; first < grouped; first += 64U) {
        for (uint32_t l = 0; l < 8U; l++) {
            const int32_t *from = a + first + 2U * l;
            int16_t *to = scales + first + l % 4U * order.step + l / 4U * order.half;
            to[0] = shifted(from[0], order.shift, left);
            to[1] = shifted(from[1], order.shift, left);
            to[2] = shifted(from[16], order.shift, left);
            to[3] = shifted(from[17], order.shift, left);
            to[4] = shifted(from[32], order.shift, left);
            to[5] = shifted(from[33], order.shift, left);
            to[6] = shifted(from[48], order.shift, left);
            to[7] = shifted(from[49], order.shift, left);
        }
    }
    for (uint32_t j = grouped; j < order.tokens; j++) {
        scales[j] = shifted(a[j], order.shift, left);
    }
    for (uint32_t j = order.tokens; j < ftv_round16(order.tokens); j++) {
        scales[j] = scales[order.tokens - 1U];
    }
}

/* The keys' scales a_K >> shk. */
static void put_keys(int16_t *scales, const ftv_attend_job *job, int32_t shk) {
    scale_order order = {job->tokens, (uint32_t)shk, 8, 32};
    put_shifted(scales, job->absmax[FTV_K], order, false);
}

/* The values' scales mv, where the scores are (ftv_key_place). */
static void put_values(int16_t *scales, const ftv_attend_job *job, int32_t shv) {
    scale_order order = {job->tokens, (uint32_t)(shv < 0 ? -shv : shv), 16, 8};
    if (shv < 0) {
        put_shifted(scales, job->absmax[FTV_V], order, true);
    } else {
        put_shifted(scales, job->absmax[FTV_V], order, false);
    }
}

static void put_padding(const head *h, int16_t *padding) {
    for (uint32_t j = 0; j < FTV_TILE; j++) {
        padding[j] = h->keys - FTV_TILE + j < h->job->tokens ? 0 : INT16_MAX;
    }
}

static void prepare(head *h, const ftv_attend_job *job, void *base) {
    attend_scratch scratch = lay_out(base, job->tokens, job->head_rows);
    uint32_t keys = ftv_round16(job->tokens), tiles = keys / FTV_TILE, blocks = job->head_rows / FTV_TILE;
    h->job = job;
    h->scores = scratch.scores;
    h->sums = scratch.sums;
    h->sum = scratch.sum;
    h->keys = keys;
    h->shk = ftv_max_s32(0, bits_of(largest_of(job->absmax[FTV_K], job->tokens)) - KEY_BITS);
    h->shv = bits_of(largest_of(job->absmax[FTV_V], job->tokens)) - 15;
    put_keys(scratch.key, job, h->shk);
    put_values(scratch.value, job, h->shv);
    put_padding(h, scratch.padding);
    put_constants(scratch.constants);
    h->exponent = job->attention.exponent + 6 - h->shk;
    h->score = (ftv_scores_args){.keys = ftv_address_of(job->codes[FTV_K]),
                                 .scales = ftv_address_of(scratch.key),
                                 .scores = ftv_address_of(scratch.scores),
                                 .score_row = (uint32_t)score_row_bytes(job->tokens),
                                 .tiles = tiles,
                                 .blocks = blocks};
    h->softmax = (ftv_softmax_args){.weights = ftv_address_of(scratch.weights),
                                    .values = ftv_address_of(scratch.value),
                                    .padding = ftv_address_of(scratch.padding),
                                    .constants = ftv_address_of(scratch.constants),
                                    .tiles = tiles,
                                    .sum = ftv_address_of(scratch.sum)};
    h->mix = (ftv_mix_args){.weights = ftv_address_of(scratch.weights),
                            .values = ftv_address_of(job->codes[FTV_V]),
                            .group = keys * FTV_ALIGN,
                            .sums = ftv_address_of(scratch.sums),
                            .eights = ftv_ceil_div(job->tokens, 8U),
                            .groups = job->head_rows / 8U};
    h->divide = (ftv_divide_args){.sums = ftv_address_of(scratch.sums), .tiles = blocks};
}

/* ---- one row ---- */

/* Makes scores of which a shift by 16 gives what a shift by `shift` < 16 should: distances, negated, 2^(16 - shift)
 * times as large, or so large that they saturate in both. */
static void spread(int32_t *scores, uint32_t keys, int32_t shift) {
    uint32_t left = (uint32_t)ftv_min_s32(16 - shift, 31);
    int32_t largest = scores[0];
    for (uint32_t j = 1; j < keys; j++) {
        largest = ftv_max_s32(largest, scores[j]);
    }
    for (uint32_t j = 0; j < keys; j++) {
        uint32_t distance = (uint32_t)largest - (uint32_t)scores[j];
        scores[j] = distance > (uint32_t)INT32_MAX >> left ? -INT32_MAX : -(int32_t)(distance << left);
    }
}

/* Scores become weights and the sum of the numerators. */
static void weigh(head *h, uint32_t row, void *scores) {
    const ftv_attend_job *job = h->job;
    uint32_t a = (uint32_t)job->absmax[FTV_Q][row];
    int32_t k = 15 - bits_of(a), shift = k + h->exponent;
    uint32_t a15 = k >= 0 ? a << k : a >> -k;
    if (shift < 16) {
        spread(scores, h->keys, shift);
    }
    h->softmax.scores = ftv_address_of(scores);
    h->softmax.multiplier = (a15 * job->attention.mantissa + (1U << 14)) >> 15;
    h->softmax.right = (uint32_t)ftv_min_s32(ftv_max_s32(shift - 16, 0), MOST_RIGHT);
    ftv_softmax_s32s16_esp32s3(&h->softmax);
}

/* y = sums * factor >> shift for any shift. */
static void divide_wide(const head *h, uint32_t row, int32_t factor, int32_t shift) {
    const ftv_attend_job *job = h->job;
    ftv_narrow out = job->out;
    out.values += (size_t)row * out.stride;
    out.absmax += (size_t)row * (out.stride / FTV_TILE);
    for (uint32_t c = 0; c < job->head_rows; c++) {
        h->sums[c] = ftv_shift_sat30((int64_t)h->sums[c] * factor, shift);
    }
    for (uint32_t c = 0; c < job->head_rows; c += FTV_TILE) {
        ftv_narrow_tile(&out, job->column + c, h->sums + c, 1, FTV_TILE);
    }
}

static void divide(head *h, uint32_t row) {
    const ftv_narrow *out = &h->job->out;
    uint32_t total = *h->sum, at = row * out->stride + h->job->column;
    int32_t bits = bits_of(total), shift = bits + 3 - h->shv;
    uint32_t total16 = bits >= 16 ? total >> (bits - 16) : total << (16 - bits);
    uint32_t reciprocal = ftv_min_u32(32767U, (UINT32_C(1) << 30) / total16);
    uint32_t factor = (reciprocal * 16513U + (1U << 14)) >> 15;
    if (h->shv > MOST_SHV || shift > 31) {
        divide_wide(h, row, (int32_t)factor, shift);
        return;
    }
    h->divide.values = ftv_address_of(out->values + at);
    h->divide.absmax = ftv_address_of(out->absmax + at / FTV_TILE);
    h->divide.factor = factor;
    h->divide.shift = (uint32_t)shift;
    ftv_divide_s32s16_esp32s3(&h->divide);
}

/* ---- rows of a head ---- */

static void attend_rows(head *h, uint32_t first, uint32_t rows) {
    h->score.queries = ftv_address_of(h->job->codes[FTV_Q] + (size_t)first * h->job->head_rows);
    h->score.rows = rows;
    ftv_scores_s8s8_esp32s3(&h->score);
    for (uint32_t r = 0; r < rows; r++) {
        weigh(h, first + r, h->scores + r * h->score.score_row);
        ftv_mix_s16s16_esp32s3(&h->mix);
        divide(h, first + r);
    }
}

void ftv_attend_esp32s3(const ftv_attend_job *job, void *scratch) {
    if (!ftv_head_in_vectors(job->head_dim)) {
        ftv_attend_steps(&ftv_kernels_portable, job, scratch);
        return;
    }
    head h;
    prepare(&h, job, scratch);
    uint32_t end = job->first + job->count;
    for (uint32_t first = job->first; first < end; first += FTV_SCORE_ROWS) {
        attend_rows(&h, first, ftv_min_u32(FTV_SCORE_ROWS, end - first));
    }
}

#endif
