/* Whole steps of a set of kernels against their definition, on the model's own weights and made-up rows. */
#include "ftv_app_parts.h"
#include "ftv_engine.h"
#include "ftv_fixed.h"
#include "ftv_tile.h"

#define TOKENS    17U /* a whole tile of tokens and a single one */
#define MOST_ROWS 3U  /* of norm and quantise */
#define TILES     2U  /* of a layer at a time */

/* A trial: the set, its definition, and memory that is handed out from front to back. */
typedef struct trial {
    const ftv_model *model;
    const ftv_kernels *kernels;
    uint8_t *at;
} trial;

/* The next `bytes` bytes; with at = NULL it counts. */
static void *take(trial *t, size_t bytes) {
    uint8_t *taken = t->at;
    t->at += ftv_align(bytes);
    return taken;
}

static bool same_bytes(const void *a, const void *b, size_t bytes) {
    const uint8_t *x = a, *y = b;
    bool equal = true;
    for (size_t i = 0; i < bytes; i++) {
        equal = equal && x[i] == y[i];
    }
    return equal;
}

/* What a step leaves alone must not look right. */
static void spoil(void *memory, size_t bytes, uint8_t with) {
    for (size_t i = 0; i < bytes; i++) {
        ((uint8_t *)memory)[i] = with;
    }
}

/* ---- made-up rows ---- */

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t scratch_bytes(const trial *t) {
    const ftv_model *model = t->model;
    uint32_t inputs = model->width > model->hidden ? model->width : model->hidden;
    size_t layer = ftv_layer_scratch_bytes(&ftv_kernels_ref, TOKENS, inputs);
    size_t qkv = ftv_qkv_scratch_bytes(&ftv_kernels_ref, TOKENS, model->width, model->head_rows);
    size_t attend = ftv_attend_scratch_bytes(TOKENS, model->head_rows);
    size_t norm = ftv_norm_scratch_bytes(model->width);
    size_t own = t->kernels->scratch_bytes != NULL ? t->kernels->scratch_bytes(model) : 0U;
    return larger(larger(larger(layer, qkv), larger(attend, norm)), own);
}

/* Codes and token scales of ordinary size, but for one token whose scale is far from the others'. */
static void fill_rows(const ftv_rows *rows, uint32_t count, uint32_t columns, ftv_made_up kind) {
    for (uint32_t row = 0; row < count; row++) {
        ftv_absmax absmax = ftv_absmax_of(row == count / 2U ? UINT32_C(1) << 29 : 30000U + 65536U * row);
        rows->scales[row] = (ftv_multiplier){(uint16_t)absmax.a15, (int16_t)absmax.k};
        for (uint32_t k = 0; k < rows->stride; k++) {
            rows->codes[row * rows->stride + k] = k < columns ? ftv_made_up_code(kind, row, k) : 0;
        }
    }
}

static ftv_rows take_rows(trial *t, uint32_t count, uint32_t columns) {
    ftv_rows rows = {.stride = ftv_round16(columns)};
    rows.codes = take(t, (size_t)count * rows.stride);
    rows.scales = take(t, count * sizeof(ftv_multiplier));
    return rows;
}

/* Q16 values of both signs, up to 2^limit. */
static int32_t made_up_q16(ftv_made_up kind, uint32_t row, uint32_t column, uint32_t limit) {
    if (kind != FTV_MADE_AT_RANDOM) {
        return kind == FTV_MADE_HIGHEST ? FTV_Q16MAX : FTV_Q16MIN;
    }
    uint32_t bits = ftv_hash(row, column) << 15 | ftv_hash(column + 31U, row);
    return (int32_t)(bits >> (30U - limit)) - (INT32_C(1) << (limit - 1U));
}

static ftv_narrow take_narrow(trial *t, uint32_t rows, uint32_t columns) {
    ftv_narrow narrow = {.stride = ftv_round16(columns)};
    narrow.values = take(t, (size_t)rows * narrow.stride * sizeof(int16_t));
    narrow.absmax = take(t, (size_t)rows * narrow.stride / FTV_TILE * sizeof(int32_t));
    return narrow;
}

static void spoil_narrow(const ftv_narrow *narrow, uint32_t rows, uint8_t with) {
    spoil(narrow->values, (size_t)rows * narrow->stride * sizeof(int16_t), with);
    spoil(narrow->absmax, (size_t)rows * narrow->stride / FTV_TILE * sizeof(int32_t), with);
}

static bool same_narrow(const ftv_narrow *a, const ftv_narrow *b, uint32_t rows) {
    return same_bytes(a->values, b->values, (size_t)rows * a->stride * sizeof(int16_t)) &&
           same_bytes(a->absmax, b->absmax, (size_t)rows * a->stride / FTV_TILE * sizeof(int32_t));
}

