/* A whole step: one head's Q, K or V of some tokens. See ftv.h, ftv_qkv_part, and ftv_scalar.h. Rows are laid out as the
 * scalar attend() reads them: [token][head_rows]; K and V as code + 128, so that a byte loads without its sign.
 * Scratch: the weights as t3, one channel's codes, the tables, words, sums, biases and outputs of eight tokens. */
#include "ftv_engine.h"
#include "ftv_scalar.h"

typedef struct qkv_scratch {
    ftv_eight eight;
    ftv_affine affine;
    uint8_t *t3;
    uint8_t *codes;
    int32_t *bias; /* [head_rows] Q16 */
    int32_t *y;    /* [head_rows] */
} qkv_scratch;

size_t ftv_qkv_scratch_bytes_scalar(uint32_t inputs, uint32_t head_rows) {
    return ftv_t3_bytes(inputs, head_rows / FTV_TILE) + ftv_codes_bytes(inputs) + FTV_TABLE_BYTES_T3 +
           head_rows * (FTV_PAIRS + FTV_EIGHT + 2U) * sizeof(int32_t);
}

static qkv_scratch divide(const ftv_qkv_part *part, void *scratch) {
    uint32_t inputs = part->layer->inputs, rows = part->head_rows;
    qkv_scratch s = {.eight = {.inputs = inputs, .tiles = scratch, .tiles_count = rows / FTV_TILE}, .t3 = scratch};
    s.codes = s.t3 + ftv_t3_bytes(inputs, rows / FTV_TILE);
    s.eight.table = (uint32_t *)(void *)(s.codes + ftv_codes_bytes(inputs));
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

static void put_token(const ftv_qkv_part *part, const qkv_scratch *s, uint32_t token, const int32_t *sums) {
    int8_t *codes = part->codes + (size_t)token * part->head_rows;
    ftv_requantise_scalar(s->y, sums, part->head_rows, &s->affine, part->x.scales[token]);
    part->absmax[token] = (int32_t)ftv_quantise_row_scalar(codes, s->y, part->head_dim, part->head_rows, part->levels);
    if (part->part != FTV_Q) {
        uint32_t *words = (uint32_t *)(void *)codes;
        for (uint32_t i = 0; i < part->head_rows / 4U; i++) {
            words[i] ^= 0x80808080U;
        }
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
