/* NUMERICS.md, section 2: ternary matrices, sixteen output channels at a time. A worker decodes a tile once and
 * streams all tokens over it. */
#include "ftv_clones.h"
#include "ftv_engine.h"
#include "ftv_fixed.h"

/* y of one token's sixteen channels, any shift. */
static void requantise_wide(int32_t *sums, const int32_t *multipliers, const int32_t *bias, int32_t shift) {
    for (uint32_t c = 0; c < FTV_TILE; c++) {
        int32_t y = ftv_shift_sat30((int64_t)sums[c] * multipliers[c], shift);
        sums[c] = ftv_sat30(y + bias[c]);
    }
}

/* The same for shift >= 4 in 32 bits: |acc| <= 127 * 4128, so (acc >> 4) * M + ((acc & 15) * M >> 4), which is
 * floor(acc * M / 16), stays below 2^30 and needs no saturation. */
FTV_INLINE void requantise_narrow(int32_t *restrict sums, int32_t mantissa, const int32_t *restrict mantissas,
                                  const int32_t *restrict bias, int32_t shift) {
    int32_t rest = ftv_min_s32(shift - 4, 31);
    for (uint32_t c = 0; c < FTV_TILE; c++) {
        int32_t multiplier = (mantissa * mantissas[c] + (1 << 14)) >> 15;
        int32_t acc = sums[c];
        int32_t sixteenth = (acc >> 4) * multiplier + (((acc & 15) * multiplier) >> 4);
        sums[c] = ftv_sat30((sixteenth >> rest) + bias[c]);
    }
}

FTV_CLONES
void ftv_requantise(int32_t *restrict sums, uint32_t tokens, const ftv_multiplier *restrict scales,
                    const int32_t *restrict mantissas, const int32_t *restrict bias, int32_t exponent) {
    for (uint32_t token = 0; token < tokens; token++) {
        int32_t mantissa = scales[token].mantissa;
        int32_t shift = scales[token].exponent + exponent - 15;
        if (shift >= 4) {
            requantise_narrow(sums + token * FTV_TILE, mantissa, mantissas, bias, shift);
        } else {
            int32_t multipliers[FTV_TILE];
            for (uint32_t c = 0; c < FTV_TILE; c++) {
                multipliers[c] = (mantissa * mantissas[c] + (1 << 14)) >> 15;
            }
            requantise_wide(sums + token * FTV_TILE, multipliers, bias, shift);
        }
    }
}

/* The tile's own multipliers and biases, widened. */
static void tile_affine(const ftv_linear *layer, uint32_t index, int32_t *mantissas, int32_t *bias) {
    for (uint32_t c = 0; c < FTV_TILE; c++) {
        uint32_t row = index * FTV_TILE + c;
        mantissas[c] = layer->mantissas[layer->per_channel ? row : 0U];
        bias[c] = layer->bias[row] * (INT32_C(1) << layer->bias_shift);
    }
}

/* One tile over all of the job's tokens: sums [tokens][16]. */
static void tile_sums(const ftv_kernels *kernels, const ftv_layer_job *job, uint32_t index, int32_t *sums,
                      void *scratch) {
    const ftv_linear *layer = job->layer;
    const uint8_t *trits = layer->tiles + (size_t)index * layer->tile_bytes;
    if (job->encoding == FTV_T2) {
        kernels->linear_s8t2(sums, job->x.codes, job->tokens, job->x.stride, trits, layer->inputs, scratch);
    } else {
        kernels->linear_s8t5(sums, job->x.codes, job->tokens, job->x.stride, trits, layer->inputs, scratch);
    }
}

static void store_tile(const ftv_layer_job *job, uint32_t column, const int32_t *restrict y) {
    for (uint32_t token = 0; token < job->tokens; token++) {
        int32_t *restrict out = job->out + (size_t)token * job->out_stride + column;
        for (uint32_t c = 0; c < FTV_TILE; c++) {
            out[c] = y[token * FTV_TILE + c];
        }
    }
}

static void add_tile(const ftv_layer_job *job, uint32_t column, const int32_t *restrict y) {
    for (uint32_t token = 0; token < job->tokens; token++) {
        int32_t *restrict out = job->out + (size_t)token * job->out_stride + column;
        for (uint32_t c = 0; c < FTV_TILE; c++) {
            out[c] = ftv_sat30(out[c] + y[token * FTV_TILE + c]);
        }
    }
}

static void put_tile(const ftv_layer_job *job, uint32_t tile, int32_t *y) {
    uint32_t column = job->column + (tile - job->first_tile) * FTV_TILE;
    switch (job->output) {
    case FTV_STORE:
        store_tile(job, column, y);
        break;
    case FTV_ADD:
        add_tile(job, column, y);
        break;
    case FTV_ACTIVATE:
        ftv_gelu(y, job->tokens * FTV_TILE);
        ftv_narrow_tile(&job->narrow, column, y, job->tokens,
                        ftv_min_u32(FTV_TILE, job->layer->rows - tile * FTV_TILE));
        break;
    }
}

void ftv_put_sums(const ftv_layer_job *job, uint32_t tile, int32_t *sums) {
    int32_t mantissas[FTV_TILE];
    int32_t bias[FTV_TILE];
    tile_affine(job->layer, tile, mantissas, bias);
    ftv_requantise(sums, job->tokens, job->x.scales, mantissas, bias, job->layer->exponent);
    put_tile(job, tile, sums);
}

size_t ftv_layer_scratch_bytes(const ftv_kernels *kernels, uint32_t tokens, uint32_t inputs) {
    return ftv_sums_bytes(tokens) + kernels->linear_scratch_bytes(inputs);
}

void ftv_layer_steps(const ftv_kernels *kernels, const ftv_layer_job *job, void *scratch) {
    int32_t *sums = scratch;
    for (uint32_t tile = job->first_tile; tile < job->first_tile + job->tiles; tile++) {
        tile_sums(kernels, job, tile, sums, (uint8_t *)scratch + ftv_sums_bytes(job->tokens));
        ftv_put_sums(job, tile, sums);
    }
}

/* ---- a whole layer, some tiles a task ---- */

typedef struct layer_tasks {
    const ftv_pass *pass;
    const ftv_layer_job *all;
    uint32_t tiles; /* of one task */
} layer_tasks;

static void layer_task(void *argument, uint32_t task, uint32_t worker) {
    const layer_tasks *tasks = argument;
    ftv_layer_job job = *tasks->all;
    uint32_t first = task * tasks->tiles;
    job.first_tile += first;
    job.column += first * FTV_TILE;
    job.tiles = ftv_min_u32(tasks->tiles, job.tiles - first);
    ftv_layer(tasks->pass->kernels, &job, ftv_scratch(tasks->pass, worker));
}

void ftv_layer_all(const ftv_pass *pass, const ftv_parallel *parallel, const ftv_layer_job *job) {
    layer_tasks tasks = {pass, job, ftv_share_tiles(parallel, job->tiles, pass->kernels)};
    ftv_for_each(parallel, layer_task, &tasks, ftv_ceil_div(job->tiles, tasks.tiles));
}
