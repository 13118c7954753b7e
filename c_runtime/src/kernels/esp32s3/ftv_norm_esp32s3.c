/* The step `norm`: rows that fit the vector unit's registers go to assembly, all others to the C that defines it. */
#include "ftv_esp32s3.h"

#ifdef FTV_ESP32S3
#include <stdbool.h>

#include "ftv_engine.h"
#include "ftv_fixed.h"

#define MOST_COLUMNS 1024U /* 40-bit sums of squares */

/* Behind the scratch of ftv_norm_steps, which may have to do a row in between: trits that stay, and one row. */
typedef struct norm_scratch {
    uint32_t *done;
    int16_t *gamma;
    int16_t *beta;
    int32_t *row;
} norm_scratch;

static size_t trit_bytes(uint32_t columns) {
    return (columns + 8U) * sizeof(int16_t);
}

size_t ftv_norm_scratch_bytes_esp32s3(uint32_t columns) {
    uint32_t stride = ftv_round16(columns);
    return ftv_align(ftv_norm_scratch_bytes(columns)) + FTV_ALIGN + 2U * trit_bytes(stride) +
           (stride + 8U) * sizeof(int32_t);
}

static norm_scratch lay_out(uint32_t columns, void *base) {
    uint8_t *done = (uint8_t *)base + ftv_align(ftv_norm_scratch_bytes(columns));
    uint8_t *gamma = done + FTV_ALIGN;
    uint8_t *beta = gamma + trit_bytes(columns);
    uint8_t *row = beta + trit_bytes(columns);
    return (norm_scratch){(uint32_t *)(void *)done, (int16_t *)(void *)gamma, (int16_t *)(void *)beta,
                          (int32_t *)(void *)row};
}

static bool is_for_vectors(const ftv_norm_job *job) {
    uintptr_t trits = (uintptr_t)job->norm->gamma | (uintptr_t)job->norm->beta;
    return job->columns % FTV_TILE == 0U && job->columns >= 2U * FTV_TILE && job->columns <= MOST_COLUMNS &&
           job->out.stride == job->columns && trits % 2U == 0U;
}

static void unpack(int16_t *trits, const uint8_t *codes, uint32_t columns) {
    ftv_unpack_trits_args args = {ftv_address_of(codes), ftv_address_of(trits), columns / FTV_TILE};
    ftv_unpack_trits_t2s16_esp32s3(&args);
}

/* The job's rows from `first` on. */
static ftv_norm_job rows_from(const ftv_norm_job *job, uint32_t first) {
    ftv_norm_job rest = *job;
    rest.x += (size_t)first * job->x_stride;
    rest.rows -= first;
    rest.out.codes += (size_t)first * job->out.stride;
    rest.out.scales += first;
    return rest;
}

/* How many of the first rows it did. */
static uint32_t norm_rows(const ftv_norm_job *job, norm_scratch scratch) {
    uint64_t eps = (uint64_t)job->columns * job->eps_q32;
    ftv_norm_rows_args args = {.x = ftv_address_of(job->x),
                               .x_row = job->x_stride * (uint32_t)sizeof(int32_t),
                               .rows = job->rows,
                               .columns = job->columns,
                               .limit = (int32_t)(INT32_MAX / (job->columns / 8U)),
                               .inverse = UINT32_MAX / job->columns + 1U,
                               .inverse16 = UINT32_MAX / (job->columns / FTV_TILE) + 1U,
                               .eps_low = (uint32_t)eps,
                               .eps_high = (uint32_t)(eps >> 32),
                               .beta_mantissa = job->norm->beta_ratio.mantissa,
                               .beta_exponent = job->norm->beta_ratio.exponent,
                               .gamma = ftv_address_of(scratch.gamma),
                               .beta = ftv_address_of(scratch.beta),
                               .row = ftv_address_of(scratch.row),
                               .codes = ftv_address_of(job->out.codes),
                               .codes_row = job->out.stride,
                               .scales = ftv_address_of(job->out.scales),
                               .done = ftv_address_of(scratch.done)};
    ftv_norm_s32s8_esp32s3(&args);
    return *scratch.done;
}

void ftv_norm_esp32s3(const ftv_norm_job *job, void *base) {
    if (!is_for_vectors(job)) {
        ftv_norm_steps(job, base);
        return;
    }
    norm_scratch scratch = lay_out(job->columns, base);
    unpack(scratch.gamma, job->norm->gamma, job->columns);
    unpack(scratch.beta, job->norm->beta, job->columns);
    for (uint32_t first = 0; first < job->rows; first++) {
        ftv_norm_job rest = rows_from(job, first);
        first += norm_rows(&rest, scratch);
        if (first < job->rows) {
            ftv_norm_job one = rows_from(job, first);
            one.rows = 1;
            ftv_norm_steps(&one, base);
        }
    }
}
#endif