/* ---- layer ---- */

/* Two results of a layer: the set's and the definition's. */
typedef struct layer_trial {
    ftv_layer_job job;
    int32_t *out[2];
    ftv_narrow narrow[2];
    void *scratch;
} layer_trial;

static layer_trial take_layer(trial *t, uint32_t inputs) {
    layer_trial l = {.job = {.encoding = t->model->encoding, .out_stride = TILES * FTV_TILE}};
    l.job.x = take_rows(t, TOKENS, inputs);
    for (uint32_t i = 0; i < 2U; i++) {
        l.out[i] = take(t, TILES * ftv_sums_bytes(TOKENS));
        l.narrow[i] = take_narrow(t, TOKENS, TILES * FTV_TILE);
    }
    l.scratch = take(t, scratch_bytes(t));
    return l;
}

static bool layer_is_right(const trial *t, layer_trial *l) {
    bool equal = true;
    for (uint32_t i = 0; i < 2U; i++) {
        uint8_t spoilt = l->job.output == FTV_ADD ? 3U : (uint8_t)(0x5AU + i);
        spoil(l->out[i], TILES * ftv_sums_bytes(TOKENS), spoilt);
        spoil_narrow(&l->narrow[i], TOKENS, 0x5A);
        l->job.out = l->out[i];
        l->job.narrow = l->narrow[i];
        if (i == 0U) {
            t->kernels->layer(&l->job, l->scratch);
        } else {
            ftv_layer_steps(&ftv_kernels_ref, &l->job, l->scratch);
        }
    }
    for (uint32_t token = 0; token < l->job.tokens && l->job.output != FTV_ACTIVATE; token++) {
        size_t first = (size_t)token * l->job.out_stride;
        equal = equal && same_bytes(l->out[0] + first, l->out[1] + first, l->job.tiles * FTV_TILE * sizeof(int32_t));
    }
    return equal && (l->job.output != FTV_ACTIVATE || same_narrow(&l->narrow[0], &l->narrow[1], l->job.tokens));
}

/* The first tiles and the last ones, all tokens and one. */
static bool layer_works(trial t, const ftv_linear *layer, ftv_output output) {
    layer_trial l = take_layer(&t, layer->inputs);
    uint32_t tiles = layer->stored_rows / FTV_TILE;
    bool right = true;
    l.job.layer = layer;
    l.job.output = output;
    l.job.tiles = ftv_min_u32(TILES, tiles);
    for (uint32_t kind = FTV_MADE_AT_RANDOM; kind < FTV_MADE_KINDS; kind++) {
        fill_rows(&l.job.x, TOKENS, layer->inputs, (ftv_made_up)kind);
        for (uint32_t last = 0; last < 2U; last++) {
            l.job.first_tile = last != 0U ? tiles - l.job.tiles : 0U;
            l.job.tokens = last != 0U ? 1U : TOKENS;
            right = right && layer_is_right(&t, &l);
        }
    }
    return right;
}

static bool layers_work(const trial *t) {
    const ftv_block *block = &t->model->blocks[0];
    return t->kernels->layer == NULL ||
           (layer_works(*t, &block->fc1, FTV_ACTIVATE) && layer_works(*t, &block->proj, FTV_ADD) &&
            layer_works(*t, &block->fc2, FTV_ADD) && layer_works(*t, &t->model->head, FTV_STORE));
}

/* ---- fused QKV and attention ---- */

/* The last head by one set of kernels. */
typedef struct head_trial {
    const ftv_kernels *kernels;
    int8_t *codes[FTV_PARTS];
    int32_t *absmax[FTV_PARTS];
    ftv_narrow out;
} head_trial;

static head_trial take_head(trial *t, const ftv_kernels *kernels) {
    head_trial h = {.kernels = kernels};
    for (uint32_t part = 0; part < FTV_PARTS; part++) {
        h.codes[part] = take(t, ftv_part_bytes(kernels, (ftv_part)part, TOKENS, t->model->head_rows));
        h.absmax[part] = take(t, TOKENS * sizeof(int32_t));
    }
    h.out = take_narrow(t, TOKENS, t->model->head_rows);
    return h;
}

/* All three at once, as sets that make several parts together are asked for them; in two pieces, as workers would. */
static void make_parts(const trial *t, const head_trial *h, const ftv_rows *x, void *scratch) {
    const ftv_model *model = t->model;
    for (uint32_t first = 0; first < TOKENS; first += FTV_TILE) {
        ftv_qkv_part jobs[FTV_PARTS];
        for (uint32_t part = 0; part < FTV_PARTS; part++) {
            jobs[part] = (ftv_qkv_part){.part = (ftv_part)part,
                                        .layer = &model->blocks[0].qkv,
                                        .encoding = model->encoding,
                                        .first_row = (FTV_PARTS * (model->heads - 1U) + part) * model->head_rows,
                                        .x = *x,
                                        .tokens = TOKENS,
                                        .first = first,
                                        .count = ftv_min_u32(FTV_TILE, TOKENS - first),
                                        .head_dim = model->head_dim,
                                        .head_rows = model->head_rows,
                                        .levels = part == FTV_Q ? FTV_QUERY_MAX : FTV_CODE_MAX,
                                        .codes = h->codes[part],
                                        .absmax = h->absmax[part]};
        }
        ftv_parts(h->kernels, jobs, FTV_PARTS, scratch);
    }
}

