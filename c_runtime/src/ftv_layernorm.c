/* NUMERICS.md, section 4: LayerNorm with exact statistics; gamma and beta are trits. */
#include "ftv_clones.h"
#include "ftv_engine.h"
#include "ftv_fixed.h"

/* What one row's statistics come to. */
typedef struct row_scale {
    uint32_t q; /* square root of the variance's sum, 2^31 .. 2^32 - 1 */
    int32_t z;  /* its exponent, even */
    int32_t s;  /* deviations were shifted right by s for the variance */
    int32_t n;  /* d14 = d * 2^n */
} row_scale;

FTV_CLONES
static int64_t row_sum(const int32_t *restrict x, uint32_t columns) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < columns; i++) {
        sum += x[i];
    }
    return sum;
}

/* d = x - mean; returns max|d|. */
FTV_CLONES
static uint32_t deviations(int32_t *restrict d, const int32_t *restrict x, uint32_t columns, int32_t mean) {
    int32_t largest = 0;
    for (uint32_t i = 0; i < columns; i++) {
        d[i] = x[i] - mean;
        int32_t magnitude = d[i] < 0 ? -d[i] : d[i];
        largest = magnitude > largest ? magnitude : largest;
    }
    return (uint32_t)largest;
}

FTV_CLONES
static uint64_t sum_of_squares(const int32_t *restrict d, uint32_t columns, int32_t s) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < columns; i++) {
        int32_t v = d[i] >> s;
        sum += (int64_t)v * v;
    }
    return (uint64_t)sum;
}

static row_scale scale_of(const int32_t *d, uint32_t columns, uint32_t a, uint32_t rem, uint32_t eps_q32) {
    int32_t bits = ftv_bits32(a);
    int32_t s = ftv_max_s32(0, bits - 26);
    uint64_t v = sum_of_squares(d, columns, s) - (s == 0 ? rem * rem / columns : 0U);
    v += ((uint64_t)columns * eps_q32) >> (2 * s);
    v = v == 0U ? 1U : v;
    int32_t z = (64 - ftv_bits64(v)) & ~1;
    return (row_scale){ftv_isqrt(v << z), z, s, a == 0U ? 0 : 14 - bits};
}

/* B: one step of beta in units of d14, at most 2^29. */
static int32_t beta_step(ftv_multiplier ratio, row_scale row) {
    const uint64_t limit = UINT64_C(1) << 29;
    int32_t shift = ratio.exponent + row.z / 2 - row.s - row.n;
    uint64_t step = (uint64_t)row.q * ratio.mantissa;
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

/* d becomes u = gamma * d14 + beta * B. |d14| <= 2^14. */
FTV_CLONES
static void apply_affine(int32_t *restrict d, uint32_t columns, const int8_t *restrict gamma,
                         const int8_t *restrict beta, int32_t n, int32_t fraction, int32_t step) {
    if (n >= 0) {
        for (uint32_t i = 0; i < columns; i++) {
            d[i] = gamma[i] * (ftv_shift_left(d[i], (uint32_t)n) - fraction) + beta[i] * step;
        }
        return;
    }
    for (uint32_t i = 0; i < columns; i++) {
        d[i] = gamma[i] * (d[i] >> -n) + beta[i] * step;
    }
}

/* The token scale: a15 * 2^-k codes, times 2^46 / q, as a multiplier. */
static ftv_multiplier token_scale(ftv_absmax absmax, row_scale row) {
    uint32_t r = ftv_min_u32(32767U, ftv_divide(UINT64_C(1) << 46, row.q));
    uint32_t p = absmax.a15 * r;
    int32_t x = p < (UINT32_C(1) << 29) ? 14 : 15;
    uint32_t mantissa = ftv_min_u32(32767U, (p + (UINT32_C(1) << (x - 1))) >> x);
    int32_t exponent = absmax.k + row.n + row.s + 46 - row.z / 2 - x;
    return (ftv_multiplier){(uint16_t)mantissa, (int16_t)exponent};
}

typedef struct norm_task {
    const ftv_pass *pass;
    const ftv_norm *norm;
    uint32_t rows;
} norm_task;

/* A worker's scratch: one row, and the trits of gamma and beta. */
typedef struct norm_scratch {
    int32_t *d;
    int8_t *gamma;
    int8_t *beta;
} norm_scratch;

size_t ftv_norm_scratch_bytes(const ftv_model *model) {
    size_t columns = ftv_round16(model->width);
    return columns * sizeof(int32_t) + 2U * columns;
}

static int8_t trit_at(const uint8_t *codes, uint32_t i) {
    uint32_t byte = codes[i / 4U];
    return (int8_t)((int32_t)((byte >> (2U * (i % 4U))) & 3U) - 1);
}

static norm_scratch unpack_affine(const norm_task *job, uint32_t worker) {
    uint32_t columns = job->pass->model->width;
    uint8_t *base = ftv_scratch(job->pass, worker);
    int8_t *trits = (int8_t *)(base + (size_t)job->pass->buffers.width_stride * sizeof(int32_t));
    norm_scratch scratch = {(int32_t *)(void *)base, trits, trits + job->pass->buffers.width_stride};
    for (uint32_t i = 0; i < columns; i++) {
        scratch.gamma[i] = trit_at(job->norm->gamma, i);
        scratch.beta[i] = trit_at(job->norm->beta, i);
    }
    return scratch;
}

static void norm_row(const norm_task *job, norm_scratch scratch, uint32_t token) {
    const ftv_model *model = job->pass->model;
    const ftv_buffers *buffers = &job->pass->buffers;
    uint32_t columns = model->width;
    const int32_t *x = buffers->residual + (size_t)token * buffers->width_stride;
    int64_t sum = row_sum(x, columns);
    int32_t mean = ftv_floor_divide(sum, columns);
    uint32_t rem = (uint32_t)(sum - (int64_t)mean * (int64_t)columns);
    uint32_t a = deviations(scratch.d, x, columns, mean);
    row_scale row = scale_of(scratch.d, columns, a, rem, model->eps_q32);
    int32_t fraction = row.n >= 0 ? (int32_t)((rem << row.n) / columns) : 0;
    apply_affine(scratch.d, columns, scratch.gamma, scratch.beta, row.n, fraction,
                 beta_step(job->norm->beta_ratio, row));
    ftv_absmax absmax = ftv_quantise_row(buffers->rows.codes + (size_t)token * buffers->rows.stride, scratch.d, columns,
                                         buffers->rows.stride, FTV_CODE_MAX);
    buffers->rows.scales[token] = token_scale(absmax, row);
}

static void norm_group(void *argument, uint32_t task, uint32_t worker) {
    const norm_task *job = argument;
    uint32_t end = ftv_min_u32((task + 1U) * FTV_ROW_GROUP, job->rows);
    norm_scratch scratch = unpack_affine(job, worker);
    for (uint32_t token = task * FTV_ROW_GROUP; token < end; token++) {
        norm_row(job, scratch, token);
    }
}

void ftv_norm_rows(ftv_pass *pass, const ftv_norm *norm, uint32_t rows) {
    norm_task job = {pass, norm, rows};
    ftv_for_each(pass, norm_group, &job, ftv_ceil_div(rows, FTV_ROW_GROUP));
}
