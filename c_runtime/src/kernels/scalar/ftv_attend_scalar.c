/* A whole step: query rows of one head, four at a time. See ftv.h, ftv_attend_job, and NUMERICS.md, section 5.
 * Q is [token][head_rows], K the same as code + 128, so that a byte loads without its sign; V, code + 128 too, has its
 * channels in twos, [head_rows / 2][tokens rounded up to 16][2] (ftv_parts_scalar).
 *
 * Scores: two queries share a word, as tokens do in ftv_scalar.h. A product is at most 63 * 127, so four channels fit
 * the halves, which are read after every four. The mixture of values needs 32 bits for each sum. */
#include "ftv_engine.h"
#include "ftv_scalar.h"

#define QUERIES 4U
#define HALF    0x8000U /* added to the low half, so that it is read without a sign */

/* Four channels of two queries. */
typedef struct quad {
    uint32_t q[4];
    uint32_t start; /* HALF - 128 sum q: what code + 128 adds too much */
} quad;

typedef struct attend_scratch {
    quad *quads;      /* [head_rows / 4][2] */
    int32_t *key;     /* [tokens] a_K >> shk */
    int32_t *value;   /* [tokens] mv */
    int32_t *sums;    /* [QUERIES][head_rows], then y */
    int32_t *scores;  /* [QUERIES][tokens rounded up to 16], then weights as words [tokens ...][QUERIES] */
    int16_t *weights; /* [QUERIES][tokens rounded up to 16] */
    int32_t shk;
    int32_t shv;
} attend_scratch;

size_t ftv_attend_scratch_bytes_scalar(uint32_t tokens, uint32_t head_rows) {
    size_t rows = ftv_round16(tokens);
    return head_rows / 4U * 2U * sizeof(quad) + rows * ((2U + QUERIES) * sizeof(int32_t) + QUERIES * sizeof(int16_t)) +
           QUERIES * head_rows * sizeof(int32_t);
}

/* ---- a head ---- */

static uint32_t largest_of(const int32_t *values, uint32_t count) {
    int32_t largest = 0;
    for (uint32_t i = 0; i < count; i++) {
        largest = ftv_max_s32(largest, values[i]);
    }
    return (uint32_t)largest;
}

/* W: bits of a key's scale such that scores fit int32 at this head_dim. */
static int32_t key_scale_bits(uint32_t head_dim) {
    return head_dim <= 64U ? 12 : head_dim <= 128U ? 11 : 10;
}

static attend_scratch divide(const ftv_attend_job *job, void *scratch) {
    uint32_t rows = ftv_round16(job->tokens);
    attend_scratch s = {.quads = scratch};
    s.key = (int32_t *)(void *)(s.quads + job->head_rows / 4U * 2U);
    s.value = s.key + rows;
    s.sums = s.value + rows;
    s.scores = s.sums + QUERIES * job->head_rows;
    s.weights = (int16_t *)(void *)(s.scores + QUERIES * rows);
    return s;
}

static attend_scratch prepare_head(const ftv_attend_job *job, void *scratch) {
    const int32_t *k = job->absmax[FTV_K], *v = job->absmax[FTV_V];
    attend_scratch s = divide(job, scratch);
    s.shk = ftv_max_s32(0, ftv_bits32(largest_of(k, job->tokens)) - key_scale_bits(job->head_dim));
    s.shv = ftv_bits32(largest_of(v, job->tokens)) - 15;
    for (uint32_t j = 0; j < job->tokens; j++) {
        s.key[j] = k[j] >> s.shk;
        s.value[j] = s.shv >= 0 ? v[j] >> s.shv : ftv_shift_left(v[j], (uint32_t)-s.shv);
    }
    return s;
}

/* ---- scores ---- */

/* Two queries in words. `which`: the first or the second two. */
static void load_pair(const attend_scratch *s, const int8_t *low, const int8_t *high, uint32_t head_rows,
                      uint32_t which) {
    for (uint32_t c = 0; c < head_rows; c += 4U) {
        quad *to = s->quads + c / 4U * 2U + which;
        to->start = HALF;
        for (uint32_t i = 0; i < 4U; i++) {
            to->q[i] = ftv_pair(low[c + i], high[c + i]);
            to->start -= 128U * to->q[i];
        }
    }
}

/* Sums of four queries, two low halves and two high ones; the low ones' with HALF for each quad. */
typedef struct four_sums {
    uint32_t low0, high0, low1, high1;
} four_sums;

