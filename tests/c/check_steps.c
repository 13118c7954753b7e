/* Whole steps of a set of kernels equal their composition of ref's inner loops, on random shapes, random operands and
 * the most extreme ones. Operands, outputs and scratch lie in allocations of exactly the size that ftv.h promises. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 300 };

typedef enum operands { RANDOM, ALL_HIGHEST, ALL_LOWEST, KINDS } operands;

static const ftv_kernels *const candidates[] = {&ftv_kernels_portable, &ftv_kernels_scalar};

static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit) {
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) % limit;
}

static void *allocate(size_t size) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, size > 0 ? size : 1) != 0) {
        exit(2);
    }
    memset(memory, 0, size);
    return memory;
}

static void compare(const ftv_kernels *kernels, const char *what, const void *got, const void *expected, size_t bytes) {
    if (memcmp(got, expected, bytes) != 0) {
        fprintf(stderr, "%s: %s differs, seed %u\n", kernels->name, what, seed);
        exit(1);
    }
}

/* ---- a matrix and the rows that it reads ---- */

typedef struct matrix {
    ftv_linear layer;
    ftv_encoding encoding;
    ftv_rows x;
    uint32_t tokens;
} matrix;

static uint32_t trit(operands kind) {
    return kind == RANDOM ? random_below(3) : 2U;
}

/* Sixteen channels, of which the first `real` are not padding. */
static void fill_tile(uint8_t *tile, ftv_encoding encoding, uint32_t inputs, uint32_t real, operands kind) {
    if (encoding == FTV_T2) {
        memset(tile, 0x55, (inputs + 15U) / 16U * 64U);
        for (uint32_t k = 0; k < inputs; k++) {
            for (uint32_t channel = 0; channel < real; channel++) {
                uint8_t *byte = tile + k / 16U * 64U + k % 4U * 16U + channel;
                uint32_t at = k % 16U / 4U * 2U;
                *byte = (uint8_t)((*byte & ~(3U << at)) | trit(kind) << at);
            }
        }
        return;
    }
    for (uint32_t i = 0; i < (inputs + 4U) / 5U * 16U; i++) {
        uint32_t v = 0;
        for (uint32_t digit = 0; digit < 5; digit++) {
            v = v * 3U + (i / 16U * 5U + digit < inputs && i % 16U < real ? trit(kind) : 1U);
        }
        tile[i] = (uint8_t)((256U * v + 242U) / 243U);
    }
}

/* Exponents mostly as models have them, sometimes anything. */
static int16_t random_exponent(int32_t usual) {
    return (int16_t)(random_below(8) == 0U ? (int32_t)random_below(95) - 32 : usual + (int32_t)random_below(6));
}

static ftv_linear make_layer(uint32_t rows, uint32_t inputs, ftv_encoding encoding, operands kind) {
    ftv_linear layer = {.rows = rows, .stored_rows = ftv_round16(rows), .inputs = inputs};
    layer.tile_bytes = encoding == FTV_T2 ? (inputs + 15U) / 16U * 64U : (inputs + 4U) / 5U * 16U;
    layer.per_channel = (uint8_t)random_below(2);
    layer.exponent = random_exponent(14);
    layer.bias_shift = (uint8_t)random_below(15);
    uint32_t tiles = layer.stored_rows / FTV_TILE, multipliers = layer.per_channel ? layer.stored_rows : 1U;
    uint8_t *bytes = allocate((size_t)tiles * layer.tile_bytes);
    uint16_t *mantissas = allocate(multipliers * sizeof *mantissas);
    int16_t *bias = allocate(layer.stored_rows * sizeof *bias);
    for (uint32_t tile = 0; tile < tiles; tile++) {
        fill_tile(bytes + (size_t)tile * layer.tile_bytes, encoding, inputs, ftv_min_u32(16U, rows - 16U * tile), kind);
    }
    for (uint32_t i = 0; i < multipliers; i++) {
        mantissas[i] = (uint16_t)(layer.per_channel && i >= rows ? 0U : kind == RANDOM ? random_below(32768) : 32767U);
    }
    for (uint32_t row = 0; row < rows; row++) {
        bias[row] = (int16_t)(kind == RANDOM       ? (int32_t)random_below(65536) - 32768
                              : kind == ALL_LOWEST ? -32768
                                                   : 32767);
    }
    layer.tiles = bytes;
    layer.mantissas = mantissas;
    layer.bias = bias;
    return layer;
}

static ftv_rows make_rows(uint32_t tokens, uint32_t inputs, operands kind) {
    ftv_rows x = {.stride = ftv_round16(inputs)};
    x.codes = allocate((size_t)tokens * x.stride);
    x.scales = allocate(tokens * sizeof *x.scales);
    for (uint32_t token = 0; token < tokens; token++) {
        for (uint32_t k = 0; k < inputs; k++) {
            int32_t code = kind == RANDOM ? (int32_t)random_below(255) - 127 : kind == ALL_LOWEST ? -127 : 127;
            x.codes[(size_t)token * x.stride + k] = (int8_t)code;
        }
        x.scales[token] =
            (ftv_multiplier){(uint16_t)(kind == RANDOM ? 16384U + random_below(16384) : 32767U), random_exponent(4)};
    }
    return x;
}

