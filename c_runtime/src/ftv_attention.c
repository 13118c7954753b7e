/* NUMERICS.md, section 5: fused QKV and attention. One head's Q, K or V is computed over all tokens and turned into
 * 8-bit rows at once, so that the wide values never exist for more than a few tokens of one head. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

/* ---- a head's Q, K or V ---- */

#define PART_TOKENS 64U /* tokens whose wide values exist at a time, where no kernel does it in one go */

static uint32_t part_tokens(uint32_t tokens) {
    return ftv_min_u32(PART_TOKENS, tokens);
}

size_t ftv_qkv_scratch_bytes(const ftv_kernels *kernels, uint32_t tokens, uint32_t inputs, uint32_t head_rows) {
    size_t most = part_tokens(tokens);
    return most * head_rows * sizeof(int32_t) + ftv_layer_scratch_bytes(kernels, (uint32_t)most, inputs);
}

/* A part's layer over tokens first .. first + tokens - 1: y [tokens][head_rows]. */
static void project(const ftv_kernels *kernels, const ftv_qkv_part *part, uint32_t first, uint32_t tokens, int32_t *y,
                    void *scratch) {
    ftv_layer_job job = {.layer = part->layer,
                         .encoding = part->encoding,
                         .first_tile = part->first_row / FTV_TILE,
                         .tiles = part->head_rows / FTV_TILE,
                         .x = part->x,
                         .tokens = tokens,
                         .output = FTV_STORE,
                         .out = y,
                         .out_stride = part->head_rows};
    job.x.codes += (size_t)first * part->x.stride;
    job.x.scales += first;
    ftv_layer_steps(kernels, &job, scratch);
}

void ftv_qkv_steps(const ftv_kernels *kernels, const ftv_qkv_part *part, void *scratch) {
    uint32_t most = part_tokens(part->count), end = part->first + part->count;
    int32_t *y = scratch;
    uint8_t *rest = (uint8_t *)scratch + (size_t)most * part->head_rows * sizeof(int32_t);
    for (uint32_t first = part->first; first < end; first += most) {
        uint32_t tokens = ftv_min_u32(most, end - first);
        project(kernels, part, first, tokens, y, rest);
        for (uint32_t token = 0; token < tokens; token++) {
            int8_t *codes = part->codes + (size_t)(first + token) * part->head_rows;
            const int32_t *row = y + (size_t)token * part->head_rows;
            part->absmax[first + token] =
                (int32_t)ftv_quantise_row(codes, row, part->head_dim, part->head_rows, part->levels).a;
        }
    }
}

/* ---- query rows of one head ---- */

typedef struct head_scratch {
    int32_t *scores;  /* [tokens] */
    int32_t *key;     /* [tokens] a_K >> shk */
    int32_t *value;   /* [tokens] mv */
    int32_t *sums;    /* [head_rows], then y */
    int16_t *weights; /* [tokens] */
    int32_t shk;
    int32_t shv;
} head_scratch;

