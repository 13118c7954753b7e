/* The forward pass of a ternary Vision Transformer. Every number is defined in NUMERICS.md. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

#include <stdbool.h>

/* ---- one group of tokens: x += proj(attention's output); x += fc2(gelu(fc1(norm x))); the next norm ---- */

/* What a group works on. */
typedef struct group_view {
    int32_t *residual;    /* [count][width_stride], the window where there is one */
    ftv_rows rows;        /* [count] rows of buffers.rows: codes of one step after the other */
    ftv_narrow mixed;     /* [count] */
    ftv_narrow hidden;    /* [count][hidden_stride] */
    ftv_rows hidden_rows; /* the same place */
} group_view;

static ftv_narrow narrow_from(ftv_narrow all, uint32_t row) {
    all.values += (size_t)row * all.stride;
    all.absmax += (size_t)row * (all.stride / FTV_TILE);
    return all;
}

static int32_t *residual_of(const ftv_group *group) {
    const ftv_buffers *b = &group->pass->buffers;
    if (group->first < b->resident_tokens) {
        return b->resident + (size_t)group->first * b->width_stride;
    }
    return b->residual + (size_t)(group->first - b->resident_tokens) * b->width_stride;
}

/* Whether the group works on a copy of its rows. */
static bool has_window(const ftv_group *group) {
    const ftv_buffers *b = &group->pass->buffers;
    return b->window != NULL && group->first >= b->resident_tokens;
}

static group_view view_of(const ftv_group *group) {
    const ftv_buffers *b = &group->pass->buffers;
    ftv_hidden hidden = ftv_hidden_at(b, group->team);
    group_view view = {.residual = residual_of(group),
                       .rows = ftv_rows_from(b->rows, group->first),
                       .mixed = narrow_from(b->mixed, group->first),
                       .hidden = hidden.narrow,
                       .hidden_rows = hidden.rows};
    if (has_window(group)) {
        view.residual = b->window + (size_t)group->team * b->group * b->width_stride;
    }
    return view;
}

static void copy_words(int32_t *restrict to, const int32_t *restrict from, size_t words) {
    for (size_t i = 0; i < words; i++) {
        to[i] = from[i];
    }
}

static void apply_layer(const ftv_group *group, const ftv_linear *layer, ftv_layer_job job) {
    job.layer = layer;
    job.encoding = group->pass->model->encoding;
    job.tiles = layer->stored_rows / FTV_TILE;
    job.tokens = group->count;
    ftv_layer_all(group->pass, group->parallel, &job);
}

static void add_to_residual(const ftv_group *group, const group_view *view, const ftv_linear *layer, ftv_rows x) {
    apply_layer(group, layer,
                (ftv_layer_job){
                    .x = x, .output = FTV_ADD, .out = view->residual, .out_stride = group->pass->buffers.width_stride});
}

static void norm_group(const ftv_group *group, const group_view *view, const ftv_norm *norm) {
    const ftv_model *model = group->pass->model;
    ftv_norm_job job = {.x = view->residual,
                        .x_stride = group->pass->buffers.width_stride,
                        .rows = group->count,
                        .columns = model->width,
                        .norm = norm,
                        .eps_q32 = model->eps_q32,
                        .out = view->rows};
    ftv_norm_all(group->pass, group->parallel, &job);
}

static void project(const ftv_group *group, const group_view *view, const ftv_block *block, uint32_t index) {
    const ftv_pass *pass = group->pass;
    const ftv_model *model = pass->model;
    ftv_quantise_job job = {.in = view->mixed,
                            .rows = group->count,
                            .pieces = model->heads,
                            .piece = model->head_dim,
                            .piece_stride = model->head_rows,
                            .out = view->rows};
    ftv_quantise_all(pass, group->parallel, &job);
    ftv_trace_s8(pass, FTV_SITE_ATTENTION_CODES, index, view->rows, group->count, model->width);
    add_to_residual(group, view, &block->proj, view->rows);
    ftv_trace_s32(pass, FTV_SITE_PROJ_RESIDUAL, index, view->residual, group->count, model->width,
                  pass->buffers.width_stride);
}

