/* A layer's tiles over all tokens, with what follows each output: NUMERICS.md, sections 2 and 6. Panels of four tiles are
 * decoded once and stay in the first cache while all tokens pass over them, six at a time.
 * scratch: ftv_layer_scratch_avx512vnni(). */
#include "ftv_avx512.h"
#include "ftv_gelu_avx512.h"

#if FTV_X86

typedef struct layer_scratch {
    uint8_t *panel;
    int32_t *sums;       /* [6][64] */
    int32_t *offsets;    /* [tokens] */
    int32_t *magnitudes; /* [tokens] */
} layer_scratch;

size_t ftv_layer_scratch_avx512vnni(uint32_t tokens, uint32_t inputs) {
    return FTV_VECTOR + ftv_panel_bytes(inputs) + FTV_BLOCK_TOKENS * FTV_PANEL * sizeof(int32_t) +
           2U * ftv_vector_bytes(tokens * sizeof(int32_t));
}

static layer_scratch lay_out(void *scratch, uint32_t tokens, uint32_t inputs) {
    uint8_t *panel = ftv_align_vector(scratch);
    int32_t *sums = (int32_t *)(void *)(panel + ftv_panel_bytes(inputs));
    int32_t *offsets = sums + FTV_BLOCK_TOKENS * FTV_PANEL;
    return (layer_scratch){panel, sums, offsets, offsets + ftv_vector_bytes(tokens * sizeof(int32_t)) / sizeof(int32_t)};
}

/* Where one token's panel goes. */
typedef struct panel_output {
    const ftv_layer_job *job;
    uint32_t row; /* of the layer, its first channel */
    uint32_t column;
    uint32_t tiles;
} panel_output;

FTV_AVX512_INLINE void store(const panel_output *to, uint32_t token, const __m512i y[FTV_PANEL_TILES]) {
    int32_t *out = to->job->out + (size_t)token * to->job->out_stride + to->column;
    for (uint32_t i = 0; i < to->tiles; i++) {
        _mm512_storeu_si512(out + 16U * i, y[i]);
    }
}

FTV_AVX512_INLINE void add(const panel_output *to, uint32_t token, const __m512i y[FTV_PANEL_TILES]) {
    int32_t *out = to->job->out + (size_t)token * to->job->out_stride + to->column;
    for (uint32_t i = 0; i < to->tiles; i++) {
        __m512i sum = _mm512_add_epi32(_mm512_loadu_si512(out + 16U * i), y[i]);
        _mm512_storeu_si512(out + 16U * i, ftv_sat30_avx512(sum));
    }
}

/* GELU makes something of the zeros of pad rows; they must not count. */
FTV_AVX512_INLINE void hide_pads(const panel_output *to, __m512i y[FTV_PANEL_TILES]) {
    FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
        uint32_t first = to->row + 16U * i, rows = to->job->layer->rows;
        uint32_t real = first >= rows ? 0U : ftv_min_u32(rows - first, 16U);
        y[i] = _mm512_maskz_mov_epi32((__mmask16)((1U << real) - 1U), y[i]);
    }
}

FTV_AVX512_INLINE void activate(const panel_output *to, uint32_t token, __m512i y[FTV_PANEL_TILES]) {
    const ftv_narrow *narrow = &to->job->narrow;
    ftv_gelu_avx512(&y[0], &y[1]);
    ftv_gelu_avx512(&y[2], &y[3]);
    if (to->row + FTV_PANEL > to->job->layer->rows) {
        hide_pads(to, y);
    }
    ftv_store_narrow(narrow->values + (size_t)token * narrow->stride + to->column,
                     narrow->absmax + ((size_t)token * narrow->stride + to->column) / 16U, y, to->tiles);
}

FTV_AVX512_INLINE void finish_token(const panel_output *to, const layer_scratch *scratch, uint32_t token,
                                    const int32_t *sums, const ftv_affine_avx512 *affine) {
    __m512i y[FTV_PANEL_TILES];
    ftv_requantise_panel(y, sums, to->job->x.scales[token], scratch->magnitudes[token], affine);
    switch (to->job->output) {
    case FTV_STORE:
        store(to, token, y);
        break;
    case FTV_ADD:
        add(to, token, y);
        break;
    case FTV_ACTIVATE:
        activate(to, token, y);
        break;
    }
}

FTV_AVX512
static void panel_over_tokens(const panel_output *to, const layer_scratch *scratch) {
    const ftv_layer_job *job = to->job;
    const ftv_affine_avx512 affine = ftv_panel_affine(job->layer, to->row, to->tiles);
    uint32_t groups = ftv_ceil_div(job->layer->inputs, 16U);
    for (uint32_t first = 0, tokens; first < job->tokens; first += tokens) {
        tokens = ftv_next_block(job->tokens - first, FTV_BLOCK_TOKENS);
        ftv_product_s8u2_avx512vnni(scratch->sums, job->x.codes + (size_t)first * job->x.stride, job->x.stride, tokens,
                                    scratch->offsets + first, scratch->panel, groups);
        for (uint32_t t = 0; t < tokens; t++) {
            finish_token(to, scratch, first + t, scratch->sums + (size_t)t * FTV_PANEL, &affine);
        }
    }
}

void ftv_layer_avx512vnni(const ftv_layer_job *job, void *scratch) {
    layer_scratch parts = lay_out(scratch, job->tokens, job->layer->inputs);
    ftv_token_sums_avx512vnni(parts.offsets, parts.magnitudes, job->x, job->tokens, job->layer->inputs);
    for (uint32_t done = 0; done < job->tiles; done += FTV_PANEL_TILES) {
        uint32_t tiles = ftv_min_u32(job->tiles - done, FTV_PANEL_TILES);
        panel_output to = {job, (job->first_tile + done) * FTV_TILE, job->column + done * FTV_TILE, tiles};
        ftv_panel_avx512vnni(parts.panel, job->layer, job->encoding, job->first_tile + done, tiles);
        panel_over_tokens(&to, &parts);
    }
}

#endif
