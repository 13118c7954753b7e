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
static void tile_affine(ftv_tile tile, int32_t *mantissas, int32_t *bias) {
    const ftv_linear *layer = tile.layer;
    for (uint32_t c = 0; c < FTV_TILE; c++) {
        uint32_t row = tile.index * FTV_TILE + c;
        mantissas[c] = layer->mantissas[layer->per_channel ? row : 0U];
        bias[c] = layer->bias[row] * (INT32_C(1) << layer->bias_shift);
    }
}

void ftv_linear_tile(const ftv_pass *pass, ftv_tile tile, ftv_rows x, uint32_t tokens, int32_t *sums, void *scratch) {
    const ftv_linear *layer = tile.layer;
    const uint8_t *trits = layer->tiles + (size_t)tile.index * layer->tile_bytes;
    int32_t mantissas[FTV_TILE];
    int32_t bias[FTV_TILE];
    if (pass->model->encoding == FTV_T2) {
        pass->kernels->linear_s8t2(sums, x.codes, tokens, x.stride, trits, layer->inputs, scratch);
    } else {
        pass->kernels->linear_s8t5(sums, x.codes, tokens, x.stride, trits, layer->inputs, scratch);
    }
    tile_affine(tile, mantissas, bias);
    ftv_requantise(sums, tokens, x.scales, mantissas, bias, layer->exponent);
}

typedef struct linear_task {
    const ftv_pass *pass;
    const ftv_linear *layer;
    ftv_rows x;
    uint32_t tokens;
    ftv_output output;
    int32_t *out;
    uint32_t out_stride;
} linear_task;

static void store_tile(const linear_task *job, uint32_t tile, const int32_t *restrict sums) {
    for (uint32_t token = 0; token < job->tokens; token++) {
        int32_t *restrict out = job->out + (size_t)token * job->out_stride + tile * FTV_TILE;
        const int32_t *restrict y = sums + token * FTV_TILE;
        for (uint32_t c = 0; c < FTV_TILE; c++) {
            out[c] = y[c];
        }
    }
}

static void add_tile(const linear_task *job, uint32_t tile, const int32_t *restrict sums) {
    for (uint32_t token = 0; token < job->tokens; token++) {
        int32_t *restrict out = job->out + (size_t)token * job->out_stride + tile * FTV_TILE;
        const int32_t *restrict y = sums + token * FTV_TILE;
        for (uint32_t c = 0; c < FTV_TILE; c++) {
            out[c] = ftv_sat30(out[c] + y[c]);
        }
    }
}

static void layer_tile(void *argument, uint32_t task, uint32_t worker) {
    const linear_task *job = argument;
    int32_t *sums = (int32_t *)(void *)ftv_scratch(job->pass, worker);
    uint8_t *scratch = ftv_scratch(job->pass, worker) + ftv_sums_bytes(job->tokens);
    ftv_linear_tile(job->pass, (ftv_tile){job->layer, task}, job->x, job->tokens, sums, scratch);
    if (job->output == FTV_ACTIVATE) {
        ftv_gelu(sums, job->tokens * FTV_TILE);
    }
    if (job->output == FTV_ADD) {
        add_tile(job, task, sums);
    } else {
        store_tile(job, task, sums);
    }
}

void ftv_linear_layer(ftv_pass *pass, const ftv_linear *layer, ftv_rows x, uint32_t tokens, ftv_output output,
                      int32_t *out, uint32_t out_stride) {
    linear_task job = {pass, layer, x, tokens, output, out, out_stride};
    ftv_for_each(pass, layer_tile, &job, layer->stored_rows / FTV_TILE);
}
