/* The set for AVX-512 VNNI, VBMI and VBMI2 where additions are cheap beside multiplications, as ftv_pairs_avx512.h says: AMD
 * since Zen 4. Matrices have kernels of their own; the rest is that of ftv_kernels_avx512vnni. */
#include "ftv_avx512.h"

#if FTV_X86

static size_t scratch_bytes(const ftv_model *model) {
    return ftv_scratch_avx512(model, ftv_layer_scratch_avx512pairs(model->tokens, ftv_most_inputs_avx512(model)),
                              ftv_qkv_scratch_avx512pairs(model->tokens, model->head_rows, model->width));
}

const ftv_kernels ftv_kernels_avx512pairs = {
    .name = "avx512pairs",
    .linear_scratch_bytes = ftv_linear_scratch_bytes_avx512vnni,
    .linear_s8t2 = ftv_linear_s8t2_avx512vnni,
    .linear_s8t5 = ftv_linear_s8t5_avx512vnni,
    .scores_s8s8 = ftv_scores_s8s8_avx512vnni,
    .mix_s16s8 = ftv_mix_s16s8_avx512vnni,
    .layer = ftv_layer_avx512pairs,
    .qkv = ftv_qkv_avx512pairs,
    .attend = ftv_attend_avx512vnni,
    .norm = ftv_norm_avx512vnni,
    .quantise = ftv_quantise_avx512vnni,
    .scratch_bytes = scratch_bytes,
    .value_bytes = 2,
    .tiles = FTV_PANEL_TILES,
};

#endif
