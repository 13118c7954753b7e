/* One head's Q, K or V over a range of tokens: NUMERICS.md, sections 2 and 5. See ftv.h, ftv_qkv_part, and
 * ftv_qkv_avx512.h for the layout. While the sums of some tokens are made, those of the tokens before become codes, in
 * slices strewn into the product. scratch: ftv_qkv_scratch_avx512vnni(). */
#include "ftv_product_avx512.h"
#include "ftv_qkv_avx512.h"

#if FTV_X86

typedef struct qkv_scratch {
    uint8_t *panel;
    int32_t *sums[2];    /* [6][64] each, then y */
    int32_t *largest;    /* [6][16] |y| by lanes */
    int8_t *codes;       /* [16][64] */
    int32_t *offsets;    /* [count] */
    int32_t *magnitudes; /* [count] */
} qkv_scratch;

/* A block of tokens. */
typedef struct block {
    const ftv_qkv_part *part;
    const qkv_scratch *scratch;
    const ftv_affine_avx512 *affine;
    int32_t *sums;
    uint32_t first; /* token of the call */
    uint32_t tokens;
    uint32_t tiles;
} block;

static size_t sums_bytes(void) {
    return FTV_BLOCK_TOKENS * FTV_PANEL * sizeof(int32_t);
}

size_t ftv_qkv_scratch_avx512vnni(uint32_t tokens, uint32_t head_rows, uint32_t inputs) {
    if (head_rows > FTV_PANEL) {
        return ftv_qkv_wide_scratch_avx512vnni(tokens, head_rows, inputs);
    }
    return FTV_VECTOR + ftv_panel_bytes(inputs) + 2U * sums_bytes() + FTV_BLOCK_TOKENS * FTV_VECTOR +
           FTV_QKV_TOKENS * FTV_PANEL + 2U * ftv_vector_bytes(tokens * sizeof(int32_t));
}

static qkv_scratch lay_out(void *scratch, uint32_t tokens, uint32_t inputs) {
    uint8_t *panel = ftv_align_vector(scratch), *sums = panel + ftv_panel_bytes(inputs);
    uint8_t *largest = sums + 2U * sums_bytes(), *codes = largest + FTV_BLOCK_TOKENS * FTV_VECTOR;
    uint8_t *offsets = codes + FTV_QKV_TOKENS * FTV_PANEL;
    qkv_scratch s = {.panel = panel,
                     .sums = {(int32_t *)(void *)sums, (int32_t *)(void *)(sums + sums_bytes())},
                     .largest = (int32_t *)(void *)largest,
                     .codes = (int8_t *)codes,
                     .offsets = (int32_t *)(void *)offsets};
    s.magnitudes = s.offsets + ftv_vector_bytes(tokens * sizeof(int32_t)) / sizeof(int32_t);
    return s;
}

/* ---- slices of what follows a block's product ---- */

/* y over the sums, zeros in tiles that the head has not. */
FTV_AVX512_INLINE void requantise(const block *b, uint32_t t, const uint32_t tiles) {
    int32_t *sums = b->sums + (size_t)t * FTV_PANEL;
    __m512i y[FTV_PANEL_TILES], largest = _mm512_set1_epi32(1);
    ftv_requantise_panel(y, sums, b->part->x.scales[b->part->first + b->first + t],
                         b->scratch->magnitudes[b->first + t], b->affine);
    FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
        y[i] = i < tiles ? y[i] : _mm512_setzero_si512();
        _mm512_store_si512(sums + 16U * i, y[i]);
        largest = _mm512_max_epi32(largest, _mm512_abs_epi32(y[i]));
    }
    _mm512_store_si512(b->scratch->largest + 16U * t, largest);
}

FTV_AVX512_INLINE void find_absmax(const block *b, uint32_t t) {
    int32_t a = _mm512_reduce_max_epi32(_mm512_load_si512(b->scratch->largest + 16U * t));
    b->part->absmax[b->part->first + b->first + t] = a;
}

FTV_AVX512_INLINE void quantise(const block *b, uint32_t t) {
    const int32_t *y = b->sums + (size_t)t * FTV_PANEL;
    uint32_t a = (uint32_t)b->part->absmax[b->part->first + b->first + t];
    int32_t k = (int32_t)_lzcnt_u32(a) - 17;
    uint32_t a15 = k >= 0 ? a << k : a >> -k;
    const __m512i four[4] = {_mm512_load_si512(y), _mm512_load_si512(y + 16), _mm512_load_si512(y + 32),
                             _mm512_load_si512(y + 48)};
    __m512i codes = ftv_quantise_four(four, k, (int32_t)(((uint32_t)b->part->levels << 21) / a15));
    _mm512_store_si512(b->scratch->codes + (size_t)((b->first + t) % FTV_QKV_TOKENS) * FTV_PANEL, codes);
}

