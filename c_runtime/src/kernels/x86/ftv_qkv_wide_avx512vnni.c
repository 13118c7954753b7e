/* One head's Q, K or V of more than 64 rows, by plain products: see ftv_qkv_rows_avx512.h.
 * scratch: ftv_qkv_wide_scratch_avx512vnni(). */
#include "ftv_plain_avx512.h"

#include "ftv_qkv_rows_avx512.h"

#if FTV_X86

size_t ftv_qkv_wide_scratch_avx512vnni(uint32_t tokens, uint32_t head_rows, uint32_t inputs) {
    return qkv_bytes(tokens, head_rows, inputs);
}

void ftv_qkv_wide_avx512vnni(const ftv_qkv_part *part, void *scratch) {
    run_part(part, scratch);
}

#endif
