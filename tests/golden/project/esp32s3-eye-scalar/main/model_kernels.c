/* The inner loops for this model's shapes, four weights a byte. Every count is a constant, so that the compiler
 * unrolls and schedules what it likes; every sum equals that of ftv_kernels_ref.
 *
 * Two tokens share a word: x0 + 65536 x1. One product serves both, and their sums stay apart as long as each fits 16
 * bits: at most 192 inputs at a time (127 * 192 < 2^15). */
#include "model.h"

#include "ftv_engine.h"
#include "ftv_fixed.h"
#include "kernels/ftv_kernels.h"

#define TOKENS    4U /* multiplied together, in two words */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* ---- tokens in pairs ---- */

/* Inputs of up to four tokens, two in a word: words[k][2]. The first one stands in for
 * tokens beyond `tokens`, whose sums nobody reads. */
ALWAYS_INLINE void pair_tokens(int32_t *restrict words, const int8_t *restrict x, uint32_t stride, uint32_t tokens,
                               uint32_t inputs) {
    const int8_t *restrict x1 = tokens > 1U ? x + stride : x;
    const int8_t *restrict x2 = tokens > 2U ? x1 + stride : x;
    const int8_t *restrict x3 = tokens > 3U ? x2 + stride : x;
    for (uint32_t k = 0; k < inputs; k++) {
        words[2U * k] = x[k] + x1[k] * 65536;
        words[2U * k + 1U] = x2[k] + x3[k] * 65536;
    }
}

/* The two sums in a word. */
ALWAYS_INLINE int32_t low_sum(int32_t word) {
    return (int16_t)((uint32_t)word & 0xFFFFU);
}

ALWAYS_INLINE int32_t high_sum(int32_t word) {
    return (word - low_sum(word)) >> 16;
}

/* Sums of four tokens and two channels over `inputs` inputs, added to sums[token * row + 0..1]. */
ALWAYS_INLINE void add_sums(int32_t *restrict sums, uint32_t row, int32_t s00, int32_t s01, int32_t s10, int32_t s11) {
    sums[0] += low_sum(s00);
    sums[1] += low_sum(s01);
    sums[row] += high_sum(s00);
    sums[row + 1U] += high_sum(s01);
    sums[2U * row] += low_sum(s10);
    sums[2U * row + 1U] += low_sum(s11);
    sums[3U * row] += high_sum(s10);
    sums[3U * row + 1U] += high_sum(s11);
}

/* ---- weights ---- */

/* Sixteen inputs of sixteen channels: byte 16 j + channel of a block has the codes w + 1 of inputs 4 s + j in bits 2 s.
 * out: the weights of channel c and input k at [c / 2 * pair + 2 k + c % 2]. */
#define DECODE(name, type)                                                                                             \
    ALWAYS_INLINE void name(type *restrict out, uint32_t pair, const uint8_t *restrict tile, uint32_t blocks) {        \
        for (uint32_t block = 0; block < blocks; block++) {                                                            \
            for (uint32_t i = 0; i < 64U; i++) {                                                                       \
                type *restrict to = out + i % 16U / 2U * pair + 32U * block + i / 16U * 2U + i % 2U;                   \
                uint32_t codes = tile[64U * block + i];                                                                \
                to[0] = (type)((int32_t)(codes & 3U) - 1);                                                             \
                to[8] = (type)((int32_t)(codes >> 2 & 3U) - 1);                                                        \
                to[16] = (type)((int32_t)(codes >> 4 & 3U) - 1);                                                       \
                to[24] = (type)((int32_t)(codes >> 6) - 1);                                                            \
            }                                                                                                          \
        }                                                                                                              \
    }
#define UNIT 16U /* inputs of a block, and its bytes in a tile */
#define UNIT_BYTES 64U

DECODE(decode_s16, int16_t)
DECODE(decode_s8, int8_t)

/* Inputs that decoding writes. */
#define DECODED(inputs) (((inputs) + UNIT - 1U) / UNIT * UNIT)

/* ---- ternary matrices ---- */

ALWAYS_INLINE void multiply_s16(int32_t *restrict sums, uint32_t row, const int32_t *restrict words,
                                const int16_t *restrict weights, uint32_t inputs) {
    int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0;
    for (uint32_t k = 0; k < inputs; k++) {
        int32_t w0 = weights[2U * k], w1 = weights[2U * k + 1U];
        s00 += words[2U * k] * w0;
        s01 += words[2U * k] * w1;
        s10 += words[2U * k + 1U] * w0;
        s11 += words[2U * k + 1U] * w1;
    }
    add_sums(sums, row, s00, s01, s10, s11);
}

