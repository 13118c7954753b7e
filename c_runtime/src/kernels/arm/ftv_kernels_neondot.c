/* 64-bit ARM with the dot product: Cortex-A55, A75 and newer, Neoverse N1, Apple M1. Rows are quantised whole; the rest is
 * composed of inner loops, and of plain C, which compilers turn into NEON. */
#include "ftv_neon.h"

#if FTV_ARM64

const ftv_kernels ftv_kernels_neondot = {
    .name = "neondot",
    .linear_scratch_bytes = ftv_linear_scratch_bytes_neon,
    .linear_s8t2 = ftv_linear_s8t2_neondot,
    .linear_s8t5 = ftv_linear_s8t5_neondot,
    .scores_s8s8 = ftv_scores_s8s8_neondot,
    .mix_s16s8 = ftv_mix_s16s8_neon,
    .quantise = ftv_quantise_neon,
};

#endif
