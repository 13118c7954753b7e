/* x86-64 with AVX-512 VNNI, VBMI and VBMI2: Intel since Ice Lake (servers: Sapphire Rapids and Ice Lake-SP), AMD since
 * Zen 4. All steps are whole. */
#include "ftv_avx512.h"

#if FTV_X86

static size_t scratch_bytes(const ftv_model *model) {
    return ftv_scratch_avx512(model, ftv_layer_scratch_avx512vnni(model->tokens, ftv_most_inputs_avx512(model)),
                              ftv_qkv_scratch_avx512vnni(model->tokens, model->head_rows, model->width));
}

const ftv_kernels ftv_kernels_avx512vnni = {
    .name = "avx512vnni",
    .linear_scratch_bytes = ftv_linear_scratch_bytes_avx512vnni,
    .linear_s8t2 = ftv_linear_s8t2_avx512vnni,
    .linear_s8t5 = ftv_linear_s8t5_avx512vnni,
    .scores_s8s8 = ftv_scores_s8s8_avx512vnni,
    .mix_s16s8 = ftv_mix_s16s8_avx512vnni,
    .layer = ftv_layer_avx512vnni,
    .qkv = ftv_qkv_avx512vnni,
    .attend = ftv_attend_avx512vnni,
    .norm = ftv_norm_avx512vnni,
    .quantise = ftv_quantise_avx512vnni,
    .scratch_bytes = scratch_bytes,
    .value_bytes = 2,
    .tiles = FTV_PANEL_TILES,
};

#endif
