/* Rendered kernels and a rendered memory plan: each kernel equals ref on the model's shapes, on random and on the most
 * extreme operands, in allocations of exactly the promised size; then the whole model, whose logits go to a file. */
#include "ftv_engine.h"
#include "ftv_threads.h"
#include "model.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit) {
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) % limit;
}

static void fail(const char *what, uint32_t shape) {
    fprintf(stderr, "%s, size %u\n", what, shape);
    exit(1);
}

static void *allocate(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, bytes > 0 ? bytes : 1) != 0) {
        exit(2);
    }
    return memory;
}

/* kind 0: random, 1: all 127, 2: all -127. */
static int8_t code(uint32_t kind) {
    return kind == 0U ? (int8_t)((int)random_below(255) - 127) : kind == 1U ? 127 : -127;
}

static int8_t *make_rows(uint32_t rows, uint32_t columns, uint32_t stride, uint32_t kind) {
    int8_t *x = allocate((size_t)rows * stride);
    memset(x, 0, (size_t)rows * stride);
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t k = 0; k < columns; k++) {
            x[(size_t)row * stride + k] = code(kind);
        }
    }
    return x;
}

/* A tile of the model itself, or of weights +1 only. */
static uint8_t *make_tile(const ftv_linear *layer, uint32_t kind) {
    uint8_t *tile = allocate(layer->tile_bytes);
    memcpy(tile, layer->tiles, layer->tile_bytes);
    if (kind == 0U) {
        return tile;
    }
    if (MODEL_ENCODING == FTV_T2) {
        memset(tile, 0xAA, layer->tile_bytes);
    } else {
        memset(tile, 255, layer->tile_bytes); /* five times +1, also beyond the inputs, where x is zero or not read */
    }
    return tile;
}

static void check_linear(const ftv_linear *layer, uint32_t tokens, uint32_t kind) {
    uint32_t inputs = layer->inputs, stride = (inputs + 15U) / 16U * 16U;
    int8_t *x = make_rows(tokens, inputs, stride, kind);
    uint8_t *tile = make_tile(layer, kind);
    void *scratch = allocate(model_kernels.linear_scratch_bytes(inputs));
    int32_t *expected = allocate(tokens * 64U), *got = allocate(tokens * 64U);
    if (MODEL_ENCODING == FTV_T2) {
        ftv_kernels_ref.linear_s8t2(expected, x, tokens, stride, tile, inputs, NULL);
        model_kernels.linear_s8t2(got, x, tokens, stride, tile, inputs, scratch);
    } else {
        ftv_kernels_ref.linear_s8t5(expected, x, tokens, stride, tile, inputs, NULL);
        model_kernels.linear_s8t5(got, x, tokens, stride, tile, inputs, scratch);
    }
    if (memcmp(expected, got, tokens * 64U) != 0) {
        fail("linear differs from ref", inputs);
    }
    free(x);
    free(tile);
    free(scratch);
    free(expected);
    free(got);
}

static void check_attention(uint32_t head_dim, uint32_t rows, uint32_t kind) {
    uint32_t stride = (head_dim + 15U) / 16U * 16U;
    int8_t *q = make_rows(1, head_dim, stride, kind), *k = make_rows(rows, head_dim, stride, kind);
    int16_t *weights = allocate(rows * sizeof *weights);
    uint32_t most = rows > stride ? rows : stride;
    int32_t *expected = allocate(most * sizeof *expected), *got = allocate(most * sizeof *got);
    for (uint32_t j = 0; j < rows; j++) {
        weights[j] = (int16_t)(kind == 0U ? random_below(8193) : 8192U);
    }
    ftv_kernels_ref.scores_s8s8(expected, q, k, rows, stride, head_dim);
    model_kernels.scores_s8s8(got, q, k, rows, stride, head_dim);
    if (memcmp(expected, got, rows * sizeof *got) != 0) {
        fail("scores_s8s8 differs from ref", head_dim);
    }
    ftv_kernels_ref.mix_s16s8(expected, weights, k, rows, stride, head_dim);
    model_kernels.mix_s16s8(got, weights, k, rows, stride, head_dim);
    if (memcmp(expected, got, head_dim * sizeof *got) != 0) {
        fail("mix_s16s8 differs from ref", head_dim);
    }
    free(q);
    free(k);
    free(weights);
    free(expected);
    free(got);
}