/* `inputs` inputs of one tile and all tokens. first: the sums begin here. */
ALWAYS_INLINE void linear_chunk(int32_t *restrict sums, const int8_t *restrict x, uint32_t tokens, uint32_t stride,
                                const uint8_t *restrict tile, uint32_t inputs, int first, void *scratch) {
    int16_t *weights = scratch;
    int32_t *words = (int32_t *)(void *)((uint8_t *)scratch + ftv_align(16U * DECODED(inputs) * sizeof(int16_t)));
    decode_s16(weights, 2U * DECODED(inputs), tile, DECODED(inputs) / UNIT);
    for (uint32_t token = 0; token < tokens; token += TOKENS) {
        int32_t group[TOKENS * FTV_TILE] = {0};
        uint32_t count = ftv_min_u32(TOKENS, tokens - token);
        pair_tokens(words, x + (size_t)token * stride, stride, count, inputs);
        for (uint32_t pair = 0; pair < FTV_TILE / 2U; pair++) {
            multiply_s16(group + 2U * pair, FTV_TILE, words, weights + (size_t)pair * 2U * DECODED(inputs), inputs);
        }
        int32_t *restrict out = sums + (size_t)token * FTV_TILE;
        for (uint32_t i = 0; i < count * FTV_TILE; i++) {
            out[i] = (first ? 0 : out[i]) + group[i];
        }
    }
}

static void linear_32(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                      void *scratch) {
    linear_chunk(sums, x + 0, tokens, stride, tile + 0U / UNIT * UNIT_BYTES, 32U, 1, scratch);
}

static void linear_64(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                      void *scratch) {
    linear_chunk(sums, x + 0, tokens, stride, tile + 0U / UNIT * UNIT_BYTES, 64U, 1, scratch);
}

static void linear_192(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                      void *scratch) {
    linear_chunk(sums, x + 0, tokens, stride, tile + 0U / UNIT * UNIT_BYTES, 192U, 1, scratch);
}

static void linear_s8t2(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                        uint32_t inputs, void *scratch) {
    switch (inputs) {
    case 32U:
        linear_32(sums, x, tokens, stride, tile, scratch);
        break;
    case 64U:
        linear_64(sums, x, tokens, stride, tile, scratch);
        break;
    case 192U:
        linear_192(sums, x, tokens, stride, tile, scratch);
        break;
    default:
        ftv_linear_s8t2_portable(sums, x, tokens, stride, tile, inputs, scratch);
        break;
    }
}

static size_t linear_scratch_bytes(uint32_t inputs) {
    return inputs == 32U || inputs == 64U || inputs == 192U ? MODEL_LINEAR_SCRATCH_BYTES
                                                              : ftv_linear_scratch_bytes_portable(inputs);
}

/* ---- fused QKV: one head's Q, K or V, from 8-bit rows to 8-bit rows ---- */

#define HEAD_DIM  16U
#define HEAD_ROWS 16U /* HEAD_DIM rounded up to 16 */
#define QKV_PAIR  (2U * DECODED(MODEL_WIDTH))

/* What a call keeps in its scratch. */
typedef struct qkv_scratch {
    int8_t *weights;     /* [HEAD_ROWS / 2][DECODED(MODEL_WIDTH)][2] */
    int32_t *words;      /* [32][2] */
    int32_t *y;          /* [TOKENS][HEAD_ROWS] */
    int32_t *mantissas;  /* [HEAD_ROWS] */
    int32_t *bias;       /* [HEAD_ROWS], Q16 */
} qkv_scratch;

static qkv_scratch qkv_divide(void *scratch) {
    qkv_scratch s = {.weights = scratch};
    s.words = (int32_t *)(void *)(s.weights + ftv_align(HEAD_ROWS * DECODED(MODEL_WIDTH)));
    s.y = s.words + ftv_align(32U * 2U * sizeof(int32_t)) / sizeof(int32_t);
    s.mantissas = s.y + TOKENS * HEAD_ROWS;
    s.bias = s.mantissas + HEAD_ROWS;
    return s;
}

static size_t scratch_bytes(const ftv_model *model) {
    (void)model;
    return ftv_align(HEAD_ROWS * DECODED(MODEL_WIDTH)) + ftv_align(32U * 2U * sizeof(int32_t)) +
           (TOKENS + 2U) * HEAD_ROWS * sizeof(int32_t);
}

/* The part's weights, multipliers and biases. */
static void qkv_load(const qkv_scratch *s, const ftv_qkv_part *part) {
    const ftv_linear *layer = part->layer;
    for (uint32_t tile = 0; tile < HEAD_ROWS / FTV_TILE; tile++) {
        const uint8_t *bytes = layer->tiles + (size_t)(part->first_row / FTV_TILE + tile) * layer->tile_bytes;
        decode_s8(s->weights + tile * (FTV_TILE / 2U) * QKV_PAIR, QKV_PAIR, bytes, DECODED(MODEL_WIDTH) / UNIT);
    }
    for (uint32_t c = 0; c < HEAD_ROWS; c++) {
        uint32_t row = part->first_row + c;
        s->mantissas[c] = layer->mantissas[layer->per_channel ? row : 0U];
        s->bias[c] = layer->bias[row] * (INT32_C(1) << layer->bias_shift);
    }
}

ALWAYS_INLINE void multiply_s8(int32_t *restrict sums, uint32_t row, const int32_t *restrict words,
                               const int8_t *restrict weights, uint32_t inputs) {
    int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0;
    for (uint32_t k = 0; k < inputs; k++) {
        int32_t w0 = weights[2U * k], w1 = weights[2U * k + 1U];
        s00 += words[2U * k] * w0;
        s01 += words[2U * k] * w1;
        s10 += words[2U * k + 1U] * w0;
        s11 += words[2U * k + 1U] * w1;
    }
    add_sums(sums, row, s00, s01, s10, s11);
}

