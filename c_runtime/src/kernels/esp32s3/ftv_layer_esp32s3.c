/* ESP32-S3: a layer. Each tile is decoded once, then the assembly takes all tokens over it.
 *
 * The assembly is exact for sums that fit 16 bits, as those of up to 258 inputs do; it keeps their upper halves, so that
 * others are found. Tokens that have one, and those with exponents that never occur in practice, go the generic way, with sums
 * taken in parts of 256 inputs. */
#include "ftv_esp32s3.h"

#ifdef FTV_ESP32S3
#include <stdbool.h>
#include <string.h>

#include "ftv_engine.h"
#include "ftv_fixed.h"

#define ALWAYS_EXACT 258U  /* inputs: 127 * 258 < 2^15 */
#define PART         256U  /* inputs of one part, whole blocks of 16 */
#define GROUP        4U    /* tokens that go the generic way together */
#define RECORDS      1600U /* bytes of them: of 18 tokens of ADD, of 98 others, and two more that are read */

__attribute__((weak)) void ftv_prefetch_esp32s3(const void *data, uint32_t bytes) {
    (void)data;
    (void)bytes;
}

/* ---- scratch ---- */

#define RECORD_BYTES (FTV_TILE * (1U + sizeof(int32_t))) /* of ADD; others keep 16 bytes */

typedef struct layer_scratch {
    int8_t *weights;
    uint8_t *spill;
    int32_t *sums;           /* [GROUP][16] */
    ftv_token_scale *parts;  /* [GROUP], of sums in parts */
    uint8_t *part_records;   /* [GROUP][RECORD_BYTES] */
    uint32_t *found;         /* by the search for clamped sums; 16 bytes */
    uint8_t *records;        /* RECORDS bytes */
    ftv_token_scale *scales; /* [tokens] */
} layer_scratch;

static size_t weights_bytes(uint32_t inputs) {
    return (size_t)FTV_TILE * (ftv_round16(inputs) + FTV_TAIL_VECTORS);
}

static layer_scratch lay_out(void *scratch, uint32_t inputs) {
    layer_scratch s = {0};
    s.weights = scratch;
    s.spill = (uint8_t *)s.weights + weights_bytes(inputs);
    s.sums = (int32_t *)(void *)(s.spill + FTV_SPILL_BYTES);
    s.parts = (ftv_token_scale *)(void *)(s.sums + GROUP * FTV_TILE);
    s.part_records = (uint8_t *)(s.parts + GROUP);
    s.found = (uint32_t *)(void *)(s.part_records + GROUP * RECORD_BYTES);
    s.records = (uint8_t *)(s.found + 4);
    s.scales = (ftv_token_scale *)(void *)(s.records + RECORDS);
    return s;
}

/* Up to the records. */
size_t ftv_linear_scratch_bytes_esp32s3(uint32_t inputs) {
    return weights_bytes(inputs) + FTV_SPILL_BYTES + 16U +
           GROUP * (FTV_TILE * sizeof(int32_t) + sizeof(ftv_token_scale) + RECORD_BYTES);
}

size_t ftv_layer_scratch_bytes_esp32s3(uint32_t tokens, uint32_t inputs) {
    return ftv_linear_scratch_bytes_esp32s3(inputs) + RECORDS + ftv_align(tokens * sizeof(ftv_token_scale));
}

_Static_assert(FTV_STORE == 0 && FTV_ADD == 1 && FTV_ACTIVATE == 2, "as the assembly knows them");
_Static_assert(sizeof(ftv_token_scale) == 4, "the assembly reads it as two halfwords");

/* ---- a decoded tile ---- */

static void decode(int8_t *weights, const uint8_t *tile, ftv_encoding encoding, uint32_t inputs) {
    ftv_decode_args args = {.tile = ftv_address_of(tile), .weights = ftv_address_of(weights)};
    if (encoding == FTV_T2) {
        args.count = ftv_ceil_div(inputs, 16);
        ftv_decode_t2s8_esp32s3(&args);
        return;
    }
    args.count = ftv_ceil_div(inputs, 5);
    ftv_decode_t5s8_esp32s3(&args);
    uint32_t end = 5U * args.count;
    if (end < ftv_round16(inputs)) {
        memset(weights + (size_t)end * FTV_TILE, 0, (size_t)(ftv_round16(inputs) - end) * FTV_TILE);
    }
}

