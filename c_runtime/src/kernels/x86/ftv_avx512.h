/* Shared by the kernels for AVX-512 with VNNI, VBMI and VBMI2 (Ice Lake, Zen 4 and newer): what they need of the
 * CPU, and helpers that must become part of their callers. */
#ifndef FTV_AVX512_H
#define FTV_AVX512_H

#include "../../ftv_fixed.h"
#include "../ftv_kernels.h"
#include "../ftv_targets.h"

#if FTV_X86
#include <immintrin.h>

/* The CPU's abilities are a matter of the function, not of the file: the library runs on every x86-64. */
#define FTV_AVX512                                                                                                     \
    __attribute__((                                                                                                    \
        target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512vnni,avx2,bmi,bmi2,lzcnt")))
#define FTV_AVX512_INLINE static inline FTV_AVX512 __attribute__((always_inline))

/* Before a loop over registers, whose count is a constant: arrays of vectors become registers. */
#define FTV_UNROLL _Pragma("GCC unroll 16")

enum {
    FTV_PANEL_TILES = 4,  /* tiles of 16 channels that are decoded and multiplied together: a panel */
    FTV_PANEL = 64,       /* its channels */
    FTV_BLOCK_TOKENS = 6, /* at most, that share a panel's loads; 6 x 4 accumulators leave registers for operands */
    FTV_VECTOR = 64       /* bytes */
};

/* Up to whole vectors. */
static inline size_t ftv_vector_bytes(size_t bytes) {
    return (bytes + FTV_VECTOR - 1U) & ~(size_t)(FTV_VECTOR - 1U);
}

/* ---- a matrix's product, in panels of 64 channels ---- */

/* Bytes of a decoded panel: codes w + 1 = 0..2 as [k / 4][channel][k % 4], k up to a multiple of 16; and behind them, each
 * channel's own sum, s32 [channel]. Decoding waits for its stores, so that the sums come for nothing. */
static inline size_t ftv_panel_bytes(uint32_t inputs) {
    return (size_t)ftv_round16(inputs) * FTV_PANEL + FTV_PANEL * sizeof(int32_t);
}

/* sum and, of sixteen channels' codes of four inputs k and of the next four l, the sum of w_k w_l + 128 w_k: what the
 * products of ftv_pairs_avx512.h make of a row of zeros. */
FTV_AVX512_INLINE __m512i ftv_own_sums(__m512i sum, __m512i k, __m512i l) {
    return _mm512_dpbusd_epi32(sum, _mm512_add_epi8(l, _mm512_set1_epi8(127)),
                               _mm512_add_epi8(k, _mm512_set1_epi8(-1)));
}

/* Decodes tiles 0 .. tiles - 1 (at most 4) at `tile`; the panel's other channels are undefined but safe to multiply.
 * panel: 64-byte aligned. */
void ftv_panel_t2_avx512vnni(uint8_t *panel, const uint8_t *tile, uint32_t tile_bytes, uint32_t tiles, uint32_t inputs);
void ftv_panel_t5_avx512vnni(uint8_t *panel, const uint8_t *tile, uint32_t tile_bytes, uint32_t tiles, uint32_t inputs);

/* sums[token][tile][16] = sum_k x[token * stride + k] * (panel code - 1), `tokens` 1 .. 6. x: zero beyond the inputs,
 * groups = inputs / 16 rounded up. offsets[token]: minus the token's sum of codes. sums: 64-byte aligned. */
void ftv_product_s8u2_avx512vnni(int32_t *sums, const int8_t *x, uint32_t stride, uint32_t tokens,
                                 const int32_t *offsets, const uint8_t *panel, uint32_t groups);

/* Some tokens as a product wants them. */
typedef struct ftv_operand_avx512 {
    const int8_t *codes; /* [tokens][stride], as the product reads them */
    uint32_t stride;
    const int32_t *offsets;    /* [tokens]: what a token's sums begin with */
    const int32_t *magnitudes; /* [tokens]: sum_k |x| */
    ftv_rows x;                /* what the codes were made of */
    const uint8_t *flags;      /* [tokens], of ftv_pairs_avx512.h */
} ftv_operand_avx512;

/* Bytes of a word for each of `tokens` tokens, in whole vectors. */
static inline size_t ftv_words_bytes_avx512(uint32_t tokens) {
    return ftv_vector_bytes(tokens * sizeof(int32_t));
}

/* offsets[token] = -sum_k x; magnitudes[token] = sum_k |x|. */
void ftv_token_sums_avx512vnni(int32_t *offsets, int32_t *magnitudes, ftv_rows x, uint32_t tokens, uint32_t inputs);

/* The product of a panel's first tile, for the inner loops of ftv_kernels; scratch behind the panel. */
void ftv_first_tile_avx512vnni(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, uint8_t *panel,
                               uint32_t inputs);

/* The set's functions; ftv.h says what each computes. */
size_t ftv_linear_scratch_bytes_avx512vnni(uint32_t inputs);
void ftv_linear_s8t2_avx512vnni(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                                uint32_t inputs, void *scratch);
void ftv_linear_s8t5_avx512vnni(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                                uint32_t inputs, void *scratch);
void ftv_scores_s8s8_avx512vnni(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                                uint32_t head_dim);
void ftv_mix_s16s8_avx512vnni(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                              uint32_t head_dim);
void ftv_layer_avx512vnni(const ftv_layer_job *job, void *scratch);
void ftv_layer_avx512pairs(const ftv_layer_job *job, void *scratch);
void ftv_qkv_avx512vnni(const ftv_qkv_part *part, void *scratch);
void ftv_qkv_avx512pairs(const ftv_qkv_part *part, void *scratch);
void ftv_attend_avx512vnni(const ftv_attend_job *job, void *scratch);
void ftv_norm_avx512vnni(const ftv_norm_job *job, void *scratch);
void ftv_quantise_avx512vnni(const ftv_quantise_job *job, void *scratch);

/* Their scratch, bytes. */
size_t ftv_layer_scratch_avx512vnni(uint32_t tokens, uint32_t inputs);
size_t ftv_layer_scratch_avx512pairs(uint32_t tokens, uint32_t inputs);
size_t ftv_qkv_scratch_avx512vnni(uint32_t tokens, uint32_t head_rows, uint32_t inputs);
size_t ftv_qkv_scratch_avx512pairs(uint32_t tokens, uint32_t head_rows, uint32_t inputs);
size_t ftv_attend_scratch_avx512vnni(uint32_t tokens);
size_t ftv_norm_scratch_avx512vnni(uint32_t columns);

/* Of the steps of a set whose layer and qkv need so much: the most. */
static inline size_t ftv_scratch_avx512(const ftv_model *model, size_t layer, size_t qkv) {
    size_t attend = ftv_attend_scratch_avx512vnni(model->tokens), norm = ftv_norm_scratch_avx512vnni(model->width);
    size_t attention = qkv > attend ? qkv : attend, rest = layer > norm ? layer : norm;
    return attention > rest ? attention : rest;
}

static inline uint32_t ftv_most_inputs_avx512(const ftv_model *model) {
    uint32_t inner = model->width > model->hidden ? model->width : model->hidden;
    return model->patch.inputs > inner ? model->patch.inputs : inner;
}

static inline void ftv_panel_avx512vnni(uint8_t *panel, const ftv_linear *layer, ftv_encoding encoding,
                                        uint32_t first_tile, uint32_t tiles) {
    const uint8_t *tile = layer->tiles + (size_t)first_tile * layer->tile_bytes;
    if (encoding == FTV_T2) {
        ftv_panel_t2_avx512vnni(panel, tile, layer->tile_bytes, tiles, layer->inputs);
    } else {
        ftv_panel_t5_avx512vnni(panel, tile, layer->tile_bytes, tiles, layer->inputs);
    }
}

/* Asks for piece `piece` of `pieces` of the `bytes` bytes at `from`: a panel's tiles are needed only once all tokens have
 * passed over the panel before, but then at once, and they come from far. */
static inline void ftv_ask_for(const uint8_t *from, size_t bytes, uint32_t piece, uint32_t pieces) {
    size_t lines = bytes / FTV_VECTOR, each = (lines + pieces - 1U) / pieces;
    for (size_t line = piece * each; line < lines && line < (piece + 1U) * each; line++) {
        _mm_prefetch((const char *)from + line * FTV_VECTOR, _MM_HINT_T1);
    }
}

/* Tokens of the next block, such that blocks of at most `most` are of nearly even size. */
static inline uint32_t ftv_next_block(uint32_t left, uint32_t most) {
    return ftv_ceil_div(left, ftv_ceil_div(left, most));
}

/* Scratch is 16-byte aligned; vectors want 64. */
static inline uint8_t *ftv_align_vector(void *scratch) {
    return (uint8_t *)(((uintptr_t)scratch + FTV_VECTOR - 1U) & ~(uintptr_t)(FTV_VECTOR - 1U));
}

/* ---- NUMERICS.md, section 2, on a panel's sums ---- */

/* Multipliers and biases of a panel, 32-bit lanes. */
typedef struct ftv_affine_avx512 {
    __m512i mantissas[FTV_PANEL_TILES];
    __m512i bias[FTV_PANEL_TILES]; /* Q16 */
    int32_t exponent;
} ftv_affine_avx512;

FTV_AVX512_INLINE __m512i ftv_widen_u16(const uint16_t *values) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)values));
}

