/* Query rows of one head: scores, softmax, mix: NUMERICS.md, section 5. See ftv.h, ftv_attend_job; Q, K and V are laid out
 * as ftv_qkv_avx512.h says. Four query rows share every load of keys and values.
 * scratch: ftv_attend_scratch_avx512vnni(). */
#include "ftv_avx512.h"

#if FTV_X86

enum { QUERIES = 4, KEY_TILES = 5, LOG2_MAX = 32767 };

typedef struct attend_scratch {
    int32_t *key;     /* [keys] a_K >> shk */
    int32_t *offset;  /* [keys] -64 sum of the key's codes */
    int16_t *value;   /* [keys] mv */
    int32_t *scores;  /* [4][keys] */
    int16_t *weights; /* [4][keys] */
    int32_t *sums;    /* [4][64] */
    uint32_t keys;    /* tokens rounded up to 64 */
    int32_t shk;
    int32_t shv;
} attend_scratch;

static uint32_t round64(uint32_t tokens) {
    return (tokens + 63U) & ~63U;
}

size_t ftv_attend_scratch_avx512vnni(uint32_t tokens) {
    size_t keys = round64(tokens);
    return FTV_VECTOR + keys * (2U * sizeof(int32_t) + sizeof(int16_t)) +
           QUERIES * keys * (sizeof(int32_t) + sizeof(int16_t)) + QUERIES * FTV_PANEL * sizeof(int32_t);
}

static attend_scratch lay_out(void *scratch, uint32_t tokens) {
    attend_scratch s = {.keys = round64(tokens)};
    s.key = (int32_t *)(void *)ftv_align_vector(scratch);
    s.offset = s.key + s.keys;
    s.scores = s.offset + s.keys;
    s.sums = s.scores + QUERIES * (size_t)s.keys;
    s.weights = (int16_t *)(s.sums + QUERIES * FTV_PANEL);
    s.value = s.weights + QUERIES * (size_t)s.keys;
    return s;
}

/* ---- what all query rows share ---- */

FTV_AVX512_INLINE int32_t bits_of_largest(const int32_t *values, uint32_t count) {
    __m512i all = _mm512_setzero_si512();
    for (uint32_t i = 0; i < count; i += 16U) {
        all = _mm512_or_si512(all, _mm512_maskz_loadu_epi32(ftv_lanes16(count - i), values + i));
    }
    return 32 - (int32_t)_lzcnt_u32((uint32_t)_mm512_reduce_or_epi32(all));
}

/* W: bits of a key's scale such that scores fit int32 at this head_dim. */
static int32_t key_scale_bits(uint32_t head_dim) {
    return head_dim <= 64U ? 12 : head_dim <= 128U ? 11 : 10;
}

FTV_AVX512
static void prepare_scales(const ftv_attend_job *job, attend_scratch *s) {
    const int32_t *k = job->absmax[FTV_K], *v = job->absmax[FTV_V];
    s->shk = ftv_max_s32(0, bits_of_largest(k, job->tokens) - key_scale_bits(job->head_dim));
    s->shv = bits_of_largest(v, job->tokens) - 15;
    for (uint32_t j = 0; j < s->keys; j += 16U) {
        __mmask16 inside = ftv_lanes16(job->tokens > j ? job->tokens - j : 0U);
        __m512i key = _mm512_maskz_loadu_epi32(inside, k + j), value = _mm512_maskz_loadu_epi32(inside, v + j);
        _mm512_store_si512(s->key + j, _mm512_sra_epi32(key, _mm_cvtsi32_si128(s->shk)));
        __m256i mv = _mm512_cvtepi32_epi16(ftv_scale_by_k(value, -s->shv));
        _mm256_store_si256((__m256i *)(void *)(s->value + j), mv);
    }
}

/* Queries are stored as code + 64; this undoes it. */
FTV_AVX512
static void prepare_offsets(const ftv_attend_job *job, const attend_scratch *s) {
    const __m512i all64 = _mm512_set1_epi8(64);
    for (uint32_t tile = 0; tile < ftv_ceil_div(job->tokens, 16U); tile++) {
        const int8_t *keys = job->codes[FTV_K] + (size_t)tile * 16U * job->head_rows;
        __m512i sum = _mm512_setzero_si512();
        for (uint32_t c = 0; c < job->head_rows; c += 4U) {
            sum = _mm512_dpbusd_epi32(sum, all64, _mm512_loadu_si512(keys + (size_t)c * 16U));
        }
        _mm512_store_si512(s->offset + 16U * tile, _mm512_sub_epi32(_mm512_setzero_si512(), sum));
    }
}

