/* One head's Q, K or V over a range of tokens, some tokens at a time and each step for all of them: NUMERICS.md, sections
 * 2 and 5. See ftv.h, ftv_qkv_part, and ftv_qkv_avx512.h for the layout. A set's own file says how it multiplies. */
#ifndef FTV_QKV_ROWS_AVX512_H
#define FTV_QKV_ROWS_AVX512_H

#include "ftv_qkv_avx512.h"

#if FTV_X86

enum {
    TOKENS = 3 * FTV_QKV_TOKENS, /* that take each step together */
    ROWS = FTV_QKV_TOKENS        /* whose scales are found at once */
};

typedef struct qkv_scratch {
    uint8_t *panels;  /* all of the head, decoded */
    int32_t *sums;    /* [6][64] of one panel */
    int32_t *y;       /* [48][columns] */
    int8_t *codes;    /* [16][columns] */
    uint32_t columns; /* head_rows rounded up to whole panels */
    size_t panel_bytes;
    ftv_operand_avx512 x; /* [count] */
} qkv_scratch;

/* Absmax and multiplier of sixteen rows. */
typedef struct rows_scale {
    int32_t k[ROWS];
    int32_t reciprocal[ROWS];
} rows_scale;

static uint32_t panel_columns(uint32_t head_rows) {
    return ftv_ceil_div(head_rows, FTV_PANEL) * FTV_PANEL;
}

static size_t qkv_bytes(uint32_t tokens, uint32_t head_rows, uint32_t inputs) {
    size_t columns = panel_columns(head_rows);
    return FTV_VECTOR + columns / FTV_PANEL * ftv_panel_bytes(inputs) + FTV_BLOCK_TOKENS * FTV_PANEL * sizeof(int32_t) +
           columns * (TOKENS * sizeof(int32_t) + ROWS) + ftv_way_bytes(tokens, inputs);
}

static qkv_scratch lay_out(void *scratch, const ftv_qkv_part *part) {
    uint32_t inputs = part->layer->inputs;
    qkv_scratch s = {.columns = panel_columns(part->head_rows), .panel_bytes = ftv_panel_bytes(inputs)};
    s.panels = ftv_align_vector(scratch);
    s.sums = (int32_t *)(void *)(s.panels + s.columns / FTV_PANEL * s.panel_bytes);
    s.y = s.sums + FTV_BLOCK_TOKENS * FTV_PANEL;
    s.codes = (int8_t *)(s.y + TOKENS * (size_t)s.columns);
    ftv_rows x = {part->x.codes + (size_t)part->first * part->x.stride, part->x.scales + part->first, part->x.stride};
    s.x = ftv_way_rows((uint8_t *)s.codes + ROWS * (size_t)s.columns, x, part->count, inputs, part->again);
    return s;
}

/* The y of a block's sums, zeros in tiles that the panel has not. */
FTV_AVX512_INLINE void requantise_block(const ftv_qkv_part *part, const qkv_scratch *s, const ftv_affine_avx512 *affine,
                                        int32_t *y, uint32_t first, uint32_t tokens, uint32_t tiles) {
    const ftv_multiplier *scales = part->x.scales + part->first + first;
    for (uint32_t t = 0; t < tokens; t++) {
        __m512i four[FTV_PANEL_TILES];
        ftv_requantise_panel(four, s->sums + (size_t)t * FTV_PANEL, scales[t], s->x.magnitudes[first + t], affine);
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            _mm512_store_si512(y + (size_t)t * s->columns + 16U * i, i < tiles ? four[i] : _mm512_setzero_si512());
        }
    }
}

/* Y of one panel, tokens first .. first + tokens - 1 of the call. */
FTV_AVX512
static void project(const ftv_qkv_part *part, const qkv_scratch *s, uint32_t panel, uint32_t first, uint32_t tokens) {
    uint32_t row = part->first_row + panel * FTV_PANEL;
    uint32_t tiles = ftv_min_u32((part->head_rows - panel * FTV_PANEL) / FTV_TILE, FTV_PANEL_TILES);
    const ftv_affine_avx512 affine = ftv_panel_affine(part->layer, row, tiles);
    int32_t *y = s->y + (size_t)panel * FTV_PANEL;
    for (uint32_t done = 0, some; done < tokens; done += some) {
        some = ftv_next_block(tokens - done, FTV_WAY_TOKENS);
        ftv_way_product(s->sums, &s->x, first + done, some, s->panels + panel * s->panel_bytes,
                        ftv_ceil_div(part->layer->inputs, 16U));
        requantise_block(part, s, &affine, y + (size_t)done * s->columns, first + done, some, tiles);
    }
}

