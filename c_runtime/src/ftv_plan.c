/* How much memory a pass needs, and where everything lies in it. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

#include <stdbool.h>

/* Steps of a pass that use memory in turn. */
enum { EMBEDDING = 1, ATTENTION = 2, MLP = 4, ALWAYS = EMBEDDING | ATTENTION | MLP };

static const uint8_t steps_of[FTV_BUFFERS] = {ALWAYS,    ALWAYS,    ALWAYS, EMBEDDING, ATTENTION,
                                              ATTENTION, ATTENTION, MLP,    MLP};

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

/* ---- what is needed; sums fit 32 bits for every valid model and FTV_MAX_WORKERS ---- */

static uint32_t most_inputs(const ftv_model *model) {
    uint32_t patch = model->patch.inputs;
    uint32_t inner = model->width > model->hidden ? model->width : model->hidden;
    return patch > inner ? patch : inner;
}

static size_t worker_bytes(const ftv_model *model, const ftv_kernels *kernels) {
    size_t linear = ftv_sums_bytes(model->tokens) + kernels->linear_scratch_bytes(most_inputs(model));
    size_t rows = max_size(ftv_patch_scratch_bytes(model), ftv_norm_scratch_bytes(model));
    return ftv_align(max_size(max_size(linear, rows), ftv_attention_scratch_bytes(model, kernels)));
}

static uint32_t rows_bytes(uint32_t rows, uint32_t stride) {
    return (uint32_t)ftv_align((size_t)rows * stride) + (uint32_t)ftv_align(rows * sizeof(ftv_multiplier));
}

static uint32_t words_bytes(uint32_t rows, uint32_t columns) {
    return (uint32_t)ftv_align((size_t)rows * columns * sizeof(int32_t));
}

/* Bytes of every buffer. */
static void needs(uint32_t bytes[FTV_BUFFERS], const ftv_model *model, const ftv_kernels *kernels, uint32_t workers,
                  uint32_t mlp_tokens) {
    uint32_t width = ftv_round16(model->width), hidden = ftv_round16(model->hidden);
    uint32_t parts = model->heads * 3U * model->tokens;
    bytes[FTV_BUFFER_SCRATCH] = (uint32_t)worker_bytes(model, kernels) * workers;
    bytes[FTV_BUFFER_RESIDUAL] = words_bytes(model->tokens, width);
    bytes[FTV_BUFFER_ROWS] = rows_bytes(model->tokens, width);
    bytes[FTV_BUFFER_PATCHES] = rows_bytes(model->tokens - 1U, ftv_round16(model->patch.inputs));
    bytes[FTV_BUFFER_QKV] = parts * model->head_rows;
    bytes[FTV_BUFFER_ABSMAX] = words_bytes(parts, 1);
    bytes[FTV_BUFFER_MIXED] = words_bytes(model->tokens, width);
    bytes[FTV_BUFFER_HIDDEN] = words_bytes(mlp_tokens, hidden);
    bytes[FTV_BUFFER_HIDDEN_ROWS] = rows_bytes(mlp_tokens, hidden);
}

/* ---- the engine's own plan ---- */

static uint32_t place(ftv_plan *plan, ftv_buffer buffer, uint32_t offset, uint32_t bytes) {
    plan->places[buffer] = (ftv_plan_place){FTV_NEAR, offset, bytes};
    return offset + bytes;
}

/* As many tokens go through the MLP together as fit where attention's values were, in groups of even size. */
static uint32_t mlp_tokens_within(const ftv_model *model, uint32_t room) {
    uint32_t token_bytes = ftv_round16(model->hidden) * 5U + (uint32_t)sizeof(ftv_multiplier);
    uint32_t fitting = room / token_bytes;
    uint32_t most = fitting >= model->tokens ? model->tokens : fitting > FTV_ROW_GROUP ? fitting : FTV_ROW_GROUP;
    return ftv_ceil_div(model->tokens, ftv_ceil_div(model->tokens, most));
}