/* ---- scores ---- */

FTV_AVX512_INLINE __m512i broadcast32(const void *from) {
    int32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return _mm512_set1_epi32(word);
}

/* t = scores * key scale of `tiles` tiles of keys; largest: so far, lane by lane. */
FTV_AVX512_INLINE void score_tiles(const ftv_attend_job *job, const attend_scratch *s, const uint8_t *const *q,
                                   const uint32_t queries, uint32_t first, const uint32_t tiles, __m512i *largest) {
    __m512i acc[QUERIES][KEY_TILES];
    const int8_t *keys = job->codes[FTV_K] + (size_t)first * 16U * job->head_rows;
    size_t tile_bytes = (size_t)job->head_rows * 16U;
    FTV_UNROLL for (uint32_t i = 0; i < tiles; i++) {
        __m512i offset = _mm512_load_si512(s->offset + 16U * (first + i));
        FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
            acc[t][i] = offset;
        }
    }
    for (uint32_t c = 0; c < job->head_rows; c += 4U) {
        __m512i k[KEY_TILES];
        FTV_UNROLL for (uint32_t i = 0; i < tiles; i++) {
            k[i] = _mm512_loadu_si512(keys + i * tile_bytes + (size_t)c * 16U);
        }
        FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
            __m512i four = broadcast32(q[t] + c);
            FTV_UNROLL for (uint32_t i = 0; i < tiles; i++) {
                acc[t][i] = _mm512_dpbusd_epi32(acc[t][i], four, k[i]);
            }
        }
    }
    FTV_UNROLL for (uint32_t i = 0; i < tiles; i++) {
        uint32_t j = 16U * (first + i);
        __mmask16 inside = ftv_lanes16(job->tokens - j);
        __m512i scale = _mm512_load_si512(s->key + j);
        FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
            __m512i scaled = _mm512_mullo_epi32(acc[t][i], scale);
            _mm512_store_si512(s->scores + (size_t)t * s->keys + j, scaled);
            largest[t] = _mm512_mask_max_epi32(largest[t], inside, largest[t], scaled);
        }
    }
}

FTV_AVX512_INLINE void score(const ftv_attend_job *job, const attend_scratch *s, const uint8_t *const *q,
                             const uint32_t queries, int32_t *most) {
    uint32_t tiles = ftv_ceil_div(job->tokens, 16U), first = 0;
    __m512i largest[QUERIES];
    FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
        largest[t] = _mm512_set1_epi32(INT32_MIN);
    }
    while (first < tiles) { /* fives until fours divide the rest, so that few tiles are alone */
        uint32_t left = tiles - first;
        if (left % 4U != 0U && left >= 5U) {
            score_tiles(job, s, q, queries, first, 5, largest);
            first += 5U;
        } else if (left >= 4U) {
            score_tiles(job, s, q, queries, first, 4, largest);
            first += 4U;
        } else {
            score_tiles(job, s, q, queries, first, 1, largest);
            first++;
        }
    }
    FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
        most[t] = _mm512_reduce_max_epi32(largest[t]);
    }
}

/* ---- softmax ---- */

/* Log2 units of one score step: c * 2^-shift. */
typedef struct score_step {
    int32_t most;
    uint32_t c;
    int32_t shift;
} score_step;

/* u = min(32767, (most - t) * c >> shift), any shift, in place. */
static void distances_wide(int32_t *t, uint32_t keys, const score_step *step) {
    for (uint32_t j = 0; j < keys; j++) {
        uint64_t product = (uint64_t)((uint32_t)step->most - (uint32_t)t[j]) * step->c;
        if (step->shift >= 0) {
            product >>= ftv_min_s32(step->shift, 62);
        } else {
            product = (product > LOG2_MAX ? LOG2_MAX : product) << ftv_min_s32(-step->shift, 31);
        }
        t[j] = product > LOG2_MAX ? LOG2_MAX : (int32_t)product;
    }
}

