/* A whole step: query rows of one head, four at a time. See ftv.h, ftv_attend_job, and NUMERICS.md, section 5.
 * Q is [token][head_rows], K the same as code + 128, so that a byte loads without its sign; V, code + 128 too, has its
 * channels in twos, [head_rows / 2][tokens rounded up to 16][2] (ftv_parts_scalar).
 *
 * Scores: two queries share a word, as tokens do in ftv_scalar.h. A product is at most 63 * 127, so four channels fit
 * the halves, which are read after every four; where the codes of eight channels of a query are as small as they mostly
 * are, after all eight. The mixture of values needs 32 bits for each sum. */
#include "ftv_engine.h"
#include "ftv_scalar.h"
#include "ftv_softmax.h"

#define QUERIES 4U
#define EIGHT   8U      /* channels */
#define HALF    0x8000U /* added to the low half, so that it is read without a sign */
#define SMALL   258     /* sum of |codes| with which eight channels fit: 127 * 258 < 2^15 */

/* Eight channels of four queries. */
typedef struct octet {
    uint32_t q[EIGHT][2];
    uint32_t start[2][2]; /* HALF - 128 sum q, what code + 128 adds too much: of each four channels, or of all eight */
    uint32_t whole;       /* the halves are read once */
} octet;

typedef struct attend_scratch {
    octet *octets;            /* [head_rows / 8] */
    int32_t *key;             /* [tokens] a_K >> shk */
    int32_t *value;           /* [tokens] mv */
    int32_t *sums;            /* [QUERIES][head_rows], then y */
    int32_t *scores;          /* [tokens rounded up to 16][QUERIES], times the key's scale; then weights as words */
    uint32_t halves;          /* HALF for each time that a word's halves are read */
    int32_t largest[QUERIES]; /* of the scores */
    int32_t weights[QUERIES]; /* their sums */
    int32_t shk;
    int32_t shv;
} attend_scratch;

size_t ftv_attend_scratch_bytes_scalar(uint32_t tokens, uint32_t head_rows) {
    size_t rows = ftv_round16(tokens);
    return head_rows / EIGHT * sizeof(octet) + rows * (2U + QUERIES) * sizeof(int32_t) +
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
    attend_scratch s = {.octets = scratch};
    s.key = (int32_t *)(void *)(s.octets + job->head_rows / EIGHT);
    s.value = s.key + rows;
    s.sums = s.value + rows;
    s.scores = s.sums + QUERIES * job->head_rows;
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

/* Whether eight channels of the query fit the halves, whatever the key. */
static int is_small(const int8_t *q) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < EIGHT; i++) {
        sum += q[i] < 0 ? -q[i] : q[i];
    }
    return sum <= SMALL;
}

/* The queries' next eight channels. */
static void load_octet(octet *to, const int8_t *const *q, uint32_t first) {
    uint32_t starts[2][2] = {{HALF, HALF}, {HALF, HALF}};
    const int8_t *q0 = q[0] + first, *q1 = q[1] + first, *q2 = q[2] + first, *q3 = q[3] + first;
    for (uint32_t i = 0; i < EIGHT; i++) {
        to->q[i][0] = ftv_pair(q0[i], q1[i]);
        to->q[i][1] = ftv_pair(q2[i], q3[i]);
        starts[i / 4U][0] -= 128U * to->q[i][0];
        starts[i / 4U][1] -= 128U * to->q[i][1];
    }
    to->whole = is_small(q0) && is_small(q1) && is_small(q2) && is_small(q3);
    to->start[0][0] = starts[0][0] + (to->whole ? starts[1][0] - HALF : 0U);
    to->start[0][1] = starts[0][1] + (to->whole ? starts[1][1] - HALF : 0U);
    to->start[1][0] = starts[1][0];
    to->start[1][1] = starts[1][1];
}

static void load_queries(attend_scratch *s, const int8_t *const *q, uint32_t head_rows) {
    s->halves = 0;
    for (uint32_t c = 0; c < head_rows; c += EIGHT) {
        octet *to = s->octets + c / EIGHT;
        load_octet(to, q, c);
        s->halves += to->whole ? HALF : 2U * HALF;
    }
}