static void mlp(const ftv_group *group, const group_view *view, const ftv_block *block, uint32_t index) {
    const ftv_pass *pass = group->pass;
    const ftv_model *model = pass->model;
    norm_group(group, view, &block->norm2);
    ftv_trace_s8(pass, FTV_SITE_NORM2_CODES, index, view->rows, group->count, model->width);
    apply_layer(group, &block->fc1, (ftv_layer_job){.x = view->rows, .output = FTV_ACTIVATE, .narrow = view->hidden});
    ftv_quantise_job job = {.in = view->hidden,
                            .rows = group->count,
                            .pieces = 1,
                            .piece = model->hidden,
                            .piece_stride = pass->buffers.hidden_stride,
                            .out = view->hidden_rows};
    ftv_quantise_all(pass, group->parallel, &job);
    ftv_trace_s8(pass, FTV_SITE_HIDDEN_CODES, index, view->hidden_rows, group->count, model->hidden);
    add_to_residual(group, view, &block->fc2, view->hidden_rows);
    ftv_trace_s32(pass, FTV_SITE_FC2_RESIDUAL, index, view->residual, group->count, model->width,
                  pass->buffers.width_stride);
}

/* The first norm of block `next`, or the last norm of all. */
static void norm_next(const ftv_group *group, const group_view *view, uint32_t next) {
    const ftv_model *model = group->pass->model;
    bool last = next == model->depth;
    norm_group(group, view, last ? &model->norm : &model->blocks[next].norm1);
    ftv_trace_s8(group->pass, last ? FTV_SITE_NORM_CODES : FTV_SITE_NORM1_CODES, last ? FTV_NO_BLOCK : next, view->rows,
                 group->count, model->width);
}

/* What groups of tokens go through between two attentions: pixels become tokens, or proj and MLP of a block; in any
 * case the next norm. */
typedef struct group_tasks {
    const ftv_pass *pass;
    const uint8_t *pixels; /* NULL: not the embedding */
    uint32_t next;         /* block whose attention comes next; depth: none */
    uint32_t tokens;
} group_tasks;

static void run_group(const group_tasks *tasks, const ftv_group *group) {
    const ftv_buffers *b = &group->pass->buffers;
    group_view view = view_of(group);
    size_t words = (size_t)group->count * b->width_stride;
    if (tasks->pixels != NULL) {
        ftv_embed(group, tasks->pixels, view.residual);
    } else {
        uint32_t index = tasks->next - 1U;
        const ftv_block *block = &group->pass->model->blocks[index];
        if (has_window(group)) {
            copy_words(view.residual, residual_of(group), words);
        }
        project(group, &view, block, index);
        mlp(group, &view, block, index);
    }
    norm_next(group, &view, tasks->next);
    if (has_window(group)) {
        copy_words(residual_of(group), view.residual, words);
    }
}

/* ---- all groups: one after the other with all workers on each, or one for each worker ---- */

static void run_serially(void *context, ftv_task_fn function, void *argument, uint32_t tasks) {
    uint32_t worker = context != NULL ? *(const uint32_t *)context : 0U;
    for (uint32_t task = 0; task < tasks; task++) {
        function(argument, task, worker);
    }
}

static const ftv_parallel serial = {run_serially, NULL, 1};

/* Groups of resident tokens, then those of the others. */
static uint32_t groups_of(const group_tasks *tasks) {
    const ftv_buffers *b = &tasks->pass->buffers;
    uint32_t resident = ftv_min_u32(tasks->tokens, b->resident_tokens);
    return ftv_ceil_div(resident, b->group) + ftv_ceil_div(tasks->tokens - resident, b->group);
}

static ftv_group group_at(const group_tasks *tasks, uint32_t number) {
    const ftv_buffers *b = &tasks->pass->buffers;
    uint32_t end = ftv_min_u32(tasks->tokens, b->resident_tokens);
    uint32_t before = ftv_ceil_div(end, b->group);
    uint32_t first = number < before ? number * b->group : end + (number - before) * b->group;
    end = number < before ? end : tasks->tokens;
    return (ftv_group){.pass = tasks->pass,
                       .parallel = tasks->pass->parallel,
                       .first = first,
                       .count = ftv_min_u32(b->group, end - first)};
}

static void team_task(void *argument, uint32_t task, uint32_t worker) {
    const group_tasks *tasks = argument;
    ftv_parallel alone = {run_serially, &worker, 1};
    ftv_group group = group_at(tasks, task);
    group.parallel = &alone;
    group.team = worker;
    run_group(tasks, &group);
}

