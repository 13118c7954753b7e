/* The forward pass of a ternary Vision Transformer. Every number is defined in NUMERICS.md. */
#include "ftv_fixed.h"
#include "ftv_group.h"

/* ---- all groups: one after the other with all workers on each, or one for each worker ---- */

static void run_serially(void *context, ftv_task_fn function, void *argument, uint32_t tasks) {
    uint32_t worker = context != NULL ? *(const uint32_t *)context : 0U;
    for (uint32_t task = 0; task < tasks; task++) {
        function(argument, task, worker);
    }
}

static const ftv_parallel serial = {run_serially, NULL, 1};

/* Groups of resident tokens, then those of the others. */
static uint32_t groups_of(const ftv_group_tasks *tasks) {
    const ftv_buffers *b = &tasks->pass->buffers;
    uint32_t resident = ftv_min_u32(tasks->tokens, b->resident_tokens);
    return ftv_ceil_div(resident, b->group) + ftv_ceil_div(tasks->tokens - resident, b->group);
}

static ftv_group group_at(const ftv_group_tasks *tasks, uint32_t number) {
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
    const ftv_group_tasks *tasks = argument;
    ftv_parallel alone = {run_serially, &worker, 1};
    ftv_traffic t = {.copies = &ftv_copies_at_once};
    ftv_group group = group_at(tasks, task);
    group.parallel = &alone;
    group.team = worker;
    ftv_run_group(tasks, &group, NULL, &t);
}

/* A hook sees the groups in order. */
static void run_groups(const ftv_group_tasks *tasks, ftv_traffic *t) {
    const ftv_pass *pass = tasks->pass;
    uint32_t groups = groups_of(tasks);
    if (pass->buffers.teams > 1U && groups > 1U && pass->trace == NULL) {
        ftv_group_tasks copy = *tasks;
        ftv_for_each(pass->parallel, team_task, &copy, groups);
        return;
    }
    ftv_group group = group_at(tasks, 0);
    for (uint32_t number = 1; number <= groups; number++) {
        ftv_group following = group_at(tasks, number);
        ftv_run_group(tasks, &group, number < groups ? &following : NULL, t);
        group = following;
    }
}

/* Before the attention that the groups `next` follow. */
static void start_attention(const ftv_group_tasks *next, ftv_traffic *t) {
    ftv_group first = group_at(next, 0);
    if (!next->pass->buffers.window_stays) {
        ftv_wait_until_gone(t);
    } else if (ftv_has_window(&first) && next->pass->buffers.teams == 1U) {
        ftv_start_coming(t, &first, next->pass->buffers.window);
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
    ftv_traffic t = {.copies = pass->copies};
    run_groups(&(ftv_group_tasks){.pass = pass, .pixels = pixels, .next = 0, .tokens = model->tokens}, &t);
    for (uint32_t index = 0; index < model->depth; index++) {
        uint32_t queries = index == model->depth - 1U ? 1U : model->tokens;
        const ftv_group_tasks groups = {.pass = pass, .next = index + 1U, .tokens = queries};
        start_attention(&groups, &t);
        ftv_attention(pass, &model->blocks[index], queries);
        run_groups(&groups, &t);
    }
    ftv_wait_until_gone(&t);
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
    const uint8_t *const memories[FTV_MEMORIES] = {arena, options->far, options->spare};
    uintptr_t residual = (uintptr_t)memories[plan->places[FTV_BUFFER_RESIDUAL].memory];
    if (options->copies != NULL && plan->window != 0U && residual % FTV_COPY_ALIGN != 0U) {
        return FTV_ERR_ALIGN;
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
                     .copies = settled.copies != NULL ? settled.copies : &ftv_copies_at_once,
                     .trace = settled.trace,
                     .trace_context = settled.trace_context,
                     .buffers = ftv_lay_out(model, settled.kernels, &plan, memories)};
    forward(&pass, pixels, logits);
    return FTV_OK;
}