/* Sums of four queries, two low halves and two high ones; the low ones' with `halves`. */
typedef struct four_sums {
    uint32_t low0, high0, low1, high1;
} four_sums;

FTV_INLINE four_sums read_halves(four_sums s, uint32_t word0, uint32_t word1) {
    s.low0 += word0 & 0xFFFFU;
    s.high0 += (uint32_t)((int32_t)word0 >> 16);
    s.low1 += word1 & 0xFFFFU;
    s.high1 += (uint32_t)((int32_t)word1 >> 16);
    return s;
}

/* A channel of four queries x a key. */
#define SCORE(at)                                                                                                      \
    do {                                                                                                               \
        uint32_t code = k[at];                                                                                         \
        FTV_ADD_PRODUCTS(word0, word1, code, eight->q[at][0], eight->q[at][1]);                                        \
    } while (0)

FTV_INLINE four_sums add_octet(four_sums s, const octet *restrict eight, const uint8_t *restrict k) {
    uint32_t word0 = eight->start[0][0], word1 = eight->start[0][1];
    SCORE(0);
    SCORE(1);
    SCORE(2);
    SCORE(3);
    if (!eight->whole) {
        FTV_BOTH_NOW(word0, word1); /* not before the question */
        s = read_halves(s, word0, word1);
        word0 = eight->start[1][0];
        word1 = eight->start[1][1];
    }
    SCORE(4);
    SCORE(5);
    SCORE(6);
    SCORE(7);
    return read_halves(s, word0, word1);
}

FTV_INLINE void put_score(attend_scratch *s, int32_t *scores, uint32_t query, uint32_t sum, int32_t key) {
    int32_t score = (int32_t)sum * key;
    scores[query] = score;
    if (score > s->largest[query]) {
        s->largest[query] = score;
    }
}

/* Four queries x key j. */
static void score_key(attend_scratch *s, uint32_t j, const uint8_t *restrict k, uint32_t head_rows) {
    four_sums sums = {0U - s->halves, 0, 0U - s->halves, 0};
    const octet *eight = s->octets;
    for (const uint8_t *end = k + head_rows; k != end; k += EIGHT, eight++) {
        sums = add_octet(sums, eight, k);
    }
    int32_t *scores = s->scores + j * QUERIES, key = s->key[j];
    put_score(s, scores, 0U, sums.low0, key);
    put_score(s, scores, 1U, sums.high0, key);
    put_score(s, scores, 2U, sums.low1, key);
    put_score(s, scores, 3U, sums.high1, key);
}

static void score(const ftv_attend_job *job, attend_scratch *s) {
    const uint8_t *key = (const uint8_t *)job->codes[FTV_K];
    for (uint32_t query = 0; query < QUERIES; query++) {
        s->largest[query] = INT32_MIN;
    }
    for (uint32_t j = 0; j < job->tokens; j++, key += job->head_rows) {
        score_key(s, j, key, job->head_rows);
    }
}

/* ---- softmax ---- */

/* What is made of a query's scores. */
typedef struct query_sums {
    uint32_t numerators;
    int32_t weights;
} query_sums;

/* Scores of a query become weights, in place. */
FTV_INLINE query_sums weigh_each(int32_t *restrict scores, const int32_t *restrict value, uint32_t tokens,
                                 uint32_t largest, uint32_t c, int32_t shift, int wide) {
    query_sums sums = {0, 0};
    uint32_t rest = (uint32_t)ftv_min_s32(shift - 16, 31);
    for (const int32_t *end = value + tokens; value != end; value++, scores += QUERIES) {
        uint32_t diff = largest - (uint32_t)*scores;
        int32_t e = ftv_numerator(wide ? ftv_distance_wide(diff, c, shift) : ftv_distance(diff, c, rest));
        int32_t weight = ftv_weight(e, *value);
        *scores = weight;
        sums.numerators += (uint32_t)e;
        sums.weights += weight;
    }
    return sums;
}

