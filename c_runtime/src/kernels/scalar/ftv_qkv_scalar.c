/* A whole step: one head's Q, K or V of some tokens. See ftv.h, ftv_qkv_part, and ftv_scalar.h. Codes are laid out as
 * ftv_attend_scalar reads them: Q [token][head_rows]; K the same as code + 128; V, code + 128 too, [head_rows / 2]
 * [tokens rounded up to 16][2].
 * Scratch: the weights as t3, codes of a channel, then of a token, the tables, words, sums, biases and outputs. */
#include "ftv_engine.h"
#include "ftv_scalar.h"

typedef struct qkv_scratch {
    ftv_eight eight;
    ftv_affine affine;
    uint8_t *t3;
    uint8_t *codes; /* trits of one channel, then a token's row of V */
    int32_t *bias;  /* [head_rows] Q16 */
    int32_t *y;     /* [head_rows] */
} qkv_scratch;

static size_t codes_bytes(uint32_t inputs, uint32_t head_rows) {
    size_t channel = ftv_codes_bytes(inputs);
    return channel > head_rows ? channel : head_rows;
}

size_t ftv_qkv_scratch_bytes_scalar(uint32_t inputs, uint32_t head_rows) {
    return ftv_t3_bytes(inputs, head_rows / FTV_TILE) + codes_bytes(inputs, head_rows) + FTV_TABLE_BYTES_T3 +
           head_rows * (FTV_PAIRS + FTV_EIGHT + 2U) * sizeof(int32_t);
}

static qkv_scratch divide(const ftv_qkv_part *part, void *scratch) {
    uint32_t inputs = part->layer->inputs, rows = part->head_rows;
    qkv_scratch s = {.eight = {.inputs = inputs, .tiles = scratch, .tiles_count = rows / FTV_TILE}, .t3 = scratch};
    s.codes = s.t3 + ftv_t3_bytes(inputs, rows / FTV_TILE);
    s.eight.table = (uint32_t *)(void *)(s.codes + codes_bytes(inputs, rows));
    s.eight.words = s.eight.table + FTV_TABLE_BYTES_T3 / sizeof(uint32_t);
    s.eight.sums = (int32_t *)(void *)(s.eight.words + rows * FTV_PAIRS);
    s.bias = s.eight.sums + rows * FTV_EIGHT;
    s.y = s.bias + rows;
    return s;
}

static void load_part(qkv_scratch *s, const ftv_qkv_part *part) {
    const ftv_linear *layer = part->layer;
    const uint8_t *tiles = layer->tiles + (size_t)(part->first_row / FTV_TILE) * layer->tile_bytes;
    ftv_recode_t3_scalar(s->t3, tiles, layer->tile_bytes, s->eight.tiles_count, part->encoding, layer->inputs,
                         s->codes);
    s->affine = ftv_affine_of(layer, part->first_row, s->bias, part->head_rows);
}

/* A row of V, channels in twos. */
static void put_value(const ftv_qkv_part *part, uint32_t token, const int8_t *codes) {
    uint32_t stride = 2U * ftv_round16(part->tokens);
    uint8_t *to = (uint8_t *)part->codes + 2U * token;
    for (uint32_t c = 0; c < part->head_rows; c += 2U, to += stride) {
        to[0] = (uint8_t)((uint8_t)codes[c] ^ 0x80U);
        to[1] = (uint8_t)((uint8_t)codes[c + 1U] ^ 0x80U);
    }
}

static void put_key(int8_t *codes, uint32_t head_rows) {
    uint32_t *words = (uint32_t *)(void *)codes;
    for (uint32_t i = 0; i < head_rows / 4U; i++) {
        words[i] ^= 0x80808080U;
    }
}

static void put_token(const ftv_qkv_part *part, const qkv_scratch *s, uint32_t token, const int32_t *sums) {
    int8_t *row = part->codes + (size_t)token * part->head_rows;
    int8_t *codes = part->part == FTV_V ? (int8_t *)s->codes : row;
    ftv_requantise_scalar(s->y, sums, part->head_rows, &s->affine, part->x.scales[token]);
    part->absmax[token] = (int32_t)ftv_quantise_row_scalar(codes, s->y, part->head_dim, part->head_rows, part->levels);
    if (part->part == FTV_K) {
        put_key(row, part->head_rows);
    } else if (part->part == FTV_V) {
        put_value(part, token, codes);
    }
}

void ftv_qkv_scalar(const ftv_qkv_part *part, void *scratch) {
    qkv_scratch s = divide(part, scratch);
    uint32_t end = part->first + part->count;
    load_part(&s, part);
    for (uint32_t first = part->first; first < end; first += FTV_EIGHT) {
        uint32_t count = ftv_min_u32(FTV_EIGHT, end - first);
        ftv_eight_rows(&s.eight, part->x.codes + (size_t)first * part->x.stride, part->x.stride, count);
        ftv_tiles_s8t3_scalar(&s.eight);
        for (uint32_t token = 0; token < count; token++) {
            put_token(part, &s, first + token, s.eight.sums + token);
        }
    }
}
