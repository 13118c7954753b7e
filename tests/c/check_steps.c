/* Prints the names of the sets of kernels that this CPU can run, once checked: every whole step of every set of kernels, its own or composed, equals its definition on random, odd and extreme shapes and operands.
 * Operands lie in allocations of exactly the size that ftv.h promises them. */
#include "ftv_engine.h"
#include "ftv_host_kernels.h"
#include "step_definitions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 120, LAYER_ROWS_MAX = 1008 };

static uint32_t seed = 1;
static int largest_sums; /* all weights +1, all codes of one sign: sums as large as they get */

static uint32_t random_below(uint32_t limit) {
    seed = seed * 1664525U + 1013904223U;
    return (uint32_t)((uint64_t)(seed ^ seed >> 15) * limit >> 32);
}

static int32_t random_between(int32_t least, int32_t most) {
    return (int32_t)((uint32_t)least + random_below((uint32_t)most - (uint32_t)least + 1U));
}

/* w + 1. */
static uint32_t random_trit(void) {
    return largest_sums ? 2U : random_below(3);
}

static void *allocate(size_t size) {
    void *memory = NULL;
    if (posix_memalign(&memory, 16, size + (size == 0)) != 0) {
        exit(2);
    }
    memset(memory, 0x5A, size);
    return memory;
}

static void fail(const ftv_kernels *kernels, const char *what, uint32_t row, uint32_t column, int64_t got,
                 int64_t expected) {
    fprintf(stderr, "%s %s: row %u, column %u is %lld instead of %lld\n", kernels->name, what, row, column,
            (long long)got, (long long)expected);
    exit(1);
}

/* ---- operands ---- */

/* Rows of codes with token scales whose exponents give layers shifts of every kind. */
static ftv_rows make_rows(uint32_t rows, uint32_t columns, int32_t most, int32_t exponent) {
    ftv_rows x = {.stride = (columns + 15U) / 16U * 16U};
    x.codes = allocate((size_t)rows * x.stride);
    x.scales = allocate(rows * sizeof *x.scales);
    memset(x.codes, 0, (size_t)rows * x.stride);
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t k = 0; k < columns; k++) {
            int32_t code = largest_sums ? (row % 2U == 0U ? most : -most) : random_between(-most, most);
            x.codes[(size_t)row * x.stride + k] = (int8_t)code;
        }
        int32_t by = random_below(16) == 0 ? random_between(-40, 40) : random_between(-2, 2);
        x.scales[row] = (ftv_multiplier){(uint16_t)random_between(1 << 14, 32767), (int16_t)(exponent + by)};
    }
    return x;
}

static void free_rows(ftv_rows x) {
    free(x.codes);
    free(x.scales);
}

static void set_t2(uint8_t *tile, uint32_t channel, uint32_t k, uint32_t code) {
    uint8_t *byte = tile + k / 16U * 64U + k % 4U * 16U + channel;
    uint32_t at = k % 16U / 4U * 2U;
    *byte = (uint8_t)((*byte & ~(3U << at)) | code << at);
}

