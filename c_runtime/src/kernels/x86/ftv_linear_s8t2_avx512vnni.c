/* sums[token * 16 + channel] = sum_k x[token * stride + k] * w[channel][k], one tile of 16 channels, two bits a weight.
 * See ftv.h, ftv_kernels. The whole-step kernels do not come here; it serves programs that call the inner loops. */
#include "ftv_avx512.h"

#if FTV_X86

void ftv_linear_s8t2_avx512vnni(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                                uint32_t inputs, void *scratch) {
    uint8_t *panel = ftv_align_vector(scratch);
    ftv_panel_t2_avx512vnni(panel, tile, 0, 1, inputs);
    ftv_first_tile_avx512vnni(sums, x, tokens, stride, panel, inputs);
}

#endif
