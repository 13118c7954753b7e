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

/* Where a panel goes, and the tokens whose sums are ready. */
typedef struct panel_output {
    const ftv_layer_job *job;
    const layer_scratch *scratch;
    const ftv_affine_avx512 *affine;
    uint32_t row; /* of the layer, its first channel */
    uint32_t column;
    uint32_t tiles;
    uint32_t first; /* token */
    uint32_t tokens;
} panel_output;

FTV_AVX512_INLINE void outputs_of(__m512i y[FTV_PANEL_TILES], const panel_output *to, uint32_t t) {
    ftv_requantise_panel(y, to->scratch->sums + (size_t)t * FTV_PANEL, to->job->x.scales[to->first + t],
                         to->scratch->magnitudes[to->first + t], to->affine);
}

FTV_AVX512_INLINE void store_rows(const panel_output *to, const uint32_t tiles) {
    for (uint32_t t = 0; t < to->tokens; t++) {
        int32_t *out = to->job->out + (size_t)(to->first + t) * to->job->out_stride + to->column;
        __m512i y[FTV_PANEL_TILES];
        outputs_of(y, to, t);
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            if (i < tiles) {
                _mm512_storeu_si512(out + 16U * i, y[i]);
            }
        }
    }
}

FTV_AVX512_INLINE void add_rows(const panel_output *to, const uint32_t tiles) {
    for (uint32_t t = 0; t < to->tokens; t++) {
        int32_t *out = to->job->out + (size_t)(to->first + t) * to->job->out_stride + to->column;
        __m512i y[FTV_PANEL_TILES];
        outputs_of(y, to, t);
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            if (i < tiles) {
                __m512i sum = _mm512_add_epi32(_mm512_loadu_si512(out + 16U * i), y[i]);
                _mm512_storeu_si512(out + 16U * i, ftv_sat30_avx512(sum));
            }
        }
    }
}

/* GELU makes something of the zeros of pad rows, which must not count: lanes of tile i that are real. */
static __mmask16 real_lanes(const panel_output *to, uint32_t i) {
    uint32_t first = to->row + 16U * i, rows = to->job->layer->rows;
    return (__mmask16)((1U << (first >= rows ? 0U : ftv_min_u32(rows - first, 16U))) - 1U);
}

FTV_AVX512_INLINE void activate_rows(const panel_output *to, const uint32_t tiles) {
    const ftv_narrow *narrow = &to->job->narrow;
    const __mmask16 real[FTV_PANEL_TILES] = {real_lanes(to, 0), real_lanes(to, 1), real_lanes(to, 2),
                                             real_lanes(to, 3)};
    for (uint32_t t = 0; t < to->tokens; t += FTV_GELU_ROWS) {
        __m512i y[FTV_GELU_ROWS * FTV_PANEL_TILES];
        FTV_UNROLL for (uint32_t i = 0; i < FTV_GELU_ROWS; i++) { /* the last one again for those that are not there */
            outputs_of(y + i * FTV_PANEL_TILES, to, ftv_min_u32(t + i, to->tokens - 1U));
        }
        ftv_gelu_avx512(y);
        FTV_UNROLL for (uint32_t i = 0; i < FTV_GELU_ROWS * FTV_PANEL_TILES; i++) {
            y[i] = _mm512_maskz_mov_epi32(real[i % FTV_PANEL_TILES], y[i]);
        }
        FTV_UNROLL for (uint32_t i = 0; i < FTV_GELU_ROWS; i++) {
            size_t at = (size_t)(to->first + ftv_min_u32(t + i, to->tokens - 1U)) * narrow->stride + to->column;
            ftv_store_narrow(narrow->values + at, narrow->absmax + at / 16U, y + i * FTV_PANEL_TILES, tiles);
        }
    }
}

/* Whole panels need no masks. */
#define FTV_FINISH(output)                                                                                             \
    FTV_AVX512 static void output(const panel_output *to) {                                                            \
        if (to->tiles == FTV_PANEL_TILES) {                                                                            \
            output##_rows(to, FTV_PANEL_TILES);                                                                        \
        } else {                                                                                                       \
            output##_rows(to, to->tiles);                                                                              \
        }                                                                                                              \
    }

FTV_FINISH(store)
FTV_FINISH(add)
FTV_FINISH(activate)

static void panel_over_tokens(panel_output to) {
    static void (*const finish[])(const panel_output *) = {[FTV_STORE] = store, [FTV_ADD] = add, [FTV_ACTIVATE] = activate};
    const ftv_layer_job *job = to.job;
    uint32_t groups = ftv_ceil_div(job->layer->inputs, 16U);
    for (; to.first < job->tokens; to.first += to.tokens) {
        to.tokens = ftv_next_block(job->tokens - to.first, FTV_BLOCK_TOKENS);
        ftv_product_s8u2_avx512vnni(to.scratch->sums, job->x.codes + (size_t)to.first * job->x.stride, job->x.stride,
                                    to.tokens, to.scratch->offsets + to.first, to.scratch->panel, groups);
        finish[job->output](&to);
    }
}

FTV_AVX512
void ftv_layer_avx512vnni(const ftv_layer_job *job, void *scratch) {
    layer_scratch parts = lay_out(scratch, job->tokens, job->layer->inputs);
    ftv_token_sums_avx512vnni(parts.offsets, parts.magnitudes, job->x, job->tokens, job->layer->inputs);
    for (uint32_t done = 0; done < job->tiles; done += FTV_PANEL_TILES) {
        uint32_t tiles = ftv_min_u32(job->tiles - done, FTV_PANEL_TILES);
        uint32_t row = (job->first_tile + done) * FTV_TILE;
        const ftv_affine_avx512 affine = ftv_panel_affine(job->layer, row, tiles);
        ftv_panel_avx512vnni(parts.panel, job->layer, job->encoding, job->first_tile + done, tiles);
        panel_over_tokens((panel_output){.job = job,
                                         .scratch = &parts,
                                         .affine = &affine,
                                         .row = row,
                                         .column = job->column + done * FTV_TILE,
                                         .tiles = tiles});
    }
}

#endif