/* A matrix whose rows `real(row)` says are there; the others are pad rows. */
static ftv_linear make_linear(ftv_encoding encoding, uint32_t groups, uint32_t group_rows, uint32_t inputs) {
    uint32_t padded = (group_rows + 15U) / 16U * 16U;
    ftv_linear layer = {.stored_rows = groups * padded, .rows = groups * group_rows, .inputs = inputs};
    layer.tile_bytes = encoding == FTV_T2 ? (inputs + 15U) / 16U * 64U : (inputs + 4U) / 5U * 16U;
    layer.exponent = (int16_t)random_between(8, 24);
    layer.bias_shift = (uint8_t)random_below(15);
    layer.per_channel = (uint8_t)random_below(2);
    uint8_t *tiles = allocate((size_t)layer.stored_rows / 16U * layer.tile_bytes);
    uint16_t *mantissas = allocate(layer.stored_rows * sizeof *mantissas);
    int16_t *bias = allocate(layer.stored_rows * sizeof *bias);
    memset(tiles, 0x55, (size_t)layer.stored_rows / 16U * layer.tile_bytes);
    for (uint32_t row = 0; row < layer.stored_rows; row++) {
        int real = row % padded < group_rows;
        uint8_t *tile = tiles + (size_t)(row / 16U) * layer.tile_bytes;
        mantissas[row] = (uint16_t)(real || !layer.per_channel ? random_between(0, 32767) : 0);
        bias[row] = (int16_t)(real ? random_between(-32768, 32767) : 0);
        for (uint32_t k = 0; k < inputs && encoding == FTV_T2; k++) {
            set_t2(tile, row % 16U, k, real ? random_trit() : 1U);
        }
        for (uint32_t g = 0; g < (inputs + 4U) / 5U && encoding == FTV_T5; g++) {
            uint32_t v = 0;
            for (uint32_t digit = 0; digit < 5U; digit++) {
                v = v * 3U + (real && g * 5U + digit < inputs ? random_trit() : 1U);
            }
            tile[g * 16U + row % 16U] = (uint8_t)((256U * v + 242U) / 243U);
        }
    }
    layer.tiles = tiles;
    layer.mantissas = mantissas;
    layer.bias = bias;
    return layer;
}

static void free_linear(ftv_linear layer) {
    free((void *)(uintptr_t)layer.tiles);
    free((void *)(uintptr_t)layer.mantissas);
    free((void *)(uintptr_t)layer.bias);
}

/* A model that says only what scratch sizes depend on. */
static ftv_model shape(uint32_t tokens, uint32_t width, uint32_t hidden, uint32_t head_dim) {
    ftv_model model;
    memset(&model, 0, sizeof model);
    model.tokens = tokens;
    model.width = width;
    model.hidden = hidden;
    model.head_dim = head_dim;
    model.head_rows = (head_dim + 15U) / 16U * 16U;
    model.heads = 1;
    model.patch.inputs = 1;
    model.encoding = FTV_T2;
    model.head.stored_rows = model.classes = LAYER_ROWS_MAX;
    return model;
}

static void *scratch_of(const ftv_kernels *kernels, ftv_model model) {
    return allocate(ftv_step_scratch_bytes(&model, kernels));
}

/* ---- layer ---- */

/* got, from column `first` on, against y [rows][stored], of which `columns` columns are real; zeros in the others. */
static void compare_narrow(const ftv_kernels *kernels, const char *what, ftv_narrow got, uint32_t rows,
                           uint32_t columns, const int32_t *y, uint32_t first, uint32_t stored) {
    int16_t values[16];
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t c = 0; c < stored; c += 16U) {
            int32_t sixteen[16] = {0}, a;
            uint32_t real = c >= columns ? 0 : columns - c < 16U ? columns - c : 16U;
            memcpy(sixteen, y + (size_t)row * stored + c, real * sizeof(int32_t));
            define_narrow(values, &a, sixteen, 16);
            size_t at = (size_t)row * got.stride + first + c;
            if (got.absmax[at / 16U] != a) {
                fail(kernels, what, row, first + c, got.absmax[at / 16U], a);
            }
            for (uint32_t i = 0; i < 16U; i++) {
                if (got.values[at + i] != values[i]) {
                    fail(kernels, what, row, first + c + i, got.values[at + i], values[i]);
                }
            }
        }
    }
}