/* ---- the tail: constants behind a tile's last row, in the order in which the assembly loads them ---- */

#define SUMS_VECTORS  8U  /* of a tail without the two below */
#define SCALE_VECTORS 4U  /* of put_multipliers */
#define GELU_VECTORS  15U /* of put_gelu */

static int32_t *tail_at(int8_t *weights, uint32_t inputs) {
    return (int32_t *)(void *)(weights + (size_t)ftv_round16(inputs) * FTV_TILE);
}

static int32_t *put_words(int32_t *at, int32_t value) {
    at[0] = at[1] = at[2] = at[3] = value;
    return at + 4;
}

static int32_t *put_halfwords(int32_t *at, int16_t value) {
    return put_words(at, (int32_t)(UINT32_C(0x00010001) * (uint16_t)value));
}

static int32_t *put_bytes(int32_t *at, int8_t value) {
    return put_words(at, (int32_t)(UINT32_C(0x01010101) * (uint8_t)value));
}

/* Eight channels' biases. */
static int32_t *put_bias(int32_t *at, const int16_t *bias, int32_t factor, int32_t offset) {
    for (uint32_t c = 0; c < 8U; c++) {
        at[c] = bias[c] * factor + offset;
    }
    return at + 8;
}

static int32_t *put_multipliers(int32_t *at, const uint16_t *mantissas) {
    at = put_halfwords(at, (1 << 14) - 1);
    for (uint32_t c = 0; c < 8U; c++) {
        at[c] = (int32_t)(mantissas[2U * c] | (uint32_t)mantissas[2U * c + 1U] << 16);
    }
    return put_halfwords(at + 8, (1 << 14) - 1);
}

/* NUMERICS.md, section 6. */
static void put_gelu(int32_t *at) {
    static const int16_t coefficients[] = {1685, 1214, -9331, 1502, 18806, -19972, 17, 14283, -11173, 2979};
    at = put_words(at, -(1 << 18));
    at = put_words(at, (1 << 17) - 1);
    for (uint32_t i = 0; i < sizeof coefficients / sizeof *coefficients; i++) {
        at = put_halfwords(at, coefficients[i]);
    }
    at = put_words(at, -(1 << 17));
    put_halfwords(put_halfwords(at, -2), -2);
}

/* The first two vectors once more: those of the next token are loaded from here. */
static void put_first(int32_t *at, const int8_t *weights, bool swapped) {
    const int32_t *words = (const int32_t *)(const void *)weights;
    for (uint32_t i = 0; i < 8U; i++) {
        at[swapped ? i ^ 4U : i] = words[i];
    }
}

/* How many vectors a layer's tails have. */
static uint32_t tail_vectors(const ftv_layer_job *job) {
    return SUMS_VECTORS + (job->layer->per_channel ? SCALE_VECTORS : 0U) +
           (job->output == FTV_ACTIVATE ? GELU_VECTORS : 0U);
}

/* What all tiles have in common and no decoding overwrites: only the first four vectors of a tail are ever reached. */
static void put_common_tail(int8_t *weights, const ftv_layer_job *job) {
    if (job->output == FTV_ACTIVATE) {
        put_gelu(tail_at(weights, job->layer->inputs) + 4U * (tail_vectors(job) - 2U - GELU_VECTORS));
    }
}

static void put_tail(int8_t *weights, const ftv_layer_job *job, uint32_t tile) {
    const ftv_linear *layer = job->layer;
    const int16_t *bias = layer->bias + (size_t)tile * FTV_TILE;
    int32_t factor = INT32_C(1) << (layer->bias_shift + (job->output == FTV_ADD));
    int32_t offset = job->output == FTV_ACTIVATE ? -(1 << 17) : 0;
    int32_t *start = tail_at(weights, layer->inputs);
    int32_t *at = put_bias(put_bytes(put_bytes(start, 1), -128), bias, factor, offset);
    if (layer->per_channel) {
        at = put_multipliers(at, layer->mantissas + (size_t)tile * FTV_TILE);
    }
    put_bias(at, bias + 8, factor, offset);
    put_first(start + 4U * (tail_vectors(job) - 2U), weights, job->output == FTV_ACTIVATE);
}

