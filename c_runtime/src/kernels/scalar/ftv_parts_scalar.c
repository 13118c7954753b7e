/* A whole step: Q, K and V of neighbouring heads, some tokens of them. See ftv.h, ftv_qkv_part, and ftv_scalar.h. The
 * parts are one stretch of the matrix's rows, so that the tables of eight tokens serve all of them. Codes are laid out
 * as ftv_attend_scalar reads them: Q [token][head_rows]; K the same as code + 128; V, code + 128 too, [head_rows / 2]
 * [tokens rounded up to 16][2]. Scratch: ftv_chunk_bytes_scalar() of the parts that fit a chunk. */
#include "ftv_engine.h"
#include "ftv_scalar.h"

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

/* spare: a row's outputs, and its codes. */
static void put_token(const ftv_qkv_part *part, const ftv_affine *affine, uint32_t token, const int32_t *sums,
                      int32_t *spare) {
    int8_t *row = part->codes + (size_t)token * part->head_rows;
    int8_t *codes = part->part == FTV_V ? (int8_t *)(void *)(spare + part->head_rows) : row;
    ftv_requantise_scalar(spare, sums, part->head_rows, affine, part->x.scales[token]);
    part->absmax[token] = (int32_t)ftv_quantise_row_scalar(codes, spare, part->head_dim, part->head_rows, part->levels);
    if (part->part == FTV_K) {
        put_key(row, part->head_rows);
    } else if (part->part == FTV_V) {
        put_value(part, token, codes);
    }
}

/* `count` tokens, whose sums there are, of one of the chunk's parts. channel: its first one in the chunk. */
static void put_part(const ftv_qkv_part *part, const ftv_chunk *chunk, uint32_t channel, uint32_t first,
                     uint32_t count) {
    ftv_affine affine = chunk->affine;
    const int32_t *sums = chunk->eight.sums + (size_t)channel * FTV_EIGHT;
    affine.mantissas += affine.per_channel ? channel : 0U;
    affine.bias += channel;
    for (uint32_t token = 0; token < count; token++) {
        put_token(part, &affine, first + token, sums + token, chunk->spare);
    }
}

/* Parts that share a chunk. */
static void make_some(const ftv_qkv_part *parts, uint32_t count, void *scratch) {
    uint32_t end = parts->first + parts->count, tiles = parts->head_rows / FTV_TILE;
    ftv_chunk chunk;
    ftv_chunk_scalar(&chunk, parts->layer, parts->encoding, parts->first_row / FTV_TILE, count * tiles, scratch);
    for (uint32_t first = parts->first; first < end; first += FTV_EIGHT) {
        uint32_t tokens = ftv_min_u32(FTV_EIGHT, end - first);
        ftv_chunk_sums_scalar(&chunk, &parts->x, first, tokens);
        for (uint32_t i = 0; i < count; i++) {
            put_part(parts + i, &chunk, i * parts->head_rows, first, tokens);
        }
    }
}

void ftv_parts_scalar(const ftv_qkv_part *parts, uint32_t count, void *scratch) {
    uint32_t most = FTV_CHUNK_TILES / (parts->head_rows / FTV_TILE); /* at least one: 16 tiles, 256 channels */
    for (uint32_t i = 0; i < count; i += most) {
        make_some(parts + i, ftv_min_u32(most, count - i), scratch);
    }
}