FTV_AVX512_INLINE __m512i ftv_widen_s16(const int16_t *values) {
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)values));
}

FTV_AVX512_INLINE ftv_affine_avx512 ftv_panel_affine(const ftv_linear *layer, uint32_t first_row, uint32_t tiles) {
    ftv_affine_avx512 affine = {.exponent = layer->exponent};
    __m128i shift = _mm_cvtsi32_si128(layer->bias_shift);
    FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
        uint32_t row = first_row + 16U * (i < tiles ? i : 0U);
        affine.mantissas[i] =
            layer->per_channel ? ftv_widen_u16(layer->mantissas + row) : _mm512_set1_epi32(layer->mantissas[0]);
        affine.bias[i] = _mm512_sll_epi32(ftv_widen_s16(layer->bias + row), shift);
    }
    return affine;
}

FTV_AVX512_INLINE __m512i ftv_sat30_avx512(__m512i v) {
    return _mm512_min_epi32(_mm512_max_epi32(v, _mm512_set1_epi32(FTV_Q16MIN)), _mm512_set1_epi32(FTV_Q16MAX));
}

FTV_AVX512_INLINE __m512i ftv_sat30_s64_avx512(__m512i v) {
    return _mm512_min_epi64(_mm512_max_epi64(v, _mm512_set1_epi64(FTV_Q16MIN)), _mm512_set1_epi64(FTV_Q16MAX));
}