static void check_layer(const ftv_kernels *kernels, uint32_t tokens, uint32_t rows, uint32_t inputs, ftv_output output,
                        int32_t most) {
    ftv_encoding encoding = random_below(2) == 0 ? FTV_T2 : FTV_T5;
    ftv_linear layer = make_linear(encoding, 1, rows, inputs);
    ftv_layer_job job = {.layer = &layer, .encoding = encoding, .tokens = tokens, .output = output};
    job.first_tile = random_below(layer.stored_rows / 16U);
    job.tiles = 1U + random_below(layer.stored_rows / 16U - job.first_tile);
    job.x = make_rows(tokens, inputs, most, random_between(-4, 8));
    job.column = 16U * random_below(3);
    job.out_stride = job.column + job.tiles * 16U + 4U * random_below(3);
    job.out = allocate((size_t)tokens * job.out_stride * sizeof(int32_t));
    job.narrow.stride = job.column + job.tiles * 16U + 16U * random_below(2);
    job.narrow.values = allocate((size_t)tokens * job.narrow.stride * sizeof(int16_t));
    job.narrow.absmax = allocate((size_t)tokens * job.narrow.stride / 16U * sizeof(int32_t));
    int32_t *before = allocate((size_t)tokens * job.out_stride * sizeof(int32_t));
    for (size_t i = 0; i < (size_t)tokens * job.out_stride; i++) {
        job.out[i] = before[i] = define_sat30((int64_t)random_between(-(1 << 30), (1 << 30) - 1) >> random_below(20));
    }
    uint32_t first = job.first_tile * 16U, columns = job.tiles * 16U;
    int32_t *y = allocate((size_t)tokens * columns * sizeof *y);
    define_linear(y, &layer, encoding, job.x, tokens, first, columns);
    ftv_model model = shape(tokens, inputs, inputs, 16);
    model.encoding = encoding;
    void *scratch = scratch_of(kernels, model);
    ftv_layer(kernels, &job, scratch);
    for (size_t i = 0; i < (size_t)tokens * columns && output == FTV_ACTIVATE; i++) {
        y[i] = define_gelu(y[i]);
    }
    if (output == FTV_ACTIVATE) {
        compare_narrow(kernels, "layer with GELU", job.narrow, tokens, layer.rows - first, y, job.column, columns);
    }
    for (uint32_t t = 0; t < tokens; t++) {
        for (uint32_t c = 0; c < job.out_stride; c++) {
            size_t at = (size_t)t * job.out_stride + c;
            int32_t expected = before[at];
            if (c >= job.column && c < job.column + columns && output != FTV_ACTIVATE) {
                int32_t value = y[(size_t)t * columns + c - job.column];
                expected = output == FTV_ADD ? define_sat30((int64_t)expected + value) : value;
            }
            if (job.out[at] != expected) {
                fail(kernels, "layer", t, c, job.out[at], expected);
            }
        }
    }
    free_rows(job.x);
    free_linear(layer);
    free(job.out);
    free(job.narrow.values);
    free(job.narrow.absmax);
    free(before);
    free(y);
    free(scratch);
}

/* ---- attention ---- */

/* The set's own codes of a head's parts, made in ranges of tokens, some of them together. counts: rows of each. */
static void make_parts(const ftv_kernels *kernels, ftv_qkv_part *parts, const uint32_t *counts, void *scratch) {
    for (uint32_t first = 0; first < parts->tokens;) {
        uint32_t some = 16U * (1U + random_below(6)), alone = random_below(2);
        for (uint32_t p = 0; p < 3U; p++) {
            uint32_t left = first < counts[p] ? counts[p] - first : 0U;
            parts[p].first = first;
            parts[p].count = some < left ? some : left;
        }
        for (uint32_t p = 0, run = 0; p < 3U; p += run) {
            for (run = 1; p + run < 3U && parts[p + run].count == parts[p].count && alone == 0U;) {
                run++;
            }
            if (parts[p].count > 0U) {
                ftv_parts(kernels, parts + p, run, scratch);
            }
        }
        first += some;
    }
}

/* Q16 y [tokens][head_dim] of a part. */
static int32_t *define_part(const ftv_qkv_part *part) {
    int32_t *stored = allocate((size_t)part->tokens * part->head_rows * sizeof *stored);
    int32_t *y = allocate((size_t)part->tokens * part->head_dim * sizeof *y);
    define_linear(stored, part->layer, part->encoding, part->x, part->tokens, part->first_row, part->head_rows);
    for (uint32_t t = 0; t < part->tokens; t++) {
        for (uint32_t c = 0; c < part->head_dim; c++) {
            y[(size_t)t * part->head_dim + c] = stored[(size_t)t * part->head_rows + c];
        }
    }
    free(stored);
    return y;
}

