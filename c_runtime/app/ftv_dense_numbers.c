/* BENCH's numbers in other arithmetic. All of them, and all sums, are integers below 2^24: floats hold them exactly. */
#include "ftv_dense.h"
#include "ftv_tile.h"

static void fill_s8(const ftv_dense_job *job, int8_t *x, int8_t *weights) {
    uint32_t row = ftv_dense_row(job->inputs);
    for (uint32_t i = 0; i < job->tokens * job->stride; i++) {
        uint32_t k = i % job->stride;
        x[i] = k < job->inputs ? ftv_bench_input(i / job->stride, k) : 0;
    }
    for (uint32_t i = 0; i < FTV_TILE_CHANNELS * row; i++) {
        uint32_t k = i % row;
        weights[i] = k < job->inputs ? ftv_bench_weight(i / row, k) : 0;
    }
}

static void fill_f32(const ftv_dense_job *job, float *x, float *weights) {
    for (uint32_t i = 0; i < job->tokens * job->stride; i++) {
        uint32_t k = i % job->stride;
        x[i] = k < job->inputs ? (float)ftv_bench_input(i / job->stride, k) : 0.0F;
    }
    for (uint32_t i = 0; i < FTV_TILE_CHANNELS * job->inputs; i++) {
        weights[i] = (float)ftv_bench_weight(i % FTV_TILE_CHANNELS, i / FTV_TILE_CHANNELS);
    }
}

void ftv_dense_fill(const ftv_dense_job *job, void *x, void *weights) {
    if (job->kind == FTV_DENSE_F32) {
        fill_f32(job, x, weights);
    } else {
        fill_s8(job, x, weights);
    }
}

void ftv_dense_results(const ftv_dense_job *job, int32_t *results) {
    for (uint32_t i = 0; i < job->tokens * FTV_TILE_CHANNELS && job->kind == FTV_DENSE_F32; i++) {
        results[i] = (int32_t)((const float *)job->sums)[i];
    }
}
