/* NUMERICS.md, section 1: eight-bit rows. */
#include "ftv_clones.h"
#include "ftv_engine.h"
#include "ftv_fixed.h"

ftv_absmax ftv_absmax_of(uint32_t a) {
    int32_t k = 15 - ftv_bits32(a);
    return (ftv_absmax){.a = a, .a15 = k >= 0 ? a << k : a >> -k, .k = k};
}

FTV_CLONES
uint32_t ftv_row_absmax(const int32_t *restrict x, uint32_t columns) {
    int32_t largest = 1;
    for (uint32_t i = 0; i < columns; i++) {
        int32_t magnitude = x[i] < 0 ? -x[i] : x[i];
        largest = magnitude > largest ? magnitude : largest;
    }
    return (uint32_t)largest;
}

/* Two loops, because no vector unit shifts both ways at once. |y| <= 2^15 and R < 2^14, so the product fits. */
FTV_CLONES
static void scale_row(int8_t *restrict codes, const int32_t *restrict x, uint32_t columns, int32_t k,
                      int32_t reciprocal) {
    if (k >= 0) {
        for (uint32_t i = 0; i < columns; i++) {
            codes[i] = (int8_t)((ftv_shift_left(x[i], (uint32_t)k) * reciprocal + (1 << 20)) >> 21);
        }
        return;
    }
    for (uint32_t i = 0; i < columns; i++) {
        codes[i] = (int8_t)(((x[i] >> -k) * reciprocal + (1 << 20)) >> 21);
    }
}

ftv_absmax ftv_quantise_row(int8_t *codes, const int32_t *x, uint32_t columns, uint32_t stride, int32_t levels) {
    ftv_absmax absmax = ftv_absmax_of(ftv_row_absmax(x, columns));
    uint32_t reciprocal = ((uint32_t)levels << 21) / absmax.a15;
    scale_row(codes, x, columns, absmax.k, (int32_t)reciprocal);
    for (uint32_t i = columns; i < stride; i++) {
        codes[i] = 0;
    }
    return absmax;
}

/* ---- narrow rows ---- */

/* How far the values of sixteen neighbours are shifted. */
static uint32_t narrow_shift(int32_t absmax) {
    return (uint32_t)ftv_max_s32(0, ftv_bits32((uint32_t)absmax) - 15);
}

void ftv_narrow_tile(const ftv_narrow *narrow, uint32_t column, const int32_t *y, uint32_t tokens, uint32_t channels) {
    for (uint32_t token = 0; token < tokens; token++) {
        const int32_t *row = y + token * FTV_TILE;
        int16_t *values = narrow->values + (size_t)token * narrow->stride + column;
        int32_t absmax = 0;
        for (uint32_t c = 0; c < channels; c++) {
            absmax = ftv_max_s32(absmax, row[c] < 0 ? -row[c] : row[c]);
        }
        uint32_t shift = narrow_shift(absmax);
        for (uint32_t c = 0; c < FTV_TILE; c++) {
            values[c] = (int16_t)(c < channels ? row[c] >> shift : 0);
        }
        narrow->absmax[(size_t)token * (narrow->stride / FTV_TILE) + column / FTV_TILE] = absmax;
    }
}

static uint32_t narrow_absmax(const int32_t *absmax, uint32_t sixteens) {
    int32_t largest = 1;
    for (uint32_t i = 0; i < sixteens; i++) {
        largest = ftv_max_s32(largest, absmax[i]);
    }
    return (uint32_t)largest;
}