/* sat30(v * 2^-s) of 64-bit lanes, any s. */
FTV_AVX512_INLINE __m512i ftv_shift_sat30_s64_avx512(__m512i v, int32_t s) {
    if (s >= 0) {
        return ftv_sat30_s64_avx512(_mm512_sra_epi64(v, _mm_cvtsi32_si128(ftv_min_s32(s, 62))));
    }
    __m512i left = _mm512_sll_epi64(ftv_sat30_s64_avx512(v), _mm_cvtsi32_si128(ftv_min_s32(-s, 31)));
    return ftv_sat30_s64_avx512(left);
}

/* sat30(a * b * 2^-s), products in 64 bits. */
FTV_AVX512_INLINE __m512i ftv_multiply_shift_avx512(__m512i a, __m512i b, int32_t s) {
    __m512i even = ftv_shift_sat30_s64_avx512(_mm512_mul_epi32(a, b), s);
    __m512i odd = ftv_shift_sat30_s64_avx512(_mm512_mul_epi32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32)), s);
    return _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
}

/* Whether acc * M, |acc| <= magnitude, M <= 32767, fits 32 bits, and the shift leaves nothing to saturate. */
static inline int ftv_is_narrow(int32_t magnitude, int32_t shift) {
    return magnitude <= 65538 && shift >= 5;
}

/* y of sixteen sums. M = (m_t * m_n + 2^14) >> 15 is one 16-bit multiplication, whose upper halves are zero. */
FTV_AVX512_INLINE __m512i ftv_requantise_avx512(__m512i sums, __m512i mantissa, __m512i mantissas, __m512i bias,
                                                int32_t shift, int narrow) {
    __m512i multiplier = _mm512_mulhrs_epi16(mantissa, mantissas);
    if (narrow) { /* |y| < 2^26, |bias| <= 2^29 */
        __m512i product = _mm512_mullo_epi32(sums, multiplier);
        return _mm512_add_epi32(_mm512_sra_epi32(product, _mm_cvtsi32_si128(shift)), bias);
    }
    return ftv_sat30_avx512(_mm512_add_epi32(ftv_multiply_shift_avx512(sums, multiplier, shift), bias));
}