static void check_absmax(const ftv_kernels *kernels, const ftv_qkv_part *part, const int32_t *y, uint32_t count) {
    int8_t codes[256];
    ftv_multiplier scale;
    for (uint32_t t = 0; t < count; t++) {
        int32_t a = define_quantise(codes, &scale, y + (size_t)t * part->head_dim, part->head_dim, part->levels);
        if (part->absmax[t] != a) {
            fail(kernels, "qkv, absmax", t, (uint32_t)part->part, part->absmax[t], a);
        }
    }
}

static void check_attention(const ftv_kernels *kernels, uint32_t tokens, uint32_t queries, uint32_t head_dim,
                            uint32_t inputs, int32_t bias_shift) {
    ftv_encoding encoding = random_below(2) == 0 ? FTV_T2 : FTV_T5;
    uint32_t heads = 1U + random_below(2), head = random_below(heads), head_rows = (head_dim + 15U) / 16U * 16U;
    ftv_linear layer = make_linear(encoding, heads * 3U, head_dim, inputs);
    layer.bias_shift = (uint8_t)bias_shift;
    ftv_rows x = make_rows(tokens, inputs, 127, random_between(-4, 8));
    ftv_model model = shape(tokens, inputs, inputs, head_dim);
    model.encoding = encoding;
    void *scratch = scratch_of(kernels, model);
    ftv_attend_job job = {.tokens = tokens, .head_dim = head_dim, .head_rows = head_rows, .column = head * head_rows};
    job.attention = (ftv_multiplier){(uint16_t)random_between(1 << 14, 32767), (int16_t)random_between(0, 40)};
    int32_t *y[3];
    ftv_qkv_part parts[3];
    const uint32_t counts[3] = {queries, tokens, tokens};
    for (int p = 0; p < 3; p++) {
        parts[p] = (ftv_qkv_part){.part = (ftv_part)p, .layer = &layer, .encoding = encoding, .x = x, .tokens = tokens};
        parts[p].first_row = (head * 3U + (uint32_t)p) * head_rows;
        parts[p].head_dim = head_dim;
        parts[p].head_rows = head_rows;
        parts[p].levels = p == FTV_Q ? 63 : 127;
        job.codes[p] = parts[p].codes = allocate(ftv_part_bytes(kernels, (ftv_part)p, tokens, head_rows));
        job.absmax[p] = parts[p].absmax = allocate(tokens * sizeof(int32_t));
    }
    make_parts(kernels, parts, counts, scratch);
    for (int p = 0; p < 3; p++) {
        y[p] = define_part(&parts[p]);
        check_absmax(kernels, &parts[p], y[p], counts[p]);
    }
    job.out.stride = heads * head_rows;
    job.out.values = allocate((size_t)tokens * job.out.stride * sizeof(int16_t));
    job.out.absmax = allocate((size_t)tokens * job.out.stride / 16U * sizeof(int32_t));
    for (uint32_t first = 0; first < queries; first += job.count) {
        uint32_t some = 1U + random_below(40);
        job.first = first;
        job.count = some < queries - first ? some : queries - first;
        ftv_attend(kernels, &job, scratch);
    }
    int32_t *mixed = allocate((size_t)queries * head_dim * sizeof *mixed);
    int32_t *padded = allocate((size_t)queries * head_rows * sizeof *padded);
    memset(padded, 0, (size_t)queries * head_rows * sizeof *padded);
    define_attention(mixed, y[0], y[1], y[2], tokens, queries, head_dim, job.attention);
    for (uint32_t row = 0; row < queries; row++) {
        memcpy(padded + (size_t)row * head_rows, mixed + (size_t)row * head_dim, head_dim * sizeof *mixed);
    }
    compare_narrow(kernels, "attend", job.out, queries, head_rows, padded, job.column, head_rows);
    for (int p = 0; p < 3; p++) {
        free(y[p]);
        free(parts[p].codes);
        free(parts[p].absmax);
    }
    free_linear(layer);
    free_rows(x);
    free(scratch);
    free(job.out.values);
    free(job.out.absmax);
    free(mixed);
    free(padded);
}

