/* One head's Q, K or V of more than 64 rows, several panels, over a range of tokens: see ftv_qkv_avx512vnni.c.
 * scratch: ftv_qkv_wide_scratch_avx512vnni(). */
#include "ftv_qkv_avx512.h"

#if FTV_X86

enum { TOKENS = FTV_QKV_TOKENS };

typedef struct qkv_scratch {
    uint8_t *panels;    /* all of the head, decoded */
    int32_t *sums;      /* [16][64] of one panel */
    int32_t *y;         /* [16][columns] */
    int8_t *codes;      /* [16][columns] */
    int32_t *offsets;   /* [16] */
    int32_t *magnitudes;
    uint32_t columns; /* head_rows rounded up to whole panels */
    size_t panel_bytes;
} qkv_scratch;

/* Absmax and multiplier of sixteen rows. */
typedef struct rows_scale {
    int32_t k[TOKENS];
    int32_t reciprocal[TOKENS];
} rows_scale;

static uint32_t panel_columns(uint32_t head_rows) {
    return ftv_ceil_div(head_rows, FTV_PANEL) * FTV_PANEL;
}

size_t ftv_qkv_wide_scratch_avx512vnni(uint32_t head_rows, uint32_t inputs) {
    size_t columns = panel_columns(head_rows);
    return FTV_VECTOR + columns / FTV_PANEL * ftv_panel_bytes(inputs) + TOKENS * FTV_PANEL * sizeof(int32_t) +
           TOKENS * columns * (sizeof(int32_t) + 1U) + 2U * TOKENS * sizeof(int32_t);
}

static qkv_scratch lay_out(void *scratch, uint32_t head_rows, uint32_t inputs) {
    qkv_scratch s = {.columns = panel_columns(head_rows), .panel_bytes = ftv_panel_bytes(inputs)};
    s.panels = ftv_align_vector(scratch);
    s.sums = (int32_t *)(void *)(s.panels + s.columns / FTV_PANEL * s.panel_bytes);
    s.y = s.sums + TOKENS * FTV_PANEL;
    s.codes = (int8_t *)(s.y + TOKENS * (size_t)s.columns);
    s.offsets = (int32_t *)(void *)(s.codes + TOKENS * (size_t)s.columns);
    s.magnitudes = s.offsets + TOKENS;
    return s;
}

/* Y of one panel, tokens first .. first + tokens - 1. */
FTV_AVX512
static void project(const ftv_qkv_part *part, const qkv_scratch *s, uint32_t panel, uint32_t first, uint32_t tokens) {
    uint32_t row = part->first_row + panel * FTV_PANEL;
    uint32_t tiles = ftv_min_u32((part->head_rows - panel * FTV_PANEL) / FTV_TILE, FTV_PANEL_TILES);
    const ftv_affine_avx512 affine = ftv_panel_affine(part->layer, row, tiles);
    const __m512i zero = _mm512_setzero_si512();
    for (uint32_t done = 0, some; done < tokens; done += some) {
        some = ftv_next_block(tokens - done, FTV_BLOCK_TOKENS);
        ftv_product_s8u2_avx512vnni(s->sums + (size_t)done * FTV_PANEL,
                                    part->x.codes + (size_t)(first + done) * part->x.stride, part->x.stride, some,
                                    s->offsets + done, s->panels + panel * s->panel_bytes,
                                    ftv_ceil_div(part->layer->inputs, 16U));
    }
    for (uint32_t t = 0; t < tokens; t++) {
        __m512i y[FTV_PANEL_TILES];
        ftv_requantise_panel(y, s->sums + (size_t)t * FTV_PANEL, part->x.scales[first + t], s->magnitudes[t], &affine);
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            _mm512_store_si512(s->y + (size_t)t * s->columns + (size_t)panel * FTV_PANEL + 16U * i,
                               i < tiles ? y[i] : zero);
        }
    }
}