FTV_AVX512_INLINE void make_codes(const block *b, uint32_t stage, uint32_t t, const uint32_t tiles) {
    switch (stage) {
    case 0:
        requantise(b, t, tiles);
        break;
    case 1:
        find_absmax(b, t);
        break;
    default:
        quantise(b, t);
        break;
    }
}

enum { STAGES = 3 };

FTV_AVX512_INLINE void slice(const void *work, uint32_t stage, uint32_t t) {
    make_codes(work, stage, t, FTV_PANEL_TILES);
}

/* ---- blocks ---- */

FTV_AVX512_INLINE void product_beside(const block *now, const uint32_t tokens, const block *before) {
    const ftv_qkv_part *part = now->part;
    ftv_product_beside(now->sums, part->x.codes + (size_t)(part->first + now->first) * part->x.stride, part->x.stride,
                       tokens, now->scratch->offsets + now->first, now->scratch->panel,
                       ftv_ceil_div(part->layer->inputs, 16U), slice,
                       (ftv_beside_avx512){before, STAGES, before->tokens});
}

FTV_AVX512
static void beside_6(const block *now, const block *before) {
    product_beside(now, 6, before);
}

FTV_AVX512
static void beside_5(const block *now, const block *before) {
    product_beside(now, 5, before);
}

FTV_AVX512
static void alone(const block *b) {
    for (uint32_t stage = 0; stage < STAGES; stage++) {
        for (uint32_t t = 0; t < b->tokens; t++) {
            make_codes(b, stage, t, b->tiles);
        }
    }
}

/* Once a block's codes are there, so may be sixteen tokens'; beyond the last token they are zeros. */
FTV_AVX512
static void put_codes(const block *b) {
    uint32_t end = b->first + b->tokens;
    if (end == b->part->count) {
        for (; end % FTV_QKV_TOKENS != 0U; end++) {
            _mm512_store_si512(b->scratch->codes + (size_t)(end % FTV_QKV_TOKENS) * FTV_PANEL, _mm512_setzero_si512());
        }
    }
    if (end % FTV_QKV_TOKENS == 0U) {
        ftv_qkv_store_tokens(b->part, b->part->first + end - FTV_QKV_TOKENS, b->scratch->codes, FTV_PANEL);
    }
}

/* before->tokens is 0 where there is no block before. */
static void run_block(const block *now, const block *before) {
    const ftv_qkv_part *part = now->part;
    if (before->tokens > 0U && before->tiles == FTV_PANEL_TILES && now->tokens >= 5U) {
        (now->tokens == 6U ? beside_6 : beside_5)(now, before);
    } else {
        ftv_product_s8u2_avx512vnni(now->sums, part->x.codes + (size_t)(part->first + now->first) * part->x.stride,
                                    part->x.stride, now->tokens, now->scratch->offsets + now->first,
                                    now->scratch->panel, ftv_ceil_div(part->layer->inputs, 16U));
        if (before->tokens > 0U) {
            alone(before);
        }
    }
    if (before->tokens > 0U) {
        put_codes(before);
    }
}

FTV_AVX512
static void run_blocks(const ftv_qkv_part *part, void *scratch) {
    qkv_scratch s = lay_out(scratch, part->count, part->layer->inputs);
    uint32_t tiles = part->head_rows / FTV_TILE, blocks = 0;
    const ftv_affine_avx512 affine = ftv_panel_affine(part->layer, part->first_row, tiles);
    block before = {.tokens = 0};
    ftv_rows x = {part->x.codes + (size_t)part->first * part->x.stride, part->x.scales + part->first, part->x.stride};
    if (part->again == 0U) {
        ftv_token_sums_avx512vnni(s.offsets, s.magnitudes, x, part->count, part->layer->inputs);
    }
    ftv_panel_avx512vnni(s.panel, part->layer, part->encoding, part->first_row / FTV_TILE, tiles);
    for (uint32_t first = 0; first < part->count; blocks++) { /* no block reaches from one sixteen into the next */
        uint32_t left = ftv_min_u32(part->count - first, FTV_QKV_TOKENS - first % FTV_QKV_TOKENS);
        block now = {part, &s, &affine, s.sums[blocks % 2U], first, ftv_next_block(left, FTV_BLOCK_TOKENS), tiles};
        run_block(&now, &before);
        before = now;
        first += now.tokens;
    }
    alone(&before);
    put_codes(&before);
}

void ftv_qkv_avx512vnni(const ftv_qkv_part *part, void *scratch) {
    if (part->head_rows > FTV_PANEL) {
        ftv_qkv_wide_avx512vnni(part, scratch);
    } else if (part->count > 0U) {
        run_blocks(part, scratch);
    }
}

#endif