/* That of sums in parts: no biases. */
static void put_sums_tail(int8_t *weights, uint32_t inputs) {
    int32_t *at = put_bytes(put_bytes(tail_at(weights, inputs), 1), -128);
    memset(at, 0, 64);
    put_first(at + 16, weights, false);
}

/* ---- exact sums, in parts of 256 inputs ---- */

/* One part onto the sums of `tokens` rows, at most GROUP. What lies behind the part's weights makes room for the tail
 * while the assembly runs. */
static void sum_part(layer_scratch s, const int8_t *x, uint32_t tokens, uint32_t stride, uint32_t first,
                     uint32_t inputs) {
    int8_t *weights = s.weights + (size_t)first * FTV_TILE;
    int32_t *tail = tail_at(weights, inputs);
    int32_t kept[4U * SUMS_VECTORS];
    ftv_linear_args args = {.x = ftv_address_of(x + first),
                            .x_stride = stride,
                            .blocks = ftv_ceil_div(inputs, 16),
                            .tokens = tokens,
                            .weights = ftv_address_of(weights),
                            .scales = ftv_address_of(s.parts),
                            .spill = ftv_address_of(s.spill + 64),
                            .output = first == 0U ? FTV_STORE : FTV_ADD,
                            .out = ftv_address_of(s.sums),
                            .out_stride = FTV_TILE * sizeof(int32_t),
                            .tail_vectors = SUMS_VECTORS,
                            .records = ftv_address_of(s.part_records)};
    memcpy(kept, tail, sizeof kept);
    put_sums_tail(weights, inputs);
    for (uint32_t token = 0; token < tokens; token++) {
        /* ADD halves what it adds. */
        s.parts[token] = (ftv_token_scale){.multiplier = first == 0U ? -1 : -2, .low = 0, .high = 16};
    }
    ftv_linear_s8s8_esp32s3(&args);
    memcpy(tail, kept, sizeof kept);
}

/* s.sums of the decoded tile, any operands. */
static void sum_exactly(layer_scratch s, const int8_t *x, uint32_t tokens, uint32_t stride, uint32_t inputs) {
    for (uint32_t first = 0; first < inputs; first += PART) {
        sum_part(s, x, tokens, stride, first, ftv_min_u32(PART, inputs - first));
    }
}

static void linear_s8(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                      ftv_encoding encoding, uint32_t inputs, void *scratch) {
    layer_scratch s = lay_out(scratch, inputs);
    decode(s.weights, tile, encoding, inputs);
    for (uint32_t token = 0; token < tokens; token += GROUP) {
        uint32_t count = ftv_min_u32(GROUP, tokens - token);
        sum_exactly(s, x + (size_t)token * stride, count, stride, inputs);
        memcpy(sums + (size_t)token * FTV_TILE, s.sums, count * FTV_TILE * sizeof(int32_t));
    }
}

void ftv_linear_s8t2_esp32s3(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                             uint32_t inputs, void *scratch) {
    linear_s8(sums, x, tokens, stride, tile, FTV_T2, inputs, scratch);
}

void ftv_linear_s8t5_esp32s3(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                             uint32_t inputs, void *scratch) {
    linear_s8(sums, x, tokens, stride, tile, FTV_T5, inputs, scratch);
}

/* ---- a layer ---- */

#define GENERIC UINT8_MAX /* `low` of a token that goes the generic way */

/* What the assembly needs of every token; whether there are some that it does not take. */
static bool set_scales(const ftv_layer_job *job, ftv_token_scale *scales) {
    const ftv_linear *layer = job->layer;
    int32_t twice = job->output == FTV_ADD; /* which doubles everything */
    const ftv_token_scales_args args = {.tokens = ftv_address_of(job->x.scales),
                                        .scales = ftv_address_of(scales),
                                        .count = job->tokens,
                                        .mantissa = layer->per_channel ? 1U << 15 : layer->mantissas[0],
                                        .exponent = layer->exponent - 15 - twice,
                                        .least = 1 - twice};
    bool any_generic = false;
    ftv_token_scales_esp32s3(&args);
    for (uint32_t token = 0; token < job->tokens; token++) {
        any_generic = any_generic || scales[token].low == GENERIC;
    }
    return any_generic;
}

