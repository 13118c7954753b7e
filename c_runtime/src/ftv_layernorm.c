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

/* Scratch: one row, and the trits of gamma and beta. */
typedef struct norm_scratch {
    int32_t *d;
    int8_t *gamma;
    int8_t *beta;
} norm_scratch;

size_t ftv_norm_scratch_bytes(uint32_t columns) {
    size_t stride = ftv_round16(columns);
    return stride * sizeof(int32_t) + 2U * stride;
}

static int8_t trit_at(const uint8_t *codes, uint32_t i) {
    uint32_t byte = codes[i / 4U];
    return (int8_t)((int32_t)((byte >> (2U * (i % 4U))) & 3U) - 1);
}

static norm_scratch unpack_affine(const ftv_norm_job *job, void *base) {
    uint32_t stride = ftv_round16(job->columns);
    int8_t *trits = (int8_t *)base + (size_t)stride * sizeof(int32_t);
    norm_scratch scratch = {base, trits, trits + stride};
    for (uint32_t i = 0; i < job->columns; i++) {
        scratch.gamma[i] = trit_at(job->norm->gamma, i);
        scratch.beta[i] = trit_at(job->norm->beta, i);
    }
    return scratch;
}

static void norm_row(const ftv_norm_job *job, norm_scratch scratch, uint32_t index) {
    uint32_t columns = job->columns;
    const int32_t *x = job->x + (size_t)index * job->x_stride;
    int64_t sum = row_sum(x, columns);
    int32_t mean = ftv_floor_divide(sum, columns);
    uint32_t rem = (uint32_t)(sum - (int64_t)mean * (int64_t)columns);
    uint32_t a = deviations(scratch.d, x, columns, mean);
    row_scale row = scale_of(scratch.d, columns, a, rem, job->eps_q32);
    int32_t fraction = row.n >= 0 ? (int32_t)((rem << row.n) / columns) : 0;
    apply_affine(scratch.d, columns, scratch.gamma, scratch.beta, row.n, fraction,
                 beta_step(job->norm->beta_ratio, row));
    ftv_absmax absmax = ftv_quantise_row(job->out.codes + (size_t)index * job->out.stride, scratch.d, columns,
                                         job->out.stride, FTV_CODE_MAX);
    job->out.scales[index] = token_scale(absmax, row);
}

void ftv_norm_steps(const ftv_norm_job *job, void *scratch) {
    norm_scratch unpacked = unpack_affine(job, scratch);
    for (uint32_t row = 0; row < job->rows; row++) {
        norm_row(job, unpacked, row);
    }
}

/* ---- rows without the channels that nobody reads ---- */

/* Channels beyond `inputs`, from the last on, move to where others are left out; those that are left out themselves do
 * not. There are as many of these gaps as channels beyond, so that one is left for each. */
static void fill_gaps(int8_t *codes, const uint16_t *gaps, uint32_t inputs, uint32_t columns) {
    const uint16_t *first = gaps, *end = gaps + (columns - inputs);
    for (uint32_t channel = columns; channel-- > inputs;) {
        if (end[-1] == channel) {
            end--;
        } else {
            codes[*first++] = codes[channel];
        }
        codes[channel] = 0;
    }
}

/* ---- many rows, some a task ---- */

typedef struct norm_tasks {
    const ftv_pass *pass;
    const ftv_norm_job *all;
    uint32_t inputs; /* of the matrix that reads the rows */
    uint32_t rows;   /* of one task */
} norm_tasks;

static void norm_task(void *argument, uint32_t task, uint32_t worker) {
    const norm_tasks *tasks = argument;
    ftv_norm_job job = *tasks->all;
    uint32_t first = task * tasks->rows;
    job.x += (size_t)first * job.x_stride;
    job.out.codes += (size_t)first * job.out.stride;
    job.out.scales += first;
    job.rows = ftv_min_u32(tasks->rows, job.rows - first);
    ftv_norm_rows(tasks->pass->kernels, &job, ftv_scratch(tasks->pass, worker));
    for (uint32_t row = 0; row < job.rows && tasks->inputs < job.columns; row++) {
        fill_gaps(job.out.codes + (size_t)row * job.out.stride, job.norm->left_out, tasks->inputs, job.columns);
    }
}

void ftv_norm_all(const ftv_pass *pass, const ftv_parallel *parallel, const ftv_norm_job *job, uint32_t inputs) {
    norm_tasks tasks = {pass, job, inputs, ftv_share_rows(parallel, job->rows)};
    ftv_for_each(parallel, norm_task, &tasks, ftv_ceil_div(job->rows, tasks.rows));
}