FTV_INLINE uint32_t add_product(uint32_t word, uint32_t q, uint32_t k) {
    word += q * k;
    FTV_NOW(word);
    return word;
}

FTV_INLINE four_sums add_quads(four_sums s, const quad *quads, const uint8_t *k) {
    uint32_t k0 = k[0], k1 = k[1], k2 = k[2], k3 = k[3];
    uint32_t word = add_product(quads[0].start, quads[0].q[0], k0);
    word = add_product(word, quads[0].q[1], k1);
    word = add_product(word, quads[0].q[2], k2);
    word = add_product(word, quads[0].q[3], k3);
    s.low0 += word & 0xFFFFU;
    s.high0 += (uint32_t)((int32_t)word >> 16);
    FTV_NOW(s.low0);
    FTV_NOW(s.high0);
    word = add_product(quads[1].start, quads[1].q[0], k0);
    word = add_product(word, quads[1].q[1], k1);
    word = add_product(word, quads[1].q[2], k2);
    word = add_product(word, quads[1].q[3], k3);
    s.low1 += word & 0xFFFFU;
    s.high1 += (uint32_t)((int32_t)word >> 16);
    FTV_NOW(s.low1);
    FTV_NOW(s.high1);
    return s;
}

/* Four queries x one key: scores[query * stride]. */
static void score_key(int32_t *restrict scores, uint32_t stride, const quad *restrict quads, const uint8_t *restrict k,
                      uint32_t head_rows) {
    uint32_t halves = head_rows / 4U * HALF;
    four_sums s = {0U - halves, 0, 0U - halves, 0};
    const uint8_t *end = k + head_rows;
    for (; k != end; k += 8, quads += 4) {
        s = add_quads(s, quads, k);
        s = add_quads(s, quads + 2, k + 4);
    }
    scores[0] = (int32_t)s.low0;
    scores[stride] = (int32_t)s.high0;
    scores[2U * stride] = (int32_t)s.low1;
    scores[3U * stride] = (int32_t)s.high1;
}

/* ---- the mixture ---- */