/* The same for shift >= 16: high * c + (low * c >> 16) is floor(diff * c / 2^16), below 2^31. */
FTV_AVX512_INLINE __m512i distances(__m512i t, __m512i most, __m512i c, __m128i rest) {
    __m512i diff = _mm512_sub_epi32(most, t);
    __m512i low = _mm512_mulhi_epu16(diff, c); /* c has no upper half */
    __m512i product = _mm512_add_epi32(_mm512_mullo_epi32(_mm512_srli_epi32(diff, 16), c), low);
    return _mm512_min_epu32(_mm512_srl_epi32(product, rest), _mm512_set1_epi32(LOG2_MAX));
}

/* 2^15 * 2^-(u / 2^11) of 32 values u in 0 .. 32767. The steps of exp2_poly that exceed 2^14 are done on r + 2^15:
 * r f >> 15 = ((r + 2^15) f >> 15) - f. */
FTV_AVX512_INLINE __m512i exponentials(__m512i u) {
    __m512i f = _mm512_and_si512(_mm512_slli_epi16(u, 4), _mm512_set1_epi16(32767));
    __m512i r = _mm512_add_epi16(_mm512_mulhi_epi16(f, _mm512_set1_epi16(2 * -1296)), _mm512_set1_epi16(7566));
    r = _mm512_add_epi16(_mm512_mulhi_epi16(f, _mm512_add_epi16(r, r)), _mm512_set1_epi16(32768 - 22654));
    r = _mm512_sub_epi16(_mm512_mulhi_epi16(f, _mm512_add_epi16(r, r)), f); /* r + r <= 32760 */
    r = _mm512_add_epi16(r, _mm512_set1_epi16(32767));
    return _mm512_srlv_epi16(r, _mm512_srli_epi16(u, 11));
}

/* One row of t -> weights, zero beyond the keys; returns S. */
FTV_AVX512_INLINE uint32_t softmax(int16_t *weights, int32_t *t, const attend_scratch *s, uint32_t tokens,
                                   const score_step *step) {
    const __m512i evens = _mm512_add_epi16(
        _mm512_set1_epi32(0x00020000),
        _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                           _mm512_set1_epi32(0x00040004))); /* the lower halves of two vectors' lanes, in order */
    int wide = step->shift < 16;
    __m512i most = _mm512_set1_epi32(step->most), c = _mm512_set1_epi32((int32_t)step->c);
    __m128i rest = _mm_cvtsi32_si128(ftv_min_s32(step->shift - 16, 31));
    __m512i sum = _mm512_setzero_si512();
    if (wide) {
        distances_wide(t, tokens, step);
    }
    for (uint32_t j = 0; j < tokens; j += 32U) {
        __m512i a = _mm512_load_si512(t + j), b = _mm512_load_si512(t + j + 16);
        if (!wide) {
            a = distances(a, most, c, rest);
            b = distances(b, most, c, rest);
        }
        uint32_t left = tokens - j;
        __mmask32 inside = left >= 32U ? UINT32_MAX : (UINT32_C(1) << left) - 1U;
        __m512i e = _mm512_maskz_mov_epi16(inside, exponentials(_mm512_permutex2var_epi16(a, evens, b)));
        sum = _mm512_dpwssd_epi32(sum, e, _mm512_set1_epi16(1));
        __m512i high = _mm512_mulhi_epi16(e, _mm512_load_si512(s->value + j));
        _mm512_store_si512(weights + j, _mm512_avg_epu16(high, _mm512_setzero_si512())); /* (high + 1) >> 1 */
    }
    return (uint32_t)_mm512_reduce_add_epi32(sum);
}

FTV_AVX512_INLINE score_step step_of(const ftv_attend_job *job, const attend_scratch *s, uint32_t row, int32_t most) {
    uint32_t a = (uint32_t)job->absmax[FTV_Q][row];
    int32_t k = (int32_t)_lzcnt_u32(a) - 17;
    uint32_t a15 = k >= 0 ? a << k : a >> -k;
    uint32_t c = (a15 * job->attention.mantissa + (1U << 14)) >> 15;
    return (score_step){most, c, k + job->attention.exponent + 6 - s->shk};
}

/* ---- the mix of values ---- */

