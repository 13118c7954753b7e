/* One head's Q, K or V over a range of tokens, with either product: NUMERICS.md, sections 2 and 5. See ftv.h,
 * ftv_qkv_part.
 *
 * Layouts, for whole tiles of sixteen tokens, h = head_rows; zeros for tokens of the last tile that do not exist:
 *   Q: u8 [token][h], codes + 64, unsigned operands;
 *   K: s8 [token / 16][column / 4][token % 16][column % 4];
 *   V: s16 [token / 2][column][token % 2], pairs for vpmaddwd.
 * scratch: ftv_qkv_scratch_avx2(): y and codes of some tokens, then that of the layer. */
#include "ftv_avx2.h"

#if FTV_X86

enum { TOKENS = 96 }; /* that are made together: a decoded tile serves all of them */

size_t ftv_qkv_scratch_avx2(const ftv_model *model) {
    return 32U + (size_t)TOKENS * model->head_rows * (sizeof(int32_t) + 1U) + ftv_layer_scratch_avx2(model);
}

static void project(int32_t *y, const ftv_qkv_part *part, uint32_t first, uint32_t tokens, void *scratch,
                    ftv_product_256 *product) {
    ftv_layer_job job = {.layer = part->layer,
                         .encoding = part->encoding,
                         .first_tile = part->first_row / FTV_TILE,
                         .tiles = part->head_rows / FTV_TILE,
                         .x = part->x,
                         .tokens = tokens,
                         .output = FTV_STORE,
                         .out = y,
                         .out_stride = part->head_rows};
    job.x.codes += (size_t)first * part->x.stride;
    job.x.scales += first;
    ftv_layer_tiles_avx2(&job, scratch, product);
}

/* Codes of one row of `columns` values, a multiple of sixteen; returns its absmax. */
FTV_AVX2_INLINE int32_t quantise_row(int8_t *codes, const int32_t *y, uint32_t columns, int32_t levels) {
    __m256i largest = _mm256_set1_epi32(1);
    for (uint32_t c = 0; c < columns; c += 8U) {
        largest = _mm256_max_epi32(largest, _mm256_abs_epi32(ftv_load256(y + c)));
    }
    int32_t a = ftv_largest_lane(largest), k = (int32_t)_lzcnt_u32((uint32_t)a) - 17;
    uint32_t a15 = k >= 0 ? (uint32_t)a << k : (uint32_t)a >> -k;
    __m256i reciprocal = _mm256_set1_epi16((int16_t)(((uint32_t)levels << 21) / a15));
    __m128i left = _mm_cvtsi32_si128(ftv_max_s32(k, 0)), right = _mm_cvtsi32_si128(ftv_max_s32(-k, 0));
    for (uint32_t c = 0; c < columns; c += 16U) {
        __m256i low = _mm256_sra_epi32(_mm256_sll_epi32(ftv_load256(y + c), left), right);
        __m256i high = _mm256_sra_epi32(_mm256_sll_epi32(ftv_load256(y + c + 8), left), right);
        __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
        words = ftv_codes_avx2(words, reciprocal);
        __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        _mm_storeu_si128((__m128i *)(void *)(codes + c), bytes);
    }
    return a;
}

/* Sixteen tokens' codes [16][head_rows] in the layout of each part. */

FTV_AVX2_INLINE void store_q(int8_t *out, const int8_t *codes, uint32_t head_rows) {
    for (uint32_t i = 0; i < 16U * head_rows; i += 32U) {
        ftv_store256(out + i, _mm256_add_epi8(ftv_load256(codes + i), _mm256_set1_epi8(64)));
    }
}

static void store_k(int8_t *out, const int8_t *codes, uint32_t head_rows) {
    for (uint32_t c = 0; c < head_rows; c += 4U) {
        for (uint32_t t = 0; t < 16U; t++) {
            __builtin_memcpy(out + (size_t)c * 16U + (size_t)t * 4U, codes + (size_t)t * head_rows + c, 4);
        }
    }
}

FTV_AVX2_INLINE void store_v(int8_t *out, const int8_t *codes, uint32_t head_rows) {
    for (uint32_t t = 0; t < 16U; t += 2U) {
        const int8_t *even = codes + (size_t)t * head_rows, *odd = even + head_rows;
        for (uint32_t c = 0; c < head_rows; c += 8U) {
            __m256i low = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(even + c)));
            __m256i high = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(odd + c)));
            __m256i pairs = _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xAA);
            ftv_store256(out + (size_t)t * head_rows * 2U + (size_t)c * 4U, pairs);
        }
    }
}

FTV_AVX2
static void lay_out(const ftv_qkv_part *part, uint32_t first, const int8_t *codes) {
    if (part->part == FTV_Q) {
        store_q(part->codes + (size_t)first * part->head_rows, codes, part->head_rows);
    } else if (part->part == FTV_K) {
        store_k(part->codes + (size_t)first * part->head_rows, codes, part->head_rows);
    } else {
        store_v(part->codes + (size_t)first * part->head_rows * 2U, codes, part->head_rows);
    }
}

FTV_AVX2
static void quantise_rows(const ftv_qkv_part *part, uint32_t first, uint32_t tokens, int8_t *codes, const int32_t *y) {
    size_t h = part->head_rows;
    for (uint32_t t = 0; t < tokens; t++) {
        part->absmax[first + t] = quantise_row(codes + t * h, y + t * h, part->head_rows, part->levels);
    }
    __builtin_memset(codes + tokens * h, 0, (ftv_round16(tokens) - tokens) * h);
    for (uint32_t t = 0; t < tokens; t += 16U) {
        lay_out(part, first + t, codes + t * h);
    }
}

void ftv_qkv_part_avx2(const ftv_qkv_part *part, void *scratch, ftv_product_256 *product) {
    int32_t *y = (int32_t *)(void *)ftv_align32(scratch);
    int8_t *codes = (int8_t *)(y + (size_t)TOKENS * part->head_rows);
    for (uint32_t done = 0, tokens; done < part->count; done += tokens) {
        tokens = ftv_min_u32(TOKENS, part->count - done);
        project(y, part, part->first + done, tokens, codes + (size_t)TOKENS * part->head_rows, product);
        quantise_rows(part, part->first + done, tokens, codes, y);
    }
}

#endif
