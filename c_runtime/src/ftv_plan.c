/* How much memory a pass needs, and where everything lies in it. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

#include <stdbool.h>

/* Steps of a pass that use memory in turn. */
enum { EMBEDDING = 1, ATTENTION = 2, TOKENS = 4, ALWAYS = EMBEDDING | ATTENTION | TOKENS };

static const uint8_t steps_of[FTV_BUFFERS] = {
    [FTV_BUFFER_SCRATCH] = ALWAYS,   [FTV_BUFFER_RESIDENT] = ALWAYS,          [FTV_BUFFER_RESIDUAL] = ALWAYS,
    [FTV_BUFFER_ROWS] = ALWAYS,      [FTV_BUFFER_PATCHES] = EMBEDDING,        [FTV_BUFFER_QKV] = ATTENTION,
    [FTV_BUFFER_ABSMAX] = ATTENTION, [FTV_BUFFER_MIXED] = ATTENTION | TOKENS, [FTV_BUFFER_WINDOW] = EMBEDDING | TOKENS,
    [FTV_BUFFER_HIDDEN] = TOKENS};

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

/* ---- what is needed; sums fit 32 bits for every valid model and FTV_MAX_WORKERS ---- */

/* Codes, then scales, which are never less than what may be read beyond the codes. */
static uint32_t rows_bytes(uint32_t rows, uint32_t stride) {
    size_t scales = max_size(ftv_align(rows * sizeof(ftv_multiplier)), FTV_ROWS_READ_ON);
    return (uint32_t)(ftv_align((size_t)rows * stride) + scales);
}

static uint32_t words_bytes(uint32_t rows, uint32_t columns) {
    return (uint32_t)ftv_align((size_t)rows * columns * sizeof(int32_t));
}

static uint32_t narrow_bytes(uint32_t rows, uint32_t stride) {
    return rows * stride * (uint32_t)sizeof(int16_t) + words_bytes(rows, stride / FTV_TILE);
}

static uint32_t head_bytes(const ftv_model *model, const ftv_kernels *kernels) {
    size_t bytes = 0;
    for (uint32_t part = 0; part < FTV_PARTS; part++) {
        bytes += ftv_part_bytes(kernels, (ftv_part)part, model->tokens, model->head_rows);
    }
    return (uint32_t)bytes;
}

/* Of one team. */
static uint32_t hidden_bytes(uint32_t group, uint32_t stride) {
    return narrow_bytes(group, stride) + (uint32_t)ftv_align(group * sizeof(ftv_multiplier));
}

/* Bytes of every buffer of a plan whose workers, group, teams, wave and window are set. */
static void needs(uint32_t bytes[FTV_BUFFERS], const ftv_model *model, const ftv_kernels *kernels,
                  const ftv_plan *plan) {
    uint32_t width = ftv_round16(model->width), hidden = ftv_round16(model->hidden);
    bytes[FTV_BUFFER_SCRATCH] = (uint32_t)ftv_step_scratch_bytes(model, kernels) * plan->workers;
    bytes[FTV_BUFFER_RESIDENT] = words_bytes(plan->resident, width);
    bytes[FTV_BUFFER_RESIDUAL] = words_bytes(model->tokens - plan->resident, width);
    bytes[FTV_BUFFER_ROWS] = rows_bytes(model->tokens, width);
    bytes[FTV_BUFFER_PATCHES] = plan->teams * rows_bytes(plan->group, ftv_round16(model->patch.inputs));
    bytes[FTV_BUFFER_QKV] = plan->wave * head_bytes(model, kernels);
    bytes[FTV_BUFFER_ABSMAX] = words_bytes(plan->wave * FTV_PARTS * model->tokens, 1);
    bytes[FTV_BUFFER_MIXED] = narrow_bytes(model->tokens, model->heads * model->head_rows);
    bytes[FTV_BUFFER_WINDOW] = plan->window != 0U ? plan->teams * words_bytes(plan->group, width) : 0U;
    bytes[FTV_BUFFER_HIDDEN] = plan->teams * hidden_bytes(plan->group, hidden);
}

void ftv_plan_needs(uint32_t bytes[FTV_BUFFERS], const ftv_model *model, const ftv_options *options,
                    const ftv_plan *plan) {
    needs(bytes, model, ftv_settled(options).kernels, plan);
}

/* ---- the engine's own plan ---- */

