/* A layer's tiles over all tokens, with what follows each output: NUMERICS.md, sections 2 and 6. Panels of four tiles are
 * decoded once and stay near while all tokens pass over them, a block of five at a time. Products of pairs keep all vector
 * pipes busy, so that nothing is strewn into them: what follows is done for a block at once, all its tokens side by side.
 * See ftv_pairs_avx512.h. scratch: ftv_layer_scratch_avx512pairs(). */
#include "ftv_gelu_avx512.h"
#include "ftv_pairs_avx512.h"

#if FTV_X86

enum { SUMS = FTV_WAY_TOKENS * FTV_PANEL };

typedef struct layer_scratch {
    int32_t *sums;   /* [5][64], then y */
    int16_t *deltas; /* [5][64] of GELU: operands, then results */
    uint8_t *panel;
    ftv_operand_avx512 x;
} layer_scratch;

size_t ftv_layer_scratch_avx512pairs(uint32_t tokens, uint32_t inputs) {
    return FTV_VECTOR + SUMS * (sizeof(int32_t) + sizeof(int16_t)) + ftv_panel_bytes(inputs) +
           ftv_way_bytes(tokens, inputs);
}

static layer_scratch lay_out(void *scratch, const ftv_layer_job *job) {
    layer_scratch s = {.sums = (int32_t *)(void *)ftv_align_vector(scratch)};
    s.deltas = (int16_t *)(s.sums + SUMS);
    s.panel = (uint8_t *)(s.deltas + SUMS);
    s.x = ftv_way_rows(s.panel + ftv_panel_bytes(job->layer->inputs), job->x, job->tokens, job->layer->inputs, 0);
    return s;
}

/* A block of tokens of one panel. */
typedef struct block {
    const ftv_layer_job *job;
    const layer_scratch *scratch;
    const ftv_affine_avx512 *affine;
    uint32_t first; /* token */
    uint32_t tokens;
    uint32_t column; /* of the panel's first channel in out or narrow */
    uint32_t tiles;
    uint32_t rows; /* of the panel's channels, those that are no pad rows */
} block;

FTV_AVX512_INLINE void outputs_of(__m512i y[FTV_PANEL_TILES], const block *b, uint32_t t) {
    ftv_requantise_panel(y, b->scratch->sums + (size_t)t * FTV_PANEL, b->job->x.scales[b->first + t],
                         b->scratch->x.magnitudes[b->first + t], b->affine);
}

FTV_AVX512
static void store_block(const block *b) {
    const uint32_t stride = b->job->out_stride, tiles = b->tiles;
    int32_t *out = b->job->out + (size_t)b->first * stride + b->column;
    for (uint32_t t = 0; t < b->tokens; t++, out += stride) {
        __m512i y[FTV_PANEL_TILES];
        outputs_of(y, b, t);
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            if (i < tiles) {
                _mm512_storeu_si512(out + 16U * i, y[i]);
            }
        }
    }
}

FTV_AVX512
static void add_block(const block *b) {
    const uint32_t stride = b->job->out_stride, tiles = b->tiles;
    int32_t *out = b->job->out + (size_t)b->first * stride + b->column;
    for (uint32_t t = 0; t < b->tokens; t++, out += stride) {
        __m512i y[FTV_PANEL_TILES];
        outputs_of(y, b, t);
        FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
            if (i < tiles) {
                __m512i sum = _mm512_add_epi32(_mm512_loadu_si512(out + 16U * i), y[i]);
                _mm512_storeu_si512(out + 16U * i, ftv_sat30_avx512(sum));
            }
        }
    }
}

/* ---- GELU ---- */

FTV_AVX512_INLINE void start_gelu(const block *b, uint32_t t) {
    int32_t *sums = b->scratch->sums + (size_t)t * FTV_PANEL;
    int16_t *operands = b->scratch->deltas + (size_t)t * FTV_PANEL;
    __m512i y[FTV_PANEL_TILES];
    outputs_of(y, b, t);
    FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES; i++) {
        _mm512_store_si512(sums + 16U * i, y[i]);
    }
    _mm512_store_si512(operands, ftv_gelu_operand_avx512(y[0], y[1]));
    _mm512_store_si512(operands + 32, ftv_gelu_operand_avx512(y[2], y[3]));
}

FTV_AVX512_INLINE void make_deltas(int16_t *deltas, const uint32_t vectors) {
    __m512i x[FTV_GELU_VECTORS], r[FTV_GELU_VECTORS];
    FTV_UNROLL for (uint32_t i = 0; i < vectors; i++) {
        x[i] = _mm512_load_si512(deltas + 32U * i);
    }
    ftv_delta_first_avx512(r, x, vectors);
    ftv_delta_second_avx512(r, x, vectors);
    FTV_UNROLL for (uint32_t i = 0; i < vectors; i++) {
        _mm512_store_si512(deltas + 32U * i, r[i]);
    }
}

