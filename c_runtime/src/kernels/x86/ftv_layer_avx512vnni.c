/* A layer's tiles over all tokens, with what follows each output: NUMERICS.md, sections 2 and 6. Panels of four tiles are
 * decoded once and stay in the first cache while all tokens pass over them, a block of six at a time; while the sums of one
 * block are made, those of the block before are finished, in slices strewn into the product.
 * scratch: ftv_layer_scratch_avx512vnni(). */
#include "ftv_gelu_avx512.h"
#include "ftv_product_avx512.h"

#if FTV_X86

typedef struct layer_scratch {
    uint8_t *panel;
    int32_t *sums[2];    /* [6][64] each */
    int16_t *operands;   /* [6][64] of GELU */
    int16_t *halves;     /* [6][64], its intermediate results */
    int32_t *offsets;    /* [tokens] */
    int32_t *magnitudes; /* [tokens] */
} layer_scratch;

static size_t sums_bytes(void) {
    return FTV_BLOCK_TOKENS * FTV_PANEL * sizeof(int32_t);
}

size_t ftv_layer_scratch_avx512vnni(uint32_t tokens, uint32_t inputs) {
    return FTV_VECTOR + ftv_panel_bytes(inputs) + 3U * sums_bytes() + 2U * ftv_vector_bytes(tokens * sizeof(int32_t));
}

static layer_scratch lay_out(void *scratch, uint32_t tokens, uint32_t inputs) {
    uint8_t *panel = ftv_align_vector(scratch), *sums = panel + ftv_panel_bytes(inputs);
    uint8_t *operands = sums + 2U * sums_bytes(), *offsets = operands + sums_bytes();
    layer_scratch parts = {.panel = panel,
                           .sums = {(int32_t *)(void *)sums, (int32_t *)(void *)(sums + sums_bytes())},
                           .operands = (int16_t *)(void *)operands,
                           .halves = (int16_t *)(void *)operands + FTV_BLOCK_TOKENS * FTV_PANEL,
                           .offsets = (int32_t *)(void *)offsets};
    parts.magnitudes = parts.offsets + ftv_vector_bytes(tokens * sizeof(int32_t)) / sizeof(int32_t);
    return parts;
}

/* A panel's multipliers, and where it goes. */
typedef struct panel_output {
    ftv_affine_avx512 affine;
    uint32_t column;
    uint32_t tiles;
    __mmask16 real[FTV_PANEL_TILES]; /* lanes that are no pad rows */
} panel_output;

/* A block of tokens of one panel. */
typedef struct block {
    const ftv_layer_job *job;
    const layer_scratch *scratch;
    const panel_output *panel;
    int32_t *sums;
    uint32_t first; /* token */
    uint32_t tokens;
} block;

/* ---- slices of what follows a block's product ---- */

FTV_AVX512_INLINE void outputs_of(__m512i *y, const block *b, uint32_t t, uint32_t vector, const uint32_t count) {
    ftv_requantise_vectors(y, b->sums + (size_t)t * FTV_PANEL, b->job->x.scales[b->first + t],
                           b->scratch->magnitudes[b->first + t], &b->panel->affine, vector, count);
}

FTV_AVX512_INLINE int32_t *words_of(const block *b, uint32_t t) {
    return b->job->out + (size_t)(b->first + t) * b->job->out_stride + b->panel->column;
}

FTV_AVX512_INLINE void store_token(const block *b, uint32_t stage, uint32_t t, const uint32_t tiles) {
    (void)stage;
    __m512i y[FTV_PANEL_TILES];
    outputs_of(y, b, t, 0, FTV_PANEL_TILES);
    FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
        if (i < tiles) {
            _mm512_storeu_si512(words_of(b, t) + 16U * i, y[i]);
        }
    }
}

FTV_AVX512_INLINE void add_token(const block *b, uint32_t stage, uint32_t t, const uint32_t tiles) {
    (void)stage;
    __m512i y[FTV_PANEL_TILES];
    outputs_of(y, b, t, 0, FTV_PANEL_TILES);
    FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
        if (i < tiles) {
            __m512i sum = _mm512_add_epi32(_mm512_loadu_si512(words_of(b, t) + 16U * i), y[i]);
            _mm512_storeu_si512(words_of(b, t) + 16U * i, ftv_sat30_avx512(sum));
        }
    }
}

/* GELU takes a token four slices, of about as many cycles as the product between two slices; each leaves its results in
 * scratch, so that no slice waits for the one before it. */

