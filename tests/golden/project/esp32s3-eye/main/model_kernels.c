/* The kernels of the ESP32-S3's vector unit, four weights a byte, with what the memory plan gives them. */
#include "model.h"

#include "kernels/esp32s3/ftv_esp32s3.h"
#include "kernels/ftv_kernels.h"

/* Where they need more than was planned with, the application says so when it starts (ftv_check_plan). */
static size_t scratch_bytes(const ftv_model *model) {
    size_t needed = ftv_scratch_bytes_esp32s3(model);
    return needed > MODEL_STEPS_SCRATCH_BYTES ? needed : MODEL_STEPS_SCRATCH_BYTES;
}

const ftv_kernels model_kernels = {
    .name = "esp32s3",
    .linear_scratch_bytes = ftv_linear_scratch_bytes_esp32s3,
    .linear_s8t2 = ftv_linear_s8t2_esp32s3,
    .linear_s8t5 = ftv_linear_s8t5_ref,
    .scores_s8s8 = ftv_scores_s8s8_portable,
    .mix_s16s8 = ftv_mix_s16s8_portable,
    .layer = ftv_layer_esp32s3,
    .qkv = ftv_qkv_esp32s3,
    .attend = ftv_attend_esp32s3,
    .norm = ftv_norm_esp32s3,
    .quantise = ftv_quantise_esp32s3,
    .patches = ftv_patches_esp32s3,
    .embed = ftv_embed_esp32s3,
    .scratch_bytes = scratch_bytes,
    .value_bytes = 2U,
};