/* sums[query][64] of up to four vectors of columns. */
FTV_AVX512_INLINE void mix(const ftv_attend_job *job, const attend_scratch *s, const uint32_t queries, uint32_t column,
                           const uint32_t vectors) {
    __m512i acc[QUERIES][4];
    const int8_t *values = job->codes[FTV_V] + (size_t)column * 4U;
    FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
        FTV_UNROLL for (uint32_t i = 0; i < vectors; i++) {
            acc[t][i] = _mm512_setzero_si512();
        }
    }
    for (uint32_t j = 0; j < job->tokens; j += 2U) {
        __m512i v[4];
        FTV_UNROLL for (uint32_t i = 0; i < vectors; i++) {
            v[i] = _mm512_loadu_si512(values + (size_t)j * job->head_rows * 2U + (size_t)i * FTV_VECTOR);
        }
        FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
            __m512i pair = broadcast32(s->weights + (size_t)t * s->keys + j);
            FTV_UNROLL for (uint32_t i = 0; i < vectors; i++) {
                acc[t][i] = _mm512_dpwssd_epi32(acc[t][i], pair, v[i]);
            }
        }
    }
    FTV_UNROLL for (uint32_t t = 0; t < queries; t++) {
        FTV_UNROLL for (uint32_t i = 0; i < vectors; i++) {
            _mm512_store_si512(s->sums + (size_t)t * FTV_PANEL + 16U * i, acc[t][i]);
        }
    }
}

/* y = sums * factor * 2^-shift, in Q16. From a shift of 17 on nothing saturates: |sums * factor| < 2^46. */
FTV_AVX512_INLINE __m512i normalise(__m512i sums, __m512i factor, int32_t shift) {
    if (shift < 17) {
        return ftv_multiply_shift_avx512(sums, factor, shift);
    }
    __m512i low = _mm512_mulhi_epu16(sums, factor);
    __m512i product = _mm512_add_epi32(_mm512_mullo_epi32(_mm512_srai_epi32(sums, 16), factor), low);
    return _mm512_sra_epi32(product, _mm_cvtsi32_si128(shift - 16));
}

FTV_AVX512_INLINE void store_row(const ftv_attend_job *job, const attend_scratch *s, uint32_t row, const int32_t *sums,
                                 uint32_t total, uint32_t column) {
    int32_t bits = 32 - (int32_t)_lzcnt_u32(total);
    uint32_t total16 = bits >= 16 ? total >> (bits - 16) : total << (16 - bits);
    uint32_t reciprocal = ftv_min_u32(32767U, (UINT32_C(1) << 30) / total16);
    __m512i factor = _mm512_set1_epi32((int32_t)((reciprocal * 16513U + (1U << 14)) >> 15));
    uint32_t vectors = ftv_min_u32(4U, (job->head_rows - column) / 16U);
    size_t at = (size_t)row * job->out.stride + job->column + column;
    __m512i y[4];
    FTV_UNROLL for (uint32_t i = 0; i < 4U; i++) {
        y[i] = normalise(_mm512_load_si512(sums + 16U * i), factor, bits + 3 - s->shv);
    }
    if (vectors == 4U) {
        ftv_store_narrow(job->out.values + at, job->out.absmax + at / 16U, y, 4);
    } else {
        ftv_store_narrow(job->out.values + at, job->out.absmax + at / 16U, y, vectors);
    }
}

/* ---- query rows ---- */

FTV_AVX512_INLINE void attend_rows(const ftv_attend_job *job, const attend_scratch *s, uint32_t row,
                                   const uint32_t queries) {
    const uint8_t *q[QUERIES];
    int32_t most[QUERIES];
    uint32_t totals[QUERIES];
    for (uint32_t t = 0; t < queries; t++) {
        q[t] = (const uint8_t *)job->codes[FTV_Q] + (size_t)(row + t) * job->head_rows;
    }
    score(job, s, q, queries, most);
    for (uint32_t t = 0; t < queries; t++) {
        score_step step = step_of(job, s, row + t, most[t]);
        totals[t] = softmax(s->weights + (size_t)t * s->keys, s->scores + (size_t)t * s->keys, s, job->tokens, &step);
    }
    for (uint32_t column = 0; column < job->head_rows; column += FTV_PANEL) {
        if (job->head_rows - column >= FTV_PANEL) {
            mix(job, s, queries, column, 4);
        } else {
            for (uint32_t c = column; c < job->head_rows; c += 16U) {
                attend_scratch part = *s;
                part.sums += c - column;
                mix(job, &part, queries, c, 1);
            }
        }
        for (uint32_t t = 0; t < queries; t++) {
            store_row(job, s, row + t, s->sums + (size_t)t * FTV_PANEL, totals[t], column);
        }
    }
}

FTV_AVX512
void ftv_attend_avx512vnni(const ftv_attend_job *job, void *scratch) {
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
