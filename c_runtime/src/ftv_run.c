/* The forward pass of a ternary Vision Transformer. Every number is defined in NUMERICS.md. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

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

static size_t words_of(const ftv_group *group) {
    return (size_t)group->count * group->pass->buffers.width_stride;
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

/* reader: of the rows. */
static void norm_group(const ftv_group *group, const group_view *view, const ftv_norm *norm, const ftv_linear *reader) {
    const ftv_model *model = group->pass->model;
    ftv_norm_job job = {.x = view->residual,
                        .x_stride = group->pass->buffers.width_stride,
                        .rows = group->count,
                        .columns = model->width,
                        .norm = norm,
                        .eps_q32 = model->eps_q32,
                        .out = view->rows};
    ftv_norm_all(group->pass, group->parallel, &job, reader->inputs);
}

static void project_and_norm(const ftv_group *group, const group_view *view, const ftv_block *block, uint32_t index) {
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
    norm_group(group, view, &block->norm2, &block->fc1);
    ftv_trace_s8(pass, FTV_SITE_NORM2_CODES, index, view->rows, group->count, block->fc1.inputs);
}

/* fc2 is left to do. */
static void mlp_to_codes(const ftv_group *group, const group_view *view, const ftv_block *block, uint32_t index) {
    const ftv_pass *pass = group->pass;
    const ftv_model *model = pass->model;
    apply_layer(group, &block->fc1, (ftv_layer_job){.x = view->rows, .output = FTV_ACTIVATE, .narrow = view->hidden});
    ftv_quantise_job job = {.in = view->hidden,
                            .rows = group->count,
                            .pieces = 1,
                            .piece = model->hidden,
                            .piece_stride = pass->buffers.hidden_stride,
                            .out = view->hidden_rows};
    ftv_quantise_in_place(pass, group->parallel, &job);
    ftv_trace_s8(pass, FTV_SITE_HIDDEN_CODES, index, view->hidden_rows, group->count, model->hidden);
}

static void mlp_from_codes(const ftv_group *group, const group_view *view, const ftv_block *block, uint32_t index) {
    const ftv_pass *pass = group->pass;
    add_to_residual(group, view, &block->fc2, view->hidden_rows);
    ftv_trace_s32(pass, FTV_SITE_FC2_RESIDUAL, index, view->residual, group->count, pass->model->width,
                  pass->buffers.width_stride);
}

/* The first norm of block `next`, or the last norm of all. */
static void norm_next(const ftv_group *group, const group_view *view, uint32_t next) {
    const ftv_model *model = group->pass->model;
    if (next == model->depth) {
        norm_group(group, view, &model->norm, &model->head);
        ftv_trace_s8(group->pass, FTV_SITE_NORM_CODES, FTV_NO_BLOCK, view->rows, group->count, model->head.inputs);
        return;
    }
    const ftv_block *block = &model->blocks[next];
    norm_group(group, view, &block->norm1, &block->qkv);
    ftv_trace_s8(group->pass, FTV_SITE_NORM1_CODES, next, view->rows, group->count, block->qkv.inputs);
}

/* ---- windows: residual rows come and go while kernels compute ---- */

/* Copies that are on their way. A window's rows arrive behind GELU's codes, while fc2 of the group before reads these, and
 * leave while proj of the next group adds to those that have arrived. Those of the last group leave, and those of the first
 * arrive in the window itself, during attention, where that leaves the window alone. */
typedef struct traffic {
    const ftv_copies *copies;
    int32_t *arrival; /* where rows arrive; NULL: none do */
    bool is_going;
    uint32_t coming; /* ftv_copies' numbers */
    uint32_t going;
} traffic;

static void start_coming(traffic *t, const ftv_group *group, int32_t *to) {
    t->coming = t->copies->start(t->copies->context, to, residual_of(group), words_of(group) * sizeof(int32_t));
    t->arrival = to;
}

static void start_going(traffic *t, const ftv_group *group, const int32_t *from) {
    t->going = t->copies->start(t->copies->context, residual_of(group), from, words_of(group) * sizeof(int32_t));
    t->is_going = true;
}

/* The rows that have arrived. */
static int32_t *wait_until_come(traffic *t) {
    int32_t *rows = t->arrival;
    t->copies->wait(t->copies->context, t->coming);
    t->arrival = NULL;
    return rows;
}

static void wait_until_gone(traffic *t) {
    if (t->is_going) {
        t->copies->wait(t->copies->context, t->going);
        t->is_going = false;
    }
}

typedef struct move_task {
    int32_t *to;
    const int32_t *from;
    size_t words;
    size_t share;
} move_task;

static void move_words(void *argument, uint32_t task, uint32_t worker) {
    const move_task *move = argument;
    (void)worker;
    size_t first = task * move->share;
    size_t end = first + move->share < move->words ? first + move->share : move->words;
    int32_t *restrict to = move->to;
    const int32_t *restrict from = move->from;
    for (size_t i = first; i < end; i++) {
        to[i] = from[i];
    }
}

static void move_rows(const ftv_group *group, int32_t *to, const int32_t *from) {
    size_t words = words_of(group);
    move_task move = {to, from, words, ftv_ceil_div((uint32_t)words, group->parallel->workers)};
    ftv_for_each(group->parallel, move_words, &move, group->parallel->workers);
}

