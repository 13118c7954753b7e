/* One head's Q, K or V over a range of tokens: see ftv_qkv_part_avx2.c, and ftv.h, ftv_qkv_part. */
#include "ftv_avx2.h"

#if FTV_X86

void ftv_qkv_avx2(const ftv_qkv_part *part, void *scratch) {
    ftv_qkv_part_avx2(part, scratch, ftv_product_s8u2_avx2);
}

#endif
