/* ESP32-S3: a head's Q, K or V. Its part of the matrix is decoded once. Then, a few tokens at a time: the product,
 * eight-bit rows, and the layout that the vector unit likes. */
#include "ftv_esp32s3.h"

#ifdef FTV_ESP32S3
#include "ftv_engine.h"
#include "ftv_fixed.h"

#define PART_TOKENS FTV_TILE /* whose wide values exist at a time */

typedef struct qkv_scratch {
    void *tiles;  /* decoded */
    int8_t *rows; /* [PART_TOKENS][head_rows]: codes where wide values have been used up. A row ends before its own
                   * wide values begin */
    int32_t *y;   /* [PART_TOKENS][head_rows] */
    void *rest;   /* of the layer */
} qkv_scratch;

static qkv_scratch lay_out(void *scratch, uint32_t inputs, uint32_t head_rows) {
    qkv_scratch s;
    s.tiles = scratch;
    s.rows = (int8_t *)scratch + ftv_tiles_bytes_esp32s3(inputs, head_rows / FTV_TILE);
    s.y = (int32_t *)(void *)(s.rows + head_rows);
    s.rest = s.y + (size_t)PART_TOKENS * head_rows;
    return s;
}

size_t ftv_qkv_scratch_bytes_esp32s3(uint32_t inputs, uint32_t head_rows) {
    return ftv_tiles_bytes_esp32s3(inputs, head_rows / FTV_TILE) + head_rows +
           PART_TOKENS * head_rows * sizeof(int32_t) + ftv_layer_scratch_bytes_esp32s3(PART_TOKENS, 0);
}

/* A part's layer over tokens first .. first + tokens - 1: y [tokens][head_rows]. */
static ftv_layer_job layer_job(const ftv_qkv_part *part, uint32_t first, uint32_t tokens, int32_t *y) {
    ftv_layer_job job = {.layer = part->layer,
                         .encoding = part->encoding,
                         .first_tile = part->first_row / FTV_TILE,
                         .tiles = part->head_rows / FTV_TILE,
                         .x = part->x,
                         .tokens = tokens,
                         .output = FTV_STORE,
                         .out = y,
                         .out_stride = part->head_rows};
    job.x.codes += (size_t)first * part->x.stride;
    job.x.scales += first;
    return job;
}

/* Rows [tokens][head_rows] of codes, and their absmax. */
static void quantise(const ftv_qkv_part *part, uint32_t first, uint32_t tokens, const int32_t *y, int8_t *rows) {
    ftv_quantise_row_args args = {.x = ftv_address_of(y),
                                  .x_row = part->head_rows * (uint32_t)sizeof(int32_t),
                                  .x_group = FTV_TILE * (uint32_t)sizeof(int32_t),
                                  .rows = tokens,
                                  .groups = part->head_rows / FTV_TILE,
                                  .levels_q21 = (uint32_t)part->levels << 21,
                                  .codes = ftv_address_of(rows),
                                  .codes_row = part->head_rows,
                                  .codes_group = FTV_TILE,
                                  .absmax = ftv_address_of(part->absmax + first)};
    ftv_quantise_row_s32s8_esp32s3(&args);
}

/* Keys beyond the last are copies of it: with its scale, too, their scores change no maximum. */
static void put_keys(const ftv_qkv_part *part, uint32_t first, uint32_t tokens, int8_t *rows) {
    uint32_t all = ftv_round16(tokens), row_words = part->head_rows / (uint32_t)sizeof(int32_t);
    int32_t *words = (int32_t *)(void *)rows;
    for (uint32_t i = tokens * row_words; i < all * row_words; i++) {
        words[i] = words[i - row_words];
    }
    ftv_keys_args args = {.rows = ftv_address_of(rows),
                          .keys = ftv_address_of(part->codes + (size_t)first * part->head_rows),
                          .tiles = all / FTV_TILE,
                          .blocks = part->head_rows / FTV_TILE};
    ftv_keys_s8_esp32s3(&args);
}

/* The keys' places in V are those of the scores: tiles of a group are spread over it. */
static void put_values(const ftv_qkv_part *part, uint32_t first, uint32_t tokens, const int8_t *rows) {
    uint32_t grouped = ftv_grouped_tiles(part->tokens) * FTV_TILE, done = 0;
    ftv_values_args args = {.group = ftv_round16(part->tokens) * FTV_ALIGN, .blocks = part->head_rows / FTV_TILE};
    while (done < tokens) {
        uint32_t key = first + done;
        args.rows = ftv_address_of(rows + (size_t)done * part->head_rows);
        args.values = ftv_address_of(part->codes + (size_t)ftv_key_place(key, part->tokens) * FTV_ALIGN);
        args.spread = key < grouped;
        args.count = args.spread ? FTV_TILE : tokens - done;
        ftv_values_s8s16_esp32s3(&args);
        done += args.count;
    }
}

static void put_vectors(const ftv_qkv_part *part, uint32_t first, uint32_t tokens, const int32_t *y, int8_t *rows) {
    if (part->part == FTV_Q) {
        quantise(part, first, tokens, y, part->codes + (size_t)first * part->head_rows);
        return;
    }
    quantise(part, first, tokens, y, rows);
    if (part->part == FTV_K) {
        put_keys(part, first, tokens, rows);
    } else {
        put_values(part, first, tokens, rows);
    }
}

static void put_plainly(const ftv_qkv_part *part, uint32_t first, uint32_t tokens, const int32_t *y) {
    for (uint32_t token = 0; token < tokens; token++) {
        ftv_absmax absmax =
            ftv_quantise_row(part->codes + (size_t)(first + token) * part->head_rows,
                             y + (size_t)token * part->head_rows, part->head_dim, part->head_rows, part->levels);
        part->absmax[first + token] = (int32_t)absmax.a;
    }
}

void ftv_qkv_esp32s3(const ftv_qkv_part *part, void *scratch) {
    qkv_scratch s = lay_out(scratch, part->layer->inputs, part->head_rows);
    uint32_t end = part->first + part->count;
    ftv_layer_job job = layer_job(part, part->first, part->count, s.y);
    ftv_decode_tiles_esp32s3(&job, s.tiles);
    for (uint32_t first = part->first; first < end; first += PART_TOKENS) {
        uint32_t tokens = ftv_min_u32(PART_TOKENS, end - first);
        job = layer_job(part, first, tokens, s.y);
        ftv_multiply_tiles_esp32s3(&job, s.tiles, s.rest);
        if (ftv_head_in_vectors(part->head_dim)) {
            put_vectors(part, first, tokens, s.y, s.rows);
        } else {
            put_plainly(part, first, tokens, s.y);
        }
    }
}

#endif