/* y of vectors first .. first + count - 1 of one token's panel. */
FTV_AVX512_INLINE void ftv_requantise_vectors(__m512i *y, const int32_t *sums, ftv_multiplier scale, int32_t magnitude,
                                              const ftv_affine_avx512 *affine, uint32_t first, const uint32_t count) {
    int32_t shift = scale.exponent + affine->exponent - 15;
    __m512i mantissa = _mm512_set1_epi32(scale.mantissa);
    int narrow = ftv_is_narrow(magnitude, shift);
    FTV_UNROLL for (uint32_t i = 0; i < count; i++) {
        y[i] = ftv_requantise_avx512(_mm512_load_si512(sums + 16U * (first + i)), mantissa,
                                     affine->mantissas[first + i], affine->bias[first + i], shift, narrow);
    }
}

FTV_AVX512_INLINE void ftv_requantise_panel(__m512i y[FTV_PANEL_TILES], const int32_t *sums, ftv_multiplier scale,
                                            int32_t magnitude, const ftv_affine_avx512 *affine) {
    ftv_requantise_vectors(y, sums, scale, magnitude, affine, 0, FTV_PANEL_TILES);
}

/* ---- rows ---- */

/* Four vectors' largest lanes, each in all four lanes of its own quarter. */
FTV_AVX512_INLINE __m512i ftv_largest_of_four(__m512i a, __m512i b, __m512i c, __m512i d) {
    __m512i ab = _mm512_max_epi32(_mm512_shuffle_i32x4(a, b, 0x44), _mm512_shuffle_i32x4(a, b, 0xEE));
    __m512i cd = _mm512_max_epi32(_mm512_shuffle_i32x4(c, d, 0x44), _mm512_shuffle_i32x4(c, d, 0xEE));
    __m512i all = _mm512_max_epi32(_mm512_shuffle_i32x4(ab, cd, 0x88), _mm512_shuffle_i32x4(ab, cd, 0xDD));
    all = _mm512_max_epi32(all, _mm512_shuffle_epi32(all, _MM_PERM_BADC));
    return _mm512_max_epi32(all, _mm512_shuffle_epi32(all, _MM_PERM_CDAB));
}

/* Four vectors' sums of lanes, each in all four lanes of its own quarter. */
FTV_AVX512_INLINE __m512i ftv_sum_of_four(__m512i a, __m512i b, __m512i c, __m512i d) {
    __m512i ab = _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x44), _mm512_shuffle_i32x4(a, b, 0xEE));
    __m512i cd = _mm512_add_epi32(_mm512_shuffle_i32x4(c, d, 0x44), _mm512_shuffle_i32x4(c, d, 0xEE));
    __m512i all = _mm512_add_epi32(_mm512_shuffle_i32x4(ab, cd, 0x88), _mm512_shuffle_i32x4(ab, cd, 0xDD));
    all = _mm512_add_epi32(all, _mm512_shuffle_epi32(all, _MM_PERM_BADC));
    return _mm512_add_epi32(all, _mm512_shuffle_epi32(all, _MM_PERM_CDAB));
}

/* The four quarters' numbers of ftv_largest_of_four and ftv_sum_of_four. */
FTV_AVX512_INLINE __m128i ftv_four_quarters(__m512i quarters) {
    const __m512i firsts = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
    return _mm512_castsi512_si128(_mm512_permutexvar_epi32(firsts, quarters));
}

/* A row's absmax and what follows from it (NUMERICS.md, section 1), of sixteen rows at once. */
typedef struct ftv_absmax_avx512 {
    __m512i a15;
    __m512i k;
    __m512i reciprocal;
} ftv_absmax_avx512;

/* floor(n / d) of sixteen values below 2^29: doubles are exact, and their quotient is never rounded across an
 * integer. */
FTV_AVX512_INLINE __m512i ftv_divide_avx512(__m512i n, __m512i d) {
    __m512d low =
        _mm512_div_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(n)), _mm512_cvtepi32_pd(_mm512_castsi512_si256(d)));
    __m512d high = _mm512_div_pd(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(n, 1)),
                                 _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(d, 1)));
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvttpd_epi32(low)), _mm512_cvttpd_epi32(high), 1);
}