static matrix make_matrix(uint32_t rows, uint32_t inputs, uint32_t tokens, operands kind) {
    ftv_encoding encoding = random_below(2) == 0U ? FTV_T2 : FTV_T5;
    return (matrix){make_layer(rows, inputs, encoding, kind), encoding, make_rows(tokens, inputs, kind), tokens};
}

static void free_matrix(matrix *m) {
    free((void *)(uintptr_t)m->layer.tiles);
    free((void *)(uintptr_t)m->layer.mantissas);
    free((void *)(uintptr_t)m->layer.bias);
    free(m->x.codes);
    free(m->x.scales);
}

/* What a set needs for a step of a model of this shape, the way the engine asks. */
static void *make_scratch(const ftv_kernels *kernels, const matrix *m, uint32_t head_dim) {
    static ftv_model model; /* large */
    memset(&model, 0, sizeof model);
    model.encoding = m->encoding;
    model.tokens = m->tokens;
    model.heads = 1;
    model.depth = 1;
    model.width = m->layer.inputs;
    model.hidden = m->layer.inputs;
    model.head_dim = head_dim;
    model.head_rows = ftv_round16(head_dim);
    model.blocks[0].qkv = model.blocks[0].fc1 = model.blocks[0].fc2 = model.blocks[0].proj = model.head = m->layer;
    return allocate(ftv_step_scratch_bytes(&model, kernels));
}

/* ---- layer ---- */

typedef struct outputs {
    int32_t *wide;
    int16_t *values;
    int32_t *absmax;
    size_t count;
} outputs;

static outputs make_outputs(size_t count) {
    outputs out = {allocate(count * sizeof(int32_t)), allocate(count * sizeof(int16_t)),
                   allocate(count / FTV_TILE * sizeof(int32_t)), count};
    return out;
}

static void free_outputs(outputs *out) {
    free(out->wide);
    free(out->values);
    free(out->absmax);
}

static void compare_outputs(const ftv_kernels *kernels, const char *what, const outputs *got, const outputs *expected) {
    compare(kernels, what, got->wide, expected->wide, got->count * sizeof(int32_t));
    compare(kernels, what, got->values, expected->values, got->count * sizeof(int16_t));
    compare(kernels, what, got->absmax, expected->absmax, got->count / FTV_TILE * sizeof(int32_t));
}

/* Some of the matrix's tiles. */
static ftv_layer_job make_job(const matrix *m, const outputs *out) {
    uint32_t tiles = m->layer.stored_rows / FTV_TILE, first = random_below(tiles);
    ftv_layer_job job = {.layer = &m->layer,
                         .encoding = m->encoding,
                         .first_tile = first,
                         .tiles = 1U + random_below(tiles - first),
                         .x = m->x,
                         .tokens = m->tokens,
                         .output = (ftv_output)random_below(3),
                         .out = out->wide,
                         .out_stride = m->layer.stored_rows,
                         .narrow = {out->values, out->absmax, m->layer.stored_rows}};
    job.column = random_below(tiles - job.tiles + 1U) * FTV_TILE;
    return job;
}

static void check_layer(const ftv_kernels *kernels, uint32_t rows, uint32_t inputs, uint32_t tokens, operands kind) {
    matrix m = make_matrix(rows, inputs, tokens, kind);
    size_t count = (size_t)tokens * m.layer.stored_rows;
    outputs expected = make_outputs(count), got = make_outputs(count);
    for (size_t i = 0; i < count; i++) {
        expected.wide[i] = got.wide[i] = (int32_t)(random_below(1U << 24) << 7) - (1 << 30);
    }
    ftv_layer_job job = make_job(&m, &expected);
    void *scratch = make_scratch(&ftv_kernels_ref, &m, 16);
    ftv_layer_steps(&ftv_kernels_ref, &job, scratch);
    free(scratch);
    scratch = make_scratch(kernels, &m, 16);
    job.out = got.wide;
    job.narrow.values = got.values;
    job.narrow.absmax = got.absmax;
    ftv_layer(kernels, &job, scratch);
    compare_outputs(kernels, "layer", &got, &expected);
    free(scratch);
    free_outputs(&expected);
    free_outputs(&got);
    free_matrix(&m);
}

/* ---- attention ---- */

typedef struct head {
    int8_t *codes[FTV_PARTS];
    int32_t *absmax[FTV_PARTS];
} head;