ftv_plan ftv_make_plan(const ftv_model *model, const ftv_options *options) {
    ftv_options settled = ftv_settled(options);
    ftv_plan plan = {.workers = settled.parallel->workers};
    uint32_t bytes[FTV_BUFFERS];
    if (plan.workers < 1U || plan.workers > FTV_MAX_WORKERS) {
        return (ftv_plan){.workers = 0};
    }
    needs(bytes, model, settled.kernels, plan.workers, 1);
    uint32_t shared = place(&plan, FTV_BUFFER_SCRATCH, 0, bytes[FTV_BUFFER_SCRATCH]);
    shared = place(&plan, FTV_BUFFER_RESIDUAL, shared, bytes[FTV_BUFFER_RESIDUAL]);
    shared = place(&plan, FTV_BUFFER_ROWS, shared, bytes[FTV_BUFFER_ROWS]);
    uint32_t embedding = place(&plan, FTV_BUFFER_PATCHES, shared, bytes[FTV_BUFFER_PATCHES]);
    uint32_t attention = place(&plan, FTV_BUFFER_QKV, shared, bytes[FTV_BUFFER_QKV]);
    attention = place(&plan, FTV_BUFFER_ABSMAX, attention, bytes[FTV_BUFFER_ABSMAX]);
    attention = place(&plan, FTV_BUFFER_MIXED, attention, bytes[FTV_BUFFER_MIXED]);
    uint32_t end = (uint32_t)max_size(embedding, attention);
    plan.mlp_tokens = mlp_tokens_within(model, end - shared);
    needs(bytes, model, settled.kernels, plan.workers, plan.mlp_tokens);
    uint32_t mlp = place(&plan, FTV_BUFFER_HIDDEN, shared, bytes[FTV_BUFFER_HIDDEN]);
    mlp = place(&plan, FTV_BUFFER_HIDDEN_ROWS, mlp, bytes[FTV_BUFFER_HIDDEN_ROWS]);
    plan.bytes[FTV_NEAR] = (uint32_t)max_size(end, mlp);
    return plan;
}

/* ---- somebody else's plan ---- */

static bool lies_within(const ftv_plan *plan, const ftv_plan_place *place, uint32_t least) {
    return place->memory < FTV_MEMORIES && place->offset % FTV_ALIGN == 0U && place->bytes >= least &&
           place->offset <= plan->bytes[place->memory] && place->bytes <= plan->bytes[place->memory] - place->offset;
}

static bool overlap(const ftv_plan_place *a, const ftv_plan_place *b) {
    return a->memory == b->memory && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

ftv_status ftv_check_plan(const ftv_model *model, const ftv_options *options) {
    ftv_options settled = ftv_settled(options);
    const ftv_plan *plan = settled.plan;
    uint32_t bytes[FTV_BUFFERS];
    if (plan == NULL || plan->workers != settled.parallel->workers || plan->workers < 1U ||
        plan->workers > FTV_MAX_WORKERS || plan->mlp_tokens < 1U || plan->mlp_tokens > model->tokens) {
        return FTV_ERR_PLAN;
    }
    needs(bytes, model, settled.kernels, plan->workers, plan->mlp_tokens);
    for (uint32_t i = 0; i < FTV_BUFFERS; i++) {
        if (!lies_within(plan, &plan->places[i], bytes[i])) {
            return FTV_ERR_PLAN;
        }
        for (uint32_t j = 0; j < i; j++) {
            if ((steps_of[i] & steps_of[j]) != 0U && overlap(&plan->places[i], &plan->places[j])) {
                return FTV_ERR_PLAN;
            }
        }
    }
    return FTV_OK;
}

/* ---- a pass's pointers ---- */

static void *at(const ftv_plan *plan, ftv_buffer buffer, uint8_t *const memories[FTV_MEMORIES]) {
    const ftv_plan_place *place = &plan->places[buffer];
    return memories[place->memory] + place->offset;
}

static ftv_rows rows_at(void *start, uint32_t rows, uint32_t stride) {
    uint8_t *scales = (uint8_t *)start + ftv_align((size_t)rows * stride);
    return (ftv_rows){start, (ftv_multiplier *)(void *)scales, stride};
}

ftv_buffers ftv_lay_out(const ftv_model *model, const ftv_kernels *kernels, const ftv_plan *plan,
                        uint8_t *const memories[FTV_MEMORIES]) {
    ftv_buffers buffers = {.width_stride = ftv_round16(model->width),
                           .hidden_stride = ftv_round16(model->hidden),
                           .mlp_tokens = plan->mlp_tokens,
                           .scratch_bytes = worker_bytes(model, kernels)};
    buffers.scratch = at(plan, FTV_BUFFER_SCRATCH, memories);
    buffers.residual = at(plan, FTV_BUFFER_RESIDUAL, memories);
    buffers.rows = rows_at(at(plan, FTV_BUFFER_ROWS, memories), model->tokens, buffers.width_stride);
    buffers.patches =
        rows_at(at(plan, FTV_BUFFER_PATCHES, memories), model->tokens - 1U, ftv_round16(model->patch.inputs));
    buffers.qkv = at(plan, FTV_BUFFER_QKV, memories);
    buffers.absmax = at(plan, FTV_BUFFER_ABSMAX, memories);
    buffers.mixed = at(plan, FTV_BUFFER_MIXED, memories);
    buffers.hidden = at(plan, FTV_BUFFER_HIDDEN, memories);
    buffers.hidden_rows = rows_at(at(plan, FTV_BUFFER_HIDDEN_ROWS, memories), plan->mlp_tokens, buffers.hidden_stride);
    return buffers;
}