/* Tokens first .. first + count - 1, at most GROUP, of one decoded tile the generic way. */
static void multiply_group(const ftv_layer_job *job, layer_scratch s, uint32_t tile, uint32_t first, uint32_t count) {
    ftv_layer_job part = *job;
    part.tokens = count;
    part.x.codes += (size_t)first * job->x.stride;
    part.x.scales += first;
    if (job->output == FTV_ACTIVATE) {
        part.narrow.values += (size_t)first * job->narrow.stride;
        part.narrow.absmax += (size_t)first * (job->narrow.stride / FTV_TILE);
    } else {
        part.out += (size_t)first * job->out_stride;
    }
    sum_exactly(s, part.x.codes, count, part.x.stride, part.layer->inputs);
    ftv_put_sums(&part, tile, s.sums);
}

static uint32_t record_bytes(const ftv_layer_job *job) {
    return job->output == FTV_ADD ? (uint32_t)RECORD_BYTES : FTV_TILE;
}

/* Tokens of one call of the assembly. */
static uint32_t run_tokens(const ftv_layer_job *job) {
    return RECORDS / record_bytes(job) - 2U;
}

/* Whether a sum was too large for 16 bits, or nearly so. */
static bool are_clamped(const int8_t *upper, uint32_t count) {
    bool clamped = false;
    for (uint32_t i = 0; i < count; i++) {
        clamped = clamped || upper[i] == INT8_MAX || upper[i] == INT8_MIN;
    }
    return clamped;
}

/* Does those of `count` tokens again whose records hold a sum that was clamped. */
static void correct_run(const ftv_layer_job *job, layer_scratch s, uint32_t tile, uint32_t first, uint32_t count) {
    uint32_t column = job->column + (tile - job->first_tile) * FTV_TILE;
    for (uint32_t token = first; token < first + count; token++) {
        const uint8_t *record = s.records + (size_t)(token - first) * record_bytes(job);
        if (!are_clamped((const int8_t *)record, FTV_TILE)) {
            continue;
        }
        if (job->output == FTV_ADD) {
            memcpy(job->out + (size_t)token * job->out_stride + column, record + FTV_TILE, FTV_TILE * sizeof(int32_t));
        }
        multiply_group(job, s, tile, token, 1);
    }
}

static bool any_clamped(const ftv_layer_job *job, layer_scratch s, uint32_t count) {
    const ftv_clamped_args args = {.records = ftv_address_of(s.records),
                                   .step = record_bytes(job),
                                   .tokens = count,
                                   .found = ftv_address_of(s.found)};
    if (job->layer->inputs <= ALWAYS_EXACT) {
        return false;
    }
    ftv_clamped_s8_esp32s3(&args);
    return *s.found != 0U;
}

/* Tokens first .. first + count - 1, at most run_tokens(), of one decoded tile by the assembly. */
static void multiply_run(const ftv_layer_job *job, layer_scratch s, uint32_t tile, uint32_t first, uint32_t count) {
    uint32_t column = job->column + (tile - job->first_tile) * FTV_TILE;
    ftv_linear_args args = {
        .x = ftv_address_of(job->x.codes + (size_t)first * job->x.stride),
        .x_stride = job->x.stride,
        .blocks = ftv_ceil_div(job->layer->inputs, 16),
        .tokens = count,
        .weights = ftv_address_of(s.weights),
        .scales = ftv_address_of(s.scales + first),
        .spill = ftv_address_of(s.spill + 64),
        .output = (uint32_t)job->output,
        .per_channel = job->layer->per_channel,
        .tail_vectors = tail_vectors(job),
        .records = ftv_address_of(s.records),
    };
    if (job->output == FTV_ACTIVATE) {
        uint32_t sixteens = job->narrow.stride / FTV_TILE;
        args.out = ftv_address_of(job->narrow.values + (size_t)first * job->narrow.stride + column);
        args.out_stride = job->narrow.stride * (uint32_t)sizeof(int16_t);
        args.absmax = ftv_address_of(job->narrow.absmax + (size_t)first * sixteens + column / FTV_TILE);
        args.absmax_stride = sixteens * (uint32_t)sizeof(int32_t);
    } else {
        args.out = ftv_address_of(job->out + (size_t)first * job->out_stride + column);
        args.out_stride = job->out_stride * (uint32_t)sizeof(int32_t);
    }
    ftv_linear_s8s8_esp32s3(&args);
    if (any_clamped(job, s, count)) {
        correct_run(job, s, tile, first, count);
    }
}