/* Up to sixteen neighbours, which were shifted by `shift`; codes may lie over values. */
static void narrow_codes(int8_t *codes, const int16_t *values, uint32_t count, int32_t k, int32_t shift,
                         int32_t reciprocal) {
    if (k >= 0) {
        for (uint32_t i = 0; i < count; i++) {
            codes[i] = (int8_t)((ftv_shift_left(values[i], (uint32_t)k) * reciprocal + (1 << 20)) >> 21);
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        codes[i] = (int8_t)(((values[i] >> (-k - shift)) * reciprocal + (1 << 20)) >> 21);
    }
}

/* One row; codes may lie over values. */
static void quantise_narrow(int8_t *codes, const int16_t *values, const int32_t *absmax, const ftv_quantise_job *job,
                            ftv_absmax row) {
    int32_t reciprocal = (int32_t)(((uint32_t)FTV_CODE_MAX << 21) / row.a15);
    for (uint32_t piece = 0; piece < job->pieces; piece++, codes += job->piece) {
        for (uint32_t i = 0; i < job->piece; i += FTV_TILE) {
            uint32_t at = piece * job->piece_stride + i, count = ftv_min_u32(FTV_TILE, job->piece - i);
            int32_t shift = (int32_t)narrow_shift(absmax[at / FTV_TILE]);
            narrow_codes(codes + i, values + at, count, row.k, shift, reciprocal);
        }
    }
}

void ftv_quantise_steps(const ftv_quantise_job *job) {
    uint32_t sixteens = job->pieces * job->piece_stride / FTV_TILE;
    uint32_t columns = job->pieces * job->piece;
    for (uint32_t i = 0; i < job->rows; i++) {
        const int32_t *absmax = job->in.absmax + (size_t)i * (job->in.stride / FTV_TILE);
        int8_t *codes = job->out.codes + (size_t)i * job->out.stride;
        ftv_absmax row = ftv_absmax_of(narrow_absmax(absmax, sixteens));
        quantise_narrow(codes, job->in.values + (size_t)i * job->in.stride, absmax, job, row);
        for (uint32_t c = columns; c < ftv_round16(columns); c++) {
            codes[c] = 0;
        }
        job->out.scales[i] = (ftv_multiplier){(uint16_t)row.a15, (int16_t)row.k};
    }
}

/* ---- many rows, some a task ---- */

typedef struct quantise_tasks {
    const ftv_pass *pass;
    const ftv_quantise_job *all;
    uint32_t rows; /* of one task */
} quantise_tasks;

/* Rows first .. end - 1 of a job. */
static ftv_quantise_job rows_of(ftv_quantise_job job, uint32_t first, uint32_t end) {
    job.in.values += (size_t)first * job.in.stride;
    job.in.absmax += (size_t)first * (job.in.stride / FTV_TILE);
    job.out.codes += (size_t)first * job.out.stride;
    job.out.scales += first;
    job.rows = end - first;
    return job;
}

static void quantise_task(void *argument, uint32_t task, uint32_t worker) {
    const quantise_tasks *tasks = argument;
    uint32_t first = task * tasks->rows;
    ftv_quantise_job job = rows_of(*tasks->all, first, ftv_min_u32(first + tasks->rows, tasks->all->rows));
    ftv_quantise_rows(tasks->pass->kernels, &job, ftv_scratch(tasks->pass, worker));
}

void ftv_quantise_all(const ftv_pass *pass, const ftv_parallel *parallel, const ftv_quantise_job *job) {
    quantise_tasks tasks = {pass, job, ftv_share_rows(parallel, job->rows)};
    ftv_for_each(parallel, quantise_task, &tasks, ftv_ceil_div(job->rows, tasks.rows));
}

/* Codes are half as long as values: those of rows n .. 2 n - 1 come where the values of rows n / 2 .. n - 1 were. So, once
 * the first n rows are done, workers can share the next n. */
void ftv_quantise_in_place(const ftv_pass *pass, const ftv_parallel *parallel, const ftv_quantise_job *job) {
    uint32_t first = parallel->workers > 1U ? ftv_min_u32(FTV_FIRST_IN_PLACE, job->rows) : job->rows;
    quantise_tasks begin = {pass, job, first};
    ftv_for_each(parallel, quantise_task, &begin, 1);
    while (first < job->rows) {
        uint32_t end = ftv_min_u32(2U * first, job->rows);
        ftv_quantise_job next = rows_of(*job, first, end);
        ftv_quantise_all(pass, parallel, &next);
        first = end;
    }
}