FTV_AVX512_INLINE __m512i largest_of_row(const int32_t *y, uint32_t columns) {
    __m512i largest = _mm512_set1_epi32(1);
    for (uint32_t c = 0; c < columns; c += 16U) {
        largest = _mm512_max_epi32(largest, _mm512_abs_epi32(_mm512_load_si512(y + c)));
    }
    return largest;
}

/* Sixteen rows from y on, of which `tokens` exist: their absmax, and their own multipliers. */
FTV_AVX512_INLINE void scale_rows(rows_scale *scale, int32_t *absmax, const int32_t *y, uint32_t columns,
                                  uint32_t tokens, int32_t levels) {
    _Alignas(64) int32_t a[ROWS];
    for (uint32_t t = 0; t < ROWS; t += 4U, y += 4U * (size_t)columns) {
        __m512i four = ftv_largest_of_four(largest_of_row(y, columns), largest_of_row(y + columns, columns),
                                           largest_of_row(y + 2U * (size_t)columns, columns),
                                           largest_of_row(y + 3U * (size_t)columns, columns));
        _mm_store_si128((__m128i *)(void *)(a + t), ftv_four_quarters(four));
    }
    ftv_absmax_avx512 all = ftv_absmax_of_avx512(_mm512_load_si512(a), levels);
    _mm512_mask_storeu_epi32(absmax, ftv_lanes16(tokens), _mm512_load_si512(a));
    _mm512_storeu_si512(scale->k, all.k);
    _mm512_storeu_si512(scale->reciprocal, all.reciprocal);
}

FTV_AVX512_INLINE void quantise_rows(int8_t *codes, const int32_t *y, uint32_t columns, const rows_scale *scale) {
    for (uint32_t t = 0; t < ROWS; t++) {
        for (uint32_t c = 0; c < columns; c += FTV_PANEL, y += FTV_PANEL, codes += FTV_PANEL) {
            const __m512i four[4] = {_mm512_load_si512(y), _mm512_load_si512(y + 16), _mm512_load_si512(y + 32),
                                     _mm512_load_si512(y + 48)};
            _mm512_store_si512(codes, ftv_quantise_four(four, scale->k[t], scale->reciprocal[t]));
        }
    }
}

/* Rows of tokens that do not exist, up to whole sixteens: zeros, whose codes are zeros. */
static void clear_rows(const qkv_scratch *s, uint32_t tokens) {
    for (size_t i = (size_t)tokens * s->columns; i < (size_t)ftv_round16(tokens) * s->columns; i++) {
        s->y[i] = 0;
    }
}

FTV_AVX512
static void make_tokens(const ftv_qkv_part *part, const qkv_scratch *s, uint32_t first, uint32_t tokens) {
    for (uint32_t panel = 0; panel < s->columns / FTV_PANEL; panel++) {
        project(part, s, panel, first, tokens);
    }
    clear_rows(s, tokens);
    for (uint32_t t = 0; t < tokens; t += ROWS) {
        rows_scale scale;
        const int32_t *y = s->y + (size_t)t * s->columns;
        scale_rows(&scale, part->absmax + part->first + first + t, y, s->columns, tokens - t, part->levels);
        quantise_rows(s->codes, y, s->columns, &scale);
        ftv_qkv_store_tokens(part, part->first + first + t, s->codes, s->columns);
    }
}

static void run_part(const ftv_qkv_part *part, void *scratch) {
    const qkv_scratch s = lay_out(scratch, part);
    for (uint32_t panel = 0; panel < s.columns / FTV_PANEL; panel++) {
        uint32_t tiles = ftv_min_u32((part->head_rows - panel * FTV_PANEL) / FTV_TILE, FTV_PANEL_TILES);
        ftv_panel_avx512vnni(s.panels + panel * s.panel_bytes, part->layer, part->encoding,
                             part->first_row / FTV_TILE + panel * FTV_PANEL_TILES, tiles);
    }
    for (uint32_t done = 0; done < part->count; done += TOKENS) {
        make_tokens(part, &s, done, ftv_min_u32(TOKENS, part->count - done));
    }
}

#endif
#endif
