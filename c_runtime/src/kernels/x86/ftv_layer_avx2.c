/* A layer's tiles over all tokens: see ftv_layer_tiles_avx2.c, and ftv.h, ftv_layer_job. */
#include "ftv_avx2.h"

#if FTV_X86

void ftv_layer_avx2(const ftv_layer_job *job, void *scratch) {
    ftv_layer_tiles_avx2(job, scratch, ftv_product_s8u2_avx2);
}

#endif
