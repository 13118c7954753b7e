/* A whole step: tiles of a matrix over all tokens, eight of them at a time. See ftv.h, ftv_layer_job, and ftv_scalar.h.
 * Channels go in chunks, whose sums are kept: the tables of eight tokens are made once for a chunk. */
#include "ftv_engine.h"
#include "ftv_scalar.h"

/* What a call keeps in its scratch. */
typedef struct layer_scratch {
    ftv_eight eight;
    ftv_affine affine;
    int32_t *bias; /* [channels] Q16 */
    int32_t *y;    /* [channels], where the words were that have become sums */
} layer_scratch;

static size_t table_bytes(ftv_encoding encoding) {
    return encoding == FTV_T2 ? FTV_TABLE_BYTES_T2 : FTV_TABLE_BYTES_T5;
}

static size_t chunk_channels(uint32_t tiles) {
    return (size_t)ftv_min_u32(tiles, FTV_CHUNK_TILES) * FTV_TILE;
}

size_t ftv_layer_scratch_bytes_scalar(uint32_t tiles, ftv_encoding encoding) {
    return table_bytes(encoding) + chunk_channels(tiles) * (FTV_PAIRS + FTV_EIGHT + 1U) * sizeof(int32_t);
}

static layer_scratch divide(const ftv_layer_job *job, void *scratch) {
    size_t channels = chunk_channels(job->tiles);
    layer_scratch s = {.eight = {.inputs = job->layer->inputs, .tile_bytes = job->layer->tile_bytes, .table = scratch}};
    s.eight.words = s.eight.table + table_bytes(job->encoding) / sizeof(uint32_t);
    s.eight.sums = (int32_t *)(void *)(s.eight.words + channels * FTV_PAIRS);
    s.bias = s.eight.sums + channels * FTV_EIGHT;
    s.y = (int32_t *)s.eight.words;
    return s;
}

/* The chunk's weights, multipliers and biases. */
static void load_chunk(layer_scratch *s, const ftv_linear *layer, uint32_t tile, uint32_t tiles) {
    s->eight.tiles = layer->tiles + (size_t)tile * layer->tile_bytes;
    s->eight.tiles_count = tiles;
    s->affine = ftv_affine_of(layer, tile * FTV_TILE, s->bias, tiles * FTV_TILE);
}

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
static void put_token(const ftv_layer_job *job, const layer_scratch *s, uint32_t first_tile, uint32_t token,
                      const int32_t *sums) {
    uint32_t channels = s->eight.tiles_count * FTV_TILE;
    uint32_t column = job->column + (first_tile - job->first_tile) * FTV_TILE;
    /* A step that activates has no `out`. */
    int32_t *out = job->output == FTV_ACTIVATE ? NULL : job->out + (size_t)token * job->out_stride + column;
    ftv_requantise_scalar(job->output == FTV_STORE ? out : s->y, sums, channels, &s->affine, job->x.scales[token]);
    if (job->output == FTV_ADD) {
        add_row(out, s->y, channels);
    } else if (job->output == FTV_ACTIVATE) {
        activate_row(job, token, column, s->y, channels, job->layer->rows - first_tile * FTV_TILE);
    }
}

void ftv_layer_scalar(const ftv_layer_job *job, void *scratch) {
    layer_scratch s = divide(job, scratch);
    uint32_t end = job->first_tile + job->tiles;
    for (uint32_t tile = job->first_tile; tile < end; tile += FTV_CHUNK_TILES) {
        load_chunk(&s, job->layer, tile, ftv_min_u32(FTV_CHUNK_TILES, end - tile));
        for (uint32_t first = 0; first < job->tokens; first += FTV_EIGHT) {
            uint32_t count = ftv_min_u32(FTV_EIGHT, job->tokens - first);
            ftv_eight_rows(&s.eight, job->x.codes + (size_t)first * job->x.stride, job->x.stride, count);
            if (job->encoding == FTV_T2) {
                ftv_tiles_s8t2_scalar(&s.eight);
            } else {
                ftv_tiles_s8t5_scalar(&s.eight);
            }
            for (uint32_t token = 0; token < count; token++) {
                put_token(job, &s, tile, first + token, s.eight.sums + token);
            }
        }
    }
}
