/* Sixteens of channels of a matrix, whose tables, sums and biases a step keeps while eight tokens after eight pass.
 * See ftv_scalar.h, ftv_chunk. */
#include "ftv_scalar.h"

static size_t table_bytes(ftv_encoding encoding) {
    return encoding == FTV_T2 ? FTV_TABLE_BYTES_T2 : FTV_TABLE_BYTES_T5;
}

size_t ftv_chunk_bytes_scalar(uint32_t tiles, ftv_encoding encoding) {
    return table_bytes(encoding) + (size_t)tiles * FTV_TILE * (FTV_PAIRS + FTV_EIGHT + 1U) * sizeof(int32_t);
}

void ftv_chunk_scalar(ftv_chunk *chunk, const ftv_linear *layer, ftv_encoding encoding, uint32_t tile, uint32_t tiles,
                      void *scratch) {
    size_t channels = (size_t)tiles * FTV_TILE;
    ftv_eight *eight = &chunk->eight;
    chunk->encoding = encoding;
    eight->inputs = layer->inputs;
    eight->tiles = layer->tiles + (size_t)tile * layer->tile_bytes;
    eight->tile_bytes = layer->tile_bytes;
    eight->tiles_count = tiles;
    eight->table = scratch;
    eight->words = eight->table + table_bytes(encoding) / sizeof(uint32_t);
    eight->sums = (int32_t *)(void *)(eight->words + channels * FTV_PAIRS);
    chunk->spare = (int32_t *)(void *)eight->words;
    chunk->affine = ftv_affine_of(layer, tile * FTV_TILE, eight->sums + channels * FTV_EIGHT, (uint32_t)channels);
}

void ftv_chunk_sums_scalar(ftv_chunk *chunk, const ftv_rows *x, uint32_t first, uint32_t count) {
    ftv_eight_rows(&chunk->eight, x->codes + (size_t)first * x->stride, x->stride, count);
    if (chunk->encoding == FTV_T2) {
        ftv_tiles_s8t2_scalar(&chunk->eight);
    } else {
        ftv_tiles_s8t5_scalar(&chunk->eight);
    }
}
