/* LayerNorm of rows of Q16 values to eight-bit rows: NUMERICS.md, section 4. See ftv.h, ftv_norm_job.
 * Four rows go through every step together, because most of a single row's time is waiting for its scalars.
 * scratch: ftv_norm_scratch_avx512vnni(): gamma and beta, and four rows. Lanes beyond a row hold zeros. */
#include "ftv_avx512.h"

#if FTV_X86

enum { ROWS = 4 };

typedef struct norm_scratch {
    int32_t *gamma; /* [columns], whole vectors of 64 columns, as the others; in the lower halves, zeros above */
    int32_t *beta;
    int32_t *rows[ROWS];
} norm_scratch;

/* What one row's statistics come to; names as in NUMERICS.md. */
typedef struct row_scale {
    int64_t sum;
    int32_t mean;
    uint32_t rem;
    uint32_t a;
    uint64_t squares; /* of deviations that are not shifted */
    uint32_t q;
    int32_t z;
    int32_t s;
    int32_t n;
    int32_t fraction;
    int32_t step;     /* B */
    uint32_t largest; /* |u|, at least 1 */
} row_scale;

static uint32_t round64(uint32_t columns) {
    return (columns + 63U) & ~63U;
}

size_t ftv_norm_scratch_avx512vnni(uint32_t columns) {
    return FTV_VECTOR + (2U + ROWS) * (size_t)round64(columns) * sizeof(int32_t);
}

FTV_AVX512_INLINE __mmask16 lanes(uint32_t columns, uint32_t c) {
    return ftv_lanes16(columns > c ? columns - c : 0U);
}

/* Trits of codes w + 1, two bits each, sixteen in a word; of each 32-bit trit those bits that are in `kept`. */
FTV_AVX512_INLINE void unpack_trits(int32_t *trits, const uint8_t *codes, uint32_t columns, int32_t kept) {
    const __m512i by = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    for (uint32_t c = 0; c < round64(columns); c += 16U) {
        uint32_t bytes = columns > c ? ftv_min_u32(4U, ftv_ceil_div(columns - c, 4U)) : 0U, word = 0;
        __builtin_memcpy(&word, codes + c / 4U, bytes);
        __m512i code = _mm512_and_si512(_mm512_srlv_epi32(_mm512_set1_epi32((int32_t)word), by), _mm512_set1_epi32(3));
        __m512i trit = _mm512_maskz_sub_epi32(lanes(columns, c), code, _mm512_set1_epi32(1));
        _mm512_store_si512(trits + c, _mm512_and_si512(trit, _mm512_set1_epi32(kept)));
    }
}

/* Sums of the values' halves fit 32 bits for 2048 columns. */
FTV_AVX512_INLINE void add_row(row_scale *row, const int32_t *x, uint32_t columns) {
    __m512i low = _mm512_setzero_si512(), high = _mm512_setzero_si512();
    for (uint32_t c = 0; c < columns; c += 16U) {
        __m512i values = _mm512_maskz_loadu_epi32(lanes(columns, c), x + c);
        low = _mm512_add_epi32(low, _mm512_and_si512(values, _mm512_set1_epi32(0xFFFF)));
        high = _mm512_add_epi32(high, _mm512_srai_epi32(values, 16));
    }
    row->sum = (int64_t)_mm512_reduce_add_epi32(high) * 65536 + _mm512_reduce_add_epi32(low);
}

static void divide_sum(row_scale *row, uint32_t columns) {
    int64_t mean = row->sum / (int64_t)columns;
    mean -= mean * (int64_t)columns > row->sum; /* floor */
    row->mean = (int32_t)mean;
    row->rem = (uint32_t)(row->sum - mean * (int64_t)columns);
}

FTV_AVX512_INLINE __m512i squares_of(__m512i v) {
    __m512i odd = _mm512_srli_epi64(v, 32);
    return _mm512_add_epi64(_mm512_mul_epi32(v, v), _mm512_mul_epi32(odd, odd));
}

