/* Shared by the kernels for AVX2 (x86-64 since 2013), with or without its 256-bit VNNI. */
#ifndef FTV_AVX2_H
#define FTV_AVX2_H

#include "../../ftv_engine.h"
#include "../../ftv_fixed.h"
#include "../ftv_kernels.h"
#include "../ftv_targets.h"

#if FTV_X86
#include <immintrin.h>

/* The CPU's abilities are a matter of the function, not of the file: the library runs on every x86-64. */
#define FTV_AVX2        __attribute__((target("avx2,bmi,lzcnt")))
#define FTV_AVX2_INLINE static inline FTV_AVX2 __attribute__((always_inline))
#define FTV_AVXVNNI     __attribute__((target("avx2,avxvnni,bmi,lzcnt")))

/* Before a loop over registers, whose count is a constant: arrays of vectors become registers. */
#define FTV_UNROLL _Pragma("GCC unroll 16")

/* ---- a tile's product ---- */

/* Bytes of a decoded tile: codes w + 1 = 0..2 as [k / 4][16 channels][k % 4], k up to a multiple of 16. */
static inline size_t ftv_codes_bytes(uint32_t inputs) {
    return (size_t)ftv_round16(inputs) * FTV_TILE;
}

/* codes: 32-byte aligned. */
void ftv_codes_t2_avx2(uint8_t *codes, const uint8_t *tile, uint32_t inputs);
void ftv_codes_t5_avx2(uint8_t *codes, const uint8_t *tile, uint32_t inputs);

/* sums[token][16] = sum_k x[token * stride + k] * codes[k / 4][channel][k % 4], minus the token's sum of x: offsets.
 * groups: inputs / 16 rounded up. x: zero beyond the inputs. Nothing need be aligned but codes and sums, to 32 bytes. */
typedef void ftv_product_256(int32_t *sums, const int8_t *x, uint32_t stride, uint32_t tokens, const int32_t *offsets,
                             const uint8_t *codes, uint32_t groups);
ftv_product_256 ftv_product_s8u2_avx2;
ftv_product_256 ftv_product_s8u2_avxvnni;

/* offsets[token] = -sum_k x; magnitudes[token] = sum_k |x|. */
void ftv_token_sums_avx2(int32_t *offsets, int32_t *magnitudes, ftv_rows x, uint32_t tokens, uint32_t inputs);

/* ---- the sets' functions ---- */

size_t ftv_linear_scratch_bytes_avx2(uint32_t inputs);
/* ftv_kernels.linear_s8t2 and _s8t5 with either product. */
void ftv_linear_tile_avx2(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                          uint32_t inputs, void *scratch, ftv_encoding encoding, ftv_product_256 *product);
void ftv_layer_tiles_avx2(const ftv_layer_job *job, void *scratch, ftv_product_256 *product);
void ftv_qkv_part_avx2(const ftv_qkv_part *part, void *scratch, ftv_product_256 *product);

/* Scratch, bytes; of all steps. */
size_t ftv_layer_scratch_avx2(const ftv_model *model);
size_t ftv_qkv_scratch_avx2(const ftv_model *model);
size_t ftv_attend_scratch_avx2(const ftv_model *model);

static inline size_t ftv_scratch_bytes_avx2(const ftv_model *model) {
    size_t qkv = ftv_qkv_scratch_avx2(model), attend = ftv_attend_scratch_avx2(model);
    return qkv > attend ? qkv : attend; /* qkv's contains the layer's */
}

void ftv_linear_s8t2_avx2(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                          uint32_t inputs, void *scratch);
void ftv_linear_s8t5_avx2(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                          uint32_t inputs, void *scratch);
void ftv_linear_s8t2_avxvnni(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                             uint32_t inputs, void *scratch);
void ftv_linear_s8t5_avxvnni(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                             uint32_t inputs, void *scratch);
void ftv_scores_s8s8_avx2(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                          uint32_t head_dim);
void ftv_mix_s16s8_avx2(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                        uint32_t head_dim);
void ftv_layer_avx2(const ftv_layer_job *job, void *scratch);
void ftv_layer_avxvnni(const ftv_layer_job *job, void *scratch);
void ftv_qkv_avx2(const ftv_qkv_part *part, void *scratch);
void ftv_qkv_avxvnni(const ftv_qkv_part *part, void *scratch);
void ftv_attend_avx2(const ftv_attend_job *job, void *scratch);
void ftv_quantise_avx2(const ftv_quantise_job *job, void *scratch);

/* ---- small things ---- */

/* Scratch is 16-byte aligned; vectors want 32. */
static inline uint8_t *ftv_align32(void *scratch) {
    return (uint8_t *)(((uintptr_t)scratch + 31U) & ~(uintptr_t)31U);
}

FTV_AVX2_INLINE __m128i ftv_load128(const void *from) {
    return _mm_loadu_si128((const __m128i *)from);
}

FTV_AVX2_INLINE __m256i ftv_load256(const void *from) {
    return _mm256_loadu_si256((const __m256i *)from);
}

FTV_AVX2_INLINE void ftv_store256(void *to, __m256i v) {
    _mm256_storeu_si256((__m256i *)to, v);
}

/* The next four codes of a row, in every lane. */
FTV_AVX2_INLINE __m256i ftv_four_codes(const int8_t *x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return _mm256_set1_epi32(four);
}

FTV_AVX2_INLINE int32_t ftv_sum_of_lanes(__m256i v) {
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xB1)));
}

FTV_AVX2_INLINE int32_t ftv_largest_lane(__m256i v) {
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(four, _mm_shuffle_epi32(four, 0xB1)));
}

/* bits(a) - 15, not below 0: how far a sixteen's narrow values are shifted. */
FTV_AVX2_INLINE int32_t ftv_narrow_shift(int32_t a) {
    return ftv_max_s32(0, 17 - (int32_t)_lzcnt_u32((uint32_t)a));
}

/* Codes of values |y| <= 2^15: (y * R + 2^20) >> 21, of which the low sixteen bits of the product are no part. */
FTV_AVX2_INLINE __m256i ftv_codes_avx2(__m256i y, __m256i reciprocal) {
    return _mm256_srai_epi16(_mm256_add_epi16(_mm256_mulhi_epi16(y, reciprocal), _mm256_set1_epi16(16)), 5);
}

#endif
#endif