static uint32_t place(ftv_plan *plan, ftv_buffer buffer, uint32_t offset, uint32_t bytes) {
    plan->places[buffer] = (ftv_plan_place){FTV_NEAR, offset, bytes};
    return offset + bytes;
}

/* Groups of even size: one for each worker, or for a single one as many tokens as fit where Q, K and V were. */
static uint32_t group_within(const ftv_model *model, uint32_t workers, uint32_t room) {
    uint32_t most = ftv_ceil_div(model->tokens, workers);
    if (workers == 1U) {
        uint32_t fitting = room / hidden_bytes(1, ftv_round16(model->hidden));
        most = fitting >= model->tokens ? model->tokens : fitting > FTV_ROW_GROUP ? fitting : FTV_ROW_GROUP;
    }
    return ftv_ceil_div(model->tokens, ftv_ceil_div(model->tokens, most));
}

ftv_plan ftv_make_plan(const ftv_model *model, const ftv_options *options) {
    ftv_options settled = ftv_settled(options);
    uint32_t workers = settled.parallel->workers;
    ftv_plan plan = {.workers = workers, .group = 1, .teams = workers, .wave = model->heads};
    uint32_t bytes[FTV_BUFFERS];
    if (workers < 1U || workers > FTV_MAX_WORKERS) {
        return (ftv_plan){.workers = 0};
    }
    needs(bytes, model, settled.kernels, &plan);
    uint32_t shared = place(&plan, FTV_BUFFER_SCRATCH, 0, bytes[FTV_BUFFER_SCRATCH]);
    shared = place(&plan, FTV_BUFFER_RESIDENT, shared, 0);
    shared = place(&plan, FTV_BUFFER_RESIDUAL, shared, bytes[FTV_BUFFER_RESIDUAL]);
    shared = place(&plan, FTV_BUFFER_ROWS, shared, bytes[FTV_BUFFER_ROWS]);
    shared = place(&plan, FTV_BUFFER_MIXED, shared, bytes[FTV_BUFFER_MIXED]);
    uint32_t attention = place(&plan, FTV_BUFFER_QKV, shared, bytes[FTV_BUFFER_QKV]);
    attention = place(&plan, FTV_BUFFER_ABSMAX, attention, bytes[FTV_BUFFER_ABSMAX]);
    plan.group = group_within(model, workers, attention - shared);
    needs(bytes, model, settled.kernels, &plan);
    uint32_t tokens = place(&plan, FTV_BUFFER_WINDOW, shared, 0);
    tokens = place(&plan, FTV_BUFFER_HIDDEN, tokens, bytes[FTV_BUFFER_HIDDEN]);
    uint32_t embedding = place(&plan, FTV_BUFFER_PATCHES, shared, bytes[FTV_BUFFER_PATCHES]);
    plan.bytes[FTV_NEAR] = (uint32_t)max_size(max_size(embedding, attention), tokens);
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

static bool possible(const ftv_model *model, const ftv_plan *plan, uint32_t workers) {
    return plan->workers == workers && workers >= 1U && workers <= FTV_MAX_WORKERS && plan->group >= 1U &&
           plan->group <= model->tokens && (plan->teams == 1U || plan->teams == workers) && plan->wave >= 1U &&
           plan->wave <= model->heads && plan->window <= 1U && plan->resident <= model->tokens;
}

/* Copies that go past a cache: their rows lie alone in its lines, and there is one thread that starts them. */
static bool suits_copies(const ftv_plan *plan, const ftv_copies *copies) {
    const ftv_plan_place *residual = &plan->places[FTV_BUFFER_RESIDUAL];
    if (copies == NULL || plan->window == 0U) {
        return true;
    }
    if (plan->teams > 1U || residual->offset % FTV_COPY_ALIGN != 0U) {
        return false;
    }
    uint32_t end = residual->offset + ftv_ceil_div(residual->bytes, FTV_COPY_ALIGN) * FTV_COPY_ALIGN;
    for (uint32_t i = 0; i < FTV_BUFFERS; i++) {
        const ftv_plan_place *place = &plan->places[i];
        if (i != FTV_BUFFER_RESIDUAL && place->bytes > 0U && place->memory == residual->memory &&
            place->offset >= residual->offset && place->offset < end) {
            return false;
        }
    }
    return true;
}

ftv_status ftv_check_plan(const ftv_model *model, const ftv_options *options) {
    ftv_options settled = ftv_settled(options);
    const ftv_plan *plan = settled.plan;
    uint32_t bytes[FTV_BUFFERS];
    if (plan == NULL || !possible(model, plan, settled.parallel->workers)) {
        return FTV_ERR_PLAN;
    }
    if (!suits_copies(plan, options->copies)) {
        return FTV_ERR_PLAN;
    }
    needs(bytes, model, settled.kernels, plan);
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

static uint8_t *at(const ftv_plan *plan, ftv_buffer buffer, uint8_t *const memories[FTV_MEMORIES]) {
    const ftv_plan_place *place = &plan->places[buffer];
    return memories[place->memory] + place->offset;
}

static ftv_rows rows_at(uint8_t *start, uint32_t rows, uint32_t stride) {
    uint8_t *scales = start + ftv_align((size_t)rows * stride);
    return (ftv_rows){(int8_t *)start, (ftv_multiplier *)(void *)scales, stride};
}

static ftv_narrow narrow_at(uint8_t *start, uint32_t rows, uint32_t stride) {
    uint8_t *absmax = start + (size_t)rows * stride * sizeof(int16_t);
    return (ftv_narrow){(int16_t *)(void *)start, (int32_t *)(void *)absmax, stride};
}

ftv_hidden ftv_hidden_at(const ftv_buffers *buffers, uint32_t team) {
    uint8_t *start = buffers->hidden + team * buffers->hidden_bytes;
    uint8_t *scales = start + narrow_bytes(buffers->group, buffers->hidden_stride);
    uint8_t *codes_end = start + (size_t)buffers->group * buffers->hidden_stride;
    bool has_room = (size_t)(scales - codes_end) >= (size_t)buffers->group * buffers->width_stride * sizeof(int32_t);
    return (ftv_hidden){.narrow = narrow_at(start, buffers->group, buffers->hidden_stride),
                        .rows = {(int8_t *)start, (ftv_multiplier *)(void *)scales, buffers->hidden_stride},
                        .behind = has_room ? (int32_t *)(void *)codes_end : NULL};
}

ftv_rows ftv_patches_at(const ftv_buffers *buffers, uint32_t team) {
    return rows_at(buffers->patches + team * buffers->patches_bytes, buffers->group, buffers->patch_stride);
}

static bool window_stays(const ftv_plan *plan) {
    const ftv_plan_place *window = &plan->places[FTV_BUFFER_WINDOW];
    return plan->window != 0U && !overlap(window, &plan->places[FTV_BUFFER_QKV]) &&
           !overlap(window, &plan->places[FTV_BUFFER_ABSMAX]);
}

ftv_buffers ftv_lay_out(const ftv_model *model, const ftv_kernels *kernels, const ftv_plan *plan,
                        uint8_t *const memories[FTV_MEMORIES]) {
    ftv_buffers b = {.width_stride = ftv_round16(model->width),
                     .hidden_stride = ftv_round16(model->hidden),
                     .group = plan->group,
                     .teams = plan->teams,
                     .wave = plan->wave,
                     .resident_tokens = plan->resident,
                     .window_stays = window_stays(plan),
                     .patch_stride = ftv_round16(model->patch.inputs),
                     .patches_bytes = rows_bytes(plan->group, ftv_round16(model->patch.inputs)),
                     .hidden_bytes = hidden_bytes(plan->group, ftv_round16(model->hidden)),
                     .scratch_bytes = ftv_step_scratch_bytes(model, kernels)};
    b.scratch = at(plan, FTV_BUFFER_SCRATCH, memories);
    b.resident = (int32_t *)(void *)at(plan, FTV_BUFFER_RESIDENT, memories);
    b.residual = (int32_t *)(void *)at(plan, FTV_BUFFER_RESIDUAL, memories);
    b.rows = rows_at(at(plan, FTV_BUFFER_ROWS, memories), model->tokens, b.width_stride);
    b.patches = at(plan, FTV_BUFFER_PATCHES, memories);
    b.qkv = (int8_t *)at(plan, FTV_BUFFER_QKV, memories);
    b.absmax = (int32_t *)(void *)at(plan, FTV_BUFFER_ABSMAX, memories);
    b.mixed = narrow_at(at(plan, FTV_BUFFER_MIXED, memories), model->tokens, model->heads * model->head_rows);
    b.window = plan->window != 0U ? (int32_t *)(void *)at(plan, FTV_BUFFER_WINDOW, memories) : NULL;
    b.hidden = at(plan, FTV_BUFFER_HIDDEN, memories);
    return b;
}
