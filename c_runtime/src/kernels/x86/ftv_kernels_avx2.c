/* x86-64 with AVX2: Intel since Haswell (2013), AMD since Excavator (2015). All steps but
 * LayerNorm are whole. */
#include "ftv_avx2.h"

#if FTV_X86

static size_t scratch_bytes(const ftv_model *model) {
    return ftv_scratch_bytes_avx2(model);
}

const ftv_kernels ftv_kernels_avx2 = {
    .name = "avx2",
    .linear_scratch_bytes = ftv_linear_scratch_bytes_avx2,
    .linear_s8t2 = ftv_linear_s8t2_avx2,
    .linear_s8t5 = ftv_linear_s8t5_avx2,
    .scores_s8s8 = ftv_scores_s8s8_avx2,
    .mix_s16s8 = ftv_mix_s16s8_avx2,
    .layer = ftv_layer_avx2,
    .qkv = ftv_qkv_avx2,
    .attend = ftv_attend_avx2,
    .quantise = ftv_quantise_avx2,
    .scratch_bytes = scratch_bytes,
    .value_bytes = 2,
};

#endif
