/* For chips without a vector unit: table look-ups instead of multiplications. See ftv_scalar.h. */
#include "ftv_scalar.h"

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static uint32_t most_tiles(const ftv_model *model) {
    uint32_t rows = model->head.stored_rows;
    for (uint32_t i = 0; i < model->depth; i++) {
        const ftv_block *block = &model->blocks[i];
        rows = rows > block->qkv.stored_rows ? rows : block->qkv.stored_rows;
        rows = rows > block->fc1.stored_rows ? rows : block->fc1.stored_rows;
    }
    return rows / FTV_TILE;
}

static size_t scratch_bytes(const ftv_model *model) {
    size_t most = ftv_layer_scratch_bytes_scalar(most_tiles(model), model->encoding);
    most = larger(most, ftv_qkv_scratch_bytes_scalar(model->width, model->head_rows));
    return larger(most, ftv_attend_scratch_bytes_scalar(model->tokens, model->head_rows));
}

const ftv_kernels ftv_kernels_scalar = {
    .name = "scalar",
    .linear_scratch_bytes = ftv_linear_scratch_bytes_scalar,
    .linear_s8t2 = ftv_linear_s8t2_scalar,
    .linear_s8t5 = ftv_linear_s8t5_scalar,
    .scores_s8s8 = ftv_scores_s8s8_scalar,
    .mix_s16s8 = ftv_mix_s16s8_scalar,
    .layer = ftv_layer_scalar,
    .qkv = ftv_qkv_scalar,
    .attend = ftv_attend_scalar,
    .scratch_bytes = scratch_bytes,
    .tiles = FTV_CHUNK_TILES,
};