static void attend(const trial *t, const head_trial *h, void *scratch) {
    ftv_attend_job job = {.tokens = TOKENS,
                          .head_dim = t->model->head_dim,
                          .head_rows = t->model->head_rows,
                          .attention = t->model->attention,
                          .out = h->out};
    for (uint32_t part = 0; part < FTV_PARTS; part++) {
        job.codes[part] = h->codes[part];
        job.absmax[part] = h->absmax[part];
    }
    for (job.first = 0; job.first < TOKENS; job.first += job.count) {
        job.count = ftv_min_u32(FTV_TILE, TOKENS - job.first);
        ftv_attend(h->kernels, &job, scratch);
    }
}

static const char *heads_differ(const trial *t, const head_trial *h) {
    const size_t rows = (size_t)TOKENS * t->model->head_rows;
    for (uint32_t part = 0; part < FTV_PARTS; part++) {
        bool plain = h[0].kernels->attend == NULL; /* else codes lie as the set likes */
        if (!same_bytes(h[0].absmax[part], h[1].absmax[part], TOKENS * sizeof(int32_t)) ||
            (plain && !same_bytes(h[0].codes[part], h[1].codes[part], rows))) {
            return "qkv";
        }
    }
    return same_narrow(&h[0].out, &h[1].out, TOKENS) ? NULL : "attend";
}

static const char *attention_differs(trial t) {
    if (t.kernels->qkv == NULL && t.kernels->parts == NULL) {
        return NULL;
    }
    uint32_t inputs = t.model->blocks[0].qkv.inputs;
    ftv_rows x = take_rows(&t, TOKENS, inputs);
    const head_trial h[2] = {take_head(&t, t.kernels), take_head(&t, &ftv_kernels_ref)};
    void *scratch = take(&t, scratch_bytes(&t));
    const char *differs = NULL;
    for (uint32_t kind = FTV_MADE_AT_RANDOM; kind < FTV_MADE_KINDS && differs == NULL; kind++) {
        fill_rows(&x, TOKENS, inputs, (ftv_made_up)kind);
        for (uint32_t i = 0; i < 2U; i++) {
            spoil_narrow(&h[i].out, TOKENS, (uint8_t)(0x5AU + i));
            make_parts(&t, &h[i], &x, scratch);
            attend(&t, &h[i], scratch);
        }
        differs = heads_differ(&t, h);
    }
    return differs;
}

/* ---- rows ---- */

static bool same_rows(const ftv_rows *a, const ftv_rows *b) {
    return same_bytes(a->codes, b->codes, (size_t)MOST_ROWS * a->stride) &&
           same_bytes(a->scales, b->scales, MOST_ROWS * sizeof(ftv_multiplier));
}

static void spoil_rows(const ftv_rows *rows, uint8_t with) {
    spoil(rows->codes, (size_t)MOST_ROWS * rows->stride, with);
    spoil(rows->scales, MOST_ROWS * sizeof(ftv_multiplier), with);
}

static bool norm_works(trial t) {
    const ftv_model *model = t.model;
    uint32_t width = model->width, stride = ftv_round16(width);
    if (t.kernels->norm == NULL) {
        return true;
    }
    int32_t *x = take(&t, (size_t)MOST_ROWS * stride * sizeof(int32_t));
    ftv_rows out[2] = {take_rows(&t, MOST_ROWS, width), take_rows(&t, MOST_ROWS, width)};
    void *scratch = take(&t, scratch_bytes(&t));
    bool right = true;
    for (uint32_t kind = FTV_MADE_AT_RANDOM; kind < FTV_MADE_KINDS; kind++) {
        for (uint32_t i = 0; i < MOST_ROWS * stride; i++) {
            x[i] = made_up_q16((ftv_made_up)kind, i / stride, i % stride, 18U + 6U * (i / stride));
        }
        x[width - 1U] /= 3; /* rows of equal values, too, have one that differs */
        spoil_rows(&out[0], 0x5A);
        spoil_rows(&out[1], 0x5B);
        ftv_norm_job job = {x, stride, MOST_ROWS, width, &model->blocks[0].norm1, model->eps_q32, out[0]};
        t.kernels->norm(&job, scratch);
        job.out = out[1];
        ftv_norm_steps(&job, scratch);
        right = right && same_rows(&out[0], &out[1]);
    }
    return right;
}