/* `inputs` inputs from `start` on, of all channels of the part and up to four tokens, added to y. */
ALWAYS_INLINE void qkv_chunk(const qkv_scratch *s, const int8_t *restrict x, uint32_t stride, uint32_t tokens,
                             uint32_t start, uint32_t inputs) {
    pair_tokens(s->words, x + start, stride, tokens, inputs);
    for (uint32_t pair = 0; pair < HEAD_ROWS / 2U; pair++) {
        multiply_s8(s->y + 2U * pair, HEAD_ROWS, s->words, s->weights + pair * QKV_PAIR + 2U * start, inputs);
    }
}

/* One token's sums become outputs in Q16: NUMERICS.md, section 2. For shift >= 4, the rule in practice, 32 bits do. */
ALWAYS_INLINE void qkv_requantise(int32_t *restrict y, const qkv_scratch *s, ftv_multiplier scale, int32_t exponent) {
    const int32_t *restrict mantissas = s->mantissas, *restrict bias = s->bias;
    int32_t shift = scale.exponent + exponent - 15;
    for (uint32_t c = 0; c < HEAD_ROWS; c++) {
        int32_t multiplier = (scale.mantissa * mantissas[c] + (1 << 14)) >> 15;
        int32_t scaled;
        if (shift >= 4) {
            int32_t sixteenth = (y[c] >> 4) * multiplier + (((y[c] & 15) * multiplier) >> 4);
            scaled = sixteenth >> ftv_min_s32(shift - 4, 31);
        } else {
            scaled = ftv_shift_sat30((int64_t)y[c] * multiplier, shift);
        }
        y[c] = ftv_sat30(scaled + bias[c]);
    }
}

static void qkv(const ftv_qkv_part *part, void *scratch) {
    qkv_scratch s = qkv_divide(scratch);
    qkv_load(&s, part);
    const uint32_t end = part->first + part->count, stride = part->x.stride;
    for (uint32_t first = part->first; first < end; first += TOKENS) {
        uint32_t tokens = ftv_min_u32(TOKENS, end - first);
        const int8_t *x = part->x.codes + (size_t)first * stride;
        for (uint32_t i = 0; i < TOKENS * HEAD_ROWS; i++) {
            s.y[i] = 0;
        }
        qkv_chunk(&s, x, stride, tokens, 0U, 32U);
        for (uint32_t token = 0; token < tokens; token++) {
            int32_t *y = s.y + token * HEAD_ROWS;
            int8_t *codes = part->codes + (size_t)(first + token) * HEAD_ROWS;
            qkv_requantise(y, &s, part->x.scales[first + token], part->layer->exponent);
            part->absmax[first + token] = (int32_t)ftv_quantise_row(codes, y, HEAD_DIM, HEAD_ROWS, part->levels).a;
        }
    }
}

/* ---- attention ---- */

static void scores_s8s8(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                        uint32_t head_dim) {
    if (head_dim != HEAD_DIM) {
        ftv_scores_s8s8_portable(scores, q, k, rows, stride, head_dim);
        return;
    }
    int16_t query[HEAD_DIM];
    for (uint32_t c = 0; c < HEAD_DIM; c++) {
        query[c] = q[c];
    }
    for (uint32_t j = 0; j < rows; j++) {
        int32_t sum = 0;
        for (uint32_t c = 0; c < HEAD_DIM; c++) {
            sum += query[c] * k[c];
        }
        scores[j] = sum;
        k += HEAD_ROWS;
    }
}

/* 8 channels over all rows: their sums stay in registers. */
ALWAYS_INLINE void mix_channels(int32_t *restrict sums, const int16_t *restrict weights, const int8_t *restrict v,
                                uint32_t rows) {
    int32_t sum[8] = {0};
    for (uint32_t j = 0; j < rows; j++) {
        for (uint32_t c = 0; c < 8U; c++) {
            sum[c] += weights[j] * v[c];
        }
        v += HEAD_ROWS;
    }
    for (uint32_t c = 0; c < 8U; c++) {
        sums[c] = sum[c];
    }
}

static void mix_s16s8(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                      uint32_t head_dim) {
    if (head_dim != HEAD_DIM) {
        ftv_mix_s16s8_portable(sums, weights, v, rows, stride, head_dim);
        return;
    }
    for (uint32_t c = 0; c < HEAD_ROWS; c += 8U) {
        mix_channels(sums + c, weights, v + c, rows);
    }
}

/* ---- the set ---- */

const ftv_kernels model_kernels = {
    .name = "model",
    .linear_scratch_bytes = linear_scratch_bytes,
    .linear_s8t2 = linear_s8t2,
    .linear_s8t5 = ftv_linear_s8t5_ref,
    .scores_s8s8 = scores_s8s8,
    .mix_s16s8 = mix_s16s8,
    .qkv = qkv,
    .scratch_bytes = scratch_bytes,
};
