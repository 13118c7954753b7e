/* NUMERICS.md, section 5: fused QKV and attention. One head's Q, K or V is computed over all tokens and turned into
 * 8-bit rows at once, so that the wide values never exist for more than one head. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

enum { PART_Q = 0, PART_K = 1, PART_V = 2, PARTS = 3 };

typedef struct attention_task {
    const ftv_pass *pass;
    const ftv_linear *qkv;
    uint32_t queries;
} attention_task;

/* Codes [tokens][head_rows] of one head's Q, K or V. */
static int8_t *part_codes(const ftv_pass *pass, uint32_t head, uint32_t part) {
    const ftv_model *model = pass->model;
    return pass->buffers.qkv + (size_t)(head * PARTS + part) * model->tokens * model->head_rows;
}

/* Absmax [tokens] of the same rows. */
static int32_t *part_absmax(const ftv_pass *pass, uint32_t head, uint32_t part) {
    return pass->buffers.absmax + (size_t)(head * PARTS + part) * pass->model->tokens;
}

/* ---- a head's Q, K or V ---- */

#define PART_TOKENS 64U /* tokens whose wide values exist at a time, where no kernel does it in one go */

static uint32_t part_tokens(const ftv_model *model) {
    return ftv_min_u32(PART_TOKENS, model->tokens);
}

/* All channels of one part for `tokens` tokens from x: y [tokens][head_rows] in Q16. */
static void project_part(const ftv_pass *pass, const ftv_qkv_part *part, ftv_rows x, uint32_t tokens, int32_t *y,
                         uint8_t *scratch) {
    int32_t *sums = (int32_t *)(void *)scratch;
    for (uint32_t tile = 0; tile < part->head_rows / FTV_TILE; tile++) {
        ftv_tile which = {part->layer, part->first_row / FTV_TILE + tile};
        ftv_linear_tile(pass, which, x, tokens, sums, scratch + ftv_sums_bytes(tokens));
        for (uint32_t token = 0; token < tokens; token++) {
            for (uint32_t c = 0; c < FTV_TILE; c++) {
                y[(size_t)token * part->head_rows + tile * FTV_TILE + c] = sums[token * FTV_TILE + c];
            }
        }
    }
}

void ftv_qkv_rows(const ftv_pass *pass, const ftv_qkv_part *part, uint8_t *scratch) {
    uint32_t most = ftv_min_u32(PART_TOKENS, part->tokens);
    int32_t *y = (int32_t *)(void *)scratch;
    uint8_t *rest = scratch + (size_t)most * part->head_rows * sizeof(int32_t);
    for (uint32_t first = 0; first < part->tokens; first += most) {
        uint32_t tokens = ftv_min_u32(most, part->tokens - first);
        ftv_rows x = {(int8_t *)(uintptr_t)part->x + (size_t)first * part->stride,
                      (ftv_multiplier *)(uintptr_t)part->scales + first, part->stride};
        project_part(pass, part, x, tokens, y, rest);
        for (uint32_t token = 0; token < tokens; token++) {
            int8_t *codes = part->codes + (size_t)(first + token) * part->head_rows;
            const int32_t *row = y + (size_t)token * part->head_rows;
            part->absmax[first + token] =
                (int32_t)ftv_quantise_row(codes, row, part->head_dim, part->head_rows, part->levels).a;
        }
    }
}

static void make_part(void *argument, uint32_t task, uint32_t worker) {
    const attention_task *job = argument;
    const ftv_pass *pass = job->pass;
    const ftv_model *model = pass->model;
    uint32_t head = task / PARTS, which = task % PARTS;
    ftv_qkv_part part = {.x = pass->buffers.rows.codes,
                         .scales = pass->buffers.rows.scales,
                         .tokens = which == PART_Q ? job->queries : model->tokens,
                         .stride = pass->buffers.rows.stride,
                         .layer = job->qkv,
                         .first_row = task * model->head_rows,
                         .head_dim = model->head_dim,
                         .head_rows = model->head_rows,
                         .levels = which == PART_Q ? FTV_QUERY_MAX : FTV_CODE_MAX,
                         .codes = part_codes(pass, head, which),
                         .absmax = part_absmax(pass, head, which)};
    if (pass->kernels->qkv != NULL) {
        pass->kernels->qkv(&part, ftv_scratch(pass, worker));
    } else {
        ftv_qkv_rows(pass, &part, ftv_scratch(pass, worker));
    }
}

/* ---- a group of query rows of one head ---- */

typedef struct head_scratch {
    int32_t *scores;  /* [tokens] */
    int32_t *key;     /* [tokens] a_K >> shk */
    int32_t *value;   /* [tokens] mv */
    int32_t *sums;    /* [head_rows] */
    int16_t *weights; /* [tokens] */
    int32_t shk;
    int32_t shv;
} head_scratch;

static size_t head_scratch_bytes(const ftv_model *model) {
    size_t row = ftv_align((size_t)model->tokens * sizeof(int32_t));
    return 3U * row + model->head_rows * sizeof(int32_t) + ftv_align((size_t)model->tokens * sizeof(int16_t));
}

