/* Plain C that compilers turn into vector code; no intrinsics. */
#include "ftv_kernels.h"

const ftv_kernels ftv_kernels_portable = {
    .name = "portable",
    .linear_scratch_bytes = ftv_linear_scratch_bytes_portable,
    .linear_s8t2 = ftv_linear_s8t2_portable,
    .linear_s8t5 = ftv_linear_s8t5_portable,
    .scores_s8s8 = ftv_scores_s8s8_portable,
    .mix_s16s8 = ftv_mix_s16s8_portable,
};