/* a: 1 .. 2^31 - 1. */
FTV_AVX512_INLINE ftv_absmax_avx512 ftv_absmax_of_avx512(__m512i a, int32_t levels) {
    __m512i k = _mm512_sub_epi32(_mm512_lzcnt_epi32(a), _mm512_set1_epi32(17)); /* 15 - bits(a) */
    __m512i zero = _mm512_setzero_si512();
    __m512i left = _mm512_sllv_epi32(a, _mm512_max_epi32(k, zero));
    __m512i a15 = _mm512_srlv_epi32(left, _mm512_max_epi32(_mm512_sub_epi32(zero, k), zero));
    return (ftv_absmax_avx512){a15, k, ftv_divide_avx512(_mm512_set1_epi32(levels << 21), a15)};
}

/* The first `count` lanes, all from 16 and 64 on. */
FTV_AVX512_INLINE __mmask16 ftv_lanes16(uint32_t count) {
    return (__mmask16)((1U << ftv_min_u32(count, 16U)) - 1U);
}

FTV_AVX512_INLINE __mmask64 ftv_lanes64(uint32_t count) {
    return count >= 64U ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1U;
}

/* Codes of values y with |y| <= 2^15: (y * R + 2^20) >> 21, of which the low sixteen bits of the product are no part. */
FTV_AVX512_INLINE __m512i ftv_codes_avx512(__m512i y, __m512i reciprocal) {
    __m512i high = _mm512_mulhi_epi16(y, reciprocal);
    return _mm512_srai_epi16(_mm512_add_epi16(high, _mm512_set1_epi16(16)), 5);
}

/* x * 2^k of 32-bit lanes, |k| < 32. */
FTV_AVX512_INLINE __m512i ftv_scale_by_k(__m512i x, int32_t k) {
    return k >= 0 ? _mm512_sll_epi32(x, _mm_cvtsi32_si128(k)) : _mm512_sra_epi32(x, _mm_cvtsi32_si128(-k));
}

/* Sixty-four codes of four vectors of Q16 values, in order. */
FTV_AVX512_INLINE __m512i ftv_quantise_four(const __m512i x[4], int32_t k, int32_t reciprocal) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i r = _mm512_set1_epi16((int16_t)reciprocal);
    __m512i ab = _mm512_packs_epi32(ftv_scale_by_k(x[0], k), ftv_scale_by_k(x[1], k));
    __m512i cd = _mm512_packs_epi32(ftv_scale_by_k(x[2], k), ftv_scale_by_k(x[3], k));
    __m512i bytes = _mm512_packs_epi16(ftv_codes_avx512(ab, r), ftv_codes_avx512(cd, r));
    return _mm512_permutexvar_epi32(order, bytes);
}

/* Four sixteens of Q16 values of one row -> narrow values and their absmax; the first `tiles` of them are stored. */
FTV_AVX512_INLINE void ftv_store_narrow(int16_t *values, int32_t *absmax, const __m512i y[4], const uint32_t tiles) {
    __m512i a = ftv_largest_of_four(_mm512_abs_epi32(y[0]), _mm512_abs_epi32(y[1]), _mm512_abs_epi32(y[2]),
                                    _mm512_abs_epi32(y[3]));
    /* bits(a) - 15, not below 0 */
    __m512i s = _mm512_subs_epu16(_mm512_set1_epi32(17), _mm512_lzcnt_epi32(a));
    const __m512i shifts[4] = {_mm512_shuffle_i32x4(s, s, 0x00), _mm512_shuffle_i32x4(s, s, 0x55),
                               _mm512_shuffle_i32x4(s, s, 0xAA), _mm512_shuffle_i32x4(s, s, 0xFF)};
    FTV_UNROLL for (uint32_t i = 0; i < 4U; i++) {
        if (i < tiles) {
            __m256i narrow = _mm512_cvtepi32_epi16(_mm512_srav_epi32(y[i], shifts[i]));
            _mm256_storeu_si256((__m256i *)(void *)(values + 16U * i), narrow);
        }
    }
    if (tiles == 4U) {
        _mm_storeu_si128((__m128i *)(void *)absmax, ftv_four_quarters(a));
    } else {
        _mm_mask_storeu_epi32(absmax, (__mmask8)((1U << tiles) - 1U), ftv_four_quarters(a));
    }
}

#endif
#endif