static size_t part_scratch_bytes(const ftv_model *model, const ftv_kernels *kernels) {
    if (kernels->qkv != NULL) {
        return kernels->qkv_scratch_bytes(model->width, model->head_rows);
    }
    size_t tokens = part_tokens(model);
    return tokens * model->head_rows * sizeof(int32_t) + ftv_sums_bytes(part_tokens(model)) +
           kernels->linear_scratch_bytes(model->width);
}

size_t ftv_attention_scratch_bytes(const ftv_model *model, const ftv_kernels *kernels) {
    size_t make = part_scratch_bytes(model, kernels);
    size_t attend = head_scratch_bytes(model);
    return make > attend ? make : attend;
}

static uint32_t largest_of(const int32_t *values, uint32_t count) {
    int32_t largest = 0;
    for (uint32_t i = 0; i < count; i++) {
        largest = ftv_max_s32(largest, values[i]);
    }
    return (uint32_t)largest;
}

/* W: bits of a key's scale such that scores fit int32 at this head_dim. */
static int32_t key_scale_bits(uint32_t head_dim) {
    return head_dim <= 64U ? 12 : head_dim <= 128U ? 11 : 10;
}

static head_scratch prepare_head(const ftv_pass *pass, uint32_t head, uint8_t *base) {
    const ftv_model *model = pass->model;
    const int32_t *k = part_absmax(pass, head, PART_K);
    const int32_t *v = part_absmax(pass, head, PART_V);
    size_t row = ftv_align((size_t)model->tokens * sizeof(int32_t)) / sizeof(int32_t);
    int32_t *words = (int32_t *)(void *)base;
    head_scratch scratch = {words, words + row, words + 2U * row, words + 3U * row, NULL, 0, 0};
    scratch.weights = (int16_t *)(void *)(scratch.sums + model->head_rows);
    scratch.shk = ftv_max_s32(0, ftv_bits32(largest_of(k, model->tokens)) - key_scale_bits(model->head_dim));
    scratch.shv = ftv_bits32(largest_of(v, model->tokens)) - 15;
    for (uint32_t j = 0; j < model->tokens; j++) {
        scratch.key[j] = k[j] >> scratch.shk;
        scratch.value[j] = scratch.shv >= 0 ? v[j] >> scratch.shv : ftv_shift_left(v[j], (uint32_t)-scratch.shv);
    }
    return scratch;
}

/* y = sums / S, in Q16. The shift is 2 .. 44. */
static void normalise(int32_t *y, const int32_t *sums, uint32_t columns, uint32_t total, int32_t shv) {
    int32_t bits = ftv_bits32(total);
    uint32_t total16 = bits >= 16 ? total >> (bits - 16) : total << (16 - bits);
    uint32_t reciprocal = ftv_min_u32(32767U, (UINT32_C(1) << 30) / total16);
    int64_t factor = (int64_t)((reciprocal * 16513U + (1U << 14)) >> 15);
    for (uint32_t c = 0; c < columns; c++) {
        y[c] = ftv_shift_sat30(sums[c] * factor, bits + 3 - shv);
    }
}

static void attend_row(const ftv_pass *pass, uint32_t head, uint32_t row, const head_scratch *scratch) {
    const ftv_model *model = pass->model;
    const ftv_kernels *kernels = pass->kernels;
    const int8_t *query = part_codes(pass, head, PART_Q) + (size_t)row * model->head_rows;
    ftv_absmax absmax = ftv_absmax_of((uint32_t)part_absmax(pass, head, PART_Q)[row]);
    uint32_t c = (absmax.a15 * model->attention.mantissa + (1U << 14)) >> 15;
    int32_t shift = absmax.k + model->attention.exponent + 6 - scratch->shk;
    ftv_softmax_scales scales = {c, shift, scratch->key, scratch->value};
    kernels->scores_s8s8(scratch->scores, query, part_codes(pass, head, PART_K), model->tokens, model->head_rows,
                         model->head_dim);
    uint32_t total = ftv_softmax(scratch->weights, scratch->scores, model->tokens, &scales);
    kernels->mix_s16s8(scratch->sums, scratch->weights, part_codes(pass, head, PART_V), model->tokens, model->head_rows,
                       model->head_dim);
    normalise(pass->buffers.mixed + (size_t)row * pass->buffers.width_stride + (size_t)head * model->head_dim,
              scratch->sums, model->head_dim, total, scratch->shv);
}

static void attend_group(void *argument, uint32_t task, uint32_t worker) {
    const attention_task *job = argument;
    uint32_t groups = ftv_ceil_div(job->queries, FTV_ROW_GROUP);
    uint32_t head = task / groups;
    uint32_t first = task % groups * FTV_ROW_GROUP;
    uint32_t end = ftv_min_u32(first + FTV_ROW_GROUP, job->queries);
    head_scratch scratch = prepare_head(job->pass, head, ftv_scratch(job->pass, worker));
    for (uint32_t row = first; row < end; row++) {
        attend_row(job->pass, head, row, &scratch);
    }
}

void ftv_attend(ftv_pass *pass, const ftv_block *block, uint32_t queries) {
    attention_task job = {pass, &block->qkv, queries};
    ftv_for_each(pass, make_part, &job, pass->model->heads * PARTS);
    ftv_for_each(pass, attend_group, &job, pass->model->heads * ftv_ceil_div(queries, FTV_ROW_GROUP));
}