/* GELU makes something of the zeros of pad rows, which must not count. */
FTV_AVX512_INLINE void end_gelu(const block *b, uint32_t t, const uint32_t tiles, const int padded) {
    const ftv_narrow *narrow = &b->job->narrow;
    const int32_t *sums = b->scratch->sums + (size_t)t * FTV_PANEL;
    const int16_t *deltas = b->scratch->deltas + (size_t)t * FTV_PANEL;
    size_t at = (size_t)(b->first + t) * narrow->stride + b->column;
    __m512i low = _mm512_load_si512(deltas), high = _mm512_load_si512(deltas + 32);
    __m512i y[FTV_PANEL_TILES] = {ftv_gelu_low_avx512(_mm512_load_si512(sums), low),
                                  ftv_gelu_high_avx512(_mm512_load_si512(sums + 16), low),
                                  ftv_gelu_low_avx512(_mm512_load_si512(sums + 32), high),
                                  ftv_gelu_high_avx512(_mm512_load_si512(sums + 48), high)};
    FTV_UNROLL for (uint32_t i = 0; i < FTV_PANEL_TILES && padded; i++) {
        y[i] = _mm512_maskz_mov_epi32(ftv_lanes16(b->rows > 16U * i ? b->rows - 16U * i : 0U), y[i]);
    }
    ftv_store_narrow(narrow->values + at, narrow->absmax + at / 16U, y, tiles);
}

FTV_AVX512
static void activate_block(const block *b) {
    for (uint32_t t = 0; t < b->tokens; t++) {
        start_gelu(b, t);
    }
    if (b->tokens == FTV_WAY_TOKENS) {
        make_deltas(b->scratch->deltas, 2U * FTV_WAY_TOKENS);
    } else {
        for (uint32_t t = 0; t < b->tokens; t += 2U) { /* the last may be of no token */
            make_deltas(b->scratch->deltas + (size_t)t * FTV_PANEL, 4);
        }
    }
    if (b->rows == FTV_PANEL) {
        for (uint32_t t = 0; t < b->tokens; t++) {
            end_gelu(b, t, FTV_PANEL_TILES, 0);
        }
    } else {
        for (uint32_t t = 0; t < b->tokens; t++) {
            end_gelu(b, t, b->tiles, 1);
        }
    }
}

static void finish(const block *b) {
    switch (b->job->output) {
    case FTV_STORE:
        store_block(b);
        break;
    case FTV_ADD:
        add_block(b);
        break;
    case FTV_ACTIVATE:
        activate_block(b);
        break;
    }
}

/* ---- panels ---- */

/* The tiles of the panel after the one that starts at tile `done`, a piece with every block of tokens. */
static void ask_for_next(const ftv_layer_job *job, uint32_t done, uint32_t first) {
    uint32_t next = done + FTV_PANEL_TILES;
    if (next < job->tiles) {
        size_t tile_bytes = job->layer->tile_bytes;
        ftv_ask_for(job->layer->tiles + (job->first_tile + next) * tile_bytes,
                    tile_bytes * ftv_min_u32(job->tiles - next, FTV_PANEL_TILES), first / FTV_WAY_TOKENS,
                    ftv_ceil_div(job->tokens, FTV_WAY_TOKENS));
    }
}

FTV_AVX512
static void run_panel(const ftv_layer_job *job, const layer_scratch *s, uint32_t done) {
    uint32_t tile = job->first_tile + done, row = tile * FTV_TILE, real = job->layer->rows;
    uint32_t tiles = ftv_min_u32(job->tiles - done, FTV_PANEL_TILES);
    const ftv_affine_avx512 affine = ftv_panel_affine(job->layer, row, tiles);
    block b = {.job = job,
               .scratch = s,
               .affine = &affine,
               .column = job->column + done * FTV_TILE,
               .tiles = tiles,
               .rows = ftv_min_u32(row < real ? real - row : 0U, tiles * FTV_TILE)};
    ftv_panel_avx512vnni(s->panel, job->layer, job->encoding, tile, tiles);
    for (; b.first < job->tokens; b.first += b.tokens) {
        b.tokens = ftv_next_block(job->tokens - b.first, FTV_WAY_TOKENS);
        ask_for_next(job, done, b.first);
        ftv_product_s8u2_avx512pairs(s->sums, &s->x, b.first, b.tokens, s->panel,
                                     ftv_ceil_div(job->layer->inputs, 16U));
        finish(&b);
    }
}

void ftv_layer_avx512pairs(const ftv_layer_job *job, void *scratch) {
    const layer_scratch s = lay_out(scratch, job);
    for (uint32_t done = 0; done < job->tiles; done += FTV_PANEL_TILES) {
        run_panel(job, &s, done);
    }
}

#endif
