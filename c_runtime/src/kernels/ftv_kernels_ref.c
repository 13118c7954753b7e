/* The definition of the inner loops: plain, slow, and what every other implementation equals. */
#include "ftv_kernels.h"

static size_t no_scratch(uint32_t inputs) {
    (void)inputs;
    return 0;
}

const ftv_kernels ftv_kernels_ref = {
    .name = "ref",
    .linear_scratch_bytes = no_scratch,
    .linear_s8t2 = ftv_linear_s8t2_ref,
    .linear_s8t5 = ftv_linear_s8t5_ref,
    .scores_s8s8 = ftv_scores_s8s8_ref,
    .mix_s16s8 = ftv_mix_s16s8_ref,
};
