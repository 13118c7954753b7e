/* For chips without a vector unit: table look-ups instead of multiplications. See ftv_scalar.h. */
#include "ftv_scalar.h"

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Of the model's largest matrix. */
static uint32_t most_tiles(const ftv_model *model) {
    uint32_t rows = 3U * model->heads * model->head_rows;
    rows = rows > model->hidden ? rows : model->hidden;
    rows = rows > model->classes ? rows : model->classes;
    return ftv_ceil_div(rows, FTV_TILE);
}

size_t ftv_scratch_bytes_scalar(const ftv_model *model) {
    size_t chunk = ftv_chunk_bytes_scalar(ftv_min_u32(most_tiles(model), FTV_CHUNK_TILES), model->encoding);
    return larger(chunk, ftv_attend_scratch_bytes_scalar(model->tokens, model->head_rows));
}

const ftv_kernels ftv_kernels_scalar = {
    .name = "scalar",
    .linear_scratch_bytes = ftv_linear_scratch_bytes_scalar,
    .linear_s8t2 = ftv_linear_s8t2_scalar,
    .linear_s8t5 = ftv_linear_s8t5_scalar,
    .scores_s8s8 = ftv_scores_s8s8_scalar,
    .mix_s16s8 = ftv_mix_s16s8_scalar,
    .layer = ftv_layer_scalar,
    .parts = ftv_parts_scalar,
    .attend = ftv_attend_scalar,
    .scratch_bytes = ftv_scratch_bytes_scalar,
    .tiles = FTV_CHUNK_TILES,
};