/* ---- rows ---- */

static void compare_codes(const ftv_kernels *kernels, const char *what, ftv_rows got, uint32_t rows, uint32_t columns,
                          const int8_t *codes, const ftv_multiplier *scales) {
    for (uint32_t row = 0; row < rows; row++) {
        if (got.scales[row].mantissa != scales[row].mantissa) {
            fail(kernels, what, row, 0, got.scales[row].mantissa, scales[row].mantissa);
        }
        if (got.scales[row].exponent != scales[row].exponent) {
            fail(kernels, what, row, 1, got.scales[row].exponent, scales[row].exponent);
        }
        for (uint32_t c = 0; c < (columns + 15U) / 16U * 16U; c++) {
            int8_t expected = c < columns ? codes[(size_t)row * columns + c] : 0;
            if (got.codes[(size_t)row * got.stride + c] != expected) {
                fail(kernels, what, row, c, got.codes[(size_t)row * got.stride + c], expected);
            }
        }
    }
}

static void make_trits(uint8_t *codes, uint32_t columns) {
    memset(codes, 0x55, (columns + 3U) / 4U);
    for (uint32_t i = 0; i < columns; i++) {
        codes[i / 4U] = (uint8_t)((codes[i / 4U] & ~(3U << 2U * (i % 4U))) | random_below(3) << 2U * (i % 4U));
    }
}

static void check_norm(const ftv_kernels *kernels, uint32_t rows, uint32_t columns, uint32_t range) {
    ftv_norm_job job = {.rows = rows, .columns = columns, .x_stride = (columns + 3U) / 4U * 4U};
    int32_t *x = allocate((size_t)rows * job.x_stride * sizeof *x);
    for (uint32_t row = 0; row < rows; row++) {
        int32_t least = random_between(-(1 << 30), 0) >> random_below(31);
        int32_t most = define_sat30((int64_t)least + random_below(range));
        for (uint32_t c = 0; c < job.x_stride; c++) {
            x[(size_t)row * job.x_stride + c] = random_between(least, most);
        }
    }
    uint8_t *gamma = allocate((columns + 3U) / 4U), *beta = allocate((columns + 3U) / 4U);
    make_trits(gamma, columns);
    make_trits(beta, columns);
    ftv_norm norm = {gamma, beta, {(uint16_t)random_between(1 << 14, 32767), (int16_t)random_between(-32, 62)}, NULL};
    job.x = x;
    job.norm = &norm;
    job.eps_q32 = 1U + random_below(1U << random_below(25));
    job.out = make_rows(rows, columns, 127, 0);
    int8_t *codes = allocate((size_t)rows * columns);
    ftv_multiplier *scales = allocate(rows * sizeof *scales);
    void *scratch = scratch_of(kernels, shape(rows, columns, columns, 16));
    define_norm(&job, codes, scales);
    ftv_norm_rows(kernels, &job, scratch);
    compare_codes(kernels, "norm", job.out, rows, columns, codes, scales);
    free(x);
    free(gamma);
    free(beta);
    free_rows(job.out);
    free(codes);
    free(scales);
    free(scratch);
}