size_t ftv_attend_scratch_bytes(uint32_t tokens, uint32_t head_rows) {
    size_t row = ftv_align((size_t)tokens * sizeof(int32_t));
    return 3U * row + head_rows * sizeof(int32_t) + ftv_align((size_t)tokens * sizeof(int16_t));
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

static head_scratch prepare_head(const ftv_attend_job *job, void *base) {
    const int32_t *k = job->absmax[FTV_K];
    const int32_t *v = job->absmax[FTV_V];
    size_t row = ftv_align((size_t)job->tokens * sizeof(int32_t)) / sizeof(int32_t);
    int32_t *words = base;
    head_scratch scratch = {words, words + row, words + 2U * row, words + 3U * row, NULL, 0, 0};
    scratch.weights = (int16_t *)(void *)(scratch.sums + job->head_rows);
    scratch.shk = ftv_max_s32(0, ftv_bits32(largest_of(k, job->tokens)) - key_scale_bits(job->head_dim));
    scratch.shv = ftv_bits32(largest_of(v, job->tokens)) - 15;
    for (uint32_t j = 0; j < job->tokens; j++) {
        scratch.key[j] = k[j] >> scratch.shk;
        scratch.value[j] = scratch.shv >= 0 ? v[j] >> scratch.shv : ftv_shift_left(v[j], (uint32_t)-scratch.shv);
    }
    return scratch;
}

/* sums become y = sums / S, in Q16. The shift is 2 .. 44. */
static void normalise(int32_t *sums, uint32_t columns, uint32_t total, int32_t shv) {
    int32_t bits = ftv_bits32(total);
    uint32_t total16 = bits >= 16 ? total >> (bits - 16) : total << (16 - bits);
    uint32_t reciprocal = ftv_min_u32(32767U, (UINT32_C(1) << 30) / total16);
    int64_t factor = (int64_t)((reciprocal * 16513U + (1U << 14)) >> 15);
    for (uint32_t c = 0; c < columns; c++) {
        sums[c] = ftv_shift_sat30(sums[c] * factor, bits + 3 - shv);
    }
}

static void attend_row(const ftv_kernels *kernels, const ftv_attend_job *job, uint32_t row,
                       const head_scratch *scratch) {
    const int8_t *query = job->codes[FTV_Q] + (size_t)row * job->head_rows;
    ftv_absmax absmax = ftv_absmax_of((uint32_t)job->absmax[FTV_Q][row]);
    uint32_t c = (absmax.a15 * job->attention.mantissa + (1U << 14)) >> 15;
    int32_t shift = absmax.k + job->attention.exponent + 6 - scratch->shk;
    ftv_softmax_scales scales = {c, shift, scratch->key, scratch->value};
    kernels->scores_s8s8(scratch->scores, query, job->codes[FTV_K], job->tokens, job->head_rows, job->head_dim);
    uint32_t total = ftv_softmax(scratch->weights, scratch->scores, job->tokens, &scales);
    kernels->mix_s16s8(scratch->sums, scratch->weights, job->codes[FTV_V], job->tokens, job->head_rows, job->head_dim);
    normalise(scratch->sums, job->head_dim, total, scratch->shv);
}

/* One row's y [head_dim] to its columns. */
static void put_row(const ftv_attend_job *job, uint32_t row, const int32_t *y) {
    for (uint32_t c = 0; c < job->head_rows; c += FTV_TILE) {
        ftv_narrow one = job->out;
        one.values += (size_t)row * one.stride;
        one.absmax += (size_t)row * (one.stride / FTV_TILE);
        ftv_narrow_tile(&one, job->column + c, y + c, 1, ftv_min_u32(FTV_TILE, job->head_dim - c));
    }
}

void ftv_attend_steps(const ftv_kernels *kernels, const ftv_attend_job *job, void *scratch) {
    head_scratch head = prepare_head(job, scratch);
    for (uint32_t row = job->first; row < job->first + job->count; row++) {
        attend_row(kernels, job, row, &head);
        put_row(job, row, head.sums);
    }
}

/* ---- waves of heads ---- */

#define MOST_TOGETHER (4U * FTV_PARTS) /* parts that one task makes: their jobs lie on the stack */

/* `heads` heads from `head` on, whose parts and query rows are shared out. */
typedef struct wave {
    const ftv_pass *pass;
    const ftv_block *block;
    uint32_t queries;
    uint32_t head;
    uint32_t heads;
    uint32_t together;     /* parts that one task makes: one, or all of some heads */
    uint32_t part_tokens;  /* tokens of one task that makes parts */
    uint32_t query_tokens; /* query rows of one task */
} wave;

static size_t part_bytes(const wave *w, ftv_part part) {
    return ftv_part_bytes(w->pass->kernels, part, w->pass->model->tokens, w->pass->model->head_rows);
}

/* Codes of Q, K or V of a head of the wave. */
static int8_t *part_codes(const wave *w, uint32_t head, uint32_t part) {
    size_t offset = (part_bytes(w, FTV_Q) + part_bytes(w, FTV_K) + part_bytes(w, FTV_V)) * (head - w->head);
    for (uint32_t before = 0; before < part; before++) {
        offset += part_bytes(w, (ftv_part)before);
    }
    return w->pass->buffers.qkv + offset;
}

/* Absmax [tokens] of the same rows. */
static int32_t *part_absmax(const wave *w, uint32_t head, uint32_t part) {
    return w->pass->buffers.absmax + (size_t)((head - w->head) * FTV_PARTS + part) * w->pass->model->tokens;
}

/* Part `index` of the wave's, those of a head after those of the head before, from token `first` on. */
static ftv_qkv_part part_job(const wave *w, uint32_t index, uint32_t first) {
    const ftv_model *model = w->pass->model;
    uint32_t head = w->head + index / FTV_PARTS, part = index % FTV_PARTS;
    uint32_t needed = part == FTV_Q ? w->queries : model->tokens;
    ftv_qkv_part job = {.part = (ftv_part)part,
                        .layer = &w->block->qkv,
                        .encoding = model->encoding,
                        .first_row = (head * FTV_PARTS + part) * model->head_rows,
                        .x = w->pass->buffers.rows,
                        .tokens = model->tokens,
                        .first = first,
                        .count = first < needed ? ftv_min_u32(w->part_tokens, needed - first) : 0U,
                        .head_dim = model->head_dim,
                        .head_rows = model->head_rows,
                        .levels = part == FTV_Q ? FTV_QUERY_MAX : FTV_CODE_MAX,
                        .codes = part_codes(w, head, part),
                        .absmax = part_absmax(w, head, part)};
    return job;
}

/* How many parts, from the first on, are of as many tokens: the last block needs fewer of Q. */
static uint32_t alike(const ftv_qkv_part *parts, uint32_t count) {
    uint32_t run = 1;
    while (run < count && parts[run].count == parts[0].count) {
        run++;
    }
    return run;
}

static void make_parts(void *argument, uint32_t task, uint32_t worker) {
    const wave *w = argument;
    uint32_t groups = ftv_ceil_div(w->pass->model->tokens, w->part_tokens);
    uint32_t index = task / groups * w->together, first = task % groups * w->part_tokens;
    uint32_t count = ftv_min_u32(w->together, w->heads * FTV_PARTS - index);
    ftv_qkv_part parts[MOST_TOGETHER];
    for (uint32_t i = 0; i < count; i++) {
        parts[i] = part_job(w, index + i, first);
    }
    for (uint32_t i = 0, run = 0; i < count; i += run) {
        run = alike(parts + i, count - i);
        if (parts[i].count > 0U) {
            ftv_parts(w->pass->kernels, parts + i, run, ftv_scratch(w->pass, worker));
        }
    }
}

static void attend_group(void *argument, uint32_t task, uint32_t worker) {
    const wave *w = argument;
    const ftv_model *model = w->pass->model;
    uint32_t groups = ftv_ceil_div(w->queries, w->query_tokens);
    uint32_t head = w->head + task / groups;
    ftv_attend_job job = {.tokens = model->tokens,
                          .first = task % groups * w->query_tokens,
                          .head_dim = model->head_dim,
                          .head_rows = model->head_rows,
                          .attention = model->attention,
                          .out = w->pass->buffers.mixed,
                          .column = head * model->head_rows};
    for (uint32_t part = 0; part < FTV_PARTS; part++) {
        job.codes[part] = part_codes(w, head, part);
        job.absmax[part] = part_absmax(w, head, part);
    }
    job.count = ftv_min_u32(w->query_tokens, w->queries - job.first);
    ftv_attend(w->pass->kernels, &job, ftv_scratch(w->pass, worker));
}

/* Tokens of one task where `pieces` pieces of `tokens` tokens are shared out, so that every worker gets as many tasks. */
static uint32_t share_tokens(uint32_t workers, uint32_t pieces, uint32_t tokens) {
    uint32_t a = workers, b = pieces; /* a becomes their greatest common divisor */
    while (b != 0U) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return ftv_ceil_div(tokens, workers / a);
}

/* How many parts of a wave of heads one task makes: a set that makes several at a time gets whole heads, as many tiles
 * as it likes, and no fewer tasks than there are workers if there are heads enough. Others get one part, but all that fit
 * where nobody shares the work, so that rows need not be prepared for each part. */
static uint32_t parts_together(const ftv_pass *pass, uint32_t heads) {
    uint32_t workers = pass->parallel->workers, tiles = FTV_PARTS * pass->model->head_rows / FTV_TILE;
    uint32_t most = heads / workers;
    if (pass->kernels->parts != NULL) {
        most = ftv_min_u32(pass->kernels->tiles / tiles, most);
    } else if (workers > 1U) {
        return 1U;
    }
    return FTV_PARTS * ftv_min_u32(MOST_TOGETHER / FTV_PARTS, most > 0U ? most : 1U);
}

void ftv_attention(const ftv_pass *pass, const ftv_block *block, uint32_t queries) {
    uint32_t heads = pass->model->heads, workers = pass->parallel->workers, tokens = pass->model->tokens;
    wave w = {.pass = pass, .block = block, .queries = queries};
    for (; w.head < heads; w.head += w.heads) {
        w.heads = ftv_min_u32(pass->buffers.wave, heads - w.head);
        w.together = parts_together(pass, w.heads);
        uint32_t pieces = ftv_ceil_div(w.heads * FTV_PARTS, w.together);
        w.part_tokens = ftv_round16(share_tokens(workers, pieces, tokens));
        w.query_tokens = share_tokens(workers, w.heads, queries);
        ftv_for_each(pass->parallel, make_parts, &w, pieces * ftv_ceil_div(tokens, w.part_tokens));
        ftv_for_each(pass->parallel, attend_group, &w, w.heads * ftv_ceil_div(queries, w.query_tokens));
    }
}
