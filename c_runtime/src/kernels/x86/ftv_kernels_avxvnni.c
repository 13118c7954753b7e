/* x86-64 with the 256-bit VNNI: Intel's client CPUs since Alder Lake (2021), AMD since Zen 5. Layers and rows are whole steps; the rest is
 * composed of inner loops. */
#include "ftv_avx2.h"

#if FTV_X86

const ftv_kernels ftv_kernels_avxvnni = {
    .name = "avxvnni",
    .linear_scratch_bytes = ftv_linear_scratch_bytes_avx2,
    .linear_s8t2 = ftv_linear_s8t2_avxvnni,
    .linear_s8t5 = ftv_linear_s8t5_avxvnni,
    .scores_s8s8 = ftv_scores_s8s8_avx2,
    .mix_s16s8 = ftv_mix_s16s8_avx2,
    .layer = ftv_layer_avxvnni,
    .quantise = ftv_quantise_avx2,
    .scratch_bytes = ftv_layer_scratch_avx2,
};

#endif