/* Returns S of the query. */
static uint32_t weigh(const ftv_attend_job *job, attend_scratch *s, uint32_t row, uint32_t query) {
    ftv_absmax absmax = ftv_absmax_of((uint32_t)job->absmax[FTV_Q][row]);
    uint32_t c = (absmax.a15 * job->attention.mantissa + (1U << 14)) >> 15, largest = (uint32_t)s->largest[query];
    int32_t shift = absmax.k + job->attention.exponent + 6 - s->shk;
    int32_t *scores = s->scores + query;
    query_sums sums = shift >= 16 ? weigh_each(scores, s->value, job->tokens, largest, c, shift, 0)
                                  : weigh_each(scores, s->value, job->tokens, largest, c, shift, 1);
    s->weights[query] = sums.weights;
    return sums.numerators;
}

/* ---- the mixture ---- */

/* A key's weight for one query x two channels. */
#define MIX(query, at)                                                                                                 \
    do {                                                                                                               \
        uint32_t weight = weights[at];                                                                                 \
        FTV_ADD_PRODUCTS(a##query, b##query, weight, a, b);                                                            \
    } while (0)
#define MIX_KEY(key)                                                                                                   \
    do {                                                                                                               \
        uint32_t a = v[2U * (key)], b = v[2U * (key) + 1U];                                                            \
        MIX(0, QUERIES * (key));                                                                                       \
        MIX(1, QUERIES * (key) + 1U);                                                                                  \
        MIX(2, QUERIES * (key) + 2U);                                                                                  \
        MIX(3, QUERIES * (key) + 3U);                                                                                  \
    } while (0)

/* Two channels of four queries over all keys, whole fours. v: code + 128, [keys][2]. starts: what that adds too much. */
static void mix_two(int32_t *restrict sums, uint32_t stride, const uint32_t *restrict weights,
                    const uint8_t *restrict v, uint32_t keys, const uint32_t *starts) {
    uint32_t a0 = starts[0], a1 = starts[1], a2 = starts[2], a3 = starts[3], b0 = a0, b1 = a1, b2 = a2, b3 = a3;
    for (const uint8_t *end = v + 2U * keys; v != end; weights += 4U * QUERIES, v += 8) {
        MIX_KEY(0U);
        MIX_KEY(1U);
        MIX_KEY(2U);
        MIX_KEY(3U);
    }
    sums[0] = (int32_t)a0;
    sums[1] = (int32_t)b0;
    sums[stride] = (int32_t)a1;
    sums[stride + 1U] = (int32_t)b1;
    sums[2U * stride] = (int32_t)a2;
    sums[2U * stride + 1U] = (int32_t)b2;
    sums[3U * stride] = (int32_t)a3;
    sums[3U * stride + 1U] = (int32_t)b3;
}

static void mix(const ftv_attend_job *job, const attend_scratch *s) {
    const uint8_t *v = (const uint8_t *)job->codes[FTV_V];
    uint32_t rows = ftv_round16(job->tokens), starts[QUERIES];
    for (uint32_t query = 0; query < QUERIES; query++) {
        starts[query] = 0U - 128U * (uint32_t)s->weights[query];
    }
    for (uint32_t i = job->tokens * QUERIES; i < rows * QUERIES; i++) {
        s->scores[i] = 0; /* weights beyond the tokens */
    }
    for (uint32_t c = 0; c < job->head_rows; c += 2U, v += 2U * rows) {
        mix_two(s->sums + c, job->head_rows, (const uint32_t *)(const void *)s->scores, v, (job->tokens + 3U) & ~3U,
                starts);
    }
}

/* ---- four rows ---- */

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
static void attend_rows(const ftv_attend_job *job, attend_scratch *s, uint32_t row, uint32_t count) {
    const int8_t *q[QUERIES];
    uint32_t totals[QUERIES];
    for (uint32_t query = 0; query < QUERIES; query++) {
        q[query] = job->codes[FTV_Q] + (size_t)(row + (query < count ? query : 0U)) * job->head_rows;
    }
    load_queries(s, q, job->head_rows);
    score(job, s);
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
