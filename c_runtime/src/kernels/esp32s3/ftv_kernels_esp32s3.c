/* The ESP32-S3's vector unit: whole steps in assembly, and C around it. */
#include "ftv_esp32s3.h"

#ifdef FTV_ESP32S3
#include "ftv_engine.h"
#include "ftv_fixed.h"
#include "kernels/ftv_kernels.h"

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

size_t ftv_scratch_bytes_esp32s3(const ftv_model *model) {
    uint32_t inputs = model->width > model->hidden ? model->width : model->hidden;
    inputs = inputs > model->patch.inputs ? inputs : model->patch.inputs;
    size_t attention = larger(ftv_qkv_scratch_bytes_esp32s3(model->width, model->head_rows),
                              ftv_attend_scratch_bytes_esp32s3(model->tokens, model->head_rows));
    size_t rows =
        larger(ftv_norm_scratch_bytes_esp32s3(model->width), ftv_patches_scratch_bytes_esp32s3(model->patch_size));
    return larger(larger(ftv_layer_scratch_bytes_esp32s3(model->tokens, inputs), attention), rows);
}

const ftv_kernels ftv_kernels_esp32s3 = {
    .name = "esp32s3",
    .linear_scratch_bytes = ftv_linear_scratch_bytes_esp32s3,
    .linear_s8t2 = ftv_linear_s8t2_esp32s3,
    .linear_s8t5 = ftv_linear_s8t5_esp32s3,
    .scores_s8s8 = ftv_scores_s8s8_portable,
    .mix_s16s8 = ftv_mix_s16s8_portable,
    .layer = ftv_layer_esp32s3,
    .qkv = ftv_qkv_esp32s3,
    .attend = ftv_attend_esp32s3,
    .norm = ftv_norm_esp32s3,
    .quantise = ftv_quantise_esp32s3,
    .patches = ftv_patches_esp32s3,
    .embed = ftv_embed_esp32s3,
    .scratch_bytes = ftv_scratch_bytes_esp32s3,
    .value_bytes = 2,
};
#endif