/* A hook sees the groups in order. */
static void run_groups(const group_tasks *tasks) {
    const ftv_pass *pass = tasks->pass;
    uint32_t groups = groups_of(tasks);
    if (pass->buffers.teams > 1U && groups > 1U && pass->trace == NULL) {
        group_tasks copy = *tasks;
        ftv_for_each(pass->parallel, team_task, &copy, groups);
        return;
    }
    for (uint32_t number = 0; number < groups; number++) {
        ftv_group group = group_at(tasks, number);
        run_group(tasks, &group);
    }
}

/* ---- the pass ---- */

typedef struct head_task {
    const ftv_pass *pass;
    int32_t *logits;
} head_task;

static void head_tiles(void *argument, uint32_t task, uint32_t worker) {
    const head_task *head = argument;
    const ftv_model *model = head->pass->model;
    uint32_t first = task * FTV_HEAD_TILES;
    int32_t *y = (int32_t *)(void *)ftv_scratch(head->pass, worker);
    ftv_layer_job job = {.layer = &model->head,
                         .encoding = model->encoding,
                         .first_tile = first,
                         .tiles = ftv_min_u32(FTV_HEAD_TILES, model->head.stored_rows / FTV_TILE - first),
                         .x = head->pass->buffers.rows,
                         .tokens = 1,
                         .output = FTV_STORE,
                         .out = y,
                         .out_stride = FTV_HEAD_TILES * FTV_TILE};
    ftv_layer(head->pass->kernels, &job, (uint8_t *)y + ftv_sums_bytes(FTV_HEAD_TILES));
    first *= FTV_TILE;
    for (uint32_t c = 0; c < ftv_min_u32(job.tiles * FTV_TILE, model->classes - first); c++) {
        head->logits[first + c] = y[c];
    }
}

/* logits = head(norm x) of the class token, whose normalised row is the first of buffers.rows. */
static void classify(const ftv_pass *pass, int32_t *logits) {
    const ftv_model *model = pass->model;
    head_task head = {pass, logits};
    ftv_for_each(pass->parallel, head_tiles, &head, ftv_ceil_div(model->head.stored_rows, FTV_HEAD_TILES * FTV_TILE));
    ftv_trace_s32(pass, FTV_SITE_LOGITS, FTV_NO_BLOCK, logits, 1, model->classes, model->classes);
}

static void forward(const ftv_pass *pass, const uint8_t *pixels, int32_t *logits) {
    const ftv_model *model = pass->model;
    run_groups(&(group_tasks){.pass = pass, .pixels = pixels, .next = 0, .tokens = model->tokens});
    for (uint32_t index = 0; index < model->depth; index++) {
        uint32_t queries = index == model->depth - 1U ? 1U : model->tokens;
        ftv_attention(pass, &model->blocks[index], queries);
        run_groups(&(group_tasks){.pass = pass, .next = index + 1U, .tokens = queries});
    }
    classify(pass, logits);
}

/* ---- the caller's options ---- */

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
    if (((uintptr_t)arena | (uintptr_t)options->far | (uintptr_t)options->spare) % FTV_ALIGN != 0U) {
        return FTV_ERR_ALIGN;
    }
    if (plan->bytes[FTV_NEAR] == 0U || (plan->bytes[FTV_FAR] > 0U && options->far == NULL) ||
        (plan->bytes[FTV_SPARE] > 0U && options->spare == NULL)) {
        return FTV_ERR_ARGUMENT; /* too many workers, or none; or no memory there */
    }
    bool fits = arena_bytes >= plan->bytes[FTV_NEAR] && options->far_bytes >= plan->bytes[FTV_FAR] &&
                options->spare_bytes >= plan->bytes[FTV_SPARE];
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
    uint8_t *const memories[FTV_MEMORIES] = {arena, settled.far, settled.spare};
    ftv_pass pass = {.model = model,
                     .kernels = settled.kernels,
                     .parallel = settled.parallel,
                     .trace = settled.trace,
                     .trace_context = settled.trace_context,
                     .buffers = ftv_lay_out(model, settled.kernels, &plan, memories)};
    forward(&pass, pixels, logits);
    return FTV_OK;
}