FTV_AVX512_INLINE void start_gelu(const block *b, uint32_t t) {
    int32_t *sums = b->sums + (size_t)t * FTV_PANEL;
    int16_t *operands = b->scratch->operands + (size_t)t * FTV_PANEL;
    __m512i y[FTV_PANEL_TILES];
    outputs_of(y, b, t, 0, FTV_PANEL_TILES);
    FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
        _mm512_store_si512(sums + 16U * i, y[i]);
    }
    _mm512_store_si512(operands, ftv_gelu_operand_avx512(y[0], y[1]));
    _mm512_store_si512(operands + 32, ftv_gelu_operand_avx512(y[2], y[3]));
}

FTV_AVX512_INLINE void first_half(const block *b, uint32_t t) {
    const int16_t *operands = b->scratch->operands + (size_t)t * FTV_PANEL;
    int16_t *halves = b->scratch->halves + (size_t)t * FTV_PANEL;
    const __m512i x[2] = {_mm512_load_si512(operands), _mm512_load_si512(operands + 32)};
    __m512i r[2];
    ftv_delta_first_avx512(r, x, 2);
    _mm512_store_si512(halves, r[0]);
    _mm512_store_si512(halves + 32, r[1]);
}

FTV_AVX512_INLINE void second_half(const block *b, uint32_t t) {
    const int16_t *operands = b->scratch->operands + (size_t)t * FTV_PANEL;
    int16_t *halves = b->scratch->halves + (size_t)t * FTV_PANEL;
    const __m512i x[2] = {_mm512_load_si512(operands), _mm512_load_si512(operands + 32)};
    __m512i s[2] = {_mm512_load_si512(halves), _mm512_load_si512(halves + 32)};
    ftv_delta_second_avx512(s, x, 2);
    _mm512_store_si512(halves, s[0]);
    _mm512_store_si512(halves + 32, s[1]);
}

/* GELU makes something of the zeros of pad rows, which must not count. */
FTV_AVX512_INLINE void end_gelu(const block *b, uint32_t t, const uint32_t tiles) {
    const ftv_narrow *narrow = &b->job->narrow;
    const int32_t *sums = b->sums + (size_t)t * FTV_PANEL;
    size_t at = (size_t)(b->first + t) * narrow->stride + b->panel->column;
    __m512i low = _mm512_load_si512(b->scratch->halves + (size_t)t * FTV_PANEL);
    __m512i high = _mm512_load_si512(b->scratch->halves + (size_t)t * FTV_PANEL + 32);
    __m512i y[FTV_PANEL_TILES] = {ftv_gelu_low_avx512(_mm512_load_si512(sums), low),
                                  ftv_gelu_high_avx512(_mm512_load_si512(sums + 16), low),
                                  ftv_gelu_low_avx512(_mm512_load_si512(sums + 32), high),
                                  ftv_gelu_high_avx512(_mm512_load_si512(sums + 48), high)};
    FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
        y[i] = _mm512_maskz_mov_epi32(b->panel->real[i], y[i]);
    }
    ftv_store_narrow(narrow->values + at, narrow->absmax + at / 16U, y, tiles);
}

FTV_AVX512_INLINE void activate_token(const block *b, uint32_t stage, uint32_t t, const uint32_t tiles) {
    switch (stage) {
    case 0:
        start_gelu(b, t);
        break;
    case 1:
        first_half(b, t);
        break;
    case 2:
        second_half(b, t);
        break;
    default:
        end_gelu(b, t, tiles);
        break;
    }
}

static uint32_t stages_of(const block *b) {
    return b->job->output == FTV_ACTIVATE ? 4U : 1U;
}

/* ---- a block, and beside it the one before ---- */

/* For each kind of output: a slice of a whole panel, a block's product with slices, and a block's slices alone. */
#define FTV_FINISH(output)                                                                                             \
    FTV_AVX512_INLINE void output##_slice(const void *work, uint32_t stage, uint32_t token) {                          \
        output##_token(work, stage, token, FTV_PANEL_TILES);                                                           \
    }                                                                                                                  \
    FTV_AVX512 static void output##_beside_6(const block *now, const block *before) {                                  \
        product_beside(now, 6, output##_slice, before);                                                                \
    }                                                                                                                  \
    FTV_AVX512 static void output##_beside_5(const block *now, const block *before) {                                  \
        product_beside(now, 5, output##_slice, before);                                                                \
    }                                                                                                                  \
    FTV_AVX512 static void output##_alone(const block *b) {                                                            \
        for (uint32_t stage = 0; stage < stages_of(b); stage++) {                                                      \
            for (uint32_t t = 0; t < b->tokens; t++) {                                                                 \
                output##_token(b, stage, t, b->panel->tiles);                                                          \
            }                                                                                                          \
        }                                                                                                              \
    }

