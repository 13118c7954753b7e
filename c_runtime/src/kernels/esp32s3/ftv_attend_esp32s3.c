/* ESP32-S3: query rows of one head, NUMERICS.md, section 5, four at a time.
 *
 * The assembly is exact for the shifts that occur in practice. Where a distance is shifted by less than 16, C prepares
 * the distances; where the values are beyond 2^27 or all but zero, C divides; heads that are not laid out for vectors
 * go the generic way altogether. */
#include "ftv_esp32s3.h"

#ifdef FTV_ESP32S3
#include <string.h>

#include "ftv_engine.h"
#include "ftv_fixed.h"

#define BLOCK_BYTES 16U
#define OVERRUN     32U /* bytes behind scores and weights that may be read */
#define KEY_BITS    12  /* of a key's scale, head_dim <= 64 */
#define MOST_RIGHT  39  /* a distance has less than 32 + 15 - 16 bits */

/* |o| <= 127 sum w and w <= e mv / 2^17 + 1/2, mv < 2^15 and S >= 32767, so |o| < 36 S and |y| < 2^(17 + shv); up to
 * this shv, y stays below 2^30 and |o| below 2^(15 + shift). */
#define MOST_SHV 12

typedef struct attend_scratch {
    uint8_t *scores;  /* int32 [FTV_SCORE_ROWS][keys], overrun */
    int16_t *weights; /* [keys], overrun */
    uint16_t *key;    /* [keys] a_K >> shk */
    int16_t *value;   /* [keys] mv */
    int16_t *padding; /* [16] */
    int16_t *constants;
    int32_t *sums; /* [head_rows] */
    uint32_t *sum;
} attend_scratch;

typedef struct head {
    const ftv_attend_job *job;
    attend_scratch scratch;
    uint32_t keys; /* whole tiles */
    int32_t shk;
    int32_t shv;
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
    s.key = (uint16_t *)(void *)at;
    s.value = (int16_t *)(void *)(s.key + keys);
    s.padding = s.value + keys;
    s.constants = s.padding + FTV_TILE;
    s.sums = (int32_t *)(void *)(s.constants + FTV_SOFTMAX_CONSTANTS * BLOCK_BYTES / sizeof(int16_t));
    s.sum = (uint32_t *)(void *)(s.sums + head_rows);
    return s;
}

/* ---- what all rows of a head share ---- */

/* ftv_softmax_s32s16_esp32s3.S names them in this order: the polynomial of NUMERICS.md, the fraction's bits, then what
 * makes a shift of its bits, bytes in pairs, and what rounds. */
