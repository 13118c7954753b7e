/* The definition of the inner loops: plain, slow, and what every other implementation equals. */
#include "ftv_kernels.h"

static size_t no_scratch(uint32_t inputs) {
    (void)inputs;
    return 0;
}

const ftv_kernels ftv_kernels_ref = {
    "ref", no_scratch, ftv_linear_s8t2_ref, ftv_linear_s8t5_ref, ftv_scores_s8s8_ref, ftv_mix_s16s8_ref,
};
