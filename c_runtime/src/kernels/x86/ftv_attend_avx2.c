/* Query rows of one head: scores, softmax, mix: NUMERICS.md, section 5. See ftv.h, ftv_attend_job; Q, K and V are laid out
 * as ftv_qkv_part_avx2.c says. Four query rows share every load of keys and values.
 * scratch: ftv_attend_scratch_avx2(). */
#include "ftv_avx2.h"

#if FTV_X86

enum { QUERIES = 4 };

typedef struct attend_scratch {
    int32_t *key;     /* [keys] a_K >> shk */
    int32_t *value;   /* [keys] mv */
    int32_t *offset;  /* [keys] -64 sum of the key's codes */
    int32_t *scores;  /* [4][keys] */
    int32_t *sums;    /* [4][16] */
    int16_t *weights; /* [4][keys] */
    uint32_t keys;    /* tokens rounded up to 16 */
    int32_t shk;
    int32_t shv;
} attend_scratch;

size_t ftv_attend_scratch_avx2(const ftv_model *model) {
    size_t keys = ftv_round16(model->tokens);
    return 32U + (3U + QUERIES) * keys * sizeof(int32_t) + QUERIES * (keys * sizeof(int16_t) + 64U);
}

static attend_scratch lay_out(void *scratch, uint32_t tokens) {
    attend_scratch s = {.keys = ftv_round16(tokens)};
    s.key = (int32_t *)(void *)ftv_align32(scratch);
    s.value = s.key + s.keys;
    s.offset = s.value + s.keys;
    s.scores = s.offset + s.keys;
    s.sums = s.scores + QUERIES * (size_t)s.keys;
    s.weights = (int16_t *)(s.sums + QUERIES * 16U);
    return s;
}

/* ---- what all query rows share ---- */

static int32_t bits_of_largest(const int32_t *values, uint32_t count) {
    uint32_t all = 0;
    for (uint32_t i = 0; i < count; i++) {
        all |= (uint32_t)values[i];
    }
    return ftv_bits32(all);
}

/* W: bits of a key's scale such that scores fit int32 at this head_dim. */
static int32_t key_scale_bits(uint32_t head_dim) {
    return head_dim <= 64U ? 12 : head_dim <= 128U ? 11 : 10;
}

static void prepare_scales(const ftv_attend_job *job, attend_scratch *s) {
    const int32_t *k = job->absmax[FTV_K], *v = job->absmax[FTV_V];
    s->shk = ftv_max_s32(0, bits_of_largest(k, job->tokens) - key_scale_bits(job->head_dim));
    s->shv = bits_of_largest(v, job->tokens) - 15;
    for (uint32_t j = 0; j < s->keys; j++) {
        int32_t value = j < job->tokens ? v[j] : 0;
        s->key[j] = j < job->tokens ? k[j] >> s->shk : 0;
        s->value[j] = s->shv >= 0 ? value >> s->shv : ftv_shift_left(value, (uint32_t)-s->shv);
    }
}

/* Eight keys' sums of four columns, times queries in 1 .. 127: pairs stay below 2^15. */
FTV_AVX2_INLINE __m256i add_four(__m256i acc, __m256i q, const int8_t *keys) {
    __m256i pairs = _mm256_maddubs_epi16(q, ftv_load256(keys));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* Queries are stored as code + 64; this undoes it. */
FTV_AVX2
static void prepare_offsets(const ftv_attend_job *job, const attend_scratch *s) {
    for (uint32_t j = 0; j < s->keys; j += 8U) {
        const int8_t *keys = job->codes[FTV_K] + (size_t)(j / 16U) * 16U * job->head_rows + j % 16U * 4U;
        __m256i sum = _mm256_setzero_si256();
        for (uint32_t c = 0; c < job->head_rows; c += 4U) {
            sum = add_four(sum, _mm256_set1_epi8(64), keys + (size_t)c * 16U);
        }
        ftv_store256(s->offset + j, _mm256_sub_epi32(_mm256_setzero_si256(), sum));
    }
}

/* ---- scores of sixteen keys ---- */

FTV_AVX2_INLINE void score_tile(const ftv_attend_job *job, const attend_scratch *s, uint32_t row,
                                const uint32_t queries, uint32_t j) {
    const uint8_t *q = (const uint8_t *)job->codes[FTV_Q] + (size_t)row * job->head_rows;
    const int8_t *keys = job->codes[FTV_K] + (size_t)j * job->head_rows;
    __m256i acc[QUERIES][2];
    FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
        acc[t][0] = ftv_load256(s->offset + j);
        acc[t][1] = ftv_load256(s->offset + j + 8);
    }
    for (uint32_t c = 0; c < job->head_rows; c += 4U) {
        FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
            __m256i four = ftv_four_codes((const int8_t *)q + (size_t)t * job->head_rows + c);
            acc[t][0] = add_four(acc[t][0], four, keys + (size_t)c * 16U);
            acc[t][1] = add_four(acc[t][1], four, keys + (size_t)c * 16U + 32);
        }
    }
    FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
        ftv_store256(s->scores + (size_t)t * s->keys + j, acc[t][0]);
        ftv_store256(s->scores + (size_t)t * s->keys + j + 8, acc[t][1]);
    }
}