static void put_constants(int16_t *constants) {
    static const int16_t values[FTV_SOFTMAX_CONSTANTS] = {-1296,  7566,   -22654, 32767,  2047, 0x3F3F, 0x2020,
                                                          0x0202, 0x1010, 0x0404, 0x0808, 1,    -2,     -8192};
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

static head prepare(const ftv_attend_job *job, void *base) {
    const int32_t *k = job->absmax[FTV_K];
    const int32_t *v = job->absmax[FTV_V];
    uint32_t tokens = job->tokens;
    head h = {.job = job, .scratch = lay_out(base, tokens, job->head_rows), .keys = ftv_round16(tokens)};
    h.shk = ftv_max_s32(0, ftv_bits32(largest_of(k, tokens)) - KEY_BITS);
    h.shv = ftv_bits32(largest_of(v, tokens)) - 15;
    for (uint32_t j = 0; j < tokens; j++) {
        h.scratch.key[j] = (uint16_t)(k[j] >> h.shk);
        h.scratch.value[j] = (int16_t)(h.shv >= 0 ? v[j] >> h.shv : ftv_shift_left(v[j], (uint32_t)-h.shv));
    }
    for (uint32_t j = tokens; j < h.keys; j++) {
        h.scratch.key[j] = h.scratch.key[tokens - 1U];
        h.scratch.value[j] = 0;
    }
    for (uint32_t j = 0; j < FTV_TILE; j++) {
        h.scratch.padding[j] = h.keys - FTV_TILE + j < tokens ? 0 : INT16_MAX;
    }
    put_constants(h.scratch.constants);
    return h;
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

/* Scores become weights; returns the sum of the numerators. */
static uint32_t weigh(const head *h, uint32_t row, int32_t *scores) {
    const ftv_attend_job *job = h->job;
    ftv_absmax absmax = ftv_absmax_of((uint32_t)job->absmax[FTV_Q][row]);
    int32_t shift = absmax.k + job->attention.exponent + 6 - h->shk;
    if (shift < 16) {
        spread(scores, h->keys, shift);
    }
    ftv_softmax_args args = {.scores = ftv_address_of(scores),
                             .weights = ftv_address_of(h->scratch.weights),
                             .values = ftv_address_of(h->scratch.value),
                             .padding = ftv_address_of(h->scratch.padding),
                             .constants = ftv_address_of(h->scratch.constants),
                             .multiplier = (absmax.a15 * job->attention.mantissa + (1U << 14)) >> 15,
                             .right = (uint32_t)ftv_min_s32(ftv_max_s32(shift - 16, 0), MOST_RIGHT),
                             .tiles = h->keys / FTV_TILE,
                             .sum = ftv_address_of(h->scratch.sum)};
    ftv_softmax_s32s16_esp32s3(&args);
    return *h->scratch.sum;
}

static void mix(const head *h) {
    ftv_mix_args args = {.weights = ftv_address_of(h->scratch.weights),
                         .values = ftv_address_of(h->job->codes[FTV_V]),
                         .sums = ftv_address_of(h->scratch.sums),
                         .tiles = h->keys / FTV_TILE,
                         .groups = h->job->head_rows / 8U};
    ftv_mix_s16s16_esp32s3(&args);
}

/* y = sums * factor >> shift for any shift. */
static void divide_wide(const ftv_narrow *out, uint32_t column, int32_t *sums, uint32_t columns, uint32_t factor,
                        int32_t shift) {
    for (uint32_t c = 0; c < columns; c++) {
        sums[c] = ftv_shift_sat30((int64_t)sums[c] * (int32_t)factor, shift);
    }
    for (uint32_t c = 0; c < columns; c += FTV_TILE) {
        ftv_narrow_tile(out, column + c, sums + c, 1, FTV_TILE);
    }
}

static void divide(const head *h, uint32_t row, uint32_t total) {
    const ftv_attend_job *job = h->job;
    int32_t bits = ftv_bits32(total);
    uint32_t total16 = bits >= 16 ? total >> (bits - 16) : total << (16 - bits);
    uint32_t reciprocal = ftv_min_u32(32767U, (UINT32_C(1) << 30) / total16);
    uint32_t factor = (reciprocal * 16513U + (1U << 14)) >> 15;
    int32_t shift = bits + 3 - h->shv;
    ftv_narrow out = job->out;
    out.values += (size_t)row * out.stride;
    out.absmax += (size_t)row * (out.stride / FTV_TILE);
    if (h->shv > MOST_SHV || shift > 31) {
        divide_wide(&out, job->column, h->scratch.sums, job->head_rows, factor, shift);
        return;
    }
    ftv_divide_args args = {.sums = ftv_address_of(h->scratch.sums),
                            .values = ftv_address_of(out.values + job->column),
                            .absmax = ftv_address_of(out.absmax + job->column / FTV_TILE),
                            .factor = factor,
                            .shift = (uint32_t)shift,
                            .tiles = job->head_rows / FTV_TILE};
    ftv_divide_s32s16_esp32s3(&args);
}

/* ---- rows of a head ---- */

static void score(const head *h, uint32_t row, uint32_t rows) {
    const ftv_attend_job *job = h->job;
    ftv_scores_args args = {.queries = ftv_address_of(job->codes[FTV_Q] + (size_t)row * job->head_rows),
                            .keys = ftv_address_of(job->codes[FTV_K]),
                            .scales = ftv_address_of(h->scratch.key),
                            .scores = ftv_address_of(h->scratch.scores),
                            .score_row = (uint32_t)score_row_bytes(job->tokens),
                            .rows = rows,
                            .tiles = h->keys / FTV_TILE,
                            .blocks = job->head_rows / FTV_TILE};
    ftv_scores_s8s8_esp32s3(&args);
}

void ftv_attend_esp32s3(const ftv_attend_job *job, void *scratch) {
    if (!ftv_head_in_vectors(job->head_dim)) {
        ftv_attend_steps(&ftv_kernels_portable, job, scratch);
        return;
    }
    head h = prepare(job, scratch);
    uint32_t end = job->first + job->count;
    for (uint32_t first = job->first; first < end; first += FTV_SCORE_ROWS) {
        uint32_t rows = ftv_min_u32(FTV_SCORE_ROWS, end - first);
        score(&h, first, rows);
        for (uint32_t r = 0; r < rows; r++) {
            void *scores = h.scratch.scores + r * score_row_bytes(job->tokens);
            uint32_t total = weigh(&h, first + r, scores);
            mix(&h);
            divide(&h, first + r, total);
        }
    }
}

#endif