FTV_AVX512_INLINE __m512i largest_of_row(const int32_t *y, uint32_t columns) {
    __m512i largest = _mm512_set1_epi32(1);
    for (uint32_t c = 0; c < columns; c += 16U) {
        largest = _mm512_max_epi32(largest, _mm512_abs_epi32(_mm512_load_si512(y + c)));
    }
    return largest;
}

/* Absmax of sixteen rows, of which `tokens` exist; their own multipliers. */
FTV_AVX512
static void scale_rows(rows_scale *scale, const ftv_qkv_part *part, const qkv_scratch *s, uint32_t first,
                       uint32_t tokens) {
    _Alignas(64) int32_t a[TOKENS];
    for (uint32_t t = 0; t < TOKENS; t += 4U) {
        const int32_t *y = s->y + (size_t)t * s->columns;
        __m512i four = ftv_largest_of_four(
            largest_of_row(y, s->columns), largest_of_row(y + s->columns, s->columns),
            largest_of_row(y + 2U * s->columns, s->columns), largest_of_row(y + 3U * s->columns, s->columns));
        _mm_store_si128((__m128i *)(void *)(a + t), ftv_four_quarters(four));
    }
    __m512i absmax = _mm512_load_si512(a);
    ftv_absmax_avx512 all = ftv_absmax_of_avx512(absmax, part->levels);
    _mm512_mask_storeu_epi32(part->absmax + first, ftv_lanes16(tokens), absmax);
    _mm512_storeu_si512(scale->k, all.k);
    _mm512_storeu_si512(scale->reciprocal, all.reciprocal);
}

FTV_AVX512
static void quantise_rows(const qkv_scratch *s, const rows_scale *scale) {
    for (uint32_t t = 0; t < TOKENS; t++) {
        for (uint32_t c = 0; c < s->columns; c += FTV_PANEL) {
            const int32_t *y = s->y + (size_t)t * s->columns + c;
            const __m512i four[4] = {_mm512_load_si512(y), _mm512_load_si512(y + 16), _mm512_load_si512(y + 32),
                                     _mm512_load_si512(y + 48)};
            _mm512_store_si512(s->codes + (size_t)t * s->columns + c,
                               ftv_quantise_four(four, scale->k[t], scale->reciprocal[t]));
        }
    }
}

/* Rows of tokens that do not exist: zeros, whose codes are zeros. */
static void clear_rows(const qkv_scratch *s, uint32_t tokens) {
    for (size_t i = (size_t)tokens * s->columns; i < (size_t)TOKENS * s->columns; i++) {
        s->y[i] = 0;
    }
}

FTV_AVX512
static void make_tokens(const ftv_qkv_part *part, const qkv_scratch *s, uint32_t first, uint32_t tokens) {
    ftv_rows x = {part->x.codes + (size_t)first * part->x.stride, part->x.scales + first, part->x.stride};
    rows_scale scale;
    ftv_token_sums_avx512vnni(s->offsets, s->magnitudes, x, tokens, part->layer->inputs);
    clear_rows(s, tokens);
    for (uint32_t panel = 0; panel < s->columns / FTV_PANEL; panel++) {
        project(part, s, panel, first, tokens);
    }
    scale_rows(&scale, part, s, first, tokens);
    quantise_rows(s, &scale);
    ftv_qkv_store_tokens(part, first, s->codes, s->columns);
}

void ftv_qkv_wide_avx512vnni(const ftv_qkv_part *part, void *scratch) {
    qkv_scratch s = lay_out(scratch, part->head_rows, part->layer->inputs);
    for (uint32_t panel = 0; panel < s.columns / FTV_PANEL; panel++) {
        uint32_t tiles = ftv_min_u32((part->head_rows - panel * FTV_PANEL) / FTV_TILE, FTV_PANEL_TILES);
        ftv_panel_avx512vnni(s.panels + panel * s.panel_bytes, part->layer, part->encoding,
                             part->first_row / FTV_TILE + panel * FTV_PANEL_TILES, tiles);
    }
    for (uint32_t done = 0; done < part->count; done += TOKENS) {
        make_tokens(part, &s, part->first + done, ftv_min_u32(TOKENS, part->count - done));
    }
}

#endif
