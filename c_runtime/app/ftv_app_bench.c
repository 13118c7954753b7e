/* BENCH: one kernel on a tile of sixteen channels, timed on numbers that any host can make again. */
#include "ftv_app_parts.h"
#include "ftv_crc32.h"
#include "ftv_dense.h"
#include "ftv_engine.h"
#include "ftv_fixed.h"
#include "ftv_tile.h"

#define MAX_TOKENS      4096U
#define MAX_INPUTS      4128U
#define MAX_REPETITIONS 100000U

/* What is timed. */
typedef enum what { PRODUCT, LAYER, DENSE } what;

/* The beginning of a kernel's name, and what it stands for. */
typedef struct family {
    const char *start;
    what what;
    ftv_encoding encoding;
    ftv_output output;
    ftv_dense dense;
} family;

static const family families[] = {
    {.start = "linear_s8t2_", .what = PRODUCT, .encoding = FTV_T2},
    {.start = "linear_s8t5_", .what = PRODUCT, .encoding = FTV_T5},
    {.start = "store_s8t2_", .what = LAYER, .encoding = FTV_T2, .output = FTV_STORE},
    {.start = "store_s8t5_", .what = LAYER, .encoding = FTV_T5, .output = FTV_STORE},
    {.start = "add_s8t2_", .what = LAYER, .encoding = FTV_T2, .output = FTV_ADD},
    {.start = "add_s8t5_", .what = LAYER, .encoding = FTV_T5, .output = FTV_ADD},
    {.start = "activate_s8t2_", .what = LAYER, .encoding = FTV_T2, .output = FTV_ACTIVATE},
    {.start = "activate_s8t5_", .what = LAYER, .encoding = FTV_T5, .output = FTV_ACTIVATE},
    {.start = "linear_s8s8_", .what = DENSE, .dense = FTV_DENSE_S8},
    {.start = "linear_f32f32_", .what = DENSE, .dense = FTV_DENSE_F32},
};

/* A kernel and its operands. */
typedef struct bench {
    const family *family;
    const ftv_kernels *kernels;
    ftv_tile_job tile;
    ftv_linear matrix;
    ftv_layer_job layer;
    ftv_dense_job dense;
    uint8_t *at; /* memory that is still free */
    size_t left;
} bench;

/* ---- names ---- */

/* What is left of `name` after `start`; NULL if it starts otherwise. */
static const char *after(const char *name, uint32_t *bytes, const char *start) {
    while (*start != '\0') {
        if (*bytes == 0U || *name != *start) {
            return NULL;
        }
        name++;
        start++;
        --*bytes;
    }
    return name;
}

static bool is_called(const char *name, uint32_t bytes, const char *called) {
    const char *rest = after(name, &bytes, called);
    return rest != NULL && bytes == 0U;
}

/* The kernels that the name ends with; NULL: none. */
static const ftv_kernels *kernels_called(const ftv_app *app, const char *name, uint32_t bytes) {
    const ftv_kernels *given = app->config->options.kernels;
    const ftv_kernels *known[] = {given, &ftv_kernels_ref, &ftv_kernels_portable};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i] != NULL && is_called(name, bytes, known[i]->name)) {
            return known[i];
        }
    }
    return NULL;
}

static bool find(const ftv_app *app, const ftv_line_bench *request, bench *b) {
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        uint32_t bytes = request->name_bytes;
        const char *rest = after(request->name, &bytes, families[i].start);
        if (rest != NULL) {
            b->family = &families[i];
            b->kernels = kernels_called(app, rest, bytes);
            return families[i].what == DENSE ? is_called(rest, bytes, "portable") : b->kernels != NULL;
        }
    }
    return false;
}

/* ---- memory and numbers: section 5 of LINE_PROTOCOL.md ---- */

/* The next `bytes` bytes; NULL where there are not so many. */
static void *take(bench *b, size_t bytes) {
    uint8_t *taken = b->at;
    size_t needed = ftv_align(bytes);
    if (taken == NULL || needed > b->left) {
        b->at = NULL;
        return NULL;
    }
    b->at += needed;
    b->left -= needed;
    return taken;
}

static bool lay_out_tile(bench *b, size_t scratch_bytes) {
    ftv_tile_job *job = &b->tile;
    void *memory = take(b, ftv_tile_bytes(job->tokens, job->inputs, scratch_bytes, false));
    if (memory == NULL) {
        return false;
    }
    job->encoding = b->family->encoding;
    ftv_tile_lay_out(job, memory, false);
    ftv_tile_fill(job, FTV_MADE_FOR_BENCH);
    return true;
}

static bool lay_out_layer(bench *b) {
    ftv_tile_job *tile = &b->tile;
    b->matrix = (ftv_linear){.inputs = tile->inputs,
                             .stored_rows = FTV_TILE_CHANNELS,
                             .rows = FTV_TILE_CHANNELS,
                             .exponent = 22,
                             .bias_shift = 6};
    b->layer = (ftv_layer_job){.layer = &b->matrix,
                               .encoding = b->family->encoding,
                               .tiles = 1,
                               .tokens = tile->tokens,
                               .output = b->family->output,
                               .out_stride = FTV_TILE_CHANNELS};
    ftv_model *blank = b->left >= sizeof *blank ? (ftv_model *)(void *)b->at : NULL;
    if (blank == NULL || !lay_out_tile(b, ftv_layer_job_bytes(b->kernels, &b->layer, blank))) {
        return false;
    }
    ftv_multiplier *scales = take(b, tile->tokens * sizeof *scales);
    uint16_t *mantissa = take(b, sizeof *mantissa);
    int16_t *bias = take(b, FTV_TILE_CHANNELS * sizeof *bias);
    ftv_narrow narrow = {.stride = FTV_TILE_CHANNELS};
    narrow.values = take(b, (size_t)tile->tokens * FTV_TILE_CHANNELS * sizeof(int16_t));
    narrow.absmax = take(b, tile->tokens * sizeof(int32_t));
    if (b->at == NULL) {
        return false;
    }
    for (uint32_t token = 0; token < tile->tokens; token++) {
        scales[token] = (ftv_multiplier){(uint16_t)(16384U + 97U * token % 16384U), 0};
    }
    *mantissa = 24576;
    for (uint32_t channel = 0; channel < FTV_TILE_CHANNELS; channel++) {
        bias[channel] = (int16_t)((int32_t)(123U * channel) - 1000);
    }
    b->matrix.tiles = tile->tile;
    b->matrix.mantissas = mantissa;
    b->matrix.bias = bias;
    b->layer.x = (ftv_rows){tile->x, scales, tile->stride};
    b->layer.out = tile->sums;
    b->layer.narrow = narrow;
    return true;
}

