/* The forward pass of a ternary Vision Transformer. Every number is defined in NUMERICS.md. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

#include <stdbool.h>

/* ---- the pass ---- */

/* x += fc2(gelu(fc1(norm x))) for tokens first .. first + tokens - 1, whose normalised rows are in buffers.rows. */
static void mlp_group(ftv_pass *pass, const ftv_block *block, uint32_t index, uint32_t first, uint32_t tokens) {
    ftv_buffers *b = &pass->buffers;
    ftv_rows rows = {b->rows.codes + (size_t)first * b->rows.stride, b->rows.scales + first, b->rows.stride};
    int32_t *residual = b->residual + (size_t)first * b->width_stride;
    ftv_linear_layer(pass, &block->fc1, rows, tokens, FTV_ACTIVATE, b->hidden, b->hidden_stride);
    ftv_quantise_rows(pass, b->hidden, tokens, pass->model->hidden, b->hidden_rows);
    ftv_trace_s8(pass, FTV_SITE_HIDDEN_CODES, index, b->hidden_rows, tokens, pass->model->hidden);
    ftv_linear_layer(pass, &block->fc2, b->hidden_rows, tokens, FTV_ADD, residual, b->width_stride);
}

static void mlp(ftv_pass *pass, const ftv_block *block, uint32_t index, uint32_t tokens) {
    const ftv_buffers *b = &pass->buffers;
    ftv_norm_rows(pass, &block->norm2, tokens);
    ftv_trace_s8(pass, FTV_SITE_NORM2_CODES, index, b->rows, tokens, pass->model->width);
    for (uint32_t first = 0; first < tokens; first += b->mlp_tokens) {
        mlp_group(pass, block, index, first, ftv_min_u32(b->mlp_tokens, tokens - first));
    }
    ftv_trace_s32(pass, FTV_SITE_FC2_RESIDUAL, index, b->residual, tokens, pass->model->width, b->width_stride);
}

/* x += proj(attention(norm x)); only the first `queries` tokens are computed beyond K and V. */
static void attention(ftv_pass *pass, const ftv_block *block, uint32_t index, uint32_t queries) {
    ftv_buffers *b = &pass->buffers;
    uint32_t width = pass->model->width;
    ftv_norm_rows(pass, &block->norm1, pass->model->tokens);
    ftv_trace_s8(pass, FTV_SITE_NORM1_CODES, index, b->rows, pass->model->tokens, width);
    ftv_attend(pass, block, queries);
    ftv_trace_s32(pass, FTV_SITE_ATTENTION, index, b->mixed, queries, width, b->width_stride);
    ftv_quantise_rows(pass, b->mixed, queries, width, b->rows);
    ftv_trace_s8(pass, FTV_SITE_ATTENTION_CODES, index, b->rows, queries, width);
    ftv_linear_layer(pass, &block->proj, b->rows, queries, FTV_ADD, b->residual, b->width_stride);
    ftv_trace_s32(pass, FTV_SITE_PROJ_RESIDUAL, index, b->residual, queries, width, b->width_stride);
}

typedef struct head_task {
    const ftv_pass *pass;
    int32_t *logits;
} head_task;

static void head_tile(void *argument, uint32_t task, uint32_t worker) {
    const head_task *job = argument;
    const ftv_pass *pass = job->pass;
    const ftv_linear *head = &pass->model->head;
    int32_t *sums = (int32_t *)(void *)ftv_scratch(pass, worker);
    ftv_linear_tile(pass, (ftv_tile){head, task}, pass->buffers.rows, 1, sums,
                    ftv_scratch(pass, worker) + ftv_sums_bytes(1));
    uint32_t first = task * FTV_TILE;
    for (uint32_t c = 0; c < ftv_min_u32(FTV_TILE, head->rows - first); c++) {
        job->logits[first + c] = sums[c];
    }
}

