/* Plain C that compilers turn into vector code; no intrinsics. */
#include "ftv_kernels.h"

const ftv_kernels ftv_kernels_portable = {
    "portable",
    ftv_linear_scratch_bytes_portable,
    ftv_linear_s8t2_portable,
    ftv_linear_s8t5_portable,
    ftv_scores_s8s8_portable,
    ftv_mix_s16s8_portable,
};
