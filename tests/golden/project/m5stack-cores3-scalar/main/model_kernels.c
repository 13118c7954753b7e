/* The kernels for chips without a vector unit, five weights a byte, with what the memory plan gives them. */
#include "model.h"

#include "kernels/ftv_kernels.h"
#include "kernels/scalar/ftv_scalar.h"

/* Where they need more than was planned with, the application says so when it starts (ftv_check_plan). */
static size_t scratch_bytes(const ftv_model *model) {
    size_t needed = ftv_scratch_bytes_scalar(model);
    return needed > MODEL_STEPS_SCRATCH_BYTES ? needed : MODEL_STEPS_SCRATCH_BYTES;
}

const ftv_kernels model_kernels = {
    .name = "scalar",
    .linear_scratch_bytes = ftv_linear_scratch_bytes_scalar,
    .linear_s8t2 = ftv_linear_s8t2_ref,
    .linear_s8t5 = ftv_linear_s8t5_scalar,
    .scores_s8s8 = ftv_scores_s8s8_scalar,
    .mix_s16s8 = ftv_mix_s16s8_scalar,
    .layer = ftv_layer_scalar,
    .parts = ftv_parts_scalar,
    .attend = ftv_attend_scalar,
    .scratch_bytes = scratch_bytes,
    .value_bytes = 1U,
    .tiles = FTV_CHUNK_TILES,
};
