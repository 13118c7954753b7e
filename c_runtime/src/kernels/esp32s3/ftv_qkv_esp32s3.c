/* ESP32-S3: a head's Q, K or V. A few tokens at a time: the matrix product, eight-bit rows, and the layout that the
 * vector unit likes. */
#include "ftv_esp32s3.h"

#ifdef FTV_ESP32S3
#include <string.h>

#include "ftv_engine.h"
#include "ftv_fixed.h"

#define PART_TOKENS 64U /* at a time; whole tiles */

static uint32_t part_tokens(uint32_t tokens) {
    return ftv_min_u32(PART_TOKENS, ftv_round16(tokens));
}

/* Wide values, rows of codes, what the layer needs. */
size_t ftv_qkv_scratch_bytes_esp32s3(uint32_t tokens, uint32_t inputs, uint32_t head_rows) {
    size_t most = part_tokens(tokens);
    return most * head_rows * (sizeof(int32_t) + sizeof(int8_t)) +
           ftv_layer_scratch_bytes_esp32s3((uint32_t)most, inputs);
}

/* A part's layer over tokens first .. first + tokens - 1: y [tokens][head_rows]. */
static void project(const ftv_qkv_part *part, uint32_t first, uint32_t tokens, int32_t *y, void *scratch) {
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
    ftv_layer_esp32s3(&job, scratch);
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
    uint32_t all = ftv_round16(tokens);
    for (uint32_t token = tokens; token < all; token++) {
        memcpy(rows + (size_t)token * part->head_rows, rows + (size_t)(tokens - 1U) * part->head_rows, part->head_rows);
    }
    ftv_keys_args args = {.rows = ftv_address_of(rows),
                          .keys = ftv_address_of(part->codes + (size_t)first * part->head_rows),
                          .tiles = all / FTV_TILE,
                          .blocks = part->head_rows / FTV_TILE};
    ftv_keys_s8_esp32s3(&args);
}

static void put_values(const ftv_qkv_part *part, uint32_t first, uint32_t tokens, const int8_t *rows) {
    ftv_values_args args = {.rows = ftv_address_of(rows),
                            .values = ftv_address_of(part->codes + (size_t)first * FTV_ALIGN),
                            .group = ftv_round16(part->tokens) * FTV_ALIGN,
                            .count = tokens,
                            .blocks = part->head_rows / FTV_TILE};
    ftv_values_s8s16_esp32s3(&args);
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
    uint32_t most = part_tokens(part->count), end = part->first + part->count;
    int32_t *y = scratch;
    int8_t *rows = (int8_t *)(y + (size_t)most * part->head_rows);
    void *rest = rows + (size_t)most * part->head_rows;
    for (uint32_t first = part->first; first < end; first += most) {
        uint32_t tokens = ftv_min_u32(most, end - first);
        project(part, first, tokens, y, rest);
        if (ftv_head_in_vectors(part->head_dim)) {
            put_vectors(part, first, tokens, y, rows);
        } else {
            put_plainly(part, first, tokens, y);
        }
    }
}

#endif