/* Operands of another arithmetic, tile.sums for the results as integers. */
static bool lay_out_dense(bench *b) {
    const ftv_tile_job *tile = &b->tile;
    size_t value = b->family->dense == FTV_DENSE_F32 ? sizeof(int32_t) : sizeof(int8_t);
    uint32_t stride = (uint32_t)ftv_round_16(tile->inputs);
    void *x = take(b, tile->tokens * stride * value);
    void *weights = take(b, FTV_TILE_CHANNELS * ftv_dense_row(tile->inputs) * value);
    void *scratch = take(b, ftv_dense_bytes(tile->inputs));
    void *sums = take(b, ftv_sums_bytes(tile->tokens));
    b->tile.sums = b->family->dense == FTV_DENSE_F32 ? take(b, ftv_sums_bytes(tile->tokens)) : sums;
    b->dense = (ftv_dense_job){b->family->dense, tile->tokens, tile->inputs, stride, x, weights, sums, scratch};
    if (b->at == NULL) {
        return false;
    }
    ftv_dense_fill(&b->dense, x, weights);
    return true;
}

static bool lay_out(bench *b) {
    if (b->tile.tokens - 1U >= MAX_TOKENS || b->tile.inputs - 1U >= MAX_INPUTS) {
        return false;
    }
    switch (b->family->what) {
    case PRODUCT:
        return lay_out_tile(b, b->kernels->linear_scratch_bytes(b->tile.inputs));
    case LAYER:
        return lay_out_layer(b);
    default:
        return lay_out_dense(b);
    }
}

/* ---- runs ---- */

static void run(bench *b) {
    const ftv_tile_job *tile = &b->tile;
    switch (b->family->what) {
    case PRODUCT:
        ftv_linear_of(b->kernels, tile->encoding)(tile->sums, tile->x, tile->tokens, tile->stride, tile->tile,
                                                  tile->inputs, tile->scratch);
        break;
    case LAYER:
        ftv_layer(b->kernels, &b->layer, tile->scratch);
        break;
    case DENSE:
        ftv_dense_tile(&b->dense, 0, 0);
        break;
    }
}

/* What FTV_ADD adds to. */
static void clear(bench *b) {
    for (size_t i = 0; i < (size_t)b->tile.tokens * FTV_TILE_CHANNELS; i++) {
        b->tile.sums[i] = 0;
    }
}

static uint32_t crc_of_narrow(const ftv_narrow *narrow, uint32_t tokens) {
    uint32_t crc = 0;
    for (size_t i = 0; i < (size_t)tokens * FTV_TILE_CHANNELS; i++) {
        uint16_t value = (uint16_t)narrow->values[i];
        const uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
        crc = ftv_crc32(crc, bytes, sizeof bytes);
    }
    return ftv_crc32_words(crc, narrow->absmax, tokens);
}

/* Of the results of one more run, on outputs that no run before has touched. */
static uint32_t digest(bench *b) {
    if (b->family->what == DENSE) {
        ftv_dense_results(&b->dense, b->tile.sums);
    } else {
        clear(b);
        run(b);
    }
    bool narrow = b->family->what == LAYER && b->family->output == FTV_ACTIVATE;
    return narrow ? crc_of_narrow(&b->layer.narrow, b->tile.tokens)
                  : ftv_crc32_words(0, b->tile.sums, (size_t)b->tile.tokens * FTV_TILE_CHANNELS);
}

static uint32_t cycles(const ftv_app_port *port) {
    return port->cycles != NULL ? port->cycles(port->context) : 0U;
}

static void set_trigger(const ftv_app_port *port, bool high) {
    if (port->trigger != NULL) {
        port->trigger(port->context, high);
    }
}

ftv_line_error ftv_app_bench(void *context, const ftv_line_bench *request, ftv_line_bench_result *result) {
    const ftv_app *app = context;
    const ftv_app_port *port = &app->config->port;
    bench b = {.tile = {.tokens = request->tokens, .inputs = request->inputs},
               .at = app->config->scratch,
               .left = app->config->scratch_bytes};
    if (!find(app, request, &b)) {
        return FTV_LINE_ERR_ABSENT;
    }
    if (request->repetitions > MAX_REPETITIONS || !lay_out(&b)) {
        return FTV_LINE_ERR_PAYLOAD;
    }
    clear(&b);
    set_trigger(port, true);
    uint32_t started_us = ftv_app_now(app), started = cycles(port);
    for (uint32_t i = 0; i < request->repetitions; i++) {
        run(&b);
    }
    result->cycles = cycles(port) - started;
    result->microseconds = ftv_app_now(app) - started_us;
    set_trigger(port, false);
    result->crc32 = digest(&b);
    return FTV_LINE_OK;
}