/* logits = head(norm x) of the class token. */
static void classify(ftv_pass *pass, int32_t *logits) {
    const ftv_model *model = pass->model;
    head_task job = {pass, logits};
    ftv_norm_rows(pass, &model->norm, 1);
    ftv_trace_s8(pass, FTV_SITE_NORM_CODES, FTV_NO_BLOCK, pass->buffers.rows, 1, model->width);
    ftv_for_each(pass, head_tile, &job, model->head.stored_rows / FTV_TILE);
    ftv_trace_s32(pass, FTV_SITE_LOGITS, FTV_NO_BLOCK, logits, 1, model->classes, model->classes);
}

static void forward(ftv_pass *pass, const uint8_t *pixels, int32_t *logits) {
    const ftv_model *model = pass->model;
    ftv_embed(pass, pixels);
    for (uint32_t index = 0; index < model->depth; index++) {
        const ftv_block *block = &model->blocks[index];
        uint32_t queries = index == model->depth - 1U ? 1U : model->tokens;
        attention(pass, block, index, queries);
        mlp(pass, block, index, queries);
    }
    classify(pass, logits);
}

/* ---- the caller's options ---- */

static void run_serially(void *context, ftv_task_fn function, void *argument, uint32_t tasks) {
    (void)context;
    for (uint32_t task = 0; task < tasks; task++) {
        function(argument, task, 0);
    }
}

static const ftv_parallel serial = {run_serially, NULL, 1};

ftv_options ftv_settled(const ftv_options *options) {
    ftv_options settled = options != NULL ? *options : (ftv_options){.kernels = NULL};
    settled.kernels = settled.kernels != NULL ? settled.kernels : &ftv_kernels_portable;
    settled.parallel = settled.parallel != NULL ? settled.parallel : &serial;
    return settled;
}

size_t ftv_model_bytes(void) {
    return sizeof(ftv_model);
}

size_t ftv_arena_bytes(const ftv_model *model, const ftv_options *options) {
    if (model == NULL) {
        return 0;
    }
    return options != NULL && options->plan != NULL ? options->plan->bytes[FTV_NEAR]
                                                    : ftv_make_plan(model, options).bytes[FTV_NEAR];
}

/* Whether the memories that the caller gave hold what the plan needs. */
static ftv_status check_memories(const ftv_plan *plan, const ftv_options *options, const void *arena,
                                 size_t arena_bytes) {
    if ((uintptr_t)arena % FTV_ALIGN != 0U || (uintptr_t)options->far % FTV_ALIGN != 0U) {
        return FTV_ERR_ALIGN;
    }
    if (plan->bytes[FTV_NEAR] == 0U || (plan->bytes[FTV_FAR] > 0U && options->far == NULL)) {
        return FTV_ERR_ARGUMENT; /* too many workers, or none; or no memory there */
    }
    bool fits = arena_bytes >= plan->bytes[FTV_NEAR] && options->far_bytes >= plan->bytes[FTV_FAR];
    return fits ? FTV_OK : FTV_ERR_ARENA;
}

ftv_status ftv_run(const ftv_model *model, const ftv_options *options, const uint8_t *pixels, int32_t *logits,
                   void *arena, size_t arena_bytes) {
    if (model == NULL || pixels == NULL || logits == NULL || arena == NULL) {
        return FTV_ERR_ARGUMENT;
    }
    ftv_options settled = ftv_settled(options);
    if (settled.plan != NULL && ftv_check_plan(model, &settled) != FTV_OK) {
        return FTV_ERR_PLAN;
    }
    ftv_plan plan = settled.plan != NULL ? *settled.plan : ftv_make_plan(model, &settled);
    ftv_status status = check_memories(&plan, &settled, arena, arena_bytes);
    if (status != FTV_OK) {
        return status;
    }
    uint8_t *const memories[FTV_MEMORIES] = {arena, settled.far};
    ftv_pass pass = {.model = model,
                     .kernels = settled.kernels,
                     .parallel = settled.parallel,
                     .trace = settled.trace,
                     .trace_context = settled.trace_context,
                     .buffers = ftv_lay_out(model, settled.kernels, &plan, memories)};
    forward(&pass, pixels, logits);
    return FTV_OK;
}
