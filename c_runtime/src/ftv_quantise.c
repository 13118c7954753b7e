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

typedef struct quantise_task {
    const int32_t *q16;
    ftv_rows out;
    uint32_t rows;
    uint32_t columns;
} quantise_task;

static void quantise_group(void *argument, uint32_t task, uint32_t worker) {
    const quantise_task *job = argument;
    uint32_t end = ftv_min_u32((task + 1U) * FTV_ROW_GROUP, job->rows);
    (void)worker;
    for (uint32_t row = task * FTV_ROW_GROUP; row < end; row++) {
        size_t at = (size_t)row * job->out.stride;
        ftv_absmax absmax =
            ftv_quantise_row(job->out.codes + at, job->q16 + at, job->columns, job->out.stride, FTV_CODE_MAX);
        job->out.scales[row] = (ftv_multiplier){(uint16_t)absmax.a15, (int16_t)absmax.k};
    }
}

void ftv_quantise_rows(ftv_pass *pass, const int32_t *q16, uint32_t rows, uint32_t columns, ftv_rows out) {
    quantise_task job = {q16, out, rows, columns};
    ftv_for_each(pass, quantise_group, &job, ftv_ceil_div(rows, FTV_ROW_GROUP));
}