/* Narrow rows of ordinary and of the largest values. */
static void fill_narrow(const ftv_narrow *narrow, ftv_made_up kind) {
    for (uint32_t row = 0; row < MOST_ROWS; row++) {
        ftv_narrow one = *narrow;
        one.values += (size_t)row * one.stride;
        one.absmax += (size_t)row * (one.stride / FTV_TILE);
        for (uint32_t column = 0; column < one.stride; column += FTV_TILE) {
            int32_t y[FTV_TILE];
            for (uint32_t c = 0; c < FTV_TILE; c++) {
                y[c] = made_up_q16(kind, row, column + c, 8U + column / FTV_TILE % 13U + 5U * row);
            }
            ftv_narrow_tile(&one, column, y, 1, FTV_TILE);
        }
    }
}

static bool quantise_works(trial t) {
    uint32_t hidden = t.model->hidden;
    if (t.kernels->quantise == NULL) {
        return true;
    }
    ftv_narrow in[2] = {take_narrow(&t, MOST_ROWS, hidden), take_narrow(&t, MOST_ROWS, hidden)};
    ftv_rows out[2] = {take_rows(&t, MOST_ROWS, hidden), take_rows(&t, MOST_ROWS, hidden)};
    void *scratch = take(&t, scratch_bytes(&t));
    bool right = true;
    for (uint32_t kind = FTV_MADE_AT_RANDOM; kind < FTV_MADE_KINDS; kind++) {
        ftv_rows in_place = {(int8_t *)in[0].values, out[0].scales, in[0].stride};
        fill_narrow(&in[0], (ftv_made_up)kind);
        fill_narrow(&in[1], (ftv_made_up)kind);
        spoil_rows(&out[0], 0x5A);
        spoil_rows(&out[1], 0x5B);
        ftv_quantise_job job = {in[0], MOST_ROWS, 1, hidden, in[0].stride, in_place};
        t.kernels->quantise(&job, scratch);
        job.in = in[1];
        job.out = out[1];
        ftv_quantise_steps(&job);
        for (uint32_t row = 0; row < MOST_ROWS; row++) {
            right = right && same_bytes(in_place.codes + (size_t)row * in_place.stride,
                                        out[1].codes + (size_t)row * out[1].stride, out[1].stride);
        }
        right = right && same_bytes(out[0].scales, out[1].scales, MOST_ROWS * sizeof(ftv_multiplier));
    }
    return right;
}

/* ---- all of them ---- */

const char *ftv_selftest_steps(const ftv_model *model, const ftv_kernels *kernels, void *scratch) {
    trial t = {model, kernels, scratch};
    if (!layers_work(&t)) {
        return "layer";
    }
    if (!norm_works(t)) {
        return "norm";
    }
    if (!quantise_works(t)) {
        return "quantise";
    }
    const char *differs = attention_differs(t);
    return differs != NULL ? differs : ftv_selftest_patches(model, kernels, scratch);
}

size_t ftv_selftest_steps_bytes(const ftv_model *model, const ftv_kernels *kernels) {
    trial t = {model, kernels, NULL};
    uint32_t hidden = ftv_round16(model->hidden), inputs = model->width > model->hidden ? model->width : model->hidden;
    size_t rows = 2U * MOST_ROWS * (ftv_round16(model->width) * 3U + hidden * 3U + hidden / 4U + 64U);
    size_t parts = 0, patches = ftv_selftest_patches_bytes(model, kernels);
    bool heads_own = kernels->qkv != NULL || kernels->parts != NULL;
    if (kernels->layer == NULL && !heads_own && kernels->norm == NULL && kernels->quantise == NULL) {
        return patches;
    }
    for (uint32_t part = 0; part < FTV_PARTS; part++) {
        parts += ftv_align(ftv_part_bytes(kernels, (ftv_part)part, TOKENS, model->head_rows)) +
                 ftv_align(ftv_part_bytes(&ftv_kernels_ref, (ftv_part)part, TOKENS, model->head_rows));
    }
    size_t heads = parts + 2U * FTV_PARTS * ftv_align(TOKENS * sizeof(int32_t)) +
                   2U * TOKENS * (2U * model->head_rows + model->head_rows / 4U) + 64U;
    size_t layer = 2U * TILES * (ftv_sums_bytes(TOKENS) + TOKENS * (2U * FTV_TILE + 4U)) + 64U;
    size_t x = (size_t)TOKENS * ftv_round16(inputs) + ftv_align(TOKENS * sizeof(ftv_multiplier));
    return larger(larger(larger(rows, x + heads), x + layer) + scratch_bytes(&t), patches);
}
