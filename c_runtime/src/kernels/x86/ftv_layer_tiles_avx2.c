/* A layer's tiles over all tokens, with what follows each output: NUMERICS.md, sections 2 and 6; either product.
 * A tile is decoded once and stays in the first cache while all tokens pass over it.
 * scratch: ftv_layer_scratch_avx2(). */
#include "ftv_avx2.h"
#include "ftv_gelu_avx2.h"

#if FTV_X86

enum { BLOCK = 12 }; /* tokens whose sums wait: a multiple of either product's own block */

/* One tile, its multipliers and its tokens' sums. */
typedef struct tile_job {
    const ftv_layer_job *job;
    uint8_t *codes;
    int32_t *sums;       /* [12][16] */
    int32_t *offsets;    /* [tokens] */
    int32_t *magnitudes; /* [tokens] */
    int32_t mantissas[FTV_TILE];
    int32_t bias[FTV_TILE];
    uint32_t column;
    uint32_t real; /* channels */
} tile_job;

static size_t scratch_bytes(uint32_t tokens, uint32_t inputs) {
    return 32U + ftv_codes_bytes(inputs) + (BLOCK * FTV_TILE + 2U * (size_t)tokens) * sizeof(int32_t);
}

size_t ftv_layer_scratch_avx2(const ftv_model *model) {
    uint32_t inner = model->width > model->hidden ? model->width : model->hidden;
    return scratch_bytes(model->tokens, model->patch.inputs > inner ? model->patch.inputs : inner);
}

static tile_job lay_out(const ftv_layer_job *job, void *scratch) {
    tile_job tile = {.job = job, .codes = ftv_align32(scratch)};
    tile.sums = (int32_t *)(void *)(tile.codes + ftv_codes_bytes(job->layer->inputs));
    tile.offsets = tile.sums + BLOCK * FTV_TILE;
    tile.magnitudes = tile.offsets + job->tokens;
    return tile;
}

static void start_tile(tile_job *tile, uint32_t index) {
    const ftv_linear *layer = tile->job->layer;
    const uint8_t *trits = layer->tiles + (size_t)index * layer->tile_bytes;
    uint32_t row = index * FTV_TILE;
    for (uint32_t c = 0; c < FTV_TILE; c++) {
        tile->mantissas[c] = layer->mantissas[layer->per_channel ? row + c : 0U];
        tile->bias[c] = layer->bias[row + c] * (INT32_C(1) << layer->bias_shift);
    }
    tile->real = row < layer->rows ? ftv_min_u32(layer->rows - row, FTV_TILE) : 0U;
    tile->column = tile->job->column + (index - tile->job->first_tile) * FTV_TILE;
    if (tile->job->encoding == FTV_T2) {
        ftv_codes_t2_avx2(tile->codes, trits, layer->inputs);
    } else {
        ftv_codes_t5_avx2(tile->codes, trits, layer->inputs);
    }
}

/* y of sixteen sums. Where |acc| M < 2^31 and the shift leaves nothing to saturate, 32 bits do: |y| < 2^26, |bias| <=
 * 2^29. M = (m_t * m_n + 2^14) >> 15 is one 16-bit multiplication, whose upper halves are zero. */
FTV_AVX2_INLINE void outputs_of(__m256i y[2], const tile_job *tile, uint32_t token, int32_t *sums) {
    const ftv_multiplier *scale = &tile->job->x.scales[token];
    int32_t shift = scale->exponent + tile->job->layer->exponent - 15;
    if (tile->magnitudes[token] > 65538 || shift < 5) {
        ftv_requantise(sums, 1, scale, tile->mantissas, tile->bias, tile->job->layer->exponent);
        y[0] = ftv_load256(sums);
        y[1] = ftv_load256(sums + 8);
        return;
    }
    __m256i mantissa = _mm256_set1_epi32(scale->mantissa);
    FTV_UNROLL for (uint32_t i = 0; i < 2U; i++) {
        __m256i multiplier = _mm256_mulhrs_epi16(mantissa, ftv_load256(tile->mantissas + 8U * i));
        __m256i product = _mm256_mullo_epi32(ftv_load256(sums + 8U * i), multiplier);
        y[i] = _mm256_add_epi32(_mm256_sra_epi32(product, _mm_cvtsi32_si128(shift)), ftv_load256(tile->bias + 8U * i));
    }
}

FTV_AVX2_INLINE __m256i sat30(__m256i v) {
    return _mm256_min_epi32(_mm256_max_epi32(v, _mm256_set1_epi32(FTV_Q16MIN)), _mm256_set1_epi32(FTV_Q16MAX));
}

FTV_AVX2_INLINE void put_words(const tile_job *tile, uint32_t token, const __m256i y[2]) {
    int32_t *out = tile->job->out + (size_t)token * tile->job->out_stride + tile->column;
    FTV_UNROLL for (uint32_t i = 0; i < 2U; i++) {
        __m256i value = y[i];
        if (tile->job->output == FTV_ADD) {
            value = sat30(_mm256_add_epi32(ftv_load256(out + 8U * i), value));
        }
        ftv_store256(out + 8U * i, value);
    }
}

/* GELU makes something of the zeros of pad rows, which must not count. */
FTV_AVX2_INLINE void put_activated(const tile_job *tile, uint32_t token, __m256i y[2]) {
    const ftv_narrow *narrow = &tile->job->narrow;
    const __m256i lanes = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    size_t at = (size_t)token * narrow->stride + tile->column;
    ftv_gelu_avx2(y);
    y[0] = _mm256_and_si256(y[0], _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)tile->real), lanes));
    y[1] = _mm256_and_si256(y[1], _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)tile->real - 8), lanes));
    int32_t a = ftv_largest_lane(_mm256_max_epi32(_mm256_abs_epi32(y[0]), _mm256_abs_epi32(y[1])));
    __m128i by = _mm_cvtsi32_si128(ftv_narrow_shift(a));
    __m256i packed = _mm256_packs_epi32(_mm256_sra_epi32(y[0], by), _mm256_sra_epi32(y[1], by));
    ftv_store256(narrow->values + at, _mm256_permute4x64_epi64(packed, 0xD8));
    narrow->absmax[at / FTV_TILE] = a;
}

FTV_AVX2
static void finish_block(const tile_job *tile, uint32_t first, uint32_t tokens) {
    for (uint32_t t = 0; t < tokens; t++) {
        __m256i y[2];
        outputs_of(y, tile, first + t, tile->sums + (size_t)t * FTV_TILE);
        if (tile->job->output == FTV_ACTIVATE) {
            put_activated(tile, first + t, y);
        } else {
            put_words(tile, first + t, y);
        }
    }
}

void ftv_layer_tiles_avx2(const ftv_layer_job *job, void *scratch, ftv_product_256 *product) {
    tile_job tile = lay_out(job, scratch);
    uint32_t groups = ftv_ceil_div(job->layer->inputs, 16U);
    ftv_token_sums_avx2(tile.offsets, tile.magnitudes, job->x, job->tokens, job->layer->inputs);
    for (uint32_t index = job->first_tile; index < job->first_tile + job->tiles; index++) {
        start_tile(&tile, index);
        for (uint32_t first = 0; first < job->tokens; first += BLOCK) {
            uint32_t tokens = ftv_min_u32(BLOCK, job->tokens - first);
            product(tile.sums, job->x.codes + (size_t)first * job->x.stride, job->x.stride, tokens,
                    tile.offsets + first, tile.codes, groups);
            finish_block(&tile, first, tokens);
        }
    }
}

#endif