/* What is rendered is the scalar set, but for the encoding that the model has not. */
static void check_set(const ftv_model *model) {
    const ftv_kernels *set = &ftv_kernels_scalar, *own = &model_kernels;
    bool linear =
        MODEL_ENCODING == FTV_T2 ? own->linear_s8t2 == set->linear_s8t2 : own->linear_s8t5 == set->linear_s8t5;
    bool loops = linear && own->scores_s8s8 == set->scores_s8s8 && own->mix_s16s8 == set->mix_s16s8;
    bool heads = own->qkv == set->qkv && own->parts == set->parts && own->attend == set->attend;
    bool rows = own->norm == set->norm && own->quantise == set->quantise;
    bool picture = own->patches == set->patches && own->embed == set->embed;
    if (!loops || !heads || !rows || !picture || own->layer != set->layer || own->tiles != set->tiles) {
        fail("the rendered set lacks something of the set", 0);
    }
    if (own->linear_scratch_bytes(MODEL_MOST_INPUTS) != MODEL_LINEAR_SCRATCH_BYTES ||
        own->scratch_bytes(model) != MODEL_STEPS_SCRATCH_BYTES ||
        set->scratch_bytes(model) != MODEL_STEPS_SCRATCH_BYTES) {
        fail("scratch is not what was planned", MODEL_STEPS_SCRATCH_BYTES);
    }
}

static void check_kernels(const ftv_model *model) {
    const ftv_linear *const layers[] = {&model->patch, &model->blocks[0].fc1, &model->blocks[0].fc2};
    for (uint32_t kind = 0; kind < 3U; kind++) {
        for (uint32_t tokens = 1; tokens <= 9U; tokens++) {
            for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
                check_linear(layers[i], tokens, kind);
            }
            check_attention(model->head_dim, tokens, kind);
            check_attention(model->head_dim % 256U + 1U, tokens, kind);
        }
        check_attention(model->head_dim, model->tokens, kind);
    }
}

static uint8_t *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        fail(path, 0);
    }
    *bytes = (size_t)ftell(file);
    rewind(file);
    uint8_t *content = allocate(*bytes);
    if (fread(content, 1, *bytes, file) != *bytes) {
        fail(path, 0);
    }
    fclose(file);
    return content;
}

static void expect(ftv_status status) {
    if (status != FTV_OK) {
        fail(ftv_status_text(status), 0);
    }
}

int main(int count, char **words) {
    static ftv_model model;
    size_t image_bytes = 0, pixels_bytes = 0;
    if (count != 4) {
        fail("usage: run_project IMAGE PIXELS LOGITS", 0);
    }
    uint8_t *image = read_file(words[1], &image_bytes), *pixels = read_file(words[2], &pixels_bytes);
    expect(ftv_open(&model, image, image_bytes));
    check_set(&model);
    check_kernels(&model);
    const ftv_parallel *parallel = ftv_threads_create(MODEL_WORKERS);
    void *near = allocate(MODEL_NEAR_BYTES), *far = allocate(MODEL_FAR_BYTES);
    void *spare = allocate(MODEL_SPARE_BYTES);
    int32_t *logits = allocate(model.classes * sizeof *logits);
    ftv_options options = {.kernels = &model_kernels,
                           .parallel = parallel,
                           .plan = &model_plan,
                           .far = far,
                           .far_bytes = MODEL_FAR_BYTES,
                           .spare = spare,
                           .spare_bytes = MODEL_SPARE_BYTES};
    expect(ftv_check_plan(&model, &options));
    options.kernels = &ftv_kernels_ref; /* what an application falls back to */
    expect(ftv_check_plan(&model, &options));
    options.kernels = &model_kernels;
    expect(ftv_run(&model, &options, pixels, logits, near, MODEL_NEAR_BYTES));
    FILE *file = fopen(words[3], "wb");
    if (file == NULL || fwrite(logits, sizeof *logits, model.classes, file) != model.classes || fclose(file) != 0) {
        fail(words[3], 0);
    }
    ftv_threads_destroy(parallel);
    free(image);
    free(pixels);
    free(near);
    free(far);
    free(spare);
    free(logits);
    return 0;
}