FTV_AVX512_INLINE void product_beside(const block *now, const uint32_t tokens, ftv_slice_avx512 *slice,
                                      const block *before) {
    const ftv_layer_job *job = now->job;
    ftv_product_beside(now->sums, job->x.codes + (size_t)now->first * job->x.stride, job->x.stride, tokens,
                       now->scratch->offsets + now->first, now->scratch->panel, ftv_ceil_div(job->layer->inputs, 16U),
                       slice, (ftv_beside_avx512){before, stages_of(before), before->tokens});
}

FTV_FINISH(store)
FTV_FINISH(add)
FTV_FINISH(activate)

/* How each kind of output is finished. */
typedef struct finish {
    void (*beside_6)(const block *now, const block *before);
    void (*beside_5)(const block *now, const block *before);
    void (*alone)(const block *b);
} finish;

static const finish finishes[] = {
    [FTV_STORE] = {store_beside_6, store_beside_5, store_alone},
    [FTV_ADD] = {add_beside_6, add_beside_5, add_alone},
    [FTV_ACTIVATE] = {activate_beside_6, activate_beside_5, activate_alone},
};

/* before->tokens is 0 where there is no block before. */
static void run_block(const block *now, const block *before) {
    const ftv_layer_job *job = now->job;
    const finish *how = &finishes[job->output];
    if (before->tokens > 0U && before->panel->tiles == FTV_PANEL_TILES && now->tokens >= 5U) {
        (now->tokens == 6U ? how->beside_6 : how->beside_5)(now, before);
        return;
    }
    if (before->tokens > 0U) {
        how->alone(before);
    }
    ftv_product_s8u2_avx512vnni(now->sums, job->x.codes + (size_t)now->first * job->x.stride, job->x.stride,
                                now->tokens, now->scratch->offsets + now->first, now->scratch->panel,
                                ftv_ceil_div(job->layer->inputs, 16U));
}

/* ---- all blocks ---- */

FTV_AVX512
static void start_panel(panel_output *panel, const ftv_layer_job *job, const layer_scratch *scratch, uint32_t done) {
    uint32_t tile = job->first_tile + done;
    panel->tiles = ftv_min_u32(job->tiles - done, FTV_PANEL_TILES);
    panel->column = job->column + done * FTV_TILE;
    panel->affine = ftv_panel_affine(job->layer, tile * FTV_TILE, panel->tiles);
    for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
        uint32_t first = (tile + i) * FTV_TILE, rows = job->layer->rows;
        panel->real[i] = ftv_lanes16(first < rows ? rows - first : 0U);
    }
    ftv_panel_avx512vnni(scratch->panel, job->layer, job->encoding, tile, panel->tiles);
}

/* The tiles of the panel after the one that starts at tile `done`, a piece with every block of tokens. */
static void ask_for_next(const ftv_layer_job *job, uint32_t done, uint32_t first) {
    uint32_t next = done + FTV_PANEL_TILES;
    if (next < job->tiles) {
        size_t tile_bytes = job->layer->tile_bytes;
        ftv_ask_for(job->layer->tiles + (job->first_tile + next) * tile_bytes,
                    tile_bytes * ftv_min_u32(job->tiles - next, FTV_PANEL_TILES), first / FTV_BLOCK_TOKENS,
                    ftv_ceil_div(job->tokens, FTV_BLOCK_TOKENS));
    }
}

void ftv_layer_avx512vnni(const ftv_layer_job *job, void *scratch) {
    layer_scratch parts = lay_out(scratch, job->tokens, job->layer->inputs);
    panel_output panels[2];
    block before = {.tokens = 0};
    uint32_t blocks = 0;
    ftv_token_sums_avx512vnni(parts.offsets, parts.magnitudes, job->x, job->tokens, job->layer->inputs);
    for (uint32_t done = 0; done < job->tiles; done += FTV_PANEL_TILES) {
        panel_output *panel = &panels[done / FTV_PANEL_TILES % 2U];
        start_panel(panel, job, &parts, done);
        for (uint32_t first = 0; first < job->tokens; blocks++) {
            uint32_t tokens = ftv_next_block(job->tokens - first, FTV_BLOCK_TOKENS);
            block now = {job, &parts, panel, parts.sums[blocks % 2U], first, tokens};
            ask_for_next(job, done, first);
            run_block(&now, &before);
            before = now;
            first += tokens;
        }
    }
    if (before.tokens > 0U) {
        finishes[job->output].alone(&before);
    }
}

#endif
