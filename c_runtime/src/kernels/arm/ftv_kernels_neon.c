/* 64-bit ARM: every one has NEON. Rows are quantised whole; the rest is composed of inner loops, and of plain C, which
 * compilers turn into NEON. */
#include "ftv_neon.h"

#if FTV_ARM64

size_t ftv_linear_scratch_bytes_neon(uint32_t inputs) {
    return ftv_weights_bytes(inputs);
}

const ftv_kernels ftv_kernels_neon = {
    .name = "neon",
    .linear_scratch_bytes = ftv_linear_scratch_bytes_neon,
    .linear_s8t2 = ftv_linear_s8t2_neon,
    .linear_s8t5 = ftv_linear_s8t5_neon,
    .scores_s8s8 = ftv_scores_s8s8_neon,
    .mix_s16s8 = ftv_mix_s16s8_neon,
    .quantise = ftv_quantise_neon,
};

#endif