/* The sum of all lanes, modulo 2^64: of rows with large deviations it is no use and may exceed that. */
FTV_AVX512_INLINE uint64_t sum_of_lanes(__m512i v) {
    __m256i four = _mm256_add_epi64(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    __m128i two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    return (uint64_t)_mm_cvtsi128_si64(two) + (uint64_t)_mm_extract_epi64(two, 1);
}

/* d = x - mean, zeros beyond the row; max|d|, and the sum of squares as far as 64 bits hold it. */
FTV_AVX512_INLINE void deviate(row_scale *row, int32_t *d, const int32_t *x, uint32_t columns) {
    __m512i largest = _mm512_setzero_si512(), squares = largest, mean = _mm512_set1_epi32(row->mean);
    for (uint32_t c = 0; c < round64(columns); c += 16U) {
        __mmask16 inside = lanes(columns, c);
        __m512i deviation = _mm512_maskz_sub_epi32(inside, _mm512_maskz_loadu_epi32(inside, x + c), mean);
        _mm512_store_si512(d + c, deviation);
        largest = _mm512_max_epi32(largest, _mm512_abs_epi32(deviation));
        squares = _mm512_add_epi64(squares, squares_of(deviation));
    }
    row->a = (uint32_t)_mm512_reduce_max_epi32(largest);
    row->squares = sum_of_lanes(squares);
}

/* For rows whose deviations exceed 26 bits. */
FTV_AVX512
static uint64_t sum_of_shifted_squares(const int32_t *d, uint32_t columns, int32_t s) {
    __m512i squares = _mm512_setzero_si512();
    for (uint32_t c = 0; c < columns; c += 16U) {
        __m512i shifted = _mm512_sra_epi32(_mm512_load_si512(d + c), _mm_cvtsi32_si128(s));
        squares = _mm512_add_epi64(squares, squares_of(shifted));
    }
    return sum_of_lanes(squares);
}

/* The square root of v >= 2^62, floored: the FPU's, put right by integers. */
FTV_AVX512_INLINE uint32_t square_root(uint64_t v) {
    __m128d wide = _mm_cvtu64_sd(_mm_setzero_pd(), v);
    uint64_t root = (uint64_t)_mm_cvttsd_si64(_mm_sqrt_sd(wide, wide));
    root = root > UINT32_MAX ? UINT32_MAX : root;
    while (root * root > v) {
        root--;
    }
    while (root < UINT32_MAX && (root + 1U) * (root + 1U) <= v) {
        root++;
    }
    return (uint32_t)root;
}

FTV_AVX512_INLINE void scale_row(row_scale *row, const int32_t *d, uint32_t columns, uint32_t eps_q32) {
    int32_t bits = 32 - (int32_t)_lzcnt_u32(row->a);
    row->s = ftv_max_s32(0, bits - 26);
    uint64_t v =
        row->s == 0 ? row->squares - row->rem * row->rem / columns : sum_of_shifted_squares(d, columns, row->s);
    v += ((uint64_t)columns * eps_q32) >> (2 * row->s);
    v = v == 0U ? 1U : v;
    row->z = (int32_t)_lzcnt_u64(v) & ~1;
    row->q = square_root(v << row->z);
    row->n = row->a == 0U ? 0 : 14 - bits;
    row->fraction = row->n >= 0 ? (int32_t)((row->rem << row->n) / columns) : 0;
}

/* B: one step of beta in units of d14, at most 2^29. */
static int32_t beta_step(ftv_multiplier ratio, const row_scale *row) {
    const uint64_t limit = UINT64_C(1) << 29;
    int32_t shift = ratio.exponent + row->z / 2 - row->s - row->n;
    uint64_t step = (uint64_t)row->q * ratio.mantissa;
    if (shift > 62) {
        return 0;
    }
    if (shift > 0) {
        step = (step + (UINT64_C(1) << (shift - 1))) >> shift;
    } else {
        step = (step > limit ? limit : step) << ftv_min_s32(-shift, 30);
    }
    return (int32_t)(step > limit ? limit : step);
}

/* u = gamma * d14 + beta * B over d, zeros beyond the row; |d14| <= 2^14, so that gamma * d14 is a product of halves. */
FTV_AVX512_INLINE void apply_affine(row_scale *row, int32_t *d, const norm_scratch *scratch, uint32_t columns) {
    __m128i left = _mm_cvtsi32_si128(ftv_max_s32(row->n, 0)), right = _mm_cvtsi32_si128(ftv_max_s32(-row->n, 0));
    __m512i largest = _mm512_set1_epi32(1), step = _mm512_set1_epi32(row->step);
    __m512i fraction = _mm512_set1_epi32(row->fraction);
    for (uint32_t c = 0; c < round64(columns); c += 16U) {
        __m512i d14 = _mm512_sra_epi32(_mm512_sll_epi32(_mm512_load_si512(d + c), left), right);
        d14 = _mm512_sub_epi32(d14, fraction);
        __m512i u = _mm512_mullo_epi32(_mm512_load_si512(scratch->beta + c), step);
        u = _mm512_dpwssd_epi32(u, d14, _mm512_load_si512(scratch->gamma + c));
        _mm512_store_si512(d + c, u);
        largest = _mm512_max_epi32(largest, _mm512_abs_epi32(u));
    }
    row->largest = (uint32_t)_mm512_reduce_max_epi32(largest);
}

/* The token scale: a15 * 2^-k codes, times 2^46 / q, as a multiplier. */
static ftv_multiplier token_scale(uint32_t a15, int32_t k, const row_scale *row) {
    uint32_t r = ftv_min_u32(32767U, (uint32_t)((UINT64_C(1) << 46) / row->q));
    uint32_t p = a15 * r;
    int32_t x = p < (UINT32_C(1) << 29) ? 14 : 15;
    uint32_t mantissa = ftv_min_u32(32767U, (p + (UINT32_C(1) << (x - 1))) >> x);
    int32_t exponent = k + row->n + row->s + 46 - row->z / 2 - x;
    return (ftv_multiplier){(uint16_t)mantissa, (int16_t)exponent};
}

/* Codes of u, zeros up to `stride`. */
FTV_AVX512_INLINE void quantise(int8_t *codes, const int32_t *u, uint32_t columns, uint32_t stride, int32_t k,
                                uint32_t reciprocal) {
    for (uint32_t c = 0; c < stride; c += FTV_VECTOR) {
        __m512i bytes = _mm512_setzero_si512();
        if (c < columns) {
            const __m512i four[4] = {_mm512_load_si512(u + c), _mm512_load_si512(u + c + 16),
                                     _mm512_load_si512(u + c + 32), _mm512_load_si512(u + c + 48)};
            bytes = ftv_quantise_four(four, k, (int32_t)reciprocal);
        }
        _mm512_mask_storeu_epi8(codes + c, ftv_lanes64(stride - c), bytes);
    }
}

FTV_AVX512_INLINE void put_row(const ftv_norm_job *job, const row_scale *row, const int32_t *u, uint32_t token) {
    int32_t k = (int32_t)_lzcnt_u32(row->largest) - 17;
    uint32_t a15 = k >= 0 ? row->largest << k : row->largest >> -k;
    quantise(job->out.codes + (size_t)token * job->out.stride, u, job->columns, job->out.stride, k, (127U << 21) / a15);
    job->out.scales[token] = token_scale(a15, k, row);
}

FTV_AVX512
static void norm_rows(const ftv_norm_job *job, const norm_scratch *scratch, uint32_t first, uint32_t rows) {
    row_scale row[ROWS];
    const int32_t *x = job->x + (size_t)first * job->x_stride;
    for (uint32_t i = 0; i < rows; i++) {
        add_row(&row[i], x + (size_t)i * job->x_stride, job->columns);
    }
    for (uint32_t i = 0; i < rows; i++) {
        divide_sum(&row[i], job->columns);
    }
    for (uint32_t i = 0; i < rows; i++) {
        deviate(&row[i], scratch->rows[i], x + (size_t)i * job->x_stride, job->columns);
    }
    for (uint32_t i = 0; i < rows; i++) {
        scale_row(&row[i], scratch->rows[i], job->columns, job->eps_q32);
        row[i].step = beta_step(job->norm->beta_ratio, &row[i]);
    }
    for (uint32_t i = 0; i < rows; i++) {
        apply_affine(&row[i], scratch->rows[i], scratch, job->columns);
    }
    for (uint32_t i = 0; i < rows; i++) {
        put_row(job, &row[i], scratch->rows[i], first + i);
    }
}

FTV_AVX512
void ftv_norm_avx512vnni(const ftv_norm_job *job, void *scratch) {
    size_t words = round64(job->columns);
    int32_t *base = (int32_t *)(void *)ftv_align_vector(scratch);
    norm_scratch parts = {base, base + words, {NULL}};
    for (uint32_t i = 0; i < ROWS; i++) {
        parts.rows[i] = base + (2U + i) * words;
    }
    unpack_trits(parts.gamma, job->norm->gamma, job->columns, 0xFFFF);
    unpack_trits(parts.beta, job->norm->beta, job->columns, -1);
    for (uint32_t token = 0; token < job->rows; token += ROWS) {
        norm_rows(job, &parts, token, ftv_min_u32(ROWS, job->rows - token));
    }
}

#endif
