/* One head's Q, K or V, by products of pairs: see ftv_qkv_rows_avx512.h and ftv_pairs_avx512.h.
 * scratch: ftv_qkv_scratch_avx512pairs(). */
#include "ftv_pairs_avx512.h"

#include "ftv_qkv_rows_avx512.h"

#if FTV_X86

size_t ftv_qkv_scratch_avx512pairs(uint32_t tokens, uint32_t head_rows, uint32_t inputs) {
    return qkv_bytes(tokens, head_rows, inputs);
}

void ftv_qkv_avx512pairs(const ftv_qkv_part *part, void *scratch) {
    if (part->count > 0U) {
        run_part(part, scratch);
    }
}

#endif
