/* A whole step: tiles of a matrix over all tokens, eight of them at a time. See ftv.h, ftv_layer_job, and ftv_scalar.h.
 * Channels go in chunks, whose sums are kept: the tables of eight tokens are made once for a chunk. */
#include "ftv_engine.h"
#include "ftv_scalar.h"

static void add_row(int32_t *restrict out, const int32_t *restrict y, uint32_t channels) {
    const int32_t *end = y + channels;
    for (; y != end; y++, out++) {
        *out = ftv_sat30(*out + *y);
    }
}

static void activate_row(const ftv_layer_job *job, uint32_t token, uint32_t column, int32_t *y, uint32_t channels,
                         uint32_t real) {
    ftv_narrow row = job->narrow;
    row.values += (size_t)token * row.stride;
    row.absmax += (size_t)token * (row.stride / FTV_TILE);
    ftv_gelu(y, channels);
    for (uint32_t c = 0; c < channels; c += FTV_TILE) {
        ftv_narrow_tile(&row, column + c, y + c, 1U, ftv_min_u32(FTV_TILE, real - c));
    }
}

/* The outputs of one token of the eight. */
static void put_token(const ftv_layer_job *job, const ftv_chunk *chunk, uint32_t first_tile, uint32_t token,
                      const int32_t *sums) {
    uint32_t channels = chunk->eight.tiles_count * FTV_TILE;
    uint32_t column = job->column + (first_tile - job->first_tile) * FTV_TILE;
    /* A step that activates has no `out`. */
    int32_t *out = job->output == FTV_ACTIVATE ? NULL : job->out + (size_t)token * job->out_stride + column;
    int32_t *y = job->output == FTV_STORE ? out : chunk->spare;
    ftv_requantise_scalar(y, sums, channels, &chunk->affine, job->x.scales[token]);
    if (job->output == FTV_ADD) {
        add_row(out, y, channels);
    } else if (job->output == FTV_ACTIVATE) {
        activate_row(job, token, column, y, channels, job->layer->rows - first_tile * FTV_TILE);
    }
}

void ftv_layer_scalar(const ftv_layer_job *job, void *scratch) {
    uint32_t end = job->first_tile + job->tiles;
    for (uint32_t tile = job->first_tile; tile < end; tile += FTV_CHUNK_TILES) {
        ftv_chunk chunk;
        ftv_chunk_scalar(&chunk, job->layer, job->encoding, tile, ftv_min_u32(FTV_CHUNK_TILES, end - tile), scratch);
        for (uint32_t first = 0; first < job->tokens; first += FTV_EIGHT) {
            uint32_t count = ftv_min_u32(FTV_EIGHT, job->tokens - first);
            ftv_chunk_sums_scalar(&chunk, &job->x, first, count);
            for (uint32_t token = 0; token < count; token++) {
                put_token(job, &chunk, tile, first + token, chunk.eight.sums + token);
            }
        }
    }
}