/* One decoded tile: runs of tokens by the assembly, others in groups; all in groups where pad channels must not count. */
static void multiply_tile(const ftv_layer_job *job, layer_scratch s, uint32_t tile, bool any_generic) {
    bool partial = job->output == FTV_ACTIVATE && (tile + 1U) * FTV_TILE > job->layer->rows;
    uint32_t end = 0;
    for (uint32_t first = 0; first < job->tokens; first = end) {
        bool generic = partial || s.scales[first].low == GENERIC;
        end = ftv_min_u32(first + (generic ? GROUP : run_tokens(job)), job->tokens);
        for (uint32_t token = first; any_generic && token < end; token++) {
            if ((partial || s.scales[token].low == GENERIC) != generic) {
                end = token;
            }
        }
        if (generic) {
            multiply_group(job, s, tile, first, end - first);
        } else {
            multiply_run(job, s, tile, first, end - first);
        }
    }
}

void ftv_layer_esp32s3(const ftv_layer_job *job, void *scratch) {
    const ftv_linear *layer = job->layer;
    layer_scratch s = lay_out(scratch, layer->inputs);
    bool any_generic = set_scales(job, s.scales);
    put_common_tail(s.weights, job);
    for (uint32_t i = 0; i < job->tiles; i++) {
        uint32_t tile = job->first_tile + i;
        const uint8_t *trits = layer->tiles + (size_t)tile * layer->tile_bytes;
        decode(s.weights, trits, job->encoding, layer->inputs);
        put_tail(s.weights, job, tile);
        if (i + 1U < job->tiles) {
            ftv_prefetch_esp32s3(trits + layer->tile_bytes, layer->tile_bytes);
        }
        multiply_tile(job, s, tile, any_generic);
    }
}

/* ---- tiles that stay decoded, for a step that takes a few tokens at a time ---- */

size_t ftv_tiles_bytes_esp32s3(uint32_t inputs, uint32_t tiles) {
    return tiles * weights_bytes(inputs);
}

static int8_t *tile_weights(const ftv_layer_job *job, void *tiles, uint32_t i) {
    return (int8_t *)tiles + ftv_tiles_bytes_esp32s3(job->layer->inputs, i);
}

void ftv_decode_tiles_esp32s3(const ftv_layer_job *job, void *tiles) {
    const ftv_linear *layer = job->layer;
    for (uint32_t i = 0; i < job->tiles; i++) {
        uint32_t tile = job->first_tile + i;
        const uint8_t *trits = layer->tiles + (size_t)tile * layer->tile_bytes;
        if (i + 1U < job->tiles) {
            ftv_prefetch_esp32s3(trits + layer->tile_bytes, layer->tile_bytes);
        }
        decode(tile_weights(job, tiles, i), trits, job->encoding, layer->inputs);
        put_common_tail(tile_weights(job, tiles, i), job);
        put_tail(tile_weights(job, tiles, i), job, tile);
    }
}

void ftv_multiply_tiles_esp32s3(const ftv_layer_job *job, void *tiles, void *scratch) {
    layer_scratch s = lay_out(scratch, 0);
    bool any_generic = set_scales(job, s.scales);
    for (uint32_t i = 0; i < job->tiles; i++) {
        s.weights = tile_weights(job, tiles, i);
        multiply_tile(job, s, job->first_tile + i, any_generic);
    }
}
#endif