/* proj and norm2 of a group with a window, whose rows may have arrived before. Only fc1 wants their place: till then the
 * rows before them can take their leave. */
static void project_in_window(const ftv_group *group, group_view *view, const ftv_block *block, uint32_t index,
                              traffic *t) {
    int32_t *window = view->residual, *behind = ftv_hidden_at(&group->pass->buffers, group->team).behind;
    if (t->arrival == NULL && behind == NULL) {
        wait_until_gone(t);
    }
    if (t->arrival == NULL) {
        start_coming(t, group, behind != NULL ? behind : window);
    }
    view->residual = wait_until_come(t);
    project_and_norm(group, view, block, index);
    wait_until_gone(t);
    if (view->residual != window) {
        move_rows(group, window, view->residual);
        view->residual = window;
    }
}

/* ---- what groups of tokens go through between two attentions ---- */

/* Pixels become tokens, or proj and MLP of a block; in any case the next norm. */
typedef struct group_tasks {
    const ftv_pass *pass;
    const uint8_t *pixels; /* NULL: not the embedding */
    uint32_t next;         /* block whose attention comes next; depth: none */
    uint32_t tokens;
} group_tasks;

/* following: the group after this one; NULL: none, or it is another worker's. */
static void run_block(const group_tasks *tasks, const ftv_group *group, const ftv_group *following, group_view *view,
                      traffic *t) {
    uint32_t index = tasks->next - 1U;
    const ftv_block *block = &group->pass->model->blocks[index];
    if (has_window(group)) {
        project_in_window(group, view, block, index, t);
    } else {
        project_and_norm(group, view, block, index);
    }
    mlp_to_codes(group, view, block, index);
    int32_t *behind = ftv_hidden_at(&group->pass->buffers, group->team).behind;
    if (following != NULL && has_window(following) && behind != NULL) {
        start_coming(t, following, behind);
    }
    mlp_from_codes(group, view, block, index);
}

static void run_group(const group_tasks *tasks, const ftv_group *group, const ftv_group *following, traffic *t) {
    group_view view = view_of(group);
    if (tasks->pixels != NULL) {
        wait_until_gone(t);
        ftv_embed(group, tasks->pixels, view.residual);
    } else {
        run_block(tasks, group, following, &view, t);
    }
    norm_next(group, &view, tasks->next);
    if (has_window(group)) {
        start_going(t, group, view.residual);
    }
}

/* Copies that are made at once. */
static uint32_t copy_now(void *context, void *to, const void *from, size_t bytes) {
    (void)context;
    move_task move = {to, from, bytes / sizeof(int32_t), bytes / sizeof(int32_t)};
    move_words(&move, 0, 0);
    return 0;
}

static void wait_for_nothing(void *context, uint32_t copy) {
    (void)context;
    (void)copy;
}

static const ftv_copies at_once = {NULL, copy_now, wait_for_nothing};

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
    traffic t = {.copies = &at_once};
    ftv_group group = group_at(tasks, task);
    group.parallel = &alone;
    group.team = worker;
    run_group(tasks, &group, NULL, &t);
}

/* A hook sees the groups in order. */
static void run_groups(const group_tasks *tasks, traffic *t) {
    const ftv_pass *pass = tasks->pass;
    uint32_t groups = groups_of(tasks);
    if (pass->buffers.teams > 1U && groups > 1U && pass->trace == NULL) {
        group_tasks copy = *tasks;
        ftv_for_each(pass->parallel, team_task, &copy, groups);
        return;
    }
    ftv_group group = group_at(tasks, 0);
    for (uint32_t number = 1; number <= groups; number++) {
        ftv_group following = group_at(tasks, number);
        run_group(tasks, &group, number < groups ? &following : NULL, t);
        group = following;
    }
}

/* Before the attention that the groups `next` follow. */
static void start_attention(const group_tasks *next, traffic *t) {
    ftv_group first = group_at(next, 0);
    if (!next->pass->buffers.window_stays) {
        wait_until_gone(t);
    } else if (has_window(&first) && next->pass->buffers.teams == 1U) {
        start_coming(t, &first, next->pass->buffers.window);
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
    traffic t = {.copies = pass->copies};
    run_groups(&(group_tasks){.pass = pass, .pixels = pixels, .next = 0, .tokens = model->tokens}, &t);
    for (uint32_t index = 0; index < model->depth; index++) {
        uint32_t queries = index == model->depth - 1U ? 1U : model->tokens;
        const group_tasks groups = {.pass = pass, .next = index + 1U, .tokens = queries};
        start_attention(&groups, &t);
        ftv_attention(pass, &model->blocks[index], queries);
        run_groups(&groups, &t);
    }
    wait_until_gone(&t);
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
                     .copies = settled.copies != NULL ? settled.copies : &at_once,
                     .trace = settled.trace,
                     .trace_context = settled.trace_context,
                     .buffers = ftv_lay_out(model, settled.kernels, &plan, memories)};
    forward(&pass, pixels, logits);
    return FTV_OK;
}