/* ---- sums of sixteen columns ---- */

FTV_AVX2_INLINE void mix_tile(const ftv_attend_job *job, const attend_scratch *s, const uint32_t queries,
                              uint32_t column) {
    const int8_t *values = job->codes[FTV_V] + (size_t)column * 4U;
    __m256i acc[QUERIES][2];
    FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
        acc[t][0] = acc[t][1] = _mm256_setzero_si256();
    }
    for (uint32_t j = 0; j < job->tokens; j += 2U) {
        __m256i first = ftv_load256(values + (size_t)j * job->head_rows * 2U);
        __m256i second = ftv_load256(values + (size_t)j * job->head_rows * 2U + 32U);
        FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
            __m256i pair = ftv_four_codes((const int8_t *)(s->weights + (size_t)t * s->keys + j));
            acc[t][0] = _mm256_add_epi32(acc[t][0], _mm256_madd_epi16(first, pair));
            acc[t][1] = _mm256_add_epi32(acc[t][1], _mm256_madd_epi16(second, pair));
        }
    }
    FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
        ftv_store256(s->sums + (size_t)t * 16U, acc[t][0]);
        ftv_store256(s->sums + (size_t)t * 16U + 8, acc[t][1]);
    }
}

/* ---- query rows ---- */

/* y of a row's sixteen columns from their sums. */
static void store_tile(const ftv_attend_job *job, const attend_scratch *s, uint32_t row, int32_t *sums, uint32_t total,
                       uint32_t column) {
    int32_t bits = ftv_bits32(total);
    uint32_t total16 = bits >= 16 ? total >> (bits - 16) : total << (16 - bits);
    uint32_t reciprocal = ftv_min_u32(32767U, (UINT32_C(1) << 30) / total16);
    int64_t factor = (int64_t)((reciprocal * 16513U + (1U << 14)) >> 15);
    ftv_narrow out = job->out;
    for (uint32_t c = 0; c < FTV_TILE; c++) {
        sums[c] = ftv_shift_sat30(sums[c] * factor, bits + 3 - s->shv);
    }
    out.values += (size_t)row * out.stride;
    out.absmax += (size_t)row * (out.stride / FTV_TILE);
    ftv_narrow_tile(&out, job->column + column, sums, 1, ftv_min_u32(FTV_TILE, job->head_dim - column));
}

/* The weights of one row; S. */
static uint32_t weigh_row(const ftv_attend_job *job, const attend_scratch *s, uint32_t row, uint32_t t) {
    ftv_absmax absmax = ftv_absmax_of((uint32_t)job->absmax[FTV_Q][row]);
    uint32_t c = (absmax.a15 * job->attention.mantissa + (1U << 14)) >> 15;
    ftv_softmax_scales scales = {c, absmax.k + job->attention.exponent + 6 - s->shk, s->key, s->value};
    int16_t *weights = s->weights + (size_t)t * s->keys;
    uint32_t total = ftv_softmax(weights, s->scores + (size_t)t * s->keys, job->tokens, &scales);
    for (uint32_t j = job->tokens; j < s->keys; j++) {
        weights[j] = 0;
    }
    return total;
}

FTV_AVX2_INLINE void attend_rows(const ftv_attend_job *job, const attend_scratch *s, uint32_t row,
                                 const uint32_t queries) {
    uint32_t totals[QUERIES];
    for (uint32_t j = 0; j < s->keys; j += 16U) {
        score_tile(job, s, row, queries, j);
    }
    for (uint32_t t = 0; t < queries; t++) {
        totals[t] = weigh_row(job, s, row + t, t);
    }
    for (uint32_t column = 0; column < job->head_rows; column += FTV_TILE) {
        mix_tile(job, s, queries, column);
        for (uint32_t t = 0; t < queries; t++) {
            store_tile(job, s, row + t, s->sums + (size_t)t * 16U, totals[t], column);
        }
    }
}

FTV_AVX2
void ftv_attend_avx2(const ftv_attend_job *job, void *scratch) {
    attend_scratch s = lay_out(scratch, job->tokens);
    prepare_scales(job, &s);
    prepare_offsets(job, &s);
    uint32_t row = job->first, end = job->first + job->count;
    for (; row + QUERIES <= end; row += QUERIES) {
        attend_rows(job, &s, row, QUERIES);
    }
    for (; row < end; row++) {
        attend_rows(job, &s, row, 1);
    }
}

#endif