/* The weight of one query x two channels of a key. */
#define MIX(query, weight_at)                                                                                          \
    do {                                                                                                               \
        uint32_t weight = weights[weight_at], product = weight * a;                                                    \
        weight *= b;                                                                                                   \
        a##query += product;                                                                                           \
        b##query += weight;                                                                                            \
        FTV_BOTH_NOW(a##query, b##query);                                                                              \
    } while (0)

/* Two channels of four queries over all keys, an even number. v: code + 128, [keys][2]. */
static void mix_two(uint32_t *restrict sums, uint32_t stride, const uint32_t *restrict weights,
                    const uint8_t *restrict v, uint32_t keys) {
    uint32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
    for (const uint8_t *end = v + 2U * keys; v != end; weights += 2U * QUERIES, v += 4) {
        uint32_t a = v[0], b = v[1];
        MIX(0, 0);
        MIX(1, 1);
        MIX(2, 2);
        MIX(3, 3);
        a = v[2];
        b = v[3];
        MIX(0, QUERIES);
        MIX(1, QUERIES + 1U);
        MIX(2, QUERIES + 2U);
        MIX(3, QUERIES + 3U);
    }
    sums[0] += a0;
    sums[1] += b0;
    sums[stride] += a1;
    sums[stride + 1U] += b1;
    sums[2U * stride] += a2;
    sums[2U * stride + 1U] += b2;
    sums[3U * stride] += a3;
    sums[3U * stride + 1U] += b3;
}

/* Weights become words [tokens rounded up to 16][QUERIES], zero beyond the tokens; sums start with what code + 128
 * will add too much. */
static void prepare_mixture(const ftv_attend_job *job, const attend_scratch *s) {
    uint32_t rows = ftv_round16(job->tokens);
    uint32_t *words = (uint32_t *)(void *)s->scores;
    for (uint32_t query = 0; query < QUERIES; query++) {
        const int16_t *weights = s->weights + query * rows;
        int32_t total = 0;
        for (uint32_t j = 0; j < job->tokens; j++) {
            words[j * QUERIES + query] = (uint32_t)weights[j];
            total += weights[j];
        }
        for (uint32_t j = job->tokens; j < rows; j++) {
            words[j * QUERIES + query] = 0;
        }
        for (uint32_t c = 0; c < job->head_rows; c++) {
            s->sums[query * job->head_rows + c] = -128 * total;
        }
    }
}

static void mix(const ftv_attend_job *job, const attend_scratch *s) {
    const uint8_t *v = (const uint8_t *)job->codes[FTV_V];
    const uint32_t *weights = (const uint32_t *)(const void *)s->scores;
    prepare_mixture(job, s);
    for (uint32_t c = 0; c < job->head_rows; c += 2U, v += 2U * ftv_round16(job->tokens)) {
        mix_two((uint32_t *)s->sums + c, job->head_rows, weights, v, (job->tokens + 1U) & ~1U);
    }
}

/* ---- four rows ---- */

/* Scores of a query become weights; returns their S. */
static uint32_t weigh(const ftv_attend_job *job, const attend_scratch *s, uint32_t row, uint32_t query) {
    ftv_absmax absmax = ftv_absmax_of((uint32_t)job->absmax[FTV_Q][row]);
    uint32_t c = (absmax.a15 * job->attention.mantissa + (1U << 14)) >> 15;
    uint32_t rows = ftv_round16(job->tokens);
    ftv_softmax_scales scales = {c, absmax.k + job->attention.exponent + 6 - s->shk, s->key, s->value};
    return ftv_softmax(s->weights + query * rows, s->scores + query * rows, job->tokens, &scales);
}

/* sums become y = sums / S, in Q16. The shift is 2 .. 44; from 15 on, 32 bits do: |sums >> 15| <= 2^16 and
 * factor <= 16513, so floor(sums * factor / 2^15) fits. */
static void normalise(int32_t *sums, uint32_t columns, uint32_t total, int32_t shv) {
    int32_t bits = ftv_bits32(total), shift = bits + 3 - shv;
    uint32_t total16 = bits >= 16 ? total >> (bits - 16) : total << (16 - bits);
    uint32_t reciprocal = ftv_min_u32(32767U, (UINT32_C(1) << 30) / total16);
    int32_t factor = (int32_t)((reciprocal * 16513U + (1U << 14)) >> 15);
    for (uint32_t c = 0; c < columns; c++) {
        if (shift >= 15) {
            int32_t scaled = (sums[c] >> 15) * factor + (((sums[c] & 32767) * factor) >> 15);
            sums[c] = ftv_sat30(scaled >> (shift - 15));
        } else {
            sums[c] = ftv_shift_sat30((int64_t)sums[c] * factor, shift);
        }
    }
}

static void put_row(const ftv_attend_job *job, uint32_t row, const int32_t *y) {
    ftv_narrow one = job->out;
    one.values += (size_t)row * one.stride;
    one.absmax += (size_t)row * (one.stride / FTV_TILE);
    for (uint32_t c = 0; c < job->head_rows; c += FTV_TILE) {
        ftv_narrow_tile(&one, job->column + c, y + c, 1U, ftv_min_u32(FTV_TILE, job->head_dim - c));
    }
}

/* Rows row .. row + count - 1, count 1 .. 4. */
static void attend_rows(const ftv_attend_job *job, const attend_scratch *s, uint32_t row, uint32_t count) {
    const int8_t *q[QUERIES];
    uint32_t totals[QUERIES];
    uint32_t rows = ftv_round16(job->tokens);
    for (uint32_t query = 0; query < QUERIES; query++) {
        q[query] = job->codes[FTV_Q] + (size_t)(row + (query < count ? query : 0U)) * job->head_rows;
    }
    load_pair(s, q[0], q[1], job->head_rows, 0U);
    load_pair(s, q[2], q[3], job->head_rows, 1U);
    for (uint32_t j = 0; j < job->tokens; j++) {
        const uint8_t *key = (const uint8_t *)job->codes[FTV_K] + (size_t)j * job->head_rows;
        score_key(s->scores + j, rows, s->quads, key, job->head_rows);
    }
    for (uint32_t query = 0; query < QUERIES; query++) {
        totals[query] = weigh(job, s, row + (query < count ? query : 0U), query);
    }
    mix(job, s);
    for (uint32_t query = 0; query < count; query++) {
        int32_t *y = s->sums + query * job->head_rows;
        normalise(y, job->head_dim, totals[query], s->shv);
        put_row(job, row + query, y);
    }
}

void ftv_attend_scalar(const ftv_attend_job *job, void *scratch) {
    attend_scratch s = prepare_head(job, scratch);
    uint32_t end = job->first + job->count;
    for (uint32_t row = job->first; row < end; row += QUERIES) {
        attend_rows(job, &s, row, ftv_min_u32(QUERIES, end - row));
    }
}
