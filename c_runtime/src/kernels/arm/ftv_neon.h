/* Shared by the kernels for 64-bit ARM: NEON, which all of them have, and its dot product, which most have since 2018. */
#ifndef FTV_NEON_H
#define FTV_NEON_H

#include "../../ftv_engine.h"
#include "../../ftv_fixed.h"
#include "../ftv_kernels.h"
#include "../ftv_targets.h"

#if FTV_ARM64
#include <arm_neon.h>

/* The dot product is a matter of the function, not of the file: the library runs on every 64-bit ARM. */
#if defined(__ARM_FEATURE_DOTPROD)
#define FTV_DOT
#elif defined(__clang__)
#define FTV_DOT __attribute__((target("dotprod")))
#else
#define FTV_DOT __attribute__((target("arch=armv8.2-a+dotprod")))
#endif

#define FTV_NEON_INLINE static inline __attribute__((always_inline))

/* Before a loop over registers, whose count is a constant: arrays of vectors become registers. */
#define FTV_UNROLL _Pragma("GCC unroll 16")

/* ---- a tile's product ---- */

/* Bytes of a decoded tile: weights -1..1 as [k][16 channels], k up to a multiple of 16; zeros beyond the inputs. */
static inline size_t ftv_weights_bytes(uint32_t inputs) {
    return (size_t)ftv_round16(inputs) * FTV_TILE;
}

void ftv_weights_t2_neon(int8_t *weights, const uint8_t *tile, uint32_t inputs);
void ftv_weights_t5_neon(int8_t *weights, const uint8_t *tile, uint32_t inputs);

/* sums[token][16] = sum_k x[token * stride + k] * weights[k][channel]. groups: inputs / 16 rounded up; x: zero beyond the
 * inputs. The dot product takes weights as [k / 4][channel][k % 4]. */
typedef void ftv_product_neon(int32_t *sums, const int8_t *x, uint32_t stride, uint32_t tokens, const int8_t *weights,
                              uint32_t groups);
ftv_product_neon ftv_product_s8s8_neon;
ftv_product_neon ftv_product_s8s8_neondot;

/* [k][16] becomes [k / 4][16][4], in place. */
void ftv_weights_by_four_neon(int8_t *weights, uint32_t inputs);

/* ---- the sets' functions ---- */

size_t ftv_linear_scratch_bytes_neon(uint32_t inputs);
void ftv_linear_s8t2_neon(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                          uint32_t inputs, void *scratch);
void ftv_linear_s8t5_neon(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                          uint32_t inputs, void *scratch);
void ftv_linear_s8t2_neondot(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                             uint32_t inputs, void *scratch);
void ftv_linear_s8t5_neondot(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                             uint32_t inputs, void *scratch);
void ftv_scores_s8s8_neon(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                          uint32_t head_dim);
void ftv_scores_s8s8_neondot(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                             uint32_t head_dim);
void ftv_mix_s16s8_neon(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                        uint32_t head_dim);
void ftv_quantise_neon(const ftv_quantise_job *job, void *scratch);

#endif
#endif