static void check_quantise(const ftv_kernels *kernels, uint32_t rows, uint32_t pieces, uint32_t piece, int in_place) {
    uint32_t padded = (piece + 15U) / 16U * 16U, columns = pieces * piece;
    ftv_quantise_job job = {.rows = rows, .pieces = pieces, .piece = piece, .piece_stride = padded};
    job.in.stride = pieces * padded + 16U * random_below(2);
    job.in.values = allocate((size_t)rows * job.in.stride * sizeof(int16_t));
    job.in.absmax = allocate((size_t)rows * job.in.stride / 16U * sizeof(int32_t));
    memset(job.in.absmax, 0, (size_t)rows * job.in.stride / 16U * sizeof(int32_t));
    int32_t *y = allocate(job.in.stride * sizeof *y), *row_values = allocate(columns * sizeof *row_values);
    int8_t *codes = allocate((size_t)rows * columns);
    ftv_multiplier *scales = allocate(rows * sizeof *scales);
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t row_bits = random_below(31);
        memset(y, 0, job.in.stride * sizeof *y);
        for (uint32_t c = 0; c < columns; c++) {
            uint32_t bits = c % 16U == 0 ? random_below(row_bits + 1U) : row_bits;
            int32_t most = (int32_t)((1U << (c / 16U % 3U == 0 ? bits : row_bits)) - 1U);
            row_values[c] = y[c / piece * padded + c % piece] = random_between(-most, most);
        }
        size_t at = (size_t)row * job.in.stride;
        define_narrow(job.in.values + at, job.in.absmax + at / 16U, y, job.in.stride);
        define_quantise(codes + (size_t)row * columns, &scales[row], row_values, columns, 127);
    }
    job.out = make_rows(rows, columns, 127, 0);
    if (in_place) {
        free(job.out.codes);
        job.out.codes = (int8_t *)job.in.values;
        job.out.stride = job.in.stride;
    }
    void *scratch = scratch_of(kernels, shape(rows, columns, columns, 16));
    ftv_quantise_rows(kernels, &job, scratch);
    compare_codes(kernels, "quantise", job.out, rows, columns, codes, scales);
    free(y);
    free(row_values);
    free(codes);
    free(scales);
    if (!in_place) {
        free(job.out.codes);
    }
    free(job.out.scales);
    free(job.in.values);
    free(job.in.absmax);
    free(scratch);
}

/* ---- */

static void check_fixed_shapes(const ftv_kernels *kernels) {
    for (ftv_output output = FTV_STORE; output <= FTV_ACTIVATE; output++) {
        check_layer(kernels, 19, 64, 4128, output, 127);
        check_layer(kernels, 37, 192, 384, output, 127);
        check_layer(kernels, 1, 1000, 48, output, 20);
    }
    check_attention(kernels, 197, 197, 64, 192, 4);
    check_attention(kernels, 197, 1, 64, 96, 10);
    check_attention(kernels, 2064, 3, 256, 16, 14);
    check_norm(kernels, 9, 384, 1U << 22);
    check_norm(kernels, 9, 2048, 1U << 30);
    check_quantise(kernels, 9, 1, 1536, 1);
    check_quantise(kernels, 9, 6, 64, 0);
}

/* Around the numbers of inputs at which sums outgrow 15, 16 and 17 bits. */
static void check_largest_sums(const ftv_kernels *kernels) {
    static const uint32_t inputs[] = {240, 256, 257, 258, 259, 272, 300, 515, 516, 517, 700, 1032, 1536, 4128};
    largest_sums = 1;
    for (uint32_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        for (uint32_t round = 0; round < 4U; round++) {
            check_layer(kernels, 10, 40, inputs[i], (ftv_output)(round % 3U), 127);
        }
        if (inputs[i] <= 2048U) {
            check_attention(kernels, 10, 10, 20, inputs[i], 4);
        }
    }
    largest_sums = 0;
}

static void check(const ftv_kernels *kernels) {
    check_fixed_shapes(kernels);
    check_largest_sums(kernels);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        check_layer(kernels, 1U + random_below(40), 1U + random_below(200), 1U + random_below(200),
                    (ftv_output)random_below(3), random_below(4) == 0 ? 127 : random_between(1, 127));
        uint32_t tokens = 1U + random_below(150);
        check_attention(kernels, tokens, 1U + random_below(tokens), 1U + random_below(round % 4U == 0 ? 256 : 80),
                        1U + random_below(80), random_between(0, 14));
        check_norm(kernels, 1U + random_below(20), 1U + random_below(300), 1U + random_below(1U << random_below(31)));
        check_quantise(kernels, 1U + random_below(20), 1U + random_below(4), 1U + random_below(400), round % 2U == 0);
    }
}

int main(void) {
    for (uint32_t i = 0; ftv_host_kernels(i) != NULL; i++) {
        check(ftv_host_kernels(i));
        puts(ftv_host_kernels(i)->name);
    }
    return 0;
}