static head make_head(const ftv_kernels *kernels, uint32_t tokens, uint32_t head_rows) {
    head h;
    for (uint32_t part = 0; part < FTV_PARTS; part++) {
        h.codes[part] = allocate(ftv_part_bytes(kernels, (ftv_part)part, tokens, head_rows));
        h.absmax[part] = allocate(tokens * sizeof(int32_t));
    }
    return h;
}

static void free_head(head *h) {
    for (uint32_t part = 0; part < FTV_PARTS; part++) {
        free(h->codes[part]);
        free(h->absmax[part]);
    }
}

/* Q, K and V, tokens first .. first + count - 1. */
static void project(const ftv_kernels *kernels, const matrix *m, const head *h, uint32_t head_dim, uint32_t first,
                    uint32_t count) {
    void *scratch = make_scratch(kernels, m, head_dim);
    for (uint32_t i = 0; i < FTV_PARTS; i++) {
        ftv_qkv_part part = {.part = (ftv_part)i,
                             .layer = &m->layer,
                             .encoding = m->encoding,
                             .first_row = i * ftv_round16(head_dim),
                             .x = m->x,
                             .tokens = m->tokens,
                             .first = first,
                             .count = count,
                             .head_dim = head_dim,
                             .head_rows = ftv_round16(head_dim),
                             .levels = i == FTV_Q ? FTV_QUERY_MAX : FTV_CODE_MAX,
                             .codes = h->codes[i],
                             .absmax = h->absmax[i]};
        ftv_qkv(kernels, &part, scratch);
    }
    free(scratch);
}

/* The head's pass with a set; all tokens are projected in two parts, some rows attend. */
static void run_head(const ftv_kernels *kernels, const matrix *m, uint32_t head_dim, ftv_attend_job job, outputs *out,
                     head *h) {
    uint32_t split = ftv_round16(m->tokens / 2U);
    split = split < m->tokens ? split : m->tokens;
    *h = make_head(kernels, m->tokens, ftv_round16(head_dim));
    project(kernels, m, h, head_dim, 0, split);
    if (split < m->tokens) {
        project(kernels, m, h, head_dim, split, m->tokens - split);
    }
    for (uint32_t i = 0; i < FTV_PARTS; i++) {
        job.codes[i] = h->codes[i];
        job.absmax[i] = h->absmax[i];
    }
    job.out.values = out->values;
    job.out.absmax = out->absmax;
    void *scratch = make_scratch(kernels, m, head_dim);
    ftv_attend(kernels, &job, scratch);
    free(scratch);
}

static void check_head(const ftv_kernels *kernels, uint32_t head_dim, uint32_t inputs, uint32_t tokens, operands kind) {
    uint32_t head_rows = ftv_round16(head_dim);
    matrix m = make_matrix(3U * head_rows, inputs, tokens, kind);
    ftv_attend_job job = {.tokens = tokens,
                          .first = random_below(tokens),
                          .head_dim = head_dim,
                          .head_rows = head_rows,
                          .attention = {(uint16_t)(16384U + random_below(16384)), random_exponent(27)},
                          .out = {.stride = 2U * head_rows},
                          .column = random_below(2) * head_rows};
    job.count = 1U + random_below(tokens - job.first);
    job.attention.exponent = (int16_t)(job.attention.exponent < 0 ? 0 : job.attention.exponent);
    outputs expected = make_outputs((size_t)tokens * 2U * head_rows),
            got = make_outputs((size_t)tokens * 2U * head_rows);
    head h[2];
    run_head(&ftv_kernels_ref, &m, head_dim, job, &expected, &h[0]);
    run_head(kernels, &m, head_dim, job, &got, &h[1]);
    for (uint32_t part = 0; part < FTV_PARTS; part++) {
        compare(kernels, "absmax of Q, K, V", h[1].absmax[part], h[0].absmax[part], tokens * sizeof(int32_t));
    }
    compare_outputs(kernels, "attend", &got, &expected);
    free_outputs(&expected);
    free_outputs(&got);
    free_head(&h[0]);
    free_head(&h[1]);
    free_matrix(&m);
}

/* ---- all ---- */

static void check(const ftv_kernels *kernels) {
    for (operands kind = RANDOM; kind < KINDS; kind++) {
        check_layer(kernels, 50, 4128, 9, kind);
        check_layer(kernels, 900, 33, 17, kind);
        check_head(kernels, 64, 192, 197, kind);
        check_head(kernels, 256, 300, 40, kind);
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        operands kind = (operands)random_below(KINDS);
        check_layer(kernels, random_below(100) + 1U, random_below(round % 10U == 0U ? 1500U : 100U) + 1U,
                    random_below(20) + 1U, kind);
        check_head(kernels, random_below(round % 10U == 0U ? 256U : 70U) + 1U, random_below(100) + 1U,
                   random_below(40) + 1U, kind);
    }
}

int main(void) {
    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        check(candidates[i]);
    }
    return 0;
}
